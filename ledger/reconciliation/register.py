"""The register of files that were taken in, table `file`: each is named by the hash of its bytes, and in it once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from enum import StrEnum
from pathlib import Path

import asyncpg
from msgspec import Struct
from msgspec.structs import astuple

from ledger.reading import reader
from ledger.reconciliation.statements import statements
from ledger.store import LedgerError
from ledger.values import Cents

_SQL = statements("importing")


class MayNotImport(LedgerError):
    """The role can't add to the reconciliation."""


class Kind(StrEnum):
    """What a file is."""

    CLEARING = "clearing"
    STATEMENT = "statement"


class Quarantined(Struct, frozen=True, gc=False):
    """A line that was left out, and why."""

    line: int
    reason: str


class Imported(Struct, frozen=True):
    """A file that is in. `already`: it was before, and nothing happened.

    `lines` are those that count: `quarantined` are none of them. `debits` is what they ask for, or what a statement's
    entries brought, in cents; `credits` what they give back, or took.
    """

    path: str
    sha256: str
    already: bool
    name: str
    kind: Kind
    format: str
    source: str
    day: date
    lines: int
    debits: Cents
    credits: Cents
    quarantined: tuple[Quarantined, ...] = ()


class Entry(Struct, frozen=True, kw_only=True):
    """A file's row in the register, in the order of its columns. `totals` is JSON: what the file states of itself."""

    sha256: bytes
    kind: Kind
    format: str
    name: str
    source: str
    day: date
    lines: int
    quarantined: int = 0
    totals: str


@asynccontextmanager
async def writer(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect as who may add to the reconciliation. Raises `MayNotImport`, and what `reader` raises."""
    async with reader(url) as connection:
        if not await connection.fetchval(_SQL["may_import"]):
            raise MayNotImport("this role can't add to the reconciliation: connect as role reconciler")
        yield connection


async def found(connection: asyncpg.Connection, path: Path, sha256: bytes, *, already: bool) -> Imported | None:
    """Look a file up by the hash of its bytes. None: it isn't in."""
    row = await connection.fetchrow(_SQL["found"], sha256)
    if row is None:
        return None
    lines = await connection.fetch(_SQL["quarantined"], row["id"]) if row["quarantined"] else []
    return Imported(
        path=str(path),
        sha256=sha256.hex(),
        already=already,
        name=row["name"],
        kind=Kind(row["kind"]),
        format=row["format"],
        source=row["source"],
        day=row["day"],
        lines=row["lines"],
        debits=Cents(row["debits"]),
        credits=Cents(row["credits"]),
        quarantined=tuple(Quarantined(one["line"], one["reason"]) for one in lines),
    )


async def number_for(connection: asyncpg.Connection, entry: Entry) -> int:
    """Give a file its number before its lines: it is entered, and that is undone, but no number is given twice.

    So whatever would refuse it does so before a line of it is in. Raises `asyncpg.UniqueViolationError` where it is in.
    """
    rehearsal = connection.transaction()
    await rehearsal.start()
    try:
        return int(await connection.fetchval(_SQL["entered"], *astuple(entry)))
    finally:
        await rehearsal.rollback()


async def enter(connection: asyncpg.Connection, entry: Entry, number: int) -> None:
    """Enter a file under its number. Raises `asyncpg.UniqueViolationError` for one that is in."""
    await connection.execute(_SQL["entered_as"], *astuple(entry), number)
