"""Lots: what can be spent on a day, taking from the oldest, adding, giving back, expiring.

A purse's lots stand oldest expiry first and none is empty: `add` and `take` keep it so. Spending in that order
is what keeps vintage N untouched while N-1 is valid and not used up (R3262-5).
"""

from datetime import date

from msgspec.structs import replace

from authz.decision.refused import LotDiffers
from ledger import accounts
from ledger.values import Account, Cents, HolderId, Lot, Part, Purse, Transfer


def valid(lot: Lot, product: str, day: date) -> bool:
    """Tell whether a lot of this product can be spent on a day."""
    return lot.product == product and lot.valid_from <= day <= lot.valid_until


def available(purse: Purse, product: str, day: date) -> Cents:
    """Sum up what of a product can be spent on a day. What holds set aside is out of the lots already."""
    return Cents(sum(lot.amount for lot in purse.lots if valid(lot, product, day)))


def lapsed(purse: Purse, product: str, day: date) -> Cents:
    """Sum up what of a product expired unspent before a day, whether or not it has been swept."""
    swept = sum(lot.amount for lot in purse.expired if lot.product == product)
    return Cents(swept + sum(lot.amount for lot in purse.lots if lot.product == product and lot.valid_until < day))


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
    same = _same(lots, new)
    if same is not None and (same.valid_from, same.valid_until) != (new.valid_from, new.valid_until):
        raise LotDiffers
    return _put(lots, new)


def give_back(
    holder: HolderId, purse: Purse, product: str, parts: tuple[Part, ...], today: date, source: Account | None = None
) -> tuple[Purse, tuple[Transfer, ...]]:
    """Put parts back into the very lots they came from, and on to the expired ones where a lot's time is over.

    They come from `source`, or, without one, from what holds have set aside.
    """
    transfers: list[Transfer] = []
    for part in parts:
        lot = Lot(product, part.lot, part.valid_from, part.valid_until, part.amount)
        own = accounts.of_holder(holder, product, part.lot)
        transfers.append(Transfer(source or accounts.of_hold(holder, product, part.lot), own, part.amount))
        purse = replace(purse, lots=_put(purse.lots, lot))
    purse, expiry = expire(holder, purse, today) if parts else (purse, ())
    return purse, (*transfers, *expiry)


def expire(holder: HolderId, purse: Purse, today: date) -> tuple[Purse, tuple[Transfer, ...]]:
    """Move what expired unspent before a day to where it waits to be exchanged."""
    over = [lot for lot in purse.lots if lot.valid_until < today]
    expired = purse.expired
    for lot in over:
        expired = _put(expired, lot)
    transfers = tuple(
        Transfer(
            accounts.of_holder(holder, lot.product, lot.name),
            accounts.expired(holder, lot.product, lot.name),
            lot.amount,
        )
        for lot in over
    )
    left = tuple(lot for lot in purse.lots if lot not in over)
    return replace(purse, lots=left, expired=expired), transfers


def _put(lots: tuple[Lot, ...], new: Lot) -> tuple[Lot, ...]:
    """Put a lot in its place, or what it holds into the one of its name, whose days may have been prolonged."""
    same = _same(lots, new)
    if same is None:
        return tuple(sorted((*lots, new), key=_age))
    more = replace(same, amount=Cents(same.amount + new.amount))
    return tuple(more if lot is same else lot for lot in lots)


def _same(lots: tuple[Lot, ...], new: Lot) -> Lot | None:
    return next((lot for lot in lots if (lot.product, lot.name) == (new.product, new.name)), None)


def _age(lot: Lot) -> tuple[date, date, str, str]:
    return lot.valid_until, lot.valid_from, lot.product, lot.name
