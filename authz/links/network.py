"""Network management (0800) of a link: what its acquirer may ask for, and the engine's own echo tests."""

import asyncio
from collections import deque
from datetime import UTC

from msgspec import Struct
from msgspec.structs import replace

from authz import logs
from authz.clock import Now
from authz.decision.outcomes import Reason
from authz.engine.engine import Engine
from authz.links.translation import day_of, refusal_of
from authz.metrics import Metrics
from authz.wire.codec import Malformed
from authz.wire.message import Elements, Message

TRACE_MAX = 999_999
SIGN_ONS_A_MINUTE = 60
SIGN_ONS_A_MINUTE_MAX = 6_000

_MINUTE_S = 60
_REQUEST, _REPLY = "0800", "0810"
_ANSWERED, _UNANSWERED = "answered", "unanswered"
_SIGN_ON, _SIGN_OFF, _KEY_CHANGE, _CUTOVER, _ECHO = "001", "002", "161", "201", "301"


class Session(Struct):
    """What a connection has come to: whether its acquirer has signed on."""

    signed_on: bool = False


class SignOns:
    """Takes at most so many sign-ons in any 60 seconds; one that isn't taken doesn't count.

    >>> sign_ons = SignOns(a_minute=2)
    >>> [sign_ons.take(at_s) for at_s in (0.0, 30.0, 59.9, 60.0, 60.1, 90.0)]
    [True, True, False, True, False, True]
    """

    def __init__(self, a_minute: int) -> None:
        self._newest = deque[float](maxlen=a_minute)

    def allow(self, a_minute: int) -> None:
        """Take so many from now on; those that were taken count."""
        self._newest = deque(self._newest, maxlen=a_minute)

    def take(self, at_s: float) -> bool:
        """Tell whether one more is taken, at an instant in seconds of a clock that never runs backwards."""
        if len(self._newest) == self._newest.maxlen and at_s - self._newest[0] < _MINUTE_S:
            return False
        self._newest.append(at_s)
        return True


class Network:
    """Serves one acquirer's 0800: what it changes is in the caller's `Session`, or the engine's."""

    def __init__(
        self, acquirer: str, engine: Engine, now: Now, metrics: Metrics, sign_ons_a_minute: int = SIGN_ONS_A_MINUTE
    ) -> None:
        self._acquirer = acquirer
        self._sign_ons = SignOns(sign_ons_a_minute)
        self._engine = engine
        self._now = now
        self._metrics = metrics
        for outcome in (_ANSWERED, _UNANSWERED):
            metrics.probes.labels(acquirer, outcome)
        self._refused = metrics.sign_ons_refused.labels(acquirer)
        self._services = {
            _SIGN_ON: self._sign_on,
            _SIGN_OFF: self._sign_off,
            _KEY_CHANGE: self._change_key,
            _CUTOVER: self._cut_over,
            _ECHO: self._echo,
        }

    def allow(self, sign_ons_a_minute: int) -> None:
        """Take so many sign-ons from now on."""
        self._sign_ons.allow(sign_ons_a_minute)

    async def serve(self, message: Message, session: Session) -> Message:
        """Do what DE 70 asks for and write the 0810. Raises `Malformed`, also for a key change without a key."""
        service = self._services.get(message.network_code or "")
        if service is None:
            self._metrics.refused.labels(Reason.TRANSACTION).inc()
            return refusal_of(message, Reason.TRANSACTION)
        return await service(message, session)

    async def _sign_on(self, message: Message, session: Session) -> Message:
        if not self._sign_ons.take(asyncio.get_running_loop().time()):
            self._metrics.refused.labels(Reason.OVERLOADED).inc()
            self._refused.inc()
            return refusal_of(message, Reason.OVERLOADED)
        if not session.signed_on:
            logs.event("signed on", acquirer=self._acquirer)
        session.signed_on = True
        return refusal_of(message, Reason.APPROVED)

    async def _sign_off(self, message: Message, session: Session) -> Message:
        if session.signed_on:
            logs.event("signed off", acquirer=self._acquirer)
        session.signed_on = False
        return refusal_of(message, Reason.APPROVED)

    async def _echo(self, message: Message, session: Session) -> Message:
        return refusal_of(message, Reason.APPROVED)

    async def _change_key(self, message: Message, session: Session) -> Message:
        block = message.elements.key_block if message.elements is not None else None
        if block is None:
            raise Malformed(48, "element KB, a key block, expected in a key change", message)
        change = await self._engine.change_key(self._acquirer, block, self._key(message))
        elements = None if change.check_value is None else Elements(key_check=change.check_value)
        return replace(refusal_of(message, change.reply.reason), elements=elements)

    async def _cut_over(self, message: Message, session: Session) -> Message:
        begins = None
        if message.settlement_date is not None:
            begins = day_of(message.settlement_date, self._now(), message, field=15)
        reply = await self._engine.cut_over(self._acquirer, begins, self._key(message))
        return refusal_of(message, reply.reason)

    def _key(self, message: Message) -> str:
        """Name a command, so that its repeat does nothing a second time: what it is, and DE 7 with its year, DE 11."""
        transmitted = message.transmitted or ""
        day = day_of(transmitted[:4], self._now(), message, field=7)
        return f"{self._acquirer} {message.network_code} {day.year}{transmitted} {message.trace}"


class EchoTests:
    """The echo tests that the engine sends over one connection. One is outstanding at most."""

    def __init__(self, acquirer: str, now: Now, metrics: Metrics) -> None:
        self._acquirer = acquirer
        self._now = now
        self._metrics = metrics
        self._trace = 0
        self._is_outstanding = False

    def next(self) -> Message:
        """Write the next test. The one before, if nothing has answered it yet, remains unanswered."""
        self._settle(_UNANSWERED)
        self._trace = self._trace % TRACE_MAX + 1
        self._is_outstanding = True
        return Message(
            mti=_REQUEST,
            transmitted=f"{self._now().astimezone(UTC):%m%d%H%M%S}",
            trace=f"{self._trace:06}",
            network_code=_ECHO,
        )

    def is_answered_by(self, response: Message) -> bool:
        """Tell whether a response is the outstanding test's, which then isn't outstanding any more."""
        if not self._is_outstanding or response.mti != _REPLY or response.trace != f"{self._trace:06}":
            return False
        self._settle(_ANSWERED)
        return True

    def _settle(self, outcome: str) -> None:
        if self._is_outstanding:
            self._is_outstanding = False
            self._metrics.probes.labels(self._acquirer, outcome).inc()
