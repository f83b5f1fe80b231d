"""The walk that ages lots: from midnight, once each, also late, interrupted or done twice (R3262-5, R3262-13)."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from authz.decision.commands import Load, RegisterMerchant
from authz.decision.outcomes import Reason, State
from authz.decision.reference import VINTAGES_PASSBOOK, Merchant, Walked
from authz.engine import bulk, vintages
from authz.engine.passbooks import decode_state
from ledger import accounts
from ledger.store import LedgerError, Unavailable
from ledger.values import Cents, HolderId
from tests.engine.messages import reversal
from tests.engine.world import Barrier, House, World, holder_of, turns

MIDNIGHT = datetime(2027, 2, 28, 23, tzinfo=UTC)
"""1 March 2027 begins in Paris: vintage 2026 is over."""
FALLEN = datetime(2027, 3, 30, 22, tzinfo=UTC)
"""31 March 2027 begins in Paris, summer time: what waits of vintage 2026 falls to the issuer."""
A_YEAR_LATER = datetime(2028, 3, 30, 22, tzinfo=UTC)
JUST_BEGUN = datetime(2028, 2, 29, 23, 0, 30, tzinfo=UTC)
GUADELOUPE = Merchant("FR0000000000971", "Chez Rosine", "5812", "FR-971", "America/Guadeloupe", ("90",))
HOLDERS = 5
LOADED = 10_000
ALL = [holder_of(number) for number in range(1, HOLDERS + 1)]


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two holders a look, and a note after each."""
    monkeypatch.setattr(vintages, "PASSBOOKS_A_LOOK", 2)
    monkeypatch.setattr(vintages, "PASSED_A_NOTE", 2)


@pytest.fixture
async def holders(house: House) -> list[str]:
    """Five, on whom the ledger's first walk has looked in."""
    pans = [await house.enrol(number, LOADED) for number in range(1, HOLDERS + 1)]
    await house.engine.age_lots()
    return pans


def done(world: World, kind: str) -> list[HolderId | None]:
    """Whose lots were aged, by the journal."""
    return [one.entry.holder for one in world.records() if one.entry.kind == kind]


def balance(world: World, account: str) -> int:
    moved = [one for record in world.records() for one in record.entry.transfers]
    return sum(one.amount for one in moved if one.credit == account) - sum(
        one.amount for one in moved if one.debit == account
    )


def waits(world: World) -> list[int]:
    return [balance(world, accounts.expired(holder, "90", "2026")) for holder in ALL]


@pytest.mark.usefixtures("holders")
async def test_what_expires_is_posted_from_midnight_and_not_before(world: World, house: House) -> None:
    world.clock.wait_at(MIDNIGHT - timedelta(microseconds=1))
    await house.engine.age_lots()
    assert not done(world, "expiry")
    world.clock.wait_at(MIDNIGHT)
    await house.engine.age_lots()
    assert done(world, "expiry") == ALL
    assert waits(world) == [LOADED] * HOLDERS


@pytest.mark.usefixtures("holders")
async def test_what_nobody_asked_for_falls_to_the_pool_from_midnight_and_not_before(world: World, house: House) -> None:
    world.clock.wait_at(FALLEN - timedelta(microseconds=1))
    await house.engine.age_lots()
    assert not done(world, "forfeit")
    assert waits(world) == [LOADED] * HOLDERS
    world.clock.wait_at(FALLEN)
    await house.engine.age_lots()
    assert done(world, "forfeit") == ALL
    assert waits(world) == [0] * HOLDERS
    assert balance(world, accounts.pool("90")) == LOADED * HOLDERS


@pytest.mark.usefixtures("holders")
async def test_days_that_were_missed_are_done_together(world: World, house: House) -> None:
    """The engine was off on 1 and on 31 March: what had its day since the walk before falls late."""
    world.clock.wait_at(FALLEN + timedelta(days=15))
    await house.engine.age_lots()
    assert (done(world, "expiry"), done(world, "forfeit")) == (ALL, ALL)
    assert balance(world, accounts.pool("90")) == LOADED * HOLDERS


async def test_what_comes_back_after_the_fall_waits_for_the_same_day_of_the_next_year(
    world: World, house: House, holders: list[str]
) -> None:
    paid = world.request(holders[0], 1_000)
    assert (await house.pay(paid)).reason is Reason.APPROVED
    world.clock.wait_at(FALLEN)
    await house.engine.age_lots()
    await house.pay(reversal(world, holders[0], paid))
    for at in (FALLEN + timedelta(days=1), A_YEAR_LATER - timedelta(microseconds=1)):
        world.clock.wait_at(at)
        await house.engine.age_lots()
        assert waits(world) == [1_000, 0, 0, 0, 0]
        assert done(world, "forfeit") == ALL
    world.clock.wait_at(A_YEAR_LATER)
    await house.engine.age_lots()
    assert done(world, "forfeit") == [*ALL, ALL[0]]
    assert balance(world, accounts.pool("90")) == LOADED * HOLDERS


async def test_what_had_its_day_before_the_ledgers_first_walk_waits_for_the_next_year(
    world: World, house: House
) -> None:
    """A ledger that begins late, and is given vouchers of the year before: they are there to be told of."""
    world.clock.wait_at(FALLEN + timedelta(days=42))
    pan = await house.enrol(1, LOADED)
    await house.engine.age_lots()
    assert walked(world) == Walked(date(2027, 5, 12), None, date(2027, 5, 12))
    assert balance(world, accounts.expired(ALL[0], "90", "2026")) == LOADED
    assert (await house.pay(world.request(pan))).reason is Reason.VINTAGE_EXPIRED
    world.clock.wait_at(A_YEAR_LATER)
    await house.engine.age_lots()
    assert balance(world, accounts.pool("90")) == LOADED


@pytest.mark.usefixtures("holders", "small_steps")
async def test_what_a_walk_of_the_day_did_not_come_to_falls_on_the_next(world: World, house: House) -> None:
    """It was cut off on 31 March behind two holders. What is noted next is still the walk before it."""
    world.clock.wait_at(FALLEN - timedelta(days=1))
    await house.engine.age_lots()
    world.clock.wait_at(FALLEN)
    house.store.passbooks = cut(house, looks=1)
    with pytest.raises(LedgerError):
        await house.engine.age_lots()
    assert done(world, "forfeit") == ALL[:2]
    assert walked(world) == Walked(date(2027, 3, 31), ALL[1], date(2027, 3, 30))
    await house.crash()
    house = await world.open()
    for days in (1, 2):
        world.clock.wait_at(FALLEN + timedelta(days=days))
        await house.engine.age_lots()
        assert done(world, "forfeit") == ALL
    assert walked(world) == Walked(date(2027, 4, 2), None, date(2027, 4, 1))


@pytest.mark.usefixtures("holders")
async def test_a_day_is_walked_once_also_by_the_next_process(world: World, house: House) -> None:
    world.clock.wait_at(MIDNIGHT)
    await house.engine.age_lots()
    head = len(world.records())
    for _ in range(2):
        await house.engine.age_lots()
        await house.crash()
        house = await world.open()
        walks = passbooks_read(house)
        await house.engine.age_lots()
        assert not walks
    assert len(world.records()) == head


@pytest.mark.usefixtures("holders")
async def test_a_day_that_is_walked_twice_changes_nothing(world: World, house: House) -> None:
    """The note that it was done is lost, as in a ledger restored to before it: every command is found done."""
    world.clock.wait_at(MIDNIGHT)
    await house.engine.age_lots()
    await house.chores.walk._walk(date(2027, 3, 1), date(2026, 5, 12), "")
    assert done(world, "expiry") == ALL


@pytest.mark.usefixtures("holders", "small_steps")
async def test_killed_in_the_middle_it_resumes_behind_its_last_note(world: World, house: House) -> None:
    world.clock.wait_at(MIDNIGHT)
    house.store.passbooks = cut(house, looks=1)
    with pytest.raises(LedgerError):
        await house.engine.age_lots()
    assert done(world, "expiry") == ALL[:2]
    await house.crash()
    house = world.prepare()
    walks = passbooks_read(house)
    house.engine.start()
    await house.engine.is_ready()
    await house.engine.age_lots()
    assert done(world, "expiry") == ALL
    assert walks[0] == ALL[1]


@pytest.mark.parametrize("is_in", [False, True])
@pytest.mark.parametrize("appends", range(6))
@pytest.mark.usefixtures("holders", "small_steps")
async def test_killed_in_any_append_each_lot_expires_once(
    world: World, house: House, appends: int, *, is_in: bool
) -> None:
    world.clock.wait_at(MIDNIGHT)
    append, before, dies = house.store.append, count(), asyncio.Event()

    async def deadly(*arguments: Any) -> None:
        last = next(before) == appends
        if is_in or not last:
            await append(*arguments)
        if last:
            dies.set()
            await asyncio.Event().wait()

    house.store.append = deadly
    walk = asyncio.create_task(house.engine.age_lots())
    await dies.wait()
    await house.crash()
    walk.cancel()
    house = await world.open()
    await house.engine.age_lots()
    assert done(world, "expiry") == ALL
    assert waits(world) == [LOADED] * HOLDERS
    assert world.records()[-1].entry.holder == VINTAGES_PASSBOOK


@pytest.mark.usefixtures("holders")
async def test_a_walk_that_midnight_interrupts_begins_again_for_the_new_day(world: World, house: House) -> None:
    world.clock.wait_at(MIDNIGHT - timedelta(hours=1))
    house.store.passbooks = cut(house)
    with pytest.raises(LedgerError):
        await house.engine.age_lots()
    del house.store.passbooks
    world.clock.wait_at(MIDNIGHT)
    await house.engine.age_lots()
    assert done(world, "expiry") == ALL


async def test_a_payment_meanwhile_never_spends_what_has_expired(
    world: World, house: House, holders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paid before the walk comes by, while its record is in flight, and after: the same answer, by the date."""
    world.clock.wait_at(MIDNIGHT + timedelta(hours=11))
    monkeypatch.setattr(bulk.Pace, "rest", lambda _, work_s: 0)
    before = await house.pay(world.request(holders[0]))
    barrier = Barrier(house.store)
    walk = asyncio.create_task(house.engine.age_lots())
    await barrier.reached()
    payment = house.begin(world.request(holders[1]))
    await turns()
    barrier.release()
    await walk
    answers = [before, (await payment).reply, await house.pay(world.request(holders[2]))]  # type: ignore[union-attr]
    assert [one.reason for one in answers] == [Reason.VINTAGE_EXPIRED] * 3
    assert waits(world) == [LOADED] * HOLDERS


async def test_where_february_is_not_over_yet_it_is_still_spent(world: World, house: House, holders: list[str]) -> None:
    """On 1 March in Paris it is 29 February in Guadeloupe: the merchant's date counts, also behind the walk."""
    await house.administer(RegisterMerchant(GUADELOUPE), "guadeloupe")
    for holder in ALL:
        load = Load(holder, "90", "2027", date(2027, 1, 1), date(2028, 2, 29), Cents(700))
        await house.administer(load, f"load 2027 {holder}")
    world.clock.wait_at(JUST_BEGUN)
    await house.engine.age_lots()
    there = world.request(holders[0], 500, merchant=GUADELOUPE.id)
    assert (await house.pay(there)).reason is Reason.APPROVED
    assert (await house.pay(world.request(holders[1], 500))).reason is Reason.VINTAGE_EXPIRED
    world.clock.wait_at(JUST_BEGUN + timedelta(days=1))
    await house.engine.age_lots()
    left = [balance(world, accounts.expired(holder, "90", "2027")) for holder in ALL]
    assert left == [200, 700, 700, 700, 700]


@pytest.mark.usefixtures("holders")
async def test_what_is_still_valid_stays(world: World, house: House) -> None:
    younger = Load(holder_of(1), "90", "2027", date(2027, 1, 1), date(2028, 2, 29), Cents(700))
    await house.administer(younger, "younger")
    world.clock.wait_at(MIDNIGHT)
    await house.engine.age_lots()
    assert world.available(holder_of(1)) == 700


async def test_nobody_to_walk_by_is_no_walk(world: World, house: House) -> None:
    """Nothing is noted of an empty ledger: who is entered on its first day isn't passed over."""
    await house.engine.age_lots()
    assert not done(world, "walk")
    await house.enrol(1)
    await house.engine.age_lots()
    assert done(world, "walk") == [VINTAGES_PASSBOOK]


async def test_every_partition_is_walked() -> None:
    world = World(partitions=2)
    house = await world.open()
    await house.furnish()
    for number in range(1, HOLDERS + 1):
        await house.enrol(number, LOADED)
    world.clock.wait_at(MIDNIGHT)
    await house.engine.age_lots()
    expired = [one.entry.holder for shelf in world.ledger.shelves.values() for one in shelf.records]
    assert len({holder for holder in expired if holder in ALL}) == HOLDERS
    assert all(not world.position(holder).purse.lots for holder in ALL)
    world.audit()
    await world.close()


@pytest.mark.usefixtures("holders")
async def test_it_runs_by_itself_when_midnight_has_passed(
    world: World, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BEGIN_AGAIN_EVERY_S", 0.001)
    await house.crash()
    house = await world.open()
    house.engine.keep_up()
    await turns()
    world.clock.wait_at(MIDNIGHT)
    async with asyncio.timeout(10):
        while len(done(world, "expiry")) < HOLDERS:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert done(world, "expiry") == ALL


def passbooks_read(house: House) -> list[str]:
    """Behind whom the walk comes to look from now on."""
    passbooks, behind = house.store.passbooks, list[str]()

    async def told(partition: Any, after: str, most: int) -> Any:
        behind.append(after)
        return await passbooks(partition, after, most)

    house.store.passbooks = told
    return behind


def cut(house: House, looks: int = 0) -> Any:
    """A look over the passbooks that fails, after so many that don't."""
    passbooks, left = house.store.passbooks, iter(range(looks))

    async def goes_down(*arguments: object) -> Any:
        if next(left, None) is None:
            raise Unavailable("the database can't be reached")
        return await passbooks(*arguments)

    return goes_down


def walked(world: World) -> State:
    """What the walk noted last."""
    [newest] = [one for one in world.records() if one.entry.holder == VINTAGES_PASSBOOK][-1:]
    assert newest.entry.position is not None
    return decode_state(VINTAGES_PASSBOOK, newest.entry.position)
