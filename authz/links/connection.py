"""One connection of an acquirer: many requests in flight, replies in any order, and no more than a reader can take."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from authz.decision.outcomes import Reason
from authz.links.link import DEADLINE_S, Link, Session
from authz.wire.codec import Malformed, Unreadable
from authz.wire.frames import Framer, FrameTooLong
from authz.wire.message import Message
from authz.wire.rules import is_response

IN_FLIGHT_MAX = 1_024
UNREADABLE_IN_A_ROW_MAX = 10
WRITE_BUFFER_BYTES_MAX = 256 * 1024


class Connection(asyncio.Protocol):
    """Cuts the bytes into frames, has each answered by its link, and writes replies as they come, together.

    `on_open` says why this one more isn't taken (empty: it is). At most `IN_FLIGHT_MAX` requests are in flight; what
    was read beyond them waits, and reading pauses: also while the reader at the other end is slow.
    `log` takes a word and fields: an exception's type at most, never what came over the wire.
    """

    def __init__(
        self,
        link: Link,
        on_open: Callable[["Connection"], str],
        on_close: Callable[["Connection"], None],
        log: Callable[..., None],
    ) -> None:
        self._link = link
        self._on_open = on_open
        self._on_close = on_close
        self._log = log
        self._framer = Framer(link.codec.dialect.framing)
        self._session = Session()
        self._frames: deque[tuple[bytes, float]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies: list[bytes] = []
        self._unreadable_in_a_row = 0
        self._slow_reader = False
        self._draining = False
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if the address has not too many connections already."""
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        self.address = str((transport.get_extra_info("peername") or ("",))[0])
        self._gone = self._loop.create_future()
        refused = self._on_open(self)
        if refused:
            self.close(refused)

    def data_received(self, data: bytes) -> None:
        """Take in bytes as they come."""
        deadline = self._loop.time() + DEADLINE_S
        try:
            frames = self._framer.feed(data)
        except FrameTooLong:
            self.close("frame_too_long")
            return
        self._frames.extend((frame, deadline) for frame in frames)
        self._take_up()

    def eof_received(self) -> bool:
        """The other end has said all that it had to say, and may be waiting for its answers."""
        self._farewell = self._loop.create_task(self.drain(DEADLINE_S))
        return True

    def pause_writing(self) -> None:
        """The other end reads slowly: read no more from it until it has caught up."""
        self._slow_reader = True
        self._pace()

    def resume_writing(self) -> None:
        """The other end has caught up."""
        self._slow_reader = False
        self._take_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end has gone. What is in flight is decided all the same; its repeat gets the answer."""
        self._draining = True
        self._frames.clear()
        if not self._gone.done():
            self._gone.set_result(None)
        self._on_close(self)

    def close(self, why: str) -> None:
        """End the connection for what came over it."""
        self._link.metrics.links_closed.labels(self._link.terms.acquirer, why).inc()
        self._log("link closed", acquirer=self._link.terms.acquirer, why=why)
        self._draining = True
        self._frames.clear()
        self._transport.abort()

    async def drain(self, timeout_s: float) -> None:
        """Take no new request, answer those that were read, and close: in any case within `timeout_s`."""
        self._draining = True
        self._pace()
        try:
            async with asyncio.timeout(timeout_s):
                while self._tasks:
                    await asyncio.wait(self._tasks)
                self._flush()
                self._transport.close()
                await asyncio.shield(self._gone)
        except TimeoutError:
            self._transport.abort()

    def _take_up(self) -> None:
        """Begin to answer as many of the frames that were read as may be in flight."""
        while self._frames and len(self._tasks) < IN_FLIGHT_MAX and not self._slow_reader:
            self._take(*self._frames.popleft())
        self._pace()

    def _take(self, frame: bytes, deadline: float) -> None:
        """Begin to answer one frame."""
        malformed: Malformed | None = None
        try:
            message = self._link.codec.decode(frame)
        except Unreadable:
            self._drop("unreadable")
            self._unreadable_in_a_row += 1
            if self._unreadable_in_a_row >= UNREADABLE_IN_A_ROW_MAX:
                self.close("unreadable")
            return
        except Malformed as error:
            message, malformed = error.partial, error
        self._unreadable_in_a_row = 0
        if is_response(message.mti):
            self._drop("response")
            return
        task = self._loop.create_task(self._answer(frame, message, deadline, malformed))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _answer(self, frame: bytes, message: Message, deadline: float, malformed: Malformed | None) -> None:
        try:
            reply = await self._reply(frame, message, deadline, malformed)
        except Exception as error:  # not even a refusal could be written
            self._log("request not answered", error=type(error).__name__)
            self._drop("unanswerable")
            return
        self._link.metrics.answer_seconds.observe(self._loop.time() - deadline + DEADLINE_S)
        if reply is not None:
            if not self._replies:
                self._loop.call_soon(self._flush)
            self._replies.append(self._framer.frame(reply))

    async def _reply(
        self, frame: bytes, message: Message, deadline: float, malformed: Malformed | None
    ) -> bytes | None:
        if malformed is not None:
            return await self._link.reject(malformed)
        try:
            return await self._link.answer(frame, message, self._session, deadline)
        except Exception as error:  # a defect costs its own request, and is told without content
            self._log("request failed", error=type(error).__name__)
            return await self._link.refuse(message, Reason.INTERNAL)

    def _flush(self) -> None:
        """Write in one go what has gathered in this turn of the loop."""
        replies, self._replies = self._replies, []
        if replies and not self._transport.is_closing():
            self._transport.write(b"".join(replies))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._take_up()

    def _pace(self) -> None:
        """Read, or pause reading."""
        if self._transport.is_closing():
            return
        if self._draining or self._slow_reader or len(self._tasks) >= IN_FLIGHT_MAX:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _drop(self, why: str) -> None:
        self._link.metrics.frames_dropped.labels(self._link.terms.acquirer, why).inc()
