"""What a stretch of work cost PostgreSQL: processor time of all its processes, rows, and bytes of write-ahead log.

Two readings, one before the stretch and one after it, and a count of requests: that is a cost a request.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from msgspec import Struct

from benchmarks.processes import postmaster_of, tree_cpu_ns
from ledger.embedded import SUPERUSER, EmbeddedServer

SETTLE_SECONDS = 1.2
"""A session tells the statistics what it has done at the end of a transaction, but at most once a second."""
_LOG = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
_STATISTICS = """
    SELECT wal_fpi::bigint AS images, rows::bigint
      FROM pg_stat_wal,
           (SELECT sum(tup_inserted + tup_updated + tup_deleted) AS rows FROM pg_stat_database) AS databases
"""


class Reading(Struct, frozen=True):
    """Where a PostgreSQL's counters stand, over all of its databases."""

    wal_bytes: int
    images: int
    """Full pages in the log: the first change of a page after a checkpoint writes all of it."""
    rows: int
    cpu_ns: int


class Cost(Struct, frozen=True):
    """What one request cost the database. `rows` are inserted, updated or deleted, the catalogue's and indices' not."""

    database_us: float
    wal_bytes: float
    images: float
    rows: float


class Meter:
    """Reads one PostgreSQL's counters. Made by `metering`."""

    def __init__(
        self, connection: "asyncpg.Connection[asyncpg.Record]", postmaster: int, settle_seconds: float
    ) -> None:
        self._connection = connection
        self._postmaster = postmaster
        self._settle_seconds = settle_seconds

    async def before(self) -> Reading:
        """Read all counters, once what was done before is in them."""
        await asyncio.sleep(self._settle_seconds)
        return await self._read(0)

    async def after(self) -> Reading:
        """Read what counts at once, then wait for the statistics, so that the wait isn't in the rest."""
        return await self._read(self._settle_seconds)

    async def _read(self, settle_seconds: float) -> Reading:
        cpu_ns = tree_cpu_ns(self._postmaster)
        wal_bytes = await self._connection.fetchval(_LOG)
        await asyncio.sleep(settle_seconds)
        row = await self._connection.fetchrow(_STATISTICS)
        assert row is not None
        return Reading(wal_bytes, row["images"], row["rows"], cpu_ns)

    async def checkpoint(self) -> None:
        """Write all that is dirty: after it, the first change of every page is logged with the whole page."""
        await self._connection.execute("CHECKPOINT")


def cost(before: Reading, after: Reading, requests: int) -> Cost:
    """Share out what was used between two readings."""
    count = max(requests, 1)
    return Cost(
        database_us=(after.cpu_ns - before.cpu_ns) / 1_000 / count,
        wal_bytes=(after.wal_bytes - before.wal_bytes) / count,
        images=(after.images - before.images) / count,
        rows=(after.rows - before.rows) / count,
    )


@asynccontextmanager
async def metering(server: EmbeddedServer, settle_seconds: float = SETTLE_SECONDS) -> AsyncIterator[Meter]:
    """Give what reads a server's counters, over a session of its own.

    In less than `SETTLE_SECONDS` not all rows that were written are counted.
    """
    connection = await asyncpg.connect(server.url(SUPERUSER, "postgres"))
    try:
        yield Meter(connection, postmaster_of(server), settle_seconds)
    finally:
        await connection.close()
