"""A burst is taken in; more than can be answered, and for long, is turned away at once, and evenly."""

from contextlib import ExitStack

import pytest

from authz.engine.limits import Limits
from authz.engine.traffic import Share, Traffic

LIMITS = Limits(requests_max=40, standing_max=12, patience_ms=500, calm_max=2)


class Till:
    """Traffic on a clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.traffic = Traffic(LIMITS, lambda: self.seconds)
        self.waiting: dict[str, list[ExitStack]] = {}

    def ask(self, link: str, times: int = 1) -> int:
        """Ask so many times; tell how many of these were taken."""
        share = self.traffic.of(link)
        return sum(self._ask(link, share) for _ in range(times))

    def _ask(self, link: str, share: Share) -> bool:
        if share.is_full:
            return False
        request = ExitStack()
        request.enter_context(share)
        self.waiting.setdefault(link, []).append(request)
        return True

    def answer(self, link: str, times: int = 1) -> None:
        for _ in range(times):
            self.waiting[link].pop().close()

    def crowd(self) -> None:
        """Have more stand for long than is answered."""
        self.ask("A", LIMITS.standing_max)
        self.seconds += LIMITS.patience_ms / 1_000 + 0.001
        self.ask("A")
        assert self.traffic.is_crowded


@pytest.fixture
def till() -> Till:
    return Till()


def test_a_burst_is_taken_up_to_the_bound_of_all(till: Till) -> None:
    assert till.ask("A", 100) == LIMITS.requests_max == till.traffic.in_hand
    assert till.ask("B") == 0


def test_a_burst_that_is_answered_before_patience_ends_crowds_nobody(till: Till) -> None:
    till.ask("A", 30)
    till.seconds += LIMITS.patience_ms / 1_000
    till.answer("A", 30)
    till.seconds += 60
    assert till.ask("A", 30) == 30
    assert not till.traffic.is_crowded


def test_falling_below_the_bound_once_begins_the_time_anew(till: Till) -> None:
    till.ask("A", LIMITS.standing_max)
    till.seconds += 0.4
    till.answer("A")
    till.ask("A")
    till.seconds += 0.4
    till.ask("A")
    assert not till.traffic.is_crowded
    till.seconds += 0.101
    till.ask("A")
    assert till.traffic.is_crowded


def test_what_goes_on_arriving_faster_than_it_is_answered_is_turned_away(till: Till) -> None:
    till.crowd()
    assert till.ask("A") == 0
    till.answer("A", 2)
    assert till.ask("A", 5) == 1, "as many as are answered are taken"
    assert till.traffic.in_hand == LIMITS.standing_max


def test_in_a_crowd_links_share_evenly_and_a_quiet_one_is_taken(till: Till) -> None:
    till.crowd()
    assert till.ask("B", 100) == LIMITS.standing_max // 2
    assert till.ask("C", 100) == LIMITS.standing_max // 3
    assert till.ask("A") == 0
    till.answer("B", 6)
    till.answer("C", 4)
    assert till.ask("B", 100) == LIMITS.standing_max // 2


def test_in_a_calm_it_is_over(till: Till) -> None:
    till.crowd()
    till.answer("A", till.traffic.in_hand - LIMITS.calm_max - 1)
    assert till.traffic.is_crowded
    till.answer("A")
    assert not till.traffic.is_crowded
    assert till.ask("A", 20) == 20


def test_payments_flow_until_it_is_quiet_for_a_second(till: Till) -> None:
    assert not till.traffic.flows
    till.ask("A")
    till.seconds += 60
    assert till.traffic.flows, "one is in hand"
    till.answer("A")
    assert not till.traffic.flows
    till.ask("A")
    till.answer("A")
    till.seconds += 0.9
    assert till.traffic.flows
