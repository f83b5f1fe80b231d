"""Who needs a card: a holder without one that can be used, or whose only one ends soon.

An order makes and charges cards for these holders alone; the others' vouchers are loaded on the card that they have.
"""

from datetime import date

from authz.decision.position import Card, CardStatus, Position
from authz.decision.programme import MONTHS_A_YEAR, Programme

ENDS_SOON_MONTHS = 2
"""A card whose last month is nearer than so many months is made anew."""
USABLE = frozenset({CardStatus.INACTIVE, CardStatus.ACTIVE})
"""An inactive card is on its way, and is activated when it comes."""


def needs_card(position: Position | None, programme: Programme, day: date) -> bool:
    """Tell whether a holder (None: nobody yet) needs a card of a programme on a day."""
    return position is None or not any(_serves(card, programme, day) for card in position.cards)


def _serves(card: Card, programme: Programme, day: date) -> bool:
    usable = card.programme == programme.id and card.status in USABLE and not is_locked(card, programme)
    return usable and months_left(card.expiry, day) >= ENDS_SOON_MONTHS


def is_locked(card: Card, programme: Programme) -> bool:
    """Tell whether too many wrong PINs have locked a card of a programme, for good."""
    generation = programme.generation(card.generation)
    return generation is None or card.pin_wrong >= generation.pin_tries


def months_left(expiry: str, day: date) -> int:
    """Count the months from a day's to the last one of a card, whose expiry is YYMM.

    >>> months_left("2607", date(2026, 5, 31))
    2
    """
    years, months = 2000 + int(expiry[:2]) - day.year, int(expiry[2:]) - day.month
    return years * MONTHS_A_YEAR + months
