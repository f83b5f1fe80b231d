"""The bank of the month: the account that holds the money behind the vouchers, day by day.

What clients pay comes in on the day on which the ledger has it, and what acquirers are paid goes out the day after it
was asked for. Some of what came in doesn't bear the name under which it was paid: then the ledger lacks an entry, the
bank has one too many, and the account's balance is what it should be all the same.
"""

import random
from collections.abc import Sequence
from datetime import date

from benchmarks.month_claims import Injected
from benchmarks.month_files import Booked
from benchmarks.month_ledger import Paid
from benchmarks.month_world import VOUCHER_IBAN, Shape
from ledger.reconciliation.values import Cause
from ledger.values import Cents


class Bank:
    """Books day after day. `injected` is what bears no name, or is lacking."""

    def __init__(self, shape: Shape, opening: Cents) -> None:
        self.injected: list[Injected] = []
        self.opening = self.balance = opening
        self._chance = random.Random(shape.seed + 2)
        self._nameless = dict.fromkeys(shape.all_dates, 0)
        for number in range(shape.of_each):
            self._nameless[shape.dates[number * shape.days // shape.of_each]] += 1

    def book(self, day: date, paid: Sequence[Paid], payouts: Sequence[Booked], file: str) -> Sequence[Booked]:
        """Give a day's entries, for a statement of the name `file`."""
        nameless = {one.seq for one in self._chance.sample(paid, self._nameless[day])}
        entries = list(payouts)
        for one in paid:
            lost = one.seq in nameless
            entries.append(_transfer(one, len(entries) + 1, lost=lost))
            if lost:
                lacking = Injected(cause=Cause.MISSING_IN_BANK, source=VOUCHER_IBAN, day=day, seq=one.seq)
                many = Injected(cause=Cause.UNEXPLAINED_ENTRY, source=VOUCHER_IBAN, day=day, file=file)
                many.entry = len(entries)
                self.injected += (lacking, many)
        self.balance = Cents(self.balance + sum(one.cents for one in entries))
        return entries


def _transfer(one: Paid, number: int, *, lost: bool) -> Booked:
    reference = f"B{one.day:%Y%m%d}{number:05}"
    if lost:
        return Booked(one.cents, reference, None, "Trésorerie générale", "VIREMENT")
    return Booked(one.cents, reference, one.reference, f"Client {one.client}", one.reference)
