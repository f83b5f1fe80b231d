"""Reading a ledger as finance does: without a writer, without a long snapshot, up to a head noted at the start."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from ledger import schema
from ledger.store import LedgerError, Unavailable
from ledger.values import Entry, Partition, Seq, Transfer, unpack_identities

CONNECT_TIMEOUT_S = 10
TRANSACTION_TIMEOUT_S = 5
"""An older snapshot keeps the fence's dead versions, and makes every append slower."""
CHUNK_RECORDS_MAX = 2_000
WINDOW_SEQS = 50_000
"""Seqs whose transfers one statement adds up: in some 0.1 s, where the machine is idle."""
BEFORE_ALL = -(2**63)
"""Below any number that a record could bear, tampered with or not."""

_RECORDS = """
SELECT seq, epoch, at, kind, holder, request, reply, reason, "position", identities, hash
  FROM ledger.whole_journal WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"""

_TRANSFERS = """
SELECT seq, line, debit, credit, amount, currency
  FROM ledger.whole_transfer WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq, line"""

Progress = Callable[[Partition, Seq, Seq], None]
"""Told after each chunk: the partition, the record reached, and the head that is gone to."""
Chunk = TypeVar("Chunk")
Records = Sequence[tuple[asyncpg.Record, Sequence[asyncpg.Record]]]
"""Records, each with its transfers."""


class Pace:
    """Keeps a reader to so many records a second, so that payments on the same machine have it; None: no limit."""

    def __init__(self, records_a_second: int | None) -> None:
        self._rate = records_a_second
        self._due = 0.0

    async def after(self, records: int) -> None:
        """Wait until so many records may have been read since the last time. What was missed isn't made up for."""
        if self._rate is not None:
            now = asyncio.get_running_loop().time()
            self._due = max(self._due, now) + records / self._rate
            await asyncio.sleep(self._due - now)


class PartitionUnknown(LedgerError):
    """The ledger has no such partition."""


@asynccontextmanager
async def reader(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect for reading. Every statement is a transaction of its own, of at most 5 s.

    Raises `Unavailable` where the database can't be read, `SchemaTooOld` where it holds no ledger, and what
    `schema.require_server` and `schema.require_admitted` raise.
    """
    schema.require_address(url)
    try:
        connection = await asyncpg.connect(
            url, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "ledger reader", "jit": "off"}
        )
        try:
            schema.require_server(connection)
            await connection.execute(f"SET transaction_timeout = '{TRANSACTION_TIMEOUT_S}s'")
            await schema.require_admitted(connection)
            yield connection
        finally:
            connection.terminate()
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise schema.SchemaTooOld("this database has no ledger: name the one that the authorizer uses") from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        reason = f"SQLSTATE {error.sqlstate}, " if isinstance(error, asyncpg.PostgresError) else ""
        raise Unavailable(
            f"the database can't be read ({reason}{type(error).__name__}): check its address, and that it runs"
        ) from None


async def partitions(connection: asyncpg.Connection, only: Partition | None = None) -> Sequence[Partition]:
    """List the ledger's partitions, ascending; or the only one asked for. Raises `PartitionUnknown`."""
    rows = await connection.fetch("SELECT partition FROM ledger.fence ORDER BY partition")
    known = [Partition(row["partition"]) for row in rows]
    if only is None:
        return known
    if only not in known:
        raise PartitionUnknown(f"the ledger has no partition {only}: it has {', '.join(map(str, known))}")
    return [only]


async def heads(connection: asyncpg.Connection) -> Mapping[Partition, Seq]:
    """Note how far every partition has come: what is read up to there is of one moment."""
    rows = await connection.fetch("SELECT partition, head FROM ledger.fence ORDER BY partition")
    return {Partition(row["partition"]): Seq(row["head"]) for row in rows}


def windows(after: Seq, through: Seq) -> Iterator[tuple[Seq, Seq]]:
    """Cut the seqs `after` < seq <= `through` into such pairs, each for a statement of its own.

    >>> list(windows(Seq(5), Seq(120_000)))
    [(5, 50005), (50005, 100005), (100005, 120000)]
    """
    for begin in range(after, through, WINDOW_SEQS):
        yield Seq(begin), Seq(min(begin + WINDOW_SEQS, through))


async def read_ahead(behind: Callable[[Chunk | None], Awaitable[Chunk | None]]) -> AsyncGenerator[Chunk, None]:
    """Read chunk after chunk: `behind` reads the one behind a chunk, or the first behind None; None: there is none.

    While one is looked at the next is fetched, as far as the loop is given turns. Only for this may the connection be
    used until the last chunk was yielded.
    """
    ahead = asyncio.ensure_future(behind(None))
    try:
        while (chunk := await ahead) is not None:
            ahead = asyncio.ensure_future(behind(chunk))
            await asyncio.sleep(0)  # so that it is asked for
            yield chunk
    finally:
        await asyncio.gather(ahead, return_exceptions=True)


def chunks(connection: asyncpg.Connection, partition: Partition, head: Seq) -> AsyncGenerator[Records, None]:
    """Read a partition's records up to `head` in their order, each with its transfers, by keyset, ahead.

    Each chunk is a statement or two of its own: append-only makes what is read consistent.
    """

    async def behind(last: Records | None) -> Records | None:
        after = BEFORE_ALL if last is None else last[-1][0]["seq"]
        rows = await connection.fetch(_RECORDS, partition, after, head, CHUNK_RECORDS_MAX)
        if not rows:
            return None
        transfers: defaultdict[int, list[asyncpg.Record]] = defaultdict(list)
        for row in await connection.fetch(_TRANSFERS, partition, after, rows[-1]["seq"]):
            transfers[row["seq"]].append(row)
        return [(row, transfers.get(row["seq"], ())) for row in rows]

    return read_ahead(behind)


def entry_of(row: asyncpg.Record, transfers: Iterable[asyncpg.Record]) -> Entry:
    """Put a record's entry together again from its rows, as the writer hashed it."""
    _, _, at, kind, holder, request, reply, reason, position, identities, _ = row
    moved = tuple([Transfer(debit, credit, amount) for _, _, debit, credit, amount, _ in transfers])
    return Entry(at, kind, holder, request, reply, reason, position, moved, unpack_identities(identities))
