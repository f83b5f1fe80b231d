"""The runbooks of docs/operations.md: their form, the alerts that lead there, and the words that programs print.

Commands are `test_commands`' to check; that each alert's runbook is there, tests/deploy's. Three that no other test
follows are followed here, by the page's own statements: a lost key, a clock that was ahead, a range that can't be made.
"""

import asyncio
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from authz.clock import Now, SimulatedClock
from authz.config.configuration import Config
from authz.demo_data import data as demo_data
from authz.engine import schema
from authz.security.keyblock import wrap
from authz.security.module import ZoneKeyUsage
from authz.service import Service, running
from authz.wire.message import Elements, Message
from tests.acceptance.authorizer import TUESDAY
from tests.acceptance.counter import DEMO, ask, network, purchase
from tests.conftest import Database
from tests.deploy.files import alerts, known
from tests.docs.pages import HOME, blocks, joined, transcript

PAGE = HOME / "docs" / "operations.md"
PARTS = ("You see", "Money", "Look", "Do", "Over when", "Write down")
APART = {"Taking a backup", "How it is held"}
"""What has a heading there, and is no runbook."""
NOON = datetime.fromisoformat(TUESDAY)
AHEAD = timedelta(hours=1)
ZPK = "1F2E3D4C5B6A79880123456789ABCDEF0F1E2D3C4B5A6978"

_LOGGED = re.compile(r"^\S+Z \[(?:info|warning) +\] (.+?)(?: {2,}.*)?$", re.MULTILINE)
_OF_THE_CASE = re.compile(r"\(.*\)|partition \d+:?|/\S+.*")
"""What a log line has that its source hasn't: which error, which partition, which file."""
_COUNTED = re.compile(r"^((?:authz|ledger|process)_\w+)(?:\{.*\})? [\d.e+]+$", re.MULTILINE)


def runbooks() -> dict[str, str]:
    """The page's runbooks, by heading."""
    _, *sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = (section.partition("\n") for section in sections)
    return {heading: text for heading, _, text in named if heading not in APART}


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@cache
def sources() -> str:
    """All that the programs can print."""
    return "\n".join(file.read_text() for room in ("authz", "ledger") for file in (HOME / room).rglob("*.py"))


@cache
def printed() -> str:
    return "\n".join(text for _, _, text in blocks(PAGE))


@pytest.mark.parametrize("heading", runbooks())
def test_a_runbook_has_its_six_parts_in_their_order(heading: str) -> None:
    parts = re.findall(rf"^\*\*({'|'.join(PARTS)})\b", runbooks()[heading], re.MULTILINE)
    assert tuple(dict.fromkeys(parts)) == PARTS


@pytest.mark.parametrize("alert", alerts(), ids=lambda rule: rule["alert"])
def test_a_runbook_begins_with_the_alerts_that_lead_there(alert: dict[str, Any]) -> None:
    by_anchor = {anchor(heading): text for heading, text in runbooks().items()}
    text = by_anchor[alert["annotations"]["runbook_url"].partition("#")[2]]
    assert f"`{alert['alert']}`" in text.partition("**Money")[0]


@pytest.mark.parametrize("event", sorted(set(_LOGGED.findall(printed()))))
def test_a_line_of_the_log_is_one_that_is_logged(event: str) -> None:
    words = next(part.strip() for part in _OF_THE_CASE.split(event) if part.strip())
    assert words in sources()


def test_the_metrics_are_those_that_are_counted() -> None:
    names = set(_COUNTED.findall(printed()))
    assert names
    assert names <= set(known())


def statements(words: str) -> list[str]:
    """What the page gives psql, in the command that has these words."""
    [command] = {joined(one.text) for one in transcript(PAGE) if words in one.text}
    arguments = shlex.split(command)
    return [then for one, then in pairwise(arguments) if one == "-c"]


def configuration() -> Config:
    """The demo's, on free ports."""
    config = demo_data.read().config()
    links = tuple(msgspec.structs.replace(link, port=0) for link in config.links)
    return msgspec.structs.replace(config, links=links, http_port=0)


@pytest.fixture
async def ledger(database: Database) -> Database:
    """A database that an engine can run on."""
    await schema.create(database.superuser_url)
    return database


@asynccontextmanager
async def engine(ledger: Database, now: Now | None = None) -> AsyncIterator[Service]:
    async with running(configuration(), ledger.url, now or SimulatedClock(NOON), demo=True) as service:
        yield service


@asynccontextmanager
async def connected(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def answered(service: Service, request: Message) -> tuple[str | None, str | None]:
    reply = await asyncio.to_thread(ask, service.links[0].port, request)
    return reply.response_code, reply.reason


async def counted(service: Service, name: str) -> float:
    async with httpx.AsyncClient() as client:
        page = await client.get(f"http://127.0.0.1:{service.http_port}/metrics")
    [value] = re.findall(rf"^{name} (\S+)$", page.text, re.MULTILINE)
    return float(value)


async def test_an_acquirer_that_has_lost_a_changed_key_is_back_on_the_configurations(ledger: Database) -> None:
    """Key change: what the link changed is taken away, and the engine reads its keys again."""
    block = wrap(bytes.fromhex(DEMO.link.zmk), ZoneKeyUsage.PIN, bytes.fromhex(ZPK))
    async with engine(ledger) as service:
        change = network("161", elements=Elements(key_block=block))
        assert (await answered(service, change))[0] == "00"
    async with engine(ledger) as service:
        assert await answered(service, purchase("0022", 100)) == ("55", "PIN_WRONG")
        assert await counted(service, "authz_pin_blocks_garbled_total") == 1
        async with connected(ledger.superuser_url) as superuser:
            for statement in statements("DELETE FROM authz.zone_key"):
                assert await superuser.execute(statement) == "DELETE 1"
        await service.reload(configuration())
        assert await answered(service, purchase("0022", 100)) == ("00", "APPROVED")


async def test_behind_a_clock_that_was_ahead_time_stands_still_and_payments_go_on(ledger: Database) -> None:
    """The clock is behind: records bear the newest one's instant until it has caught up."""
    async with engine(ledger, lambda: NOON + AHEAD):
        pass
    async with engine(ledger, lambda: NOON) as service:
        assert await counted(service, "authz_clock_lag_seconds") == AHEAD.total_seconds()
        assert await counted(service, "authz_ready") == 1
        assert await answered(service, purchase("0014", 100)) == ("00", "APPROVED")
    async with connected(ledger.url) as reader:
        assert await reader.fetchval("SELECT at FROM ledger.journal ORDER BY seq DESC LIMIT 1") == NOON + AHEAD


async def test_who_keeps_a_range_from_being_made_is_found_and_let_go(database: Database) -> None:
    """No empty ranges: the statement by hand says why it fails, the next one names the session."""
    [_, add], [holders] = statements("ledger.add_range()"), statements("pg_locks")
    async with connected(database.superuser_url) as forgotten, connected(database.url) as authz:
        async with forgotten.transaction():
            await forgotten.fetch("SELECT range_size FROM ledger.setting FOR UPDATE")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await authz.fetchval(add)
            async with connected(database.superuser_url) as superuser:
                [holder, *_] = await superuser.fetch(holders)
            assert (holder["pid"], holder["state"]) == (forgotten.get_server_pid(), "idle in transaction")
        assert await authz.fetchval(add) == 2
