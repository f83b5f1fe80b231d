"""The life of a lot after its last day: expiry, exchange, reactivation, and the fall to the issuer's pool.

One table, from which the drawing in docs/vintages.md and the tests come. Whether a lot can be spent is a matter of its
days alone (`authz.decision.lots`): what is here is bookkeeping and may come late, twice and in any order. Everything
goes by the programme's local date, and by the rows of its products that are in force on a lot's last day. Only the fall
is an event of a date, and no state behind it: what comes later waits for the same date of the next year.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum

from msgspec.structs import replace

from authz.decision import holds, lots
from authz.decision.commands import ExchangeLot, ExpireLots, ForfeitLots, ReactivateLot
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome, Reason, Reply
from authz.decision.position import Position
from authz.decision.programme import Forfeit, Product, months_later, on_day, vintage_dates
from authz.decision.refused import (
    ExchangeOver,
    NotExchanged,
    NothingDue,
    NothingWaits,
    NotReactivated,
    ProgrammeUnknown,
    ReactivatedBefore,
    ReactivationOver,
)
from ledger import accounts
from ledger.values import Cents, HolderId, Lot, Purse, Transfer

REACTIVATED = "-reactivated"
"""How the name of a lot that was reactivated ends."""
DONE = Reply(Reason.APPROVED)

Ageing = ExpireLots | ForfeitLots | ExchangeLot | ReactivateLot
"""What can be asked about the lots of a holder."""
Moves = tuple[Transfer, ...]


class State(StrEnum):
    """Where a lot is in its life."""

    LATER = "valid later"
    VALID = "valid"
    USED_UP = "used up"
    EXPIRED = "expired"
    EXCHANGED = "exchanged"
    REACTIVATED = "reactivated"
    FORFEITED = "forfeited"


class Event(StrEnum):
    """What can happen to a lot."""

    FIRST_DAY = "its first day comes"
    LAST_CENT = "its last cent is spent"
    LAST_DAY_OVER = "its last day is over"
    PAID_IN_TIME = "a payment on a day on which it is valid"
    GIVEN_BACK = "a reversal or refund"
    EXCHANGE = "exchange"
    REACTIVATION = "reactivation"
    NOT_ASKED = "nobody asked in time"


LIFE: Mapping[State, Mapping[Event, State]] = {
    State.LATER: {Event.FIRST_DAY: State.VALID},
    State.VALID: {Event.LAST_CENT: State.USED_UP, Event.LAST_DAY_OVER: State.EXPIRED},
    State.USED_UP: {Event.GIVEN_BACK: State.VALID},
    State.EXPIRED: {
        Event.PAID_IN_TIME: State.VALID,
        Event.EXCHANGE: State.EXCHANGED,
        Event.REACTIVATION: State.REACTIVATED,
        Event.NOT_ASKED: State.FORFEITED,
    },
    State.EXCHANGED: {Event.GIVEN_BACK: State.EXPIRED},
    State.REACTIVATED: {Event.GIVEN_BACK: State.EXPIRED},
    State.FORFEITED: {Event.GIVEN_BACK: State.EXPIRED},
}
"""What becomes of a lot in each state when something happens to it. What isn't here changes no state."""

STANDS: Mapping[State, str] = {
    State.LATER: "holder:HOLDER:PRODUCT:LOT",
    State.VALID: "holder:HOLDER:PRODUCT:LOT",
    State.USED_UP: "acquirer:ACQUIRER:payable",
    State.EXPIRED: "expired:HOLDER:PRODUCT:LOT",
    State.EXCHANGED: "holder:HOLDER:PRODUCT:NEXT",
    State.REACTIVATED: f"holder:HOLDER:PRODUCT:LOT{REACTIVATED}",
    State.FORFEITED: "issuer:pool:PRODUCT",
}
"""Where the money of a lot stands in each state; what takes a lot from one to another moves its money."""


def due(
    position: Position, since: date, day: date, products: Iterable[Product]
) -> tuple[type[ExpireLots] | type[ForfeitLots], ...]:
    """Tell which commands have something to do for a holder on a day, in their order. Costs next to nothing.

    `since`: what had its day to fall on by then has had its walk.
    """
    purse = position.purse
    expires = any(lot.valid_until < day for lot in purse.lots)
    if not expires and not purse.expired:
        return ()
    falls = _falling((*purse.lots, *purse.expired), since, day, products)
    return (*((ExpireLots,) if expires else ()), *((ForfeitLots,) if falls else ()))


def post_due(holder: HolderId, position: Position, facts: Facts) -> tuple[Position, Moves]:
    """Post what is due by the date, where no merchant is concerned.

    Lots by the programme's date; holds only where their days are over everywhere, so that no completion comes too late.
    """
    return holds.settle(holder, position, holds.over_everywhere(facts.instant), facts.over_before)


def age(command: Ageing, position: Position, facts: Facts) -> Outcome:
    """Do what is due or asked, after what is due by the date, in one record. Raises a `Refused`."""
    if facts.programme is None:
        raise ProgrammeUnknown
    holder, day = command.holder, facts.programme_day
    position, before = post_due(holder, position, facts)
    match command:
        case ExpireLots():
            if not before:
                raise NothingDue
            moved: Moves = ()
        case ForfeitLots(since=since):
            position, moved = _forfeit(holder, position, since, day, facts.programme.products)
        case ExchangeLot():
            lot = _waiting(command, position.purse)
            position, moved = _exchange(holder, position, lot, day, facts.programme.product(lot.product))
        case ReactivateLot():
            lot = _waiting(command, position.purse)
            position, moved = _reactivate(holder, position, lot, day, facts.programme.product(lot.product))
    return Outcome(DONE, holder, position, (*before, *moved))


def _waiting(command: ExchangeLot | ReactivateLot, purse: Purse) -> Lot:
    named = (command.product, command.lot)
    lot = next((one for one in purse.expired if (one.product, one.name) == named), None)
    if lot is None:
        raise NothingWaits
    return lot


def _falling(some: Iterable[Lot], since: date, day: date, products: Iterable[Product]) -> list[Lot]:
    rows = {product.code: product.forfeits for product in products}
    return [lot for lot in some if lot.valid_until < day and _falls(lot, since, day, rows.get(lot.product, ()))]


def _falls(lot: Lot, since: date, day: date, rows: Iterable[Forfeit]) -> bool:
    row = on_day(rows, lot.valid_until)
    return row is not None and row.falls_within(lot.valid_until, since, day)


def _forfeit(
    holder: HolderId, position: Position, since: date, day: date, products: Iterable[Product]
) -> tuple[Position, Moves]:
    falling = _falling(position.purse.expired, since, day, products)
    if not falling:
        raise NothingDue
    moved = tuple(
        Transfer(accounts.expired(holder, lot.product, lot.name), accounts.pool(lot.product), lot.amount)
        for lot in falling
    )
    return replace(position, purse=_without(position.purse, falling)), moved


def _exchange(
    holder: HolderId, position: Position, lot: Lot, day: date, product: Product | None
) -> tuple[Position, Moves]:
    """Give the next vintage for all that is left of one (R3262-5). It may be there already, loaded by the employer."""
    row = None if product is None else on_day(product.exchanges, lot.valid_until)
    following = _next_vintage(lot)
    if row is None or following is None:
        raise NotExchanged
    if day > row.ends(lot.valid_until):
        raise ExchangeOver
    new = Lot(lot.product, str(following), *vintage_dates(following), lot.amount)
    return _renew(holder, position, lot, new, Cents(0))


def _reactivate(
    holder: HolderId, position: Position, lot: Lot, day: date, product: Product | None
) -> tuple[Position, Moves]:
    """Make a lot valid once more, from this day on; the holder's first request is free."""
    row = None if product is None else on_day(product.reactivations, lot.valid_until)
    if row is None:
        raise NotReactivated
    name = lot.name + REACTIVATED
    there = any((one.product, one.name) == (lot.product, name) for one in position.purse.lots)
    if lot.name.endswith(REACTIVATED) or there:
        raise ReactivatedBefore
    if day > row.ends(lot.valid_until):
        raise ReactivationOver
    fee = Cents(min(row.fee, lot.amount)) if position.reactivations else Cents(0)
    position = replace(position, reactivations=position.reactivations + 1)
    new = Lot(lot.product, name, day, months_later(day, row.months), Cents(lot.amount - fee))
    return _renew(holder, position, lot, new, fee)


def _renew(holder: HolderId, position: Position, old: Lot, new: Lot, fee: Cents) -> tuple[Position, Moves]:
    """Let a new lot, less a fee, take the place of one that waits."""
    waits = accounts.expired(holder, old.product, old.name)
    moved = (
        Transfer(waits, accounts.fees(old.product), fee),
        Transfer(waits, accounts.of_holder(holder, new.product, new.name), new.amount),
    )
    purse = _without(position.purse, [old])
    if new.amount:
        purse = replace(purse, lots=lots.join(purse.lots, new))
    return replace(position, purse=purse), tuple(one for one in moved if one.amount)


def _without(purse: Purse, gone: list[Lot]) -> Purse:
    return replace(purse, expired=tuple(lot for lot in purse.expired if lot not in gone))


def _next_vintage(lot: Lot) -> int | None:
    """Give the year of the vintage after a lot's, whose name is the year in which it ended or the one before."""
    ended = lot.valid_until.year
    return next((year + 1 for year in (ended - 1, ended) if lot.name == str(year)), None)
