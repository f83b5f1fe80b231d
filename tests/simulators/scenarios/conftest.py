"""Hosts that scenarios are played at: demo authorizers in this process, shared by scenarios of the same instant.

Each scenario has cards of its own there, the demo's under other numbers: none spends what another is to find.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from msgspec import Struct
from msgspec.structs import replace

from authz.clock import SimulatedClock
from authz.config import configuration as config
from authz.config.configuration import Config
from authz.demo_data import data as demo_data
from authz.demo_data.data import DemoCard, DemoLoader
from authz.engine import schema
from authz.service import running
from ledger.embedded import SUPERUSER, EmbeddedServer
from simulators.scenarios.script import Script, Source, find, shipped_names
from simulators.scenarios.steps import DayTotals
from simulators.terminal import parameters
from simulators.terminal.parameters import Parameters

NEW_YEAR = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""When the demo's data was entered: before the clock of any scenario."""
TRACES_A_SCENARIO = 25_000
DEMO = demo_data.read()
NAMES = shipped_names()


class Guest(Struct, frozen=True):
    """How a scenario comes to its host: where that is, with which cards, and with which first trace number."""

    port: int
    known: Parameters
    first_trace: int


class Hosts:
    """Starts a host for each instant and configuration that is asked for, on a copy of a database, and keeps it."""

    def __init__(self, cluster: EmbeddedServer, stocked: str, stack: AsyncExitStack) -> None:
        self._cluster = cluster
        self._stocked = stocked
        self._stack = stack
        self._ports: dict[tuple[object, ...], int] = {}

    async def receive(self, source: Source) -> Guest:
        """Find a scenario its host. One that asks for a day's totals has its own: they are of the whole link."""
        script = source.script
        alone = script.name if any(isinstance(step, DayTotals) for step in script.every_step()) else None
        key = (script.clock.host, source.config, alone)
        if key not in self._ports:
            self._ports[key] = await self._start(script.clock.host, source.config)
        number = NAMES.index(source.label) if source.label in NAMES else len(NAMES)
        return Guest(self._ports[key], renumbered(script, number), 1 + number * TRACES_A_SCENARIO)

    async def _start(self, instant: datetime, file: Path | None) -> int:
        name = f"scenarios_{uuid4().hex}"
        await _execute(self._cluster, f"CREATE DATABASE {name} TEMPLATE {self._stocked}")
        serving = running(_settings(file), self._cluster.url("authz", name), SimulatedClock(instant), demo=False)
        service = await self._stack.enter_async_context(serving)
        await service.engine.age_lots()
        return service.links[0].port


@pytest.fixture(scope="session")
def stocked(cluster: EmbeddedServer) -> str:
    """A database with the authorizer's schemas, the demo's data and the cards of every scenario, to be copied."""
    name = f"scenarios_{uuid4().hex}"

    async def make() -> None:
        await _execute(cluster, f"CREATE DATABASE {name}")
        await schema.create(cluster.url(SUPERUSER, name))
        clock = SimulatedClock(NEW_YEAR)
        async with running(_settings(None), cluster.url("authz", name), clock, demo=True) as service:
            loader = DemoLoader(service.engine, service.cards, service.security, NEW_YEAR.date())
            await loader.load_cards(every_card(), DEMO.programmes)

    with pytest.MonkeyPatch.context() as patched:
        _without_http(patched)
        asyncio.run(make())
    return name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hosts(cluster: EmbeddedServer, stocked: str) -> AsyncIterator[Hosts]:
    """Authorizers that the scenarios of a module share."""
    async with AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patched:
            _without_http(patched)
            yield Hosts(cluster, stocked, stack)


def renumbered(script: Script, number: int) -> Parameters:
    """The demo's parameters, in which the cards that a scenario has by their holders have numbers of its own."""
    known, own = parameters.demo(), own_cards(script)
    return replace(
        known,
        card=tuple(replace(card, pan=_numbered(card.pan, number)) if card.pan in own else card for card in known.card),
    )


def own_cards(script: Script) -> set[str]:
    """The demo's numbers of the cards that a scenario may have under others: a CVV2 is of one number only."""
    wanted = {card.holder for card in script.cards.values() if card.cvv2 is None}
    wanted -= {card.holder for card in script.cards.values() if card.cvv2 is not None}
    return {card.pan for card in DEMO.card if card.holder in wanted}


def every_card() -> list[DemoCard]:
    """The cards of all scenarios, those of one holder in each."""
    return [
        replace(card, pan=_numbered(card.pan, number), holder=f"{card.holder} {number}")
        for number, name in enumerate(NAMES)
        for script in (find(name).script,)
        for card in DEMO.card
        if card.pan in own_cards(script)
    ]


def _numbered(pan: str, number: int) -> str:
    return f"{pan[:8]}{number + 1:04}{pan[-4:]}"


class _NoHttp:
    def __init__(self, *_: object) -> None:
        pass

    async def start(self) -> int:
        return 0

    async def stop(self) -> None:
        pass


def _without_http(patched: pytest.MonkeyPatch) -> None:
    """Leave out the HTTP side: nothing here asks for it, and it takes half of the time that a start takes."""
    patched.setattr("authz.service.application", lambda *_: None)
    patched.setattr("authz.service.HttpServer", _NoHttp)


def _settings(file: Path | None) -> Config:
    """The demo's configuration, or a scenario's, on free ports."""
    settings = DEMO.config() if file is None else config.read(file, demo=True)
    return replace(settings, links=tuple(replace(link, port=0) for link in settings.links), http_port=0)


async def _execute(cluster: EmbeddedServer, statement: str) -> None:
    connection = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
