"""Reading the books to be exported: who stood where before the period, and every record in it that moved money.

Each statement reads a bounded stretch of seqs and is a transaction of its own, up to heads noted at the start:
append-only makes what is read consistent, also where the ledger is being written, and memory holds no more than a
chunk a partition, and the accounts' names.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from heapq import heapify, heappop, heapreplace
from itertools import groupby
from operator import itemgetter
from zoneinfo import ZoneInfo

import asyncpg
from msgspec import Struct

from ledger.balances import last_record, standing
from ledger.reading import Progress, heads, partitions
from ledger.shortfalls import EVER, Period
from ledger.store import LedgerError
from ledger.values import Account, Cents, Partition, Seq, Transfer

CHUNK_SEQS = 5_000
"""Seqs whose records and transfers one statement returns."""

# Two reads by key, and no join: the planner knows nothing yet of a range that has just begun.
_RECORDS = """
SELECT seq, at, kind, reason FROM ledger.whole_journal WHERE partition = $1 AND seq > $2 AND seq <= $3"""

_TRANSFERS = """
SELECT seq, debit, credit, amount FROM ledger.whole_transfer
 WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq, line"""


class ExportError(LedgerError):
    """The books could not be exported."""


class Posted(Struct, frozen=True, gc=False):
    """A record that moved money: decided at `at`, in UTC; its transfers in the order of their lines, from 1 on."""

    partition: Partition
    seq: Seq
    at: datetime
    kind: str
    reason: str
    transfers: tuple[Transfer, ...]

    @property
    def name(self) -> str:
        """The record's name, as reports write it: partition:seq."""
        return f"{self.partition}:{self.seq}"


class Books(Struct, frozen=True):
    """What a format writes down. `posted` can be gone through once.

    `opening` is each account's balance before the period, credits less debits, those at 0 left out: it adds up to 0.
    `begins` is the day on which the period begins, None where it begins with the ledger; days are those of `zone`.
    """

    begins: date | None
    zone: ZoneInfo
    opening: Mapping[Account, Cents]
    posted: AsyncIterator[Posted]

    def day(self, posted: Posted) -> date:
        """The date that a record bears."""
        return posted.at.astimezone(self.zone).date()


async def open_books(
    connection: asyncpg.Connection,
    zone: ZoneInfo,
    period: Period = EVER,
    *,
    only: Partition | None = None,
    progress: Progress | None = None,
) -> Books:
    """Note how far the ledger has come, and begin to read a period of it, of all partitions or of one.

    Records come by their instants, and among those of one instant by partition. Raises `PartitionUnknown`.
    """
    noted = await heads(connection)
    chosen = [
        await _stretch(connection, partition, noted[partition], period)
        for partition in await partitions(connection, only)
    ]
    return Books(
        begins=None if period.begin is None else period.begin.astimezone(zone).date(),
        zone=zone,
        opening=await _balances(connection, chosen),
        posted=_merged([_read(connection, stretch, progress) for stretch in chosen]),
    )


class _Stretch(Struct, frozen=True, gc=False):
    """A partition's records `after` < seq <= `through`."""

    partition: Partition
    after: Seq
    through: Seq


async def _stretch(connection: asyncpg.Connection, partition: Partition, head: Seq, period: Period) -> _Stretch:
    """Find a period's records among those up to `head`."""
    after, through = Seq(0), head
    if (end := period.end) is not None:
        through = await last_record(connection, partition, head, lambda at: at < end)
    if (begin := period.begin) is not None:
        after = await last_record(connection, partition, through, lambda at: at < begin)
    return _Stretch(partition, after, through)


async def _balances(connection: asyncpg.Connection, chosen: Sequence[_Stretch]) -> Mapping[Account, Cents]:
    """Add up what is before the stretches, beginning at the last closing before each."""
    totals: Counter[Account] = Counter()
    for stretch in chosen:
        for (account, _), cents in (await standing(connection, stretch.partition, stretch.after)).items():
            totals[account] += cents
    return {account: Cents(cents) for account, cents in sorted(totals.items()) if cents}


async def _read(connection: asyncpg.Connection, stretch: _Stretch, progress: Progress | None) -> AsyncIterator[Posted]:
    """Read one partition's records in their order, those that moved money."""
    for after in range(stretch.after, stretch.through, CHUNK_SEQS):
        through = Seq(min(after + CHUNK_SEQS, stretch.through))
        chunk = (stretch.partition, after, through)
        records = {row["seq"]: row for row in await connection.fetch(_RECORDS, *chunk)}
        for seq, lines in groupby(await connection.fetch(_TRANSFERS, *chunk), key=itemgetter("seq")):
            yield _posted(stretch.partition, records[seq], lines)
        if progress is not None:
            progress(stretch.partition, through, stretch.through)


def _posted(partition: Partition, record: asyncpg.Record, lines: Iterable[asyncpg.Record]) -> Posted:
    return Posted(
        partition=partition,
        seq=Seq(record["seq"]),
        at=record["at"].astimezone(UTC),
        kind=record["kind"],
        reason=record["reason"],
        transfers=tuple(Transfer(line["debit"], line["credit"], line["amount"]) for line in lines),
    )


async def _merged(partitions: Sequence[AsyncIterator[Posted]]) -> AsyncIterator[Posted]:
    """Put the records of partitions, each in the order of its instants, into one such order."""
    waiting = [
        (posted.at, number, posted, records)
        for number, records in enumerate(partitions)
        if (posted := await anext(records, None)) is not None
    ]
    heapify(waiting)
    while waiting:
        _, number, posted, records = waiting[0]
        yield posted
        if (following := await anext(records, None)) is None:
            heappop(waiting)
        else:
            heapreplace(waiting, (following.at, number, following, records))
