"""The desks over a real PostgreSQL: what they read by name, by prefix and backwards is there as it is in memory."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from authz.decision.issuing.states import ClientId, RequestKind, RequestStatus
from authz.decision.outcomes import Reason
from authz.decision.position import CardId
from authz.issuing.bodies.operations import OperationKind
from authz.issuing.cards import Remakes
from authz.issuing.renewals import Renewals
from ledger.postgres import PostgresStore
from tests.conftest import Database
from tests.engine.world import MAIN, World, holder_of
from tests.issuing.office import BY, Office

ALICE = holder_of(1)
CARD = CardId("c1")


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    world = World()
    store = PostgresStore(database.url)
    office = Office(await world.open(store))
    await office.house.furnish()
    yield office
    await world.close()
    await store.close()


async def test_from_an_offer_to_a_card_that_was_lost_and_made_anew(office: Office) -> None:
    offer = await office.offer()
    account = await office.clients.accept(offer, None, BY, "acceptance")
    assert await office.clients.accept(offer, None, BY, "acceptance") == account
    assert await office.clients.clients() == [account]
    assert [one.id for one in await office.clients.offers()] == [offer]
    pan = await office.house.enrol(1)
    assert (await office.house.pay(office.world.request(pan, 1_000))).reason is Reason.APPROVED
    await office.cards.oppose(ALICE, CARD, "lost", BY, "opposition")
    assert (await office.house.pay(office.world.request(pan, 100))).reason is Reason.CARD_LOST
    asked = await office.cards.ask(ALICE, CARD, RequestKind.REMAKE, ClientId("E1"), BY, "request")
    assert [one.status for one in await office.cards.requests(ClientId("E1"))] == [RequestStatus.ASKED]
    done = await office.cards.answer(ClientId("E1"), asked.id, BY, "validation", validated=True)
    view = await office.holders.balances(ALICE)
    assert [card.card for card in view.cards] == [CARD, done.new]
    assert [balance.available for balance in view.balances] == [9_000]
    shown = [one.kind for one in (await office.holders.operations(ALICE)).operations]
    kinds = OperationKind
    assert shown == [kinds.CARD, kinds.PAYMENT, kinds.OPPOSITION, kinds.PAYMENT, kinds.LOAD, kinds.CARD]


async def test_what_is_done_behind_the_journal(office: Office) -> None:
    await office.house.enrol(1)
    await office.cards.ask(ALICE, CARD, RequestKind.PIN, ClientId("E1"), BY, "request")
    office.world.clock.wait_at(office.world.clock() + timedelta(days=720))
    for _ in range(2):
        await Remakes(office.issuer, MAIN).remake()
        await Renewals(office.issuer, MAIN).renew()
        head = (await office.house.store.fence(MAIN)).head
    assert len((await office.holders.balances(ALICE)).cards) == 2
    await Renewals(office.issuer, MAIN).renew()
    assert (await office.house.store.fence(MAIN)).head == head
