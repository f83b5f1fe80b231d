"""Both stores keep the same ranges: what is full, what is closed, who was last written there, and what it holds."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.chain import GENESIS
from ledger.store import PASSBOOKS_A_CALL_MAX, FullRange, Line, RangeNotFull, Unavailable
from ledger.values import HolderId, Manifest, Seq
from tests.ledger.small import MAIN, RANGE_SIZE, entry, small_store, stories, write

both = pytest.mark.parametrize("kind", ["memory", "postgres"])
grown = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


@both
@given(story=stories, page_size=st.integers(1, 3))
@grown
async def test_ranges_are_what_the_records_make_them(kind, cluster, story, page_size):
    """Range n is the seqs from n * size on and before (n + 1) * size; seq 0 is nobody's."""
    async with small_store(kind, cluster) as store:
        records = await write(store, story) if story else []
        full = range((len(records) + 1) // RANGE_SIZE)
        ends = [(number + 1) * RANGE_SIZE - 1 for number in full]

        expected = [FullRange(number, records[end - 1].entry.at, False, False) for number, end in enumerate(ends)]
        assert await store.full_ranges(MAIN) == expected
        assert [await store.close_range(MAIN) for _ in full] == list(full)
        assert await store.close_range(MAIN) is None
        assert all(one.closed for one in await store.full_ranges(MAIN))

        newest = {one.entry.holder: Line(one.seq, one.entry.position) for one in records if one.entry.holder}
        for number in (*full, len(full), len(full) + 5):
            expected = sorted(name for name, line in newest.items() if line.seq // RANGE_SIZE == number)
            walked, after = [], ""
            while page := await store.last_written_in(MAIN, number, after, page_size):
                walked, after = walked + list(page), page[-1]
            assert walked == expected
        walked, after = [], ""
        while page := await store.passbooks(MAIN, after, page_size):
            walked, after = walked + list(page), page[-1][0]
        assert walked == [(name, newest[name]) for name in sorted(newest) if ":" not in name]

        for number, end in enumerate(ends):
            first = max(number * RANGE_SIZE, 1)
            inside = records[first - 1 : end]
            before = records[first - 2].hash if first > 1 else GENESIS
            transfers = sum(len(one.entry.transfers) for one in inside)
            assert await store.manifest(MAIN, number) == Manifest(
                number, Seq(first), Seq(end), len(inside), transfers, before.hex(), inside[-1].hash.hex()
            )
        with pytest.raises(RangeNotFull):
            await store.manifest(MAIN, len(full))


@both
async def test_a_walk_has_a_limit(kind, cluster):
    async with small_store(kind, cluster) as store:
        for walk in (store.passbooks(MAIN, "", 257), store.last_written_in(MAIN, 0, "", PASSBOOKS_A_CALL_MAX + 1)):
            with pytest.raises(ValueError, match="257 passbooks asked for at once, at most 256"):
                await walk


@both
async def test_a_watcher_sees_the_fence_move(kind, cluster):
    async with small_store(kind, cluster) as store, store.watch(MAIN) as look:
        assert await look() == await store.fence(MAIN)
        await write(store, [entry()])
        assert (await look()).head == 1


async def test_a_watch_that_broke_stays_broken():
    """What was seen so far may have been another server's."""
    async with small_store("memory", None) as store, store.watch(MAIN) as look:
        store.reachable = False
        with pytest.raises(Unavailable):
            await look()
        store.reachable = True
        with pytest.raises(Unavailable):
            await look()
        async with store.watch(MAIN) as again:
            assert await again() == await store.fence(MAIN)
        store.reachable = False
        with pytest.raises(Unavailable):
            async with store.watch(MAIN):
                pass


async def test_passbooks_are_walked_by_steps_over_whole_kinds_of_references(cluster):
    """A name that begins like a reference, or goes on like one, is none."""
    names = ["merchan", "merchant", "merchant:", "merchant:1", "merchant:9", "merchant;", "merchants", "zoé", "zoé:1"]
    async with small_store("postgres", cluster) as store:
        await write(store, [entry(name, position=f'"{name}"') for name in reversed(names)])
        found = await store.passbooks(MAIN, "", PASSBOOKS_A_CALL_MAX)
        assert [name for name, _ in found] == ["merchan", "merchant", "merchant;", "merchants", "zoé"]
        assert [line.position for _, line in found] == [f'"{name}"' for name, _ in found]
        assert await store.newest(MAIN, [HolderId("merchant:9")])
