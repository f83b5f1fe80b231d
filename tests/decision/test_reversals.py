"""Reversals: what stands goes only down, back to the very lots, off the cap of its day (docs/reversals.md)."""

from datetime import date

import pytest
from msgspec.structs import replace

from authz.decision.outcomes import Balance, Reason
from authz.decision.position import CardStatus
from authz.decision.standing import Effect
from ledger.values import Cents, Lot
from tests.decision.history import History, done, told
from tests.decision.world import (
    NOTHING,
    ORIGIN,
    advice,
    card,
    completion,
    inquiry,
    locally,
    paris,
    purchase,
    refund,
    reversal,
    vintage,
)

TUESDAY_12 = date(2026, 5, 12)


def paid(amount: int = 1000, *loaded: Lot, **changes: object) -> History:
    """A history that begins with a purchase, `lunch`."""
    history = History(*(loaded or (vintage(2026, 5000),)))
    history.do(purchase(amount, reference="lunch", **changes))
    return history


# Of a purchase


def test_in_full_it_goes_back_to_its_lots_and_off_the_cap_of_its_day() -> None:
    history = History(vintage(2025, 700), vintage(2026, 5000), at=paris("2026-02-20T12:30:00"))
    before = history.position
    history.do(purchase(1000, reference="lunch"))
    outcome = history.do(reversal("lunch"))
    assert told(outcome) == done(payable_to_holder=1000)
    assert history.position == before
    assert outcome.reply.balances == (Balance("90", Cents(5700), Cents(1900)),)
    assert outcome.reply.approval == history.stands("lunch").approval


def test_in_part_what_was_taken_last_goes_back_first() -> None:
    history = History(vintage(2025, 700), vintage(2026, 5000), at=paris("2026-02-20T12:30:00"))
    history.do(purchase(1000, reference="lunch"))
    assert told(history.do(reversal("lunch", stands=400))) == done(payable_to_holder=600)
    assert history.balance("holder:h1:90:2025") == 300
    assert history.balance("holder:h1:90:2026") == 5000
    assert history.spent == 400


def test_a_second_one_finds_nothing_left_to_undo() -> None:
    history = paid()
    history.do(reversal("lunch"))
    before = history.position
    outcome = history.do(reversal("lunch"))
    assert told(outcome) == done()
    assert (history.position, outcome.reply.standings) == (before, ())


def test_in_part_and_then_in_full() -> None:
    history = paid()
    history.do(reversal("lunch", stands=400))
    assert told(history.do(reversal("lunch"))) == done(payable_to_holder=400)
    assert (history.spent, history.stands("lunch").amount) == (0, 0)


def test_in_full_and_then_in_part_nothing_comes_to_stand_again() -> None:
    history = paid()
    history.do(reversal("lunch"))
    assert told(history.do(reversal("lunch", stands=400))) == done()
    assert history.stands("lunch").amount == 0


@pytest.mark.parametrize("stands", [1000, 1001, 10**9])
def test_at_or_above_what_stands_it_has_no_effect(stands: int) -> None:
    history = paid()
    before = history.position
    assert told(history.do(reversal("lunch", stands=stands))) == done()
    assert history.position == before


@pytest.mark.parametrize(("stands", "back"), [(0, 1900), (1000, 900), (1900, 0), (2500, 0)])
def test_of_a_partial_approval_it_goes_down_from_what_was_approved(stands: int, back: int) -> None:
    history = paid(2500, takes_partial=True)
    assert history.stands("lunch").amount == 1900
    assert told(history.do(reversal("lunch", stands=stands))) == done(**({"payable_to_holder": back} if back else {}))
    assert history.spent == 1900 - back


def test_it_comes_off_the_cap_of_its_day_also_days_later() -> None:
    history = paid(1000)
    history.later(days=1)
    history.do(purchase(500, reference="the next day's"))
    history.do(reversal("lunch", stands=400))
    assert history.position.spent_on(TUESDAY_12, "90") == 400
    assert history.position.spent_on(date(2026, 5, 13), "90") == 500


def test_any_time_later_the_money_still_goes_back() -> None:
    history = paid(1000)
    history.later(days=200)
    assert told(history.do(reversal("lunch"))) == done(payable_to_holder=1000)
    assert history.balance("holder:h1:90:2026") == 5000


def test_of_an_offline_payment_with_a_shortfall_the_shortfall_comes_back_first() -> None:
    history = History(vintage(2026, 1000))
    history.do(advice(1500, reference="offline"))
    assert told(history.do(reversal("offline", stands=1200))) == done(payable_to_exceptions=300)
    assert (history.spent, history.balance("acquirer:970001:exceptions")) == (1000, -200)
    assert told(history.do(reversal("offline"))) == done(payable_to_exceptions=200, payable_to_holder=1000)
    assert (history.spent, history.balance("acquirer:")) == (0, 0)


# Of what moved no money


def test_of_a_declined_request_there_is_nothing_to_undo() -> None:
    history = History(vintage(2026, 500))
    history.do(purchase(1000, reference="lunch"))
    assert told(history.do(reversal("lunch"))) == done()
    history.do(completion(1000, "nothing of ours", reference="bill"))
    assert told(history.do(reversal("bill"))) == done()
    history.do(advice(1000, reference="offline", declined=True))
    assert told(history.do(reversal("offline"))) == done()


def test_of_an_inquiry_there_is_nothing_to_undo() -> None:
    history = History(vintage(2026, 500))
    history.do(inquiry(reference="what is left"))
    assert told(history.do(reversal("what is left"))) == done()


# Of a refund, and after one


def refunded(payment: int = 1000, back: int = 600) -> History:
    history = paid(payment)
    history.do(refund(back, "lunch", reference="back"))
    return history


def test_of_a_refund_it_debits_again_and_the_payment_stands_again() -> None:
    history = refunded()
    assert told(history.do(reversal("back"))) == done(holder_to_payable=600)
    assert (history.stands("back").amount, history.stands("lunch").amount) == (0, 1000)
    assert history.stands("lunch").effect is Effect.DEBIT
    assert history.spent == 1000
    assert told(history.do(reversal("back"))) == done()
    assert told(history.do(reversal("lunch"))) == done(payable_to_holder=1000)


def test_of_a_refund_in_part() -> None:
    history = refunded()
    assert told(history.do(reversal("back", stands=200))) == done(holder_to_payable=400)
    assert (history.stands("back").amount, history.stands("lunch").amount) == (200, 800)


def test_of_a_refund_that_was_spent_the_rest_is_a_shortfall_and_comes_back_first() -> None:
    history = paid(1000, vintage(2026, 1000))
    history.do(refund(600, "lunch", reference="back"))
    history.later(days=1)
    history.do(purchase(400, reference="another"))
    assert history.available == 200
    assert told(history.do(reversal("back"))) == done(holder_to_payable=200, exceptions_to_payable=400)
    assert (history.stands("lunch").vouchers, history.stands("lunch").shortfall) == (600, 400)
    assert told(history.do(reversal("lunch", stands=500))) == done(payable_to_exceptions=400, payable_to_holder=100)


def test_of_a_refund_of_a_shortfall_it_is_a_shortfall_again_even_where_the_balance_would_do() -> None:
    history = History(vintage(2026, 1000))
    history.do(advice(1500, reference="offline"))
    history.do(refund(700, "offline", reference="back"))
    history.do(reversal("back", stands=500))
    assert history.available == 200
    assert told(history.do(reversal("back"))) == done(holder_to_payable=200, exceptions_to_payable=300)


def test_after_a_refund_what_the_refund_left_goes_back() -> None:
    history = refunded(1000, 600)
    assert told(history.do(reversal("lunch"))) == done(payable_to_holder=400)
    assert (history.available, history.spent) == (5000, 600)


# Of what isn't here


def test_of_an_original_that_never_came_its_name_is_kept_so_that_it_is_refused() -> None:
    history = History(vintage(2026, 500))
    before = history.position
    outcome = history.do(reversal("this year's", "last year's"))
    assert told(outcome) == (Reason.NO_ORIGINAL, {})
    assert (outcome.never_came, outcome.state) == ("this year's", before)


def test_of_an_original_that_never_came_again_no_second_name_is_kept() -> None:
    history = History(vintage(2026, 500))
    history.do(reversal("this year's", "last year's"))
    outcome = history.do(reversal("this year's", "last year's"))
    assert told(outcome) == (Reason.NO_ORIGINAL, {})
    assert outcome.never_came is None


def test_of_what_no_request_of_ours_can_be_called_no_name_is_kept() -> None:
    outcome = History(vintage(2026, 500)).do(reversal())
    assert told(outcome) == (Reason.NO_ORIGINAL, {})
    assert outcome.never_came is None


def test_de_90_has_no_year_and_the_likeliest_that_is_there_is_meant() -> None:
    history = paid()
    assert told(history.do(reversal("next year's", "lunch"))) == done(payable_to_holder=1000)


# Who can refuse one


@pytest.mark.parametrize(
    "now",
    [
        *(card(status=status) for status in CardStatus),
        card(expiry="2601"),
        card(pin_wrong=3),
        card(cvv2_wrong=5),
    ],
)
def test_no_card_is_too_stopped_expired_or_locked_for_one(now: object) -> None:
    history = paid()
    history.position = replace(history.position, cards=(now,))
    sunday = paris("2026-05-17T12:30:00")
    outcome = history.do(reversal("lunch"), evidence=NOTHING, instant=sunday, merchant=None)
    assert told(outcome) == done(payable_to_holder=1000)


STRANGER: dict[str, object] = {"position": None, "holder": None, "programme": None}


def test_of_an_unknown_cards_request_there_is_nothing_there() -> None:
    outcome = History().do(reversal("lunch", card=None), **STRANGER)
    assert (told(outcome), outcome.never_came) == ((Reason.NO_ORIGINAL, {}), "lunch")
    assert (outcome.holder, outcome.state) == (None, None)


def test_of_an_unknown_cards_declined_request_there_is_nothing_to_undo() -> None:
    history = History()
    history.do(purchase(1000, reference="lunch", card=None), **STRANGER)
    outcome = history.do(reversal("lunch", card=None), **STRANGER)
    assert (told(outcome), outcome.holder, outcome.state) == (done(), None, None)


def test_only_an_acquirer_that_isnt_the_links_is_refused() -> None:
    history = paid()
    before = history.position
    foreign = replace(NOTHING, ours=False)
    for named in ("lunch", "nothing of ours"):
        outcome = history.do(reversal(named), evidence=foreign)
        assert (told(outcome), outcome.never_came) == ((Reason.ACQUIRER_UNKNOWN, {}), None)
    assert history.position == before


# Lots that expired, or are gone


def test_a_lot_that_expired_since_goes_on_to_where_it_waits_to_be_exchanged() -> None:
    history = History(vintage(2025, 1000), at=paris("2026-02-27T12:30:00"))
    history.do(purchase(700, reference="lunch"))
    history.later(days=4)
    assert told(history.do(reversal("lunch"))) == done(payable_to_holder=700, holder_to_expired=1000)
    assert (history.balance("expired:h1:90:2025"), history.available) == (1000, 0)
    assert history.do(purchase(1000, reference="too late")).reply.reason is Reason.VINTAGE_EXPIRED
    assert history.do(purchase(1001, reference="too much")).reply.reason is Reason.NO_FUNDS


def test_a_lot_that_is_gone_from_the_purse_comes_back_with_its_days() -> None:
    history = paid(1000, vintage(2026, 1000))
    assert history.available == 0
    history.do(reversal("lunch", stands=400))
    assert history.position.purse.lots == (vintage(2026, 600),)


def test_the_acquirer_that_was_paid_is_the_one_that_pays_back() -> None:
    other = replace(ORIGIN, acquirer="970002")
    history = paid(1000, origin=other)
    history.do(purchase(500, reference="ours"))
    history.do(reversal("lunch", origin=other))
    assert history.balance("acquirer:970002:payable") == 0
    assert history.balance("acquirer:970001:payable") == 500


def test_an_offline_payment_comes_off_the_cap_of_the_day_it_was_judged_on() -> None:
    history = History(vintage(2026, 5000))
    history.do(advice(1000, reference="offline", origin=locally("2026-05-10T20:00:00")))
    assert history.position.spent_on(date(2026, 5, 10), "90") == 1000
    history.do(reversal("offline", stands=300))
    assert history.position.spent_on(date(2026, 5, 10), "90") == 300
