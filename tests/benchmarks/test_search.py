"""The search for the highest rate that is held, on a machine that is made up."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.search import STEPS_MAX, TRIES_A_RATE_MAX, highest_held


def search(can, start=1_000, most=20_000, step=1.5, within=0.05):
    """Search on a machine of which `can` says whether it holds a rate, at the number of the try."""
    tried = []

    async def measure(rate):
        tried.append(rate)
        return can(rate, len(tried))

    return asyncio.run(highest_held(measure, bool, start=start, most=most, step=step, within=within))


@given(st.floats(1_000, 19_000), st.floats(500, 3_000))
def test_what_is_found_is_held_and_hardly_more_would_be(capacity, start):
    found = search(lambda rate, _: rate <= capacity, start=start)
    assert found.best.rate <= capacity <= found.best.rate * 1.06


def test_a_machine_that_holds_the_most_is_not_asked_for_more():
    found = search(lambda *_: True, most=5_000)
    assert found.best.rate == 5_000
    assert max(one.rate for one in found.tries) == 5_000


def test_one_stall_does_not_end_the_search():
    """Whatever else runs on a machine stalls it now and then."""
    found = search(lambda rate, number: rate <= 6_000 and number != 2)
    assert found.best.rate == pytest.approx(6_000, rel=0.06)


def test_where_nothing_is_held_the_search_ends_and_says_so():
    found = search(lambda *_: False)
    assert found.best is None
    assert len(found.tries) <= TRIES_A_RATE_MAX * STEPS_MAX


def test_a_start_too_high_is_searched_from_downwards():
    found = search(lambda rate, _: rate <= 150)
    assert found.best.rate <= 150 <= found.best.rate * 1.06
