"""Changed keys are kept: in memory for tests, in PostgreSQL for real; one suite for both."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from authz.engine import schema
from authz.engine.zone_keys import MemoryZoneKeys, PostgresZoneKeys, ZoneKeyStore, changed_keys
from authz.security.module import ImportedKey, ZoneKeyUsage
from ledger.store import Unavailable
from tests.conftest import Database

PIN_A = ImportedKey(ZoneKeyUsage.PIN, "08D7B4", b"\x01sealed A")
PIN_B = ImportedKey(ZoneKeyUsage.PIN, "CB9DEA", b"\x01sealed B")
MAC_A = ImportedKey(ZoneKeyUsage.MAC, "57C409", b"\x01sealed C")


@pytest.fixture
async def kept(database: Database) -> Database:
    """A database that has the authorizer's schema beside the ledger's."""
    await schema.create(database.superuser_url)
    return database


@pytest.fixture(params=["memory", "postgres"])
async def keys(request: pytest.FixtureRequest) -> AsyncIterator[ZoneKeyStore]:
    """A store of changed keys, in which there are none."""
    store: ZoneKeyStore = MemoryZoneKeys()
    if request.param == "postgres":
        database = request.getfixturevalue("database")
        await schema.create(database.superuser_url)
        store = PostgresZoneKeys(database.url)
    yield store
    await store.close()


async def test_there_are_none_until_one_is_changed(keys: ZoneKeyStore) -> None:
    assert list(await keys.all()) == []


async def test_the_newest_of_each_link_and_usage_is_kept(keys: ZoneKeyStore) -> None:
    for zone, key in (("970002", PIN_A), ("970001", PIN_A), ("970001", MAC_A), ("970001", PIN_B), ("970001", PIN_B)):
        await keys.put(zone, key)
    assert list(await keys.all()) == [("970001", MAC_A), ("970001", PIN_B), ("970002", PIN_A)]


async def test_another_process_finds_them(kept: Database) -> None:
    one, another = PostgresZoneKeys(kept.url), PostgresZoneKeys(kept.url)
    await one.put("970001", MAC_A)
    await one.close()
    assert list(await another.all()) == [("970001", MAC_A)]
    await another.close()


async def test_bringing_the_schema_up_to_date_keeps_them(kept: Database) -> None:
    keys = PostgresZoneKeys(kept.url)
    await keys.put("970001", PIN_A)
    await schema.create(kept.superuser_url)
    assert list(await keys.all()) == [("970001", PIN_A)]
    await keys.close()


async def test_people_see_since_when_a_key_is_there(kept: Database) -> None:
    """finance sees which key is in use and since when, and never what is sealed."""
    keys, finance = PostgresZoneKeys(kept.url), await asyncpg.connect(kept.finance_url)
    read = "SELECT zone, usage, check_value, since FROM authz.zone_key"
    await keys.put("970001", PIN_A)
    [first] = await finance.fetch(read)
    await keys.put("970001", PIN_B)
    [second] = await finance.fetch(read)
    assert tuple(first)[:3] == ("970001", "P0", "08D7B4")
    assert tuple(second)[:3] == ("970001", "P0", "CB9DEA")
    assert second["since"] > first["since"]
    for url in (kept.url, kept.finance_url):
        assert list(await changed_keys(url)) == [("970001", ZoneKeyUsage.PIN, "CB9DEA", second["since"])]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await finance.fetch("SELECT sealed FROM authz.zone_key")
    await finance.close()
    await keys.close()


@pytest.mark.parametrize("statement", ["DELETE FROM authz.zone_key", "TRUNCATE authz.zone_key"])
async def test_the_application_takes_none_away(kept: Database, statement: str) -> None:
    """Without its row a link would fall back on the configuration's key, which it has given up."""
    connection = await asyncpg.connect(kept.url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(statement)
    await connection.close()


async def test_only_a_keys_two_usages_have_a_place(kept: Database) -> None:
    connection = await asyncpg.connect(kept.url)
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute("INSERT INTO authz.zone_key VALUES ('970001', 'K0', '', '')")
    await connection.close()


async def test_without_a_database_they_are_unavailable(kept: Database) -> None:
    """And the error holds neither the address nor the key."""
    keys = PostgresZoneKeys(kept.url.replace(kept.name, "absent"))
    for attempt in (keys.put("970001", PIN_A), keys.all(), changed_keys(kept.url.replace(kept.name, "absent"))):
        with pytest.raises(Unavailable, match=r"^the zone keys can't be reached$"):
            await attempt
    await keys.close()
