"""A byte-level line between the engine and PostgreSQL that a test cuts or freezes at a chosen moment."""

import asyncio
from enum import Enum, auto
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

WRITER = b"ledger writer"
"""Stands in the startup message of a writer's session, as its application's name."""


class Cut(Enum):
    """When the writer's line is cut: at the next thing that its client says, or that the server answers."""

    BEFORE = auto()
    """What the client says is lost."""
    AFTER = auto()
    """The server has done it, and its answer is lost."""


class Proxy:
    """Listens where `url` points, and carries every byte to the real server, until told otherwise."""

    def __init__(self, url: str, folder: Path) -> None:
        parts = urlsplit(url)
        [real], [port] = parse_qs(parts.query)["host"], parse_qs(parts.query)["port"]
        self.url = parts._replace(query=f"host={folder}&port={port}").geturl()
        self.cut: Cut | None = None
        self.was_cut = asyncio.Event()
        self.connected = 0
        self._here, self._real = folder / f".s.PGSQL.{port}", f"{real}/.s.PGSQL.{port}"
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._listener = await asyncio.start_unix_server(self._carry, self._here)

    async def end(self) -> None:
        self._listener.close()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def freeze(self) -> None:
        """Keep every connection open, and carry nothing."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def cut_writer(self) -> None:
        """Cut the writer's session now, whatever it is doing."""
        for line in self._writers:
            line.transport.abort()
        self._writers.clear()

    async def _carry(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        self.connected += 1
        try:
            hello = await client.read(65_536)
            writes = WRITER in hello
            if writes:
                self._writers.append(back)
            server, there = await asyncio.open_unix_connection(self._real)
            there.write(hello)
            both = asyncio.gather(
                self._forward(client, there, Cut.BEFORE if writes else None),
                self._forward(server, back, Cut.AFTER if writes else None),
            )
            try:
                await both
            finally:
                both.cancel()
                there.transport.abort()
        except OSError:
            pass
        finally:
            back.transport.abort()
            self._carrying.discard(task)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, cut: Cut | None) -> None:
        while said := await source.read(65_536):
            await self._flowing.wait()
            if cut is not None and self.cut is cut:
                self.cut = None
                self.was_cut.set()
                break
            sink.write(said)
            await sink.drain()
        raise ConnectionResetError
