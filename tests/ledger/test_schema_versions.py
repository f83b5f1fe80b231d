"""Versions of the schema: which programs can run on which, and how files are applied while payments go on."""

import asyncio

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import migrations, schema
from ledger.migrations import Migration, SchemaInUse, Version, require_runnable
from ledger.postgres import PostgresStore
from ledger.reading import reader
from ledger.schema import SchemaTooNew, SchemaTooOld

NOW = schema.schema_max()
ADDITION = f"-- program_min: {NOW}\nALTER TABLE ledger.setting ADD COLUMN note text;"
CONTRACTION = "ALTER TABLE ledger.setting ADD COLUMN note text;"
"""It doesn't say that an older program can run with it."""


@pytest.fixture
def newer_program(monkeypatch):
    """`newer_program(script)`: as which this process brings schemas up to date: it knows one file more."""

    def become(script):
        files = (*schema.migrations(), Migration(NOW + 1, f"{NOW + 1:04}_newer.sql", script))
        monkeypatch.setattr(schema, "migrations", lambda: files)

    return become


async def applied(superuser):
    return await superuser.fetch("SELECT number, program_min FROM ledger.migration ORDER BY number")


@given(st.integers(1, 99), st.integers(0, 99), st.integers(1, 99), st.integers(1, 99))
def test_a_program_runs_from_its_oldest_schema_to_any_that_admits_it(newest, program_min, oldest, known):
    version = Version(newest, min(program_min, newest))
    try:
        require_runnable("ledger", version, min(oldest, known), known)
    except SchemaTooNew:
        assert version.program_min > known
    except SchemaTooOld:
        assert newest < min(oldest, known)
    else:
        assert min(oldest, known) <= newest
        assert version.program_min <= known


def test_this_program_runs_on_the_schema_that_it_makes():
    assert schema.SCHEMA_MIN <= NOW
    require_runnable("ledger", Version(NOW, NOW), schema.SCHEMA_MIN, NOW)
    assert all(one.program_min <= one.number for one in schema.migrations())


async def test_each_file_says_in_the_database_who_can_run_with_it(superuser):
    assert [row["program_min"] for row in await applied(superuser)] == [one.program_min for one in schema.migrations()]


async def test_a_newer_schema_that_admits_this_program_is_used_as_it_is(
    database, superuser, newer_program, monkeypatch
):
    newer_program(ADDITION)
    await schema.create(database.superuser_url)
    monkeypatch.undo()
    before = await applied(superuser)
    assert tuple(before[-1]) == (NOW + 1, NOW)

    await schema.create(database.superuser_url)
    assert await applied(superuser) == before
    store = PostgresStore(database.url)
    assert await store.partitions() == [0]
    assert (await store.take(0, await store.fence(0))).epoch == 1
    await store.close()
    async with reader(database.finance_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM ledger.journal") == 0


async def test_a_newer_schema_that_does_not_admit_it_is_refused(database, newer_program, monkeypatch):
    newer_program(CONTRACTION)
    await schema.create(database.superuser_url)
    monkeypatch.undo()
    words = f"is at {NOW + 1}, for programs that know it up to {NOW + 1} at least; this one knows it up to {NOW}"
    with pytest.raises(SchemaTooNew, match=words):
        await schema.create(database.superuser_url)
    store = PostgresStore(database.url)
    with pytest.raises(SchemaTooNew, match=words):
        await store.partitions()
    await store.close()
    with pytest.raises(SchemaTooNew, match=words):
        async with reader(database.finance_url):
            pass


async def test_one_addition_after_another_admits_as_far_back_as_the_strictest(database, superuser):
    """Files at 10 and 11 that admit program 9 and 10: program 9 is out."""
    await superuser.execute(f"INSERT INTO ledger.migration VALUES ({NOW + 1}, 'a', {NOW}), ({NOW + 2}, 'b', {NOW + 1})")
    version = await migrations.version_of(superuser, schema.APPLIED)
    assert version == Version(NOW + 2, NOW + 1)
    with pytest.raises(SchemaTooNew):
        await schema.create(database.superuser_url)


async def test_two_newer_programs_at_once_apply_a_file_once(database, superuser, newer_program):
    newer_program(ADDITION)
    await asyncio.gather(*(schema.create(database.superuser_url) for _ in range(3)))
    assert [row["number"] for row in await applied(superuser)] == [*range(1, NOW + 2)]


async def test_a_file_gives_way_to_those_who_wait_behind_it_and_is_tried_again(
    database, superuser, newer_program, monkeypatch
):
    """A long read holds the table; meanwhile nobody waits for longer than the file does."""
    monkeypatch.setattr(migrations, "LOCK_WAIT_MS", 20)
    monkeypatch.setattr(migrations, "BETWEEN_ATTEMPTS_MS", 20)
    newer_program(ADDITION)
    long_read = superuser.transaction()
    await long_read.start()
    await superuser.fetch("SELECT FROM ledger.setting")
    bringing = asyncio.create_task(schema.create(database.superuser_url))
    beside = await asyncpg.connect(database.url)
    try:
        waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'ledger.setting'::regclass AND NOT granted)"
        while not await beside.fetchval(waits):
            assert not bringing.done()
        assert await beside.fetchval("SELECT range_size FROM ledger.setting") > 0
        await long_read.rollback()
        await bringing
    finally:
        await beside.close()
    assert (await applied(superuser))[-1]["number"] == NOW + 1


async def test_a_table_that_is_never_free_is_said_so(database, superuser, newer_program, monkeypatch):
    monkeypatch.setattr(migrations, "LOCK_WAIT_MS", 10)
    monkeypatch.setattr(migrations, "ATTEMPTS_MAX", 2)
    monkeypatch.setattr(migrations, "BETWEEN_ATTEMPTS_MS", 1)
    newer_program(ADDITION)
    async with superuser.transaction():
        await superuser.fetch("SELECT FROM ledger.setting")
        with pytest.raises(SchemaInUse, match="in use"):
            await schema.create(database.superuser_url)
    assert (await applied(superuser))[-1]["number"] == NOW


async def test_a_schema_from_before_files_said_who_can_run_asks_for_programs_that_know_it(database, superuser):
    await superuser.execute("SET ledger.ddl = 'migration'")
    await superuser.execute("ALTER TABLE ledger.migration DROP COLUMN program_min")
    assert await migrations.version_of(superuser, schema.APPLIED) == Version(NOW, NOW)
    store = PostgresStore(database.url)
    assert await store.partitions() == [0]
    await store.close()
