"""Finance's desk: adjustments through real engines, however often they are said, and whenever a process dies."""

import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from authz import replay
from authz.decision.issuing.adjustments import AdjustmentDecided, AdjustmentProposed, OwnProposal
from authz.decision.issuing.states import (
    Adjustment,
    AdjustmentId,
    AdjustmentKind,
    AdjustmentStatus,
    Proposal,
    RecordNamed,
)
from authz.decision.outcomes import Reason
from authz.engine.requests import Request
from authz.issuing.adjustments import Adjustments, RecordUnknown
from authz.issuing.issuer import KeyReused, NotThere
from authz.replay import Rereading
from ledger import accounts, verify
from ledger.findings import Report
from ledger.memory import MemoryStore
from ledger.money import Line, Money
from ledger.postgres import PostgresStore
from ledger.values import Account, Cents, Partition, Record, Seq, pack_identities
from tests.conftest import Database
from tests.engine.messages import refund
from tests.engine.world import LINK, OTHER_LINK, TUESDAY, World, holder_of, pan_of
from tests.issuing.office import Office, killed_everywhere

ANA, BEN = "finance ana", "finance ben"
PAYABLE, SETTLED = accounts.payable(LINK), accounts.settled()
PAID = 12_50
KEY = bytes(range(32))
PAGE = (Path(__file__).parents[2] / "docs" / "adjustments.md").read_text()
[QUERY] = re.findall(r"```sql\n(.*?);\n```", PAGE, re.DOTALL)
"""What the page says an adjustment is found by."""
HOLDERS = 5
"""Enough for each of three partitions to have one."""


@pytest.fixture(params=[1, 3])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    world = World(partitions=request.param)
    yield world
    world.audit()
    await prove(world)
    await world.close()


@pytest.fixture
async def office(world: World) -> Office:
    return await furnished(world)


async def furnished(world: World) -> Office:
    house = await world.open()
    await house.furnish()
    return Office(house)


async def prove(world: World) -> None:
    """Every record comes out as it is when it is decided again, and money is where positions and signs have it."""
    for partition, shelf in world.ledger.shelves.items():
        again, money = Rereading(MemoryStore(world.ledger), partition), Money(KEY, {})
        for record in shelf.records:
            assert await again.decide(record.seq, record.entry) == record.entry
        assert money.fold(map(line, shelf.records)) == len(shelf.records)


def line(record: Record) -> Line:
    entry = record.entry
    moves = [(one.debit, one.credit, one.amount) for one in entry.transfers]
    return entry.holder, entry.position, moves, pack_identities(entry.identities)


def balances(world: World, partition: Partition | None = None) -> Counter[Account]:
    found: Counter[Account] = Counter()
    for number, shelf in world.ledger.shelves.items():
        for record in shelf.records if partition in (None, number) else ():
            for one in record.entry.transfers:
                found[one.debit] -= one.amount
                found[one.credit] += one.amount
    return found


def settlement(cents: int = PAID, acquirer: str = LINK, record: RecordNamed | None = None) -> Proposal:
    return Proposal(AdjustmentKind.SETTLEMENT, acquirer, Cents(cents), "payout of 12 May", record)


async def sold(office: Office, number: int = 1) -> tuple[Request, RecordNamed]:
    """Sell somebody something; return what was asked, and the record."""
    request = office.world.request(await office.house.enrol(number), PAID)
    assert (await office.house.pay(request)).reason is Reason.APPROVED
    partition = office.house.engine.partition_of(holder_of(number))
    return request, RecordNamed(partition, office.world.ledger.shelves[partition].fence.head)


async def approved(office: Office, proposal: Proposal, key: str = "j") -> Adjustment:
    desk = Adjustments(office.issuer)
    made = await desk.propose(proposal, ANA, key)
    return await desk.approve(made.id, BEN, f"{key} approval")


async def test_what_two_people_agree_on_is_posted_once_where_its_record_is(office: Office) -> None:
    _, record = await sold(office)
    desk, world = Adjustments(office.issuer), office.world
    for _ in range(3):
        made = await desk.propose(settlement(record=record), ANA, "j")
        assert balances(world)[SETTLED] in (0, PAID)
    for _ in range(3):
        done = await desk.approve(made.id, BEN, "j approval")
    assert (done.status, done.proposed_by, done.decided_by) == (AdjustmentStatus.APPROVED, ANA, BEN)
    assert await desk.propose(settlement(record=record), ANA, "j") == done
    here = balances(world, record.partition)
    assert (here[PAYABLE], here[SETTLED]) == (0, PAID)
    assert balances(world)[SETTLED] == PAID
    assert office.kinds().count("adjustment") == office.kinds().count("adjustment_proposal") == 1


async def test_nobody_approves_their_own(office: Office) -> None:
    desk = Adjustments(office.issuer)
    made = await desk.propose(settlement(), ANA, "j")
    with pytest.raises(OwnProposal):
        await desk.approve(made.id, ANA, "approval")
    assert balances(office.world)[SETTLED] == 0
    assert (await desk.approve(made.id, BEN, "approval")).status is AdjustmentStatus.APPROVED


async def test_what_is_refused_is_posted_never(office: Office) -> None:
    desk = Adjustments(office.issuer)
    made = await desk.propose(settlement(), ANA, "j")
    for _ in range(2):
        assert (await desk.refuse(made.id, BEN, "refusal")).status is AdjustmentStatus.REFUSED
    with pytest.raises(AdjustmentDecided):
        await desk.approve(made.id, BEN, "approval")
    assert balances(office.world) == Counter()


async def test_a_key_is_for_one_adjustment_wherever_it_is(office: Office) -> None:
    desk = Adjustments(office.issuer)
    await desk.propose(settlement(), ANA, "j")
    with pytest.raises(KeyReused):
        await desk.propose(settlement(1), ANA, "j")
    records = {(await sold(office, number))[1] for number in range(1, HOLDERS)}
    for record in records:
        with pytest.raises((KeyReused, AdjustmentProposed)):
            await desk.propose(settlement(record=record), ANA, "j")
    assert len((await desk.adjustments()).adjustments) == 1


async def test_its_record_is_a_payment_of_that_acquirer(office: Office) -> None:
    desk = Adjustments(office.issuer)
    _, record = await sold(office)
    here, seq = record.partition, record.seq
    for wrong in (RecordNamed(here, Seq(1)), RecordNamed(here, Seq(seq + 9)), RecordNamed(Partition(7), seq)):
        with pytest.raises(RecordUnknown):
            await desk.propose(settlement(record=wrong), ANA, "j")
    with pytest.raises(RecordUnknown):
        await desk.propose(settlement(acquirer=OTHER_LINK, record=record), ANA, "j")
    assert (await desk.propose(settlement(record=record), ANA, "j")).proposal.record == record


async def test_what_isnt_there_is_neither_shown_nor_decided(office: Office) -> None:
    desk, nothing = Adjustments(office.issuer), AdjustmentId("nothing")
    for ask in (desk.adjustment(nothing), desk.approve(nothing, BEN, "k"), desk.refuse(nothing, BEN, "k")):
        with pytest.raises(NotThere):
            await ask


async def test_a_list_has_each_once_over_all_partitions(office: Office) -> None:
    desk = Adjustments(office.issuer)
    records = [(await sold(office, number))[1] for number in range(1, HOLDERS)]
    made = [await desk.propose(settlement(record=one), ANA, f"j{number}") for number, one in enumerate(records)]
    await desk.refuse(made[0].id, BEN, "refusal")
    for status, expected in ((None, made), (AdjustmentStatus.PROPOSED, made[1:]), (AdjustmentStatus.APPROVED, [])):
        found, after = list[AdjustmentId](), ""
        while True:
            page = await desk.adjustments(after, 1, status)
            assert len(page.adjustments) <= 1
            found += [one.id for one in page.adjustments]
            if page.next is None:
                break
            after = page.next
        assert found == sorted(one.id for one in expected)


async def test_a_refund_of_what_was_settled_is_owed_by_the_acquirer(office: Office) -> None:
    """`prove` finds nothing wrong with what is payable below 0."""
    payment, record = await sold(office)
    await approved(office, settlement(record=record))
    assert (await office.house.pay(refund(office.world, pan_of(1), PAID, payment))).reason is Reason.APPROVED
    assert balances(office.world)[PAYABLE] == -PAID
    await approved(office, settlement(-PAID, record=record), "back")
    assert (balances(office.world)[PAYABLE], balances(office.world)[SETTLED]) == (0, 0)


async def test_adjustments_count_in_no_business_days_totals(office: Office) -> None:
    _, record = await sold(office)
    days = office.house.engine._business_days
    before = await days.sums(LINK, await days.windows(LINK, TUESDAY.date()))
    await approved(office, settlement(record=record))
    await approved(office, Proposal(AdjustmentKind.CORRECTION, LINK, Cents(1), "a cent", record), "cent")
    assert await days.sums(LINK, await days.windows(LINK, TUESDAY.date())) == before
    assert before.debits_amount == PAID


async def test_a_process_that_dies_at_any_moment_posts_once() -> None:
    async def furnish() -> Office:
        return await furnished(World())

    async def check(office: Office, made: Adjustment) -> None:
        assert made.status is AdjustmentStatus.APPROVED
        assert balances(office.world) == {PAYABLE: -PAID, SETTLED: PAID}

    await killed_everywhere(furnish, lambda office: approved(office, settlement()), check)


async def asked(url: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def test_verify_and_replay_find_nothing_wrong_in_postgresql(database: Database) -> None:
    world = World()
    store = PostgresStore(database.url)
    office = Office(await world.open(store))
    await office.house.furnish()
    payment = world.request(await office.house.enrol(1), PAID)
    assert (await office.house.pay(payment)).reason is Reason.APPROVED
    record = RecordNamed(Partition(0), (await store.fence(Partition(0))).head)
    await approved(office, settlement(record=record))
    assert (await office.house.pay(refund(world, pan_of(1), PAID, payment))).reason is Reason.APPROVED
    for kind in AdjustmentKind:
        await approved(office, Proposal(kind, LINK, Cents(-7), "a test", record), kind)
    assert len((await Adjustments(office.issuer).adjustments()).adjustments) == 1 + len(AdjustmentKind)
    await world.close()
    await store.close()
    said = [tuple(row.values()) for row in await asked(database.finance_url, QUERY)]
    assert said == [
        (0, seq, kind, LINK, cents, 0, record.seq, None, None)
        for seq, (kind, cents) in zip(
            [row[1] for row in said],
            [("settlement", PAID), *((str(kind), -7) for kind in AdjustmentKind)],
            strict=True,
        )
    ]
    assert isinstance(await verify.verify(database.finance_url), Report)
    assert isinstance(await replay.replay(database.url), replay.Replayed)
