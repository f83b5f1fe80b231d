"""Both stores keep the promises of `ledger.store.Store`; then what only PostgreSQL can show."""

import asyncio
import json

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger import postgres as postgres_module
from ledger import schema
from ledger.chain import GENESIS, record_hash
from ledger.memory import Fault, MemoryStore
from ledger.postgres import PostgresStore
from ledger.store import (
    HOLDERS_A_CALL_MAX,
    IDENTITIES_A_CALL_MAX,
    Fence,
    Fenced,
    IdentityTaken,
    Misplaced,
    OutcomeUnknown,
    Unavailable,
)
from ledger.values import Entry, Epoch, HolderId, Identity, Partition, Seq, Transfer, unpack_identities

MAIN = Partition(0)

shared_ledger = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
"""Examples share a ledger: it only grows, and each begins where the last one ended."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('abé\0"\\', max_size=5), inner, max_size=3),
    max_leaves=6,
)
json_texts = st.builds(
    json.dumps,
    json_values,
    ensure_ascii=st.booleans(),
    indent=st.sampled_from([None, 3]),
    separators=st.sampled_from([(",", ":"), (" , ", "  : ")]),
)


# The fence


async def test_a_new_ledger_is_empty(store):
    assert await store.partitions() == [MAIN]
    assert await store.fence(MAIN) == Fence(Epoch(0), Seq(0), GENESIS, 0)
    assert await store.hash_at(MAIN, Seq(1)) is None
    assert await store.newest(MAIN, [HolderId("h1")]) == {}


async def test_take_begins_a_new_epoch_and_moves_nothing_but_the_beat(store, entries, writer):
    await writer.append(entries.payment())
    before = await store.fence(MAIN)
    taken = await store.take(MAIN, before)
    assert taken == Fence(Epoch(before.epoch + 1), before.head, before.hash, before.beat + 1)
    assert await store.fence(MAIN) == taken


@pytest.mark.parametrize("moved", ["epoch", "head", "beat"])
async def test_take_compares_all_that_the_taker_saw(store, entries, writer, moved):
    await writer.append(entries.payment())
    fence = await store.fence(MAIN)
    with pytest.raises(Fenced):
        await store.take(MAIN, replace(fence, **{moved: getattr(fence, moved) - 1}))
    assert await store.fence(MAIN) == fence


async def test_retake_asks_for_nothing_but_ones_own_epoch(store, entries, writer):
    await writer.append(entries.payment())
    taken = await store.retake(MAIN, writer.epoch)
    assert (taken.epoch, taken.head, taken.hash) == (writer.epoch + 1, writer.head, writer.last)
    with pytest.raises(Fenced):
        await store.retake(MAIN, writer.epoch)


async def test_beat_and_an_empty_batch_move_the_beat_only(store, writer):
    before = await store.fence(MAIN)
    await store.beat(MAIN, writer.epoch)
    await writer.append()
    assert await store.fence(MAIN) == replace(before, beat=before.beat + 2)


async def test_a_writer_lives_as_long_as_its_session(store, ledger, writer):
    other = await ledger.connect()
    assert await other.writer_lives(MAIN, writer.epoch)
    assert not await other.writer_lives(MAIN, Epoch(writer.epoch + 1))
    fence = await store.retake(MAIN, writer.epoch)
    assert await other.writer_lives(MAIN, fence.epoch)
    await store.close()
    while await other.writer_lives(MAIN, fence.epoch):
        pass


async def test_a_taker_that_lost_does_not_look_like_the_writer(store, ledger, begin):
    seen = await store.fence(MAIN)
    winner, loser = await ledger.connect(), await ledger.connect()
    taken = await winner.take(MAIN, seen)
    with pytest.raises(Fenced):
        await loser.take(MAIN, seen)
    await winner.abandon(MAIN)
    while await loser.writer_lives(MAIN, taken.epoch):
        pass


# Appending


async def test_a_record_is_found_by_its_seq_its_holder_and_its_identities(store, entries, writer, identities):
    keys = next(identities), next(identities)
    [first, second] = await writer.append(entries.payment("h1", *keys), entries.refusal())
    fence = await store.fence(MAIN)
    assert (fence.head, fence.hash) == (2, second.hash)
    assert await store.hash_at(MAIN, Seq(1)) == first.hash
    line = (await store.newest(MAIN, [HolderId("h1"), HolderId("h2")]))[HolderId("h1")]
    assert (line.seq, line.position) == (1, first.entry.position)
    found = await store.find(MAIN, [*keys, next(identities)])
    assert set(found) == set(keys)
    assert {(one.seq, one.request, one.reply) for one in found.values()} == {
        (1, first.entry.request, first.entry.reply)
    }


async def test_the_newest_line_of_each_holder_is_their_last(store, entries, writer):
    holders = [HolderId(f"h{number}") for number in range(HOLDERS_A_CALL_MAX)]
    for round_ in ("[1]", "[2]"):
        await writer.append(*(entries.payment(holder, position=round_) for holder in holders))
    await writer.append(entries.refusal())
    newest = await store.newest(MAIN, holders)
    assert [newest[holder].position for holder in holders] == ["[2]"] * len(holders)
    assert [newest[holder].seq for holder in holders] == list(range(len(holders) + 1, 2 * len(holders) + 1))


async def test_a_read_has_a_limit(store, identities):
    with pytest.raises(ValueError, match="at most 64"):
        await store.newest(MAIN, [HolderId("h1")] * (HOLDERS_A_CALL_MAX + 1))
    with pytest.raises(ValueError, match="at most"):
        await store.find(MAIN, [next(identities)] * (IDENTITIES_A_CALL_MAX + 1))


@given(request=json_texts, reply=json_texts, position=json_texts)
@shared_ledger
async def test_json_texts_come_back_exactly_as_written(store, begin, entries, identities, request, reply, position):
    writer, key = await begin(store), next(identities)
    await writer.append(replace(entries.payment("h1", key, position=position), request=request, reply=reply))
    assert (await store.newest(MAIN, [HolderId("h1")]))[HolderId("h1")].position == position
    answer = (await store.find(MAIN, [key]))[key]
    assert (answer.request, answer.reply) == (request, reply)


@pytest.mark.parametrize("records", [1, 32, 256])
async def test_a_batch_is_all_in(store, entries, writer, records, identities):
    batch = await writer.append(*(entries.payment(f"h{n}", next(identities)) for n in range(records)))
    assert (await store.fence(MAIN)).head == records
    assert [await store.hash_at(MAIN, Seq(n)) for n in (1, records)] == [batch[0].hash, batch[-1].hash]


@pytest.mark.parametrize("clash", ["across batches", "within a batch"])
async def test_an_identity_that_exists_rolls_the_batch_back(store, entries, writer, identities, clash):
    key, fresh = next(identities), next(identities)
    if clash == "across batches":
        await writer.append(entries.payment("h1", key))
        batch = (entries.payment("h2", fresh), entries.payment("h3", key))
    else:
        batch = (entries.payment("h2", fresh, key), entries.payment("h3", key))
    before = await store.fence(MAIN)
    with pytest.raises(IdentityTaken):
        await writer.append(*batch)
    assert await store.fence(MAIN) == before
    assert fresh not in await store.find(MAIN, [key, fresh])
    assert await store.newest(MAIN, [HolderId("h2"), HolderId("h3")]) == {}
    await writer.append(entries.payment("h2", fresh))


@pytest.mark.parametrize("wrong", ["gap", "repeat", "epoch", "holder without position"])
async def test_a_record_out_of_its_place_is_not_sent(store, entries, writer, wrong):
    [record] = writer.place(entries.payment())
    misplaced = {
        "gap": replace(record, seq=2),
        "repeat": replace(record, seq=0),
        "epoch": replace(record, epoch=writer.epoch + 1),
        "holder without position": replace(record, entry=replace(record.entry, position=None)),
    }[wrong]
    with pytest.raises(Misplaced):
        await store.append(MAIN, writer.epoch, writer.head, writer.last, [misplaced])
    assert (await store.fence(MAIN)).head == 0


@pytest.mark.parametrize("wrong", ["epoch", "head", "hash"])
async def test_an_append_that_is_not_at_the_fence_is_fenced(store, entries, writer, wrong):
    await writer.append(entries.payment())
    if wrong == "epoch":
        writer.epoch = Epoch(writer.epoch + 1)
    elif wrong == "head":
        writer.head = Seq(writer.head + 1)
    else:
        writer.last = bytes(32)
    before = await store.fence(MAIN)
    with pytest.raises(Fenced):
        await writer.append(entries.payment())
    assert await store.fence(MAIN) == before


@pytest.mark.parametrize("broken", ["not json", "no amount", "to itself"])
async def test_what_the_database_refuses_is_known_not_to_be_in(store, entries, writer, broken):
    entry = entries.payment(cents=0) if broken == "no amount" else entries.payment()
    if broken == "not json":
        entry = replace(entry, request="{")
    if broken == "to itself":
        entry = replace(entry, transfers=(replace(entry.transfers[0], credit=entry.transfers[0].debit),))
    with pytest.raises(Unavailable) as refused:
        await writer.append(entry)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert "970001" not in str(refused.value)
    assert (await store.fence(MAIN)).head == 0
    await writer.append(entries.payment())


# More than one writer


async def test_a_writer_that_was_taken_from_is_fenced_out(store, ledger, begin, entries, writer):
    successor = await begin(await ledger.connect())
    with pytest.raises(Fenced):
        await writer.append(entries.payment())
    with pytest.raises(Fenced):
        await store.beat(MAIN, writer.epoch)
    with pytest.raises(Fenced):
        await store.retake(MAIN, writer.epoch)
    await successor.append(entries.payment())
    assert (await store.fence(MAIN)).head == 1


@given(steps=st.lists(st.tuples(st.sampled_from(["take", "append", "beat"]), st.booleans()), max_size=12))
@shared_ledger
async def test_only_the_newest_epoch_writes_whatever_two_writers_try(two_stores, begin, entries, steps):
    """DESIGN 4: a stale writer can't write. Seqs have no gap and no double, and the chain holds."""
    writers = [await begin(one) for one in two_stores]
    office = 1
    for step, second in steps:
        one = writers[second]
        before = await one.store.fence(MAIN)
        if step == "take":
            writers[second], office = await begin(one.store), int(second)
        elif second == office:
            await (one.append(entries.payment()) if step == "append" else one.store.beat(MAIN, one.epoch))
            assert (await one.store.fence(MAIN)).head == before.head + (step == "append")
        else:
            with pytest.raises(Fenced):
                await (one.append(entries.payment()) if step == "append" else one.store.beat(MAIN, one.epoch))
            assert await one.store.fence(MAIN) == before
    [fence, newest] = [await two_stores[0].fence(MAIN), writers[office]]
    assert (fence.head, fence.hash) == (newest.head, newest.last)


@pytest.fixture
async def two_stores(ledger):
    return [await ledger.connect(), await ledger.connect()]


async def test_of_takers_at_the_same_moment_one_wins(ledger, store):
    seen = await store.fence(MAIN)
    takers = [await ledger.connect() for _ in range(4)]
    results = await asyncio.gather(*(one.take(MAIN, seen) for one in takers), return_exceptions=True)
    assert [type(one) for one in results].count(Fence) == 1
    assert [type(one) for one in results].count(Fenced) == 3


async def test_without_a_session_nothing_is_written(ledger, entries, writer):
    """Known not in: the caller begins again with `retake`."""
    await writer.store.abandon(MAIN)
    with pytest.raises(Unavailable):
        await writer.append(entries.payment())
    with pytest.raises(Unavailable):
        await writer.store.beat(MAIN, writer.epoch)
    await writer.store.retake(MAIN, writer.epoch)


async def test_there_are_always_two_ranges_ahead(store):
    assert await store.add_range() == 2
    assert await store.add_range() == 2


# Only in memory: faults on demand


@pytest.mark.parametrize("fault", Fault)
async def test_a_scripted_fault_is_what_it_says(begin, entries, fault):
    store = MemoryStore()
    writer = await begin(store)
    records = writer.place(entries.payment())
    store.faults.append(fault)
    with pytest.raises(Unavailable if fault is Fault.REFUSED else OutcomeUnknown):
        await store.append(MAIN, writer.epoch, writer.head, writer.last, records)
    fence = await store.retake(MAIN, writer.epoch)
    assert list(store.records(MAIN)) == (records if fault is Fault.LOST_AFTER else [])
    assert fence.head == len(store.records(MAIN))


async def test_an_append_held_in_flight_can_go_on_or_be_abandoned(begin, entries):
    store, let_go = MemoryStore(), asyncio.Event()
    store.before_append = let_go.wait
    writer = await begin(store)
    held = asyncio.create_task(writer.append(entries.payment()))
    await asyncio.sleep(0)
    await store.abandon(MAIN)
    with pytest.raises(OutcomeUnknown):
        await held
    writer = await begin(store)
    held = asyncio.create_task(writer.append(entries.payment()))
    await asyncio.sleep(0)
    assert store.records(MAIN) == ()
    let_go.set()
    assert await held == list(store.records(MAIN))


async def test_a_memory_store_out_of_reach_is_unavailable_until_it_is_back(begin, entries):
    store = MemoryStore()
    writer = await begin(store)
    store.reachable = False
    for call in (writer.append(entries.payment()), store.fence(MAIN), store.retake(MAIN, writer.epoch)):
        with pytest.raises(Unavailable):
            await call
    store.reachable = True
    writer.epoch = (await store.retake(MAIN, writer.epoch)).epoch
    await writer.append(entries.payment())


# Only PostgreSQL: losing the connection


@pytest.mark.parametrize("cut", ["before", "during", "after"])
async def test_a_cut_append_is_settled_by_the_hash_at_its_last_seq(line, begin, entries, cut):
    """LEDGER, unknown outcome: a batch is in only if the journal row at its last seq bears its hash."""
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


async def test_an_append_that_is_not_acknowledged_can_be_abandoned(postgres, superuser, begin, entries):
    """The append waits in the server, for a lock, when its session is cut; then it goes on or not, and is settled."""
    writer = await begin(postgres)
    records = writer.place(entries.payment())
    async with superuser.transaction():
        await superuser.execute("SELECT FROM ledger.fence FOR UPDATE")
        pending = asyncio.create_task(postgres.append(MAIN, writer.epoch, writer.head, writer.last, records))
        await _waiting_for_a_lock(superuser)
        await postgres.abandon(MAIN)
        with pytest.raises(OutcomeUnknown):
            await pending
    fence = await postgres.retake(MAIN, writer.epoch)
    assert (fence.head == 1) is (await postgres.hash_at(MAIN, Seq(1)) == records[0].hash)


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
    """LEDGER, append, take, beat: take has a lock_timeout, then terminates what blocks it, and tries again."""
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
        lambda: postgres.find(MAIN, [next(identities)]),
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


async def test_a_failure_to_connect_is_unavailable(tmp_path):
    store = await PostgresStore.open(f"postgresql://authz@/ledger?host={tmp_path}")
    with pytest.raises(Unavailable):
        await store.partitions()
    with pytest.raises(Unavailable):
        await store.retake(MAIN, Epoch(1))
    await store.close()


# Only PostgreSQL: what is stored


async def test_a_writers_session_says_what_it_is_and_has_its_limits(postgres, superuser, begin):
    writer = await begin(postgres)
    assert (
        await superuser.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1",
            f"ledger writer, partition 0, epoch {writer.epoch}",
        )
        == 1
    )
    session = postgres._writers[MAIN].connection
    assert await session.fetchval("SHOW transaction_timeout") == "2s"
    assert await session.fetchval("SHOW statement_timeout") == "0"
    assert await session.fetchval("SHOW synchronous_commit") == "on"


async def test_rows_rebuild_the_record_and_its_hash(postgres, superuser, begin, entries, identities):
    """LEDGER, what verify can know: the tables hold all that the hash covers, and identities agree with the journal."""
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
        store = await PostgresStore.open(cluster.url("authz", database))
        writer = await begin(store)
        for _ in range(5):
            await writer.append(*(entries.payment(f"h{number}") for number in range(150)))
            assert await store.add_range() == 2
        newest = await store.newest(MAIN, [HolderId("h0"), HolderId("h149")])
        assert (newest["h0"].seq, newest["h149"].seq) == (601, 750)
        with pytest.raises(Unavailable):
            await writer.append(*(entries.payment() for _ in range(256)))
        assert (await store.fence(MAIN)).head == 750
        await store.close()
    finally:
        await superuser.execute(f"DROP DATABASE {database} WITH (FORCE)")


async def test_the_passbook_is_read_by_its_index(postgres, superuser, begin, entries):
    """LEDGER, tables: newest-first reads stop at the newest range, so no range may be scanned."""
    writer = await begin(postgres)
    for _ in range(4):
        await writer.append(*(entries.payment(f"h{number}") for number in range(256)))
    await superuser.execute("ANALYZE ledger.journal")
    async with superuser.transaction():
        await superuser.execute(f"PREPARE newest (int, text[]) AS {schema.queries()['newest']}")
        plan = "\n".join(row[0] for row in await superuser.fetch("EXPLAIN EXECUTE newest (0, ARRAY['h1', 'h2'])"))
    assert "Seq Scan" not in plan
    assert "Sort" not in plan


async def _waiting_for_a_lock(observer: asyncpg.Connection) -> None:
    while not await observer.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    ):
        pass


async def _until_gone(observer: asyncpg.Connection, database: str) -> None:
    while await observer.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", database):
        pass
