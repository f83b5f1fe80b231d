"""A bad line: a TCP proxy between hosts and an authorizer that loses, repeats, reorders and delays whole frames.

It cuts both directions into frames, decides by a seeded chance what happens to each, and now and then ends a
connection. What happens to the n-th frame of the n-th connection's one direction is the same for the same seed.
"""

import asyncio
import contextlib
import itertools
import os
import random
from typing import Self

import msgspec
from msgspec import Struct

from authz.wire.dialect import Framing
from authz.wire.frames import Framer, FrameTooLong
from simulators.mistakes import Mistake

PER_MILLE = 1_000
READ_BYTES = 65_536
PENDING_FRAMES_MAX = 1_024
"""Delayed in one direction of one connection; beyond, nothing more is read from there."""
CONNECT_TIMEOUT_SECONDS = 5.0

Address = tuple[str, int]
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""A connection's receiving and sending end."""


class NoListening(Mistake):
    """The fault proxy can't listen there."""


class Faults(Struct, frozen=True, kw_only=True):
    """How often things go wrong: parts per 1,000 frames. A frame can be duplicated, delayed and reordered at once.

    A reordered frame waits for the one behind it; a delayed one, for a time of its own. Neither waits for more than
    `delay_max_ms`. A `cut` loses the frame, and all that is delayed, with its connection.
    """

    drop: int = 0
    duplicate: int = 0
    reorder: int = 0
    delay: int = 0
    delay_max_ms: int = 200
    cut: int = 0

    def __post_init__(self) -> None:
        if not all(0 <= part <= PER_MILLE for part in (self.drop, self.duplicate, self.reorder, self.delay, self.cut)):
            raise ValueError("a probability is 0 to 1000 parts per 1,000")
        if self.delay_max_ms < 1:
            raise ValueError("a delay is at least 1 ms")


class Fate(Struct, frozen=True):
    """What happens to one frame. `delays_ms` has an entry for each copy that is sent on: 0 is at once."""

    cut: bool
    reordered: bool
    delays_ms: tuple[int, ...]


class Fates:
    """The fates of one direction's frames, in their order."""

    def __init__(self, faults: Faults, seed: str) -> None:
        self._faults = faults
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret

    def draw(self) -> Fate:
        """The next frame's. Every draw takes as much from the generator: fates don't depend on each other."""
        faults = self._faults
        cut, drop, duplicate, reorder, delay = (
            self._random.randrange(PER_MILLE) < part
            for part in (faults.cut, faults.drop, faults.duplicate, faults.reorder, faults.delay)
        )
        first, second = (self._random.randint(1, faults.delay_max_ms) for _ in range(2))
        delays = (first if delay else 0, *((second,) if duplicate else ()))
        return Fate(cut, reorder and not drop, () if drop else delays)


class Counts(Struct):
    """What a proxy did so far, in frames (`cut`, `connections` and `refused`: in connections)."""

    connections: int = 0
    refused: int = 0
    """Connections for which the authorizer couldn't be reached."""
    frames: int = 0
    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    delayed: int = 0
    cut: int = 0

    def __str__(self) -> str:
        return " ".join(f"{name}={count}" for name, count in msgspec.structs.asdict(self).items())


class FaultProxy:
    """`async with FaultProxy(listen, upstream, framing, faults, seed) as proxy`: hosts connect to `proxy.port`.

    Listening at port 0 picks a free one. Entering raises `NoListening`. Frames of length 0 are not carried.
    """

    def __init__(self, listen: Address, upstream: Address, framing: Framing, faults: Faults, seed: int) -> None:
        self.counts = Counts()
        self.port = listen[1]
        self._host = listen[0]
        self._upstream = upstream
        self._framing = framing
        self._faults = faults
        self._seed = seed
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._accept, self._host, self.port)
        except (OSError, OverflowError) as failed:
            why = os.strerror(failed.errno) if isinstance(failed, OSError) and failed.errno else "no such port"
            raise NoListening(f"can't listen at {self._host}:{self.port}: {why}") from None
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        connection = asyncio.create_task(self._serve(self.counts.connections, (reader, writer)))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        connection.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, number: int, here: Ends) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                there = await asyncio.open_connection(*self._upstream)
        except (OSError, TimeoutError):
            self.counts.refused += 1
        else:
            await self._carry(number, here, there)

    async def _carry(self, number: int, here: Ends, there: Ends) -> None:
        """Carry both directions until either ends; then both connections end."""
        directions = [
            asyncio.create_task(self._direction(source, sink, f"{self._seed}:{number}:{name}"))
            for source, sink, name in ((here[0], there[1], "to"), (there[0], here[1], "from"))
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            there[1].transport.abort()
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _direction(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, seed: str) -> None:
        framer = Framer(self._framing)
        fates = Fates(self._faults, seed)
        lane = _Lane(sink)
        try:
            with contextlib.suppress(OSError, FrameTooLong):
                while data := await source.read(READ_BYTES):
                    for payload in framer.feed(data):
                        fate = fates.draw()
                        self._count(fate)
                        if fate.cut:
                            return
                        lane.take(framer.frame(payload), fate, self._faults.delay_max_ms)
                    await lane.has_room()
                    await sink.drain()
        finally:
            lane.end()

    def _count(self, fate: Fate) -> None:
        self.counts.frames += 1
        if fate.cut:
            self.counts.cut += 1
            return
        self.counts.dropped += not fate.delays_ms
        self.counts.duplicated += len(fate.delays_ms) > 1
        self.counts.reordered += fate.reordered
        self.counts.delayed += bool(fate.delays_ms and fate.delays_ms[0])


class _Lane:
    """Frames on their way in one direction: those that are delayed, and those that wait for their successor."""

    def __init__(self, sink: asyncio.StreamWriter) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._pending: dict[int, tuple[asyncio.TimerHandle, bytes]] = {}
        self._waiting: list[int] = []
        self._numbers = itertools.count()
        self._room = asyncio.Event()

    def take(self, frame: bytes, fate: Fate, delay_max_ms: int) -> None:
        """Send a frame's copies, each in its time; behind the first, what waited for it."""
        if not fate.delays_ms:
            return
        overtaken, self._waiting = self._waiting, []
        first, *second = fate.delays_ms
        if fate.reordered:
            self._waiting.append(self._later(frame, delay_max_ms))
        elif first:
            self._later(frame, first)
        else:
            self._sink.write(frame)
        for delay_ms in second:
            self._later(frame, delay_ms)
        for number in overtaken:
            self._send(number)

    async def has_room(self) -> None:
        """Wait until less than the limit is pending."""
        while len(self._pending) >= PENDING_FRAMES_MAX:
            self._room.clear()
            await self._room.wait()

    def end(self) -> None:
        """Forget what is pending."""
        for timer, _ in self._pending.values():
            timer.cancel()
        self._pending.clear()

    def _later(self, frame: bytes, delay_ms: int) -> int:
        number = next(self._numbers)
        self._pending[number] = self._loop.call_later(delay_ms / 1_000, self._send, number), frame
        return number

    def _send(self, number: int) -> None:
        timer, frame = self._pending.pop(number, (None, b""))
        if timer is not None:
            timer.cancel()
            self._sink.write(frame)
            self._room.set()
