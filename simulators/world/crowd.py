"""The holders of a world: each a pure function of the world's seed and a number, so that nobody needs a file of them.

What a load generator wants of a card costs microseconds, in any order and in any process. Cards have numbers under the
programme's BIN that the demo's don't have: 925010, 10 to 99 for the seed, seven digits for the holder, a check digit.
A card's CVV2 is the issuer's to make: what pays online must ask the issuer.
"""

from hashlib import blake2b
from typing import Any, Final

from msgspec import Struct

from simulators.mistakes import Mistake
from simulators.terminal.card import Card

PROGRAMME: Final = "apetiz"
PRODUCT: Final = "90"
BIN = "925010"
SEED_MAX = 89
HOLDERS_MAX = 10_000_000
"""Holders of one world: seven digits of a card's number."""
FIRST_SEED_DIGITS = 10
"""Stands in the number for seed 0: the demo's cards have a 0 there."""
CENTS_MIN, CENTS_MAX = 3_00, 220_00
WORKS_DAYS_OFF_IN = 10
"""One holder in so many works Sundays and holidays."""
SECOND_GENERATION_OF_THREE = 2
EXPIRY_YEARS = range(40, 50)
"""Of cards' expiries, whatever the clock says: a world doesn't end before those who test with it."""

_DOUBLED = tuple(sum(divmod(2 * digit, 10)) for digit in range(10))


class NoSuchHolder(Mistake):
    """A world has a seed from 0 to 89, and at most 10,000,000 holders."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Member(Struct, frozen=True, gc=False):
    """A holder of a world: `employer` is a number, `cents` what of the product they have. Its repr shows no PIN."""

    reference: str
    employer: int
    works_days_off: bool
    card: Card
    cents: int

    def __repr__(self) -> str:
        return f"Member({self.reference})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("reference", self.reference)]


def card_of(seed: int, number: int) -> Card:
    """Give a holder's card, with its PIN. Raises `NoSuchHolder`.

    >>> card = card_of(7, 0)
    >>> card.pan, card.generation
    ('9250101700000007', 2)
    """
    return _card(seed, number, _chance(seed, number))


def member_of(seed: int, number: int, employers: int) -> Member:
    """Give a holder of one of so many employers. Raises `NoSuchHolder`."""
    chance = _chance(seed, number)
    card = _card(seed, number, chance)
    return Member(
        reference=f"world-{seed}-{number}",
        employer=int.from_bytes(chance[4:8]) % employers,
        works_days_off=chance[8] % WORKS_DAYS_OFF_IN == 0,
        card=card,
        cents=CENTS_MIN + int.from_bytes(chance[9:12]) % (CENTS_MAX - CENTS_MIN + 1),
    )


def _chance(seed: int, number: int) -> bytes:
    """Draw what is a holder's own, and nobody else's."""
    if not (0 <= seed <= SEED_MAX and 0 <= number < HOLDERS_MAX):
        raise NoSuchHolder
    return blake2b(number.to_bytes(8), digest_size=16, person=b"world %d" % seed).digest()


def _card(seed: int, number: int, chance: bytes) -> Card:
    return Card(
        pan=_with_check_digit(f"{BIN}{FIRST_SEED_DIGITS + seed}{number:07}"),
        expiry=f"{EXPIRY_YEARS[chance[2] % len(EXPIRY_YEARS)]}{chance[3] % 12 + 1:02}",
        pin=f"{int.from_bytes(chance[:2]) % 10_000:04}",
        generation=2 if chance[12] % 3 < SECOND_GENERATION_OF_THREE else 1,
    )


def _with_check_digit(digits: str) -> str:
    """Append the check digit (ISO/IEC 7812-1, annex B) to fifteen digits."""
    own = [int(digit) for digit in digits]
    return f"{digits}{-(sum(own[1::2]) + sum([_DOUBLED[digit] for digit in own[::2]])) % 10}"
