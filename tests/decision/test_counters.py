"""A chip's transaction counter (ATC): each is good once, in any order that requests can overtake each other in."""

from hypothesis import example, given
from hypothesis import strategies as st

from authz.decision.evidence import Check, Evidence
from authz.decision.outcomes import Reason
from authz.decision.position import COUNTERS_BELOW_MAX
from tests.decision.world import after, card, pay, position, vintage

counters = st.one_of(st.integers(1, 40), st.integers(1, 65_535))


@given(st.lists(counters, max_size=40))
@example([3, 1, 2, 2, 1, 3])
@example([1, 65_535, 65_534, 1])
@example([20, 4, 3])
def test_a_counter_is_good_once_and_as_long_as_it_can_be_told(sent: list[int]) -> None:
    at, seen = position(vintage(2026, 100_000)), {0}
    for counter in sent:
        evidence = Evidence(pin=Check.RIGHT, arqc=Check.RIGHT, counter=counter)
        outcome = pay(at, 1, evidence=evidence)
        is_new = counter not in seen and counter >= max(seen) - COUNTERS_BELOW_MAX
        assert (outcome.reply.reason is Reason.ARQC_WRONG) == (not is_new)
        at, seen = after(outcome), seen | {counter} if is_new else seen
        assert at.cards[0].counter == max(seen)


def test_a_counter_of_a_wrong_cryptogram_uses_none_up() -> None:
    wrong = pay(position(vintage(2026, 1000)), 1, evidence=Evidence(pin=Check.RIGHT, arqc=Check.WRONG, counter=9))
    assert after(wrong).cards[0] == card()
    right = pay(after(wrong), 1, evidence=Evidence(pin=Check.RIGHT, arqc=Check.RIGHT, counter=9))
    assert right.reply.reason is Reason.APPROVED
