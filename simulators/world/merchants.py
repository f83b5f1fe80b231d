"""The merchants of a world, and the terminals that stand there: each a pure function of the seed and a number."""

from typing import Final

from msgspec import Struct

from simulators.mistakes import Mistake
from simulators.terminal.messages import Site
from simulators.world.crowd import PRODUCT, SEED_MAX

MERCHANTS_MAX = 100_000
"""Merchants of one world: five digits of a terminal's id."""
TRADES: Final = (
    ("Restaurant", "5812"),
    ("Brasserie", "5813"),
    ("Sandwicherie", "5814"),
    ("Boulangerie", "5462"),
    ("Supermarché", "5411"),
    ("Traiteur", "5811"),
)
"""What merchants are, and the category (MCC) of each: all of them take meal vouchers."""
PLACES: Final = (
    ("FR-75", "Europe/Paris"),
    ("FR-69", "Europe/Paris"),
    ("FR-13", "Europe/Paris"),
    ("FR-59", "Europe/Paris"),
    ("FR-67", "Europe/Paris"),
    ("FR-974", "Indian/Reunion"),
)


class NoSuchMerchant(Mistake):
    """A world has a seed from 0 to 89, and at most 100,000 merchants."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Merchant(Struct, frozen=True, gc=False):
    """An acceptor, as the issuer is told of it."""

    id: str
    name: str
    mcc: str
    territory: str
    time_zone: str
    accepts: tuple[str, ...]


def merchant_of(seed: int, number: int) -> Merchant:
    """Give a merchant. Raises `NoSuchMerchant`.

    >>> merchant_of(7, 3).id, merchant_of(7, 3).name
    ('W07000000000003', 'Boulangerie 3')
    """
    _require(seed, number)
    trade, mcc = TRADES[number % len(TRADES)]
    territory, time_zone = PLACES[number // len(TRADES) % len(PLACES)]
    return Merchant(f"W{seed:02}{number:012}", f"{trade} {number}", mcc, territory, time_zone, (PRODUCT,))


def site_of(seed: int, number: int) -> Site:
    """Give the place of the terminal at a merchant's. Raises `NoSuchMerchant`.

    >>> site_of(7, 3).terminal
    'W0700003'
    """
    merchant = merchant_of(seed, number)
    return Site(f"W{seed:02}{number:05}", merchant.id, merchant.name, merchant.time_zone)


def _require(seed: int, number: int) -> None:
    if not (0 <= seed <= SEED_MAX and 0 <= number < MERCHANTS_MAX):
        raise NoSuchMerchant
