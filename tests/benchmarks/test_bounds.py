"""What is held against what: figures and their bounds, and how measurements become figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import growth, memory, overload, processes, steady
from benchmarks.bounds import Bound, all_hold
from benchmarks.comparison import bounds_of
from benchmarks.growth import Shape
from benchmarks.machine import Machine
from benchmarks.overload import AFTER, BEFORE, DURING, SPAN_SECONDS, Phase, Phases, recovery_of
from benchmarks.report import SATURATED, Report
from benchmarks.rows import row
from benchmarks.steady import Side
from simulators.load.latencies import Latencies
from simulators.load.result import Distribution, Result

MACHINE = Machine("", 2, "", "", "", "", "", 0.0)
MILLISECOND = 1_000_000


def broken(bounds):
    return [one.what for one in bounds if not one.holds]


@given(st.floats(0, 10), st.floats(0, 10))
def test_a_bound_is_held_from_its_edge_on(value, edge):
    assert Bound(what="", value=value, unit="", least=edge).holds == (value >= edge)
    assert Bound(what="", value=value, unit="", most=edge).holds == (value <= edge)
    assert Bound(what="", value=value, unit="").holds


def test_what_is_not_held_says_so_and_what_is_only_told_says_nothing():
    assert Bound(what="p50", value=4.0, unit="×", most=3.0).cells() == ("p50", "4 ×", "≤ 3 ×", "NO")
    assert Bound(what="p50", value=2.5, unit="ms").cells() == ("p50", "2.50 ms", "", "")


def contenders(saturated, tpcb, rowlock):
    second = 1_000 * MILLISECOND
    lines = (
        (SATURATED, saturated),
        ("pgbench TPC-B-like, 8 clients", tpcb),
        ("row-lock function, 1 client", 9_000),
        ("row-lock function, 16 clients", rowlock),
    )
    rows = tuple(row(name, Latencies(), rate, second) for name, rate in lines)
    return Report(machine=MACHINE, holders=1, rows=rows)


def test_the_authorizer_is_compared_with_the_most_clients_of_the_row_lock_function():
    assert all_hold(bounds_of(contenders(3_000, 1_000, 3_000)))
    assert broken(bounds_of(contenders(2_900, 1_000, 2_800))) == ["times pgbench TPC-B-like, 8 clients"]
    assert broken(bounds_of(contenders(3_000, 1_000, 3_100))) == ["times row-lock function, 16 clients"]


def test_at_a_steady_rate_three_times_the_bare_append_is_the_most():
    append = Side("append", 100, 0, 1.0, 2.0, 4.0)
    assert all_hold(steady.bounds_of(append, Side("", 100, 0, 3.0, 9.0, 12.0)))
    slow = steady.bounds_of(append, Side("", 100, 1, 3.1, 6.0, 12.1))
    assert broken(slow) == ["times the bare append's p50", "times the bare append's p99.9", "errors of either"]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=4), st.floats(0.5, 3))
def test_arrivals_of_phases_ascend_and_bear_the_name_of_theirs(rates, seconds):
    plan = Phases.of(tuple(Phase(f"part{number}", rate, seconds) for number, rate in enumerate(rates)))
    arrivals = list(plan)
    assert arrivals == sorted(arrivals)
    assert arrivals == list(plan)
    for at in arrivals:
        name, span = plan.label(at).split()
        number = int(name.removeprefix("part"))
        into = at - number * seconds
        assert -1e-9 <= into < seconds + 1e-9
        assert int(span) == pytest.approx(into / SPAN_SECONDS, abs=1 + 1e-6)


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([3, 3, 3, 3, 3], 0.0),
        ([90, 40, 3, 3, 3, 3, 3], 1.0),
        ([3, 3, 90, 3, 3, 3, 3], 1.5),
        ([3, 90, 3, 90, 3, 90], None),
    ],
)
def test_recovery_is_when_latencies_are_normal_and_stay_so(spans, seconds):
    assert recovery_of(spans, 5.0) == seconds


def latencies(milliseconds, count):
    some = Latencies()
    for _ in range(count):
        some.record(int(milliseconds * MILLISECOND))
    return some


def answered(message, code, milliseconds, count):
    return Distribution(message, code, None, count, latencies(milliseconds, count).encode())


def overloaded(*during, after_ms=3, megabytes=(100.0, 101.0)):
    plan = Phases.of((Phase(BEFORE, 100, 1), Phase(DURING, 2_000, 1), Phase(AFTER, 100, 3)))
    calm = [answered(f"{BEFORE} {number}", "00", 3, 10) for number in range(2)]
    after = [answered(f"{AFTER} {number}", "00", after_ms if number < 5 else 3, 10) for number in range(6)]
    told = (*calm, *during, *after)
    result = Result(
        asked_rate=1,
        held_rate=1,
        p50_ms=1,
        p90_ms=1,
        p99_ms=1,
        p99_9_ms=1,
        max_ms=1,
        lag_p99_ms=1,
        answered=1,
        unanswered=0,
        unsent=0,
        replies=(),
        distributions=told,
    )
    return overload.summed_up(MACHINE, 1_000, plan, result, megabytes)


def test_an_overload_that_is_borne_holds_every_bound():
    measured = overloaded(answered(f"{DURING} 0", "00", 20, 950), answered(f"{DURING} 1", "91", 2, 900))
    assert all_hold(measured.bounds)
    assert measured.goodput == pytest.approx(950 / 1.02, rel=0.01)
    assert (measured.turned_away, measured.recovery_s) == (900, 0.0)


def test_what_is_answered_late_does_not_count_as_if_it_were_in_time():
    """A queue that is worked off after the load has ended isn't goodput of the load's time."""
    measured = overloaded(answered(f"{DURING} 0", "00", 1_000, 1_800))
    assert measured.goodput == pytest.approx(900, rel=0.01)


def test_each_bound_of_an_overload_can_be_broken():
    measured = overloaded(
        answered(f"{DURING} 0", "00", 20, 500),
        answered(f"{DURING} 0", "91", 300, 900),
        after_ms=40,
        megabytes=(*[100.0] * 10, 300.0),
    )
    assert broken(measured.bounds) == [
        "decided, of the highest rate that is answered",
        "turned away, p99",
        "the engine's memory: growth at its largest",
        "until p99 is normal again",
    ]


def test_growth_is_held_against_the_small_ledger_and_the_cold_holders_against_the_warm():
    shape = Shape(records=10, holders=5, active=2, rate=1, turns=1, seconds=1, checkpoint_seconds=1)
    small, large = Side("small", 1, 0, 2.0, 4.0, 9.0), Side("large", 1, 0, 2.5, 5.0, 30.0)
    cold = Side("cold", 1, 0, 3.4, 9.0, 90.0)
    assert all_hold(growth.summed_up(MACHINE, shape, [small, large, cold], (1.0, 2.9), (1.0, 1.0)).bounds)
    slower, colder = Side("large", 1, 0, 2.6, 5.0, 30.0), Side("cold", 1, 2, 3.7, 9.0, 90.0)
    assert broken(growth.summed_up(MACHINE, shape, [small, slower, colder], (3.1,), (1.0, 1.0)).bounds) == [
        "active holders, p50: large to small",
        "anybody, p50: more than active holders'",
        "start-up to ready, the slowest",
        "errors",
    ]


def test_memory_is_told_by_holder_and_is_flat_over_a_soak():
    sizes, flat = [100_000_000, 102_000_000, 102_048_000], [103_000_000] * 8
    assert all_hold(memory.summed_up(MACHINE, 1_000, 500, 10, sizes, flat, 0).bounds)
    grown = memory.summed_up(MACHINE, 999, 500, 10, sizes, [*flat, 109_000_000], 1)
    assert broken(grown.bounds) == ["an active holder", "largest to its first quarter's", "errors"]


def test_what_the_host_kept_is_told_as_a_part_of_all_processors_time(monkeypatch):
    ticks = iter([(10, 1_000), (60, 2_000)])
    monkeypatch.setattr(processes, "_stolen_ticks", lambda: next(ticks))
    assert str(processes.Stolen()) == "the host kept 5.0% of the processors' time to itself meanwhile"


def test_ticks_are_the_kernels():
    stolen, every = processes._stolen_ticks()
    assert 0 <= stolen < every
