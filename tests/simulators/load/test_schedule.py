"""Arrival times are fixed beforehand: by a seed, and by nothing that happens later."""

import math
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.load.schedule import LUNCH_FLOOR, Pace, Schedule

rates, paces = st.floats(1, 1_000), st.sampled_from(list(Pace))


@given(rate=rates, seed=st.integers(), pace=paces, warm_up=st.floats(0, 2))
def test_a_schedule_is_fixed_by_its_seed_ascends_and_keeps_its_rate(rate, seed, pace, warm_up):
    plan = Schedule(rate, 2, pace, seed, warm_up)
    arrivals = plan.arrivals
    assert arrivals == tuple(plan) == Schedule(rate, 2, pace, seed, warm_up).arrivals
    assert list(arrivals) == sorted(arrivals)
    assert all(-warm_up - 1 / rate <= at < 2 + 1 / rate for at in arrivals)
    measured, expected = sum(at >= 0 for at in arrivals), 2 * plan.asked_rate
    assert abs(measured - expected) <= 6 * math.sqrt(expected) + 1


def test_twenty_thousand_a_second_for_a_day_begins_at_once():
    """Arrivals are drawn as they are needed: a long run takes no more memory than a short one."""
    first = list(islice(Schedule(20_000, 86_400), 1_000))
    assert len(first) == 1_000


def test_poisson_arrivals_are_independent():
    """Counts of a Poisson process have a variance equal to their mean: 1 within six standard errors."""
    counts = counts_of(Schedule(100, 100, Pace.POISSON, seed=3), parts=1_000)
    mean = sum(counts) / len(counts)
    dispersion = sum((count - mean) ** 2 for count in counts) / (len(counts) - 1) / mean
    assert dispersion == pytest.approx(1, abs=6 * math.sqrt(2 / len(counts)))


def test_a_lunch_is_a_bell_that_reaches_its_rate_in_the_middle():
    counts = counts_of(Schedule(1_000, 70, Pace.LUNCH, seed=3), parts=7)
    first, middle, last = counts[0], counts[3], counts[6]
    assert middle > 0.8 * 1_000 * 10
    assert max(first, last) < 2 * LUNCH_FLOOR * 1_000 * 10
    assert counts[:4] == sorted(counts[:4])
    assert counts[3:] == sorted(counts[3:], reverse=True)


def counts_of(plan, parts):
    counts = [0] * parts
    for at in plan:
        counts[int(at / plan.seconds * parts)] += 1
    return counts
