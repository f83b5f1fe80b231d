"""What acquirers are to be paid for the month, worked out from what was made of it: held against the payment files.

A line that asks for what nobody owes is not paid; all others are, on the day in whose file they stand. The fee is a
share of what a merchant sold in a day, rounded half up, and something for each payment.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

import asyncpg

from benchmarks.month_claims import Claim
from benchmarks.month_files import FEES
from benchmarks.month_world import House
from ledger.reconciliation.values import Cause
from ledger.values import Cents

VAIN = frozenset({Cause.DUPLICATE, Cause.UNKNOWN_TERMINAL, Cause.AMOUNT_DIFFERS, Cause.MISSING_IN_LEDGER})
ONE = 10_000
"""Basis points."""
_PAID = "SELECT acquirer, day, gross, net FROM reconciliation.payout ORDER BY acquirer, day"


class Payout(NamedTuple):
    """What an acquirer is paid for a day, in cents: before the fee, and after it."""

    acquirer: str
    day: date
    gross: Cents
    net: Cents


class Owed:
    """Adds up what the lines of files are worth."""

    def __init__(self) -> None:
        self._sold: dict[tuple[str, date], dict[str, list[int]]] = {}

    def add(self, house: House, day: date, claims: Sequence[Claim]) -> None:
        """Count the lines of an acquirer's file."""
        sold: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for claim in claims:
            if not _is_vain(claim):
                sold[claim.movement.merchant][0] += claim.movement.cents
                sold[claim.movement.merchant][1] += claim.payments
        self._sold[house.id, day] = sold

    def payouts(self) -> Sequence[Payout]:
        """Give what is paid, by acquirer and day. What isn't above 0 is carried to the acquirer's next day."""
        paid, left = [], dict.fromkeys(FEES, (0, 0))
        for (acquirer, day), sold in sorted(self._sold.items()):
            gross, net = left[acquirer]
            gross += sum(cents for cents, _ in sold.values())
            net += sum(cents - _fee(acquirer, cents, payments) for cents, payments in sold.values())
            left[acquirer] = (gross, net) if net <= 0 else (0, 0)
            if net > 0:
                paid.append(Payout(acquirer, day, Cents(gross), Cents(net)))
        return paid


async def paid(url: str) -> Sequence[Payout]:
    """Read what payment files paid."""
    connection = await asyncpg.connect(url)
    try:
        return [Payout(*row) for row in await connection.fetch(_PAID)]
    finally:
        await connection.close()


def by_acquirer(payouts: Sequence[Payout]) -> Mapping[str, Cents]:
    """Sum up what each acquirer gets."""
    sums: dict[str, Cents] = {}
    for one in payouts:
        sums[one.acquirer] = Cents(sums.get(one.acquirer, 0) + one.net)
    return sums


def _is_vain(claim: Claim) -> bool:
    about = claim.about
    return about is not None and (about.cause in VAIN or (about.cause is Cause.REVERSED_LATE and about.seq is None))


def _fee(acquirer: str, cents: int, payments: int) -> int:
    basis_points, each = FEES[acquirer]
    share = (abs(cents) * basis_points + ONE // 2) // ONE
    return (share if cents >= 0 else -share) + payments * each
