"""Issuing through a real engine: the journal has it all, and decided again it comes out as it is recorded."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from authz.decision.commands import Administration, AdoptProgramme, RegisterEmployer, StopCard
from authz.decision.issuing.commands import (
    AddContracts,
    AnswerRequest,
    ApproveAdjustment,
    ChangeClient,
    DraftOrder,
    FinishRequest,
    IssuingCommand,
    MoveRun,
    NoteApplied,
    NoteFollowed,
    PayOrder,
    ProposeAdjustment,
    RefuseAdjustment,
    RegisterAgent,
    Remind,
    RevokeAccess,
    WithdrawOffer,
)
from authz.decision.issuing.states import (
    AdjustmentId,
    AdjustmentKind,
    Agent,
    AgentId,
    ContactId,
    OfferId,
    Order,
    OrderId,
    OrderStatus,
    Proposal,
    RunStatus,
    order_passbook,
)
from authz.decision.outcomes import Reason, Reply
from authz.decision.reference import Employer
from authz.decision.refused import PaymentDiffers
from authz.engine.passbooks import decode_state
from authz.replay import Rereading
from ledger import accounts
from ledger.memory import MemoryStore
from ledger.values import Cents, Partition, Seq
from tests.decision.issuing.world import (
    ACCEPTED,
    ACTIVATED,
    ASKED,
    CARD,
    CLIENT,
    CONFIRMED,
    CONTRACT,
    DRAFTED,
    ENTERED,
    FULFILLED,
    GRANTED,
    HOLDER,
    NEW,
    OFFERED,
    OPENED,
    ORDER,
    PAID,
    REMADE,
    REQUEST,
    STARTED,
    TAKEN,
)
from tests.decision.world import APETIZ
from tests.engine.world import House, World

GIVEN_UP = OrderId("o2")
SETTLED = Proposal(AdjustmentKind.SETTLEMENT, "970001", Cents(1_000), "paid on 12 May")
ADJUSTED, REFUSED = AdjustmentId("j1"), AdjustmentId("j2")
FUNDS = accounts.client_funds(CLIENT, "90")
STORY: tuple[Administration, ...] = (
    AdoptProgramme(APETIZ),
    OFFERED,
    replace(OFFERED, offer=OfferId("f2")),
    WithdrawOffer(OfferId("f2")),
    ACCEPTED,
    RegisterEmployer(Employer(CLIENT, "Atelier Durand", "apetiz")),
    OPENED,
    TAKEN,
    AddContracts(CLIENT, (replace(CONTRACT, product="91"),)),
    RegisterAgent(Agent(AgentId("a1"), "Dupont", ContactId("u9"))),
    ChangeClient(CLIENT, agents=(AgentId("a1"),)),
    GRANTED,
    ENTERED,
    DRAFTED,
    CONFIRMED,
    PAID,
    FULFILLED,
    NoteApplied(CLIENT, ORDER, 1, 0),
    NoteFollowed("releases", Seq(12)),
    STARTED,
    MoveRun(1, RunStatus.SENT),
    ACTIVATED,
    Remind(HOLDER, "90", "2026"),
    StopCard(HOLDER, CARD, "lost"),
    ASKED,
    AnswerRequest(CLIENT, REQUEST, validated=True),
    REMADE,
    FinishRequest(CLIENT, REQUEST, NEW),
    replace(ACTIVATED, card=NEW),
    RevokeAccess(GRANTED.token_hash),
    ProposeAdjustment(ADJUSTED, SETTLED, "finance f1"),
    ApproveAdjustment(ADJUSTED, SETTLED, "finance f2"),
    ProposeAdjustment(REFUSED, SETTLED, "finance f1"),
    RefuseAdjustment(REFUSED, "finance f2"),
    replace(ENTERED, order=GIVEN_UP),
    replace(DRAFTED, order=GIVEN_UP),
    replace(ENTERED, order=GIVEN_UP, revision=2),
    replace(DRAFTED, order=GIVEN_UP, revision=2),
)
"""Every command of issuing but a cancellation, which the second test has."""


@pytest.fixture(params=[1, 3])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    world = World(partitions=request.param)
    yield world
    world.audit()
    await world.close()


async def entered(world: World) -> None:
    """Let the story happen, twice: the second time changes nothing."""
    house = await world.open()
    chunks = tuple(replace(one, partition=house.engine.partition_of(HOLDER)) for one in DRAFTED.chunks)
    for _ in range(2):
        for number, command in enumerate(STORY):
            if isinstance(command, DraftOrder):
                command = replace(command, chunks=chunks)
            places = world.ledger.shelves if isinstance(command, PayOrder) else (None,)
            for place in places:
                reply = await _administered(house, command, place, f"step {number}")
                assert reply.reason is Reason.APPROVED


async def _administered(house: House, command: Administration, place: Partition | None, key: str) -> Reply:
    """Enter a command; a payment in each partition, where it posts what is for the holders there.

    An adjustment is entered in its own alone.
    """
    if isinstance(command, ProposeAdjustment | ApproveAdjustment | RefuseAdjustment):
        return await house.engine.administer_in(SETTLED.partition, command, key, "access a1")
    if place is None or not isinstance(command, PayOrder):
        return await house.engine.administer(command, key, "access a1")
    return await house.engine.administer_in(place, replace(command, partition=place), key, "access a1")


def order(world: World, partition: Partition) -> Order:
    name = order_passbook(CLIENT, ORDER)
    state = decode_state(name, world.ledger.shelves[partition].newest[name].position)
    assert isinstance(state, Order)
    return state


async def test_decided_again_every_record_comes_out_as_it_is(world: World) -> None:
    await entered(world)
    for partition, shelf in world.ledger.shelves.items():
        again = Rereading(MemoryStore(world.ledger), partition)
        for record in shelf.records:
            assert await again.decide(record.seq, record.entry) == record.entry
        assert order(world, partition).status is OrderStatus.DONE
        moved = [transfer for record in shelf.records for transfer in record.entry.transfers]
        assert {one.amount for one in moved if FUNDS in (one.debit, one.credit)} <= {FULFILLED.amount}
        assert sum(one.amount * ((one.credit == FUNDS) - (one.debit == FUNDS)) for one in moved) == 0
    kinds = [record.entry.kind for shelf in world.ledger.shelves.values() for record in shelf.records]
    assert {str(one.__struct_config__.tag) for one in IssuingCommand.__args__} - set(kinds) == {"cancellation"}
    assert kinds.count("fulfilment") == 1, "a repeat has no second effect"


async def test_what_makes_no_sense_is_in_no_record(world: World) -> None:
    house = await world.open()
    steps: list[Administration] = [OFFERED, ACCEPTED, OPENED, ENTERED, DRAFTED, CONFIRMED]
    for number, command in enumerate(steps):
        await house.administer(command, f"step {number}")
    before = [len(shelf.records) for shelf in world.ledger.shelves.values()]
    with pytest.raises(PaymentDiffers):
        await house.engine.administer(replace(PAID, amount=Cents(1)), "payment")
    assert [len(shelf.records) for shelf in world.ledger.shelves.values()] == before
