"""A holder's position before a record and after it, line by line: lots by vintage, holds, the days' spending, tries."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from authz.decision.outcomes import State
from authz.decision.position import Position
from ledger.values import Purse


class Change(Struct, frozen=True):
    """Something in a position before and after a record (0: it wasn't there): cents, or a count."""

    what: str
    before: int
    after: int
    unit: Literal["cents", "count"] = "cents"
    note: str = ""


class _Fact(Struct, frozen=True):
    """What a position has of something."""

    what: str
    value: int
    note: str
    unit: Literal["cents", "count"] = "cents"


def changes(before: State | None, after: State | None) -> tuple[Change, ...]:
    """Hold one position against the other: all that is in either, changed or not. Nothing where there is no holder."""
    if not isinstance(after, Position):
        return ()
    was = {one.what: one for one in _facts(before)} if isinstance(before, Position) else {}
    now = {one.what: one for one in _facts(after)}
    every = was | now
    return tuple(
        Change(
            what,
            was[what].value if what in was else 0,
            now[what].value if what in now else 0,
            every[what].unit,
            every[what].note,
        )
        for what in dict.fromkeys((*was, *now))
    )


def _facts(position: Position) -> Iterator[_Fact]:
    yield from _money(position.purse)
    for spent in position.spent:
        yield _Fact(f"spent {spent.product} {spent.day}", spent.amount, "that day, for its cap")
    for card in position.cards:
        which = f", card {card.id}" if len(position.cards) > 1 else ""
        yield _Fact(f"wrong PINs in a row{which}", card.pin_wrong, f"card {card.status}", "count")
        if card.cvv2_wrong:
            yield _Fact(f"wrong CVV2 in a row{which}", card.cvv2_wrong, "", "count")
        if card.contactless:
            yield _Fact(f"contactless without PIN{which}", card.contactless, "since the last right PIN")


def _money(purse: Purse) -> Iterator[_Fact]:
    for lot in purse.lots:
        yield _Fact(f"lot {lot.product} {lot.name}", lot.amount, f"until {lot.valid_until}")
    for hold in purse.holds:
        held = sum(part.amount for part in hold.parts)
        yield _Fact(f"hold {hold.product} {hold.approval}", held, f"of {hold.day}, until {hold.until}")
    for lot in purse.expired:
        yield _Fact(f"expired {lot.product} {lot.name}", lot.amount, f"unspent since {lot.valid_until}")
