"""The demo's data set: read from `demo.toml`, and entered by the same journaled commands that issuing uses.

Amounts there are euros with two decimals, N is the year of the clock at the first start, and lots bear the dates of
their vintage. Entering it twice changes nothing.
"""

import asyncio
import re
import secrets
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from importlib.resources import files
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from authz.config.configuration import Config, HttpTable, ProductionSettings, make
from authz.config.links import LinkTable
from authz.decision.commands import (
    Administration,
    CardId,
    Enrol,
    IssueCard,
    Load,
    RegisterEmployer,
    RegisterMerchant,
    StopCard,
)
from authz.decision.issuing.states import ClientId
from authz.decision.reference import Employer, Merchant
from authz.engine.bulk import BRISK, Errand
from authz.engine.cards import Cards
from authz.engine.engine import Engine
from authz.engine.kinds import passbook_of
from authz.issuing.cardfiles import own_recipients
from authz.issuing.contacts import Contacts, holder_of
from authz.issuing.person import Person
from authz.programmes import shipped
from authz.security.module import PinMethod, SecurityModule
from ledger.store import LedgerError
from ledger.values import Cents, HolderId, Partition

PRODUCTION_FOLDER = "production"
CARDS_AT_ONCE_MAX = 256

HolderCommand = Enrol | IssueCard | StopCard | Load


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

    @property
    def person(self) -> Person:
        """Who holds it: Alice Martin is alice.martin@example.org."""
        first, _, last = self.holder.partition(" ")
        return Person(first, last, f"{'.'.join(self.holder.lower().split())}@example.org")

    @property
    def is_activated(self) -> bool:
        """Whether it has paid, or could have."""
        return self.status != "not-activated"

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

    @property
    def programmes(self) -> Mapping[str, str]:
        """The programme of each employer."""
        return {one.id: one.programme for one in self.employer}

    def somebody(self, security: SecurityModule) -> tuple[ClientId, HolderId]:
        """Name an employer and one of its holders: whose tokens the demo shows."""
        first = self.card[0]
        return ClientId(first.employer), holder_of(security, self.programmes[first.employer], first.person.email)

    def config(self) -> Config:
        """The demo acquirer's link and the demo's keys."""
        return make((self.link,), self.issuer_keys, self.vault.key, HttpTable(port=8080))


class _Held(Struct, frozen=True, gc=False):
    """A card, and whose it is."""

    card: DemoCard
    programme: str
    holder: HolderId


def read() -> DemoData:
    """Read the data set that the product carries."""
    text = (files("authz.demo_data") / "demo.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text, parse_float=Decimal), DemoData)


def production_in(data: Path) -> ProductionSettings:
    """Find where new cards' files go, below a data folder, with the keys that open them. Raises `FolderUnusable`."""
    folder = data / PRODUCTION_FOLDER
    return ProductionSettings(folder, own_recipients(folder))


class DemoLoader:
    """Enters demo data into a ledger whose first day is `first_day`.

    Holders come in by the bulk lane, beside payments. `contacts` keeps who they are; without it nobody is written to.
    """

    def __init__(
        self, engine: Engine, cards: Cards, security: SecurityModule, first_day: date, contacts: Contacts | None = None
    ) -> None:
        self._engine = engine
        self._cards = cards
        self._security = security
        self._first_day = first_day
        self._contacts = contacts

    async def load(self, data: DemoData) -> None:
        """Enter everything. Raises `DemoNotLoaded`."""
        for employer in data.employer:
            await self._administer(RegisterEmployer(employer), f"demo employer {employer.id}")
        for one in data.merchant:
            merchant = Merchant(one.id, one.name, one.mcc, one.territory, one.time_zone, one.accepts)
            await self._administer(RegisterMerchant(merchant), f"demo merchant {one.id}")
        await self.load_cards(data.card, data.programmes)

    async def load_cards(self, cards: Iterable[DemoCard], programmes: Mapping[str, str]) -> None:
        """Enter cards; those of one holder stand together. `programmes` are the employers'. Raises `DemoNotLoaded`.

        A holder is enrolled before a card is issued, and a card issued before it is stopped or its vouchers loaded.
        """
        mine = [_Held(card, programmes[card.employer], self._holder(card, programmes)) for card in cards]
        if self._contacts is not None:
            await self._contacts.keep({one.holder: one.card.person for one in mine})
        known = await self._numbered(mine)
        await self._carry_out(self._enrolments(mine))
        await self._carry_out(
            self._errand(
                IssueCard(
                    one.holder, card, one.programme, one.card.generation, self._expiry(one.card), one.card.is_activated
                ),
                f"card {card}",
            )
            for one, card in zip(mine, known, strict=True)
        )
        await self._carry_out(
            self._errand(StopCard(one.holder, card, one.card.status), f"stop {card}")
            for one, card in zip(mine, known, strict=True)
            if one.card.status in ("lost", "stolen", "replaced")
        )
        await self._carry_out(
            self._errand(self._load(one, lot), f"load {one.holder} {lot.product} {lot.lot}")
            for one in mine
            for lot in one.card.lots
        )

    def _holder(self, card: DemoCard, programmes: Mapping[str, str]) -> HolderId:
        return holder_of(self._security, programmes[card.employer], card.person.email)

    def _enrolments(self, mine: Sequence["_Held"]) -> Iterator[Errand]:
        for holder, some in groupby(mine, key=attrgetter("holder")):
            first, *others = [one.card for one in some]
            works_days_off = any(card.works_sundays_holidays for card in (first, *others))
            yield self._errand(Enrol(holder, first.employer, works_days_off), f"enrolment {holder}")

    async def _numbered(self, mine: Sequence["_Held"]) -> Sequence[CardId]:
        """Put cards into the vault; each that is there already keeps its id."""
        places = asyncio.Semaphore(CARDS_AT_ONCE_MAX)

        async def number(one: _Held) -> CardId:
            async with places:
                method, pan = PinMethod(shipped(one.programme).pin.method), one.card.pan
                known = await self._cards.add(
                    card=CardId(f"c{secrets.token_hex(8)}"),
                    holder=one.holder,
                    partition=self._engine.partition_of(one.holder),
                    pan=pan,
                    expiry=self._expiry(one.card),
                    check=await self._security.make_pin_check(method, pan, one.card.pin),
                )
                return known.card

        return await asyncio.gather(*map(number, mine))

    def _expiry(self, card: DemoCard) -> str:
        return expiry_in(card.expiry, self._first_day.year)

    def _load(self, one: "_Held", lot: DemoLot) -> Load:
        product = shipped(one.programme).product(lot.product)
        assert product is not None
        if lot.lot.startswith("+"):
            first, last = product.lot_dates(self._first_day)
            name = last.isoformat()
        else:
            vintage = year_in(lot.lot, self._first_day.year)
            first, last = product.lot_dates(self._first_day, vintage)
            name = str(vintage)
        return Load(one.holder, lot.product, name, first, last, Cents(int(lot.amount * 100)))

    def _errand(self, command: HolderCommand, key: str) -> Errand:
        return Errand(command, f"demo {key}", self._first_day)

    async def _carry_out(self, errands: Iterable[Errand]) -> None:
        """Carry out holders' commands in any order: each partition's lane takes its own."""
        homes: dict[Partition, list[Errand]] = defaultdict(list)
        for errand in errands:
            homes[self._engine.partition_of(passbook_of(errand.command))].append(errand)
        try:
            done = [self._engine.lane(home).carry_out(some, BRISK) for home, some in homes.items()]
            refusals = [refusal for refused in await asyncio.gather(*done) for refusal in refused]
        except LedgerError as error:
            raise DemoNotLoaded(f"the demo's data could not be entered: {error}") from None
        if refusals:
            raise DemoNotLoaded(f"the demo's data could not be entered: {refusals[0].why}")

    async def _administer(self, command: Administration, key: str) -> None:
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
