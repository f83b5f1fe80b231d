"""A holder whom memory doesn't have costs one read for card and passbook, and is decided on nothing old for that."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import date

import pytest

from authz.decision.commands import Load
from authz.decision.outcomes import Reason
from authz.engine.cards import Found, MemoryVault
from authz.engine.passbooks import DEPARTED_MAX, Passbooks
from authz.engine.requests import Answer
from ledger.values import Cents, HolderId
from tests.engine.test_reads import counting
from tests.engine.world import House, World, holder_of, turns

H1, H2, H3 = (HolderId(f"h{number}") for number in (1, 2, 3))


def load(holder: HolderId, cents: int) -> Load:
    return Load(holder, "90", "2026", date(2026, 1, 1), date(2027, 2, 28), Cents(cents))


class Archive(MemoryVault):
    """A vault that reads passbooks beside cards, as PostgreSQL does. While `shut`, what was read comes later."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self._world = world

    async def find(self, tokens: Sequence[bytes]) -> Found:
        cards = (await super().find(tokens)).cards
        newest = [self._world.ledger.shelves[card.partition].newest for card in cards.values()]
        holders = [card.holder for card in cards.values()]
        lines = {holder: of[holder] for holder, of in zip(holders, newest, strict=True) if holder in of}
        await self.open.wait()
        return Found(cards, lines)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    world.vault = Archive(world)
    yield world
    world.audit()
    await world.close()


async def reopened(world: World, house: House, **limits: int) -> House:
    """Another engine behind a crash, which knows programme, employer and merchant, and nobody's card."""
    stranger = await house.enrol(9)
    await house.crash()
    house = await world.open(**limits)
    assert (await house.pay(world.request(stranger))).reason is Reason.APPROVED
    return house


async def test_a_card_comes_with_its_holders_passbook(world: World, house: House, alice: str) -> None:
    house = await reopened(world, house)
    calls = counting(house.store)
    assert (await house.pay(world.request(alice))).reason is Reason.APPROVED
    assert calls == {"append": 1}


async def test_many_who_come_at_once_come_with_theirs(world: World, house: House) -> None:
    pans = [await house.enrol(number) for number in range(1, 6)]
    house = await reopened(world, house)
    calls = counting(house.store)
    replies = await asyncio.gather(*(house.pay(world.request(pan)) for pan in pans))
    assert {reply.reason for reply in replies} == {Reason.APPROVED}
    assert calls["newest"] == 0


async def test_what_was_read_before_a_record_that_memory_has_forgotten_is_read_again(
    world: World, house: House
) -> None:
    """The passbook is read with 100.00 in it, and while that is on its way 50.00 are loaded; then memory drops it."""
    pans = [await house.enrol(number) for number in range(1, 9)]
    house = await reopened(world, house, passbooks_max=6)
    archive = world.vault
    assert isinstance(archive, Archive)
    archive.open.clear()
    paying = house.begin(world.request(pans[0]))
    await turns()
    await house.administer(load(H1, 5_000), "more")
    for number in range(2, 9):  # who come from the ledger alone, and take its place
        await house.administer(load(holder_of(number), 1), f"load {number}")
    assert not house.engine._desks[0].has(H1)
    archive.open.set()
    await paying
    assert world.available(H1) == 10_000 + 5_000 - 100


async def test_what_was_read_before_another_engine_wrote_is_read_again(world: World, house: House, alice: str) -> None:
    """It was read by a standby, who has the lease when it comes."""
    house = await reopened(world, house)
    assert (await house.pay(world.request(alice))).reason is Reason.APPROVED
    standby = world.prepare()
    standby.engine.start()
    assert not await standby.engine.takes_office()
    archive = world.vault
    assert isinstance(archive, Archive)
    archive.open.clear()
    paying = standby.begin(world.request(alice))
    await turns()
    assert (await house.pay(world.request(alice))).reason is Reason.APPROVED
    await house.crash()
    await standby.engine.is_ready()
    archive.open.set()
    answer = await paying
    assert isinstance(answer, Answer)
    assert answer.reply.reason is Reason.APPROVED
    assert world.available(H1) == 10_000 - 3 * 100


class TestWhatHasLeft:
    def test_is_known_by_name_since_any_moment(self) -> None:
        books = Passbooks(2)
        at = [books.departures]
        for holder in (H1, H2, H3, H1):
            books.put(holder, None)
            at.append(books.departures)
        assert at == [0, 0, 0, 1, 2]  # H1 went for H3, H2 for H1
        assert [[books.has_left(holder, then) for holder in (H1, H2, H3)] for then in (0, 1, 2)] == [
            [True, True, False],
            [False, True, False],
            [False, False, False],
        ]

    def test_is_taken_for_everybody_where_too_many_have(self) -> None:
        books = Passbooks(1)
        for number in range(DEPARTED_MAX + 2):
            books.put(HolderId(f"g{number}"), None)
        assert books.departures == DEPARTED_MAX + 1
        assert books.has_left(H1, 0)
        assert not books.has_left(H1, 1)

    def test_is_everybody_where_memory_is_cleared(self) -> None:
        books = Passbooks(9)
        then = books.departures
        books.clear()
        assert books.has_left(H1, then)
        assert not books.has_left(H1, books.departures)
        books.put(H1, None)
        books.forget(H1)
        assert books.has_left(H2, then), "also behind others who left since"

    def test_is_also_a_guest_who_is_dismissed_and_not_one_who_is_pinned(self) -> None:
        books = Passbooks(9)
        books.invite([H1, H2])
        books.put(H1, None)
        books.put(H2, None).pins += 1
        then = books.departures
        books.dismiss()
        assert [books.has_left(holder, then) for holder in (H1, H2)] == [True, False]
        assert books.get(H2) is not None
