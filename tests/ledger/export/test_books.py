"""How the books are read for an export: whole, once, in order, up to a moment, and in short statements."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import reading
from ledger.export import books
from ledger.export.books import Posted, open_books
from ledger.postgres import PostgresStore
from ledger.reading import PartitionUnknown, reader
from ledger.shortfalls import EVER, Period, shortfalls
from ledger.values import Account, Cents, Partition, Seq, Transfer
from tests.ledger.small import ACCOUNTS, LONG_AGO, entry, refolded, small_ledger, stories, write

PARIS = ZoneInfo("Europe/Paris")
NOON = datetime(2026, 2, 10, 11, 15, tzinfo=UTC)

SECOND_PARTITION = """
INSERT INTO ledger.fence (partition, head) VALUES (7, 20);
INSERT INTO ledger.journal SELECT 7, seq, epoch, at + interval '1 minute', kind, NULL, request, reply, reason, NULL,
    identities, hash FROM ledger.journal WHERE partition = 0;
INSERT INTO ledger.transfer SELECT 7, seq, line, debit, credit, amount FROM ledger.transfer WHERE partition = 0
"""

ARCHIVE_ALL = """
SET ledger.ddl = 'a test';
ALTER TABLE ledger.{0} DETACH PARTITION ledger.{0}_000000;
ALTER TABLE ledger.{0}_000000 SET SCHEMA ledger_archive;
ALTER TABLE ledger_archive.{0} ATTACH PARTITION ledger_archive.{0}_000000 FOR VALUES FROM (0) TO (1000000000)
"""


async def _read(url: str, period: Period = EVER, only: int | None = None) -> tuple[dict[Account, Cents], list[Posted]]:
    async with reader(url) as connection:
        opened = await open_books(connection, PARIS, period, only=None if only is None else Partition(only))
        return dict(opened.opening), [posted async for posted in opened.posted]


@pytest.fixture
def url(database: Any, told: Any) -> str:
    return str(database.finance_url)


def _sums(posted: Sequence[Posted], opening: Mapping[Account, Cents]) -> Mapping[Account, int]:
    sums: Counter[Account] = Counter(opening)
    for moved in (moved for one in posted for moved in one.transfers):
        sums[moved.credit] += moved.amount
        sums[moved.debit] -= moved.amount
    return {account: cents for account, cents in sums.items() if cents}


@pytest.mark.parametrize("chunk", [1, 2, 5, 5_000])
async def test_every_record_with_money_is_read_once_whatever_the_chunks(
    url: str, story: Any, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """Declines, and records without money, are no entries of accounts."""
    monkeypatch.setattr(books, "CHUNK_SEQS", chunk)
    monkeypatch.setattr(reading, "WINDOW_SEQS", chunk)
    opening, posted = await _read(url)
    assert opening == {}
    assert [(one.seq, one.at, one.kind, one.reason, one.transfers) for one in posted] == [
        (seq, entry.at, entry.kind, entry.reason, entry.transfers) for seq, entry in story
    ]


@given(story=stories, closings=st.integers(0, 5), seconds=st.integers(-1, 12))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
async def test_opening_balances_are_what_all_transfers_before_make_from_whichever_closing_they_start(
    cluster: Any, story: Any, closings: int, seconds: int
) -> None:
    begin = LONG_AGO + timedelta(seconds=seconds)
    async with small_ledger(cluster) as small:
        store = PostgresStore(small.url)
        await write(store, story)
        for _ in range(closings):
            await store.close_range(Partition(0))
        opening, posted = await _read(small.finance_url, Period(begin))
        await store.close()
    assert opening == refolded([one for one in story if one.at < begin])
    assert [one.transfers for one in posted] == [one.transfers for one in story if one.at >= begin and one.transfers]


async def test_opening_balances_begin_at_the_last_closing_before(cluster: Any) -> None:
    """What was added up once isn't again: a closing that is told otherwise shows."""
    moved = Transfer(ACCOUNTS[0], ACCOUNTS[1], Cents(5))
    async with small_ledger(cluster) as small:
        store = PostgresStore(small.url)
        await write(store, [entry("h1", moved, at=LONG_AGO + timedelta(hours=hour)) for hour in range(9)])
        await store.close_range(Partition(0))
        superuser = await asyncpg.connect(small.superuser_url)
        await superuser.execute("SET ledger.ddl = 'a test'; ALTER TABLE ledger.closing DISABLE TRIGGER ALL")
        await superuser.execute("UPDATE ledger.closing SET balance = balance * 100")
        await superuser.close()
        openings = [(await _read(small.finance_url, Period(LONG_AGO + timedelta(hours=hour))))[0] for hour in (2, 3, 4)]
        await store.close()
    assert [opening[ACCOUNTS[1]] for opening in openings] == [10, 1500, 1505]


@pytest.mark.parametrize("cut", [None, -1, 0, 1, 120])
async def test_what_is_before_a_period_and_what_is_in_it_are_all_there_is(
    url: str, balance: Any, cut: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record of the period's first instant is in it; the opening balances add up to 0."""
    monkeypatch.setattr(reading, "WINDOW_SEQS", 3)
    begin = NOON.replace(microsecond=123456) + timedelta(microseconds=cut) if cut is not None else None
    opening, posted = await _read(url, Period(begin))
    assert sum(opening.values()) == 0
    assert 0 not in opening.values()
    assert all(begin is None or one.at >= begin for one in posted)
    assert _sums(posted, opening) == await balance()


async def test_a_period_ends_before_its_last_instant(url: str) -> None:
    _, posted = await _read(url, Period(None, NOON.replace(microsecond=123456)))
    assert posted[-1].seq == 6
    _, before = await _read(url, Period(NOON, NOON + timedelta(minutes=10)))
    assert [one.seq for one in before] == [7, 8]


async def test_partitions_are_merged_by_instant(url: str, superuser: Any, story: Any) -> None:
    await superuser.execute(SECOND_PARTITION)
    _, posted = await _read(url)
    order = [(one.at, one.partition, one.seq) for one in posted]
    assert len(order) == 2 * len(story)
    assert order == sorted(order)
    assert [one.name for one in posted][:4] == ["0:1", "7:1", "0:2", "7:2"]


async def test_one_partition_alone(url: str, superuser: Any, story: Any) -> None:
    await superuser.execute(SECOND_PARTITION)
    _, posted = await _read(url, only=7)
    assert [(one.partition, one.seq) for one in posted] == [(7, seq) for seq, _ in story]
    with pytest.raises(PartitionUnknown):
        await _read(url, only=3)


async def test_archived_ranges_are_read_too(url: str, superuser: Any, story: Any, second_year: Period) -> None:
    whole, part = await _read(url), await _read(url, second_year)
    await superuser.execute(ARCHIVE_ALL.format("journal"))
    await superuser.execute(ARCHIVE_ALL.format("transfer"))
    assert await superuser.fetchval("SELECT count(*) FROM ledger.transfer") == 0
    assert await _read(url) == whole
    assert await _read(url, second_year) == part


async def test_shortfalls_of_archived_ranges_are_reported_too(url: str, superuser: Any) -> None:
    before = await shortfalls(url)
    assert before.total.outstanding == 200
    await superuser.execute(ARCHIVE_ALL.format("journal"))
    await superuser.execute(ARCHIVE_ALL.format("transfer"))
    assert await shortfalls(url) == before


async def test_what_is_written_meanwhile_is_left_for_the_next_time(
    url: str, told: Any, entries: Any, story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads are noted at the start: what is exported is of one moment, also where the ledger is being written."""
    monkeypatch.setattr(books, "CHUNK_SEQS", 3)
    async with reader(url) as connection:
        opened = await open_books(connection, PARIS)
        seqs = []
        async for posted in opened.posted:
            await told.append(entries.payment(f"h{posted.seq}"))
            seqs.append(posted.seq)
    assert seqs == [seq for seq, _ in story]


async def test_progress_is_told_up_to_the_head_of_each_partition(
    url: str, superuser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await superuser.execute(SECOND_PARTITION)
    monkeypatch.setattr(books, "CHUNK_SEQS", 5)
    told: list[tuple[int, int, int]] = []
    async with reader(url) as connection:
        opened = await open_books(connection, PARIS, progress=lambda *reached: told.append(reached))
        assert [posted async for posted in opened.posted]
    for partition, head in ((0, 14), (7, 20)):
        mine = [(seq, last) for one, seq, last in told if one == partition]
        assert mine[-1] == (head, head)
        assert all(after < seq for (after, _), (seq, _) in pairwise(mine))


async def _walk(partition: int, minutes: Sequence[int]) -> Any:
    for seq, minute in enumerate(sorted(minutes), 1):
        moved = (Transfer(Account("a"), Account("b"), Cents(1)),)
        yield Posted(Partition(partition), Seq(seq), NOON + timedelta(minutes=minute), "load", "APPROVED", moved)


@given(st.lists(st.lists(st.integers(0, 20), max_size=8), max_size=4))
async def test_merging_loses_nothing_and_keeps_the_order_of_instants_then_partitions(
    partitions: list[list[int]],
) -> None:
    walks = [_walk(number, minutes) for number, minutes in enumerate(partitions)]
    order = [(one.at, one.partition, one.seq) async for one in books._merged(walks)]
    assert order == sorted(order)
    assert len(order) == sum(map(len, partitions))
