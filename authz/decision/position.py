"""A holder's position: the state that each of their records carries, as a line in a savings book does."""

from datetime import date, timedelta
from enum import StrEnum
from typing import NewType

from msgspec import Struct
from msgspec.structs import replace

from ledger.values import Cents, Purse

CardId = NewType("CardId", str)
"""A card's random name; the number behind it is in the vault."""

COUNTERS_BELOW_MAX = 16
"""How far below the highest a chip's counter may come in: requests of one card can overtake each other by so many."""
SPENT_KEPT_DAYS = 10
"""How far back a day's spending is remembered: more than the 3 days that an offline advice may be late."""


_SPENT_KEPT = timedelta(days=SPENT_KEPT_DAYS)


class CardStatus(StrEnum):
    """Where a card is in its life. All but the first two are for good."""

    INACTIVE = "inactive"
    ACTIVE = "active"
    LOST = "lost"
    STOLEN = "stolen"
    FRAUD = "fraud"
    REPLACED = "replaced"


class Card(Struct, frozen=True, array_like=True, gc=False):
    """One card of a holder.

    `expiry` is YYMM. `pin_wrong` and `cvv2_wrong` count wrong tries in a row. `contactless` is what was spent
    without a PIN since the last right one, in cents. `counter` is the chip's highest transaction counter seen, and
    `counters_below` which of those below it were seen too: its bit 0 stands for the one just below.
    """

    id: str
    programme: str
    generation: int
    expiry: str
    status: CardStatus
    pin_wrong: int = 0
    cvv2_wrong: int = 0
    contactless: Cents = Cents(0)
    counter: int = 0
    counters_below: int = 0

    @property
    def last_month(self) -> date:
        """The first day of the last month in which the card pays."""
        return date(2000 + int(self.expiry[:2]), int(self.expiry[2:]), 1)

    def has_seen(self, counter: int) -> bool:
        """Tell whether a chip's counter was seen, or is too far below the highest to know."""
        below = self.counter - counter - 1
        return below >= COUNTERS_BELOW_MAX or below == -1 or (below >= 0 and bool(self.counters_below >> below & 1))

    def with_counter(self, counter: int) -> "Card":
        """Take note of a counter that hasn't been seen."""
        if counter < self.counter:
            return replace(self, counters_below=self.counters_below | 1 << (self.counter - counter - 1))
        below = (self.counters_below << 1 | 1) << (counter - self.counter - 1)
        return replace(self, counter=counter, counters_below=below & (1 << COUNTERS_BELOW_MAX) - 1)


class DaySpend(Struct, frozen=True, array_like=True, gc=False):
    """What a holder's purchases and holds of a product come to on one local date, less reversals."""

    product: str
    day: date
    amount: Cents


class Position(Struct, frozen=True, array_like=True, gc=False):
    """All that is known of a holder. `purse` stands first: the ledger reads it, and nothing behind it.

    `products` are those ever loaded, also when empty; `spent` reaches back over the last days only; `reactivations`
    counts the holder's requests for it that were granted. `employers` are all who ever loaded vouchers, or enrolled
    them; `employer` is the one whose decision on Sundays and holidays counts.
    """

    purse: Purse
    cards: tuple[Card, ...] = ()
    products: tuple[str, ...] = ()
    spent: tuple[DaySpend, ...] = ()
    employer: str = ""
    works_days_off: bool = False
    reactivations: int = 0
    employers: tuple[str, ...] = ()

    def card(self, card: str) -> Card | None:
        """Find a card by its id."""
        for one in self.cards:
            if one.id == card:
                return one
        return None

    def with_card(self, card: Card) -> "Position":
        """Put a card in the place of the one with its id. One that stands there as it is changes nothing."""
        if card in self.cards:
            return self
        return replace(self, cards=tuple([card if one.id == card.id else one for one in self.cards]))

    def spent_on(self, day: date, product: str) -> Cents:
        """Sum up what a day's purchases and holds of a product come to."""
        for one in self.spent:
            if one.day == day and one.product == product:
                return one.amount
        return Cents(0)

    def with_spent(self, day: date, product: str, amount: Cents, today: date) -> "Position":
        """Add to what was spent on a day, or take off it, and forget the days that no cap will be asked about again."""
        kept, spent, days = today - _SPENT_KEPT, amount, []
        for one in self.spent:
            if one.day == day and one.product == product:
                spent = Cents(spent + one.amount)
            elif one.day >= kept:
                days.append(one)
        if spent and day >= kept:
            days.append(DaySpend(product, day, spent))
        return replace(self, spent=tuple(days))
