"""A payment card as a terminal sees it."""

from typing import Literal

import msgspec
from msgspec import Struct

from simulators.mistakes import Mistake
from simulators.terminal.chip import Chip

SERVICE_CODE = "625"
"""On the stripe (ISO 7813): national chip card, authorized by the issuer, goods and services only, PIN required."""


class CardInvalid(Mistake):
    """A card's data has not the form that a terminal can read."""


def masked(pan: str) -> str:
    """Show a PAN as receipts and logs may: the first six digits and the last four.

    >>> masked("9250100000000014")
    '925010…0014'
    """
    return f"{pan[:6]}…{pan[-4:]}"


class Card(Struct, frozen=True, kw_only=True):
    """What is on a card, and the PIN that its holder will type. `expiry` is YYMM; `chip` counts its transactions.

    Holds secrets: its repr shows the masked PAN only.
    """

    pan: str
    expiry: str | None = None
    pin: str | None = None
    cvv2: str | None = None
    generation: Literal[1, 2] = 2
    chip: Chip | None = None

    def __post_init__(self) -> None:
        if not (_digits(self.pan) and 12 <= len(self.pan) <= 19):
            raise CardInvalid("a card number is 12 to 19 digits")
        if self.expiry is not None and not (_digits(self.expiry) and len(self.expiry) == 4 and _month(self.expiry)):
            raise CardInvalid("a card's expiry is YYMM, such as 2806")
        if self.cvv2 is not None and not (_digits(self.cvv2) and len(self.cvv2) == 3):
            raise CardInvalid("a CVV2 is the three digits printed on the back of the card")

    def __repr__(self) -> str:
        return f"Card({masked(self.pan)})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("pan", masked(self.pan))]

    def without_pin(self) -> "Card":
        """The same card, whose holder is not asked for the PIN: a tap below the contactless limit."""
        return msgspec.structs.replace(self, pin=None)

    @property
    def track2(self) -> str:
        """What the stripe holds: PAN, expiry, service code. Raises `CardInvalid` where the expiry isn't known."""
        if self.expiry is None:
            raise CardInvalid("the stripe holds the expiry: give the card's, as YYMM")
        return f"{self.pan}={self.expiry}{SERVICE_CODE}"


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _month(expiry: str) -> bool:
    return "01" <= expiry[2:] <= "12"
