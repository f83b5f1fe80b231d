"""A few connections: never more than said, none that went wrong used again, none that leads to where the writer was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from ledger.connections import Connections
from ledger.primary import Primary
from tests.conftest import Database

PID = "SELECT pg_backend_pid()"
SLEEP = "SELECT pg_backend_pid() FROM pg_sleep($1)"
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'a test' AND datname = $1"
HELD_S = 0.2
AGES_S = 60.0


@asynccontextmanager
async def connections(database: Database, connections_max: int = 2) -> AsyncIterator[tuple[Connections, Primary]]:
    primary = Primary(database.url)
    some = Connections(primary, "a test", connections_max=connections_max, timeout_s=10)
    try:
        yield some, primary
    finally:
        await some.close()


async def pid(some: Connections) -> int:
    [row] = await some.fetch(PID)
    return int(row[0])


async def sessions(database: Database) -> int:
    observer = await asyncpg.connect(database.superuser_url)
    try:
        return int(await observer.fetchval(SESSIONS, database.name))
    finally:
        await observer.close()


async def test_a_connection_is_made_once_and_used_again(database: Database) -> None:
    async with connections(database) as (some, _):
        assert await pid(some) == await pid(some)
        assert await sessions(database) == 1


async def test_there_are_never_more_than_said(database: Database) -> None:
    async with connections(database) as (some, _):
        pids = {int(row[0]) for [row] in await asyncio.gather(*(some.fetch(SLEEP, HELD_S) for _ in range(6)))}
        assert len(pids) == await sessions(database) == 2


async def test_waiting_for_a_turn_counts(database: Database) -> None:
    async with connections(database, connections_max=1) as (some, _):
        held = asyncio.create_task(some.fetch(SLEEP, HELD_S))
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await some.fetch(PID, timeout_s=HELD_S / 10)
        await held


async def test_a_statement_that_takes_too_long_costs_its_connection(database: Database) -> None:
    async with connections(database, connections_max=1) as (some, _):
        before = await pid(some)
        with pytest.raises(TimeoutError):
            await some.fetch(SLEEP, AGES_S, timeout_s=HELD_S)
        assert await pid(some) != before


async def test_a_beginning_that_takes_too_long_costs_its_connection(database: Database) -> None:
    async def begin(connection: asyncpg.Connection) -> None:
        await connection.fetch(SLEEP, AGES_S)

    some = Connections(Primary(database.url), "a test", connections_max=1, timeout_s=HELD_S, begin=begin)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await some.fetch(PID)


async def test_a_statement_that_fails_costs_its_connection(database: Database) -> None:
    async with connections(database) as (some, _):
        before = await pid(some)
        with pytest.raises(asyncpg.UndefinedTableError):
            await some.fetch("SELECT FROM nowhere")
        assert await pid(some) != before


async def test_one_that_the_server_ended_is_replaced(database: Database) -> None:
    async with connections(database) as (some, _):
        before = await pid(some)
        observer = await asyncpg.connect(database.superuser_url)
        await observer.execute("SELECT pg_terminate_backend($1, 5000)", before)
        await observer.close()
        assert await pid(some) != before


async def test_none_is_used_again_when_the_writer_has_moved(database: Database) -> None:
    """Neither one that is idle at that moment nor one that is in use."""
    async with connections(database) as (some, primary):
        idle = await pid(some)
        primary.is_at(database.url)
        assert (in_use := await pid(some)) != idle
        held = asyncio.create_task(some.fetch(SLEEP, HELD_S))
        await asyncio.sleep(0)
        primary.is_at(database.url)
        assert {await pid(some)}.isdisjoint({idle, in_use})
        assert [row[0] for row in await held] == [in_use]
        assert {await pid(some), await pid(some)}.isdisjoint({idle, in_use})


async def test_one_in_use_is_cut_when_its_statement_ends_after_the_close(database: Database) -> None:
    async with connections(database) as (some, _):
        held = asyncio.create_task(some.fetch(SLEEP, HELD_S))
        async with asyncio.timeout(AGES_S):
            while not await sessions(database):  # noqa: ASYNC110 - a server's own view of it
                await asyncio.sleep(0.01)
            await some.close()
            await held
            while await sessions(database):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
