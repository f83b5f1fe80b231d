"""What acquirers advised and no balance could cover: the movements of their exceptions accounts.

A completion or an advice tells of money that has changed hands already, and can't be refused: what the holder's
balance doesn't cover is owed to the acquirer all the same, and its exceptions account says so until it is given back.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import asyncpg
from msgspec import Struct

from ledger.reading import heads, reader, windows
from ledger.values import Cents, HolderId, Partition, Seq

# LATERAL and LIMIT 1 keep the journal read by key, whatever the planner knows of a range that has just begun.
_MOVEMENTS = """
SELECT moved.seq, j.at, j.kind, j.holder, split_part(moved.account, ':', 2) AS acquirer, moved.cents
  FROM (
       SELECT seq, line, debit AS account, amount AS cents FROM ledger.whole_transfer
        WHERE partition = $1 AND seq > $2 AND seq <= $3 AND debit LIKE 'acquirer:%:exceptions'
        UNION ALL
       SELECT seq, line, credit, -amount FROM ledger.whole_transfer
        WHERE partition = $1 AND seq > $2 AND seq <= $3 AND credit LIKE 'acquirer:%:exceptions'
  ) AS moved
  CROSS JOIN LATERAL (
       SELECT at, kind, holder FROM ledger.whole_journal WHERE partition = $1 AND seq = moved.seq LIMIT 1
  ) AS j
 ORDER BY moved.seq, moved.line"""


class Period(Struct, frozen=True):
    """The instants from `begin` on and before `end`. None leaves that side open."""

    begin: datetime | None = None
    end: datetime | None = None

    def __contains__(self, at: datetime) -> bool:
        return (self.begin is None or self.begin <= at) and (self.end is None or at < self.end)


EVER = Period()


class Shortfall(Struct, frozen=True, gc=False):
    """One movement of an acquirer's exceptions account: `cents` is what no balance covered; below 0, given back."""

    partition: Partition
    seq: Seq
    at: datetime
    kind: str
    holder: HolderId | None
    acquirer: str
    cents: Cents


class Totals(Struct, frozen=True, gc=False):
    """Sums of movements: those of a period, of which `advised` less `given_back` is the balance of, in cents.

    `outstanding` is what has not been given back of all there ever were, in the period or not.
    """

    movements: int
    advised: Cents
    given_back: Cents
    outstanding: Cents


class Shortfalls(Struct, frozen=True):
    """The movements of a period in the order of their instants, and their sums by acquirer and in all.

    An acquirer is there if it has a movement in the period, or something outstanding.
    """

    movements: tuple[Shortfall, ...]
    acquirers: Mapping[str, Totals]
    total: Totals


async def shortfalls(url: str, period: Period = EVER, acquirer: str | None = None) -> Shortfalls:
    """Report the shortfalls of a period: every acquirer's, or one's. Raises a `LedgerError`.

    Reads every transfer up to the heads noted at the start, for what is outstanding depends on all of them.
    """
    ever: list[Shortfall] = []
    async with reader(url) as connection:
        for partition, head in (await heads(connection)).items():
            for after, through in windows(Seq(0), head):
                rows = await connection.fetch(_MOVEMENTS, partition, after, through)
                ever += [_shortfall(partition, row) for row in rows]
    return summed([one for one in ever if acquirer in (None, one.acquirer)], period)


def summed(ever: Sequence[Shortfall], period: Period) -> Shortfalls:
    """Choose the movements of a period, and add up."""
    acquirers = {name: _totals((one for one in ever if one.acquirer == name), period) for name in _acquirers(ever)}
    return Shortfalls(
        movements=tuple(sorted((one for one in ever if one.at in period), key=lambda one: one.at)),
        acquirers={name: sums for name, sums in acquirers.items() if sums.movements or sums.outstanding},
        total=_totals(ever, period),
    )


def _acquirers(movements: Iterable[Shortfall]) -> Sequence[str]:
    return sorted({one.acquirer for one in movements})


def _totals(movements: Iterable[Shortfall], period: Period) -> Totals:
    ever = list(movements)
    cents = [one.cents for one in ever if one.at in period]
    return Totals(
        movements=len(cents),
        advised=Cents(sum(one for one in cents if one > 0)),
        given_back=Cents(-sum(one for one in cents if one < 0)),
        outstanding=Cents(sum(one.cents for one in ever)),
    )


def _shortfall(partition: Partition, row: asyncpg.Record) -> Shortfall:
    return Shortfall(
        partition=partition,
        seq=Seq(row["seq"]),
        at=row["at"].astimezone(UTC),
        kind=row["kind"],
        holder=row["holder"] and HolderId(row["holder"]),
        acquirer=row["acquirer"],
        cents=Cents(row["cents"]),
    )
