"""The links to the authorizer: kept up, signed on and tested, and one request asked over whichever of them is there.

A link that is lost is made again after a pause that grows, and everything that was in flight on it is asked again as a
repeat: same request, same answer. So a cut costs a terminal nothing but time.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec import Struct

from authz.wire.codec import Codec
from authz.wire.message import Message
from simulators.acquirer.host import REPLY_TIMEOUT_SECONDS, TRACE_MAX, AcquirerHost, Macs, trace_numbers
from simulators.acquirer.settlement import UNDECIDED
from simulators.link import LinkError, LinkLost, NoConnection, NoReply
from simulators.terminal.messages import repeat

AGAIN_MIN_S = 0.2
AGAIN_MAX_S = 10.0
"""Before a lost link is made again, and between two attempts: doubled each time, less up to a half by chance."""
ECHO_EVERY_S = 60.0
LINKS_MAX = 16
APPROVED = "00"

Tell = Callable[..., None]
"""Tells of an event: its name, and what is to be known of it."""


class SignOnRefused(LinkError):
    """The authorizer refuses the sign-on."""


class Route(Struct, frozen=True):
    """Where the authorizer is and how it is spoken to. `links` connections; an echo test after `echo_every_s` idle."""

    host: str
    port: int
    codec: Codec
    tls: ssl.SSLContext | None = None
    links: int = 1
    echo_every_s: float = ECHO_EVERY_S
    answer_within_s: float = REPLY_TIMEOUT_SECONDS


class Upstream:
    """Runs as long as the block. `prepare` is awaited on each new connection before it carries a request."""

    def __init__(
        self,
        route: Route,
        clock: Callable[[], datetime],
        tell: Tell,
        *,
        macs: Macs | None = None,
        prepare: Callable[[AcquirerHost], Awaitable[None]] | None = None,
    ) -> None:
        self._route = route
        self._clock = clock
        self._tell = tell
        self._macs = macs
        self._prepare = prepare
        # Not from 1: two runs in one second would call two commands by one name.
        self._traces = trace_numbers(time.time_ns() // 1_000_000 % TRACE_MAX + 1)
        self._up: list[AcquirerHost] = []
        self._changed = asyncio.Condition()
        self._keepers: list[asyncio.Task[None]] = []
        self._ending = False
        self.reconnections = 0

    async def __aenter__(self) -> "Upstream":
        self._keepers = [asyncio.create_task(self._keep(number)) for number in range(1, self._route.links + 1)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Sign off and end every link."""
        self._ending = True
        for host in [host for host in self._up if not host.lost]:
            try:
                await host.sign_off(self._clock())
            except LinkError as failed:
                self._tell("sign_off_failed", why=str(failed))
            await host.close()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    @property
    def is_up(self) -> bool:
        """Whether a link is there, signed on."""
        return any(not host.lost for host in self._up)

    async def until_up(self) -> AcquirerHost:
        """Wait for a link, and return the one that has least to do."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.is_up)
        return self._least_busy()

    async def ask(self, request: Message) -> Message:
        """Send a request and return its reply, asked again wherever a link is lost first.

        Raises `NoConnection` where no link is there: then nothing was sent. Raises `NoReply` where it may or may not
        have been decided, and `AlreadyInFlight`.
        """
        if not self.is_up:
            raise NoConnection("no link to the authorizer is up")
        sending, host = request, self._least_busy()
        within_s = self._route.answer_within_s
        try:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        reply = await host.exchange(sending, within_s)
                    except LinkLost:
                        sending = repeat(request)
                        host = await self.until_up()
                    else:
                        break
        except TimeoutError:
            raise NoReply(f"no reply within {within_s:g} s") from None
        if sending is not request and reply.response_code in UNDECIDED:
            raise NoReply("a repeat was not decided: whether the first sending was is not known")
        return reply

    def _least_busy(self) -> AcquirerHost:
        return min((host for host in self._up if not host.lost), key=lambda host: host.in_flight)

    async def _keep(self, number: int) -> None:
        """Keep one link up."""
        wait_s, down = AGAIN_MIN_S, False
        loop = asyncio.get_running_loop()
        while not self._ending:
            began = loop.time()
            try:
                host = await self._opened()
            except LinkError as failed:
                if not down:
                    self._tell("link_down", link=number, why=str(failed))
                down = True
            else:
                down = False
                self._tell("link_up", link=number)
                await self._carry(host)
                self.reconnections += 1
                if not self._ending:
                    self._tell("link_lost", link=number)
            if loop.time() - began > AGAIN_MAX_S:
                wait_s = AGAIN_MIN_S
            await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311 - nobody gains by guessing it
            wait_s = min(2 * wait_s, AGAIN_MAX_S)

    async def _opened(self) -> AcquirerHost:
        """Connect and sign on. Raises `LinkError`."""
        route = self._route
        host = await AcquirerHost.connect(
            route.host, route.port, route.codec, tls=route.tls, macs=self._macs, traces=self._traces
        )
        try:
            if self._prepare is not None:
                await self._prepare(host)
            await self._sign_on(host)
        except BaseException:
            await host.close()
            raise
        return host

    async def _sign_on(self, host: AcquirerHost) -> None:
        reply = await host.sign_on(self._clock())
        if reply.response_code != APPROVED:
            raise SignOnRefused(f"the authorizer refuses the sign-on: {said(reply)}")

    async def _carry(self, host: AcquirerHost) -> None:
        """Let a link carry requests until it is lost, and test it when it is idle: one that doesn't answer is ended."""
        self._up.append(host)
        try:
            async with self._changed:
                self._changed.notify_all()
            while not host.lost:
                await self._test_when_idle(host)
        finally:
            self._up.remove(host)
            await host.close()

    async def _test_when_idle(self, host: AcquirerHost) -> None:
        loop = asyncio.get_running_loop()
        idle_s = loop.time() - host.heard_at
        try:
            async with asyncio.timeout(max(0.0, self._route.echo_every_s - idle_s)):
                await host.until_lost()
        except TimeoutError:
            if loop.time() - host.heard_at < self._route.echo_every_s:
                return
            try:
                async with asyncio.timeout(self._route.answer_within_s):
                    await host.echo(self._clock())
            except (TimeoutError, LinkError):
                self._tell("echo_failed", why="no reply to an echo test: the link is made again")
                await host.close()


def said(reply: Message) -> str:
    """A reply's response code, and its reason where it has one."""
    return f"{reply.response_code} {reply.reason or ''}".rstrip()
