"""The sweep releases what lapsed, window by window: nothing twice, and nothing before its time."""

from datetime import timedelta

import pytest

from authz.decision.commands import LapseHolds
from authz.decision.outcomes import Reason
from authz.engine import sweep
from ledger.store import Unavailable
from ledger.values import HolderId, Seq
from tests.engine.messages import advice, completion, reversal
from tests.engine.world import TUESDAY, House, World, holder_of

HOLDERS = 5


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "HOLDERS_WINDOW_SEQS_MAX", 3)


def lapsed(world: World) -> list[HolderId | None]:
    """Whose holds were released, by the journal."""
    return [one.entry.holder for one in world.records() if one.entry.kind == "lapse"]


def held(world: World) -> dict[int, int]:
    holds = {number: world.position(holder_of(number)).purse.holds for number in range(1, HOLDERS + 1)}
    return {number: sum(part.amount for one in some for part in one.parts) for number, some in holds.items()}


async def authorized(world: World, house: House) -> list[str]:
    """Five holders with a hold each, all of the same day."""
    pans = [await house.enrol(number) for number in range(1, HOLDERS + 1)]
    for pan in pans:
        await house.pay(world.request(pan, 500, mti="0100"))
    return pans


async def swept(house: House) -> None:
    await house.chores.sweep.sweep()


@pytest.mark.usefixtures("small_windows")
async def test_over_several_windows_every_hold_that_is_over_is_released_once(world: World, house: House) -> None:
    await authorized(world, house)
    world.clock.wait_at(TUESDAY + timedelta(days=10))
    await swept(house)
    await swept(house)
    assert lapsed(world) == [holder_of(number) for number in range(1, HOLDERS + 1)]
    assert [world.available(holder_of(number)) for number in range(1, HOLDERS + 1)] == [10_000] * HOLDERS
    assert set(held(world).values()) == {0}


@pytest.mark.usefixtures("small_windows")
async def test_interrupted_it_resumes_where_it_was_also_in_another_process(world: World, house: House) -> None:
    await authorized(world, house)
    world.clock.wait_at(TUESDAY + timedelta(days=10))
    holders_of, windows = house.store.holders_of, []

    async def twice(*arguments: object) -> object:
        windows.append(arguments[2:])
        if len(windows) > 7:
            raise Unavailable("the database can't be reached")
        return await holders_of(*arguments)

    house.store.holders_of = twice
    with pytest.raises(Unavailable):
        await swept(house)
    some = lapsed(world)
    assert 0 < len(some) < HOLDERS
    await house.crash()
    house = await world.open()
    await swept(house)
    assert lapsed(world) == [holder_of(number) for number in range(1, HOLDERS + 1)]
    assert sum(held(world).values()) == 0


async def test_what_may_not_be_over_somewhere_is_left(world: World, house: House) -> None:
    await authorized(world, house)
    world.clock.wait_at(TUESDAY + timedelta(days=8))
    await swept(house)
    assert not lapsed(world)
    assert set(held(world).values()) == {500}


async def test_what_was_captured_or_released_needs_no_release(world: World, house: House) -> None:
    alice, bruno = await house.enrol(1), await house.enrol(2)
    one, other = world.request(alice, 500, mti="0100"), world.request(bruno, 500, mti="0100")
    for request in (one, other, completion(world, alice, 400, one), reversal(world, bruno, other)):
        assert (await house.pay(request)).reason is Reason.APPROVED
    world.clock.wait_at(TUESDAY + timedelta(days=10))
    await swept(house)
    assert not lapsed(world)


async def test_holds_set_aside_offline_are_swept_too(world: World, house: House, alice: str) -> None:
    await house.pay(advice(world, alice, 500, mti="0120"))
    world.clock.wait_at(TUESDAY + timedelta(days=10))
    await swept(house)
    assert lapsed(world) == [holder_of(1)]


async def test_a_release_that_was_lost_on_the_way_back_is_not_done_twice(world: World, house: House) -> None:
    """The command's key is the holder's and the window's."""
    await authorized(world, house)
    world.clock.wait_at(TUESDAY + timedelta(days=10))
    for _ in range(2):
        await house.chores.sweep._carry_out(Seq(1), [(LapseHolds(holder_of(1)), "lapse h1 1")])
    assert lapsed(world) == [holder_of(1)]
