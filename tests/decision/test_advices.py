"""Advices and completions: what has happened is posted, and what no balance covers goes to finance."""

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from authz.decision.advices import OFFLINE_DAYS_MAX
from authz.decision.commands import Advice, CardId, Completion
from authz.decision.outcomes import Balance, Outcome, Reason, Reply
from authz.decision.position import Card, CardStatus
from authz.decision.posting import approval_code
from authz.decision.reference import Merchant
from authz.decision.standing import Effect
from ledger.values import Account, Cents, Transfer
from tests.decision.history import History, done, moved, told
from tests.decision.world import (
    APETIZ,
    HIFI,
    HOLDER,
    NOTHING,
    ORIGIN,
    PLUXEE,
    advice,
    card,
    completion,
    locally,
    months,
    paris,
    purchase,
    vintage,
)

TUESDAY_12 = date(2026, 5, 12)
TWO_PRODUCTS = replace(APETIZ, products=(*APETIZ.products, *PLUXEE.products))
"""So that a card can have several."""


def held(amount: int = 1000, loaded: int = 5000) -> History:
    """A history that begins with a hold, `table`."""
    history = History(vintage(2026, loaded))
    history.do(purchase(amount, reference="table", holds=True))
    return history


# What was paid offline


def test_what_was_paid_offline_is_debited_and_counts_on_its_day() -> None:
    history = History(vintage(2025, 700), vintage(2026, 5000), at=paris("2026-02-20T12:30:00"))
    outcome = history.do(advice(1000, origin=locally("2026-02-19T20:15:00")))
    payable = Account("acquirer:970001:payable")
    assert outcome.transfers == (
        Transfer(Account("holder:h1:90:2025"), payable, Cents(700)),
        Transfer(Account("holder:h1:90:2026"), payable, Cents(300)),
    )
    assert history.position.spent_on(date(2026, 2, 19), "90") == 1000
    assert (outcome.reply.reason, outcome.reply.approval) == (Reason.APPROVED, approval_code("advice"))
    assert history.stands("advice").effect is Effect.DEBIT


def test_what_was_set_aside_offline_is_held_from_its_day() -> None:
    history = History(vintage(2026, 5000))
    outcome = history.do(advice(1000, holds=True, origin=locally("2026-05-10T20:15:00")))
    hold = history.hold("advice").hold
    assert hold is not None
    assert told(outcome) == done(holder_to_hold=1000)
    assert (hold.day, hold.until) == (date(2026, 5, 10), date(2026, 5, 17))


@pytest.mark.parametrize(
    ("local", "day", "redated"),
    [
        ("2026-05-12T12:30:00", date(2026, 5, 12), False),
        ("2026-05-12T23:59:59", date(2026, 5, 12), False),
        ("2026-05-09T00:00:00", date(2026, 5, 9), False),
        ("2026-05-08T23:59:59", date(2026, 5, 12), True),
        ("2026-05-13T00:00:00", date(2026, 5, 12), True),
        ("2025-12-31T12:00:00", date(2026, 5, 12), True),
    ],
)
def test_an_offline_advice_is_judged_on_its_own_day_if_that_is_at_most_3_days_back(
    local: str, day: date, redated: bool
) -> None:
    history = History(vintage(2026, 5000))
    outcome = history.do(advice(1000, origin=locally(local)))
    assert OFFLINE_DAYS_MAX == 3
    assert (history.stands("advice").day, outcome.reply.redated) == (day, redated)
    assert history.position.spent_on(day, "90") == 1000


@pytest.mark.parametrize(("day", "covered"), [("2026-02-28", 700), ("2026-03-01", 0)])
def test_vouchers_that_were_valid_on_its_day_cover_it_r3262_5(day: str, covered: int) -> None:
    history = History(vintage(2025, 700), at=paris("2026-03-02T12:30:00"))
    history.do(advice(700, origin=locally(f"{day}T20:00:00")))
    assert (history.stands("advice").vouchers, history.stands("advice").shortfall) == (covered, 700 - covered)


def test_what_the_balance_cant_cover_is_a_shortfall_and_counts_on_no_cap() -> None:
    history = History(vintage(2026, 1000))
    outcome = history.do(advice(1500))
    assert told(outcome) == done(holder_to_payable=1000, exceptions_to_payable=500)
    assert outcome.transfers[-1] == Transfer(
        Account("acquirer:970001:exceptions"), Account("acquirer:970001:payable"), Cents(500)
    )
    assert (history.spent, history.stands("advice").shortfall) == (1000, 500)
    assert outcome.reply.balances == (Balance("90", Cents(0), Cents(900)),)


def test_the_cap_refuses_no_advice_and_is_below_0_for_none() -> None:
    history = History(vintage(2026, 5000))
    outcome = history.do(advice(3000))
    assert told(outcome) == done(holder_to_payable=3000)
    assert outcome.reply.balances == (Balance("90", Cents(2000), Cents(0)),)
    assert history.do(purchase(1)).reply.reason is Reason.DAILY_CAP


def test_what_cant_all_be_set_aside_is_a_shortfall_when_it_is_captured() -> None:
    history = History(vintage(2026, 400))
    assert told(history.do(advice(1000, reference="table", holds=True))) == done(holder_to_hold=400)
    assert told(history.do(completion(1000, "table"))) == done(hold_to_payable=400, exceptions_to_payable=600)


def test_where_nothing_can_be_set_aside_the_completion_takes_what_there_is_by_then() -> None:
    history = History(vintage(2026, 900))
    history.do(purchase(900, reference="lunch", holds=True))
    assert told(history.do(advice(1000, reference="table", holds=True))) == done()
    history.do(completion(0, "lunch"))
    assert told(history.do(completion(1000, "table", reference="bill"))) == done(
        holder_to_payable=900, exceptions_to_payable=100
    )


# Completions


def test_a_completion_captures_its_hold_and_releases_the_rest() -> None:
    history = held()
    outcome = history.do(completion(600, "table"))
    assert told(outcome) == done(hold_to_payable=600, hold_to_holder=400)
    assert outcome.reply.balances == (Balance("90", Cents(4400), Cents(1300)),)
    assert outcome.reply.approval == approval_code("table")


def test_what_is_above_the_hold_is_a_shortfall_even_where_the_balance_would_do() -> None:
    history = held()
    assert told(history.do(completion(1300, "table"))) == done(hold_to_payable=1000, exceptions_to_payable=300)
    assert (history.available, history.spent) == (4000, 1000)


def test_a_completion_of_a_hold_that_has_lapsed_is_an_offline_advice() -> None:
    history = held(loaded=1000)
    history.later(days=8)
    history.do(purchase(700, reference="lunch"))
    outcome = history.do(completion(1000, "table", origin=locally("2026-05-19T12:00:00")))
    assert told(outcome) == done(holder_to_payable=300, exceptions_to_payable=700)
    assert history.position.spent_on(date(2026, 5, 19), "90") == 300
    assert history.position.spent_on(TUESDAY_12, "90") == 0
    assert (outcome.reply.approval, outcome.reply.redated) == (approval_code("table"), False)


def test_a_hold_is_named_by_its_approval_code_at_the_acquirer_that_it_is_of() -> None:
    code = approval_code("table")
    elsewhere = replace(ORIGIN, acquirer="970002")
    history = held()
    assert history.do(completion(600, approval=code, origin=elsewhere)).reply.reason is Reason.NO_ORIGINAL
    assert told(history.do(completion(600, approval=code, reference="bill"))) == done(
        hold_to_payable=600, hold_to_holder=400
    )


def test_where_both_are_given_the_original_names_the_hold() -> None:
    history = held()
    history.do(purchase(500, reference="another", holds=True))
    history.do(completion(500, "another", approval=approval_code("table")))
    assert [hold.id for hold in history.position.purse.holds] == ["table"]


@pytest.mark.parametrize(
    "named",
    [
        completion(600, "nothing of ours"),
        completion(600, "lunch"),
        completion(600, "declined"),
        completion(600, "released"),
        completion(600),
        completion(600, approval="ABC123"),
        completion(600, approval=approval_code("lunch")),
        completion(600, "table", product="91"),
        completion(600, product="91", approval=approval_code("table")),
    ],
)
def test_one_that_names_no_hold_of_ours_is_answered_25_and_posts_nothing(named: Completion) -> None:
    history = History(vintage(2026, 5000), months("91", 5000), programme=TWO_PRODUCTS)
    for reference, amount, holds in (("table", 500, True), ("lunch", 500, False), ("released", 500, True)):
        history.do(purchase(amount, reference=reference, holds=holds))
    history.do(purchase(5000, reference="declined", holds=True))
    history.do(completion(0, "released", reference="earlier"))
    before = history.position
    assert history.do(named) == Outcome(Reply(Reason.NO_ORIGINAL), HOLDER, before)


# What can refuse one


AWKWARD: list[dict[str, object]] = [
    {"merchant": None},
    {"merchant": HIFI},
    {"instant": paris("2026-05-17T12:30:00")},
    {"evidence": NOTHING},
]
CARDS = [
    *(card(status=status) for status in CardStatus),
    card(expiry="2601"),
    card(pin_wrong=3),
    card(cvv2_wrong=5),
]


@pytest.mark.parametrize(("used", "awkward"), [(card(), one) for one in AWKWARD] + [(one, {}) for one in CARDS])
@pytest.mark.parametrize("command", [advice(1000), advice(1000, holds=True), completion(1000, "table")])
def test_no_stopped_card_sunday_merchant_or_missing_pin_refuses_what_has_happened(
    command: Advice | Completion, used: Card, awkward: dict[str, object]
) -> None:
    history = held()
    history.position = replace(history.position, cards=(used,))
    outcome = history.do(command, **awkward)
    assert outcome.reply.reason is Reason.APPROVED
    assert sum(moved(outcome).values()) == 1000


REFUSALS = [
    (Reason.CARD_UNKNOWN, {"card": CardId("c9")}),
    (Reason.TRANSACTION, {"transaction": "01"}),
    (Reason.TRANSACTION, {"product": "99"}),
    (Reason.AMOUNT, {"amount": -1}),
    (Reason.CURRENCY, {"currency": 840}),
    (Reason.PRODUCT_NOT_HELD, {"product": "92"}),
    (Reason.PRODUCT_NOT_CHOSEN, {"product": "00"}),
]


@pytest.mark.parametrize(("reason", "changes"), REFUSALS)
@pytest.mark.parametrize("command", [advice(1000), completion(1000, "table")])
def test_card_product_amount_and_currency_are_judged_in_this_order(
    command: Advice | Completion, reason: Reason, changes: dict[str, object]
) -> None:
    history = History(vintage(2026, 5000), months("91", 5000), programme=TWO_PRODUCTS)
    history.do(purchase(1000, reference="table", holds=True))
    before = history.position
    outcome = history.do(replace(command, **changes))
    assert told(outcome) == (reason, {})
    assert history.position == before


def test_an_advice_of_0_is_refused_and_a_completion_of_0_releases() -> None:
    history = held()
    assert history.do(advice(0)).reply.reason is Reason.AMOUNT
    assert told(history.do(completion(0, "table"))) == done(hold_to_holder=1000)
    assert history.spent == 0


@pytest.mark.parametrize("command", [advice(1000), completion(1000, "table")])
def test_another_acquirers_link_is_refused(command: Advice | Completion) -> None:
    history = held()
    assert told(history.do(command, evidence=replace(NOTHING, ours=False))) == (Reason.ACQUIRER_UNKNOWN, {})


@pytest.mark.parametrize("command", [advice(1000), completion(1000, "table"), completion(1000, "nothing of ours")])
def test_what_the_terminal_itself_refused_is_recorded_and_not_posted(command: Advice | Completion) -> None:
    history = held()
    before = history.position
    assert history.do(replace(command, declined=True)) == Outcome(Reply(Reason.APPROVED), HOLDER, before)


@pytest.mark.parametrize("merchant", [None, HIFI])
def test_where_the_merchant_is_unknown_the_day_is_the_programmes(merchant: Merchant | None) -> None:
    """At 00:30 in Paris it is still yesterday in UTC."""
    history = History(vintage(2026, 5000), at=paris("2026-05-13T00:30:00"))
    history.do(advice(1000, origin=locally("2026-01-01T00:00:00")), merchant=merchant)
    assert history.stands("advice").day == TUESDAY_12 + timedelta(days=1)
