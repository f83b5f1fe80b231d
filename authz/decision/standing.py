"""What stands of a request that moved money, and how less of it comes to stand.

Each effect on a request is a numbered step: 0 is the request itself, and a step of a number can exist once. So a
reversal, a refund or a completion is told what stands by the newest step, and two can't undo the same cents.
"""

from datetime import date
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from ledger.values import Cents, Part


class Effect(StrEnum):
    """What a request did."""

    DEBIT = "debit"
    """It was paid: at once, offline, or by a completion."""
    HOLD = "hold"
    """It set money aside. Whether that is so still, the purse says."""
    REFUND = "refund"
    """It gave money back of a payment."""


DEBIT: Final = Effect.DEBIT
HOLD: Final = Effect.HOLD
"""What every payment is asked about: they are found once, and not at each decision."""


class Standing(Struct, frozen=True, array_like=True, gc=False):
    """What stands of the request `original` after its `step`.

    `parts` are vouchers by lot, in the order in which they were taken; `shortfall` is what no balance covered.
    `day` is the local date whose cap it counts on, `approval` its approval code. `of` is a refund's purchase.
    """

    original: str
    step: int
    effect: Effect
    product: str
    day: date
    approval: str
    parts: tuple[Part, ...] = ()
    shortfall: Cents = Cents(0)
    of: str = ""

    @property
    def vouchers(self) -> Cents:
        """What stands of vouchers."""
        return amount_of(self.parts)

    @property
    def amount(self) -> Cents:
        """All that stands."""
        return Cents(self.vouchers + self.shortfall)

    def lowered(self, to: Cents) -> tuple["Standing", "Standing"]:
        """Let only `to` stand: the next step, and what is undone by it.

        What was taken last goes first, the shortfall before all: what stands is what a request for `to` would have
        taken.
        """
        undone = Cents(self.amount - to)
        shortfall = min(self.shortfall, undone)
        kept, returned = split(self.parts, Cents(self.vouchers - (undone - shortfall)))
        lower = replace(self, step=self.step + 1, parts=kept, shortfall=Cents(self.shortfall - shortfall))
        return lower, replace(lower, parts=returned, shortfall=Cents(shortfall))

    def raised(self, parts: tuple[Part, ...], shortfall: Cents) -> "Standing":
        """Let more stand: the next step. What a refund gave back is paid again when the refund is undone."""
        total = Cents(self.shortfall + shortfall)
        return replace(self, step=self.step + 1, parts=joined(self.parts, parts), shortfall=total)


def amount_of(parts: tuple[Part, ...]) -> Cents:
    """Sum up parts."""
    return Cents(sum(part.amount for part in parts))


def split(parts: tuple[Part, ...], amount: Cents) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Divide parts into the first `amount` cents of them, and the rest."""
    first: list[Part] = []
    rest: list[Part] = []
    for part in parts:
        taken = Cents(min(part.amount, amount))
        amount = Cents(amount - taken)
        if taken:
            first.append(replace(part, amount=taken))
        if taken < part.amount:
            rest.append(replace(part, amount=Cents(part.amount - taken)))
    return tuple(first), tuple(rest)


def joined(parts: tuple[Part, ...], more: tuple[Part, ...]) -> tuple[Part, ...]:
    """Put parts of the same lot together."""
    sums = {part.lot: part for part in parts}
    for part in more:
        before = sums.get(part.lot)
        sums[part.lot] = part if before is None else replace(before, amount=Cents(before.amount + part.amount))
    return tuple(sums.values())
