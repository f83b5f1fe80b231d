"""One connection of a load generator: frames out in bursts, replies skimmed as they come, in any order."""

import asyncio
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from msgspec import Struct

from authz.wire.codec import Codec, Malformed, Unreadable
from authz.wire.frames import Framer, FrameTooLong
from authz.wire.message import Message
from authz.wire.rules import is_response
from simulators.link import AlreadyInFlight, LinkLost, NoConnection, NoReply
from simulators.load.places import Places, Unwalkable
from simulators.load.skim import Skimmed, Skimmer

CONNECT_TIMEOUT_SECONDS = 5.0
REPLY_TIMEOUT_SECONDS = 8.0
SIGN_ON, ECHO = "001", "301"
NETWORK_REQUEST = "0800"


class Arrival(Struct, frozen=True, gc=False):
    """A reply, and when its last byte was read, in nanoseconds of `time.perf_counter_ns`."""

    reply: Skimmed
    at_ns: int


Taker = Callable[[Arrival | None], object]
"""Called once: with the reply, or with None when the link is lost first."""


class Connection(asyncio.Protocol):
    """One connection to a host. Made by `connect`, made again by `reconnect` where it was lost; `close` ends it.

    `unmatched` counts replies that nothing awaits, `garbled` frames that can't be read. The host's own echo tests are
    answered.
    """

    def __init__(self, host: str, port: int, codec: Codec, *, tls: ssl.SSLContext | None, signs_on: bool) -> None:
        self.unmatched = 0
        self.garbled = 0
        self._host = host
        self._port = port
        self._tls = tls
        self._signs_on = signs_on
        self._codec = codec
        self._framer = Framer(codec.dialect.framing)
        self._skimmer = Skimmer(Places(codec.dialect))
        self._takers: dict[bytes, Taker] = {}
        self._outgoing: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()

    @classmethod
    async def connect(
        cls, host: str, port: int, codec: Codec, *, tls: ssl.SSLContext | None = None, signs_on: bool = False
    ) -> "Connection":
        """Connect to a host, and sign on where that is asked for (0800/001). Raises `LinkError`."""
        connection = cls(host, port, codec, tls=tls, signs_on=signs_on)
        await connection.reconnect()
        return connection

    async def reconnect(self) -> None:
        """Connect again, to the same host. Raises `LinkError`."""
        loop, where = asyncio.get_running_loop(), f"{self._host}:{self._port}"
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                await loop.create_connection(lambda: self, self._host, self._port, ssl=self._tls)
        except ssl.SSLError:
            raise NoConnection(f"no TLS that both sides accept at {where}") from None
        except (OSError, TimeoutError, UnicodeError, OverflowError):  # the last two: no host, no port has this name
            raise NoConnection(f"nothing answers at {where}") from None
        if self._signs_on:
            await self._sign_on()

    @property
    def lost(self) -> bool:
        """Whether the connection has ended, by either side."""
        return self._transport is None or self._transport.is_closing()

    def post(self, frame: bytes, key: bytes, taker: Taker) -> None:
        """Put a frame among those that `flush` sends, and hand its reply to `taker`. `key` is its `Skimmed` one.

        Raises `LinkLost` and `AlreadyInFlight`; then `taker` is not called.
        """
        if self.lost:
            raise LinkLost("the connection to the host was lost")
        if key in self._takers:
            raise AlreadyInFlight("a request with the same trace number and time still awaits its reply")
        self._takers[key] = taker
        self._outgoing.append(frame)

    def flush(self) -> None:
        """Send what was posted: one write, however many they are."""
        if self._outgoing and self._transport is not None:
            self._transport.write(b"".join(self._outgoing))
            self._outgoing.clear()

    async def _sign_on(self) -> None:
        """Raises `LinkLost` and `NoReply`; what the reply says is not looked at."""
        now = f"{datetime.now(UTC):%m%d%H%M%S}"
        request = Message(mti=NETWORK_REQUEST, transmitted=now, trace="000001", network_code=SIGN_ON)
        payload = self._codec.encode(request)
        answered: asyncio.Future[Arrival | None] = asyncio.get_running_loop().create_future()
        key = self._skimmer.skim(payload).key
        self.post(self._framer.frame(payload), key, answered.set_result)
        self.flush()
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_SECONDS):
                arrival = await asyncio.shield(answered)
        except TimeoutError:
            raise NoReply(f"no reply to the sign-on within {REPLY_TIMEOUT_SECONDS:g} s") from None
        if arrival is None:
            raise LinkLost("the connection to the host was lost at its sign-on")

    def give_up(self) -> None:
        """Wait no longer for what is in flight: its takers get None, as when the link is lost."""
        takers, self._takers = self._takers, {}
        for taker in takers.values():
            taker(None)

    async def close(self) -> None:
        """End the connection; what is in flight gets None."""
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection's sending side, and begin anew to cut what it receives."""
        self._framer = Framer(self._codec.dialect.framing)
        self._closed.clear()
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports don't inherit asyncio's

    def data_received(self, data: bytes) -> None:
        """Hand every whole reply in what arrived to who awaits it."""
        at_ns = time.perf_counter_ns()
        try:
            payloads = self._framer.feed(data)
        except FrameTooLong:
            self.garbled += 1
            assert self._transport is not None
            self._transport.close()
            return
        takers, skim = self._takers, self._skimmer.skim
        for payload in payloads:
            try:
                found = skim(payload)
            except Unwalkable:
                self.garbled += 1
                continue
            taker = takers.pop(found.key, None)
            if taker is not None and is_response(found.mti):
                taker(Arrival(found, at_ns))
            elif is_response(found.mti):
                self.unmatched += 1
            else:
                self._heed(payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up all that is in flight: nobody will answer it here."""
        self._outgoing.clear()
        self._closed.set()
        self.give_up()

    def _heed(self, payload: bytes) -> None:
        """Answer a request of the host's, where it is an echo test (0800/301)."""
        try:
            request = self._codec.decode(payload)
        except (Unreadable, Malformed):
            self.garbled += 1
            return
        if request.mti != NETWORK_REQUEST or request.network_code != ECHO:
            return
        fields: dict[str, Any] = {"transmitted": request.transmitted, "trace": request.trace, "network_code": ECHO}
        answer = Message(mti="0810", response_code="00", **fields)
        self._outgoing.append(self._framer.frame(self._codec.encode(answer)))
        self.flush()
