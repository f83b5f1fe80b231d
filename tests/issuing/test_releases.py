"""Releases: what becomes of a paid order, also where its process is killed between any two things that it does."""

import asyncio
import inspect
import math
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from msgspec import Struct

from authz.decision.issuing import door
from authz.decision.issuing.states import Order, OrderLine, OrderStatus
from authz.decision.position import CardStatus
from authz.decision.refused import Refused
from authz.issuing.contacts import MemoryContacts
from ledger import accounts
from ledger.memory import MemoryStore
from ledger.values import HolderId
from tests.engine.world import World, turns
from tests.issuing.ordering import DURAND, FIRST, JUNE, LEROY, PEETERS, SECOND, Desk, balances, row, rows

NEXT_JANUARY = date(2027, 1, 1)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.audit()
    await world.close()


@pytest.fixture
async def desk(world: World) -> Desk:
    desk = Desk(world, await world.open(), MemoryContacts())
    await desk.furnish()
    return desk


def kinds(world: World, kind: str) -> list[HolderId | None]:
    """Whose records of a kind there are."""
    return [
        one.entry.holder for shelf in world.ledger.shelves.values() for one in shelf.records if one.entry.kind == kind
    ]


async def test_a_paid_order_enrols_issues_and_loads(world: World, desk: Desk) -> None:
    await desk.draft(DURAND, FIRST, rows(1, 2, 3))
    await desk.pay(DURAND, FIRST)
    await desk.release()
    order = await desk.orders.order(DURAND, FIRST)
    assert (order.status, order.applied, order.refused) == (OrderStatus.DONE, 1, 0)
    assert desk.lines_applied == [3]
    for number in (1, 2, 3):
        position = world.position(desk.holder(DURAND, row(number)))
        [card], [lot] = position.cards, position.purse.lots
        assert (card.programme, card.generation, card.expiry, card.status) == ("apetiz", 2, "3005", CardStatus.INACTIVE)
        assert (lot.product, lot.name, lot.amount) == ("90", "2026", 180_00)
        assert (lot.valid_from, lot.valid_until) == (date(2026, 1, 1), date(2027, 2, 28))
        assert position.employer == DURAND


async def test_the_clients_funds_end_at_nothing_and_the_books_balance_at_each_step(world: World, desk: Desk) -> None:
    """L3262-2: the employer's money is the face value, and nothing else."""
    funds = accounts.client_funds(DURAND, "90")
    order = await desk.draft(DURAND, FIRST, rows(1, 2, 3))
    assert not balances(world)
    await desk.pay(DURAND, FIRST)
    assert balances(world)[funds] == order.costs.face
    await desk.release()
    after = balances(world)
    assert after[funds] == 0
    loaded = sum(cents for account, cents in after.items() if account.startswith("holder:"))
    assert loaded == order.costs.face == -after[accounts.issuer_float("90")]


async def test_what_is_not_paid_is_not_released(world: World, desk: Desk) -> None:
    await desk.draft(DURAND, FIRST, rows(1))
    await desk.orders.confirm(DURAND, FIRST, 1, "test", "confirm")
    await desk.release()
    assert not kinds(world, "fulfilment")


async def test_released_twice_changes_nothing(world: World, desk: Desk) -> None:
    await desk.draft(DURAND, FIRST, rows(1, 2))
    await desk.pay(DURAND, FIRST)
    await desk.release()
    written = len(world.records())
    await desk.release()
    await Desk(world, desk.house, desk.contacts).release()
    assert len(world.records()) == written


async def test_a_december_order_for_january_is_of_the_next_vintage(world: World, desk: Desk) -> None:
    """R3262-5: vouchers of a year are spent in that year and to the end of the next February."""
    world.clock.wait_at(datetime(2026, 12, 10, 9, tzinfo=UTC))
    await desk.draft(DURAND, FIRST, rows(1), NEXT_JANUARY)
    await desk.pay(DURAND, FIRST)
    await desk.release()
    [lot] = world.position(desk.holder(DURAND, row(1))).purse.lots
    assert (lot.name, lot.valid_from, lot.valid_until) == ("2027", date(2027, 1, 1), date(2028, 2, 29))


async def test_other_vouchers_live_from_the_day_of_the_credit(world: World, desk: Desk) -> None:
    """I: eco-vouchers are valid for 24 months from the credit."""
    await desk.draft(PEETERS, FIRST, [row(1, 5, 10_00)], JUNE)
    await desk.pay(PEETERS, FIRST)
    await desk.release()
    [lot] = world.position(desk.holder(PEETERS, row(1))).purse.lots
    assert (lot.name, lot.valid_from, lot.valid_until) == ("2026-05-12", date(2026, 5, 12), date(2028, 5, 12))


async def test_one_person_of_two_employers_has_one_card_and_each_sees_its_own_lines(world: World, desk: Desk) -> None:
    """S: a person stands above employers. Both orders were drafted when they had no card; one is made."""
    await desk.draft(DURAND, FIRST, rows(1, 2))
    await desk.draft(LEROY, SECOND, [row(1, 10), row(3)])
    await desk.pay(DURAND, FIRST)
    await desk.pay(LEROY, SECOND)
    await desk.release()
    shared = world.position(desk.holder(DURAND, row(1)))
    assert len(shared.cards) == 1
    assert shared.employers == (DURAND, LEROY)
    assert [lot.amount for lot in shared.purse.lots] == [180_00 + 90_00]
    assert [line.amount for line in await desk.orders.lines(LEROY, SECOND)] == [90_00, 180_00]
    assert {line.number for line in await desk.orders.lines(DURAND, FIRST)} == {"E0001", "E0002"}
    assert len(desk.house.world.vault._cards) == 3


async def test_a_monthly_load_makes_no_new_cards(world: World, desk: Desk) -> None:
    """S: a card that hasn't expired isn't replaced by an order; new vouchers are loaded on it."""
    for order, month in ((FIRST, date(2026, 5, 1)), (SECOND, JUNE)):
        await desk.draft(DURAND, order, rows(1, 2), month)
        await desk.pay(DURAND, order)
        await desk.release()
    position = world.position(desk.holder(DURAND, row(1)))
    assert (len(position.cards), [lot.amount for lot in position.purse.lots]) == (1, [360_00])


async def test_who_is_missing_from_the_next_list_keeps_card_and_balance(world: World, desk: Desk) -> None:
    """S: a full list is applied as a difference."""
    for order, some, month in ((FIRST, rows(1, 2), date(2026, 5, 1)), (SECOND, rows(1), JUNE)):
        await desk.draft(DURAND, order, some, month)
        await desk.pay(DURAND, order)
        await desk.release()
    missing = world.position(desk.holder(DURAND, row(2)))
    assert [lot.amount for lot in missing.purse.lots] == [180_00]
    assert [card.status for card in missing.cards] == [CardStatus.INACTIVE]


async def test_a_line_that_is_refused_is_counted_and_its_money_stays_with_the_client(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = desk.holder(DURAND, row(2))
    _refuse(monkeypatch, refused)
    await desk.draft(DURAND, FIRST, rows(1, 2, 3))
    await desk.pay(DURAND, FIRST)
    await desk.release()
    order = await desk.orders.order(DURAND, FIRST)
    assert (order.status, order.applied, order.refused) == (OrderStatus.DONE, 1, 1)
    assert balances(world)[accounts.client_funds(DURAND, "90")] == 180_00
    assert desk.lines_applied == [2]


def _refuse(monkeypatch: pytest.MonkeyPatch, holder: HolderId) -> None:
    """Have the core refuse whatever an order has for a holder."""
    fulfil = door.fulfil

    def refusing(command: Any, facts: Any) -> Any:
        if command.holder == holder:
            raise Refused
        return fulfil(command, facts)

    monkeypatch.setattr(door, "fulfil", refusing)


async def test_it_begins_as_soon_as_an_order_is_paid(desk: Desk) -> None:
    running = asyncio.create_task(desk.releases[0].keep_releasing())
    await turns()
    await desk.draft(DURAND, FIRST, rows(1))
    await desk.pay(DURAND, FIRST)
    async with asyncio.timeout(5):
        while (await desk.orders.order(DURAND, FIRST)).status is not OrderStatus.DONE:  # noqa: ASYNC110  a record tells
            await asyncio.sleep(0)
    running.cancel()


async def test_a_long_journal_without_orders_is_not_walked_twice(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz.issuing.following.HOLDERS_WINDOW_SEQS_MAX", 4)
    monkeypatch.setattr("authz.issuing.releases.PASSED_A_NOTE", 4)
    await desk.release()
    noted = len(kinds(world, "followed"))
    assert noted > 1
    await Desk(world, desk.house, desk.contacts).release()
    assert len(kinds(world, "followed")) - noted <= noted


class Life:
    """How many more calls a process makes to what outlives it: at the last one it is killed."""

    def __init__(self) -> None:
        self.calls_left = math.inf
        self.over = asyncio.Event()

    async def spend(self) -> None:
        self.calls_left -= 1
        if self.calls_left < 0:
            self.over.set()
            await asyncio.Event().wait()


class Mortal:
    """A store, a vault or contacts, as a process sees them that is killed at one of its calls."""

    def __init__(self, inner: Any, life: Life) -> None:
        self._inner = inner
        self._life = life

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(inner) or name == "beat":
            return inner

        async def counted(*words: Any, **more: Any) -> Any:
            await self._life.spend()
            return await inner(*words, **more)

        return counted


class Ended(Struct, frozen=True):
    """What a run came to: the order, its lines, and each holder's cards and cents."""

    order: Order
    lines: tuple[OrderLine, ...]
    holders: tuple[tuple[int, int], ...]


PEOPLE = rows(1, 2, 3)


async def _through(desk: Desk) -> None:
    """From the list to the vouchers: what a client, finance and the engine do, each under keys of their own."""
    await desk.draft(DURAND, FIRST, PEOPLE)
    await desk.pay(DURAND, FIRST)
    await desk.release()


async def _killed(world: World, contacts: MemoryContacts, calls: int) -> bool:
    """Go through it in a process that is killed at one call. False: it came to its end before."""
    life, vault, store = Life(), world.vault, MemoryStore(world.ledger)
    world.vault = Mortal(vault, life)  # type: ignore[assignment]
    house = await world.open(Mortal(store, life))  # type: ignore[arg-type]
    world.vault = vault
    desk = Desk(world, house, Mortal(contacts, life))  # type: ignore[arg-type]
    life.calls_left = calls
    running, killed = asyncio.create_task(_through(desk)), asyncio.create_task(life.over.wait())
    await asyncio.wait([running, killed], return_when=asyncio.FIRST_COMPLETED)
    over = life.over.is_set()
    for task in (running, killed):
        task.cancel()
    store.reachable = False
    await house.crash()
    await asyncio.gather(running, killed, return_exceptions=True)
    return over


async def _ended(partitions: int, calls: int) -> tuple[Ended, bool]:
    """Go through it with a kill, and then, as another process, do all of it again; tell whether the kill came."""
    world, contacts = World(partitions), MemoryContacts()
    first = await world.open()
    await Desk(world, first, contacts).furnish()
    await first.crash()
    killed = await _killed(world, contacts, calls)
    desk = Desk(world, await world.open(), contacts)
    await _through(desk)
    world.audit()
    positions = [world.position(desk.holder(DURAND, one)) for one in PEOPLE]
    ended = Ended(
        order=await desk.orders.order(DURAND, FIRST),
        lines=tuple(await desk.orders.lines(DURAND, FIRST)),
        holders=tuple((len(one.cards), sum(lot.amount for lot in one.purse.lots)) for one in positions),
    )
    assert balances(world)[accounts.client_funds(DURAND, "90")] == 0
    await world.close()
    return ended, killed


@pytest.mark.parametrize("partitions", [1, 2])
async def test_killed_anywhere_it_is_done_once(partitions: int) -> None:
    """A kill at every call to the ledger, the vault and the contacts; then everybody does again what they did."""
    calls, killed = 0, True
    while killed:
        ended, killed = await _ended(partitions, calls)
        assert ended.order.status is OrderStatus.DONE, f"killed at call {calls}"
        assert ended.holders == ((1, 180_00),) * len(PEOPLE), f"killed at call {calls}"
        assert all(line.card for line in ended.lines)
        calls += 1
    assert calls > 20, "many places to be killed at"
