"""Messages on their way: a line to the host that lets somebody listen, and knows whether the host was reached."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC

from msgspec import Struct

from authz.wire.message import Message
from simulators.link import AlreadyInFlight, Authorizer, LinkError
from simulators.terminal.messages import TRACE_MAX, Clock

ECHO_REQUEST, ECHO = "0800", "301"
ECHO_EVERY_S = 5.0
ECHO_WITHIN_S = 4.0


class Heard(Struct, frozen=True):
    """Something that passed: a request (`reply` and `failure` None), its reply, or why there was none.

    `took_ms` is the time from the request to either.
    """

    request: Message
    reply: Message | None = None
    failure: LinkError | None = None
    took_ms: int = 0


class Overheard:
    """An `Authorizer` that tells a listener what passes. `linked` is None until the host was first tried.

    The listener is called with a `Heard` for each message, and with None where only `linked` changed.
    """

    def __init__(self, authorizer: Authorizer, clock: Clock, listener: Callable[[Heard | None], None]) -> None:
        self.linked: bool | None = None
        self._authorizer = authorizer
        self._clock = clock
        self._listener = listener
        self._echo_trace = 0

    async def exchange(self, request: Message, timeout: float) -> Message:
        """Pass a request on and return its reply. Raises `LinkError` where there is none within `timeout` s."""
        self._listener(Heard(request))
        begun = time.perf_counter()
        try:
            reply = await self._authorizer.exchange(request, timeout)
        except LinkError as failure:
            self.linked = self.linked if isinstance(failure, AlreadyInFlight) else False
            self._listener(Heard(request, failure=failure, took_ms=_since(begun)))
            raise
        self.linked = True
        self._listener(Heard(request, reply, took_ms=_since(begun)))
        return reply

    async def keep_testing(self) -> None:
        """Ask for an echo every few seconds, for ever. Nobody hears of the messages, only of a change of `linked`."""
        while True:
            await self.test()
            await asyncio.sleep(ECHO_EVERY_S)

    async def test(self) -> None:
        """Ask for an echo (0800/301): any reply to it means that the host is there."""
        try:
            await self._authorizer.exchange(self._echo(), ECHO_WITHIN_S)
        except LinkError:
            linked = False
        else:
            linked = True
        if linked is not self.linked:
            self.linked = linked
            self._listener(None)

    def _echo(self) -> Message:
        self._echo_trace = self._echo_trace % TRACE_MAX + 1
        return Message(
            mti=ECHO_REQUEST,
            transmitted=f"{self._clock().astimezone(UTC):%m%d%H%M%S}",
            trace=f"{self._echo_trace:06d}",
            network_code=ECHO,
        )


def _since(begun: float) -> int:
    return round((time.perf_counter() - begun) * 1_000)
