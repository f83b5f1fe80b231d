"""Both ends of a line with a fault proxy in between, by their bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Any

from authz.wire.dialect import Framing
from authz.wire.frames import Framer
from simulators.faults.fates import Faults, LineFaults
from simulators.faults.plan import Plan
from simulators.faults.proxy import FaultProxy

FRAMING = Framing()
FRAMES = 200
PATIENCE_S = 10


class Closed(StrEnum):
    """How an end learned that the other one sends no more."""

    FIN = "FIN"
    RST = "RST"


class End:
    """One end of a connection: what it heard, in bytes, and how its other end closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard = b""
        self.closed: Closed | None = None
        self.writer = writer
        self._reader = reader
        self._moved = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    def send(self, *payloads: bytes) -> bytes:
        """Send frames; return their bytes."""
        sent = framed(*payloads)
        self.writer.write(sent)
        return sent

    async def hears(self, expected: bytes) -> None:
        """Wait for these bytes in all, and no others."""
        await self.until(lambda: len(self.heard) >= len(expected) or self.closed is not None)
        assert self.heard == expected

    async def ends(self) -> Closed:
        """Wait until the other end has closed."""
        await self.until(lambda: self.closed is not None)
        assert self.closed is not None
        return self.closed

    @property
    def frames(self) -> list[bytes]:
        return Framer(FRAMING).feed(self.heard)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._moved.clear()
                await self._moved.wait()

    async def leave(self) -> None:
        self.writer.transport.abort()
        await self._listening

    async def _listen(self) -> None:
        try:
            while data := await self._reader.read(65_536):
                self.heard += data
                self._moved.set()
            self.closed = Closed.FIN
        except ConnectionError:
            self.closed = Closed.RST
        self._moved.set()


class Line:
    """A fault proxy before an authorizer that does nothing by itself."""

    def __init__(self) -> None:
        self.proxy: FaultProxy
        self._hosts: list[End] = []
        self._authorizers: asyncio.Queue[End] = asyncio.Queue()
        self._all: list[End] = []

    async def host(self) -> End:
        """Connect a host; the authorizer need not hear of it."""
        end = End(*await asyncio.open_connection("127.0.0.1", self.proxy.port))
        self._all.append(end)
        return end

    async def both(self) -> tuple[End, End]:
        """Connect a host; return its end, and the authorizer's."""
        host = await self.host()
        async with asyncio.timeout(PATIENCE_S):
            return host, await self._authorizers.get()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = End(reader, writer)
        self._all.append(end)
        self._authorizers.put_nowait(end)

    async def leave(self) -> None:
        for end in self._all:
            await end.leave()


@asynccontextmanager
async def line(faults: Faults | LineFaults | Plan = Faults(), seed: int = 1, **more: Any) -> AsyncIterator[Line]:  # noqa: B008, frozen
    """`async with line(faults) as line`."""
    made = Line()
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[:2]
    async with server, FaultProxy(("127.0.0.1", 0), upstream, FRAMING, faults, seed, **more) as made.proxy:
        yield made
        await made.leave()


async def turns(condition: Callable[[], object]) -> None:
    """Wait for what happens on the other sockets of this loop."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - a proxy has no event for its counters
            await asyncio.sleep(0)


def framed(*payloads: bytes) -> bytes:
    return b"".join(Framer(FRAMING).frame(payload) for payload in payloads)


def payloads(count: int = FRAMES) -> list[bytes]:
    return [f"frame {number}".encode() for number in range(1, count + 1)]
