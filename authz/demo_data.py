"""The demo's data set: read from `demo.toml`, and entered by the same journaled commands that issuing uses.

Amounts there are euros with two decimals, N is the year of the clock at the first start, and lots bear the dates of
their vintage. Entering it twice changes nothing.
"""

import asyncio
import re
import secrets
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from importlib.resources import files
from itertools import groupby
from typing import Any, Literal

import msgspec
from msgspec import Struct

from authz.config import Config, HttpTable, make
from authz.config_links import LinkTable
from authz.decision.commands import CardId, Enrol, IssueCard, Load, RegisterEmployer, RegisterMerchant, StopCard
from authz.decision.reference import Employer, Merchant
from authz.engine.cards import Cards
from authz.engine.engine import Engine
from authz.programmes import shipped
from authz.security.module import PinMethod, SecurityModule
from ledger.values import Cents, HolderId

HOLDERS_AT_ONCE_MAX = 256


class DemoNotLoaded(Exception):
    """The demo's data could not be entered: the ledger can't be written now."""


class DemoLot(Struct, frozen=True, forbid_unknown_fields=True):
    """Vouchers on a card: `lot` is a vintage, N or N-1, or a validity from the first start, such as +12m."""

    product: str
    lot: str
    amount: Decimal


class DemoCard(Struct, frozen=True, forbid_unknown_fields=True):
    """A card of the demo, with its number and its PIN. Its repr shows neither."""

    pan: str
    holder: str
    employer: str
    generation: Literal[1, 2]
    expiry: str
    pin: str
    lots: tuple[DemoLot, ...]
    status: Literal["active", "not-activated", "lost", "stolen", "replaced"] = "active"
    works_sundays_holidays: bool = False

    def __repr__(self) -> str:
        return f"DemoCard(…{self.pan[-4:]})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class DemoMerchant(Struct, frozen=True, forbid_unknown_fields=True):
    """A merchant of the demo, and the terminal that stands there."""

    id: str
    terminal: str
    name: str
    mcc: str
    territory: str
    time_zone: str
    accepts: tuple[str, ...]


class _Vault(Struct, frozen=True):
    key: str

    def __repr__(self) -> str:
        return "_Vault(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class DemoData(Struct, frozen=True):
    """All of `demo.toml`. Its repr shows no key."""

    link: LinkTable
    issuer_keys: Mapping[str, str]
    vault: _Vault
    employer: tuple[Employer, ...]
    card: tuple[DemoCard, ...]
    merchant: tuple[DemoMerchant, ...]

    def __repr__(self) -> str:
        return "DemoData(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []

    def config(self) -> Config:
        """The demo acquirer's link and the demo's keys."""
        return make((self.link,), self.issuer_keys, self.vault.key, HttpTable(port=8080))


def read() -> DemoData:
    """Read the data set that the product carries."""
    text = (files("authz") / "demo.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text, parse_float=Decimal), DemoData)


class DemoLoader:
    """Enters demo data into a ledger whose first day is `first_day`."""

    def __init__(self, engine: Engine, cards: Cards, security: SecurityModule, first_day: date) -> None:
        self._engine = engine
        self._cards = cards
        self._security = security
        self._first_day = first_day

    async def load(self, data: DemoData) -> None:
        """Enter everything. Raises `DemoNotLoaded`."""
        for employer in data.employer:
            await self._administer(RegisterEmployer(employer), f"demo employer {employer.id}")
        for one in data.merchant:
            merchant = Merchant(one.id, one.name, one.mcc, one.territory, one.time_zone, one.accepts)
            await self._administer(RegisterMerchant(merchant), f"demo merchant {one.id}")
        await self.load_cards(data.card, {employer.id: employer.programme for employer in data.employer})

    async def load_cards(self, cards: Iterable[DemoCard], programmes: Mapping[str, str]) -> None:
        """Enter cards; those of one holder stand together. `programmes` are the employers'."""
        places = asyncio.Semaphore(HOLDERS_AT_ONCE_MAX)

        async def enter(mine: list[DemoCard]) -> None:
            async with places:
                await self._enter_holder(mine, programmes[mine[0].employer])

        await asyncio.gather(*[enter(list(mine)) for _, mine in groupby(cards, key=lambda card: card.holder)])

    async def _enter_holder(self, cards: list[DemoCard], programme: str) -> None:
        first = cards[0]
        holder = HolderId(f"h{self._security.token(first.pan).hex()[:12]}")
        await self._administer(
            Enrol(holder, first.employer, any(card.works_sundays_holidays for card in cards)),
            f"demo enrolment {holder}",
        )
        for card in cards:
            await self._enter_card(card, holder, programme)

    async def _enter_card(self, card: DemoCard, holder: HolderId, programme: str) -> None:
        expiry = expiry_in(card.expiry, self._first_day.year)
        known = await self._cards.add(
            card=CardId(f"c{secrets.token_hex(8)}"),
            holder=holder,
            partition=self._engine.partition_of(holder),
            pan=card.pan,
            expiry=expiry,
            check=await self._security.make_pin_check(PinMethod(shipped(programme).pin.method), card.pan, card.pin),
        )
        active = card.status != "not-activated"
        issue = IssueCard(holder, known.card, programme, card.generation, expiry, active)
        await self._administer(issue, f"demo card {known.card}")
        if card.status in ("lost", "stolen", "replaced"):
            await self._administer(StopCard(holder, known.card, card.status), f"demo stop {known.card}")
        for lot in card.lots:
            load = self._load(holder, programme, lot)
            await self._administer(load, f"demo load {holder} {load.product} {load.lot}")

    def _load(self, holder: HolderId, programme: str, lot: DemoLot) -> Load:
        product = shipped(programme).product(lot.product)
        assert product is not None
        if lot.lot.startswith("+"):
            first, last = product.lot_dates(self._first_day)
            name = last.isoformat()
        else:
            vintage = year_in(lot.lot, self._first_day.year)
            first, last = product.lot_dates(self._first_day, vintage)
            name = str(vintage)
        return Load(holder, lot.product, name, first, last, Cents(int(lot.amount * 100)))

    async def _administer(self, command: Any, key: str) -> None:
        reply = await self._engine.administer(command, key)
        if not reply.reason.approves:
            raise DemoNotLoaded(f"the demo's data could not be entered: {reply.reason}")


def year_in(text: str, n: int) -> int:
    """Read a year such as N, N-1 or N+2.

    >>> year_in("N-1", 2026)
    2025
    """
    found = re.fullmatch(r"N([+-]\d+)?", text)
    assert found is not None
    return n + int(found[1] or 0)


def expiry_in(text: str, n: int) -> str:
    """Read a card's expiry such as N+2-06 into YYMM.

    >>> expiry_in("N+2-06", 2026), expiry_in("N-1-12", 2026)
    ('2806', '2512')
    """
    year, _, month = text.rpartition("-")
    return f"{year_in(year, n) % 100:02}{month}"
