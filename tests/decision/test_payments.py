"""Purchases, holds and inquiries: what they move, count and answer; and what was promised for the demo's cards."""

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from authz.decision.commands import CardId, Entry
from authz.decision.decide import decide
from authz.decision.evidence import Check, Evidence
from authz.decision.outcomes import Balance, Outcome, Reason, Reply
from authz.decision.position import DaySpend, Position
from authz.decision.posting import approval_code
from authz.decision.reference import Employer, Merchant
from authz.decision.standing import Effect, Standing
from ledger.values import Account, Cents, Hold, Part, Purse, Transfer
from tests.decision.world import (
    APETIZ,
    BISTROT,
    HIFI,
    HOLDER,
    MARKET,
    ORIGIN,
    PLUXEE,
    REUNION,
    SNACK,
    STRASBOURG,
    after,
    card,
    facts,
    inquiry,
    months,
    paris,
    pay,
    position,
    purchase,
    vintage,
)

ALICE = position(vintage(2026, 20_000))
BRUNO = position(vintage(2025, 750), vintage(2026, 10_000), of=card(generation=2))
LEA = position(vintage(2025, 3000))
KARIM = position(vintage(2026, 500))
MARIE = position(months("91", 6400), months("92", 5000), months("93", 4000), of=card(programme="pluxee-be"))
BELLEVUE = Employer("E2", "Hotel Bellevue", "apetiz", sundays_holidays=True)
PARTIAL = {"takes_partial": True}


def told(outcome: Outcome) -> tuple[Reason, tuple[Balance, ...]]:
    return outcome.reply.reason, outcome.reply.balances


def test_a_purchase_moves_money_from_the_lot_to_the_acquirer() -> None:
    outcome = pay(ALICE, 1200)
    assert outcome.holder == HOLDER
    assert outcome.transfers == (
        Transfer(Account("holder:h1:90:2026"), Account("acquirer:970001:payable"), Cents(1200)),
    )
    assert after(outcome).purse == Purse((vintage(2026, 18_800),))
    assert after(outcome).spent == (DaySpend("90", date(2026, 5, 12), Cents(1200)),)
    part = Part("2026", date(2026, 1, 1), date(2027, 2, 28), Cents(1200))
    approval = approval_code("c0ffee")
    assert outcome.reply == Reply(
        Reason.APPROVED,
        approval=approval,
        balances=(Balance("90", Cents(18_800), Cents(700)),),
        standings=(Standing("c0ffee", 0, Effect.DEBIT, "90", date(2026, 5, 12), approval, (part,)),),
    )


def test_a_hold_sets_money_aside_lot_by_lot_and_counts_on_the_days_cap() -> None:
    outcome = pay(BRUNO, 1000, {"holds": True}, instant=paris("2026-02-20T12:30:00"))
    assert outcome.transfers == (
        Transfer(Account("holder:h1:90:2025"), Account("hold:h1:90:2025"), Cents(750)),
        Transfer(Account("holder:h1:90:2026"), Account("hold:h1:90:2026"), Cents(250)),
    )
    old, new = vintage(2025, 750), vintage(2026, 9750)
    parts = tuple(Part(lot.name, lot.valid_from, lot.valid_until, Cents(c)) for lot, c in ((old, 750), (new, 250)))
    hold = Hold("c0ffee", "90", date(2026, 2, 20), approval_code("c0ffee"), "970001", parts, date(2026, 2, 27))
    assert after(outcome).purse == Purse((new,), (hold,))
    assert told(outcome) == (Reason.APPROVED, (Balance("90", Cents(9750), Cents(900)),))
    assert told(pay(after(outcome), 901, instant=paris("2026-02-20T19:30:00")))[0] is Reason.DAILY_CAP


def test_several_purchases_of_a_day_add_up_to_the_cap() -> None:
    at = ALICE
    for amount, reason, left in ((1200, Reason.APPROVED, 700), (700, Reason.APPROVED, 0), (1, Reason.DAILY_CAP, 0)):
        outcome = pay(at, amount)
        at = after(outcome)
        assert told(outcome) == (reason, (Balance("90", Cents(20_000 - 1900 + left), Cents(left)),))
    assert told(pay(at, 1900, instant=paris("2026-05-13T00:00:00")))[0] is Reason.APPROVED


def test_a_terminal_that_takes_partial_approvals_gets_what_the_cap_leaves() -> None:
    outcome = pay(ALICE, 2500, PARTIAL)
    assert (outcome.reply.reason, outcome.reply.amount) == (Reason.PARTIAL, 1900)
    assert outcome.reply.balances == (Balance("90", Cents(18_100), Cents(0)),)
    assert outcome.reply.approval is not None
    assert told(pay(after(outcome), 1, PARTIAL))[0] is Reason.DAILY_CAP


def test_a_terminal_that_takes_partial_approvals_gets_what_the_balance_leaves() -> None:
    assert told(pay(KARIM, 501)) == (Reason.NO_FUNDS, (Balance("90", Cents(500), Cents(1900)),))
    outcome = pay(KARIM, 501, PARTIAL)
    assert (outcome.reply.reason, outcome.reply.amount) == (Reason.PARTIAL, 500)
    assert after(outcome).purse.lots == ()
    assert told(pay(after(outcome), 1, PARTIAL)) == (Reason.NO_FUNDS, (Balance("90", Cents(0), Cents(1400)),))


def test_in_full_is_approved_also_where_partial_would_do() -> None:
    outcome = pay(KARIM, 500, PARTIAL)
    assert (outcome.reply.reason, outcome.reply.amount) == (Reason.APPROVED, None)


@pytest.mark.parametrize(
    ("day", "left"),
    [("2026-02-20", (vintage(2026, 9750),)), ("2026-03-02", (vintage(2025, 750), vintage(2026, 9000)))],
)
def test_last_years_vintage_goes_first_while_it_is_valid_r3262_5(day: str, left: tuple[object, ...]) -> None:
    outcome = pay(BRUNO, instant=paris(f"{day}T12:30:00"))
    assert outcome.reply.reason is Reason.APPROVED
    assert after(outcome).purse.lots == left


@pytest.mark.parametrize(
    ("day", "reason"),
    [("2026-02-27", Reason.APPROVED), ("2026-03-01", Reason.SUNDAY), ("2026-03-02", Reason.VINTAGE_EXPIRED)],
)
def test_a_vintage_ends_with_february(day: str, reason: Reason) -> None:
    assert pay(LEA, instant=paris(f"{day}T12:30:00")).reply.reason is reason


def test_a_leap_years_vintage_is_spent_until_29_february() -> None:
    at = position(vintage(2027, 3000))
    assert pay(at, instant=paris("2028-02-29T23:59:59")).reply.reason is Reason.APPROVED
    assert pay(at, instant=paris("2028-03-01T00:00:00")).reply.reason is Reason.VINTAGE_EXPIRED


def test_a_lot_expires_at_the_merchants_midnight() -> None:
    at, evening = position(vintage(2024, 3000)), paris("2025-02-28T21:30:00")
    assert pay(at, instant=evening).reply.reason is Reason.APPROVED
    assert pay(at, instant=evening, merchant=REUNION).reply.reason is Reason.VINTAGE_EXPIRED


@pytest.mark.parametrize(("amount", "reason"), [(1250, Reason.VINTAGE_EXPIRED), (1251, Reason.NO_FUNDS)])
def test_vintage_expired_means_that_it_would_do_together_with_what_expired(amount: int, reason: Reason) -> None:
    at = position(vintage(2025, 750), vintage(2026, 500))
    assert told(pay(at, amount)) == (reason, (Balance("90", Cents(500), Cents(1900)),))


def test_a_lot_counts_once_on_its_last_day() -> None:
    at = position(vintage(2025, 750), vintage(2026, 500))
    last_day = paris("2026-02-27T12:30:00") + timedelta(days=1)
    assert told(pay(at, 1251, instant=last_day)) == (Reason.NO_FUNDS, (Balance("90", Cents(1250), Cents(1900)),))


def test_a_lot_cant_be_spent_before_its_first_day() -> None:
    assert told(pay(position(vintage(2027, 3000)))) == (Reason.NO_FUNDS, (Balance("90", Cents(0), Cents(1900)),))


@pytest.mark.parametrize("instant", ["2026-05-17T12:30:00", "2026-05-14T12:30:00"])
def test_days_off_need_both_the_employers_decision_and_a_holder_who_works_them_r3262_8(instant: str) -> None:
    flagged = replace(ALICE, works_days_off=True)
    refused = {Reason.SUNDAY, Reason.HOLIDAY}
    assert pay(flagged, instant=paris(instant), employer=BELLEVUE).reply.reason is Reason.APPROVED
    assert pay(ALICE, instant=paris(instant), employer=BELLEVUE).reply.reason in refused
    assert pay(flagged, instant=paris(instant)).reply.reason in refused
    assert pay(flagged, instant=paris(instant), employer=None).reply.reason in refused


@pytest.mark.parametrize(
    ("instant", "merchant", "reason"),
    [
        ("2026-04-03T12:30:00", STRASBOURG, Reason.HOLIDAY),
        ("2026-04-03T12:30:00", BISTROT, Reason.APPROVED),
        ("2026-05-16T22:30:00", REUNION, Reason.SUNDAY),
        ("2026-05-16T22:30:00", BISTROT, Reason.APPROVED),
        ("2026-12-20T12:30:00", REUNION, Reason.SUNDAY),
        ("2027-12-20T12:30:00", REUNION, Reason.HOLIDAY),
        ("2027-12-20T12:30:00", BISTROT, Reason.APPROVED),
        ("2026-05-12T12:30:00", HIFI, Reason.MERCHANT_NOT_ELIGIBLE),
        ("2026-05-12T12:30:00", None, Reason.MERCHANT_UNKNOWN),
    ],
)
def test_day_and_place_are_the_merchants(instant: str, merchant: Merchant | None, reason: Reason) -> None:
    at = position(vintage(2026, 5000), vintage(2027, 5000))
    assert pay(at, instant=paris(instant), merchant=merchant).reply.reason is reason


def test_a_merchant_who_accepts_a_product_is_refused_if_its_category_isnt_the_products() -> None:
    greedy = replace(HIFI, accepts=("90",))
    assert pay(ALICE, merchant=greedy).reply.reason is Reason.MERCHANT_NOT_ELIGIBLE


def test_restaurants_took_38_euros_and_sundays_in_2021_under_the_laws_rows() -> None:
    sunday, law = paris("2021-06-06T12:30:00"), replace(APETIZ, cap="law")
    at = position(vintage(2021, 10_000))
    assert pay(at, 3800, instant=sunday, programme=law).reply.reason is Reason.APPROVED
    assert pay(at, 3801, instant=sunday, programme=law).reply.reason is Reason.DAILY_CAP
    assert pay(at, 1000, instant=sunday, programme=law, merchant=MARKET).reply.reason is Reason.SUNDAY


@pytest.mark.parametrize(
    ("product", "reason"),
    [("00", Reason.PRODUCT_NOT_CHOSEN), ("91", Reason.APPROVED), ("92", Reason.MERCHANT_NOT_ELIGIBLE)],
)
def test_a_card_with_several_vouchers_needs_to_be_told_which(product: str, reason: Reason) -> None:
    outcome = pay(MARIE, 800, {"product": product}, programme=PLUXEE, merchant=SNACK)
    assert outcome.reply.reason is reason


def test_belgian_vouchers_have_no_cap_and_no_sunday() -> None:
    sunday = paris("2026-05-17T12:30:00")
    outcome = pay(MARIE, 6400, {"product": "91"}, programme=PLUXEE, merchant=SNACK, instant=sunday)
    assert told(outcome) == (Reason.APPROVED, (Balance("91", Cents(0)),))


def test_the_only_product_needs_no_naming_also_when_empty() -> None:
    assert pay(ALICE, 100, {"product": "00"}).reply.reason is Reason.APPROVED
    assert pay(position(), 100, {"product": "00"}).reply.reason is Reason.NO_FUNDS
    assert pay(position(products=()), 100, {"product": "00"}).reply.reason is Reason.PRODUCT_NOT_HELD


def test_a_card_spends_only_its_own_programmes_products() -> None:
    both = position(vintage(2026, 5000), months("91", 5000))
    assert pay(both, 100, {"product": "00"}).reply.reason is Reason.APPROVED
    assert pay(both, 100, {"product": "91"}).reply.reason is Reason.PRODUCT_NOT_HELD


def test_an_inquiry_tells_and_moves_nothing() -> None:
    outcome = decide(inquiry(), facts(ALICE))
    assert outcome.reply == Reply(Reason.APPROVED, balances=(Balance("90", Cents(20_000), Cents(1900)),))
    assert (outcome.state, outcome.transfers) == (ALICE, ())


def test_an_inquiry_that_names_no_product_lists_each() -> None:
    outcome = decide(inquiry(product="00"), facts(MARIE, programme=PLUXEE, merchant=SNACK))
    listed = tuple(Balance(code, Cents(cents)) for code, cents in (("91", 6400), ("92", 5000), ("93", 4000)))
    assert outcome.reply.balances == listed


def test_a_known_card_has_a_passbook_whatever_the_answer_and_an_unknown_one_has_none() -> None:
    stranger = {"card": CardId("c9")}
    for outcome in (pay(ALICE, 100, stranger), decide(purchase(), facts(None)), pay(ALICE, 100, {"card": None})):
        assert outcome == Outcome(Reply(Reason.CARD_UNKNOWN))
    foreign = Evidence(pin=Check.WRONG, ours=False)
    assert pay(ALICE, evidence=foreign) == Outcome(Reply(Reason.ACQUIRER_UNKNOWN), HOLDER, ALICE)
    assert pay(ALICE, 100, stranger, evidence=foreign) == Outcome(Reply(Reason.ACQUIRER_UNKNOWN))


def test_without_the_cards_programme_nothing_is_approved() -> None:
    assert pay(ALICE, programme=None) == Outcome(Reply(Reason.INTERNAL), HOLDER, ALICE)


def test_online_purchases_are_for_the_first_generation() -> None:
    shop = {"entry": Entry.ONLINE, "expiry": "2806"}
    seen = Evidence(cvv2=Check.RIGHT)
    assert pay(ALICE, 900, shop, evidence=seen).reply.reason is Reason.APPROVED
    assert pay(BRUNO, 900, shop, evidence=seen).reply.reason is Reason.ONLINE_NOT_ALLOWED


def test_days_spending_is_forgotten_once_no_rule_can_ask_for_it() -> None:
    spent = tuple(DaySpend("90", date(2026, 5, day), Cents(1)) for day in (1, 2, 11))
    kept = after(pay(replace(ALICE, spent=spent), 5)).spent
    assert [one.day.day for one in kept] == [2, 11, 12]


def test_each_product_has_a_days_spending_of_its_own() -> None:
    first = after(pay(MARIE, 800, {"product": "91"}, programme=PLUXEE, merchant=SNACK))
    garden = replace(SNACK, accepts=("92",))
    second = after(pay(first, 300, {"product": "92"}, programme=PLUXEE, merchant=garden))
    day = date(2026, 5, 12)
    assert second.spent == (DaySpend("91", day, Cents(800)), DaySpend("92", day, Cents(300)))


def test_an_approval_code_is_six_letters_or_digits_and_the_requests_own() -> None:
    codes = [pay(ALICE, 1, {"reference": f"{n:032x}"}).reply.approval or "" for n in range(200)]
    assert all(len(code) == 6 and code.isalnum() and code.isascii() and code == code.upper() for code in codes)
    assert len(set(codes)) == 200


def test_the_acquirer_that_asked_is_the_one_that_is_paid() -> None:
    outcome = pay(ALICE, 100, {"origin": replace(ORIGIN, acquirer="970002")})
    assert outcome.transfers[0].credit == "acquirer:970002:payable"


def test_positions_are_what_the_ledger_reads() -> None:
    assert Position.__struct_fields__[0] == "purse"
