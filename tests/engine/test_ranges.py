"""Old ranges are made ready for the archive: closed, carried, sealed (docs/ledger.md, "Long reads and old ranges")."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from authz.decision.commands import ExpireLots, NoteSweep
from authz.decision.reference import range_passbook
from authz.engine import ranges
from authz.engine.bulk import Errand, Interrupted
from authz.engine.ranges import KEPT
from ledger import accounts
from ledger.chain import GENESIS
from ledger.memory import Fault
from ledger.store import Line
from ledger.values import HolderId, Manifest, Purse, Seq
from tests.engine.world import LINK, MAIN, TUESDAY, House, World, holder_of

RANGE = 16
LATER = TUESDAY + KEPT + timedelta(days=1)
HOLDERS = 8


class FirstOfPosition(msgspec.Struct, array_like=True):
    """A position as the ledger reads it: its money, and nothing behind it."""

    purse: Purse


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World(range_size=RANGE)
    yield world
    world.audit()
    await world.close()


@pytest.fixture
async def old(world: World, house: House) -> House:
    """An engine, three years after every kind of passbook got its lines."""
    pans = [await house.enrol(number) for number in range(1, HOLDERS + 1)]
    for pan in pans[:3]:
        await house.pay(world.request(pan, 500, mti="0100"))
        await house.pay(world.request(pan, 300))
    await house.engine.cut_over(LINK, None, "cutover")
    lane = house.chores.walk._lane
    await lane.carry_out([Errand(NoteSweep(Seq(1)), "sweep", date(2026, 5, 12))])
    await house.engine.age_lots()
    world.clock.wait_at(LATER)
    return house


def newest(world: World) -> dict[HolderId, Line]:
    return dict(world.ledger.shelves[MAIN].newest)


def manifests(world: World) -> dict[int, Manifest]:
    books = {holder: line for holder, line in newest(world).items() if holder.startswith("range:")}
    sums = [msgspec.json.decode(line.position, type=Manifest) for line in books.values()]
    assert list(books) == [range_passbook(one.range) for one in sums]
    return {one.range: one for one in sums}


def told(world: World, kind: str) -> list[HolderId | None]:
    return [one.entry.holder for one in world.records() if one.entry.kind == kind]


async def test_every_passbook_of_an_old_range_is_stated_again_as_it_was(world: World, old: House) -> None:
    before, head = newest(world), world.records()[-1].seq
    kinds = {holder.partition(":")[0] for holder in before if ":" in holder}
    assert kinds == {"programme", "employer", "merchant", "acquirer", "sweep", "walk"}
    await old.chores.ranges.tend()
    after = newest(world)
    full = (head + 1) // RANGE * RANGE
    for holder, line in before.items():
        assert after[holder].position == line.position, holder
        assert (after[holder].seq > head) == (line.seq < full), "what lay in an old range, and only that"
        if ":" not in holder:
            assert accounts.claimed(holder, msgspec.json.decode(line.position, type=FirstOfPosition).purse)
    assert not any(one.entry.transfers for one in world.records() if one.entry.kind == "carry")


async def test_then_it_is_summed_up(world: World, old: House) -> None:
    head = world.records()[-1].seq
    await old.chores.ranges.tend()
    sums, records = manifests(world), world.records()
    assert list(sums) == list(range((head + 1) // RANGE)), "those that were full and old"
    before = GENESIS.hex()
    for one in sums.values():
        assert (one.first, one.last) == (max(one.range * RANGE, 1), one.range * RANGE + RANGE - 1)
        assert (one.before, one.hash) == (before, records[one.last - 1].hash.hex())
        assert one.records == one.last - one.first + 1
        before = one.hash


async def test_nothing_is_done_twice_also_in_another_process(world: World, old: House) -> None:
    await old.chores.ranges.tend()
    head = len(world.records())
    await old.chores.ranges.tend()
    await old.crash()
    house = await world.open()
    await house.chores.ranges.tend()
    assert len(world.records()) == head


@pytest.mark.parametrize("appends", range(4))
@pytest.mark.parametrize("fault", list(Fault))
async def test_interrupted_anywhere_it_goes_on(world: World, old: House, appends: int, fault: Fault) -> None:
    old.store.faults.extend([*[None] * appends, fault])
    for _ in range(3):
        try:
            await old.chores.ranges.tend()
        except Interrupted:
            await old.engine.is_ready()
    carried, sealed = told(world, "carry"), told(world, "manifest")
    assert len(carried) == len(set(carried))
    assert len(sealed) == len(set(sealed)) == len(manifests(world)) > 1


async def test_what_is_young_is_closed_and_left(world: World, old: House) -> None:
    world.clock.wait_at(TUESDAY + KEPT - timedelta(days=1))
    await old.crash()
    house = await world.open()
    await house.chores.ranges.tend()
    assert not told(world, "carry")
    assert not told(world, "manifest")
    assert world.ledger.shelves[MAIN].closed == (world.records()[-1].seq + 1) // RANGE


async def test_what_was_carried_pays_and_ages_as_before(world: World, old: House) -> None:
    """Three years on: vintage 2026 has long expired, and the holder's line of today is a carried one."""
    await old.chores.ranges.tend()
    lane = old.chores.walk._lane
    await lane.carry_out([Errand(ExpireLots(holder_of(1)), "expiry", LATER.date())])
    assert world.records()[-1].entry.kind == "expiry"


async def test_passbooks_written_meanwhile_are_not_carried(world: World, old: House, monkeypatch: Any) -> None:
    """Somebody's newest line moves on by itself: it is not stated twice in the range after."""
    monkeypatch.setattr(ranges, "PASSBOOKS_A_CALL_MAX", 2)
    await old.chores.ranges.tend()
    carried = told(world, "carry")
    assert len(carried) == len(set(carried))
    lies_in = [line.seq // RANGE for line in newest(world).values()]
    assert min(lies_in) > max(manifests(world))
