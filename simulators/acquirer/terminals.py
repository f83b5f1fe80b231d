"""Terminals' connections: each has frames of its own, limits of its own, and nothing that it sends costs another."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import cast

from msgspec.structs import replace

from authz.wire.codec import Codec, Malformed, Unreadable, Unsendable
from authz.wire.frames import Framer, FrameTooLong
from authz.wire.message import Message
from authz.wire.rules import is_response, reply_mti
from authz.wire.tpdu import answering

TERMINALS_MAX = 1_024
"""Connections at once; one more is closed as it comes."""
IN_FLIGHT_OF_TERMINAL_MAX = 16
"""Requests of one connection; beyond it, reading pauses."""
UNREADABLE_MAX = 10
"""Frames in a row that hold no message; then the connection is closed."""
FORMAT, INTERNAL = "30", "96"

Serve = Callable[[Message, "Connection"], Awaitable[Message | None]]
"""Answers a message, or not."""


class Counts:
    """What went through the host: connections, messages by type, answers by code, and what was dropped."""

    def __init__(self) -> None:
        self.connections = 0
        self.turned_away = 0
        self.terminals: set[tuple[str, str]] = set()
        self.messages: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.unreadable = 0
        self.dropped = 0


class Terminals:
    """Listens for terminals. `serve` answers their messages; `failed` hears what it raises, which nobody expects."""

    def __init__(
        self, codec: Codec, serve: Serve, failed: Callable[[BaseException], None], *, terminals_max: int = TERMINALS_MAX
    ) -> None:
        self.counts = Counts()
        self.port = 0
        self.codec = codec
        self.serve = serve
        self.failed = failed
        self._terminals_max = terminals_max
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> None:
        """Take connections from now on. Raises `OSError`."""
        self._server = await asyncio.get_running_loop().create_server(lambda: Connection(self), host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop_reading(self) -> None:
        """Take no connection and no message any more; what is in flight is still answered."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.stop_reading()

    async def close(self) -> None:
        """End every connection, once what was written to it is sent."""
        ended = [connection.close() for connection in self._connections]
        await asyncio.gather(*ended)

    def admit(self, connection: "Connection") -> bool:
        """Tell whether one more connection is taken."""
        if len(self._connections) >= self._terminals_max:
            self.counts.turned_away += 1
            return False
        self.counts.connections += 1
        self._connections.add(connection)
        return True

    def dismiss(self, connection: "Connection") -> None:
        """Forget a connection that has ended."""
        self._connections.discard(connection)


class Connection(asyncio.Protocol):
    """One terminal's connection. Its messages are answered as they are decided, in any order."""

    def __init__(self, terminals: Terminals) -> None:
        self._terminals = terminals
        self._counts = terminals.counts
        self._framer = Framer(terminals.codec.dialect.framing)
        self._backlog: deque[bytes] = deque()
        self._serving: set[asyncio.Task[None]] = set()
        self._unreadable = 0
        self._may_write = True
        self._reads = True
        self._closed = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    @property
    def is_closed(self) -> bool:
        """Whether the terminal has gone."""
        return self._closed.is_set()

    def answer(self, request: Message, reply: Message) -> None:
        """Send a reply to where its request came from; one for a terminal that has gone is dropped."""
        if self._transport is None or self._transport.is_closing():
            self._counts.dropped += 1
            return
        header = None if request.header is None else answering(request.header)
        try:
            frame = self._terminals.codec.encode(replace(reply, header=header, mac=None))
        except Unsendable:  # the authorizer says what the terminals' dialect has no word for
            frame = self._terminals.codec.encode(_bare(request, header))
            reply = _bare(request, header)
        self._counts.answers[reply.response_code or "none"] += 1
        self._transport.write(self._framer.frame(frame))

    def stop_reading(self) -> None:
        """Take no message any more."""
        self._reads = False
        self._backlog.clear()
        if self._transport is not None:
            self._transport.pause_reading()

    async def close(self) -> None:
        """End the connection, once what was written to it is sent."""
        if self._transport is not None:
            self._transport.close()
            await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection, or end it at once where there are too many."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports don't inherit asyncio's
        if not self._terminals.admit(self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the terminal; what it asked for goes on, and nobody hears the reply."""
        self._closed.set()
        self._backlog.clear()
        self._terminals.dismiss(self)

    def pause_writing(self) -> None:
        """Serve no more of a terminal that doesn't read its replies."""
        self._may_write = False
        self._go_on()

    def resume_writing(self) -> None:
        """Serve it again."""
        self._may_write = True
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Serve the messages in what arrived, as far as the terminal may have them in flight."""
        try:
            self._backlog.extend(self._framer.feed(data))
        except FrameTooLong:
            self._counts.unreadable += 1
            self._abort()
        self._go_on()

    def _go_on(self) -> None:
        while self._backlog and self._has_room:
            self._take(self._backlog.popleft())
        if self._transport is None or self._transport.is_closing() or not self._reads:
            return
        # Both are safe to repeat. What is read meanwhile waits in the backlog, at most what one read brings.
        if self._backlog or not self._has_room:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    @property
    def _has_room(self) -> bool:
        return self._may_write and len(self._serving) < IN_FLIGHT_OF_TERMINAL_MAX

    def _take(self, frame: bytes) -> None:
        try:
            message = self._terminals.codec.decode(frame)
        except Unreadable:
            self._counts.unreadable += 1
            self._unreadable += 1
            if self._unreadable >= UNREADABLE_MAX:
                self._abort()
            return
        except Malformed as wrong:
            self._unreadable = 0
            self._counts.messages[wrong.partial.mti] += 1
            if is_response(wrong.partial.mti):
                self._counts.dropped += 1
            else:
                self.answer(wrong.partial, _bare(wrong.partial, None, FORMAT))
            return
        self._unreadable = 0
        self._counts.messages[message.mti] += 1
        if is_response(message.mti):
            self._counts.dropped += 1
            return
        if message.terminal is not None:
            self._counts.terminals.add(((message.merchant or "").rstrip(), message.terminal.rstrip()))
        task = asyncio.create_task(self._serve(message))
        self._serving.add(task)
        task.add_done_callback(self._served)

    async def _serve(self, message: Message) -> None:
        reply = await self._terminals.serve(message, self)
        if reply is not None:
            self.answer(message, reply)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        if not task.cancelled() and (wrong := task.exception()) is not None:
            self._terminals.failed(wrong)
        self._go_on()

    def _abort(self) -> None:
        self._backlog.clear()
        if self._transport is not None:
            self._transport.abort()


def _bare(message: Message, header: str | None, code: str = INTERNAL) -> Message:
    """A reply of the least that any dialect has words for."""
    return Message(
        mti=reply_mti(message.mti),
        header=header,
        transmitted=message.transmitted,
        trace=message.trace,
        local_time=message.local_time,
        local_date=message.local_date,
        response_code=code,
        terminal=message.terminal,
        merchant=message.merchant,
    )
