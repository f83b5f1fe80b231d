"""Both stores behind one fixture, entries to put into them, and a line that can be cut."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest
from msgspec import Struct

from ledger.chain import extend
from ledger.memory import MemoryLedger, MemoryStore
from ledger.postgres import PostgresStore
from ledger.store import Fence, Store
from ledger.values import (
    Account,
    Cents,
    Entry,
    Epoch,
    HolderId,
    Identity,
    Partition,
    Record,
    Seq,
    Transfer,
)

MAIN = Partition(0)
AT = datetime(2026, 5, 12, 10, 30, 0, 123456, tzinfo=UTC)


class Writer:
    """A writer as the engine is one: it knows its epoch, head and hash, and moves them when an append is in."""

    def __init__(self, store: Store, fence: Fence) -> None:
        self.store = store
        self.epoch: Epoch = fence.epoch
        self.head: Seq = fence.head
        self.last: bytes = fence.hash

    @classmethod
    async def begin(cls, store: Store) -> "Writer":
        """Take the partition as it stands."""
        return cls(store, await store.take(MAIN, await store.fence(MAIN)))

    def place(self, *entries: Entry) -> Sequence[Record]:
        """Give entries their places behind the head."""
        return list(extend(MAIN, self.epoch, self.head, self.last, entries))

    async def append(self, *entries: Entry) -> Sequence[Record]:
        """Append a batch, and follow it."""
        records = self.place(*entries)
        await self.store.append(MAIN, self.epoch, self.head, self.last, records)
        self.follow(records)
        return records

    def follow(self, records: Sequence[Record]) -> None:
        """Stand behind these records."""
        if records:
            self.head, self.last = records[-1].seq, records[-1].hash


class Ledger(Struct):
    """A ledger of one partition, and how to connect another process's store to it."""

    connect: Callable[[], Awaitable[Store]]


@pytest.fixture(params=["memory", "postgres"])
async def ledger(request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    opened: list[Store] = []
    shared = MemoryLedger()
    database = request.getfixturevalue("database") if request.param == "postgres" else None

    async def connect() -> Store:
        opened.append(MemoryStore(shared) if database is None else PostgresStore(database.url))
        return opened[-1]

    yield Ledger(connect)
    for store in opened:
        await store.close()


@pytest.fixture
async def store(ledger: Ledger) -> Store:
    return await ledger.connect()


@pytest.fixture
async def writer(store: Store) -> Writer:
    return await Writer.begin(store)


@pytest.fixture
async def postgres(database: Any) -> AsyncIterator[PostgresStore]:
    """A store in PostgreSQL, for what only PostgreSQL can show."""
    store = PostgresStore(database.url)
    yield store
    await store.close()


@pytest.fixture
async def superuser(database: Any) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.fixture
def identities() -> Iterator[Identity]:
    """As many different identities as a test wants."""
    return (Identity(260512123000 + number, number.to_bytes(16)) for number in count(1))


class Entries:
    """Makes the entries that tests append."""

    def payment(self, holder: str = "h1", *keys: Identity, cents: int = 1_250, position: str = '["line"]') -> Entry:
        """Pay `cents` out of a holder's lot."""
        lot, payable = Account(f"holder:{holder}:90:2026"), Account("acquirer:970001:payable")
        return Entry(
            at=AT,
            kind="purchase",
            holder=HolderId(holder),
            request='{"amount": 1250}',
            reply='{"reason":"APPROVED"}',
            reason="APPROVED",
            position=position,
            transfers=(Transfer(lot, payable, Cents(cents)),),
            identities=keys,
        )

    def refusal(self, *keys: Identity) -> Entry:
        """Refuse a card that nobody knows: no holder, no money."""
        return Entry(AT, "purchase", None, "{}", '{"reason":"CARD_UNKNOWN"}', "CARD_UNKNOWN", None, (), keys)


@pytest.fixture
def entries() -> Entries:
    return Entries()


@pytest.fixture
def begin() -> Callable[[Store], Awaitable[Writer]]:
    """Take the partition through a store, as it stands."""
    return Writer.begin


Cut = Literal["before", "during", "after"]


class Line:
    """A line to the server that can be cut at the next thing said on it.

    `before`: what the client says is lost. `during`: the server hears it, and nobody hears the answer. `after`: the
    server has answered, and the answer is lost.
    """

    def __init__(self, server: str) -> None:
        self.server = server
        self.cut: Cut | None = None
        self.was_cut = asyncio.Event()
        self._carrying: set[asyncio.Task[None]] = set()

    async def carry(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """Join a client with the server until one of them ends, or the line is cut."""
        answers, there = await asyncio.open_unix_connection(self.server)
        both = asyncio.gather(self._forward(client, there, "client"), self._forward(answers, back, "server"))
        self._carrying.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await both
        except ConnectionError:
            both.cancel()
        finally:
            there.transport.abort()
            back.transport.abort()
            self._carrying.discard(asyncio.current_task())

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, speaker: str) -> None:
        while said := await source.read(65_536):
            if self.cut == "before" or (self.cut == "after" and speaker == "server"):
                self._sever()
            sink.write(said)
            await sink.drain()
            if self.cut == "during":
                self._sever()
        raise ConnectionResetError

    def _sever(self) -> None:
        self.cut = None
        self.was_cut.set()
        raise ConnectionResetError

    async def end(self) -> None:
        """Stop carrying."""
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)


@pytest.fixture
async def line(database: Any, tmp_path: Path) -> AsyncIterator[tuple[Line, PostgresStore]]:
    """A line to the server, and a store at its other end."""
    parts = urlsplit(database.url)
    [folder], [port] = parse_qs(parts.query)["host"], parse_qs(parts.query)["port"]
    line = Line(f"{folder}/.s.PGSQL.{port}")
    listener = await asyncio.start_unix_server(line.carry, tmp_path / f".s.PGSQL.{port}")
    store = PostgresStore(parts._replace(query=f"host={tmp_path}&port={port}").geturl())
    yield line, store
    await store.close()
    listener.close()
    await line.end()
