"""The made-up month that finance reconciles: its sizes, its acquirers, their shops, and who pays there.

All of it follows from the seed and the sizes: the same ones make the same month, byte for byte.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from authz.decision.commands import CardId
from authz.decision.issuing.states import ClientId
from authz.decision.reference import Merchant
from ledger.values import Cents, HolderId

SEED = 8
FIRST_DAY = date(2026, 6, 1)
PARIS = ZoneInfo("Europe/Paris")
PRODUCT = "90"
VINTAGE = "2026"
OPENS, CLOSES = time(7), time(23, 50)
"""When people pay: each day's first and last payment, in Paris."""
PAYMENTS_A_DAY = 2
"""Of each holder: few enough that the day's cap refuses few."""
RECORDS_A_TERMINAL = 2_000
HOLDERS_MIN, SHOPS_MIN = 20, 8
SUMMED_EVERY = 50
LOADED = Cents(1_000_000)
"""What each holder has to begin with: more than they can spend in a month."""
DAYS_AFTER = 2
"""How many quiet days follow, so that what is missing has become late."""
CAUSES = 10
"""Kinds of discrepancies: as many of each."""


class Shape(Struct, frozen=True):
    """How large a month is: days, requests of terminals, and discrepancies in all."""

    days: int = 30
    records: int = 1_000_000
    discrepancies: int = 500
    seed: int = SEED

    @property
    def of_each(self) -> int:
        """How many discrepancies of each cause there are."""
        return self.discrepancies // CAUSES

    @property
    def dates(self) -> Sequence[date]:
        """The month's days."""
        return [FIRST_DAY + timedelta(days=number) for number in range(self.days)]

    @property
    def all_dates(self) -> Sequence[date]:
        """The same, and the quiet days behind them."""
        return [FIRST_DAY + timedelta(days=number) for number in range(self.days + DAYS_AFTER)]

    @property
    def holders(self) -> int:
        """How many people pay."""
        return max(HOLDERS_MIN, self.records // (PAYMENTS_A_DAY * self.days))


class House(Struct, frozen=True):
    """An acquirer: its id, when its business day ends in Paris, and its account."""

    id: str
    name: str
    ends: time
    iban: str


NATIVE = House("970001", "Banque du Midi", time(23, 30), "FR7630006000011234567890189")
"""Its clearing files are as docs/clearing.md has them."""
MAPPED = House("970002", "Caisse des Halles", time(22), "FR1420041010050500013M02606")
"""Its clearing files are its own: read by a mapping."""
HOUSES = (NATIVE, MAPPED)
VOUCHER_IBAN, OPERATING_IBAN = "DE89370400440532013000", "NL91ABNA0417164300"
PROGRAMME = "apetiz"
CLIENTS = tuple(ClientId(f"c{number:02}") for number in range(1, 6))


class Shop(Struct, frozen=True):
    """A shop, its one terminal, and whose it is. `summed`: its acquirer claims its payments of a day in one line."""

    merchant: Merchant
    terminal: str
    house: House
    summed: bool

    @property
    def id(self) -> str:
        """The merchant's."""
        return self.merchant.id


def shops(shape: Shape) -> Sequence[Shop]:
    """Every shop. Each acquirer has half of them; one in 25 of the mapped acquirer's is summed up."""
    made = []
    for number in range(max(SHOPS_MIN, shape.records // RECORDS_A_TERMINAL)):
        house = HOUSES[number % 2]
        merchant = Merchant(
            f"FR{7_000_000_000_000 + number:013}", f"Shop {number}", "5812", "FR-75", "Europe/Paris", (PRODUCT,)
        )
        made.append(Shop(merchant, f"M{number:07}", house, summed=house is MAPPED and number % SUMMED_EVERY == 1))
    return made


def holder(number: int) -> HolderId:
    """Name a holder."""
    return HolderId(f"h{number:012x}")


def card(owner: HolderId) -> CardId:
    """Name a holder's only card."""
    return CardId(f"c{owner[1:]}")


def masked(owner: HolderId) -> str:
    """What a clearing file shows of a holder's card."""
    return f"925010******{int(owner[1:], 16) % 10_000:04}"


def instant(day: date, clock: time) -> datetime:
    """An instant by the clock of Paris."""
    return datetime.combine(day, clock, PARIS)
