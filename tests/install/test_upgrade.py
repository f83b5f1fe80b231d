"""Two versions side by side: the newer one brings the schema up to date under the older one, stands by, takes over.

The newer version is this one with a file more, in this process; the older one is this one as it is, in its own.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

import asyncpg
import msgspec
import pytest

from authz.clock import SimulatedClock
from authz.config.configuration import Config
from authz.demo_data import data as demo_data
from authz.engine import schema as authz_schema
from authz.engine.passbooks import RecordUnreadable, decode_state
from authz.service import running
from ledger import schema
from ledger.migrations import Migration, SchemaTooNew, SchemaTooOld
from ledger.primary import Primary
from ledger.values import HolderId
from ledger.verify import verify
from tests.acceptance.authorizer import TUESDAY, Authorizer, eventually
from tests.acceptance.conftest import Start
from tests.conftest import Database
from tests.install.customers import customers

NOW = schema.schema_max()
ADDITION = f"-- program_min: {NOW}\nALTER TABLE ledger.setting ADD COLUMN note text;"
PAID_BEFORE, PAID_BESIDE, PAID_AFTER = 10, 20, 30
"""Payments approved: before the upgrade, while both versions run, and in all."""


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`newer(script)`: this process is the next version from now on, whose schema has a file more."""

    def become(script: str) -> None:
        files = (*schema.migrations(), Migration(NOW + 1, f"{NOW + 1:04}_newer.sql", script))
        monkeypatch.setattr(schema, "migrations", lambda: files)

    return become


async def test_the_next_version_takes_over_and_the_last_one_back_without_a_payment_lost_or_doubled(
    ledgers: Database, start: Start, newer: Callable[[str], None]
) -> None:
    older = await asyncio.to_thread(start)
    ports = [older.port]

    with customers(ports) as crowd:
        await until(lambda: crowd.paid >= PAID_BEFORE)
        newer(ADDITION)
        await asyncio.gather(authz_schema.create(ledgers.superuser_url), authz_schema.create(ledgers.superuser_url))
        async with running(
            _config(), ledgers.url, SimulatedClock(datetime.fromisoformat(TUESDAY)), demo=True
        ) as service:
            ports.append(service.links[0].port)
            assert service.engine.unready()
            await until(lambda: crowd.paid >= PAID_BESIDE)
            assert await asyncio.to_thread(older.terminate) == 0
            await until(lambda: not service.engine.unready())
            since = crowd.paid
            await until(lambda: crowd.paid >= max(since + 5, PAID_AFTER))
            # Going back is the same again: the older version stands by beside the newer one's schema, and takes over.
            back = await asyncio.to_thread(start)
            assert back.stands_by
            ports.append(back.port)
        await until(lambda: back.takes_payments)
        since = crowd.paid
        await until(lambda: crowd.paid >= since + 5)

    await asyncio.to_thread(crowd.hold_against, ledgers.url)
    assert (await verify(ledgers.finance_url)).records > crowd.paid


def test_a_version_that_a_newer_schema_does_not_admit_says_so_and_exits_2(
    ledgers: Database, start: Start, newer: Callable[[str], None]
) -> None:
    newer("SELECT 1")
    asyncio.run(authz_schema.create(ledgers.superuser_url))
    refused = start(ready=False)
    assert refused.exit_code() == 2
    assert last_line(refused) == (
        f"authz: schema ledger is at {NOW + 1}, for programs that know it up to {NOW + 1} at least;"
        f" this one knows it up to {NOW}: run the newer program"
    )


async def test_schema_authz_has_versions_of_its_own(ledgers: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made several times at once, from nothing, it is made once; newer than this program, it is refused."""
    superuser = await asyncpg.connect(ledgers.superuser_url)
    try:
        await superuser.execute("DROP SCHEMA authz CASCADE")
        with pytest.raises(SchemaTooOld, match="schema authz is at 0"):
            await authz_schema.require_version(Primary(ledgers.url))
        await asyncio.gather(*(authz_schema.create(ledgers.superuser_url) for _ in range(3)))
        await authz_schema.require_version(Primary(ledgers.url))
        numbers = [row[0] for row in await superuser.fetch("SELECT number FROM authz.migration ORDER BY 1")]
        assert numbers == [one.number for one in authz_schema.migrations()]

        await superuser.execute("INSERT INTO authz.migration VALUES (98, 'newer, admits us', $1)", numbers[-1])
        await authz_schema.create(ledgers.superuser_url)
        await authz_schema.require_version(Primary(ledgers.url))
        await superuser.execute("INSERT INTO authz.migration VALUES (99, 'newer, does not', 99)")
        with pytest.raises(SchemaTooNew, match="schema authz is at 99"):
            await authz_schema.require_version(Primary(ledgers.url))
        with pytest.raises(SchemaTooNew, match="schema authz is at 99"):
            await authz_schema.create(ledgers.superuser_url)
    finally:
        await superuser.close()


@pytest.mark.parametrize("passbook", ["h1", "merchant:FR0000000000001", "a-kind-of-tomorrow:7"])
def test_a_record_of_a_newer_version_that_cannot_be_read_is_named_and_not_quoted(passbook: str) -> None:
    with pytest.raises(RecordUnreadable) as told:
        decode_state(HolderId(passbook), '{"9250100000000014": [["of tomorrow"]]}')
    assert str(told.value) == (
        f"the newest record of {passbook} can't be read: a newer program has written it; run that one"
    )
    assert told.value.__cause__ is None


def last_line(one: Authorizer) -> str:
    return one.errors.splitlines()[-1]


async def until(condition: Callable[[], object]) -> None:
    """As `eventually`, beside what runs on this loop."""
    await asyncio.to_thread(eventually, condition)


def _config() -> Config:
    config = demo_data.read().config()
    [link] = config.links
    return msgspec.structs.replace(config, links=(msgspec.structs.replace(link, port=0),), http_port=0)
