"""Which rule decided: for every reason that the core gives, and for whatever else can be asked of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.commands import Command, Entry, Payment
from authz.decision.decide import decide
from authz.decision.evidence import Check, Evidence, Facts
from authz.decision.explain import BEFORE_THE_CORE, REFUSES, Rule, Ruling, explain, order
from authz.decision.outcomes import Reason
from authz.decision.position import CardStatus
from authz.decision.programme import Chip
from tests.decision.test_order import VIOLATIONS, scene
from tests.decision.world import (
    APETIZ,
    advice,
    card,
    completion,
    facts,
    inquiry,
    position,
    purchase,
    refund,
    reversal,
    vintage,
)

NO_RECORD = {Reason.FORMAT, Reason.MAC_WRONG, Reason.NOT_SIGNED_ON, Reason.IDENTITY_REUSED, Reason.REVERSED_BEFORE}
NO_RULE = {Reason.APPROVED, Reason.PARTIAL, Reason.OVERLOADED, Reason.UNAVAILABLE}
WITHOUT_FALLBACK = replace(APETIZ, chip=Chip(fallback=False, source="a test"))

RULES = {
    Reason.CARD_LOST: Rule.STATUS,
    Reason.CARD_STOLEN: Rule.STATUS,
    Reason.CARD_FRAUD: Rule.STATUS,
    Reason.CARD_NOT_ACTIVE: Rule.STATUS,
    Reason.CARD_REPLACED: Rule.STATUS,
    Reason.ACQUIRER_UNKNOWN: Rule.ACQUIRER,
    Reason.CARD_UNKNOWN: Rule.CARD,
    Reason.PIN_LOCKED: Rule.PIN_TRIES,
    Reason.CARD_EXPIRED: Rule.EXPIRY,
    Reason.PIN_WRONG: Rule.PIN,
    Reason.PIN_MISSING: Rule.PIN,
    Reason.CVV_WRONG: Rule.CVV2,
    Reason.ONLINE_LOCKED: Rule.CVV2,
    Reason.ARQC_WRONG: Rule.CRYPTOGRAM,
    Reason.ONLINE_NOT_ALLOWED: Rule.ENTRY,
    Reason.TRANSACTION: Rule.TRANSACTION,
    Reason.AMOUNT: Rule.AMOUNT,
    Reason.CURRENCY: Rule.CURRENCY,
    Reason.PRODUCT_NOT_CHOSEN: Rule.PRODUCT,
    Reason.PRODUCT_NOT_HELD: Rule.PRODUCT,
    Reason.MERCHANT_UNKNOWN: Rule.MERCHANT,
    Reason.MERCHANT_NOT_ELIGIBLE: Rule.ELIGIBILITY,
    Reason.SUNDAY: Rule.CALENDAR,
    Reason.HOLIDAY: Rule.CALENDAR,
    Reason.DAILY_CAP: Rule.CAP,
    Reason.NO_FUNDS: Rule.FUNDS,
    Reason.VINTAGE_EXPIRED: Rule.FUNDS,
}
"""Of a purchase. The other reasons have tests of their own below."""

ELSEWHERE = {Reason.REFUND_NOT_ALLOWED, Reason.NO_ORIGINAL, Reason.INTERNAL}


def test_every_reason_is_a_rules_or_says_why_it_is_none() -> None:
    assert set(RULES) | ELSEWHERE | NO_RECORD | NO_RULE == set(Reason)
    assert set().union(*REFUSES.values()) == set(Reason) - NO_RULE
    assert set(RULES) == {reason for reason, _ in VIOLATIONS}


@pytest.mark.parametrize(("reason", "violation"), VIOLATIONS)
def test_a_purchase_is_refused_by_the_rule_that_is_violated(reason: Reason, violation: dict[str, Any]) -> None:
    changes, known = scene(violation)
    told = explain(purchase(**changes), known)
    assert (told.outcome.reply.reason, told.refused_by) == (reason, RULES[reason])


@pytest.mark.parametrize(
    ("command", "reason", "rule"),
    [
        (refund(100), Reason.REFUND_NOT_ALLOWED, Rule.REFUND),
        (reversal(), Reason.NO_ORIGINAL, Rule.ORIGINAL),
        (completion(100), Reason.NO_ORIGINAL, Rule.HOLD),
        (advice(0), Reason.AMOUNT, Rule.AMOUNT),
        (inquiry(product="92"), Reason.PRODUCT_NOT_HELD, Rule.PRODUCT),
    ],
    ids=["refund", "reversal", "completion", "advice", "inquiry"],
)
def test_other_requests_have_rules_of_their_own(command: Payment, reason: Reason, rule: Rule) -> None:
    told = explain(command, facts(position(vintage(2026, 5000))))
    assert (told.outcome.reply.reason, told.refused_by) == (reason, rule)


def test_a_card_whose_programme_is_not_in_force_is_refused_by_it() -> None:
    told = explain(purchase(), facts(position(vintage(2026, 5000)), programme=None))
    assert (told.outcome.reply.reason, told.refused_by) == (Reason.INTERNAL, Rule.PROGRAMME)


def test_the_pin_that_exhausts_the_tries_is_refused_as_a_pin_and_the_next_by_the_lock() -> None:
    wrong = Evidence(pin=Check.WRONG)
    last = explain(purchase(), facts(position(vintage(2026, 5000), of=card(pin_wrong=2)), evidence=wrong))
    after = explain(purchase(), facts(position(vintage(2026, 5000), of=card(pin_wrong=3)), evidence=wrong))
    assert {one.outcome.reply.reason for one in (last, after)} == {Reason.PIN_LOCKED}
    assert (last.refused_by, after.refused_by) == (Rule.PIN, Rule.PIN_TRIES)


@pytest.mark.parametrize("transaction", ["00", "01"])
def test_a_stripe_in_place_of_a_chip_is_refused_before_the_transaction(transaction: str) -> None:
    read = purchase(entry=Entry.FALLBACK, transaction=transaction)
    known = facts(position(vintage(2026, 5000)))
    with_fallback = explain(read, known)
    without = explain(read, replace(known, programme=WITHOUT_FALLBACK))
    assert with_fallback.refused_by is (None if transaction == "00" else Rule.TRANSACTION)
    assert (without.outcome.reply.reason, without.refused_by) == (Reason.TRANSACTION, Rule.ENTRY)


def test_an_advice_of_what_the_terminal_declined_asks_for_no_hold() -> None:
    told = explain(completion(100, declined=True), facts(position(vintage(2026, 5000))))
    assert Rule.HOLD not in [one.rule for one in told.judged]
    assert told.refused_by is None


cards = st.builds(
    card,
    generation=st.sampled_from([1, 2]),
    expiry=st.sampled_from(["2512", "2605", "2806"]),
    status=st.sampled_from(CardStatus),
    pin_wrong=st.integers(0, 5),
    cvv2_wrong=st.integers(0, 5),
    contactless=st.integers(0, 10_000),
    counter=st.integers(0, 9),
)
evidences = st.builds(
    Evidence,
    pin=st.sampled_from(Check),
    cvv2=st.sampled_from(Check),
    arqc=st.sampled_from(Check),
    counter=st.none() | st.integers(1, 20),
    ours=st.booleans() | st.just(True),
)
positions = st.none() | st.builds(
    lambda of, year, cents: position(vintage(year, cents), of=of),
    cards,
    st.sampled_from([2025, 2026]),
    st.integers(1, 5_000),
)
known = st.builds(
    lambda at, evidence, programme, merchant: facts(
        at, evidence=evidence, programme=programme, **({} if merchant else {"merchant": None})
    ),
    positions,
    evidences,
    st.sampled_from([APETIZ, WITHOUT_FALLBACK, None]),
    st.booleans(),
)
spending = {"product": st.sampled_from(["00", "90", "91", "99"]), "entry": st.sampled_from(Entry)}
amounts = st.integers(0, 6_000)
transactions = st.sampled_from(["00", "01"])
commands = st.one_of(
    st.builds(purchase, amounts, transaction=transactions, takes_partial=st.booleans(), **spending),
    st.builds(inquiry, **spending),
    st.builds(refund, amounts, **spending),
    st.builds(advice, amounts, transaction=transactions, declined=st.booleans()),
    st.builds(completion, amounts, transaction=transactions, declined=st.booleans()),
    st.just(reversal()),
)


@given(commands, known)
def test_it_is_the_cores_decision_and_one_rule_refuses_if_and_only_if_it_is_no_approval(
    command: Command, circumstances: Facts
) -> None:
    told = explain(command, circumstances)
    reason = told.outcome.reply.reason
    assert told.outcome == decide(command, circumstances)
    assert tuple(one.rule for one in told.judged) == order(command)
    rulings = [one.ruling for one in told.judged]
    if told.refused_by is None:
        assert reason.approves
        assert set(rulings) == {Ruling.PASSED}
    else:
        at = rulings.index(Ruling.REFUSED)
        assert reason in REFUSES[told.refused_by]
        assert not reason.approves
        assert set(rulings[:at]) <= {Ruling.PASSED}
        assert set(rulings[at + 1 :]) <= {Ruling.NOT_REACHED}
        assert told.refused_by not in BEFORE_THE_CORE
