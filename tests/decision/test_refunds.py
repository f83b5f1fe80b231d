"""Refunds (processing code 20): by the programme's rule, of a payment that is named, back to its lots."""

from datetime import date

import pytest
from msgspec.structs import replace

from authz.decision.outcomes import Balance, Outcome, Reason, Reply
from authz.decision.position import Position
from authz.decision.posting import approval_code
from authz.decision.standing import Effect
from ledger.values import Cents
from tests.decision.history import REFUNDING, History, done, told
from tests.decision.world import (
    APETIZ,
    HIFI,
    HOLDER,
    NOTHING,
    PLUXEE,
    advice,
    completion,
    months,
    paris,
    purchase,
    refund,
    reversal,
    vintage,
)


def paid(amount: int = 1000) -> History:
    """A history that begins with a purchase, `lunch`."""
    history = History(vintage(2026, 5000))
    history.do(purchase(amount, reference="lunch"))
    return history


def test_a_refund_gives_back_and_leaves_the_days_cap_as_it_was() -> None:
    history = paid()
    outcome = history.do(refund(600, "lunch"))
    assert told(outcome) == done(payable_to_holder=600)
    assert outcome.reply.balances == (Balance("90", Cents(4600), Cents(900)),)
    assert outcome.reply.approval == approval_code("refund")
    assert (history.spent, history.available) == (1000, 4600)


def test_its_record_says_what_stands_of_it_and_of_the_payment() -> None:
    history = paid()
    given, payment = history.do(refund(600, "lunch")).reply.standings
    assert (given.original, given.step, given.effect, given.of, given.amount) == (
        "refund",
        0,
        Effect.REFUND,
        "lunch",
        600,
    )
    assert (payment.original, payment.step, payment.effect, payment.amount) == ("lunch", 1, Effect.DEBIT, 400)


def test_it_goes_back_to_the_very_lots_what_was_taken_last_first() -> None:
    history = History(vintage(2025, 700), vintage(2026, 5000), at=paris("2026-02-20T12:30:00"))
    history.do(purchase(1000, reference="lunch"))
    history.do(refund(400, "lunch"))
    assert history.position.purse.lots == (vintage(2025, 100), vintage(2026, 5000))


def test_a_lot_that_expired_since_goes_on_to_where_it_waits_to_be_exchanged() -> None:
    history = History(vintage(2025, 700), at=paris("2026-02-27T12:30:00"))
    history.do(purchase(700, reference="lunch"))
    history.later(days=4)
    assert told(history.do(refund(700, "lunch"))) == done(payable_to_holder=700, holder_to_expired=700)


def test_of_a_payment_with_a_shortfall_the_shortfall_comes_back_first() -> None:
    history = History(vintage(2026, 1000))
    history.do(advice(1500, reference="offline"))
    assert told(history.do(refund(700, "offline"))) == done(payable_to_exceptions=500, payable_to_holder=200)
    assert told(history.do(reversal("refund"))) == done(holder_to_payable=200, exceptions_to_payable=500)


@pytest.mark.parametrize("named", ["table", "bill"])
def test_of_a_captured_hold_by_its_own_name_or_its_completions(named: str) -> None:
    history = History(vintage(2026, 5000))
    history.do(purchase(1000, reference="table", holds=True))
    history.do(completion(600, "table", reference="bill"))
    assert told(history.do(refund(601, named, reference="too much")))[0] is Reason.REFUND_NOT_ALLOWED
    assert told(history.do(refund(600, named))) == done(payable_to_holder=600)


@pytest.mark.parametrize(
    ("back", "more", "reason"), [(600, 400, Reason.APPROVED), (600, 401, Reason.REFUND_NOT_ALLOWED)]
)
def test_several_together_never_exceed_the_payment(back: int, more: int, reason: Reason) -> None:
    history = paid()
    history.do(refund(back, "lunch", reference="first"))
    assert history.do(refund(more, "lunch")).reply.reason is reason


@pytest.mark.parametrize(("back", "reason"), [(400, Reason.APPROVED), (401, Reason.REFUND_NOT_ALLOWED)])
def test_refunds_and_reversals_together_never_exceed_the_payment(back: int, reason: Reason) -> None:
    history = paid()
    history.do(reversal("lunch", stands=400))
    assert history.do(refund(back, "lunch")).reply.reason is reason


def test_what_a_reversed_refund_gave_can_be_refunded_again() -> None:
    history = paid()
    history.do(refund(1000, "lunch", reference="first"))
    assert history.do(refund(1, "lunch", reference="too much")).reply.reason is Reason.REFUND_NOT_ALLOWED
    history.do(reversal("first"))
    assert told(history.do(refund(1000, "lunch"))) == done(payable_to_holder=1000)


def refused(history: History, **changes: object) -> None:
    before: Position = history.position
    outcome = history.do(refund(600, "lunch", **changes))
    assert outcome == Outcome(Reply(Reason.REFUND_NOT_ALLOWED), HOLDER, before)


def test_the_programmes_that_are_shipped_take_none() -> None:
    assert not PLUXEE.refunds.allowed
    history = paid()
    assert told(history.do(refund(600, "lunch"), programme=APETIZ)) == (Reason.REFUND_NOT_ALLOWED, {})


@pytest.mark.parametrize("originals", [(), ("nothing of ours",), ("last year's", "nothing of ours")])
def test_an_original_must_be_named_and_be_there(originals: tuple[str, ...]) -> None:
    refused(paid(), originals=originals)


def test_of_a_reversal_that_came_before_its_original() -> None:
    history = History(vintage(2026, 5000))
    history.do(reversal("lunch"))
    refused(history)


def test_of_a_declined_purchase() -> None:
    refused(paid(1901))


def test_of_a_hold() -> None:
    history = History(vintage(2026, 5000))
    history.do(purchase(1000, reference="lunch", holds=True))
    refused(history)


def test_of_a_refund() -> None:
    history = paid()
    history.do(refund(700, "lunch", reference="first"))
    refused(history, originals=("first",))


def test_of_another_product() -> None:
    both = replace(REFUNDING, products=(*APETIZ.products, *PLUXEE.products))
    history = History(vintage(2026, 5000), months("91", 5000), programme=both)
    history.do(purchase(1000, reference="lunch"))
    refused(history, product="91")


def test_the_card_is_judged_as_in_a_purchase_but_a_pin_calendar_merchant_and_cap_are_not() -> None:
    history = paid(1900)
    sunday = {"evidence": NOTHING, "instant": paris("2026-05-17T12:30:00")}
    assert told(history.do(refund(600, "lunch", reference="first"), merchant=None, **sunday))[0] is Reason.APPROVED
    assert told(history.do(refund(600, "lunch", reference="second"), merchant=HIFI, **sunday))[0] is Reason.APPROVED
    assert told(history.do(refund(600, "lunch", expiry="2712"))) == (Reason.CARD_EXPIRED, {})


def test_the_money_can_be_spent_at_once_by_tomorrows_cap() -> None:
    history = paid(1900)
    history.do(refund(1900, "lunch"))
    assert history.do(purchase(1, reference="today's")).reply.reason is Reason.DAILY_CAP
    history.later(days=1)
    assert history.do(purchase(1900, reference="tomorrow's")).reply.reason is Reason.APPROVED
    assert history.position.spent_on(date(2026, 5, 12), "90") == 1900
