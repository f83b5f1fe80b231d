"""One acquirer's link: what is done with a message, in docs/interface.md's order, up to its reply's bytes."""

import time
from collections.abc import Awaitable
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from authz import logs
from authz.clock import Now
from authz.decision.outcomes import Reason
from authz.engine.engine import Engine
from authz.engine.requests import Answer, NoAnswer
from authz.links.allowance import IN_FLIGHT_MAX, Allowance
from authz.links.network import SIGN_ONS_A_MINUTE, EchoTests, Network, Session
from authz.links.translation import refusal_of, reply_of, request_of, totals_of, totals_reply_of
from authz.metrics import Metrics
from authz.security.module import SecurityModule, SecurityUnavailable
from authz.wire.codec import Codec, Malformed
from authz.wire.message import Message
from authz.wire.rules import check_mandatory
from authz.wire.tpdu import answering

DEADLINE_S = 5.0
IDLE_PROBE_S = 60.0


class _Class(StrEnum):
    """Message classes, by the second digit of the message type. Whatever else is served is about a card."""

    TOTALS = "5"
    NETWORK = "8"


class Terms(Struct, frozen=True):
    """What was agreed with an acquirer: its id (DE 32), what its messages must have, and what its link may take.

    `deadline_s` is from a request's arrival to its answer or its 91. A connection over which nothing has come for
    `idle_probe_s` is probed (0: never). `in_flight_max` and `sign_ons_a_minute` are for all of the link's connections.
    """

    acquirer: str
    sign_on_required: bool = False
    mac_required: bool = False
    deadline_s: float = DEADLINE_S
    idle_probe_s: float = IDLE_PROBE_S
    in_flight_max: int = IN_FLIGHT_MAX
    sign_ons_a_minute: int = SIGN_ONS_A_MINUTE


class Passage(Struct, gc=False):
    """When a message's bytes came, and when the engine had its answer (0: it needed none of the engine's).

    By `time.monotonic`, which is the event loop's clock without its rounding: uvloop's stands still at a millisecond.
    """

    arrived_at: float
    answered_at: float = 0.0


class Link:
    """Answers one acquirer's messages. It keeps no connection: `Session` and `EchoTests` are the caller's."""

    def __init__(
        self, terms: Terms, codec: Codec, engine: Engine, security: SecurityModule, now: Now, metrics: Metrics
    ) -> None:
        self.terms = terms
        self.codec = codec
        self.metrics = metrics
        self.allowance = Allowance(terms.in_flight_max)
        self._engine = engine
        self._security = security
        self._now = now
        self._network = Network(terms.acquirer, engine, now, metrics, terms.sign_ons_a_minute)
        self._foreign = metrics.foreign_acquirer.labels(terms.acquirer)
        metrics.in_flight.labels(terms.acquirer).set_function(lambda: self.terms.in_flight_max - self.allowance.free)

    async def answer(self, frame: bytes, message: Message, session: Session, passage: Passage) -> bytes | None:
        """Answer a message whose fields are well-formed. None: it was settled too late to be answered."""
        try:
            check_mandatory(message)
            turned_away = self._engine.turns_away(self.terms.acquirer)
            if turned_away is not None and message.mti[1] != _Class.NETWORK:
                return await self.refuse(message, turned_away)  # before its MAC: keys may have changed elsewhere
            if not await self._is_authentic(frame, message):
                return await self.refuse(message, Reason.MAC_WRONG)
            reply = await self._reply(message, session, passage)
        except Malformed as error:
            return await self.reject(error)
        except SecurityUnavailable:  # nothing was verified, and a reply that needs a MAC can't be had either
            return await self.refuse(message, Reason.UNAVAILABLE)
        return None if reply is None else await self._encode_answer(message, reply)

    async def reject(self, error: Malformed) -> bytes:
        """Answer what is ill-formed, and count which field it was."""
        self.metrics.malformed.labels(self.terms.acquirer, error.field).inc()
        return await self.refuse(error.partial, Reason.FORMAT)

    async def refuse(self, message: Message, reason: Reason) -> bytes:
        """Answer what can't be taken."""
        return await self._encode_answer(message, self._refusal(message, reason))

    def change(self, terms: Terms) -> None:
        """Go by other terms of the same acquirer's from now on, over every connection."""
        self.allowance.change(terms.in_flight_max - self.terms.in_flight_max)
        self._network.allow(terms.sign_ons_a_minute)
        self.terms = terms

    def echo_tests(self) -> EchoTests:
        """Begin the echo tests of one connection."""
        return EchoTests(self.terms.acquirer, self._now, self.metrics)

    async def request(self, message: Message) -> bytes:
        """Write a request of the engine's own; it bears a MAC where the link requires one."""
        return await self._encode(message, signed=self.terms.mac_required)

    async def _encode_answer(self, message: Message, reply: Message) -> bytes:
        """Write a reply: back to where its request came from, with a MAC if and only if its request had one."""
        if message.header is not None:
            reply = replace(reply, header=answering(message.header))
        return await self._encode(reply, signed=message.mac is not None)

    async def _encode(self, message: Message, *, signed: bool) -> bytes:
        if not signed:
            return self.codec.encode(message)
        frame = self.codec.encode_unsigned(message)
        mac = await self._security.make_mac(self.terms.acquirer, self.codec.covered(frame))
        return self.codec.signed(frame, mac)

    async def _is_authentic(self, frame: bytes, message: Message) -> bool:
        if message.mac is None:
            return not self.terms.mac_required
        return await self._security.verify_mac(self.terms.acquirer, self.codec.covered(frame), message.mac)

    async def _reply(self, message: Message, session: Session, passage: Passage) -> Message | None:
        if self._is_anothers(message):
            self._foreign.inc()
        match message.mti[1]:
            case _Class.NETWORK:
                return await self._manage(message, session)
            case _Class.TOTALS:
                return await self._total(message, session, passage)
            case _:
                return await self._pay(message, session, passage)

    async def _manage(self, message: Message, session: Session) -> Message:
        if self._is_anothers(message):
            return self._refusal(message, Reason.ACQUIRER_UNKNOWN)
        return await self._network.serve(message, session)

    async def _total(self, message: Message, session: Session, passage: Passage) -> Message | None:
        request = totals_of(message, self.terms.acquirer, self._now(), self._deadline(passage))
        if self._is_anothers(message):
            return self._refusal(message, Reason.ACQUIRER_UNKNOWN)
        if self._must_sign_on(session):
            return self._refusal(message, Reason.NOT_SIGNED_ON)
        answer = await self._timed(self._engine.total(request), passage)
        return None if isinstance(answer, NoAnswer) else totals_reply_of(message, answer)

    async def _pay(self, message: Message, session: Session, passage: Passage) -> Message | None:
        request = request_of(message, self.terms.acquirer, self._now(), self._deadline(passage))
        # Another acquirer's request is for the engine to refuse: that refusal is recorded.
        if not self._is_anothers(message) and self._must_sign_on(session):
            return self._refusal(message, Reason.NOT_SIGNED_ON)
        answer = await self._timed(self._engine.pay(request), passage)
        return None if isinstance(answer, NoAnswer) else reply_of(message, answer)

    async def _timed(self, asked: Awaitable[Answer | NoAnswer], passage: Passage) -> Answer | NoAnswer:
        """Ask the engine; count how long the message was on its way to it, and note when it had its answer."""
        self.metrics.stages.read.observe(time.monotonic() - passage.arrived_at)
        answer = await asked
        passage.answered_at = time.monotonic()
        return answer

    def _deadline(self, passage: Passage) -> float:
        """When it must be on its way to the ledger, or be answered 91: the event loop's time."""
        return passage.arrived_at + self.terms.deadline_s

    def _is_anothers(self, message: Message) -> bool:
        """Tell whether DE 32 names another acquirer; an 0800 may do without it."""
        return message.acquirer not in (None, self.terms.acquirer)

    def _must_sign_on(self, session: Session) -> bool:
        return self.terms.sign_on_required and not session.signed_on

    def _refusal(self, message: Message, reason: Reason) -> Message:
        self.metrics.refused.labels(reason).inc()
        logs.refused(reason, link=self.terms.acquirer)
        return refusal_of(message, reason)
