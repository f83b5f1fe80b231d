"""How far a partition has come, for whoever signs it: acknowledged appends alone, and only while it is written here."""

from ledger.memory import MemoryStore
from tests.engine.world import MAIN, Barrier, House, World, turns


async def test_what_is_in_flight_does_not_count(world: World, house: House, alice: str) -> None:
    before = house.engine.acknowledged()[MAIN]
    barrier = Barrier(house.store)
    payment = house.begin(world.request(alice))
    await barrier.reached()
    await turns()
    assert house.engine.acknowledged()[MAIN] == before
    barrier.release()
    await payment
    newest = world.records()[-1]
    after = house.engine.acknowledged()[MAIN]
    assert (after.epoch, after.head, after.hash) == (newest.epoch, newest.seq, newest.hash)
    assert after.head == before.head + 1


async def test_who_stands_by_knows_of_none(world: World, house: House) -> None:
    standby = world.prepare(MemoryStore(world.ledger))
    standby.engine.start()
    await turns()
    assert list(house.engine.acknowledged()) == [MAIN]
    assert not standby.engine.acknowledged()
