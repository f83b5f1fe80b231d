"""A holder is told once of a lot that soon expires: the walk that ages lots notes it (R3262-1-2)."""

from datetime import UTC, date, datetime, timedelta

import pytest

from authz.decision.commands import Load
from authz.engine import vintages
from ledger.store import LedgerError
from ledger.values import Cents
from tests.engine.test_vintages import ALL, HOLDERS, LOADED, cut, done
from tests.engine.world import House, World

REMINDED = datetime(2027, 1, 28, 23, tzinfo=UTC)
"""29 January 2027 begins in Paris: vintage 2026 has 30 days left."""


@pytest.fixture(autouse=True)
async def holders(house: House) -> list[str]:
    """Five with vintage 2026, on whom the ledger's first walk has looked in."""
    pans = [await house.enrol(number, LOADED) for number in range(1, HOLDERS + 1)]
    await house.engine.age_lots()
    return pans


async def walk_at(world: World, house: House, at: datetime) -> None:
    world.clock.wait_at(at)
    await house.engine.age_lots()


async def test_thirty_days_before_the_last_and_not_before(world: World, house: House) -> None:
    await walk_at(world, house, REMINDED - timedelta(microseconds=1))
    assert not done(world, "reminder")
    await walk_at(world, house, REMINDED)
    assert done(world, "reminder") == ALL


async def test_once(world: World, house: House) -> None:
    for days in range(0, 40, 5):
        await walk_at(world, house, REMINDED + timedelta(days=days))
    assert done(world, "reminder") == ALL


async def test_late_where_the_day_was_missed(world: World, house: House) -> None:
    await walk_at(world, house, REMINDED + timedelta(days=12))
    assert done(world, "reminder") == ALL


async def test_not_of_what_is_over(world: World, house: House) -> None:
    await walk_at(world, house, REMINDED + timedelta(days=31))
    assert not done(world, "reminder")


async def test_it_changes_nothing(world: World, house: House) -> None:
    before = [world.position(holder) for holder in ALL]
    await walk_at(world, house, REMINDED)
    assert [world.position(holder) for holder in ALL] == before


async def test_not_of_what_is_spent(world: World, house: House, holders: list[str]) -> None:
    whole = await house.enrol(9, 500)
    await house.pay(world.request(whole, 500))
    await walk_at(world, house, REMINDED)
    assert done(world, "reminder") == ALL
    assert len(holders) == HOLDERS


async def test_of_each_lot_on_its_own_day(world: World, house: House) -> None:
    """A Belgian load lives from its own day, not by vintage."""
    load = Load(ALL[0], "92", "2027-02-05", date(2025, 2, 6), date(2027, 2, 5), Cents(700))
    await house.administer(load, "eco")
    for day in range(6, 30):
        await walk_at(world, house, datetime(2027, 1, day, 11, tzinfo=UTC))
        assert done(world, "reminder") == [*ALL[:1], *(ALL if day >= 29 else ())]


async def test_cut_off_it_goes_on_and_nobody_is_told_twice(
    world: World, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("PASSBOOKS_A_LOOK", "PASSED_A_NOTE"):
        monkeypatch.setattr(vintages, limit, 2)
    world.clock.wait_at(REMINDED)
    house.store.passbooks = cut(house, looks=1)
    with pytest.raises(LedgerError):
        await house.engine.age_lots()
    assert done(world, "reminder") == ALL[:2]
    await house.crash()
    house = await world.open()
    await walk_at(world, house, REMINDED + timedelta(days=1))
    assert done(world, "reminder") == ALL
