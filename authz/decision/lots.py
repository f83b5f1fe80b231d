"""Lots: what can be spent on a day, taking from the oldest, and adding.

A purse's lots stand oldest expiry first and none is empty: `add` and `take` keep it so. Spending in that order
is what keeps vintage N untouched while N-1 is valid and not used up (R3262-5).
"""

from datetime import date

from authz.decision.refused import LotDiffers
from ledger.values import Cents, Lot, Part, Purse


def valid(lot: Lot, product: str, day: date) -> bool:
    """Tell whether a lot of this product can be spent on a day."""
    return lot.product == product and lot.valid_from <= day <= lot.valid_until


def available(purse: Purse, product: str, day: date) -> Cents:
    """Sum up what of a product can be spent on a day. What holds set aside is out of the lots already."""
    return Cents(sum(lot.amount for lot in purse.lots if valid(lot, product, day)))


def lapsed(purse: Purse, product: str, day: date) -> Cents:
    """Sum up what of a product expired unspent before a day, whether or not it has been swept."""
    return Cents(sum(lot.amount for lot in purse.lots if lot.product == product and lot.valid_until < day))


def take(purse: Purse, product: str, day: date, amount: Cents) -> tuple[tuple[Lot, ...], tuple[Part, ...]]:
    """Take `amount`, which must be available, from the oldest valid lots: the lots left, and what each gave."""
    left, lots, parts = amount, [], []
    for lot in purse.lots:
        taken = min(lot.amount, left) if valid(lot, product, day) else 0
        if taken:
            parts.append(Part(lot.name, lot.valid_from, lot.valid_until, Cents(taken)))
            left = Cents(left - taken)
        if taken < lot.amount:
            lots.append(Lot(lot.product, lot.name, lot.valid_from, lot.valid_until, Cents(lot.amount - taken)))
    assert left == 0, "more was taken than is available"
    return tuple(lots), tuple(parts)


def add(lots: tuple[Lot, ...], new: Lot) -> tuple[Lot, ...]:
    """Put a lot in its place, or what it holds into the one of its name. Raises `LotDiffers` if their days differ."""
    same = next((lot for lot in lots if (lot.product, lot.name) == (new.product, new.name)), None)
    if same is None:
        return tuple(sorted((*lots, new), key=_age))
    if (same.valid_from, same.valid_until) != (new.valid_from, new.valid_until):
        raise LotDiffers
    merged = Lot(same.product, same.name, same.valid_from, same.valid_until, Cents(same.amount + new.amount))
    return tuple(merged if lot is same else lot for lot in lots)


def _age(lot: Lot) -> tuple[date, date, str, str]:
    return lot.valid_until, lot.valid_from, lot.product, lot.name
