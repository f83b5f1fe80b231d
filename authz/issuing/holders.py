"""What a holder is shown, free and at any hour (R3262-1-2): vouchers by vintage, what expired, what can be asked.

Days are the programme's local date. What is shown follows from the newest line of the passbook and the date, whether
or not what is due by the date was posted.
"""

from collections.abc import Sequence
from datetime import date

from authz.decision import lots
from authz.decision.commands import ExchangeLot, ReactivateLot
from authz.decision.issuing.needs import is_locked
from authz.decision.issuing.states import ClientId
from authz.decision.position import Card, CardId, Position
from authz.decision.programme import Product, on_day
from authz.decision.refused import HolderUnknown
from authz.decision.vintages import REACTIVATED
from authz.engine.cards import CARDS_A_QUERY_MAX
from authz.issuing.bodies.holders import Balance, CardView, Expired, HolderView, Vouchers
from authz.issuing.bodies.operations import OperationsPage
from authz.issuing.issuer import Issuer, NotThere
from authz.issuing.operations import OPERATIONS_A_PAGE_MAX, Operations
from ledger.values import Cents, HolderId, Lot, Seq

ANY_MERCHANT = ""
"""The category of no merchant in particular: the cap that holds for all."""


class HolderDesk:
    """What holders see and ask for."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._operations = Operations(issuer)

    async def balances(self, holder: HolderId) -> HolderView:
        """Show balances by product and vintage, and cards. Raises `NotThere` and `LedgerError`."""
        position = await self._position(holder)
        return HolderView(
            holder=holder,
            balances=tuple([self._balance(code, position) for code in sorted(position.products)]),
            cards=await self._cards(position.cards),
            employers=tuple(map(ClientId, position.employers)),
        )

    async def operations(
        self, holder: HolderId, before: Seq | None = None, most: int = OPERATIONS_A_PAGE_MAX
    ) -> OperationsPage:
        """Show what happened, newest first, of the records below `before`. Raises `NotThere` and `LedgerError`."""
        await self._position(holder)
        return await self._operations.of(holder, before, most)

    async def loads(self, client: ClientId, holder: HolderId, before: Seq | None = None) -> OperationsPage:
        """Show an employer what it loaded, and nothing else. Raises `NotThere` and `LedgerError`."""
        await self._position_at(client, holder)
        return await self._operations.loads_by(client, holder, before)

    async def cards(self, client: ClientId, holder: HolderId) -> Sequence[CardView]:
        """Show an employer a holder's cards. Raises `NotThere` and `LedgerError`."""
        return await self._cards((await self._position_at(client, holder)).cards)

    async def exchange(self, holder: HolderId, product: str, lot: str, by: str, key: str) -> None:
        """Give the next vintage for what is left of an expired one, free (R3262-5). Raises as `reactivate`."""
        await self._do(ExchangeLot(holder, product, lot), key, by)

    async def reactivate(self, holder: HolderId, product: str, lot: str, by: str, key: str) -> None:
        """Make an expired lot valid once more, for a while. Raises `NotThere`, and as `Issuer.do`."""
        await self._do(ReactivateLot(holder, product, lot), key, by)

    async def _do(self, command: ExchangeLot | ReactivateLot, key: str, by: str) -> None:
        try:
            await self._issuer.do(command, key, by)
        except HolderUnknown:
            raise NotThere from None

    async def _position(self, holder: HolderId) -> Position:
        position = await self._issuer.position(holder)
        if position is None:
            raise NotThere
        return position

    async def _position_at(self, client: ClientId, holder: HolderId) -> Position:
        """Give the position of a holder of a client's. Raises `NotThere` for others'."""
        position = await self._position(holder)
        if client not in position.employers:
            raise NotThere
        return position

    def _balance(self, code: str, position: Position) -> Balance:
        programme, product = self._issuer.product(code)
        day, purse = self._issuer.day(programme.id), position.purse
        own = [lot for lot in (*purse.lots, *purse.expired) if lot.product == code]
        held = sum(part.amount for hold in purse.holds if hold.product == code for part in hold.parts)
        cap = programme.cap_on(day, ANY_MERCHANT) - position.spent_on(day, code) if product.capped else None
        return Balance(
            product=code,
            name=product.name,
            available=lots.available(purse, code, day),
            held=Cents(held),
            cap_left=None if cap is None else Cents(max(cap, 0)),
            vouchers=tuple([_vouchers(lot) for lot in own if lot.valid_until >= day]),
            expired=tuple([_expired(lot, product, day) for lot in own if lot.valid_until < day]),
        )

    async def _cards(self, cards: Sequence[Card]) -> tuple[CardView, ...]:
        newest = cards[-CARDS_A_QUERY_MAX:]
        shown = await self._issuer.cards.shown([CardId(card.id) for card in newest])
        masked = {card: f"{one.first6}******{one.last4}" for card, one in shown.items()}
        return tuple([self._card(card, masked.get(CardId(card.id), "")) for card in newest])

    def _card(self, card: Card, number: str) -> CardView:
        return CardView(
            card=CardId(card.id),
            programme=card.programme,
            generation=card.generation,
            number=number,
            expiry=card.last_month,
            status=card.status,
            locked=is_locked(card, self._issuer.programme(card.programme)),
        )


def _vouchers(lot: Lot) -> Vouchers:
    return Vouchers(lot.name, lot.amount, lot.valid_from, lot.valid_until)


def _expired(lot: Lot, product: Product, day: date) -> Expired:
    exchange = on_day(product.exchanges, lot.valid_until)
    again = on_day(product.reactivations, lot.valid_until)
    if lot.name.endswith(REACTIVATED):  # once is all
        again = None
    return Expired(
        lot=lot.name,
        amount=lot.amount,
        valid_until=lot.valid_until,
        exchange_until=None if exchange is None else _unless_over(exchange.ends(lot.valid_until), day),
        reactivate_until=None if again is None else _unless_over(again.ends(lot.valid_until), day),
    )


def _unless_over(last: date, day: date) -> date | None:
    return last if day <= last else None
