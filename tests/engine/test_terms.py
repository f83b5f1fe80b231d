"""Who writes next, and what it knows when it begins (docs/ledger.md, "Append, take, beat")."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import date

import pytest

from authz.decision.outcomes import Reason
from authz.decision.totals import Sums
from authz.engine import lease
from authz.engine.cards import Cards, Found, MemoryVault
from authz.engine.gate import GateState
from authz.engine.lease import STILL_READINGS_MIN, take_over
from authz.engine.requests import Answer
from authz.engine.zone_keys import MemoryZoneKeys
from authz.security.keyblock import wrap
from authz.security.module import PinMethod, ZoneKeyUsage
from ledger.memory import MemoryLedger, MemoryStore
from ledger.store import Fence, Unavailable
from ledger.values import Epoch, HolderId
from simulators.terminal.pinpad import PinPad
from tests.engine import world as worlds
from tests.engine.messages import totals
from tests.engine.world import LINK, MAIN, PIN, House, World, module, pan_of, turns

NEW_KEY = bytes.fromhex("4042434546494A4C5051525457585B5D")
ZMK = bytes(range(16))
STANDING_BY = ["partition 0: standing by: another engine writes partition 0"]
FAR = 1e9


class Watched(MemoryStore):
    """Does something at chosen readings of the fence, counted from the first."""

    def __init__(self, ledger: MemoryLedger) -> None:
        super().__init__(ledger)
        self.readings = 0
        self.at: dict[int, Callable[[], Awaitable[None]]] = {}

    @asynccontextmanager
    async def watch(self, partition: object) -> AsyncIterator[Callable[[], Awaitable[Fence]]]:
        async with super().watch(MAIN) as look:

            async def counted() -> Fence:
                self.readings += 1
                if self.readings in self.at:
                    await self.at[self.readings]()
                return await look()

            yield counted


class Rivals:
    """A writer that holds the lease, and who watches it."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.writer = MemoryStore(self.ledger)
        self.watcher = Watched(self.ledger)
        self.waits: list[str] = []
        self.others = 0

    async def begin(self) -> Epoch:
        return (await self.writer.take(MAIN, await self.writer.fence(MAIN))).epoch

    async def take_over(self) -> Fence:
        return await take_over(self.watcher, MAIN, self.waits.append, self._see_other)

    def _see_other(self) -> None:
        self.others += 1


@pytest.fixture
async def rivals() -> Rivals:
    rivals = Rivals()
    await rivals.begin()
    return rivals


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only readings are counted, not their time."""
    monkeypatch.setattr(lease, "WATCH_EVERY_MS", 0)
    monkeypatch.setattr(lease, "STILL_FOR_MS", 0)


@pytest.mark.usefixtures("_quick")
class TestReadings:
    async def test_a_fence_that_stands_still_is_taken_at_the_sixth(self, rivals: Rivals) -> None:
        fence = await rivals.take_over()
        assert (fence.epoch, rivals.watcher.readings) == (2, STILL_READINGS_MIN)

    async def test_a_dead_writers_session_is_seen_at_the_first(self, rivals: Rivals) -> None:
        await rivals.writer.close()
        fence = await rivals.take_over()
        assert (fence.epoch, rivals.watcher.readings, rivals.others) == (2, 1, 0)

    async def test_a_session_that_is_just_ending_is_no_other_engine(self, rivals: Rivals) -> None:
        rivals.watcher.at[2] = rivals.writer.close
        await rivals.take_over()
        assert (rivals.watcher.readings, rivals.others) == (2, 0)

    async def test_one_that_outlasts_a_reading_is(self, rivals: Rivals) -> None:
        rivals.watcher.at[3] = rivals.writer.close
        await rivals.take_over()
        assert (rivals.watcher.readings, rivals.others) == (3, 1)

    async def test_a_beat_begins_the_count_again(self, rivals: Rivals) -> None:
        rivals.watcher.at[5] = lambda: rivals.writer.beat(MAIN, Epoch(1))
        await rivals.take_over()
        assert rivals.watcher.readings == 4 + STILL_READINGS_MIN

    async def test_so_does_an_outage(self, rivals: Rivals) -> None:
        """What comes after it may be another server."""

        async def outage() -> None:
            rivals.watcher.reachable = False
            rivals.watcher.reachable = True

        rivals.watcher.at[5] = outage
        await rivals.take_over()
        assert rivals.watcher.readings == 5 + STILL_READINGS_MIN
        assert len(rivals.waits) == 1

    async def test_a_writer_that_moves_behind_the_last_one_keeps_its_lease(self, rivals: Rivals) -> None:
        """Epoch, head and beat are compared by the take itself."""
        take, taken = rivals.watcher.take, []

        async def late(partition: object, seen: Fence) -> Fence:
            taken.append(seen)
            if len(taken) == 1:
                await rivals.writer.beat(MAIN, Epoch(1))
            return await take(MAIN, seen)

        rivals.watcher.take = late  # type: ignore[method-assign]
        fence = await rivals.take_over()
        assert fence.epoch == 2
        assert [one.beat for one in taken] == [1, 2]
        assert rivals.watcher.readings == 2 * STILL_READINGS_MIN


async def test_many_readings_are_not_enough_before_their_time(rivals: Rivals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "WATCH_EVERY_MS", 0)
    monkeypatch.setattr(lease, "STILL_FOR_MS", FAR)
    many = asyncio.Event()

    async def note() -> None:
        many.set()

    rivals.watcher.at[10 * STILL_READINGS_MIN] = note
    waiting = asyncio.create_task(rivals.take_over())
    await many.wait()
    assert rivals.ledger.shelves[MAIN].fence.epoch == 1
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting


@pytest.fixture
async def standby(world: World, house: House) -> House:
    """An engine that has seen another write."""
    standby = world.prepare()
    standby.engine.start()
    assert not await standby.engine.takes_office()
    return standby


class TestStandingBy:
    async def test_everything_is_answered_91_at_once(
        self, world: World, house: House, standby: House, alice: str
    ) -> None:
        records = len(world.records())
        assert (await standby.pay(world.request(alice))).reason is Reason.UNAVAILABLE
        answer = await standby.engine.total(totals(1, date(2026, 5, 12), Sums()))
        assert isinstance(answer, Answer)
        assert answer.reply.reason is Reason.UNAVAILABLE
        assert (await standby.engine.cut_over(LINK, None, "cutover")).reason is Reason.UNAVAILABLE
        block = wrap(ZMK, ZoneKeyUsage.PIN, NEW_KEY)
        assert (await standby.engine.change_key(LINK, block, "change")).reply.reason is Reason.UNAVAILABLE
        assert standby.engine.unready() == STANDING_BY
        assert len(world.records()) == records
        assert (await house.pay(world.request(alice))).reason is Reason.APPROVED

    async def test_it_is_said_once(self, world: World, standby: House) -> None:
        assert world.said.count(STANDING_BY[0].removeprefix("partition 0: ")) == 1

    async def test_the_first_of_an_empty_ledger_takes_office(self) -> None:
        world = World()
        alone = world.prepare()
        alone.engine.start()
        assert await alone.engine.takes_office()
        await world.close()


class TestATerm:
    async def test_begins_with_the_keys_that_another_engine_gave_to_links(
        self, world: World, house: House, alice: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = MemoryZoneKeys()
        house.engine._key_changes.zone_keys = kept
        world.security = module()  # the successor's own
        successor = world.prepare()
        successor.engine._key_changes.zone_keys = kept
        successor.engine.start()
        assert not await successor.engine.takes_office()
        await house.engine.change_key(LINK, wrap(ZMK, ZoneKeyUsage.PIN, NEW_KEY), "change")
        await house.crash()
        await successor.engine.is_ready()
        monkeypatch.setattr(worlds, "pin_pad", PinPad(NEW_KEY.hex()))
        assert (await successor.pay(world.request(alice, 1))).reason is Reason.APPROVED

    async def test_begins_with_the_cards_as_the_vault_has_them(
        self, world: World, house: House, standby: House, alice: str
    ) -> None:
        """The standby has looked the card up; then the other engine gives it another PIN."""
        assert (await standby.pay(world.request(alice))).reason is Reason.UNAVAILABLE
        token = world.security.token(alice)
        found = (await world.vault.find([token])).cards
        other = MemoryVault()
        check = await world.security.make_pin_check(PinMethod.PVV, alice, "9876")
        one = found[token]
        await Cards(other, world.security).add(one.card, one.holder, one.partition, alice, "2806", check)
        world.vault._cards.update(other._cards)
        await house.crash()
        await standby.engine.is_ready()
        assert (await standby.pay(world.request(alice, 1, pin=PIN))).reason is Reason.PIN_WRONG
        assert (await standby.pay(world.request(alice, 1, pin="9876"))).reason is Reason.APPROVED

    async def test_opens_no_gate_before_all_that_is_read_again(self, world: World, house: House, alice: str) -> None:
        """Also where the database goes away meanwhile: it is tried until it is back."""
        successor = world.prepare()
        calls, opened = 0, []

        async def read_again() -> None:
            nonlocal calls
            calls += 1
            opened.append(successor.writer.gate.state is GateState.OPEN)
            if calls < 3:
                raise Unavailable("the zone keys can't be reached")

        successor.writer._on_term = read_again
        successor.engine.start()
        await house.crash()
        await successor.engine.is_ready()
        assert opened == [False] * 3
        assert "the zone keys can't be reached" in world.said
        assert (await successor.pay(world.request(alice))).reason is Reason.APPROVED

    async def test_taken_again_from_ones_own_epoch_goes_on(self, world: World, house: House, alice: str) -> None:
        """Nobody else has written: nothing is read again, and the gate is only paused."""

        async def never() -> None:
            raise AssertionError

        house.writer._on_term = never
        epoch = world.ledger.shelves[MAIN].fence.epoch
        await house.store.abandon(MAIN)
        await house.engine.pay(world.request(alice))
        await house.engine.is_ready()
        assert world.ledger.shelves[MAIN].fence.epoch == epoch + 1


class SlowVault(MemoryVault):
    """Answers a find with what was there when it was asked, once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[asyncio.Event] = []

    async def find(self, tokens: Sequence[bytes]) -> Found:
        found = await super().find(tokens)
        let = asyncio.Event()
        self.asked.append(let)
        await let.wait()
        return found


async def test_what_was_being_read_of_a_card_when_all_was_forgotten_is_read_again() -> None:
    security, vault, pan = module(), SlowVault(), pan_of(1)
    cards, other = Cards(vault, security), Cards(vault, security)
    token = security.token(pan)
    early = asyncio.create_task(cards.find(token, FAR))
    await turns()
    check = await security.make_pin_check(PinMethod.PVV, pan, PIN)
    await other.add("c1", HolderId("h1"), MAIN, pan, "2806", check)  # type: ignore[arg-type]
    cards.forget()
    late = asyncio.create_task(cards.find(token, FAR))
    await turns()
    for let in vault.asked:
        let.set()
    await turns()
    for let in vault.asked:
        let.set()
    assert await early == await late
    assert (await early) is not None


class TestOfTwoEnginesOneWritesEveryPartition:
    async def test_those_that_start_at_once_don_t_share_them_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lease, "WATCH_EVERY_MS", 1)
        world = World(partitions=3)
        both = [world.prepare(), world.prepare()]
        try:
            for house in both:
                house.engine.start()
            offices = await asyncio.gather(*(house.engine.takes_office() for house in both))
            assert sorted(offices) == [False, True]
            loser = both[offices.index(False)].engine
            assert loser.turns_away(LINK) is Reason.UNAVAILABLE
            assert [writer.gate.state for writer in loser._writers] == [
                GateState.STANDING_BY,
                GateState.SHUT,
                GateState.SHUT,
            ]
        finally:
            await world.close()

    async def test_who_loses_the_first_gives_up_the_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lease, "WATCH_EVERY_MS", 1)
        world = World(partitions=3)
        try:
            house = await world.open(beat_every_ms=5)
            rival = world.prepare().store
            epoch = (await rival.take(MAIN, await rival.fence(MAIN))).epoch
            async with asyncio.timeout(10):
                while house.engine.turns_away(LINK) is None:
                    await rival.beat(MAIN, epoch)
                    await asyncio.sleep(lease.WATCH_EVERY_MS / 1000)
            assert len(house.engine.unready()) == 3
            await rival.close()
            async with asyncio.timeout(10):
                await house.engine.is_ready()
        finally:
            await world.close()
