"""The orders' desk: a list of beneficiaries becomes an order that is looked over, confirmed, paid and then released.

What an order is for is drafted in `authz.issuing.drafting`, what becomes of a paid one is in `authz.issuing.releases`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from weakref import WeakValueDictionary

from msgspec import Struct
from msgspec.structs import replace

from authz.decision.issuing.commands import CancelOrder, ConfirmOrder, DraftOrder, PayOrder
from authz.decision.issuing.delivery import Expected, expected
from authz.decision.issuing.lots_of_orders import lot_of
from authz.decision.issuing.states import (
    CHUNKS_MAX,
    LINES_MAX,
    Chunk,
    Client,
    ClientId,
    Costs,
    Difference,
    Format,
    Order,
    OrderId,
    OrderLine,
    client_passbook,
    order_passbook,
)
from authz.decision.programme import Product, Programme
from authz.decision.refused import NoContract, Refused
from authz.issuing import chunks, drafting
from authz.issuing.chunks import Filled
from authz.issuing.drafting import STANDING
from authz.issuing.drafting import BadRows as BadRows
from authz.issuing.issuer import HOME, Issuer, KeyReused, NotThere, require_done
from authz.issuing.sheets.faults import Fault, RowError, Wrong, said
from authz.issuing.sheets.rows import Row
from ledger.values import Cents, HolderId

LINES_A_PAGE_MAX = 1_000


class MonthOver(Refused):
    """What is ordered for this month would have expired already."""


class Recap(Struct, frozen=True, gc=False):
    """What a client looks over before it confirms. `delivery`: when new cards arrive if the money comes today."""

    order: Order
    costs: Costs
    lines: int
    cards: int
    difference: Difference
    delivery: Expected | None


class Invoice(Struct, frozen=True, gc=False):
    """What an order costs, in cents: the vouchers' own value, and apart from it what the issuer earns (L3262-2).

    `reference` is the bank transfer's, once it has come.
    """

    client: Client
    order: Order
    face: Cents
    commission: Cents
    cards: Cents
    vat: Cents
    fees: Cents
    total: Cents
    reference: str | None


class Orders:
    """Takes, changes and releases clients' orders. `paid` are told whenever one is paid."""

    def __init__(self, issuer: Issuer, paid: Sequence[asyncio.Event] = ()) -> None:
        self._issuer = issuer
        self._paid = paid
        self._drafting: WeakValueDictionary[HolderId, asyncio.Lock] = WeakValueDictionary()

    async def draft(
        self, client: ClientId, order: OrderId, product: str, month: date, rows: Sequence[Row], by: str, key: str
    ) -> Order:
        """Draft an order of a product for the month that begins on a day; one that is there is drafted anew.

        Raises `BadRows`, a `Refused`, `NotThere`, `KeyReused` and `LedgerError`. Nothing is ordered then.
        """
        async with self._alone(order_passbook(client, order)):
            account = await self._client(client)
            rules, kind = self._ordered(account, product)
            if lot_of(kind, month, day := self._issuer.day(rules.id)).last < day:
                raise MonthOver
            holders = await drafting.beneficiaries(self._issuer, rules.id, rows)
            lines = await drafting.lines_of(holders)
            digest = await drafting.digest_of(lines)
            done = await self._done(key)
            if done is None:
                wanted = DraftOrder(client, order, product, month, 0, (), 0, Difference(), digest)
                await self._check(wanted, kind, holders)
                command = await self._drawn_up(wanted, await drafting.with_cards(self._issuer, rules, lines), by)
            else:  # the same again: what of it is missing is written now, and anything else is refused
                command = replace(done, client=client, order=order, product=product, month=month, digest=digest)
            await self._issuer.do(command, key, by)
            return await self.order(client, order)

    async def _check(self, wanted: DraftOrder, kind: Product, holders: Mapping[HolderId, Row]) -> None:
        """Hold a list to the product's limits, and to who is known already."""
        others = await self._others(wanted)
        await drafting.check_limits(self._issuer, kind, wanted.month, holders, others)
        await drafting.keep_people(self._issuer, holders)

    async def _drawn_up(self, wanted: DraftOrder, lines: Sequence[OrderLine], by: str) -> DraftOrder:
        """Put an order's lines down, as its next revision; give the header that makes them count."""
        state = await self._issuer.state(wanted.passbook)
        revision = state.revision + 1 if isinstance(state, Order) else 1
        different = await drafting.difference(self._issuer, await self._others(wanted), lines)
        filled = await self._divided(lines)
        await chunks.enter(self._issuer, wanted.client, wanted.order, revision, filled, by)
        cards = sum(line.card for line in lines)
        return replace(wanted, revision=revision, chunks=_header(filled), cards=cards, difference=different)

    async def _others(self, wanted: DraftOrder) -> Sequence[Order]:
        """Read the client's other orders of the product."""
        of_product = await drafting.orders_of(self._issuer, wanted.client, wanted.product)
        return [one for one in of_product if one.id != wanted.order]

    async def order(self, client: ClientId, order: OrderId) -> Order:
        """Read an order. Raises `NotThere`."""
        state = await self._issuer.state(order_passbook(client, order))
        if not isinstance(state, Order):
            raise NotThere
        return state

    async def list(self, client: ClientId, after: str = "") -> Sequence[Order]:
        """Read a client's orders, behind one (empty: from the first), in the order of their ids: at most a page."""
        behind = order_passbook(client, OrderId(after)) if after else ""
        page = await self._issuer.named(order_passbook(client, OrderId("")), behind)
        return [state for _, state in page if isinstance(state, Order)]

    async def lines(
        self, client: ClientId, order: OrderId, after: int = 0, most: int = LINES_A_PAGE_MAX
    ) -> Sequence[OrderLine]:
        """Read an order's lines behind the first `after`: at most `most`, itself at most a page. Raises `NotThere`."""
        header, first, found = await self.order(client, order), 0, list[OrderLine]()
        most = min(most, LINES_A_PAGE_MAX)
        while first < len(header.chunks) and after >= header.chunks[first].lines:
            after, first = after - header.chunks[first].lines, first + 1
        async for _, some in chunks.read(self._issuer, header, range(first, len(header.chunks))):
            found += some[after : after + most - len(found)]
            after = 0
            if len(found) >= most:
                break
        return found

    async def recap(self, client: ClientId, order: OrderId) -> Recap:
        """Sum an order up, for the client to look over. Raises `NotThere`."""
        account, header = await self._client(client), await self.order(client, order)
        today = self._issuer.day(account.programme)
        delivery = expected(today, account.territory) if header.cards else None
        return Recap(header, header.costs, header.lines, header.cards, header.difference, delivery)

    async def invoice(self, client: ClientId, order: OrderId) -> Invoice:
        """Bill a confirmed order. Raises `NotThere`, for others too."""
        account, header = await self._client(client), await self.order(client, order)
        if header.status not in STANDING:
            raise NotThere
        costs = header.costs
        return Invoice(
            client=account,
            order=header,
            face=costs.face,
            commission=costs.commission,
            cards=costs.cards,
            vat=costs.vat,
            fees=costs.fees,
            total=costs.total,
            reference=header.reference,
        )

    async def confirm(self, client: ClientId, order: OrderId, revision: int, by: str, key: str) -> Order:
        """Accept the recap of a revision. Raises a `Refused`, `NotThere`, `KeyReused` and `LedgerError`."""
        await self.order(client, order)
        await self._issuer.do(ConfirmOrder(client, order, revision), key, by)
        return await self.order(client, order)

    async def cancel(self, client: ClientId, order: OrderId, by: str, key: str) -> Order:
        """Give an order up that isn't paid. Raises a `Refused`, `NotThere`, `KeyReused` and `LedgerError`."""
        await self.order(client, order)
        await self._issuer.do(CancelOrder(client, order), key, by)
        return await self.order(client, order)

    async def pay(self, client: ClientId, order: OrderId, reference: str, amount: Cents, by: str, key: str) -> Order:
        """Enter the bank transfer that pays an order, which releases it.

        Raises a `Refused`, `NotThere`, `KeyReused` and `LedgerError`.
        """
        await self.order(client, order)
        payment = PayOrder(client, order, reference, amount, HOME)
        require_done((await self._issuer.engine.administer_in(HOME, payment, key, by)).reason)
        await spread(self._issuer, payment, by)
        for event in self._paid:
            event.set()
        return await self.order(client, order)

    @asynccontextmanager
    async def _alone(self, passbook: HolderId) -> AsyncIterator[None]:
        """Draft an order once at a time: the lines of a revision stand in one place until a draft names them."""
        lock = self._drafting.setdefault(passbook, asyncio.Lock())
        async with lock:
            yield

    async def _client(self, client: ClientId) -> Client:
        state = await self._issuer.state(client_passbook(client))
        if not isinstance(state, Client):
            raise NotThere
        return state

    def _ordered(self, account: Client, product: str) -> tuple[Programme, Product]:
        """Find the rules of what a client may order: before its list is read, not only when it is drafted."""
        rules = self._issuer.programme(account.programme)
        kind = rules.product(product)
        if kind is None or account.contract(product, Format.ELECTRONIC) is None:
            raise NoContract
        return rules, kind

    async def _divided(self, lines: Sequence[OrderLine]) -> Sequence[Filled]:
        filled = await chunks.divide(lines, self._issuer.engine.partition_of)
        if len(filled) > CHUNKS_MAX:
            raise BadRows([RowError(0, "", said(Wrong(Fault.BEHIND, most=LINES_MAX)))])
        return filled

    async def _done(self, key: str) -> DraftOrder | None:
        """Find the draft that was made under a key. Raises `KeyReused` where something else was done under it."""
        command = await self._issuer.done(key)
        if not isinstance(command, DraftOrder | None):
            raise KeyReused
        return command


def _header(filled: Sequence[Filled]) -> tuple[Chunk, ...]:
    return tuple(one.chunk for one in filled)


async def spread(issuer: Issuer, payment: PayOrder, by: str = "") -> None:
    """Enter a payment in every partition but the first, where it stands: each has the funds of its own holders.

    Done before, it changes nothing. Raises a `Refused`, and `LedgerError`.
    """
    for partition in await issuer.store.partitions():
        if partition != HOME:
            its = replace(payment, partition=partition)
            key = f"order {payment.client} {payment.order} payment"
            require_done((await issuer.engine.administer_in(partition, its, key, by)).reason)
