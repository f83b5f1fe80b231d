"""Move old ranges of the journal to the archive: schema `ledger_archive`, in the same database, under the same guards.

A range moves whole and in one transaction: every reader finds its records in one place or in the other, and a command
that was stopped has moved it or has not. That takes a lock which every append waits for; it is asked for with a short
patience, again and again, and held for some milliseconds, since nothing is copied.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import msgspec
from msgspec import Struct

from ledger import schema
from ledger.postgres import PostgresStore
from ledger.postgres_errors import translated
from ledger.store import FullRange, LedgerError, Store
from ledger.values import HolderId, Manifest, Partition

KEPT_MONTHS = 36
"""Longer than any identity (14 months), hold or lot (24 months, and 3 more once reactivated) can still be named."""

LOCK_PATIENCE_MS = 100
"""How long the swap, and every append behind it, waits for those who are reading."""
LOCK_ATTEMPTS_MAX = 50
LOCK_PAUSE_MS = 300

_AGE = """
SELECT max(j.at) - make_interval(months => $1)
  FROM ledger.fence AS f JOIN ledger.whole_journal AS j ON j.partition = f.partition AND j.seq = f.head"""

_OLDEST = """
SELECT min(substring(inhrelid::regclass::text FROM '\\d+$')::bigint)
  FROM pg_inherits WHERE inhparent = 'ledger.journal'::regclass"""


class NotSuperuser(LedgerError):
    """Only a superuser can move a range to the archive."""


class RangeBusy(LedgerError):
    """A range is being read by somebody who doesn't end: it was not moved."""


class ManifestDiffers(LedgerError):
    """A range doesn't hold what its manifest says: it was not moved."""


class Archived(Struct, frozen=True):
    """A range that was moved, and how much was in it, of all partitions together."""

    range: int
    records: int
    transfers: int


class Outcome(Struct, frozen=True):
    """The ranges that were moved, oldest first, and why the next one stays."""

    moved: tuple[Archived, ...]
    stays: str


async def archive(
    url: str,
    *,
    before: datetime | None = None,
    kept_months: int = KEPT_MONTHS,
    on_moved: Callable[[Archived], None] = lambda _: None,
) -> Outcome:
    """Move every range that is ready, oldest first, as the superuser of `url`.

    A range is ready when it is full and closed in every partition, its manifest stands in the live journal, no passbook
    was last written in it, and its newest record is more than `kept_months` older than the ledger's newest, and made
    before `before`. Raises `NotSuperuser`, `ManifestDiffers`, `RangeBusy`, or another `LedgerError`.
    """
    moved: list[Archived] = []
    async with _operator(url) as connection:
        store = PostgresStore(url)
        try:
            while True:
                number = await connection.fetchval(_OLDEST)
                age = await connection.fetchval(_AGE, kept_months)
                if because := await _stays(store, number, age if before is None else min(age, before)):
                    return Outcome(tuple(moved), f"range {number} stays: {because}")
                manifests = [await _proved(store, partition, number) for partition in await store.partitions()]
                await _move(connection, number)
                moved.append(Archived(number, sum(m.records for m in manifests), sum(m.transfers for m in manifests)))
                on_moved(moved[-1])
        finally:
            await store.close()


async def _stays(store: Store, number: int, limit: datetime | None) -> str | None:
    """Say why a range can't be moved; None where it can."""
    for partition in await store.partitions():
        where = f"in partition {partition}"
        full = {one.number: one for one in await store.full_ranges(partition)}
        if number not in full or limit is None:
            return f"{where} it isn't full"
        if because := _too_early(full[number], limit):
            return f"{where} {because}"
        if await _manifest(store, partition, number) is None:
            return f"{where} its manifest isn't recorded; a running authorizer records it"
        if left := await store.last_written_in(partition, number, "", 1):
            return f"{where} passbook {left[0]} was last written in it; a running authorizer carries it over"
    return None


def _too_early(one: FullRange, limit: datetime) -> str | None:
    if one.newest >= limit:
        return f"its newest record, of {one.newest:%Y-%m-%d}, isn't older than {limit:%Y-%m-%d}"
    return None if one.closed else "it isn't closed; a running authorizer closes it"


async def _manifest(store: Store, partition: Partition, number: int) -> Manifest | None:
    """Read what was recorded of a range, in the passbook that bears its number."""
    passbook = HolderId(f"range:{number:06}")
    line = (await store.newest(partition, [passbook])).get(passbook)
    return None if line is None else msgspec.json.decode(line.position, type=Manifest)


async def _proved(store: Store, partition: Partition, number: int) -> Manifest:
    """Hold a range against its manifest, once more before it moves."""
    recorded, counted = await _manifest(store, partition, number), await store.manifest(partition, number)
    if recorded != counted:
        raise ManifestDiffers(f"range {number} of partition {partition} isn't as its manifest says: run ledger verify")
    return counted


@asynccontextmanager
async def _operator(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect as who may change the ledger's definition, and say so."""
    schema.require_address(url)
    with translated():
        connection = await asyncpg.connect(url, server_settings={"application_name": "ledger archive"})
        try:
            if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
                raise NotSuperuser("only a superuser can move a range to the archive: name one in --database")
            await connection.execute("SET ledger.ddl = 'archive'")
            yield connection
        finally:
            connection.terminate()


async def _move(connection: asyncpg.Connection, number: int) -> None:
    """Move a range's two tables. Raises `RangeBusy`."""
    size = await connection.fetchval("SELECT range_size FROM ledger.setting")
    begin, end = number * size, (number + 1) * size
    bounds = f"FOR VALUES FROM ({begin}) TO ({end})"
    tables = [(parent, f"{parent}_{number:06}") for parent in ("journal", "transfer")]
    # ATTACH would read every row under its lock, unless a constraint says already what lies in the table.
    for _, table in tables:
        await _patiently(
            connection,
            number,
            f"ALTER TABLE ledger.{table} DROP CONSTRAINT IF EXISTS within_range,"
            f" ADD CONSTRAINT within_range CHECK (seq IS NOT NULL AND seq >= {begin} AND seq < {end}) NOT VALID",
        )
        await _patiently(connection, number, f"ALTER TABLE ledger.{table} VALIDATE CONSTRAINT within_range")
    swap: list[str] = []
    for parent, table in tables:
        swap += [
            f"ALTER TABLE ledger.{parent} DETACH PARTITION ledger.{table}",
            f"ALTER TABLE ledger.{table} SET SCHEMA ledger_archive",
            f"REVOKE INSERT ON ledger_archive.{table} FROM ledger_owner",
            f"ALTER TABLE ledger_archive.{parent} ATTACH PARTITION ledger_archive.{table} {bounds}",
        ]
    await _patiently(connection, number, *swap)


async def _patiently(connection: asyncpg.Connection, number: int, *statements: str) -> None:
    """Change the definition in one transaction that seals it anew; where its locks aren't free at once, try again."""
    for _ in range(LOCK_ATTEMPTS_MAX):
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = {LOCK_PATIENCE_MS}")
                for statement in statements:
                    await connection.execute(statement)
                await connection.execute("SELECT ledger_guard.reseal()")
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(LOCK_PAUSE_MS / 1_000)
        else:
            return
    raise RangeBusy(f"range {number} was not moved, since somebody reads it without an end: try again later")
