"""Every queue, batch and cache has its bound, and what is beyond it changes no balance."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from authz.decision.commands import Enrol, RegisterMerchant
from authz.decision.outcomes import Reason
from authz.decision.refused import HolderEnrolled, Refused
from authz.engine import writer
from ledger.values import HolderId, Partition
from tests.engine.world import BISTROT, MAIN, Barrier, House, World, holder_of, turns

ALICE = holder_of(1)


async def _housed(world: World, *, holders: int = 1, **limits: int) -> tuple[House, list[str]]:
    house = await world.open(**limits)
    await house.furnish()
    return house, [await house.enrol(number) for number in range(1, holders + 1)]


async def test_beyond_what_it_takes_on_the_answer_is_91_overloaded(world: World) -> None:
    house, [alice] = await _housed(world, requests_max=8)
    barrier = Barrier(house.store)
    tasks = [house.begin(world.request(alice, 1)) for _ in range(12)]
    await barrier.reached()
    await turns()
    refused = [task.result().reply.reason for task in tasks if task.done()]
    assert refused == [Reason.OVERLOADED] * 4
    barrier.release()
    assert [(await task).reply.reason for task in tasks[:8]] == [Reason.APPROVED] * 8
    assert world.available(ALICE) == 10_000 - 8
    assert house.metrics.registry.get_sample_value("authz_requests_in_engine") == 0


async def test_no_append_has_more_records_than_a_batch(world: World) -> None:
    house, [alice] = await _housed(world, batch_records_max=3)
    sizes: list[int] = []
    append = house.store.append

    async def counted(*arguments: object) -> None:
        sizes.append(len(arguments[-1]))  # type: ignore[arg-type]
        await append(*arguments)

    house.store.append = counted
    tasks = [house.begin(world.request(alice, 1)) for _ in range(20)]
    assert {(await task).reply.reason for task in tasks} == {Reason.APPROVED}
    assert max(sizes) == 3
    assert sum(sizes) == 20
    assert world.available(ALICE) == 10_000 - 20


async def test_what_arrives_while_an_append_flies_leaves_together_in_its_order(world: World, house: House) -> None:
    """Group commit (docs/architecture.md, decision 3)."""
    alice, bruno = await house.enrol(1), await house.enrol(2)
    barrier = Barrier(house.store)
    front = house.begin(world.request(alice, 1))
    await barrier.reached()
    behind = [house.begin(world.request(pan, cents)) for cents in (2, 3, 4) for pan in (alice, bruno)]
    await turns()
    assert barrier._arrivals.empty(), "exactly one append is in flight"
    barrier.release()
    await asyncio.gather(front, *behind)
    amounts = [record.entry.transfers[0].amount for record in world.payments()]
    assert amounts == [1, 2, 2, 3, 3, 4, 4]


async def test_where_many_come_a_batch_waits_for_company(
    world: World, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a large batch the next isn't sent with the first that comes; behind a small one it is, at once."""
    monkeypatch.setattr(writer, "RECORDS_A_MS", 1)
    monkeypatch.setattr(writer, "COMPANY_MS_MAX", 250)
    alice, barrier = await house.enrol(1), Barrier(house.store)
    crowd = [house.begin(world.request(alice, 1)) for _ in range(252)]
    await barrier.reached()
    barrier.release()
    await asyncio.gather(*crowd)
    before = len(world.payments())
    first = house.begin(world.request(alice, 1))
    await turns(100)
    assert barrier._arrivals.empty(), "it waits"
    second = house.begin(world.request(alice, 1))
    await barrier.reached()
    barrier.release()
    await asyncio.gather(first, second)
    assert len(world.payments()) == before + 2
    alone = house.begin(world.request(alice, 1))
    await turns(100)
    assert not barrier._arrivals.empty(), "nothing is to be waited for"
    barrier.release()
    await alone


async def test_memory_holds_a_bounded_number_of_passbooks_and_reloads_the_same_positions(world: World) -> None:
    house, pans = await _housed(world, holders=12, passbooks_max=6)
    for _ in range(3):
        for pan in pans:
            assert (await house.pay(world.request(pan, 10))).reason is Reason.APPROVED
        assert len(house.writer._desk._passbooks) <= 6
    assert [world.available(holder_of(number)) for number in range(1, 13)] == [10_000 - 30] * 12


async def test_a_passbook_with_an_unacknowledged_record_stays_in_memory(world: World) -> None:
    """Else it would be loaded as the ledger still has it, and the money be spent twice."""
    house, pans = await _housed(world, holders=10, passbooks_max=8)
    alice, *others = pans
    barrier = Barrier(house.store)
    first = house.begin(world.request(alice, 1_500))
    await barrier.reached()
    crowd = [house.begin(world.request(pan, 1)) for pan in others]
    await turns(100)
    second = house.begin(world.request(alice, 1_500))
    await turns()
    barrier.release()
    assert (await first).reply.reason is Reason.APPROVED
    assert (await second).reply.reason is Reason.DAILY_CAP
    assert {(await task).reply.reason for task in crowd} == {Reason.APPROVED}


async def test_under_pressure_a_line_read_long_ago_is_never_decided_on(world: World) -> None:
    """Two requests wait for one load of their holder; one of them for a merchant too, until the holder is gone again.

    Meanwhile a warm holder isn't delayed (docs/ledger.md, "The pipeline").
    """
    house, [alice, bruno] = await _housed(world, holders=2)
    other = replace(BISTROT, id="FR0000000000009")
    await house.administer(RegisterMerchant(other), "other merchant")
    await house.crash()
    house = await world.open()
    await house.pay(world.request(bruno, 1))
    newest, asked = house.store.newest, asyncio.Queue[HolderId]()
    gates = {ALICE: asyncio.Event(), f"merchant:{other.id}": asyncio.Event()}

    async def delayed(partition: Partition, holders: Sequence[HolderId]) -> object:
        for holder in gates.keys() & set(holders):
            asked.put_nowait(holder)
            await gates[holder].wait()
        return await newest(partition, holders)

    house.store.newest = delayed
    here = house.begin(world.request(alice, 1_000))
    await asked.get()
    elsewhere = house.begin(world.request(alice, 1_000, merchant=other.id))
    await asked.get()
    assert (await house.pay(world.request(bruno, 2))).reason is Reason.APPROVED
    gates[ALICE].set()
    assert (await here).reply.reason is Reason.APPROVED
    house.writer._desk._passbooks.forget(ALICE)
    gates[f"merchant:{other.id}"].set()
    assert (await elsewhere).reply.reason is Reason.DAILY_CAP


async def test_one_load_a_holder_at_a_time(world: World, house: House) -> None:
    alice = await house.enrol(1)
    await house.crash()
    house = await world.open()
    asked: list[HolderId] = []
    newest = house.store.newest

    async def counted(partition: object, holders: list[HolderId]) -> object:
        asked.extend(holders)
        return await newest(MAIN, holders)

    house.store.newest = counted
    await asyncio.gather(*(house.pay(world.request(alice, 1)) for _ in range(50)))
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "in_memory"])
async def test_an_issuers_command_is_carried_out_once_for_each_key(world: World, house: House, restarted: bool) -> None:
    await house.enrol(1)
    await house.engine.age_lots()
    before = len(world.records())
    if restarted:
        await house.crash()
        house = await world.open()
    await house.enrol(1)
    assert len(world.records()) == before
    with pytest.raises(HolderEnrolled):
        await house.engine.administer(Enrol(ALICE, "E1"), "another key")
    other = await house.engine.administer(Enrol(ALICE, "E2"), f"enrolment {ALICE}")
    assert other.reason is Reason.IDENTITY_REUSED
    assert len(world.records()) == before


async def test_a_command_that_makes_no_sense_harms_no_payment_beside_it(world: World, house: House) -> None:
    alice = await house.enrol(1)
    paying = house.begin(world.request(alice, 5))
    with pytest.raises(Refused):
        await house.engine.administer(Enrol(ALICE, "E1"), "again")
    assert (await paying).reply.reason is Reason.APPROVED


async def test_every_partition_has_the_reference_data_and_its_own_holders() -> None:
    """More than one partition (docs/ledger.md): a request is routed by its card, and no transfer crosses."""
    world = World(partitions=3)
    house = await world.open()
    await house.furnish()
    pans = [await house.enrol(number) for number in range(1, 13)]
    assert {(await house.pay(world.request(pan, 10))).reason for pan in pans} == {Reason.APPROVED}
    unknown = await house.pay(world.request("9250199999999999"))
    assert unknown.reason is Reason.CARD_UNKNOWN
    holders = [{one.entry.holder for one in shelf.records} for shelf in world.ledger.shelves.values()]
    for shelf in holders:
        assert {"programme:apetiz", "employer:E1", f"merchant:{BISTROT.id}"} <= shelf
    mine = [{name for name in shelf if name and ":" not in name} for shelf in holders]
    assert all(mine), "twelve holders, three partitions"
    assert sum(map(len, mine)) == len(set().union(*mine)) == 12
    world.audit()
    await world.close()


async def test_the_repeat_of_an_unknown_cards_request_finds_the_partition_of_the_first() -> None:
    world = World(partitions=3)
    house = await world.open()
    await house.furnish()
    request = world.request("9250199999999999")
    for terminal in ("PAR00001", "PAR00001  "):
        await house.pay(world.request("9250199999999999", trace=request.command.origin.trace, terminal=terminal))
    assert len(world.payments()) == 1
    await world.close()
