"""A real engine on a real PostgreSQL with a link for each test, and a host with terminals at it."""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import pytest
import uvloop
from msgspec import Struct
from msgspec.structs import replace

from authz.clock import SimulatedClock
from authz.demo.demo import generated_cards
from authz.demo_data import data as demo_data
from authz.demo_data.data import DemoLoader, DemoLot, expiry_in
from authz.engine import schema
from authz.service import Service, running
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from ledger.embedded import SUPERUSER, EmbeddedServer
from simulators.acquirer import parameters
from simulators.acquirer.host import AcquirerHost
from simulators.acquirer.parameters import HostParameters
from simulators.acquirer.service import Acquirer, Settings
from simulators.acquirer.service import running as acquiring
from simulators.acquirer.upstream import Route
from simulators.terminal.card import Card
from simulators.terminal.messages import Site, Terminal
from simulators.terminal.pinpad import PinPad

T = TypeVar("T")
DAY = date(2026, 5, 12)
NOON = datetime.fromisoformat("2026-05-12T12:30:00+02:00")
MERCHANT = "FR0000000000001"
STOCK = 5_000
"""What each customer has, in cents."""
CUSTOMERS = 80
LINKS = 12
DIALECTS = ("iso87ascii", "iso87ascii4", "iso87bcd", "iso87ebcdic")
TERMINALS_KEY = "89ABCDEF0123456776543210FEDCBA98"
"""The terminals' PIN key, which isn't the link's."""

_MOVED = """
SELECT rtrim(request -> 'command' -> 'origin' ->> 'terminal') AS terminal,
       request -> 'command' -> 'origin' ->> 'trace' AS trace,
       left(request -> 'command' -> 'origin' ->> 'mti', 3) AS mti,
       request -> 'command' -> 'origin' ->> 'retrieval_reference' AS retrieval,
       (sum(CASE WHEN credit = $1 THEN amount ELSE -amount END))::bigint AS cents
  FROM ledger.journal JOIN ledger.transfer USING (partition, seq)
 WHERE $1 IN (debit, credit)
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3"""


class Upstream(Struct, frozen=True):
    """A link of the engine's: its acquirer, and where it listens."""

    acquirer: str
    port: int
    dialect: str


class Engine:
    """An authorizer on a loop of its own. Each `link` is handed out once, and so is each customer's card."""

    def __init__(self, service: Service, links: list[Upstream], cards: list[Card], url: str) -> None:
        self.service = service
        self._links = {dialect: iter([one for one in links if one.dialect == dialect]) for dialect in DIALECTS}
        self._cards = iter(cards)
        self._url = url

    def link(self, dialect: str = "iso87ascii") -> Upstream:
        return next(self._links[dialect])

    def customer(self) -> Card:
        return next(self._cards)

    async def moved(self, link: Upstream) -> list[tuple[str, str, str, str | None, int]]:
        """What the ledger has paid to an acquirer: by terminal, trace number, type of message, reference; in cents."""
        connection = await asyncpg.connect(self._url)
        try:
            rows = await connection.fetch(_MOVED, f"acquirer:{link.acquirer}:payable")
        finally:
            await connection.close()
        return [tuple(row) for row in rows if row["cents"]]


@pytest.fixture(scope="session")
def engine(cluster: EmbeddedServer) -> Iterator[Engine]:
    """The engine of all these tests, on Tuesday 12 May 2026 at 12:30."""
    name = f"acquirer_{uuid4().hex}"
    asyncio.run(_create(cluster, name))
    url = cluster.url("authz", name)
    demo = demo_data.read()
    config = demo.config()
    [one] = config.links
    dialects = ["iso87ascii"] * LINKS + list(DIALECTS[1:])
    links = tuple(
        replace(one, terms=replace(one.terms, acquirer=f"97010{number}"), dialect=shipped(dialect), port=0)
        for number, dialect in enumerate(dialects)
    )
    config = replace(config, links=links, http_port=0)
    crowd = [
        replace(card, generation=2, lots=(DemoLot("90", "N", Decimal(STOCK) / 100),))
        for card in generated_cards(CUSTOMERS)
    ]
    with _served(config, url, crowd, {employer.id: employer.programme for employer in demo.employer}) as service:
        ports = [
            Upstream(link.terms.acquirer, server.port, link.dialect.name)
            for link, server in zip(links, service.links, strict=True)
        ]
        cards = [Card(pan=card.pan, expiry=expiry_in(card.expiry, DAY.year), pin=card.pin) for card in crowd]
        yield Engine(service, ports, cards, url)


async def _create(cluster: EmbeddedServer, name: str) -> None:
    connection = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    await schema.create(cluster.url(SUPERUSER, name))


@contextmanager
def _served(config: Any, url: str, crowd: list[Any], programmes: dict[str, str]) -> Iterator[Service]:
    began: Future[Service] = Future()
    loop = uvloop.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with running(config, url, SimulatedClock(NOON), demo=True) as service:
            loader = DemoLoader(service.engine, service.cards, service.security, date(DAY.year, 1, 5))
            await loader.load_cards(crowd, programmes)
            began.set_result(service)
            await over.wait()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(serve())
        except BaseException as failed:
            if not began.done():
                began.set_exception(failed)
            raise
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="engine")
    thread.start()
    try:
        yield began.result(60)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


class Told(list[tuple[str, dict[str, Any]]]):
    """What a host told of, in its order."""

    def __call__(self, event: str, **facts: Any) -> None:
        self.append((event, facts))

    def named(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in self if name == event]


class Hall:
    """Runs a host, and terminals at it. `told` is what it told of."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self.settings = settings
        self.told = Told()
        self.host: Acquirer
        self._stack = stack
        self._numbers = itertools.count(1)

    async def open(self) -> "Hall":
        self.host = await self._stack.enter_async_context(acquiring(self.settings, lambda: NOON, self.told))
        return self

    async def connect(self) -> AcquirerHost:
        """A terminal's connection."""
        connection = await AcquirerHost.connect("127.0.0.1", self.host.port, self.settings.terminals_codec)
        self._stack.push_async_callback(connection.close)
        return connection

    def terminal(self, first_trace: int = 1) -> Terminal:
        site = Site(f"TIL{next(self._numbers):05}", MERCHANT, "Le Bistrot du Port", "Europe/Paris")
        pad = PinPad(self.settings.parameters.terminal_pin_key)
        return Terminal(site, self.settings.parameters.acquirer, pad, lambda: NOON, first_trace=first_trace)


def parameters_of(acquirer: str, **changes: Any) -> HostParameters:
    """The demo's keys, under another acquirer's name; terminals have a key of their own."""
    return replace(parameters.demo(), acquirer=acquirer, terminal_pin_key=TERMINALS_KEY, **changes)


Open = Callable[..., Coroutine[Any, Any, Hall]]


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Open]:
    """`await hall(port, acquirer)`: a host at a port of the authorizer's, until the test ends."""
    async with AsyncExitStack() as stack:

        async def make(
            port: int, acquirer: str = "970001", keys: dict[str, Any] | None = None, route: Any = None, **settings: Any
        ) -> Hall:
            dialect = settings.pop("dialect", "iso87ascii")
            given: dict[str, Any] = {
                "parameters": parameters_of(acquirer, **(keys or {})),
                "route": Route("127.0.0.1", port, Codec(shipped(dialect)), **(route or {})),
                "terminals_codec": Codec(shipped("iso87ascii")),
                "data": tmp_path / "data",
                "clearing": tmp_path / "clearing",
            }
            return await Hall(Settings(**given | settings), stack).open()

        yield make
