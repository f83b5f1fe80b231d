"""The take-over of a portfolio: another processor's holders, the cards in their hands, PINs, balances.

They come in chunks, each of one programme, their PINs enciphered under the zone PIN key of a link. A holder is one
record, decided like any other; before it, the cards' numbers are in the vault. Who a holder is follows from programme
and reference, and a card's id from its number: so a chunk that was cut off, or of which nobody knows whether it was
answered, is sent again, and has no second effect.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal

from msgspec import Struct

from authz.decision.issuing.commands import TakenCard, TakeOver
from authz.decision.position import CardId
from authz.decision.programme import Product, Programme, on_day
from authz.decision.reference import Employer, employer_passbook
from authz.decision.refused import EmployerUnknown, LotMalformed, ProgrammeDiffers, Refused
from authz.engine.bulk import MASSIVE, Errand, SaidOtherwise
from authz.engine.cards import CARDS_A_QUERY_MAX, NumberedCard
from authz.engine.kinds import passbook_of
from authz.engine.passbooks import decode_state
from authz.issuing.bodies.portfolio import RefusedHolder, TakenOver
from authz.issuing.cardmaking import with_check_digit
from authz.issuing.issuer import HOME, Issuer
from authz.security.module import KeyMissing, Malformed, PinFinding, PinGarbled, PinMethod, SecurityModule
from ledger.store import HOLDERS_A_CALL_MAX
from ledger.values import Cents, HolderId, Lot, Partition

CHUNKS_AT_ONCE_MAX = 4
"""Chunks that are worked on: others wait, as their senders do for the answer."""
HOLDERS_A_TURN = 20
"""Holders whose PINs are opened before payments have the loop again: half a millisecond."""
KEYED_ON: Final = date(2000, 1, 1)
"""The day in every key: the same holder has the same key whenever the chunk comes again."""

_ID_DIGITS = 16


class LinkUnknown(Refused):
    """There is no such link: name the one whose zone PIN key the PINs are under."""


class NumberMalformed(Refused):
    """A card's number ends with its check digit (ISO/IEC 7812-1)."""


class NumberTaken(Refused):
    """A card of this number is another holder's, or of another kind."""


class PinUnreadable(Refused):
    """A PIN block holds no PIN of its card: it is under another key, for another number, or of another length."""


class GenerationUnknown(Refused):
    """The programme has no cards of this generation."""


class BroughtCard(Struct, frozen=True, gc=False):
    """A card in its holder's hands. `pin_block` is 16 hexadecimal digits. Its repr shows neither number nor PIN."""

    pan: str
    expiry: str
    generation: Literal[1, 2]
    activated: bool
    pin_block: str

    def __repr__(self) -> str:
        return f"BroughtCard(…{self.pan[-4:]})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("last4", self.pan[-4:])]


class BroughtLot(Struct, frozen=True, gc=False):
    """Vouchers that a holder has. `lot` is a vintage (2026), or, of what isn't vintages, the day of its credit."""

    product: str
    lot: str
    amount: Cents


class BroughtHolder(Struct, frozen=True, gc=False):
    """Somebody who is taken over: `reference` is their name with the other processor."""

    reference: str
    employer: str
    works_days_off: bool
    cards: tuple[BroughtCard, ...]
    lots: tuple[BroughtLot, ...]


class _Prepared(Struct, frozen=True, gc=False):
    """A holder who makes sense so far: what is to be recorded, and the cards' numbers for the vault."""

    holder: BroughtHolder
    command: TakeOver
    cards: tuple[NumberedCard, ...]


def holder_of(security: SecurityModule, programme: str, reference: str) -> HolderId:
    """Name the holder whom another processor knows by a reference, which their record doesn't tell."""
    return HolderId("h" + security.token(f"holder {programme} {reference}").hex()[:_ID_DIGITS])


def card_of(security: SecurityModule, pan: str) -> CardId:
    """Name a card that comes with its number: the same number, the same card."""
    return CardId("c" + security.token(f"card {pan}").hex()[:_ID_DIGITS])


def lot_named(product: Product, name: str, amount: Cents) -> Lot:
    """Give the lot of a product that a vintage or a day of credit names. Raises `LotMalformed`.

    It is what an order's would be called, so that later loads of the same vintage, or day, join it.
    """
    is_vintage = len(name) == len("2026")
    try:
        credited = date(int(name), 1, 1) if is_vintage else date.fromisoformat(name)
        row = on_day(product.validity, credited)
        if row is None or (row.months is None) is not is_vintage:
            raise LotMalformed
        if name != (str(credited.year) if is_vintage else credited.isoformat()):  # there are other ways to write them
            raise LotMalformed
        return Lot(product.code, name, *product.lot_dates(credited), amount)
    except (ValueError, OverflowError):
        raise LotMalformed from None


class Portfolio:
    """Takes holders over, beside payments."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._places = asyncio.Semaphore(CHUNKS_AT_ONCE_MAX)

    async def take_over(self, programme: str, zone: str, holders: Sequence[BroughtHolder], by: str) -> TakenOver:
        """Take over at most `HOLDERS_MAX`: all that isn't refused is in the ledger when this returns.

        `zone` is the link whose zone PIN key the PINs are under. Raises `NotThere` for an unknown programme,
        `LinkUnknown`, `SecurityUnavailable`, and `LedgerError`: what was done until then is done.
        """
        rules = self._issuer.programme(programme)
        refused: list[RefusedHolder] = []
        async with self._places:
            chunk = _Chunk(self._issuer, rules, zone, await self._employers(holders))
            parts = [chunk.kept(some, refused) for some in _parts(holders)]
            kept = [one for some in await asyncio.gather(*parts) for one in some]
            refused += await self._carry_out(chunk, kept, by)
        return TakenOver(len(holders) - len(refused), tuple(refused))

    async def _employers(self, holders: Sequence[BroughtHolder]) -> Mapping[str, Employer]:
        names = list(dict.fromkeys(employer_passbook(one.employer) for one in holders))
        found: dict[str, Employer] = {}
        for first in range(0, len(names), HOLDERS_A_CALL_MAX):
            lines = await self._issuer.store.newest(HOME, names[first : first + HOLDERS_A_CALL_MAX])
            for name, line in lines.items():
                state = decode_state(name, line.position)
                if isinstance(state, Employer):
                    found[state.id] = state
        return found

    async def _carry_out(self, chunk: "_Chunk", kept: Sequence[_Prepared], by: str) -> Sequence[RefusedHolder]:
        """Have holders recorded, each partition's by its lane; return who is refused."""
        engine = self._issuer.engine
        errands = defaultdict[Partition, list[Errand]](list)
        for one in kept:
            key = f"takeover {chunk.rules.id} {one.holder.reference}"
            errand = Errand(one.command, key, KEYED_ON, by, verbatim=True, fresh=True)
            errands[engine.partition_of(one.command.holder)].append(errand)
        done = [engine.lane(home).carry_out(some, MASSIVE) for home, some in errands.items()]
        references = {one.command.holder: one.holder.reference for one in kept}
        return [
            RefusedHolder(references[passbook_of(refusal.errand.command)], str(refusal.why))
            for refusals in await asyncio.gather(*done)
            for refusal in refusals
        ]


class _Chunk:
    """What is the same for all holders of a chunk."""

    def __init__(self, issuer: Issuer, rules: Programme, zone: str, employers: Mapping[str, Employer]) -> None:
        self.rules = rules
        self._issuer = issuer
        self._security = issuer.security
        self._method = PinMethod(rules.pin.method)
        self._zone = zone
        self._employers = employers
        self._lots: dict[tuple[str, str], Lot] = {}

    async def kept(self, holders: Sequence[BroughtHolder], refused: list[RefusedHolder]) -> Sequence[_Prepared]:
        """Read some who were sent, and put their cards into the vault; refuse who makes no sense. Raises `LinkUnknown`.

        Of those who are returned, every card is in the vault as it was sent.
        """
        return await self._keep(await self._prepare(holders, refused), refused)

    async def _prepare(self, holders: Sequence[BroughtHolder], refused: list[RefusedHolder]) -> Sequence[_Prepared]:
        """Read what was sent, a few holders in a turn of the loop."""
        prepared: list[_Prepared] = []
        for number, one in enumerate(holders, 1):
            try:
                prepared.append(await self._prepared(one))
            except LinkUnknown:
                raise
            except Refused as why:
                refused.append(RefusedHolder(one.reference, str(why)))
            if number % HOLDERS_A_TURN == 0:
                await asyncio.sleep(0)
        return prepared

    async def _keep(self, prepared: Sequence[_Prepared], refused: list[RefusedHolder]) -> Sequence[_Prepared]:
        cards: dict[CardId, NumberedCard] = {}
        for one in prepared:
            for card in one.cards:
                cards.setdefault(card.card, card)
        there = await self._issuer.cards.take_in(list(cards.values()))
        kept: list[_Prepared] = []
        for one in prepared:
            try:
                for brought, card in zip(one.holder.cards, one.cards, strict=True):
                    if cards[card.card].holder != card.holder:
                        raise NumberTaken
                    if card.card in there:
                        await self._require_same(brought, card, there[card.card])
                kept.append(one)
            except Refused as why:
                refused.append(RefusedHolder(one.holder.reference, str(why)))
        return kept

    async def _prepared(self, one: BroughtHolder) -> _Prepared:
        employer = self._employers.get(one.employer)
        if employer is None:
            raise EmployerUnknown
        if employer.programme != self.rules.id:
            raise ProgrammeDiffers
        holder = holder_of(self._security, self.rules.id, one.reference)
        partition = self._issuer.engine.partition_of(holder)
        cards = [await self._numbered(card, holder, partition) for card in one.cards]
        taken = [
            TakenCard(card.card, brought.generation, card.expiry, brought.activated)
            for brought, card in zip(one.cards, cards, strict=True)
        ]
        lots = tuple([self._lot(lot) for lot in one.lots])
        command = TakeOver(holder, self.rules.id, one.employer, tuple(taken), lots, one.works_days_off)
        return _Prepared(one, command, tuple(cards))

    async def _numbered(self, card: BroughtCard, holder: HolderId, partition: Partition) -> NumberedCard:
        if self.rules.generation(card.generation) is None:
            raise GenerationUnknown
        if with_check_digit(card.pan[:-1]) != card.pan:
            raise NumberMalformed
        try:
            check = await self._security.make_block_check(self._method, self._zone, card.pin_block, card.pan)
        except KeyMissing:
            raise LinkUnknown from None
        except (PinGarbled, Malformed):
            raise PinUnreadable from None
        return NumberedCard(card_of(self._security, card.pan), holder, partition, card.pan, card.expiry, check)

    async def _require_same(self, brought: BroughtCard, new: NumberedCard, there: NumberedCard | None) -> None:
        """Refuse a card whose number was kept before for another holder, or with another expiry or PIN."""
        if there is None or there.holder != new.holder:
            raise NumberTaken
        finding = await self._security.verify_pin(self._zone, brought.pin_block, brought.pan, there.check)
        if there.expiry != new.expiry or finding is not PinFinding.RIGHT:
            raise SaidOtherwise

    def _lot(self, brought: BroughtLot) -> Lot:
        named = self._lots.get((brought.product, brought.lot))
        if named is None:
            product = self.rules.product(brought.product)
            if product is None:
                raise LotMalformed
            named = lot_named(product, brought.lot, Cents(0))
            self._lots[brought.product, brought.lot] = named
        return Lot(named.product, named.name, named.valid_from, named.valid_until, brought.amount)


def _parts(holders: Sequence[BroughtHolder]) -> Iterator[Sequence[BroughtHolder]]:
    """Divide holders into parts whose cards the vault takes in one query."""
    part: list[BroughtHolder] = []
    cards = 0
    for one in holders:
        if cards + len(one.cards) > CARDS_A_QUERY_MAX or len(part) == CARDS_A_QUERY_MAX:
            yield part
            part, cards = [], 0
        part.append(one)
        cards += len(one.cards)
    yield part
