"""An acquirer's host: many terminals' requests over one TCP connection, replies matched in any order."""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import count
from typing import Any, Protocol, cast

from msgspec import Struct

from authz.wire.codec import Codec, Malformed, Unreadable
from authz.wire.frames import Framer, FrameTooLong
from authz.wire.message import Elements, Message
from authz.wire.rules import reply_mti
from simulators.acquirer.totals import Totals
from simulators.link import AlreadyInFlight, LinkLost, NoConnection, NoReply

IN_FLIGHT_MAX = 1_024
"""Requests that await their reply at once; a further exchange waits for a place."""
CONNECT_TIMEOUT_SECONDS = 5.0
REPLY_TIMEOUT_SECONDS = 8.0
"""Above the 5 s within which a host answers or declines to."""

SIGN_ON, SIGN_OFF, KEY_CHANGE, CUTOVER, ECHO = "001", "002", "161", "201", "301"
NETWORK_REQUEST = "0800"
TOTALS_REQUEST = "0500"
TRACE_MAX = 999_999
PLACELESS = "58"
"""Second digits of the message types that no terminal sends: totals and network management."""

Key = tuple[str | None, ...]
"""What a reply is matched by."""


class Arrival(Struct, frozen=True):
    """A reply, and when its last byte was read, in nanoseconds of `time.perf_counter_ns`."""

    reply: Message
    at_ns: int


Taker = Callable[[Arrival | None], None]
"""Called once: with the reply, or with None when the link is lost first."""


class Macs(Protocol):
    """Makes and checks the MACs of a link."""

    def of(self, covered: bytes) -> str:
        """Make the MAC of these bytes, 16 hexadecimal digits."""

    def are_right(self, mac: str, covered: bytes) -> bool:
        """Tell whether a MAC of these bytes came from the other end."""


def trace_numbers(first: int = 1) -> Iterator[str]:
    """DE 11 of one message after another; after 999999 comes 000001.

    >>> numbers = trace_numbers(999_999)
    >>> next(numbers), next(numbers)
    ('999999', '000001')
    """
    return (f"{(number - 1) % TRACE_MAX + 1:06d}" for number in count(first))


def expected_by(request: Message) -> Key:
    """The key of the reply that a request awaits: its message type, then fields that a reply echoes."""
    return _key(reply_mti(request.mti), request)


def offered_by(reply: Message) -> Key:
    """The key of the request that a reply answers."""
    return _key(reply.mti, reply)


def _key(mti: str, message: Message) -> Key:
    if mti[1] in PLACELESS:
        return mti, message.trace, message.transmitted
    return (
        mti,
        message.trace,
        message.local_time,
        message.local_date,
        (message.terminal or "").rstrip(),
        (message.merchant or "").rstrip(),
    )


class AcquirerHost(asyncio.Protocol):
    """One connection to an authorizer. Made by `connect`; `close` ends it.

    `unmatched` counts replies that nothing awaits: late ones, second ones, strangers. `garbled` counts frames that
    can't be read, `unauthentic` replies without the MAC that the link's `macs` ask for: both are dropped. The
    authorizer's own echo tests are answered. `heard_at` is when something last came, in seconds of the loop's clock.
    """

    def __init__(
        self,
        codec: Codec,
        *,
        in_flight_max: int = IN_FLIGHT_MAX,
        macs: Macs | None = None,
        traces: Iterator[str] | None = None,
    ) -> None:
        self.unmatched = 0
        self.garbled = 0
        self.unauthentic = 0
        self.heard_at = 0.0
        self._macs = macs
        self._traces = traces or trace_numbers()
        self._codec = codec
        self._framer = Framer(codec.dialect.framing)
        self._takers: dict[Key, Taker] = {}
        self._places = asyncio.Semaphore(in_flight_max)
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        codec: Codec,
        *,
        tls: ssl.SSLContext | None = None,
        in_flight_max: int = IN_FLIGHT_MAX,
        macs: Macs | None = None,
        traces: Iterator[str] | None = None,
    ) -> "AcquirerHost":
        """Connect to an authorizer; `tls` holds whom to trust and the certificate to show. Raises `NoConnection`.

        One that refuses that certificate may say so only afterwards: the first request then fails with `LinkLost`.
        With `macs` every request bears a MAC. `traces` number the host's own messages, over all of its connections.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                _, protocol = await loop.create_connection(
                    lambda: cls(codec, in_flight_max=in_flight_max, macs=macs, traces=traces), host, port, ssl=tls
                )
        except ssl.SSLError:
            raise NoConnection(f"no TLS that both sides accept at {host}:{port}") from None
        except (OSError, TimeoutError, UnicodeError, OverflowError):  # the last two: no host, no port has this name
            raise NoConnection(f"nothing answers at {host}:{port}") from None
        return protocol

    @property
    def in_flight(self) -> int:
        """How many requests await their reply."""
        return len(self._takers)

    @property
    def lost(self) -> bool:
        """Whether the connection has ended, by either side."""
        return self._closed.is_set() or (self._transport is not None and self._transport.is_closing())

    async def until_lost(self) -> None:
        """Wait for the connection's end, by either side."""
        await self._closed.wait()

    async def exchange(self, request: Message, timeout: float = REPLY_TIMEOUT_SECONDS) -> Message:
        """Send a request and return its reply. `timeout` (seconds) covers the wait for a place too.

        Raises `NoReply`, `LinkLost`, `AlreadyInFlight`.
        """
        frame = self._written(request, signed=self._macs is not None)
        key = expected_by(request)
        try:
            async with asyncio.timeout(timeout), self._places:
                return await self._reply(key, frame)
        except TimeoutError:
            raise NoReply(f"no reply within {timeout:g} s: the request may or may not have been decided") from None

    def post(self, frame: bytes, key: Key, taker: Taker) -> None:
        """Send a frame at once and hand its reply to `taker`, without waiting for a place.

        Raises `LinkLost` and `AlreadyInFlight`; then `taker` is not called.
        """
        if self._transport is None or self._transport.is_closing():
            raise LinkLost("the connection to the authorizer was lost")
        if key in self._takers:
            raise AlreadyInFlight("a request with the same trace number and time still awaits its reply")
        self._takers[key] = taker
        self._transport.write(frame)

    async def sign_on(self, now: datetime) -> Message:
        """Sign on (0800/001). `now` is an aware datetime, here as below."""
        return await self.exchange(self._network(SIGN_ON, now))

    async def sign_off(self, now: datetime) -> Message:
        """Sign off (0800/002)."""
        return await self.exchange(self._network(SIGN_OFF, now))

    async def echo(self, now: datetime) -> Message:
        """Test the link (0800/301)."""
        return await self.exchange(self._network(ECHO, now))

    async def key_change(self, block: str, now: datetime) -> Message:
        """Bring a new key (0800/161), wrapped in a TR-31 key block. The reply's `KC` is its check value."""
        return await self.exchange(self._network(KEY_CHANGE, now, elements=Elements(key_block=block)))

    async def cut_over(self, now: datetime, day: date | None = None) -> Message:
        """Close the business day (0800/201). `day` goes along as DE 15."""
        return await self.exchange(self._network(CUTOVER, now, settlement_date=f"{day:%m%d}" if day else None))

    async def totals(
        self, acquirer: str, day: date, totals: Totals, now: datetime, *, timeout: float = REPLY_TIMEOUT_SECONDS
    ) -> Message:
        """Hold a business day's totals against the host's (0500). The reply's DE 66 is 1 where they agree, else 2."""
        request = self._stamped(TOTALS_REQUEST, now, acquirer=acquirer, **totals.fields(day))
        return await self.exchange(request, timeout)

    async def close(self) -> None:
        """End the connection; what is in flight fails with `LinkLost`."""
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    async def _reply(self, key: Key, frame: bytes) -> Message:
        awaited: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

        def take(arrival: Arrival | None) -> None:
            if awaited.done():
                return
            if arrival is None:
                awaited.set_exception(LinkLost("the connection was lost: the request may or may not have been decided"))
            else:
                awaited.set_result(arrival.reply)

        self.post(frame, key, take)
        try:
            return await awaited
        finally:
            self._takers.pop(key, None)

    def _network(self, code: str, now: datetime, **fields: Any) -> Message:
        return self._stamped(NETWORK_REQUEST, now, network_code=code, **fields)

    def _stamped(self, mti: str, now: datetime, **fields: Any) -> Message:
        transmitted = f"{now.astimezone(UTC):%m%d%H%M%S}"
        return Message(mti=mti, transmitted=transmitted, trace=next(self._traces), **fields)

    def _written(self, message: Message, *, signed: bool) -> bytes:
        """A message's frame, with a MAC if it is to be signed."""
        if not signed or self._macs is None:
            return self._framer.frame(self._codec.encode(message))
        unsigned = self._codec.encode_unsigned(message)
        return self._framer.frame(self._codec.signed(unsigned, self._macs.of(self._codec.covered(unsigned))))

    def _is_authentic(self, frame: bytes, message: Message) -> bool:
        if self._macs is None:
            return True
        return message.mac is not None and self._macs.are_right(message.mac, self._codec.covered(frame))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection's sending side."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports don't inherit asyncio's
        self.heard_at = asyncio.get_running_loop().time()

    def data_received(self, data: bytes) -> None:
        """Hand every whole reply in what arrived to who awaits it."""
        at_ns = time.perf_counter_ns()
        self.heard_at = asyncio.get_running_loop().time()
        try:
            frames = self._framer.feed(data)
        except FrameTooLong:
            self.garbled += 1
            assert self._transport is not None
            self._transport.close()
            return
        for frame in frames:
            self._dispatch(frame, at_ns)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail all that is in flight: nobody will answer it here."""
        takers, self._takers = self._takers, {}
        self._closed.set()
        for taker in takers.values():
            taker(None)

    def _dispatch(self, frame: bytes, at_ns: int) -> None:
        try:
            message = self._codec.decode(frame)
        except (Unreadable, Malformed):
            self.garbled += 1
            return
        if message.mti == NETWORK_REQUEST and message.network_code == ECHO:
            self._answer_echo(message)
            return
        if not self._is_authentic(frame, message):
            self.unauthentic += 1
            return
        taker = self._takers.pop(offered_by(message), None)
        if taker is None:
            self.unmatched += 1
        else:
            taker(Arrival(message, at_ns))

    def _answer_echo(self, request: Message) -> None:
        assert self._transport is not None
        answer = Message(
            mti="0810",
            transmitted=request.transmitted,
            trace=request.trace,
            network_code=request.network_code,
            response_code="00",
        )
        self._transport.write(self._written(answer, signed=request.mac is not None))
