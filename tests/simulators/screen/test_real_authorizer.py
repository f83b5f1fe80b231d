"""The terminal's window before a real authorizer, over TCP: what the ledger holds is what the terminal printed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from authz.clock import SimulatedClock
from authz.demo_data import data as demo_data
from authz.engine import schema
from authz.service import running
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from ledger.embedded import SUPERUSER, EmbeddedServer
from simulators.acquirer.line import Line
from tests.simulators.screen.conftest import Counter, window

NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
OWED = "SELECT balance FROM ledger.balance WHERE account = 'acquirer:970001:payable'"


@pytest.fixture
def empty_ledger(cluster: EmbeddedServer, _template: str) -> Iterator[str]:
    name = f"screen_{uuid4().hex}"
    superuser = cluster.url(SUPERUSER, "postgres")

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(superuser)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def create() -> None:
        await execute(f"CREATE DATABASE {name} TEMPLATE {_template}")
        await schema.create(cluster.url(SUPERUSER, name))

    asyncio.run(create())
    yield cluster.url("authz", name)
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


@asynccontextmanager
async def shop(url: str) -> AsyncIterator[tuple[Counter, Callable[[], object]]]:
    """A window on a terminal of the demo, and what the ledger owes its acquirer, in cents."""
    demo = demo_data.read()
    link = msgspec.structs.replace(demo.link, port=0)
    config = msgspec.structs.replace(msgspec.structs.replace(demo, link=link).config(), http_port=0)
    ledger = await asyncpg.connect(url)
    async with running(config, url, SimulatedClock(NOON), demo=True) as service:
        line = Line("127.0.0.1", service.links[0].port, Codec(shipped("iso87ascii")))
        async with window(authorizer=line) as counter:
            yield counter, lambda: ledger.fetchval(OWED)
        await line.close()
    await ledger.close()


async def test_a_lunch_at_the_terminal(empty_ledger: str) -> None:
    async with shop(empty_ledger) as (counter, owed):
        await counter.press(*"1250", "enter", "1", "f2", *"9999", "enter")
        assert "Code faux : reste 2" in counter.glass
        await counter.press(*"1234", "enter")
        assert "Approuvé" in counter.glass
        assert "187,50 €" in counter.receipts[-1]
        assert await owed() == 1250

        await counter.press("enter", *"2000", "enter", "1", "f2", *"1234", "enter")
        assert "Reste à payer 13,50 € Accepté 6,50 €" in counter.glass
        assert await owed() == 1900

        await counter.press("enter", "enter", "2", "down", "f3")
        assert "Approuvé" in counter.glass
        assert await owed() == 3250

        await counter.press("enter", "f1", "2")
        assert "Annulé" in counter.glass
        await counter.press("enter", "f1", "4")
        assert "Journée close : 19,00 €" in counter.glass
        assert await owed() == 1900
