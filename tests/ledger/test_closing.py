"""Closings (docs/growth.md): the balances at a range's end of all accounts that don't stand at 0, written once."""

import asyncio
import json

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.postgres import PostgresStore
from ledger.values import Cents, Partition, Transfer
from tests.ledger.small import ACCOUNTS, MAIN, RANGE_SIZE, entry, refolded, small_ledger, stories, write

grown = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))

VIEW = "SELECT account, balance FROM ledger.balance WHERE balance <> 0"
CLOSING = "SELECT account, balance FROM ledger.closing WHERE partition = $1 AND range = $2"


@pytest.fixture
async def small(cluster):
    async with small_ledger(cluster) as made:
        yield made


@pytest.fixture
async def finance(small):
    connection = await asyncpg.connect(small.finance_url)
    yield connection
    await connection.close()


@pytest.fixture
async def store(small):
    opened = PostgresStore(small.url)
    yield opened
    await opened.close()


@given(story=stories, closings=st.integers(0, 5))
@grown
async def test_a_closing_is_what_all_transfers_up_to_it_make_and_the_view_the_same_with_those_after(
    cluster, story, closings
):
    async with small_ledger(cluster) as small:
        store, finance = PostgresStore(small.url), await asyncpg.connect(small.finance_url)
        await write(store, story)
        assert dict(await finance.fetch(VIEW)) == refolded(story)
        for _ in range(closings):
            number = await store.close_range(MAIN)
            assert dict(await finance.fetch(VIEW)) == refolded(story)
            if number is not None:
                closing = dict(await finance.fetch(CLOSING, MAIN, number))
                assert closing == refolded(story[: (number + 1) * RANGE_SIZE - 1])
        await finance.close()
        await store.close()


async def test_every_partition_is_closed_by_itself(cluster):
    async with small_ledger(cluster, partitions=2) as small:
        store, finance = PostgresStore(small.url), await asyncpg.connect(small.finance_url)
        one, two = entry("h1", _pay(5)), entry("h1", _pay(7))
        await write(store, [one] * 3, Partition(0))
        await write(store, [two] * 9, Partition(1))
        assert [await store.close_range(Partition(number)) for number in (0, 0, 1, 1, 1)] == [0, None, 0, 1, None]
        assert dict(await finance.fetch(CLOSING, 1, 1)) == refolded([two] * 7)
        assert dict(await finance.fetch(VIEW)) == refolded([one] * 3 + [two] * 9)
        await finance.close()
        await store.close()


async def test_a_range_in_which_all_accounts_end_at_0_is_closed_once(store, finance):
    """Nothing stands in its closing, and yet it is closed."""
    there, back = _pay(5), Transfer(ACCOUNTS[1], ACCOUNTS[0], Cents(5))
    await write(store, [entry("h1", there), entry("h1", back), entry(None), entry(None)])
    assert [await store.close_range(MAIN), await store.close_range(MAIN)] == [0, None]
    assert await finance.fetch("SELECT * FROM ledger.closing") == []
    assert await finance.fetch("SELECT range, slice, accounts, balance FROM ledger.closed") == [(0, 0, 0, 0)]
    assert [one.closed for one in await store.full_ranges(MAIN)] == [True]


async def test_callers_at_the_same_moment_close_each_range_once(store, finance):
    await write(store, [entry("h1", _pay(1))] * 15)
    closed = await asyncio.gather(*(store.close_range(MAIN) for _ in range(4)))
    assert sorted(closed) == [0, 1, 2, 3]
    assert [await store.close_range(MAIN) for _ in range(2)] == [None, None]
    for number in range(4):
        assert dict(await finance.fetch(CLOSING, MAIN, number)) == refolded([entry("h1", _pay(4 * number + 3))])


async def test_a_large_range_is_closed_slice_by_slice(database, postgres, superuser):
    """62,500 seqs a slice: no transaction grows old. Half-closed, a range isn't closed, and the view doesn't use it."""
    await superuser.execute("SET ledger.ddl = 'test'; UPDATE ledger.setting SET range_size = 150000")
    await superuser.execute("UPDATE ledger.fence SET head = 149999, beat = beat + 1")
    await superuser.execute(
        "INSERT INTO ledger.transfer SELECT 0, n, 1, 'issuer:float:90', 'holder:' || n % 100 || ':90:2026', 2"
        " FROM generate_series(1, 149999) AS n"
    )
    view, call = "SELECT account, balance FROM ledger.balance", "SELECT range, slice FROM ledger.close_range(0)"
    balances = dict(await superuser.fetch(view))
    assert len(balances) == 101
    for left in (2, 1):
        assert await superuser.fetchrow(call) == (0, left)
        assert dict(await superuser.fetch(view)) == balances
        assert not await superuser.fetchval("SELECT max(range) FROM ledger.closed WHERE slice = 0")
    assert await postgres.close_range(MAIN) == 0
    assert await superuser.fetchrow(call) == (None, None)
    assert dict(await superuser.fetch(view)) == balances == dict(await superuser.fetch(CLOSING, 0, 0))
    assert await superuser.fetchrow("SELECT sum(accounts), sum(balance) FROM ledger.closed") == (101, 0)
    assert await superuser.fetchval("SELECT bool_and(accounts > 0) FROM ledger.closed")


async def test_the_view_reads_no_transfer_of_a_closed_range(store, finance):
    await write(store, [entry("h1", _pay(1))] * 13)
    while await store.close_range(MAIN) is not None:
        pass
    plan = await finance.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM ledger.balance")
    read = {table: rows for table, rows in _rows_read(plan).items() if table.startswith("transfer")}
    assert {table: rows for table, rows in read.items() if rows} == {"transfer_000003": 2 * 2}


async def test_a_closing_is_refused_while_its_range_fills(store):
    await write(store, [entry("h1", _pay(1))] * (RANGE_SIZE - 2))
    assert await store.close_range(MAIN) is None
    await write(store, [entry("h1", _pay(1))])
    assert await store.close_range(MAIN) == 0


def _pay(cents):
    return Transfer(ACCOUNTS[0], ACCOUNTS[1], Cents(cents))


def _rows_read(plan):
    """The rows that each table of a plan gave, in all its scans."""
    found: dict[str, int] = {}
    nodes = [json.loads(plan)[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Relation Name" in node:
            name = node["Relation Name"]
            found[name] = found.get(name, 0) + round(node["Actual Rows"] * node["Actual Loops"])
    return found
