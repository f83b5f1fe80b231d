"""A primary with synchronous standbys: losing it loses no answered request (docs/replication.md)."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, Self

import asyncpg
import pytest

from authz.decision.commands import Load
from authz.decision.outcomes import Reason
from authz.engine.requests import Answer, NoAnswer, Request
from authz.engine.vault import PostgresVault
from ledger import postgres_session
from ledger.embedded import EmbeddedServer
from ledger.postgres import PostgresStore
from ledger.postgres_reader import READ_CONNECTIONS_MAX
from ledger.values import Cents
from ledger.verify import Report, verify
from tests.engine.world import MAIN, House, World, holder_of
from tests.faults.clusters import Fleet, Node, make_seed
from tests.faults.sites import Site, furnished

HOLDERS = 4
CLIENTS = 8
PATIENCE_S = 30
POLL_S = 0.02

WAITERS = """
SELECT pid FROM pg_stat_activity
WHERE wait_event = 'SyncRep' AND application_name LIKE 'ledger writer%' AND pid <> ALL ($1)
"""
END_READERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ledger reader'"
OTHERS = "SELECT seq FROM ledger.journal WHERE hash <> ALL ($1)"


LONG = pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")


def soak(test: Any) -> Any:
    return pytest.mark.soak(LONG(pytest.mark.timeout(300)(test)))


@pytest.fixture(scope="session")
def seed() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="authz-seed-"))
    folder.chmod(0o711)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, make_seed(folder)).result()
    yield folder
    EmbeddedServer.start(folder).remove()
    shutil.rmtree(folder)


@pytest.fixture
def fleet(seed: Path) -> Iterator[Fleet]:
    fleet = Fleet(seed)
    yield fleet
    fleet.remove()


@pytest.fixture
async def branch(fleet: Fleet) -> AsyncIterator["Branch"]:
    """A primary `p` and its only synchronous standby `s1`."""
    primary = fleet.primary("p", synchronous_standby_names="FIRST 1 (s1)")
    fleet.standby("s1", primary)
    async with Branch(fleet, primary) as branch:
        yield branch


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A take that isn't acknowledged is given up soon: what follows from that comes soon."""
    monkeypatch.setattr(postgres_session, "ANSWER_TIMEOUT_MS", 500)


class Branch(Site):
    """A world whose ledger is in a fleet. `direct` is a superuser's look at one of its servers."""

    def __init__(self, fleet: Fleet, primary: Node) -> None:
        self.fleet = fleet
        self.world = World()
        self._primary = primary
        self._vaults: list[PostgresVault] = []

    async def __aenter__(self) -> Self:
        self.direct = await asyncpg.connect(self._primary.superuser_url)
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in self.fleet.nodes.values():
            node.thaw()
        for house in self.world._open:
            await house.crash()
            await house.store.close()
        for vault in self._vaults:
            await vault.close()
        self.direct.terminate()

    async def look_at(self, node: Node) -> None:
        self.direct.terminate()
        self.direct = await asyncpg.connect(node.superuser_url)

    async def prepare(self, *names: str, **limits: int) -> House:
        """Make an engine that is given these hosts."""
        url = self.fleet.url(*names)
        vault: Any = PostgresVault(url)
        self._vaults.append(vault)
        self.world.vault = vault
        return self.world.prepare(PostgresStore(url), **limits)

    async def serve(self, *names: str, **limits: int) -> House:
        """Start an engine that is given these hosts, and wait until it writes."""
        house = await self.prepare(*names, **limits)
        house.engine.start()
        await house.engine.is_ready()
        return house

    async def prove(self, seen: list[tuple[Request, Answer | NoAnswer]]) -> None:
        """Hold what was answered against the ledger that is looked at, and have that ledger verified."""
        for request, answer in seen:
            await self.check(request, answer)
        await self.audit()
        assert isinstance(await verify(self.fleet.url(*self.fleet.nodes, role="postgres")), Report)


class Lunch:
    """Clients that pay and pay, each one thing after the other."""

    def __init__(self, branch: Branch, house: House, pans: list[str], seed: int = 1) -> None:
        self.seen: list[tuple[Request, Answer | NoAnswer]] = []
        self._house = house
        self._world = branch.world
        self._pans = pans
        self._random = Random(seed)
        self._over = asyncio.Event()
        self._more = asyncio.Event()
        self._clients = [asyncio.create_task(self._client()) for _ in range(CLIENTS)]

    @property
    def decided(self) -> int:
        return sum(_is_decided(answer) for _, answer in self.seen)

    async def goes_on(self, decided: int) -> None:
        """Wait for so many more decisions."""
        await self.until(lambda goal=self.decided + decided: self.decided >= goal)  # type: ignore[misc]

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not reached():
                await self._more.wait()
                self._more.clear()

    async def end(self) -> list[tuple[Request, Answer | NoAnswer]]:
        self._over.set()
        await asyncio.gather(*self._clients)
        return self.seen

    async def _client(self) -> None:
        over = asyncio.create_task(self._over.wait())
        while not self._over.is_set():
            request = self._world.request(self._random.choice(self._pans), self._random.randint(1, 20))
            answer = await self._house.engine.pay(request)
            self.seen.append((request, answer))
            self._more.set()
            if not _is_decided(answer):
                ready = asyncio.create_task(self._house.engine.is_ready())
                await asyncio.wait({over, ready}, return_when=asyncio.FIRST_COMPLETED)
                ready.cancel()


def _is_decided(answer: Answer | NoAnswer) -> bool:
    return isinstance(answer, Answer) and answer.reply.reason is not Reason.UNAVAILABLE


def _is_approved(answer: Answer | NoAnswer) -> bool:
    return isinstance(answer, Answer) and answer.reply.reason.approves


async def _decision(house: House, request: Request) -> Reason:
    """Send a request until it is decided: a read that its server ends is a 91, and nothing is written."""
    async with asyncio.timeout(PATIENCE_S):
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while (reply := await house.pay(_again(request, deadline))).reason is Reason.UNAVAILABLE:
            await house.engine.is_ready()
        return reply.reason


async def _repeats_get_what_is_stored(branch: Branch, house: House, seen: list[Any]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    for request, _ in seen:
        stored = await branch.stored(request)
        if stored is not None:
            assert await house.pay(_again(request, deadline)) == stored


def _again(request: Request, deadline: float) -> Request:
    return Request(request.command, request.secrets, link=request.link, deadline=deadline, repeat=True)


async def test_a_killed_primary_takes_no_answered_request_with_it(branch: Branch) -> None:
    primary, standby = branch.fleet.nodes.values()
    house = await branch.serve("p", "s1")
    lunch = Lunch(branch, house, await furnished(house, HOLDERS))
    await lunch.goes_on(60)

    primary.kill()
    await asyncio.to_thread(standby.promote)
    await lunch.goes_on(60)

    seen = await lunch.end()
    await branch.look_at(standby)
    await branch.prove(seen)
    await _repeats_get_what_is_stored(branch, house, seen)


async def test_of_two_standbys_the_one_that_is_ahead_has_all_that_was_answered(fleet: Fleet) -> None:
    primary = fleet.primary("p", synchronous_standby_names="ANY 1 (s1, s2)")
    standbys = [fleet.standby("s1", primary), fleet.standby("s2", primary)]
    async with Branch(fleet, primary) as branch:
        house = await branch.serve("p", "s1", "s2")
        lunch = Lunch(branch, house, await furnished(house, HOLDERS))
        await lunch.goes_on(20)
        standbys[0].freeze("walreceiver")
        await lunch.goes_on(40)

        primary.kill()
        ahead = max(standbys, key=lambda one: one.received())
        assert ahead is standbys[1], "what was answered is where it was acknowledged"
        await asyncio.to_thread(ahead.promote)
        await lunch.goes_on(40)

        seen = await lunch.end()
        await branch.look_at(ahead)
        await branch.prove(seen)


async def test_without_its_standby_nothing_is_approved_and_afterwards_all_settles(
    branch: Branch, impatient: None
) -> None:
    _, standby = branch.fleet.nodes.values()
    house = await branch.serve("p", "s1", silence_max_ms=500)
    pans = await furnished(house, HOLDERS)
    lunch = Lunch(branch, house, pans)
    await lunch.goes_on(20)

    standby.freeze("walreceiver")
    await lunch.until(lambda: any(not _is_decided(answer) for _, answer in lunch.seen))
    assert house.engine.unready()
    decided = lunch.decided
    for pan in pans:
        request = branch.world.request(pan)
        lunch.seen.append((request, await house.engine.pay(request)))
        assert lunch.seen[-1][1].reply.reason is Reason.UNAVAILABLE  # type: ignore[union-attr]
    assert lunch.decided == decided

    standby.thaw()
    await lunch.goes_on(40)
    seen = await lunch.end()
    await branch.prove(seen)
    await _repeats_get_what_is_stored(branch, house, seen)


async def test_an_old_primary_that_lives_on_approves_nothing(branch: Branch, impatient: None) -> None:
    primary, standby = branch.fleet.nodes.values()
    left_behind = await branch.serve("p", "s1", silence_max_ms=500)
    [pan, *pans] = await furnished(left_behind, HOLDERS)
    lunch = Lunch(branch, left_behind, pans)
    await lunch.goes_on(20)

    await asyncio.to_thread(standby.promote)
    decided = lunch.decided
    await lunch.until(lambda: any(not _is_decided(answer) for _, answer in lunch.seen))
    serving = await branch.serve("s1")
    request = branch.world.request(pan, 700)
    lunch.seen.append((request, await serving.engine.pay(request)))
    assert _is_approved(lunch.seen[-1][1])
    left_there, branch.direct = branch.direct, await asyncpg.connect(standby.superuser_url)
    await _found(left_there, OTHERS, await _hashes(branch.direct))
    left_there.terminate()
    assert left_behind.engine.unready()

    primary.kill()
    await _until(lambda: "standing by" in " ".join(left_behind.engine.unready()))
    assert (await left_behind.pay(branch.world.request(pan))).reason is Reason.UNAVAILABLE
    assert lunch.decided <= decided + CLIENTS + 1
    seen = await lunch.end()
    await branch.prove(seen)
    await _repeats_get_what_is_stored(branch, serving, seen)


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
async def test_a_row_that_no_standby_has_answers_nobody(branch: Branch, how: str, impatient: None) -> None:
    """Cancelled or terminated, a session that waits for its standby shows its row to everybody."""
    primary, standby = branch.fleet.nodes.values()
    house = await branch.serve("p", "s1", beat_every_ms=60_000)
    [pan] = await furnished(house)
    standby.kill()
    known = await _hashes(branch.direct)
    request = branch.world.request(pan, 700)
    first = house.begin(request)
    ended: list[int] = []
    for _ in ("append", "take", "another take"):
        [waiting, *_] = await _found(branch.direct, WAITERS, ended)
        await branch.direct.execute(f"SELECT {how}($1)", waiting["pid"])
        ended.append(waiting["pid"])
    await _found(branch.direct, OTHERS, known)
    assert await branch.stored(request) is not None

    again = await house.engine.pay(_again(request, asyncio.get_running_loop().time() + 1))
    assert not _is_decided(again)
    assert not (first.done() and _is_approved(first.result()))

    primary.kill()
    standby.start()
    await asyncio.to_thread(standby.promote)
    await branch.look_at(standby)
    await house.engine.is_ready()
    assert await branch.stored(request) is None
    assert not _is_approved(await first)
    assert (await house.pay(_again(request, asyncio.get_running_loop().time() + PATIENCE_S))).reason.approves


async def test_an_issuers_command_is_not_answered_before_a_standby_has_it(branch: Branch, impatient: None) -> None:
    """It has no deadline: the engine goes on settling, and ends its own sessions to do so."""
    _, standby = branch.fleet.nodes.values()
    house = await branch.serve("p", "s1", silence_max_ms=500)
    await furnished(house)
    standby.freeze("walreceiver")
    known = await _hashes(branch.direct)
    load = Load(holder_of(1), "90", "2026", date(2026, 1, 1), date(2027, 2, 28), Cents(5_000))
    loading = asyncio.create_task(house.engine.administer(load, "a second load"))
    await _found(branch.direct, OTHERS, known)
    await _until(lambda: "standing by" in " ".join(branch.world.said))
    assert not (loading.done() and loading.result().reason.approves)


async def test_a_primary_that_falls_silent_keeps_nobody_from_the_new_one(branch: Branch) -> None:
    """A machine that has failed answers no connection: it costs its share of the time, and no more."""
    primary, standby = branch.fleet.nodes.values()
    house = await branch.serve("p", "s1", silence_max_ms=500)
    lunch = Lunch(branch, house, await furnished(house, HOLDERS))
    await lunch.goes_on(20)

    primary.freeze()
    await asyncio.to_thread(standby.promote)
    await lunch.goes_on(40)

    seen = await lunch.end()
    await branch.look_at(standby)
    primary.kill()
    await branch.prove(seen)


async def test_what_a_decision_rests_on_is_read_where_it_is_written(branch: Branch, impatient: None) -> None:
    """The old primary comes back after a pause, named first, and shows an older ledger."""
    primary, standby = branch.fleet.nodes.values()
    house = await branch.serve("p", "s1", silence_max_ms=500, passbooks_max=4, remembered_max=1)
    pans = await furnished(house, HOLDERS)
    assert len(await _looks(house)) == 1
    primary.freeze()
    await asyncio.to_thread(standby.promote)
    first = house.begin(branch.world.request(pans[0]))
    await _until(lambda: bool(house.engine.unready()))
    await house.engine.is_ready()
    await first
    primary.thaw()

    for pan in pans:
        assert await _decision(house, branch.world.request(pan, 1_500)) is Reason.APPROVED
    assert len(await _looks(house)) == 1, "of its connections, some read on the old primary"
    await branch.look_at(standby)
    await branch.direct.execute(END_READERS)
    for pan in pans:
        assert await _decision(house, branch.world.request(pan, 1_500)) is Reason.DAILY_CAP
    await branch.audit()


@soak
@pytest.mark.parametrize("drawn", range(20))
async def test_the_primary_killed_at_random_moments_with_a_standby_behind(fleet: Fleet, drawn: int) -> None:
    random = Random(drawn)
    primary = fleet.primary("p", synchronous_standby_names="ANY 1 (s1, s2)")
    standbys = [fleet.standby("s1", primary), fleet.standby("s2", primary)]
    async with Branch(fleet, primary) as branch:
        house = await branch.serve("p", "s1", "s2")
        lunch = Lunch(branch, house, await furnished(house, HOLDERS), drawn)
        await lunch.goes_on(random.randint(1, 200))
        behind = random.choice(standbys)
        behind.freeze("walreceiver")
        await lunch.goes_on(random.randint(1, 400))
        primary.kill()
        ahead = max(standbys, key=lambda one: one.received())
        assert ahead is not behind
        await asyncio.to_thread(ahead.promote)
        await lunch.goes_on(100)
        seen = await lunch.end()
        await branch.look_at(ahead)
        await branch.prove(seen)
        await _repeats_get_what_is_stored(branch, house, seen)


@soak
@pytest.mark.parametrize("drawn", range(10))
async def test_the_standby_missing_again_and_again(branch: Branch, drawn: int, impatient: None) -> None:
    random = Random(drawn)
    _, standby = branch.fleet.nodes.values()
    house = await branch.serve("p", "s1", silence_max_ms=300)
    lunch = Lunch(branch, house, await furnished(house, HOLDERS), drawn)
    for _ in range(10):
        await lunch.goes_on(random.randint(1, 200))
        standby.freeze("walreceiver")
        await asyncio.sleep(random.uniform(0, 4))
        standby.thaw()
    await lunch.goes_on(100)
    seen = await lunch.end()
    await branch.prove(seen)
    await _repeats_get_what_is_stored(branch, house, seen)


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not reached():  # noqa: ASYNC110  what is waited for is seen from outside
            await asyncio.sleep(POLL_S)


async def _found(connection: asyncpg.Connection, query: str, *arguments: object) -> list[asyncpg.Record]:
    """Ask until there is an answer."""
    async with asyncio.timeout(PATIENCE_S):
        while not (rows := await connection.fetch(query, *arguments)):  # noqa: ASYNC110  as above
            await asyncio.sleep(POLL_S)
        return list(rows)


async def _hashes(connection: asyncpg.Connection) -> list[bytes]:
    return [row["hash"] for row in await connection.fetch("SELECT hash FROM ledger.journal")]


async def _looks(house: House) -> set[tuple[int, int]]:
    """Look at epoch and head over each of the store's connections at once."""
    fences = await asyncio.gather(*(house.store.fence(MAIN) for _ in range(READ_CONNECTIONS_MAX)))
    return {(fence.epoch, fence.head) for fence in fences}
