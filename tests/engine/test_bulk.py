"""Bulk work beside payments (docs/ledger.md): little at a time, each command once, and nothing of it kept in memory."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import pytest

from authz.decision.commands import Carry
from authz.decision.outcomes import Reason
from authz.decision.refused import NothingToCarry
from authz.engine import bulk
from authz.engine.bulk import AT_ONCE_MAX, BRISK, HIDDEN, Errand, Interrupted, Lane, Pace
from ledger.memory import Fault
from ledger.values import HolderId, Record
from tests.engine.world import MAIN, Barrier, House, World, holder_of, turns

DAY = date(2026, 5, 12)
MANY = 70


def errands(numbers: Iterable[int], key: str = "carry") -> list[Errand]:
    """What bulk work may be of: a holder's passbook, stated again."""
    return [Errand(Carry(holder_of(number)), f"{key} {holder_of(number)}", DAY) for number in numbers]


def lane_of(house: House) -> Lane:
    return house.chores.walk._lane


def carried(world: World) -> list[HolderId | None]:
    return [one.entry.holder for one in world.records() if one.entry.kind == "carry"]


def batches_of(house: House) -> list[list[str]]:
    """What comes to be appended from now on: the kinds of the records of each batch."""
    append, batches = house.store.append, list[list[str]]()

    async def told(partition: Any, epoch: Any, head: Any, last: Any, records: Sequence[Record]) -> None:
        batches.append([record.entry.kind for record in records])
        await append(partition, epoch, head, last, records)

    house.store.append = told
    return batches


def reads_of(house: House) -> list[HolderId]:
    """Whose passbooks come to be read from now on."""
    newest, holders = house.store.newest, list[HolderId]()

    async def told(partition: Any, some: Sequence[HolderId]) -> Any:
        holders.extend(some)
        return await newest(partition, some)

    house.store.newest = told
    return holders


@pytest.fixture
def tireless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rests: a test has no time to lose."""
    monkeypatch.setattr(bulk.Pace, "rest", lambda _, work_s: 0)


@pytest.fixture
async def many(house: House) -> list[str]:
    """Cards of many holders, in a ledger where nothing has been asked for a while."""
    pans = [await house.enrol(number) for number in range(1, MANY + 1)]
    house.engine._traffic._latest = -float("inf")
    return pans


@pytest.mark.usefixtures("many")
async def test_a_batch_takes_at_most_so_many_commands(world: World, house: House) -> None:
    batches = batches_of(house)
    await lane_of(house).carry_out(errands(range(1, MANY + 1)))
    assert [len(batch) for batch in batches] == [AT_ONCE_MAX, AT_ONCE_MAX, MANY - 2 * AT_ONCE_MAX]
    assert sorted(map(str, carried(world))) == sorted(holder_of(number) for number in range(1, MANY + 1))


@pytest.mark.usefixtures("many")
async def test_alone_it_takes_no_rest(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk.Pace, "rest", lambda _, work_s: 1e9)
    async with asyncio.timeout(10):
        await lane_of(house).carry_out(errands(range(1, MANY + 1)))


@pytest.mark.parametrize("pace", [HIDDEN, BRISK])
async def test_beside_payments_it_takes_what_its_pace_allows_and_rests(
    world: World, house: House, many: list[str], monkeypatch: pytest.MonkeyPatch, pace: Pace
) -> None:
    monkeypatch.setattr(bulk.Pace, "rest", lambda _, work_s: 1e9)
    await house.pay(world.request(many[0]))
    running = asyncio.create_task(lane_of(house).carry_out(errands(range(1, MANY + 1)), pace))
    await turns(400)
    assert len(carried(world)) == pace.at_once_max, "a rest of hours"
    running.cancel()


@pytest.mark.usefixtures("tireless")
async def test_a_payment_waits_behind_one_batch_of_it_at_most(world: World, house: House, many: list[str]) -> None:
    batches, barrier = batches_of(house), Barrier(house.store)
    running = asyncio.create_task(lane_of(house).carry_out(errands(range(1, MANY + 1))))
    await barrier.reached()
    payment = house.begin(world.request(many[-1]))
    await turns()
    barrier.release()
    answer = await payment
    await running
    assert answer.reply.reason is Reason.APPROVED  # type: ignore[union-attr]
    assert "purchase" in batches[1]
    assert len(batches[0]) <= AT_ONCE_MAX


@pytest.mark.usefixtures("tireless")
async def test_while_payments_fill_batches_it_takes_none(world: World) -> None:
    house = await world.open(batch_records_max=4)
    await house.furnish()
    pans = [await house.enrol(number) for number in range(1, 10)]
    batches, barrier = batches_of(house), Barrier(house.store)
    payments = [house.begin(world.request(pan)) for pan in pans]
    await barrier.reached()
    running = asyncio.create_task(lane_of(house).carry_out(errands(range(1, 10))))
    await turns()
    barrier.release()
    await asyncio.gather(*payments, running)
    assert sum("purchase" in batch for batch in batches) >= 3
    assert all(set(batch) == {"purchase"} for batch in batches[:2]), "four and four of nine, and no room"
    assert len(carried(world)) == 9


async def test_memory_keeps_those_who_pay(world: World) -> None:
    house = await world.open(passbooks_max=8, remembered_max=4)
    await house.furnish()
    pans = [await house.enrol(number) for number in range(1, 41)]
    request = world.request(pans[0])
    await house.pay(request)
    await lane_of(house).carry_out(errands(range(2, 41)))
    reads = reads_of(house)
    await house.pay(world.request(pans[0]))
    assert reads == [], "the holder, merchant, employer and programme of the payment are still there"
    assert not any(house.writer._desk._passbooks.get(holder_of(number)) for number in range(2, 30))
    assert len(house.writer._desk._passbooks) <= 8


async def test_what_it_brought_in_stays_where_somebody_pays(world: World, house: House, alice: str) -> None:
    await house.crash()
    house = await world.open()
    barrier = Barrier(house.store)
    running = asyncio.create_task(lane_of(house).carry_out(errands([1])))
    await barrier.reached()
    payment = house.begin(world.request(alice))
    await turns()
    barrier.release()
    await asyncio.gather(running, payment)
    assert house.writer._desk._passbooks.get(holder_of(1)) is not None
    reads = reads_of(house)
    await house.pay(world.request(alice))
    assert holder_of(1) not in reads


@pytest.mark.usefixtures("alice", "bruno")
async def test_each_command_is_carried_out_once_for_its_key_also_in_another_process(world: World, house: House) -> None:
    await lane_of(house).carry_out(errands([1]))
    await lane_of(house).carry_out(errands([1, 2]))
    await house.crash()
    house = await world.open()
    await lane_of(house).carry_out(errands([1, 2]))
    assert carried(world) == [holder_of(1), holder_of(2)]


@pytest.mark.usefixtures("alice", "bruno")
async def test_a_key_is_done_once_also_where_it_is_said_in_other_words(world: World, house: House) -> None:
    """What is made anew after a kill may have another day in it, or no card any more."""
    await lane_of(house).carry_out(errands([1]))
    assert await lane_of(house).carry_out([Errand(Carry(holder_of(2)), errands([1])[0].key, DAY)]) == []
    assert carried(world) == [holder_of(1)]


@pytest.mark.usefixtures("alice")
async def test_what_makes_no_sense_any_more_is_told_and_the_rest_is_done(world: World, house: House) -> None:
    some = errands([99, 1])
    [refusal] = await lane_of(house).carry_out(some)
    assert (refusal.errand, type(refusal.why)) == (some[0], NothingToCarry)
    assert carried(world) == [holder_of(1)]


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.usefixtures("alice", "bruno")
async def test_interrupted_it_says_so_and_goes_on_later_without_doing_anything_twice(
    world: World, house: House, fault: Fault
) -> None:
    house.store.faults.append(fault)
    try:
        await lane_of(house).carry_out(errands([1, 2]))
    except Interrupted:
        assert fault is not Fault.LOST_AFTER, "that is settled as done"
    await house.engine.is_ready()
    await lane_of(house).carry_out(errands([1, 2]))
    assert carried(world) == [holder_of(1), holder_of(2)]


@pytest.mark.usefixtures("alice")
async def test_its_keys_bear_their_day(world: World, house: House) -> None:
    """Keys of one day lie together in the index of identities: docs/ledger.md, "Tables"."""
    await lane_of(house).carry_out(errands([1]))
    [record] = [one for one in world.records() if one.entry.kind == "carry"]
    assert [one.stamp for one in record.entry.identities] == [260512000000]


@pytest.mark.usefixtures("alice")
async def test_a_defect_of_a_job_is_told_and_the_job_begun_again(
    world: World, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BEGIN_AGAIN_EVERY_S", 0)
    runs = asyncio.Queue[None]()

    async def job() -> None:
        runs.put_nowait(None)
        raise ZeroDivisionError("a secret")

    running = asyncio.create_task(bulk.keep_up(house.writer.gate, job, world.said.append))
    await runs.get()
    await runs.get()
    running.cancel()
    assert "ZeroDivisionError" in world.said[-1]
    assert "secret" not in world.said[-1]


async def test_while_another_engine_writes_it_waits(world: World, house: House) -> None:
    standby = world.prepare()
    job = asyncio.create_task(bulk.keep_up(standby.writer.gate, pytest.fail, print))
    standby.engine.start()
    await turns()
    assert not job.done()
    job.cancel()
    assert house.writer.partition == MAIN
