"""A holder, as an employer sees them."""

from datetime import date

from msgspec import Struct

from authz.decision.position import CardStatus


class EmployersCardView(Struct, frozen=True):
    """A card, as its holder's employer may ask for a new one. `expiry` is the first day of its last month.

    `locked`: too many wrong PINs.
    """

    card: str
    last4: str
    status: CardStatus
    expiry: date
    locked: bool


class EmployersHolderView(Struct, frozen=True):
    """A holder, as an employer sees them: no balance, and nothing that others loaded."""

    holder: str
    cards: list[EmployersCardView]
