"""What only the store in PostgreSQL can show: a connection that is lost, and what is in the tables."""

import asyncio
import json

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import postgres as postgres_module
from ledger import postgres_reader, schema
from ledger.chain import GENESIS, record_hash
from ledger.postgres import PostgresStore
from ledger.schema import AddressInvalid
from ledger.store import (
    Fence,
    OutcomeUnknown,
    Turnover,
    Unavailable,
)
from ledger.values import Account, Entry, Epoch, HolderId, Identity, Partition, Seq, Transfer, unpack_identities

MAIN = Partition(0)
PAYABLE = Account("acquirer:970001:payable")

shared_ledger = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
"""Examples share a ledger: it only grows, and each begins where the last one ended."""


# Losing the connection


@pytest.mark.parametrize("cut", ["before", "during", "after"])
async def test_a_cut_append_is_settled_by_the_hash_at_its_last_seq(line, begin, entries, cut):
    """An unknown outcome: a batch is in only if the journal row at its last seq bears its hash."""
    wire, store = line
    writer = await begin(store)
    await writer.append(entries.payment())
    records = writer.place(entries.payment("h2"), entries.payment("h3"))
    wire.cut = cut
    with pytest.raises(OutcomeUnknown):
        await store.append(MAIN, writer.epoch, writer.head, writer.last, records)
    assert wire.was_cut.is_set()
    fence = await store.retake(MAIN, writer.epoch)
    is_in = await store.hash_at(MAIN, records[-1].seq) == records[-1].hash
    assert is_in is {"before": False, "after": True}.get(cut, is_in)
    if is_in:
        writer.follow(records)
    assert (fence.head, fence.hash) == (writer.head, writer.last)
    assert set(await store.newest(MAIN, [HolderId("h2"), HolderId("h3")])) == ({"h2", "h3"} if is_in else set())
    writer.epoch = fence.epoch
    await writer.append(entries.payment())


@pytest.mark.parametrize("by", ["its store", "the server"])
async def test_an_append_whose_session_is_ended_is_settled(postgres, superuser, begin, entries, by):
    """The append waits in the server, for a lock, when its session ends; then it goes on or not, and is settled.

    Where the server ends it, it says so (FATAL 57P01), but not how far the append had come.
    """
    writer = await begin(postgres)
    records = writer.place(entries.payment())
    async with superuser.transaction():
        await superuser.execute("SELECT FROM ledger.fence FOR UPDATE")
        pending = asyncio.create_task(postgres.append(MAIN, writer.epoch, writer.head, writer.last, records))
        await _waiting_for_a_lock(superuser)
        if by == "its store":
            await postgres.abandon(MAIN)
        else:
            await superuser.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ledger writer%'"
                " AND datname = current_database()"
            )
        with pytest.raises(OutcomeUnknown):
            await pending
    fence = await postgres.retake(MAIN, writer.epoch)
    assert (fence.head == 1) is (await postgres.hash_at(MAIN, Seq(1)) == records[0].hash)


async def test_an_address_that_is_none_is_said_to_be():
    for address in ("postgresql://host:abc/x", "mysql://host/x"):
        with pytest.raises(AddressInvalid):
            PostgresStore(address)


async def test_a_cancelled_append_sends_no_cancel_request(postgres, superuser, begin, entries):
    """A CancelRequest could end the wait for a standby: the server must carry on as if nobody had stopped waiting."""
    writer = await begin(postgres)
    async with superuser.transaction():
        await superuser.execute("SELECT FROM ledger.fence FOR UPDATE")
        pending = asyncio.create_task(writer.append(entries.payment()))
        await _waiting_for_a_lock(superuser)
        pending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pending
    while (await postgres.fence(MAIN)).head == 0:
        pass


async def test_take_ends_a_session_that_holds_the_fence(postgres, database, superuser, begin):
    """Take has a lock_timeout, then terminates what blocks it, and tries again."""
    writer = await begin(postgres)
    half_dead = await asyncpg.connect(database.url)
    await half_dead.execute(f"BEGIN; SELECT ledger.beat(0, {writer.epoch})")
    fence = await postgres.retake(MAIN, writer.epoch)
    assert fence.epoch == writer.epoch + 1
    assert not await superuser.fetchval(
        "SELECT count(*) FROM pg_locks WHERE relation = 'ledger.fence'::regclass AND pid = $1",
        half_dead.get_server_pid(),
    )
    half_dead.terminate()


async def test_take_gives_up_on_what_it_may_not_end(postgres, superuser, begin, monkeypatch):
    monkeypatch.setattr(postgres_module, "TAKE_ATTEMPTS_MAX", 1)
    monkeypatch.setattr(postgres_module, "TAKE_PATIENCE_MS", 10)
    writer = await begin(postgres)
    async with superuser.transaction():
        await superuser.execute("SELECT FROM ledger.fence FOR UPDATE")
        with pytest.raises(Unavailable):
            await postgres.retake(MAIN, writer.epoch)
    assert (await postgres.retake(MAIN, writer.epoch)).epoch == writer.epoch + 1


async def test_without_a_database_everything_is_unavailable_and_with_it_again_works(
    database, cluster, superuser, postgres, begin, entries, identities
):
    writer = await begin(postgres)
    away = f"{database.name}_away"
    admin = await asyncpg.connect(cluster.url("postgres", "postgres"))
    await superuser.close()
    await admin.execute(
        f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false;"
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'"
    )
    await _until_gone(admin, database.name)
    await admin.execute(f"ALTER DATABASE {database.name} RENAME TO {away}")
    seen = Fence(Epoch(0), Seq(0), GENESIS, 0)
    calls = [
        lambda: postgres.partitions(),
        lambda: postgres.fence(MAIN),
        lambda: postgres.writer_lives(MAIN, writer.epoch),
        lambda: postgres.beat(MAIN, writer.epoch),
        lambda: writer.append(entries.payment()),
        lambda: postgres.take(MAIN, seen),
        lambda: postgres.retake(MAIN, writer.epoch),
        lambda: postgres.hash_at(MAIN, Seq(1)),
        lambda: postgres.newest(MAIN, [HolderId("h1")]),
        lambda: postgres.history(MAIN, HolderId("h1"), 1),
        lambda: postgres.find(MAIN, [next(identities)]),
        lambda: postgres.turnover(MAIN, PAYABLE, Seq(0), Seq(1)),
        lambda: postgres.holders_of(MAIN, ["purchase"], Seq(0), Seq(1)),
        lambda: postgres.passbooks(MAIN, "", 1),
        lambda: postgres.full_ranges(MAIN),
        lambda: postgres.close_range(MAIN),
        lambda: postgres.last_written_in(MAIN, 0, "", 1),
        lambda: postgres.manifest(MAIN, 0),
        lambda: postgres.watch(MAIN).__aenter__(),
        lambda: postgres.add_range(),
    ]
    for call in calls:
        with pytest.raises((Unavailable, OutcomeUnknown)):
            await call()
    await admin.execute(
        f"ALTER DATABASE {away} RENAME TO {database.name}; ALTER DATABASE {database.name} ALLOW_CONNECTIONS true"
    )
    await admin.close()
    writer.epoch = (await postgres.retake(MAIN, writer.epoch)).epoch
    await writer.append(entries.payment())


async def test_a_watch_is_one_connection_that_is_never_replaced(postgres, superuser):
    """Another connection may lead to another server, whose fence was never seen."""
    ours = "application_name = 'ledger watcher' AND datname = current_database()"
    async with postgres.watch(MAIN) as look:
        for _ in range(3):
            assert await look() == await postgres.fence(MAIN)
        assert await superuser.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {ours}") == 1
        await superuser.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")
        for _ in range(2):
            with pytest.raises(Unavailable):
                await look()
    assert await superuser.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {ours}") == 0


async def test_a_look_that_takes_too_long_breaks_the_watch(postgres, superuser, monkeypatch):
    monkeypatch.setattr(postgres_reader, "READ_TIMEOUT_MS", 100)
    async with postgres.watch(MAIN) as look:
        async with superuser.transaction():
            await superuser.execute("LOCK TABLE ledger.fence IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(Unavailable):
                await look()
        with pytest.raises(Unavailable):
            await look()


async def test_a_failure_to_connect_is_unavailable(tmp_path):
    store = PostgresStore(f"postgresql://authz@/ledger?host={tmp_path}")
    with pytest.raises(Unavailable):
        await store.partitions()
    with pytest.raises(Unavailable):
        await store.retake(MAIN, Epoch(1))
    await store.close()


# What is stored


async def test_a_writers_session_says_what_it_is_and_has_its_limits(postgres, superuser, begin):
    writer = await begin(postgres)
    assert (
        await superuser.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()",
            f"ledger writer, partition 0, epoch {writer.epoch}",
        )
        == 1
    )
    session = postgres._writers[MAIN].connection
    assert await session.fetchval("SHOW transaction_timeout") == "2s"
    assert await session.fetchval("SHOW statement_timeout") == "0"
    assert await session.fetchval("SHOW synchronous_commit") == "on"


async def test_rows_rebuild_the_record_and_its_hash(postgres, superuser, begin, entries, identities):
    """The tables hold all that the hash covers, and identities agree with the journal."""
    writer = await begin(postgres)
    [record] = await writer.append(entries.payment("h1", next(identities), next(identities)))
    row = await superuser.fetchrow("SELECT * FROM ledger.journal")
    transfers = await superuser.fetch("SELECT debit, credit, amount, currency FROM ledger.transfer ORDER BY line")
    keys = await superuser.fetch("SELECT stamp, digest FROM ledger.identity ORDER BY stamp, digest")

    rebuilt = Entry(
        row["at"],
        row["kind"],
        row["holder"],
        row["request"],
        row["reply"],
        row["reason"],
        row["position"],
        tuple(Transfer(one["debit"], one["credit"], one["amount"]) for one in transfers),
        unpack_identities(row["identities"]),
    )
    assert rebuilt == record.entry
    assert {one["currency"] for one in transfers} == {978}
    assert tuple(Identity(one["stamp"], one["digest"]) for one in keys) == rebuilt.identities
    assert row["hash"] == record_hash(GENESIS, MAIN, row["seq"], row["epoch"], rebuilt)


@given(cents=st.lists(st.integers(1, 10**12), min_size=1, max_size=5))
@shared_ledger
async def test_balances_sum_to_zero(postgres, superuser, begin, entries, cents):
    """Every transfer counts once as a debit and once as a credit (balance = credits - debits)."""
    before = await superuser.fetchval("SELECT balance FROM ledger.balance WHERE account = 'acquirer:970001:payable'")
    writer = await begin(postgres)
    await writer.append(*(entries.payment("h1", cents=one) for one in cents))
    balances = dict(await superuser.fetch("SELECT account, balance FROM ledger.balance"))
    assert balances["acquirer:970001:payable"] == (before or 0) + sum(cents)
    assert balances["holder:h1:90:2026"] == -balances["acquirer:970001:payable"]


async def test_records_cross_from_one_range_to_the_next(cluster, superuser, begin, entries):
    """A batch lies across a boundary; and before ranges run out, more are there."""
    database = f"{await superuser.fetchval('SELECT current_database()')}_small"
    await superuser.execute(f"CREATE DATABASE {database}")
    try:
        await schema.create(cluster.url("postgres", database), range_size=100)
        store = PostgresStore(cluster.url("authz", database))
        writer = await begin(store)
        for _ in range(5):
            await writer.append(*(entries.payment(f"h{number}") for number in range(150)))
            assert await store.add_range() == 2
        lines = await store.history(MAIN, HolderId("h0"), 3)
        assert [line.seq for line in lines] == [601, 451, 301]
        assert await store.turnover(MAIN, PAYABLE, Seq(90), Seq(310)) == [Turnover("purchase", 220, 275_000, 0, 0)]
        newest = await store.newest(MAIN, [HolderId("h0"), HolderId("h149")])
        assert (newest["h0"].seq, newest["h149"].seq) == (601, 750)
        with pytest.raises(Unavailable):
            await writer.append(*(entries.payment() for _ in range(256)))
        assert (await store.fence(MAIN)).head == 750
        await store.close()
    finally:
        await superuser.execute(f"DROP DATABASE {database} WITH (FORCE)")


async def test_the_passbook_is_read_by_its_index(postgres, superuser, begin, entries):
    """Newest-first reads stop at the newest range, so no range may be scanned."""
    writer = await begin(postgres)
    for _ in range(4):
        await writer.append(*(entries.payment(f"h{number}") for number in range(256)))
    await superuser.execute("ANALYZE ledger.journal")
    async with superuser.transaction():
        await superuser.execute(f"PREPARE newest (int, text[]) AS {schema.queries()['newest']}")
        plan = "\n".join(row[0] for row in await superuser.fetch("EXPLAIN EXECUTE newest (0, ARRAY['h1', 'h2'])"))
    assert "Seq Scan" not in plan
    assert "Sort" not in plan


JOURNAL_RECORDS = 200_000
WINDOW = 1_000

READS = {
    "history": ("int, text, bigint", "0, 'h7', 10", 10),
    "turnover": ("int, text, bigint, bigint", "0, 'acquirer:970001:payable', 150000, 151000", 2 * WINDOW),
    "holders_of": ("int, text[], bigint, bigint", "0, ARRAY['purchase', 'x'], 150000, 151000", WINDOW),
    "hash_at": ("int, bigint", "0, 150000", 1),
    "find": ("int, bigint[], bytea[]", "0, ARRAY[1], ARRAY[decode(repeat('00', 16), 'hex')]", 2),
    "passbooks": ("int, text, int", "0, 'h5', 100", 2 * 100),
    "last_written": ("int, text, int", "0, 'h5', 100", 100),
    "full_ranges": ("int", "0", 3),
    "counts": ("int, bigint, bigint", "0, 150000, 151000", 2 * WINDOW),
}
"""Each query's types and arguments, and how many rows of the tables it may touch."""


@pytest.fixture
async def grown(superuser):
    """A ledger of many records: 1,000 holders, a transfer each. It was written without a writer."""
    await superuser.execute(
        "INSERT INTO ledger.journal (partition, seq, epoch, at, kind, holder, request, reply, reason, position,"
        " identities, hash) SELECT 0, n, 1, now(), 'purchase', 'h' || n % 1000, '{}', '{}', 'APPROVED', '[]', '',"
        f" sha256('') FROM generate_series(1, {JOURNAL_RECORDS}) AS n;"
        "INSERT INTO ledger.transfer SELECT 0, n, 1, 'holder:h' || n % 1000 || ':90:2026', 'acquirer:970001:payable', 1"
        f" FROM generate_series(1, {JOURNAL_RECORDS}) AS n;"
        "INSERT INTO ledger.identity VALUES (0, 1, decode(repeat('00', 16), 'hex'), 150000)"
    )
    return superuser


async def test_reads_touch_the_rows_that_they_are_about_and_no_others(grown, postgres):
    """Before a range's first statistics and after, and also as a plan that is kept for all arguments."""
    for query, (types, _, _) in READS.items():
        await grown.execute(f"PREPARE {query} ({types}) AS {schema.queries()[query]}")
    for statistics in ("none", "new"):
        if statistics == "new":
            await grown.execute("ANALYZE ledger.journal, ledger.transfer")
        for plans in ("force_custom_plan", "force_generic_plan"):
            await grown.execute(f"SET plan_cache_mode = {plans}")
            for query, (_, arguments, rows_max) in READS.items():
                explained = await grown.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {query} ({arguments})")
                [plan] = json.loads(explained)
                touched = sum(map(_rows_read, _scans(plan["Plan"])))
                assert 0 < touched <= rows_max, (query, statistics, plans, explained)

    [turnover] = await postgres.turnover(MAIN, PAYABLE, Seq(0), Seq(JOURNAL_RECORDS + 50_000))
    assert turnover == Turnover("purchase", JOURNAL_RECORDS, JOURNAL_RECORDS, 0, 0)


def _scans(plan):
    """The nodes of a plan that read a table."""
    below = [scan for child in plan.get("Plans", ()) for scan in _scans(child)]
    return [plan, *below] if "Relation Name" in plan else below


def _rows_read(scan):
    wasted = sum(scan.get(f"Rows Removed by {cause}", 0) for cause in ("Filter", "Index Recheck"))
    return (scan["Actual Rows"] + wasted) * scan["Actual Loops"]


async def _waiting_for_a_lock(observer: asyncpg.Connection) -> None:
    while not await observer.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ):
        pass


async def _until_gone(observer: asyncpg.Connection, database: str) -> None:
    while await observer.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", database):
        pass
