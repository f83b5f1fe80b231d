"""One connection of an acquirer: many requests in flight, replies in any order, and no more than a reader can take."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from authz.decision.outcomes import Reason
from authz.links.link import Link, Passage
from authz.links.network import Session
from authz.wire.codec import Malformed, Unreadable
from authz.wire.frames import Framer, FrameTooLong, LengthUnreadable
from authz.wire.message import Message
from authz.wire.rules import is_response

UNREADABLE_IN_A_ROW_MAX = 10
WRITE_BUFFER_BYTES_MAX = 256 * 1024
DROPPED_BECAUSE = ("unreadable", "response", "unanswerable")
"""Why a frame gets no reply."""
CLOSED_BECAUSE = ("length_unreadable", "frame_too_long", "unreadable")
"""What over a connection ends it."""


class Connection(asyncio.Protocol):
    """Cuts the bytes into frames, has each answered by its link, and writes replies as they come, together.

    `on_open` says why this one more isn't taken (empty: it is). A request needs one of its link's places; frames
    that wait for one, or for a slow reader at the other end, are those of one read: the next read comes after them.
    Where nothing comes for as long as the link's terms say, the other end is sent an echo test.
    `log` takes a word and fields: an exception's type at most, never what came over the wire.
    """

    def __init__(
        self,
        link: Link,
        on_open: Callable[["Connection"], str],
        log: Callable[..., None],
    ) -> None:
        self._link = link
        self._on_open = on_open
        self._log = log
        self._framer = Framer(link.codec.dialect.framing)
        self._session = Session()
        self._echo_tests = link.echo_tests()
        self._frames: deque[tuple[bytes, float]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._replies: list[bytes] = []
        self._passages: list[Passage] = []
        self._unreadable_in_a_row = 0
        self._slow_reader = False
        self._draining = False
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def is_signed_on(self) -> bool:
        """Tell whether its acquirer has signed on over it."""
        return self._session.signed_on

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """What the other end has shown, in the form of `ssl`; None where it has shown nothing."""
        shown: Mapping[str, Any] | None = self._transport.get_extra_info("peercert")
        return shown

    async def ended(self) -> None:
        """Wait until the other end has gone."""
        await asyncio.shield(self._gone)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if it is taken."""
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
        self._gone = self._loop.create_future()
        self._served = asyncio.Event()
        self._served.set()
        self._heard_at = self._loop.time()
        refused = self._on_open(self)
        if refused:
            self.close(refused)
        else:
            self.watch()

    def data_received(self, data: bytes) -> None:
        """Take in bytes as they come."""
        self._heard_at = arrived_at = time.monotonic()
        try:
            frames = self._framer.feed(data)
        except LengthUnreadable:
            self.close("length_unreadable")
            return
        except FrameTooLong:
            self.close("frame_too_long")
            return
        self._frames.extend((frame, arrived_at) for frame in frames)
        self._take_up()

    def eof_received(self) -> bool:
        """The other end has said all that it had to say, and may be waiting for its answers; not so with TLS.

        There, its end is the end of both directions.
        """
        if self._transport.get_extra_info("ssl_object") is not None:
            return False
        self._farewell = self._loop.create_task(self.drain(self._link.terms.deadline_s))
        return True

    def pause_writing(self) -> None:
        """The other end reads slowly: read no more from it until it has caught up."""
        self._slow_reader = True
        self._link.allowance.withdraw(self._take_turn)
        self._pace()

    def resume_writing(self) -> None:
        """The other end has caught up."""
        self._slow_reader = False
        self._take_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end has gone. What is in flight is decided all the same; its repeat gets the answer."""
        self._give_up()
        if not self._gone.done():
            self._gone.set_result(None)

    def close(self, why: str) -> None:
        """End the connection for what came over it."""
        self._link.metrics.links_closed.labels(self._link.terms.acquirer, why).inc()
        self._log("link closed", acquirer=self._link.terms.acquirer, why=why)
        self._give_up()
        self._transport.abort()

    async def drain(self, timeout_s: float) -> None:
        """Take no new request, answer those that were read, and close: in any case within `timeout_s`."""
        self._draining = True
        self._pace()
        try:
            async with asyncio.timeout(timeout_s):
                await self._served.wait()
                self._flush()
                self._transport.close()
                await self.ended()
        except TimeoutError:
            self._transport.abort()

    def _take_up(self) -> None:
        """Stand in line for a place, if a frame waits for one."""
        if self._frames and not self._slow_reader:
            self._served.clear()
            self._link.allowance.ask(self._take_turn)
        self._pace()

    def _take_turn(self) -> None:
        """Use a place of the link's for the next frame, and stand in line again for the one behind it.

        Frames that came together are read together, before any of them is answered: that spares much of the time.
        """
        frame, arrived_at = self._frames.popleft()
        message = self._read(frame)
        if message is None:
            self._settle()
            self._link.allowance.give_back()
        else:
            task = self._loop.create_task(self._answer(frame, message, Passage(arrived_at)))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        if self._frames:
            self._link.allowance.ask(self._take_turn)
        else:
            self._pace()

    def _read(self, frame: bytes) -> Message | Malformed | None:
        """Read one frame; None: it is none that gets an answer."""
        if self._transport.is_closing():  # over a frame before this one
            return None
        try:
            message = self._link.codec.decode(frame)
        except Unreadable:
            self._count_unreadable()
            return None
        except Malformed as error:
            return None if self._is_response(error.partial) else error
        except Exception as error:  # a defect costs its own frame
            self._tell_unanswered(error)
            return None
        return None if self._is_response(message) else message

    async def _answer(self, frame: bytes, message: Message | Malformed, passage: Passage) -> None:
        try:
            reply = await self._reply(frame, message, passage)
        except Exception as error:  # not even a refusal could be written
            self._tell_unanswered(error)
            return
        if reply is not None:
            self._passages.append(passage)
            self._send(reply)

    async def _reply(self, frame: bytes, message: Message | Malformed, passage: Passage) -> bytes | None:
        """Answer one frame; None: its answer came too late."""
        if isinstance(message, Malformed):
            return await self._link.reject(message)
        try:
            return await self._link.answer(frame, message, self._session, passage)
        except Exception as error:  # a defect costs its own request, and is told without content
            self._log("request failed", error=type(error).__name__)
            return await self._link.refuse(message, Reason.INTERNAL)

    def _tell_unanswered(self, error: Exception) -> None:
        self._log("request not answered", error=type(error).__name__)
        self._drop("unanswerable")

    def _count_unreadable(self) -> None:
        self._drop("unreadable")
        self._unreadable_in_a_row += 1
        if self._unreadable_in_a_row >= UNREADABLE_IN_A_ROW_MAX:
            self.close("unreadable")

    def _is_response(self, message: Message) -> bool:
        """Tell whether a message that could be read is a response: it gets no answer."""
        self._unreadable_in_a_row = 0
        if not is_response(message.mti):
            return False
        if not self._echo_tests.is_answered_by(message):
            self._drop("response")
        return True

    def _send(self, payload: bytes) -> None:
        if not self._replies:
            self._loop.call_soon(self._flush)
        self._replies.append(self._framer.frame(payload))

    def _flush(self) -> None:
        """Write in one go what has gathered in this turn of the loop."""
        replies, self._replies = self._replies, []
        passages, self._passages = self._passages, []
        if replies and not self._transport.is_closing():
            leaving_at = time.monotonic()  # behind the write, a terminal may have its answer already
            self._transport.write(b"".join(replies))
            self._time(passages, leaving_at)

    def _time(self, passages: Sequence[Passage], left_at: float) -> None:
        """Count how long answers took that have just left."""
        metrics = self._link.metrics
        for passage in passages:
            metrics.answer_seconds.observe(left_at - passage.arrived_at)
            if passage.answered_at:
                metrics.stages.reply.observe(left_at - passage.answered_at)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._settle()
        self._link.allowance.give_back()

    def _settle(self) -> None:
        """Note it when all that was read has been answered."""
        if not self._tasks and not self._frames:
            self._served.set()

    def _give_up(self) -> None:
        """Take up nothing more of what was read."""
        self._draining = True
        self._frames.clear()
        self._settle()
        self._link.allowance.withdraw(self._take_turn)
        if self._idle_timer is not None:
            self._idle_timer.cancel()

    @property
    def _reads(self) -> bool:
        return not (self._draining or self._slow_reader or self._frames)

    def _pace(self) -> None:
        """Read, or pause reading."""
        if self._transport.is_closing():
            return
        if self._reads:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def watch(self) -> None:
        """Look out for silence from now on, as the link's terms are now."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._link.terms.idle_probe_s:
            self._watch()

    def _watch(self) -> None:
        """Probe the other end if nothing has come from it for too long; look again when that could be so next."""
        now, idle_s = self._loop.time(), self._link.terms.idle_probe_s
        due = self._heard_at + idle_s
        if due <= now:
            due = now + idle_s
            if self._reads:
                self._probing = self._loop.create_task(self._probe())
        self._idle_timer = self._loop.call_at(due, self._watch)

    async def _probe(self) -> None:
        try:
            self._send(await self._link.request(self._echo_tests.next()))
        except Exception as error:
            self._log("probe not sent", error=type(error).__name__)

    def _drop(self, why: str) -> None:
        self._link.metrics.frames_dropped.labels(self._link.terms.acquirer, why).inc()
