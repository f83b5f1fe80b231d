"""The schema: numbered files, applied once, by a program that knows them."""

import asyncio
from uuid import uuid4

import asyncpg
import pytest

from ledger import schema
from ledger.postgres import PostgresStore
from ledger.schema import SchemaTooNew, SchemaTooOld, ServerTooOld
from ledger.store import RANGE_SIZE


@pytest.fixture
async def empty(cluster):
    """A database that has no ledger: its name."""
    name = f"empty_{uuid4().hex}"
    admin = await asyncpg.connect(cluster.url("postgres", "postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    yield name
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def definition(superuser):
    """Print the ledger's definition as the guards see it."""

    async def read() -> bytes:
        return await superuser.fetchval("SELECT ledger_guard.definition()")

    return read


def test_files_are_numbered_without_gaps_from_1():
    assert [migration.number for migration in schema.migrations()] == list(range(1, len(schema.migrations()) + 1))


def test_every_query_the_store_asks_for_is_named():
    assert {"append", "take", "retake", "beat", "newest", "find", "hash_at", "fence"} <= schema.queries().keys()
    assert {"history", "turnover", "holders_of", "passbooks", "close_range"} <= schema.queries().keys()
    assert all(schema.queries().values())


async def test_create_again_changes_nothing(database, superuser, definition):
    before = await definition(), await superuser.fetch("SELECT * FROM ledger.fence")
    await schema.create(database.superuser_url, partitions=3, range_size=7)
    assert (await definition(), await superuser.fetch("SELECT * FROM ledger.fence")) == before
    assert await superuser.fetchval("SELECT range_size FROM ledger.setting") == RANGE_SIZE
    applied = await superuser.fetch("SELECT number, name FROM ledger.migration ORDER BY number")
    assert [tuple(row) for row in applied] == [(one.number, one.name) for one in schema.migrations()]


async def test_create_at_the_same_moment_creates_once(cluster, empty):
    url = cluster.url("postgres", empty)
    await asyncio.gather(*(schema.create(url, partitions=4) for _ in range(3)))
    store = PostgresStore(cluster.url("authz", empty))
    assert await store.partitions() == [0, 1, 2, 3]
    assert await store.add_range() == 2
    await store.close()


async def test_a_schema_newer_than_the_program_is_refused(database, superuser):
    await superuser.execute("INSERT INTO ledger.migration VALUES (9999, 'from the future')")
    with pytest.raises(SchemaTooNew):
        await schema.create(database.superuser_url)
    store = PostgresStore(database.url)
    with pytest.raises(SchemaTooNew):
        await store.partitions()
    await store.close()


async def test_a_schema_older_than_the_program_or_absent_is_refused_by_the_store(database, superuser, cluster, empty):
    await superuser.execute("DELETE FROM ledger.migration WHERE number > 1")
    for url in (database.url, cluster.url("authz", empty)):
        store = PostgresStore(url)
        with pytest.raises(SchemaTooOld):
            await store.partitions()
        await store.close()


async def test_a_server_before_17_is_refused(superuser, monkeypatch):
    monkeypatch.setattr(schema, "SERVER_VERSION_MIN", 190000)
    with pytest.raises(ServerTooOld, match="17 or later"):
        schema.require_server(superuser)


async def test_a_failed_file_leaves_nothing(cluster, empty, monkeypatch):
    broken = schema.Migration(len(schema.migrations()) + 1, "broken.sql", "SELECT 1/0")
    files = (*schema.migrations(), broken)
    monkeypatch.setattr(schema, "migrations", lambda: files)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await schema.create(cluster.url("postgres", empty))
    connection = await asyncpg.connect(cluster.url("postgres", empty))
    assert await connection.fetchval("SELECT to_regnamespace('ledger') IS NULL")
    await connection.close()


async def test_partition_is_first_in_every_key_and_function(superuser):
    """One fenced append: the same function, distributed by its first argument, runs on a cluster unchanged."""
    keys = await superuser.fetch(
        "SELECT i.indrelid::regclass::text AS of, a.attname FROM pg_index AS i"
        " JOIN pg_class AS c ON c.oid = i.indrelid"
        " AND c.relnamespace IN ('ledger'::regnamespace, 'ledger_archive'::regnamespace)"
        " JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
        " WHERE c.relname NOT IN ('migration', 'setting')"
    )
    assert len(keys) >= 7
    assert {row["attname"] for row in keys} == {"partition"}
    functions = dict(
        await superuser.fetch(
            "SELECT proname, proargnames[1] FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace AND pronargs > 0"
        )
    )
    assert functions == dict.fromkeys(["append", "take", "retake", "beat", "close_range"], "partition")


async def test_names_sort_by_their_bytes(superuser):
    """A changed collation of the system must not break an index, nor the order of a report."""
    collations = await superuser.fetch(
        "SELECT attrelid::regclass::text, attname, attcollation::regcollation::text AS collation FROM pg_attribute"
        " WHERE attrelid IN ('ledger.journal'::regclass, 'ledger.transfer'::regclass)"
        " AND attname IN ('holder', 'debit', 'credit')"
    )
    assert len(collations) == 3
    assert {row["collation"] for row in collations} == {'"C"'}


async def test_the_archive_has_the_ledgers_shape(superuser):
    """Range by range, tables move from one to the other."""
    shape = (
        "SELECT a.attname, a.atttypid::regtype::text, a.attcollation, a.attnotnull FROM pg_attribute AS a"
        " WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 ORDER BY a.attnum"
    )
    checks = (
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::text::regclass ORDER BY 1"
    )
    for question in (shape, checks):
        for table in ("journal", "transfer"):
            there, here = [await superuser.fetch(question, f"{of}.{table}") for of in ("ledger_archive", "ledger")]
            assert [tuple(row) for row in there] == [tuple(row) for row in here] != []


async def test_a_ledger_of_the_version_before_is_brought_up_to_date(cluster, empty, monkeypatch):
    """Its records stay; closings, archive and the next ranges are there."""
    url = cluster.url("postgres", empty)
    with monkeypatch.context() as patched:
        older = schema.migrations()[:5]
        patched.setattr(schema, "migrations", lambda: older)
        await schema.create(url, range_size=10)
    connection = await asyncpg.connect(url)
    await connection.execute("INSERT INTO ledger.transfer VALUES (0, 3, 1, 'a', 'b', 5)")
    await connection.execute("UPDATE ledger.fence SET head = 9, beat = beat + 1")
    await schema.create(url)
    store = PostgresStore(cluster.url("authz", empty))
    assert [await store.close_range(0), await store.close_range(0)] == [0, None]
    assert await store.add_range() == 2
    assert await connection.fetch("SELECT account, balance FROM ledger.balance ORDER BY 1") == [("a", -5), ("b", 5)]
    assert await connection.fetchval("SELECT count(*) FROM ledger.whole_transfer") == 1
    await store.close()
    await connection.close()
