"""Net positions: what each acquirer is owed for a business day, by merchant and product, less the contract's fees.

Only what the day's reconciliations matched counts, by the acquirer's own lines: nothing is owed for a break. A line
belongs to the day whose run matched it, so one that came late counts on the day on which it was found.
"""

from collections.abc import Sequence
from datetime import date

import asyncpg
from msgspec import Struct

from ledger.reconciliation.terms import Terms
from ledger.reconciliation.values import Stage
from ledger.store import LedgerError
from ledger.values import Cents

CLEARING_STAGES = (
    Stage.EXACT,
    Stage.TOLERATED,
    Stage.RETRIEVAL,
    Stage.WINDOW,
    Stage.SEVERAL_PAYMENTS,
    Stage.SEVERAL_LINES,
    Stage.ADJUSTMENT,
)
"""How a line of an acquirer's can have been matched; the other stages match entries of the bank's."""

RUNS_A_DAY_MAX = 100

_RUNS = """
SELECT id, key, day FROM reconciliation.run WHERE day = $1 ORDER BY id DESC LIMIT $2"""

_MATCHED = """
SELECT line.acquirer, line.merchant, line.product, sum(line.cents)::bigint AS cents,
       sum(line.payments)::bigint AS payments
  FROM reconciliation.matched_line AS matched
  JOIN reconciliation.clearing_line AS line ON line.file = matched.file AND line.line = matched.line
 WHERE matched.run = $1 AND matched.stage = ANY ($2)
 GROUP BY line.acquirer, line.merchant, line.product
 ORDER BY line.acquirer, line.merchant, line.product NULLS FIRST"""


class NotReconciled(LedgerError):
    """The day has no published run: reconcile it first."""


class NoTerms(LedgerError):
    """An acquirer is owed something, and the terms don't have it."""


class PublishedRun(Struct, frozen=True):
    """A reconciliation that was published."""

    id: int
    key: bytes
    day: date


class Position(Struct, frozen=True):
    """What one acquirer is owed for one merchant's payments with one product on a business day, in cents.

    `gross` is what its matched lines come to, refunds and reversals taken off; `fee` what the issuer keeps of that, and
    of each of the `payments`, by the tariff of the day: rounded once. `net` may be below 0.
    """

    acquirer: str
    merchant: str
    day: date
    product: str | None
    payments: int
    gross: Cents
    fee: Cents
    net: Cents


async def runs_of(connection: asyncpg.Connection, day: date) -> Sequence[PublishedRun]:
    """Return a day's published runs, newest first. Raises `NotReconciled`."""
    rows = await connection.fetch(_RUNS, day, RUNS_A_DAY_MAX)
    if not rows:
        raise NotReconciled(f"{day} isn't reconciled: run ledger reconcile {day} first")
    return [PublishedRun(row["id"], row["key"], row["day"]) for row in rows]


async def positions(connection: asyncpg.Connection, day: date, terms: Terms) -> Sequence[Position]:
    """Return a business day's positions, by acquirer, merchant and product. Raises `NotReconciled` or `NoTerms`."""
    found: list[Position] = []
    for run in await runs_of(connection, day):
        found += await positions_of(connection, run, terms)
    return summed(found)


async def positions_of(connection: asyncpg.Connection, run: PublishedRun, terms: Terms) -> Sequence[Position]:
    """Return what one run's matches come to, by acquirer, merchant and product. Raises `NoTerms`."""
    rows = await connection.fetch(_MATCHED, run.id, [str(one) for one in CLEARING_STAGES])
    return [_position(row, run.day, terms) for row in rows]


def summed(found: Sequence[Position]) -> Sequence[Position]:
    """Add up the positions of several runs of a day, in the order of their names."""
    sums: dict[tuple[str, str, date, str], Position] = {}
    for one in found:
        key = (one.acquirer, one.merchant, one.day, one.product or "")
        before = sums.get(key)
        sums[key] = one if before is None else _added(before, one)
    return [sums[key] for key in sorted(sums)]


def _added(one: Position, other: Position) -> Position:
    return Position(
        one.acquirer,
        one.merchant,
        one.day,
        one.product,
        one.payments + other.payments,
        Cents(one.gross + other.gross),
        Cents(one.fee + other.fee),
        Cents(one.net + other.net),
    )


def _position(row: asyncpg.Record, day: date, terms: Terms) -> Position:
    agreed = terms.of(row["acquirer"])
    if agreed is None:
        raise NoTerms(f"acquirer {row['acquirer']} isn't in the terms: add an [[acquirer]] for it")
    gross = Cents(row["cents"])
    fee = agreed.fee(day, row["product"], gross, row["payments"])
    return Position(
        row["acquirer"], row["merchant"], day, row["product"], row["payments"], gross, fee, Cents(gross - fee)
    )
