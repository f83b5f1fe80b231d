"""Reversals of holds and of their completions: never twice, and the hold stays ended (docs/reversals.md)."""

import pytest

from authz.decision.outcomes import Reason
from tests.decision.history import History, done, told
from tests.decision.world import completion, purchase, reversal, vintage


def held(amount: int = 1000) -> History:
    """A history that begins with a hold, `table`."""
    history = History(vintage(2026, 5000))
    history.do(purchase(amount, reference="table", holds=True))
    return history


def completed(amount: int) -> History:
    """A hold of 10.00, `table`, and its completion, `bill`."""
    history = held()
    history.do(completion(amount, "table", reference="bill"))
    return history


def test_of_an_open_hold_in_full_it_is_released() -> None:
    history = held()
    assert told(history.do(reversal("table"))) == done(hold_to_holder=1000)
    assert (history.spent, history.position.purse.holds) == (0, ())


def test_of_an_open_hold_in_part_the_rest_can_still_be_captured() -> None:
    history = held()
    assert told(history.do(reversal("table", stands=400))) == done(hold_to_holder=600)
    assert history.spent == 400
    assert told(history.do(reversal("table", stands=400))) == done()
    assert told(history.do(completion(400, "table"))) == done(hold_to_payable=400)


@pytest.mark.parametrize("named", ["table", "bill"])
def test_after_the_completion_what_was_captured_goes_back_and_the_hold_stays_ended(named: str) -> None:
    history = completed(600)
    assert told(history.do(reversal(named))) == done(payable_to_holder=600)
    assert (history.spent, history.available) == (0, 5000)
    assert history.do(completion(600, "table")).reply.reason is Reason.NO_ORIGINAL


@pytest.mark.parametrize("named", ["table", "bill"])
def test_after_the_completion_in_part(named: str) -> None:
    history = completed(600)
    assert told(history.do(reversal(named, stands=600))) == done()
    assert told(history.do(reversal(named, stands=200))) == done(payable_to_holder=400)
    assert history.spent == 200


@pytest.mark.parametrize(("first", "then"), [("table", "bill"), ("bill", "table"), ("bill", "bill")])
def test_of_the_hold_and_of_its_completion_it_goes_back_once(first: str, then: str) -> None:
    history = completed(600)
    assert told(history.do(reversal(first))) == done(payable_to_holder=600)
    assert told(history.do(reversal(then))) == done()


def test_of_a_hold_reversed_in_part_and_then_completed() -> None:
    history = held()
    history.do(reversal("table", stands=800))
    history.do(completion(500, "table", reference="bill"))
    assert told(history.do(reversal("table", stands=800))) == done()
    assert told(history.do(reversal("table"))) == done(payable_to_holder=500)


def test_of_a_hold_that_was_released_there_is_nothing_to_undo() -> None:
    history = completed(0)
    assert told(history.do(reversal("table"))) == done()
    assert told(history.do(reversal("bill"))) == done()


def test_of_a_hold_that_has_lapsed_it_only_keeps_a_completion_from_finding_it() -> None:
    history = held()
    history.later(days=8)
    outcome = history.do(reversal("table"))
    assert told(outcome) == done(hold_to_holder=1000)  # the lapse, which it posts
    assert told(history.do(reversal("table"))) == done()
    assert history.do(completion(600, "table")).reply.reason is Reason.NO_ORIGINAL


def test_of_a_hold_that_has_lapsed_in_part_a_completion_still_finds_it() -> None:
    history = held()
    history.later(days=8)
    assert told(history.do(reversal("table", stands=600))) == done()
    outcome = history.do(completion(600, "table"))
    assert told(outcome) == done(hold_to_holder=1000, holder_to_payable=600)


@pytest.mark.parametrize("named", ["table", "bill"])
def test_of_a_completion_above_its_hold_the_shortfall_comes_back_first(named: str) -> None:
    history = completed(1300)
    assert told(history.do(reversal(named, stands=900))) == done(payable_to_exceptions=300, payable_to_holder=100)
    assert told(history.do(reversal(named))) == done(payable_to_holder=900)
    assert history.balance("acquirer:") == 0
