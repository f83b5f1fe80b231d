"""One direction of a connection: frames on their way, as their fates have it."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import NoReturn

PENDING_FRAMES_MAX = 1_024
"""Delayed or not yet sent in one direction of one connection; beyond, nothing more is read from there."""
STEPS_PER_S = 50
"""How often a dripping lane sends, where it is to be faster than that many bytes a second."""

Rate = Callable[[], int | None]
"""Tells how fast bytes are sent at the moment, in bytes a second; None: at once."""


class Lane:
    """Carries frames to a sink, each in its time. `run` does the sending, for as long as the connection is there."""

    def __init__(self, sink: asyncio.StreamWriter, rate: Rate) -> None:
        # Nothing stays between a lane and its socket: what was drained is on its way, and pending is all there is.
        sink.transport.set_write_buffer_limits(high=0)
        self._sink = sink
        self._rate = rate
        self._loop = asyncio.get_running_loop()
        self._delayed: dict[int, tuple[asyncio.TimerHandle, bytes]] = {}
        self._waiting: list[int] = []
        self._outbox: deque[bytes] = deque()
        self._numbers = itertools.count()
        self._moved = asyncio.Event()

    def take(self, frame: bytes, delays_ms: tuple[int, ...], overtaken_within_ms: int | None = None) -> None:
        """Send a frame's copies, each in its time; behind the first, what waited for it."""
        if not delays_ms:
            return
        overtaken, self._waiting = self._waiting, []
        first, *second = delays_ms
        if overtaken_within_ms is not None:
            self._waiting.append(self._later(frame, overtaken_within_ms))
        elif first:
            self._later(frame, first)
        else:
            self._send(frame)
        for delay_ms in second:
            self._later(frame, delay_ms)
        for number in overtaken:
            self._now(number)

    async def has_room(self) -> None:
        """Wait until less than the limit is pending."""
        await self._until(lambda: self._pending < PENDING_FRAMES_MAX)

    async def finish(self) -> None:
        """Send what is pending, each in its time, and close this direction."""
        await self._until(lambda: not self._pending)
        if not self._sink.is_closing():
            self._sink.write_eof()

    async def break_off(self, part: bytes) -> None:
        """Forget what is delayed; send what isn't, and a frame's first part."""
        self.end()
        self._send(part)
        await self._until(lambda: not self._pending)

    async def run(self) -> NoReturn:
        """Send what is due, in its order and no faster than the rate. Raises `OSError` if the sink is lost."""
        while True:
            await self._until(lambda: bool(self._outbox))
            await self._write(self._outbox[0])
            self._outbox.popleft()
            self._moved.set()

    def end(self) -> None:
        """Forget what is delayed."""
        for timer, _ in self._delayed.values():
            timer.cancel()
        self._delayed.clear()
        self._moved.set()

    @property
    def _pending(self) -> int:
        return len(self._delayed) + len(self._outbox)

    async def _write(self, frame: bytes) -> None:
        sent = 0
        while sent < len(frame):
            rate = self._rate()
            step = len(frame) if rate is None else max(1, rate // STEPS_PER_S)
            chunk = frame[sent : sent + step]
            self._sink.write(chunk)
            await self._sink.drain()
            sent += len(chunk)
            if rate is not None:
                await asyncio.sleep(len(chunk) / rate)

    def _later(self, frame: bytes, delay_ms: int) -> int:
        number = next(self._numbers)
        self._delayed[number] = self._loop.call_later(delay_ms / 1_000, self._now, number), frame
        return number

    def _now(self, number: int) -> None:
        timer, frame = self._delayed.pop(number, (None, b""))
        if timer is not None:
            timer.cancel()
            self._send(frame)

    def _send(self, frame: bytes) -> None:
        self._outbox.append(frame)
        self._moved.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._moved.clear()
            await self._moved.wait()
