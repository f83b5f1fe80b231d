"""Long reads go by windows, each a statement of its own (docs/ledger.md: no snapshot may stay open for long)."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import reading
from ledger.reading import Pace, windows
from ledger.values import Seq


@given(after=st.integers(0, 100), seqs=st.integers(0, 100), size=st.integers(1, 12))
def test_windows_cover_every_seq_once_and_none_is_too_wide(after: int, seqs: int, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "WINDOW_SEQS", size)
        cut = list(windows(Seq(after), Seq(after + seqs)))
    covered = [seq for begin, end in cut for seq in range(begin + 1, end + 1)]
    assert covered == list(range(after + 1, after + seqs + 1))
    assert all(0 < end - begin <= size for begin, end in cut)


def test_there_is_no_window_before_the_first_seq() -> None:
    assert list(windows(Seq(7), Seq(3))) == []


async def test_a_reader_keeps_to_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the loop's clock, which stands still here but for what is slept."""
    clock, slept = 100.0, list[float]()

    async def sleep(seconds: float) -> None:
        nonlocal clock
        slept.append(seconds)
        clock += seconds

    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock)
    monkeypatch.setattr("ledger.reading.asyncio.sleep", sleep)
    pace = Pace(1_000)
    for _ in range(3):
        await pace.after(500)
    clock += 60  # what was missed isn't made up for
    await pace.after(500)
    assert slept == [0.5] * 4
    await Pace(None).after(500)
    assert len(slept) == 4
