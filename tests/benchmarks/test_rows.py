"""The table's arithmetic: rates, ratios, and what is an error, what a refusal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.authorizer import Usage
from benchmarks.machine import Machine
from benchmarks.payments import batch, engine_us
from benchmarks.report import YARDSTICK, Report
from benchmarks.rows import row, row_of, times
from simulators.load.latencies import Latencies
from simulators.load.result import ReplyCount, Result

MILLISECOND = 1_000_000


def result(*replies, unanswered=0, unsent=0):
    return Result(
        asked_rate=100,
        held_rate=99,
        p50_ms=1,
        p90_ms=2,
        p99_ms=3,
        p99_9_ms=4,
        max_ms=5,
        lag_p99_ms=0.5,
        answered=sum(reply.count for reply in replies),
        unanswered=unanswered,
        unsent=unsent,
        replies=replies,
    )


def usage(user_ns, system_ns, appends, records, stages=None):
    return Usage(1, user_ns, system_ns, appends, records, stages or {})


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_the_rate_held_is_calls_over_time(count, milliseconds):
    held = row("", Latencies(), count, milliseconds * MILLISECOND).held
    assert held == pytest.approx(count * 1_000 / milliseconds)


@given(st.integers(1, 60_000))
def test_percentiles_are_milliseconds_within_a_tenth_of_a_percent(milliseconds):
    latencies = Latencies()
    latencies.record(milliseconds * MILLISECOND)
    line = row("", latencies, 1, MILLISECOND)
    assert line.p50_ms == line.max_ms == pytest.approx(milliseconds, rel=0.001)


def test_ninety_nine_of_a_hundred_are_below_the_99th_percentile():
    latencies = Latencies()
    for milliseconds in range(1, 101):
        latencies.record(milliseconds * MILLISECOND)
    line = row("", latencies, 100, MILLISECOND)
    percentiles = (line.p50_ms, line.p90_ms, line.p99_ms, line.p99_9_ms, line.max_ms)
    assert percentiles == pytest.approx((50, 90, 99, 100, 100), rel=0.001)


@given(st.floats(0.001, 1_000), st.floats(0.001, 1_000))
def test_a_ratio_is_of_the_yardstick(value, yardstick):
    assert times(value, yardstick) * yardstick == pytest.approx(value)


def test_the_yardstick_is_the_append_in_a_closed_loop():
    closed, opened = row(YARDSTICK, Latencies(), 1, 1), row(YARDSTICK, Latencies(), 1, 1, asked=100)
    disk = row("fdatasync, 4 KiB", Latencies(), 1, 1)
    machine = Machine("", 2, "", "", "", "", "", 0.0)
    assert Report(machine=machine, holders=1, rows=(disk, opened, closed)).yardstick is closed


def test_declines_are_refusals_by_reason_and_faults_are_errors():
    """A bank of refusals is an answer; an authorizer that is overloaded or broken isn't one."""
    line = row_of(
        "",
        result(
            ReplyCount("00", "APPROVED", 50),
            ReplyCount("10", "PARTIAL", 5),
            ReplyCount("61", "DAILY_CAP", 7),
            ReplyCount("51", "NO_FUNDS", 3),
            ReplyCount("91", "OVERLOADED", 2),
            ReplyCount("30", "FORMAT", 1),
            ReplyCount("05", None, 4),
            unanswered=11,
            unsent=13,
        ),
        0,
        0,
    )
    assert line.refusals == {"DAILY_CAP": 7, "NO_FUNDS": 3, "DE 39 05": 4}
    assert line.errors == 2 + 1 + 11 + 13
    assert line.count == 72


def test_processor_time_and_batches_are_of_the_stretch_between_two_readings():
    before, after = usage(1_000_000, 500_000, 10, 40), usage(3_000_000, 1_500_000, 15, 70)
    assert engine_us(before, after) == pytest.approx(3_000 / 30)
    assert batch(before, after) == pytest.approx(30 / 5)


def test_an_idle_stretch_divides_by_nothing():
    still = usage(1, 1, 1, 1)
    assert (engine_us(still, still), batch(still, still)) == (0, 0)
