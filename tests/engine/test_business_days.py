"""Where an acquirer's business day begins and ends in the journal, in each partition (docs/interface.md, 0500)."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta

import pytest
from msgspec.structs import replace

from authz.decision.outcomes import Reason
from authz.decision.totals import Sums
from authz.engine.requests import Answer
from ledger.values import Cents
from tests.engine.messages import advice, again, completion, refund, reversal, totals
from tests.engine.world import LINK, OTHER_LINK, TUESDAY, House, World

DAY = TUESDAY.date()
NEXT = DAY + timedelta(days=1)
MIDNIGHT = TUESDAY.replace(hour=22, minute=0)
"""In Paris, at the end of Tuesday."""


@pytest.fixture(params=[1, 3], ids=["one_partition", "three_partitions"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    world = World(request.param)
    yield world
    world.audit()
    await world.close()


class Till:
    """Pays one cent, then two, four …, so that each sum tells which payments are in it."""

    def __init__(self, world: World, house: House, pans: list[str]) -> None:
        self._world, self._house, self._pans = world, house, pans
        self._paid = 0

    async def pay(self, at: datetime) -> int:
        self._world.clock.wait_at(at)
        cents = 1 << self._paid
        request = self._world.request(self._pans[self._paid % len(self._pans)], cents)
        assert (await self._house.pay(request)).reason is Reason.APPROVED
        self._paid += 1
        return cents


@pytest.fixture
async def till(world: World, house: House) -> Till:
    return Till(world, house, [await house.enrol(number) for number in range(1, 5)])


async def debits(house: House, day: date, acquirer: str = LINK) -> int:
    windows = await house.engine._business_days.windows(acquirer, day)
    return (await house.engine._business_days.sums(acquirer, windows)).debits_amount


async def cut(house: House, key: str, begins: date | None = None, acquirer: str = LINK) -> None:
    assert (await house.engine.cut_over(acquirer, begins, key)).reason is Reason.APPROVED


async def test_before_the_first_cutover_days_are_the_calendars(house: House, till: Till) -> None:
    one, two = await till.pay(MIDNIGHT - timedelta(seconds=1)), await till.pay(MIDNIGHT)
    assert [await debits(house, day) for day in (DAY - timedelta(days=1), DAY, NEXT)] == [0, one, two]


async def test_a_day_ends_at_its_cutover_whatever_the_clock(house: House, till: Till) -> None:
    one = await till.pay(TUESDAY)
    await cut(house, "early")
    two, three = await till.pay(TUESDAY), await till.pay(MIDNIGHT + timedelta(hours=1))
    assert [await debits(house, DAY), await debits(house, NEXT)] == [one, two + three]
    await cut(house, "second")
    four = await till.pay(MIDNIGHT + timedelta(hours=2))
    days = [DAY, NEXT, NEXT + timedelta(days=1)]
    assert [await debits(house, day) for day in days] == [one, two + three, four]


async def test_a_cutover_that_is_named_twice_changes_nothing(house: House, till: Till) -> None:
    """Another 0800/201 to the day that is open: what came before it stays in that day."""
    one = await till.pay(TUESDAY)
    await cut(house, "first", NEXT)
    two = await till.pay(TUESDAY)
    await cut(house, "again", NEXT)
    three = await till.pay(TUESDAY)
    await cut(house, "backward", DAY)
    four = await till.pay(TUESDAY)
    assert [await debits(house, DAY), await debits(house, NEXT)] == [one, two + three + four]


async def test_a_first_cutover_to_the_day_that_the_calendar_has_begun(house: House, till: Till) -> None:
    """In the small hours it closes the day before, to which what was paid since midnight belongs."""
    one, two = await till.pay(TUESDAY), await till.pay(MIDNIGHT + timedelta(minutes=30))
    await cut(house, "late", NEXT)
    three = await till.pay(MIDNIGHT + timedelta(hours=1))
    assert [await debits(house, DAY), await debits(house, NEXT)] == [one + two, three]


async def test_days_that_a_cutover_leaps_over_are_empty(house: House, till: Till) -> None:
    one = await till.pay(TUESDAY)
    await cut(house, "leap", DAY + timedelta(days=3))
    two = await till.pay(TUESDAY)
    assert [await debits(house, DAY + timedelta(days=ahead)) for ahead in range(5)] == [one, 0, 0, two, 0]


async def test_each_acquirer_has_its_own_days(world: World, house: House, till: Till) -> None:
    one = await till.pay(TUESDAY)
    await cut(house, "other", acquirer=OTHER_LINK)
    two = await till.pay(TUESDAY)
    assert (await debits(house, DAY), await debits(house, NEXT)) == (one + two, 0)
    assert await debits(house, DAY, OTHER_LINK) == 0


async def test_a_repeated_cutover_is_one_also_after_a_restart(world: World, house: House, till: Till) -> None:
    await cut(house, "one")
    one = await till.pay(TUESDAY)
    await house.crash()
    house = await world.open()
    await cut(house, "one")
    assert await debits(house, NEXT) == one
    assert await debits(house, NEXT + timedelta(days=1)) == 0


async def test_a_cutover_is_in_every_partition(world: World, house: House, till: Till) -> None:
    await cut(house, "one")
    for shelf in world.ledger.shelves.values():
        assert [one.entry.kind for one in shelf.records].count("cutover") == 1


async def test_totals_count_what_moved_and_a_falsified_one_is_told_so(world: World, house: House) -> None:
    """DE 74-77, 86-89: captures are debits, holds don't count, what was given back counts as a reversal."""
    alice, bruno = await house.enrol(1), await house.enrol(2)
    paid, held = world.request(alice, 500), world.request(bruno, 600, mti="0100")
    given = refund(world, alice, 300, paid)
    for request in (
        paid,
        held,
        world.request(bruno, 700, mti="0100"),
        completion(world, bruno, 550, held),
        advice(world, bruno, 20),
        given,
        reversal(world, alice, given, 100),
        reversal(world, bruno, held, 50),
        reversal(world, bruno, held, 50),
    ):
        assert (await house.pay(request)).reason is Reason.APPROVED
    counted = Sums(1, 1, 3, 1, Cents(300), Cents(200), Cents(1_070), Cents(500))
    asked = totals(1, DAY, counted)
    answer = await house.engine.total(asked)
    assert isinstance(answer, Answer)
    assert (answer.reply.agrees, answer.reply.totals) == (True, counted)
    refuted = await house.engine.total(totals(2, DAY, replace(counted, debits_number=4)))
    assert isinstance(refuted, Answer)
    assert (refuted.reply.agrees, refuted.reply.totals) == (False, counted)
    await house.pay(again(world.request(alice, 1)))
    assert await house.engine.total(asked) == answer


async def test_the_same_totals_with_other_numbers_are_refused_94(world: World, house: House) -> None:
    await house.engine.total(totals(1, DAY, Sums()))
    answer = await house.engine.total(totals(1, DAY, Sums(debits_number=1)))
    assert isinstance(answer, Answer)
    assert answer.reply.reason is Reason.IDENTITY_REUSED
