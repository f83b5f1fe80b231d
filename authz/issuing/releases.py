"""What becomes of a paid order: cards are made for those who need one, and every line is carried out, beside payments.

Nothing keeps a queue. Each partition's part follows the payments of orders in its own journal, behind a cursor that is
a record too, and carries out the lines of its own holders, each in one record under a key of its own. So whatever is
cut off is begun again, and done twice changes nothing.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date

from msgspec import Struct

from authz.decision.issuing.commands import Fulfil, NewCard, NoteApplied, PayOrder
from authz.decision.issuing.lots_of_orders import LotOfOrder, lot_of
from authz.decision.issuing.states import (
    Client,
    Order,
    OrderLine,
    client_passbook,
)
from authz.decision.programme import Product, Programme
from authz.engine.bulk import BEGIN_AGAIN_EVERY_S, BRISK, Errand
from authz.engine.inputs import decode_inputs
from authz.issuing import chunks
from authz.issuing.cardmaking import make_cards
from authz.issuing.drafting import who_needs_cards
from authz.issuing.following import PASSED_A_NOTE, Follower, window
from authz.issuing.issuer import Issuer
from authz.issuing.orders import spread
from ledger.store import Event
from ledger.values import HolderId, Partition, Seq

PAYMENT = str(PayOrder.__struct_config__.tag)
CARDS_A_TURN = 50
"""Cards that are made before the lane rests."""


class Release(Struct, frozen=True, gc=False):
    """A paid order in the hands of one partition. `paid_on` dates the keys of all that is done for it."""

    order: Order
    rules: Programme
    product: Product
    paid_on: date

    @property
    def purpose(self) -> str:
        """What cards are made for, and how keys begin."""
        return f"order {self.order.client} {self.order.id}"


class Releases:
    """Releases paid orders in one partition. `applied` hears how many lines were carried out."""

    def __init__(
        self, issuer: Issuer, partition: Partition, applied: Callable[[int], object] = lambda lines: None
    ) -> None:
        self.paid = asyncio.Event()
        """Set when an order was paid: it is released at once."""
        self._issuer = issuer
        self._partition = partition
        self._applied = applied
        self._follower = Follower(issuer, partition, f"orders {partition}", BRISK)
        self._through = Seq(0)
        self._alone = asyncio.Lock()

    async def keep_releasing(self) -> None:
        """Release orders whenever one is paid, and now and then, until cancelled. Raises what `release` raises."""
        while True:
            self.paid.clear()
            await self.release()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.paid.wait(), BEGIN_AGAIN_EVERY_S)

    async def release(self) -> None:
        """Carry out the lines of every order that is paid. Raises `LedgerError`: what was done until then is done."""
        async with self._alone:
            head = self._follower.head()
            noted = await self._follower.noted() or Seq(0)
            after = self._through = max(self._through, noted)
            while after < head:
                after, events = await window(self._issuer, self._partition, (PAYMENT,), after, head)
                for event in events:
                    await self._carry_out(event)
                if events or after - noted >= PASSED_A_NOTE:
                    await self._follower.note(after)
                    noted = after
                self._through = after

    async def _carry_out(self, event: Event) -> None:
        """Carry out what one payment releases here."""
        payment = decode_inputs(event.request).command
        assert isinstance(payment, PayOrder), "the kind says so"
        await spread(self._issuer, payment)
        release = await self._begun(payment, event.at.date())
        async for number, lines in chunks.read(self._issuer, release.order, await self._left(release)):
            await self._apply(release, number, lines)

    async def _begun(self, payment: PayOrder, paid_on: date) -> Release:
        order = await self._issuer.state(payment.passbook, self._partition)
        client = await self._issuer.state(client_passbook(payment.client), self._partition)
        assert isinstance(order, Order), "it was paid"
        assert isinstance(client, Client), "it has ordered"
        rules = self._issuer.programme(client.programme)
        product = rules.product(order.product)
        assert product is not None, "it was ordered"
        return Release(order, rules, product, paid_on)

    async def _left(self, release: Release) -> Sequence[int]:
        """Tell which chunks of this partition's holders aren't noted as carried out."""
        own = [number for number, one in enumerate(release.order.chunks) if one.partition == self._partition]
        keys = {number: _note_of(release, number, 0).keys.identity for number in own}
        there = await self._issuer.store.find(self._partition, list(keys.values()))
        return [number for number in own if keys[number] not in there]

    async def _apply(self, release: Release, number: int, lines: Sequence[OrderLine]) -> None:
        """Carry out a chunk, and note it: here last, where it is looked for."""
        cards = await self._cards(release, [line.holder for line in lines if line.card])
        lot = lot_of(release.product, release.order.month, self._issuer.day(release.rules.id))
        errands = [_fulfilment(release, line, lot, cards.get(line.holder)) for line in lines]
        refusals = await self._follower.lane.carry_out(errands, BRISK)
        self._applied(len(lines) - len(refusals))
        others = [one for one in await self._issuer.store.partitions() if one != self._partition]
        for partition in (*others, self._partition):
            note = _note_of(release, number, len(refusals))
            for refusal in await self._issuer.engine.lane(partition).carry_out([note], BRISK):
                raise refusal.why

    async def _cards(self, release: Release, holders: Sequence[HolderId]) -> Mapping[HolderId, NewCard]:
        """Make cards for those who need one still: another order may have brought one since this one was drafted."""
        async with self._follower.lane.turn(BRISK):
            needing = sorted(await who_needs_cards(self._issuer, release.rules, holders))
        made: dict[HolderId, NewCard] = {}
        for first in range(0, len(needing), CARDS_A_TURN):
            wanted = dict.fromkeys(needing[first : first + CARDS_A_TURN], release.purpose)
            async with self._follower.lane.turn(BRISK):
                made.update(await make_cards(self._issuer, release.rules.id, wanted))
        return made


def _fulfilment(release: Release, line: OrderLine, lot: LotOfOrder, card: NewCard | None) -> Errand:
    order = release.order
    command = Fulfil(
        holder=line.holder,
        client=order.client,
        order=order.id,
        programme=release.rules.id,
        product=order.product,
        lot=lot.name,
        valid_from=lot.first,
        valid_until=lot.last,
        amount=line.amount,
        card=card,
        works_days_off=line.works_days_off,
    )
    return Errand(command, f"{release.purpose} line {line.holder}", release.paid_on)


def _note_of(release: Release, number: int, refused: int) -> Errand:
    note = NoteApplied(release.order.client, release.order.id, 1, refused)
    return Errand(note, f"{release.purpose} chunk {number}", release.paid_on)
