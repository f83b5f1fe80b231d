"""Lots: what can be spent on a day, taking from the oldest, adding, giving back, expiring.

A purse's lots stand oldest expiry first and none is empty: `add` and `take` keep it so. Spending in that order
is what keeps vintage N untouched while N-1 is valid and not used up (R3262-5).

Whether a lot can be spent is a matter of its days alone. One that was moved to the expired ones, by the programme's
date, and that is valid still on the day by which a payment is judged, is put back as it is taken from.
"""

from collections.abc import Callable, Iterable
from datetime import date
from functools import reduce

from msgspec.structs import replace

from authz.decision.refused import LotDiffers
from ledger import accounts
from ledger.values import Account, Cents, HolderId, Lot, Part, Purse, Transfer


def valid(lot: Lot, product: str, day: date) -> bool:
    """Tell whether a lot of this product can be spent on a day."""
    return lot.product == product and lot.valid_from <= day <= lot.valid_until


def available(purse: Purse, product: str, day: date) -> Cents:
    """Sum up what of a product can be spent on a day. What holds set aside is out of the lots already."""
    cents = 0
    for lot in purse.lots + purse.expired:
        if valid(lot, product, day):
            cents += lot.amount
    return Cents(cents)


def lapsed(purse: Purse, product: str, day: date) -> Cents:
    """Sum up what of a product expired unspent before a day, whether or not it has been swept."""
    every = purse.lots + purse.expired
    return Cents(sum([lot.amount for lot in every if lot.product == product and lot.valid_until < day]))


def take(
    holder: HolderId, purse: Purse, product: str, day: date, amount: Cents
) -> tuple[Purse, tuple[Part, ...], tuple[Transfer, ...]]:
    """Take `amount`, which must be available, from the oldest valid lots.

    Returns the purse left, what each lot gave, and the transfers that put back the lots of the day beforehand.
    """
    purse, back = _put_back(holder, purse, product, day)
    left, lots, parts = amount, [], []
    for lot in purse.lots:
        if not left or not valid(lot, product, day):
            lots.append(lot)
            continue
        taken = Cents(min(lot.amount, left))
        parts.append(Part(lot.name, lot.valid_from, lot.valid_until, taken))
        left = Cents(left - taken)
        if taken < lot.amount:
            lots.append(replace(lot, amount=Cents(lot.amount - taken)))
    assert left == 0, "more was taken than is available"
    return replace(purse, lots=tuple(lots)), tuple(parts), back


def add(lots: tuple[Lot, ...], new: Lot) -> tuple[Lot, ...]:
    """Put a lot in its place, or what it holds into the one of its name. Raises `LotDiffers` if their days differ."""
    same = _same(lots, new)
    if same is not None and (same.valid_from, same.valid_until) != (new.valid_from, new.valid_until):
        raise LotDiffers
    return join(lots, new)


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
        purse = replace(purse, lots=join(purse.lots, lot))
    purse, expiry = expire(holder, purse, today) if parts else (purse, ())
    return purse, (*transfers, *expiry)


def expire(holder: HolderId, purse: Purse, today: date) -> tuple[Purse, tuple[Transfer, ...]]:
    """Move what expired unspent before a day to where it waits to be exchanged."""
    over = [lot for lot in purse.lots if lot.valid_until < today]
    if not over:
        return purse, ()
    left = tuple(lot for lot in purse.lots if lot not in over)
    purse = replace(purse, lots=left, expired=reduce(join, over, purse.expired))
    return purse, _moved(holder, over, accounts.of_holder, accounts.expired)


def join(lots: tuple[Lot, ...], new: Lot) -> tuple[Lot, ...]:
    """Put a lot in its place, or what it holds into the one of its name: it then lives as long as that one."""
    same = _same(lots, new)
    if same is None:
        return tuple(sorted((*lots, new), key=_age))
    more = replace(same, amount=Cents(same.amount + new.amount))
    return tuple(more if lot is same else lot for lot in lots)


def _put_back(holder: HolderId, purse: Purse, product: str, day: date) -> tuple[Purse, tuple[Transfer, ...]]:
    """Undo the expiry of the lots that are valid on a day: it isn't over everywhere as soon as the programme's is."""
    if not purse.expired:
        return purse, ()
    back = [lot for lot in purse.expired if valid(lot, product, day)]
    if not back:
        return purse, ()
    waiting = tuple(lot for lot in purse.expired if lot not in back)
    purse = replace(purse, lots=reduce(join, back, purse.lots), expired=waiting)
    return purse, _moved(holder, back, accounts.expired, accounts.of_holder)


_Of = Callable[[HolderId, str, str], Account]


def _moved(holder: HolderId, lots: Iterable[Lot], out_of: _Of, into: _Of) -> tuple[Transfer, ...]:
    return tuple(
        Transfer(out_of(holder, lot.product, lot.name), into(holder, lot.product, lot.name), lot.amount) for lot in lots
    )


def _same(lots: tuple[Lot, ...], new: Lot) -> Lot | None:
    return next((lot for lot in lots if (lot.product, lot.name) == (new.product, new.name)), None)


def _age(lot: Lot) -> tuple[date, date, str, str]:
    return lot.valid_until, lot.valid_from, lot.product, lot.name
