"""Runs: what a reconciliation was made from, what came of it, and how it is published.

A run's key is the hash of all that it was made from, and names it: the same again is the same run. It is published in
one transaction, so that half a run doesn't exist.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from hashlib import sha256

import asyncpg
import msgspec
from msgspec import Struct

from ledger.reconciliation.statements import statements
from ledger.reconciliation.terms import Terms
from ledger.reconciliation.values import Break, Cause, Stage
from ledger.store import LedgerError
from ledger.values import Cents, Partition, Seq

MATCHES_A_RUN_MAX = 400_000
"""What a transaction of 5 s surely publishes."""
LOCK_TIMEOUT_S = 3
LOCK_TRIES_MAX = 3
"""Together longer than the last statement of a session that was killed."""

_sql = statements("runs")


class DayPassed(LedgerError):
    """A newer day is reconciled, and this one never was."""


class NeverReconciled(LedgerError):
    """The day has no run."""


class AnotherRun(LedgerError):
    """Another reconciliation is under way."""


class DayTooLarge(LedgerError):
    """A run has more matches than a short transaction can publish."""


class Head(Struct, frozen=True):
    """How far a run reads a partition: the last record's number, and its hash in hexadecimal."""

    seq: Seq
    hash: str


class Inputs(Struct, frozen=True):
    """What else a run is made from, in hexadecimal: digest of the terms, the run before, the files that are new to it.

    `adjustments` are those that are new to it, as partition:seq. `payments` is a digest of the payment files up to its
    day, and `journal` how far each partition had come, beyond the day's end: the bank's entries are held against both.
    """

    terms: str
    previous: str | None
    files: tuple[str, ...]
    adjustments: tuple[str, ...]
    payments: str
    journal: Mapping[Partition, Seq]


class File(Struct, frozen=True, gc=False):
    """A file that was taken in. `new`: no run has taken it up yet."""

    id: int
    kind: str
    sha256: bytes
    new: bool


class Sums(Struct, frozen=True):
    """How many, and what they come to."""

    number: int
    cents: Cents


class Side(Struct, frozen=True):
    """One acquirer, in cents: what the ledger and the lines have of the day, and what was matched in this run.

    `open_movements` and `open_lines` are what is left of either side, of this day and earlier ones.
    """

    ledger: Cents
    clearing: Cents
    matched: Cents
    open_movements: Cents
    open_lines: Cents


class Summary(Struct, frozen=True):
    """What came of a run: matches by stage, breaks by cause (their cents: found less expected), acquirers.

    `pending`: the days of what is open and may still come, or belongs to a line's break: the next run reads it again.
    """

    matched: Mapping[Stage, Sums]
    breaks: Mapping[Cause, Sums]
    acquirers: Mapping[str, Side]
    pending: tuple[date, ...]

    @property
    def found(self) -> int:
        """How many breaks there are."""
        return sum(one.number for one in self.breaks.values())


class Run(Struct, frozen=True):
    """A reconciliation that was published. `id` is its place among all; `key` says what it was made from."""

    id: int
    key: bytes
    day: date
    heads: Mapping[Partition, Head]
    inputs: Inputs
    summary: Summary


class Listed(Struct, frozen=True):
    """A break with the name and the hash of its file."""

    one: Break
    file_name: str | None = None
    sha256: str | None = None


def key_of(day: date, heads: Mapping[Partition, Head], inputs: Inputs) -> bytes:
    """Make a run's key: SHA-256 over all that it is made from."""
    return sha256(msgspec.json.encode((day, heads, inputs))).digest()


def digest(terms: Terms) -> str:
    """Make the digest of what the terms say, however they are written."""
    return sha256(msgspec.json.encode(terms)).hexdigest()


async def lock(connection: asyncpg.Connection) -> None:
    """Be the only reconciliation of this database for as long as the connection lasts. Raises `AnotherRun`."""
    await connection.execute(f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'")
    for _ in range(LOCK_TRIES_MAX):
        try:
            await connection.execute(_sql["lock"])
        except asyncpg.LockNotAvailableError:
            continue
        return
    raise AnotherRun("another reconciliation is under way: wait until it is through")


async def newest(connection: asyncpg.Connection, day: date | None = None) -> Run | None:
    """Return the newest run, of a day or of all; None: there is none."""
    if day is None:
        return _run(await connection.fetchrow(_sql["newest"]))
    return _run(await connection.fetchrow(_sql["newest_of_day"], day))


async def files(connection: asyncpg.Connection, day: date) -> Sequence[File]:
    """Return the files up to a day, and those that a run has taken up, in the order in which they came."""
    return [File(*row) for row in await connection.fetch(_sql["files"], day)]


async def adjusted(connection: asyncpg.Connection) -> Sequence[str]:
    """Return the adjustments that runs have taken up, as partition:seq."""
    return [row["record"] for row in await connection.fetch(_sql["adjusted"])]


async def head_of(connection: asyncpg.Connection, partition: Partition, seq: Seq) -> Head:
    """Name a place in a partition by its record's hash; before the first record, by none."""
    found = await connection.fetchval(_sql["hash_at"], partition, seq)
    return Head(seq, "" if found is None else found.hex())


async def carry(connection: asyncpg.Connection, before: Run) -> None:
    """Copy what was open in the run before into the work tables."""
    await connection.execute(_sql["carry"], before.id)
    await connection.execute(_sql["carried"])


async def summed(connection: asyncpg.Connection, waited_for: Sequence[date]) -> Summary:
    """Sum up what is in the work tables."""
    matched = {
        Stage(stage): Sums(n, cents) for stage, n, cents in await connection.fetch(_sql["matched"], _names(Stage))
    }
    broken = {Cause(cause): Sums(n, cents) for cause, n, cents in await connection.fetch(_sql["broken"], _names(Cause))}
    sides = {acquirer: Side(*cents) for acquirer, *cents in await connection.fetch(_sql["sides"])}
    return Summary(matched, broken, sides, tuple(waited_for))


async def payments(connection: asyncpg.Connection, day: date) -> str:
    """Name the payment files up to a day by one digest, in hexadecimal."""
    digest: str = await connection.fetchval(_sql["payments"], day)
    return digest


async def publish(
    connection: asyncpg.Connection, day: date, heads: Mapping[Partition, Head], inputs: Inputs, summary: Summary
) -> Run:
    """Write what is in the work tables for good, all or nothing. Raises `DayTooLarge`."""
    matches = sum(one.number for one in summary.matched.values())
    if matches > MATCHES_A_RUN_MAX:
        raise DayTooLarge(f"{day} has {matches:,} matches: a run has at most {MATCHES_A_RUN_MAX:,}")
    key = key_of(day, heads, inputs)
    texts = [msgspec.json.encode(one).decode() for one in (heads, inputs, summary)]
    async with connection.transaction():
        number = await connection.fetchval(_sql["publish_run"], key, day, *texts)
        for name in ("publish_matches", "publish_waiting", "publish_waiting_lines"):
            await connection.execute(_sql[name], number)
        await connection.execute(_sql["publish_breaks"], number, day, _names(Cause))
    return Run(number, key, day, heads, inputs, summary)


async def listed(connection: asyncpg.Connection, run: Run, cause: Cause | None = None) -> Sequence[Listed]:
    """Return a run's breaks, or those of one cause, in the order of the causes."""
    rows = await connection.fetch(_sql["breaks"], run.id, cause and str(cause))
    return [
        Listed(
            msgspec.convert({name: row[name] for name in Break.__struct_fields__}, Break), row["name"], row["sha256"]
        )
        for row in rows
    ]


def _names(words: type[StrEnum]) -> Sequence[str]:
    return [str(word) for word in words]


def _run(row: asyncpg.Record | None) -> Run | None:
    if row is None:
        return None
    return Run(
        id=row["id"],
        key=row["key"],
        day=row["day"],
        heads=msgspec.json.decode(row["heads"], type=dict[Partition, Head]),
        inputs=msgspec.json.decode(row["inputs"], type=Inputs),
        summary=msgspec.json.decode(row["summary"], type=Summary),
    )
