"""Numbered SQL files: applied once each and in order, by one program at a time; and who can run on what was applied.

A program knows a schema up to its newest file. It runs on any schema from the oldest that it still understands up to
its own, and on newer ones for as long as every newer file says that this program still can (docs/upgrading.md).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import msgspec
from msgspec import Struct

from ledger.store import LedgerError

APPLY_LOCK = 0x6C6564676572
"""Advisory lock: one program at a time applies files to a database."""
LOCK_WAIT_MS = 500
"""How long a file waits for a table: whoever wants that table meanwhile, payments among them, waits behind it."""
ATTEMPTS_MAX = 20
BETWEEN_ATTEMPTS_MS = 500

_PROGRAM_MIN = re.compile(r"^-- program_min: (\d+)$", re.MULTILINE)


class SchemaTooNew(LedgerError):
    """The database's schema is newer than this program: run the newer program."""


class SchemaTooOld(LedgerError):
    """The database's schema is older than this program, or absent: create it with this program, as a superuser."""


class SchemaInUse(LedgerError):
    """Somebody holds a table for so long that the schema can't be brought up to date: try again later."""


class Migration(Struct, frozen=True):
    """One numbered file."""

    number: int
    name: str
    script: str

    @property
    def program_min(self) -> int:
        """The oldest program that can run once this is applied, by the newest file that it knows.

        >>> Migration(9, "0009_notes.sql", "-- program_min: 8").program_min
        8
        >>> Migration(10, "0010_other.sql", "").program_min
        10
        """
        said = _PROGRAM_MIN.search(self.script)
        return int(said[1]) if said else self.number


class Version(Struct, frozen=True):
    """How far a schema has come: its newest file (0: there is none), and the oldest program that can run on it."""

    newest: int
    program_min: int


def require_runnable(name: str, version: Version, oldest: int, known: int) -> None:
    """Raise `SchemaTooOld` or `SchemaTooNew` where a program can't run on the schema of a name.

    It runs on schemas from file `oldest` on, and knows them up to file `known`.
    """
    if version.program_min > known:
        raise SchemaTooNew(
            f"schema {name} is at {version.newest}, for programs that know it up to {version.program_min} at least;"
            f" this one knows it up to {known}: run the newer program"
        )
    if version.newest < oldest:
        raise SchemaTooOld(
            f"schema {name} is at {version.newest}, this program needs {oldest}: bring it up to date as a superuser,"
            " by authz create --database URL"
        )


async def applied_version(connection: asyncpg.Connection, table: str) -> Version:
    """Read how far a schema has come from the table of its applied files, which may be older than `program_min`.

    Raises what the driver raises where there is no such table.
    """
    program_min = "coalesce((to_jsonb(applied) ->> 'program_min')::int, number)"
    [row] = await connection.fetch(
        f"SELECT max(number) AS newest, max({program_min}) AS program_min FROM {table} AS applied"  # noqa: S608
    )
    return Version(row["newest"] or 0, row["program_min"] or 0)


async def version_of(connection: asyncpg.Connection, table: str) -> Version:
    """Read how far a schema has come; 0 where its table of applied files isn't there."""
    there = await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", table)
    return await applied_version(connection, table) if there else Version(0, 0)


async def apply(connection: asyncpg.Connection, table: str, files: Sequence[Migration], newest: int) -> None:
    """Apply the files above `newest`, and list them in a table, which one of the files has made.

    A listing older than one of its columns takes those that it has.
    """
    missing = [migration for migration in files if migration.number > newest]
    for migration in missing:
        await connection.execute(migration.script)
    rows = [{"number": one.number, "name": one.name, "program_min": one.program_min} for one in missing]
    await connection.execute(
        f"INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1::text::jsonb)",  # noqa: S608
        msgspec.json.encode(rows).decode(),
    )


async def in_turn(superuser_url: str, work: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
    """Do work on a schema in one transaction, one program at a time. Raises `SchemaInUse`, and what the work raises.

    Where a table is held for longer than `LOCK_WAIT_MS`, the transaction gives way to those who wait behind it, and is
    tried again.
    """
    connection = await asyncpg.connect(superuser_url)
    try:
        for _ in range(ATTEMPTS_MAX):
            try:
                async with connection.transaction():
                    await connection.execute("SELECT pg_advisory_xact_lock($1)", APPLY_LOCK)
                    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT_MS}ms'")
                    return await work(connection)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await asyncio.sleep(BETWEEN_ATTEMPTS_MS / 1_000)
        raise SchemaInUse(
            "the schema can't be brought up to date: its tables are in use; end long reads, and try again"
        )
    finally:
        await connection.close()
