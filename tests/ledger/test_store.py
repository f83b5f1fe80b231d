"""Both stores keep the promises of `ledger.store.Store`."""

import asyncio
import json
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger import reading
from ledger.chain import GENESIS
from ledger.memory import Fault, MemoryStore
from ledger.store import (
    HISTORY_LINES_MAX,
    HOLDERS_A_CALL_MAX,
    HOLDERS_WINDOW_SEQS_MAX,
    IDENTITIES_A_CALL_MAX,
    Event,
    Fence,
    Fenced,
    IdentityTaken,
    Line,
    Misplaced,
    OutcomeUnknown,
    Turnover,
    Unavailable,
)
from ledger.values import Account, Cents, Epoch, HolderId, Partition, Seq, Transfer

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
    with pytest.raises(ValueError, match="513 lines asked for at once, at most 512"):
        await store.history(MAIN, HolderId("h1"), HISTORY_LINES_MAX + 1)
    with pytest.raises(ValueError, match="at most 10000"):
        await store.holders_of(MAIN, ["purchase"], Seq(7), Seq(8 + HOLDERS_WINDOW_SEQS_MAX))


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


# Reading back: passbooks, turnovers, holders

ACCOUNTS = [Account("acquirer:970001:payable"), Account("acquirer:970001:exceptions"), Account("holder:h1:90:2026")]
KINDS = ["Zoll", "advice", "purchase", "purchasé", "reversal"]

movements = (
    st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(ACCOUNTS), st.integers(1, 10**12))
    .filter(lambda one: one[0] != one[1])
    .map(lambda one: Transfer(one[0], one[1], Cents(one[2])))
)
happenings = st.tuples(
    st.sampled_from(KINDS), st.sampled_from(["a", "b", "Ba", None]), st.lists(movements, max_size=3).map(tuple)
)
"""A record's kind, whose it is (a holder of this example, or nobody's), and its transfers."""


async def _happen(writer, entries, story):
    """Append such records; return them with the seq they follow."""
    after, batch = writer.head, []
    for number, (kind, name, transfers) in enumerate(story):
        entry = entries.refusal() if name is None else entries.payment(f"{after}-{name}", position=f"[{number}]")
        batch.append(replace(entry, kind=kind, transfers=transfers))
    return after, await writer.append(*batch)


@given(story=st.lists(happenings, max_size=12), lines_max=st.integers(0, 6))
@shared_ledger
async def test_a_history_is_a_passbook_newest_line_first(store, begin, entries, story, lines_max):
    after, records = await _happen(await begin(store), entries, story)
    for holder in (HolderId(f"{after}-{name}") for name in ("a", "b", "Ba", "nobody")):
        lines = [Line(one.seq, one.entry.position) for one in records if one.entry.holder == holder]
        assert await store.history(MAIN, holder, lines_max) == lines[::-1][:lines_max]


@given(story=st.lists(happenings, max_size=12), cut=st.tuples(st.integers(0, 12), st.integers(0, 15)))
@shared_ledger
async def test_a_turnover_is_what_records_credit_and_debit_by_kind_whatever_windows_it_is_read_in(
    store, begin, entries, monkeypatch, story, cut
):
    """Records are counted, not transfers; one that does both counts on both sides."""
    monkeypatch.setattr(reading, "WINDOW_SEQS", 4)
    start, records = await _happen(await begin(store), entries, story)
    after, through = Seq(start + cut[0]), Seq(start + cut[1])
    for account in ACCOUNTS:
        counted = defaultdict(lambda: [0, 0, 0, 0])
        for record in (one for one in records if after < one.seq <= through):
            into = [one.amount for one in record.entry.transfers if one.credit == account]
            out = [one.amount for one in record.entry.transfers if one.debit == account]
            if into or out:
                change = (bool(into), sum(into), bool(out), sum(out))
                counted[record.entry.kind] = [a + b for a, b in zip(counted[record.entry.kind], change, strict=True)]
        expected = [Turnover(kind, *counted[kind]) for kind in sorted(counted)]
        assert await store.turnover(MAIN, account, after, through) == expected


@given(
    story=st.lists(happenings, max_size=12),
    kinds=st.lists(st.sampled_from(KINDS), max_size=3),
    cut=st.tuples(st.integers(0, 12), st.integers(0, 15)),
)
@shared_ledger
async def test_holders_of_kinds_come_once_each_by_their_first_record(store, begin, entries, story, kinds, cut):
    start, records = await _happen(await begin(store), entries, story)
    after, through = Seq(start + cut[0]), Seq(start + cut[1])
    expected = []
    for record in (one for one in records if after < one.seq <= through and one.entry.kind in kinds):
        if record.entry.holder is not None and record.entry.holder not in expected:
            expected.append(record.entry.holder)
    assert await store.holders_of(MAIN, kinds, after, through) == expected


@given(
    story=st.lists(happenings, max_size=12),
    kinds=st.lists(st.sampled_from(KINDS), max_size=3),
    cut=st.tuples(st.integers(0, 12), st.integers(0, 15)),
    events_max=st.integers(0, 6),
)
@shared_ledger
async def test_events_are_the_records_of_kinds_in_their_order(store, begin, entries, story, kinds, cut, events_max):
    start, records = await _happen(await begin(store), entries, story)
    after, through = Seq(start + cut[0]), Seq(start + cut[1])
    expected = [_event(one) for one in records if after < one.seq <= through and one.entry.kind in kinds]
    assert await store.events(MAIN, kinds, after, through, events_max) == expected[:events_max]


@given(
    replies=st.lists(json_texts, max_size=6),
    cut=st.data(),
    events_max=st.integers(0, 6),
)
@shared_ledger
async def test_events_that_mention_something_have_it_in_their_replies(store, begin, entries, replies, cut, events_max):
    """As it is written there, whatever it means to a pattern: `%`, `_`, quotes, spaces."""
    writer = await begin(store)
    start = writer.head
    records = await writer.append(*[replace(entries.refusal(), kind="k", reply=reply) for reply in replies])
    whole = "".join(replies) or "x"
    first = cut.draw(st.integers(0, len(whole) - 1))
    mentioning = cut.draw(st.sampled_from([whole[first : first + 3], "%", "_", '"low":true', ""]))
    expected = [_event(one) for one in records if mentioning in one.entry.reply]
    found = await store.events(MAIN, ["k"], start, Seq(start + 10), events_max, mentioning)
    assert found == expected[:events_max]


@given(story=st.lists(happenings, max_size=12), events_max=st.integers(0, 6), below=st.integers(0, 14))
@shared_ledger
async def test_events_about_a_holder_come_newest_first(store, begin, entries, story, events_max, below):
    start, records = await _happen(await begin(store), entries, story)
    for holder in (HolderId(f"{start}-{name}") for name in ("a", "Ba", "nobody")):
        mine = [_event(one) for one in records if one.entry.holder == holder and one.seq < start + below]
        assert await store.events_about(MAIN, holder, Seq(start + below), events_max) == mine[::-1][:events_max]


names = st.text("ab:", min_size=1, max_size=4)


@given(written=st.lists(names, max_size=12), prefix=names, after=names, passbooks_max=st.integers(0, 6))
@shared_ledger
async def test_references_with_a_prefix_are_walked_in_the_order_of_their_names(
    store, begin, entries, written, prefix, after, passbooks_max
):
    writer = await begin(store)
    start, newest = f"{writer.head}:", {}
    batch = [entries.payment(start + name, position=f"[{number}]") for number, name in enumerate(written)]
    for record in await writer.append(*batch):
        newest[record.entry.holder] = Line(record.seq, record.entry.position)
    named = sorted(name for name in newest if name.startswith(start + prefix) and name > start + after)
    expected = [(name, newest[name]) for name in named][:passbooks_max]
    assert await store.references(MAIN, start + prefix, start + after, passbooks_max) == expected


def _event(record):
    entry = record.entry
    return Event(record.seq, entry.at, entry.kind, entry.holder, entry.request, entry.reply)


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
    """One fenced append: a stale writer can't write. Seqs have no gap and no double, and the chain holds."""
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
    for call in (
        writer.append(entries.payment()),
        store.fence(MAIN),
        store.retake(MAIN, writer.epoch),
        store.history(MAIN, HolderId("h1"), 1),
        store.turnover(MAIN, Account("acquirer:970001:payable"), Seq(0), Seq(1)),
        store.holders_of(MAIN, ["purchase"], Seq(0), Seq(1)),
    ):
        with pytest.raises(Unavailable):
            await call
    store.reachable = True
    writer.epoch = (await store.retake(MAIN, writer.epoch)).epoch
    await writer.append(entries.payment())
