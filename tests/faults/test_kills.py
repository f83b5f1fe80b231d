"""`kill -9` at random moments under load, of the engine that writes and of PostgreSQL with all its processes.

Two engines are on one ledger; tills know both addresses, ask again what stays unanswered, and take back what they give
up. What any of them was told is in the ledger as it was told, a 91 is nowhere, and silence may be either
(docs/ledger.md, "Append, take, beat").
"""

import asyncio
import os
import random
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import date, datetime
from pathlib import Path

import asyncpg
import msgspec
import pytest
from msgspec import Struct

from authz.clock import SimulatedClock
from authz.database import Embedded
from authz.decision.outcomes import Reply
from authz.demo.demo import generated_cards
from authz.demo_data import data as demo_data
from authz.demo_data.data import DemoLoader, expiry_in
from authz.replay import Replayed, replay
from authz.service import running as serving
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from authz.wire.rules import first_mti
from ledger.embedded import EmbeddedServer
from ledger.postgres import PostgresStore
from ledger.store import Unavailable
from ledger.values import Partition
from ledger.verify import Report, verify
from simulators.acquirer.line import Line
from simulators.link import LinkError
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Site, Terminal, repeat
from simulators.terminal.pinpad import PinPad
from simulators.terminal.till import UNDECIDED, Patience, Till
from tests.acceptance.authorizer import TUESDAY, Authorizer, eventually
from tests.conftest import Database

NOON = datetime.fromisoformat(TUESDAY)
DAY = date(2026, 5, 12)
DEMO = parameters.demo()
CODEC = Codec(shipped(DEMO.dialect))
MAIN = Partition(0)
HOLDERS = 40
TILLS = 10
CENTS_MAX = 5
"""So small that no cap and no balance ends a day."""
PATIENT = Patience(answer_within_s=2, again_every_s=0.1, repeats_max=100)
HASTY = Patience(answer_within_s=0.5, again_every_s=0.1)
"""Takes back at the first 91, and at a silence that others sit out."""
PAUSE_S = 0.01
"""Between two customers of a till: the engines that are killed have to start on the same two cores."""
AGAIN_S = 0.05
"""From a 91 or a lost line to the next try, at the other engine."""
SENDINGS_A_KILL = (20, 120)
"""How many requests are sent, at least and at most, from one kill to the next."""

RECORDS = """
SELECT journal.request -> 'command' -> 'origin' ->> 'terminal' AS terminal,
       journal.request -> 'command' -> 'origin' ->> 'trace' AS trace,
       journal.request -> 'command' -> 'origin' ->> 'mti' AS mti,
       journal.reply
  FROM ledger.journal
 WHERE journal.request -> 'command' -> 'origin' ->> 'terminal' LIKE 'KIL%'"""

OWED = """
SELECT rtrim(request -> 'command' -> 'origin' ->> 'terminal') AS terminal,
       sum(CASE WHEN credit = $1 THEN amount ELSE -amount END)::bigint AS owed
  FROM ledger.journal JOIN ledger.transfer USING (partition, seq)
 WHERE $1 IN (debit, credit)
 GROUP BY 1"""

PAYABLE = f"acquirer:{DEMO.acquirer}:payable"

Name = tuple[str, str, str]
"""A request, whoever answered it and however often it was sent: its terminal, trace number and message class."""


class Sending(Struct, frozen=True):
    """A request as it was sent once, and what came back: None is silence."""

    request: Message
    reply: Message | None

    @property
    def name(self) -> Name:
        return _name(self.request.terminal or "", self.request.trace or "", self.request.mti)


def _name(terminal: str, trace: str, mti: str) -> Name:
    """A reversal and its advice are one class, as a request and its repeat are."""
    return terminal.rstrip(), trace, first_mti(mti).replace("0420", "0400")


class Pair:
    """Two engines on one database: one that writes, one that stands by."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self.both: list[Authorizer] = []

    async def start(self) -> None:
        one = Authorizer(self._folder, "--database", self._url, "--clock", TUESDAY)
        try:
            await asyncio.to_thread(one.ready)
        except BaseException:
            one.kill()
            raise
        self.both.append(one)

    async def writer(self) -> Authorizer:
        """The engine that would take a payment now, or soon."""
        return await asyncio.to_thread(eventually, lambda: next(filter(_takes_payments, self.both), None))

    async def replace_writer(self) -> None:
        """Kill it, and start another that stands by for its successor."""
        writer = await self.writer()
        writer.kill()
        self.both.remove(writer)
        await self.writer()
        await self.start()

    def kill(self) -> None:
        for one in self.both:
            one.kill()


def _takes_payments(engine: Authorizer) -> bool:
    with suppress(OSError):
        return engine.get("/readyz")[0] == 200
    return False


class Witness:
    """Remembers every sending of every till, and what came back."""

    def __init__(self) -> None:
        self.sendings: list[Sending] = []
        self._waiting: tuple[int, asyncio.Event] = (0, asyncio.Event())

    def note(self, sending: Sending) -> None:
        self.sendings.append(sending)
        number, reached = self._waiting
        if len(self.sendings) >= number:
            reached.set()

    async def sees(self, more: int) -> None:
        """Wait until there are so many more."""
        self._waiting = len(self.sendings) + more, asyncio.Event()
        await self._waiting[1].wait()


class Lines:
    """A till's way to both engines. It keeps to the one that answered last."""

    def __init__(self, pair: Pair, witness: Witness) -> None:
        self._witness = witness
        self._pair = pair
        self._line: Line | None = None
        self._port = 0

    async def exchange(self, request: Message, timeout: float) -> Message:
        """Ask the engine that answered last; ask the other the next time where it doesn't."""
        reply = None
        try:
            if self._line is None:
                self._turn()
            assert self._line is not None
            reply = await self._line.exchange(request, timeout)
            return reply
        finally:
            self._witness.note(Sending(request, reply))
            if reply is None or reply.response_code in UNDECIDED:
                await self.close()
                await asyncio.sleep(AGAIN_S)

    async def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.close()

    def _turn(self) -> None:
        ports = [one.port for one in self._pair.both]
        self._port = next((port for port in ports if port != self._port), ports[0])
        self._line = Line("127.0.0.1", self._port, CODEC)


class Shop:
    """One till and its customers."""

    def __init__(self, number: int, lines: Lines, cards: list[Card], seed: int) -> None:
        site = Site(f"KIL{number:05}", "FR0000000000001", "Le Bistrot du Port", "Europe/Paris")
        self.terminal = Terminal(site, DEMO.acquirer, PinPad(DEMO.zone_pin_key), lambda: NOON)
        self.lines = lines
        self.till = Till(self.terminal, self.lines, HASTY if number % 2 else PATIENT)
        self._cards = cards
        self._chance = random.Random(f"{seed}:{number}")

    async def work(self, closing: asyncio.Event) -> None:
        """Serve customers until the shop closes."""
        while not closing.is_set():
            request = self.terminal.purchase(self._chance.choice(self._cards), self._chance.randint(1, CENTS_MAX))
            if self._chance.random() < 0.1:
                await self._gives_up(request)
            elif await self.till.pay(request) is not None and self._chance.random() < 0.2:
                await self._asks_again(request)
            await asyncio.sleep(PAUSE_S)
        await self.lines.close()

    async def _gives_up(self, request: Message) -> None:
        """Ask once; where that comes to nothing the customer pays otherwise. Silence is taken back: it may be in."""
        try:
            reply = await self.lines.exchange(request, HASTY.answer_within_s)
        except LinkError:
            await self.till.take_back(request)
        else:
            if reply.response_code not in UNDECIDED:
                self.terminal.note(request, reply)

    async def _asks_again(self, request: Message) -> None:
        with suppress(LinkError):
            await self.lines.exchange(repeat(request), HASTY.answer_within_s)


class Street:
    """Shops on two engines, and what becomes of them."""

    def __init__(self, pair: Pair, cards: list[Card], seed: int) -> None:
        self.pair = pair
        self.witness = Witness()
        self.shops = [Shop(number, Lines(pair, self.witness), cards, seed) for number in range(TILLS)]
        self._chance = random.Random(seed)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Every shop works until the block ends, and has then told all that it had to tell."""
        closing = asyncio.Event()
        working = asyncio.gather(*(shop.work(closing) for shop in self.shops))
        try:
            yield
            await self.pair.writer()
        except BaseException:
            working.cancel()
            raise
        finally:
            closing.set()
            with suppress(asyncio.CancelledError):
                await working

    async def a_moment(self) -> None:
        """Wait for a random number of sendings, and for a random part of the next ones."""
        await self.witness.sees(self._chance.randint(*SENDINGS_A_KILL))
        await asyncio.sleep(self._chance.random() * PAUSE_S)


class Place(Struct, frozen=True):
    """A PostgreSQL with a ledger of holders in it."""

    data: Path
    embedded: Embedded
    cards: list[Card]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    data = Path(tempfile.mkdtemp(prefix="authz-tests-"))
    try:
        embedded = await Embedded.start(data)  # with the product's own settings: fsync is on
        yield Place(data, embedded, await _enrol(embedded.url))
    finally:
        await asyncio.to_thread(lambda: EmbeddedServer.start(data).remove())
        shutil.rmtree(data, ignore_errors=True)


async def _enrol(url: str) -> list[Card]:
    """Enter holders by the journaled commands that issuing uses, and hand out their cards."""
    demo, crowd = demo_data.read(), generated_cards(HOLDERS)
    config = demo.config()
    links = tuple(msgspec.structs.replace(link, port=0) for link in config.links)
    config = msgspec.structs.replace(config, links=links, http_port=0)
    async with serving(config, url, SimulatedClock(NOON), demo=True) as service:
        loader = DemoLoader(service.engine, service.cards, service.security, DAY)
        await loader.load_cards(crowd, {employer.id: employer.programme for employer in demo.employer})
    return [Card(pan=card.pan, expiry=expiry_in(card.expiry, DAY.year), pin=card.pin) for card in crowd]


def kill_server(data: Path) -> None:
    """`kill -9` of a data folder's postmaster and of every process of its."""
    postmaster = int((data / "postgresql" / "postmaster.pid").read_text().split()[0])
    for process in [postmaster, *_children(postmaster)]:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _children(parent: int) -> Iterator[int]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            number, _, rest = stat.read_text().partition(" ")
            if int(rest.rpartition(")")[2].split()[1]) == parent:
                yield int(number)


@pytest.fixture
async def street(place: Place, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Street]:
    pair = Pair(tmp_path, place.embedded.url)
    try:
        for _ in range(2):
            await pair.start()
        yield Street(pair, place.cards, seed=1)
    finally:
        pair.kill()


async def _engines_killed(place: Place, street: Street, times: int) -> None:
    async with street.open():
        for _ in range(times):
            await street.a_moment()
            await street.pair.replace_writer()
        await street.a_moment()
    await _hold_to_the_ledger(place, street)


async def _databases_killed(place: Place, street: Street, times: int) -> None:
    before = list(street.pair.both)
    async with street.open():
        for _ in range(times):
            await street.a_moment()
            kill_server(place.data)
            await asyncio.to_thread(EmbeddedServer.start, place.data)
            await street.pair.writer()
        await street.a_moment()
    assert street.pair.both == before
    assert all(one.lives for one in before), "engines outlive their database"
    await _hold_to_the_ledger(place, street)


async def test_a_half_dead_session_frees_the_fence_by_itself(database: Database) -> None:
    """A writer that has begun to write and says nothing more: `transaction_timeout` ends it, whoever waits."""
    store = PostgresStore(database.url)
    fence = await store.take(MAIN, await store.fence(MAIN))
    half_dead = store._writers[MAIN].connection
    await half_dead.execute(f"BEGIN; SELECT ledger.beat({MAIN}, {fence.epoch})")
    direct = await asyncpg.connect(database.superuser_url)
    await direct.execute("SELECT FROM ledger.fence FOR UPDATE")
    with pytest.raises(Unavailable):
        await store.beat(MAIN, fence.epoch)
    assert (await store.retake(MAIN, fence.epoch)).beat == fence.beat + 1, "its own beat was rolled back"
    await direct.close()
    await store.close()


async def test_engines_killed_under_load(place: Place, street: Street) -> None:
    await _engines_killed(place, street, 10)


async def test_databases_killed_under_load(place: Place, street: Street) -> None:
    await _databases_killed(place, street, 3)


@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
@pytest.mark.timeout(3_600)
async def test_engines_killed_under_load_for_long(place: Place, street: Street) -> None:
    await _engines_killed(place, street, 200)


@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
@pytest.mark.timeout(3_600)
async def test_databases_killed_under_load_for_long(place: Place, street: Street) -> None:
    await _databases_killed(place, street, 50)


async def _hold_to_the_ledger(place: Place, street: Street) -> None:
    """Whatever was told is in the ledger as it was told, once; the books are whole, and are the tills' own."""
    recorded = await _recorded(place.embedded.superuser_url)
    told: dict[Name, list[Message | None]] = {}
    for one in street.witness.sendings:
        told.setdefault(one.name, []).append(one.reply)
    codes = Counter(reply.response_code if reply else "silence" for replies in told.values() for reply in replies)
    # In the long form holders come to the day's cap, and to the end of their money.
    assert codes.keys() <= {"00", "25", "51", "61", "91", "silence"}, codes
    assert min(codes["00"], codes["91"]), "a kill that nobody noticed proves nothing"
    assert recorded.keys() <= told.keys()
    for name, replies in told.items():
        decided = [reply for reply in replies if reply is not None and reply.response_code not in UNDECIDED]
        if decided:
            assert all(map(decided[0].__eq__, decided)), f"{name} was told two things"
            assert _is_as_told(recorded.get(name), decided[0]), f"{name} is in the ledger otherwise than it was told"
        elif None not in replies:
            assert name not in recorded, f"{name} was answered 91, and is in the ledger"
    await _the_books_are_the_tills(place.embedded.superuser_url, street)
    assert isinstance(await verify(place.embedded.superuser_url), Report)
    assert isinstance(await replay(place.embedded.superuser_url), Replayed)


def _is_as_told(recorded: Reply | None, told: Message) -> bool:
    return recorded is not None and (recorded.reason, recorded.approval) == (told.reason, told.approval)


async def _recorded(url: str) -> dict[Name, Reply]:
    """Every reply in the ledger to a till's request: none is there twice."""
    rows = await _fetch(url, RECORDS)
    found = {
        _name(row["terminal"], row["trace"], row["mti"]): msgspec.json.decode(row["reply"], type=Reply) for row in rows
    }
    assert len(found) == len(rows), "a request is there twice"
    return found


async def _the_books_are_the_tills(url: str, street: Street) -> None:
    owed = {row["terminal"]: row["owed"] for row in await _fetch(url, OWED, PAYABLE)}
    believed = {shop.terminal.site.terminal: shop.terminal.owed for shop in street.shops}
    assert {name: cents for name, cents in owed.items() if cents} == believed
    assert not any(shop.till.stored for shop in street.shops)


async def _fetch(url: str, query: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()
