"""docs/interface.md, "What is checked, in which order": the first failure decides."""

from datetime import date
from itertools import combinations
from typing import Any

import pytest
from msgspec.structs import replace

from authz.decision.commands import Entry, Payment
from authz.decision.decide import decide
from authz.decision.evidence import Check, Evidence, Facts
from authz.decision.outcomes import Outcome, Reason
from authz.decision.position import CardStatus, DaySpend
from ledger.values import Cents
from tests.decision.world import (
    APETIZ,
    BISTROT,
    HIFI,
    PLUXEE,
    TUESDAY,
    card,
    facts,
    inquiry,
    paris,
    position,
    purchase,
    refund,
    vintage,
)

ALL_IN_ORDER: dict[str, Any] = {
    "evidence": {"pin": Check.RIGHT, "cvv2": Check.RIGHT, "arqc": Check.RIGHT, "counter": 7},
    "card": {},
    "command": {"entry": Entry.ONLINE, "expiry": "2806", "amount": Cents(1000)},
    "position": {"products": ("90",)},
    "lots": (vintage(2026, 5000),),
    "merchant": BISTROT,
    "instant": TUESDAY,
}
"""Generous on purpose: online entry with everything that any rule could want, so that violations can be combined."""

VIOLATIONS: tuple[tuple[Reason, dict[str, Any]], ...] = (
    (Reason.ACQUIRER_UNKNOWN, {"evidence": {"ours": False}}),
    (Reason.CARD_UNKNOWN, {"command": {"card": None}}),
    (Reason.CARD_LOST, {"card": {"status": CardStatus.LOST}}),
    (Reason.CARD_STOLEN, {"card": {"status": CardStatus.STOLEN}}),
    (Reason.CARD_FRAUD, {"card": {"status": CardStatus.FRAUD}}),
    (Reason.CARD_NOT_ACTIVE, {"card": {"status": CardStatus.INACTIVE}}),
    (Reason.CARD_REPLACED, {"card": {"status": CardStatus.REPLACED}}),
    (Reason.PIN_LOCKED, {"card": {"pin_wrong": 5}}),
    (Reason.CARD_EXPIRED, {"command": {"expiry": "2807"}}),
    (Reason.PIN_WRONG, {"evidence": {"pin": Check.WRONG}}),
    (Reason.PIN_MISSING, {"evidence": {"pin": Check.ABSENT}, "command": {"entry": Entry.CHIP}}),
    (Reason.CVV_WRONG, {"evidence": {"cvv2": Check.WRONG}}),
    (Reason.ONLINE_LOCKED, {"card": {"cvv2_wrong": 5}}),
    (Reason.ARQC_WRONG, {"evidence": {"arqc": Check.WRONG}}),
    (Reason.ONLINE_NOT_ALLOWED, {"card": {"generation": 2}}),
    (Reason.TRANSACTION, {"command": {"transaction": "01"}}),
    (Reason.AMOUNT, {"command": {"amount": Cents(0)}}),
    (Reason.CURRENCY, {"command": {"currency": 840}}),
    (Reason.PRODUCT_NOT_CHOSEN, {"command": {"product": "00"}, "position": {"products": ("90", "91")}}),
    (Reason.PRODUCT_NOT_HELD, {"command": {"product": "92"}}),
    (Reason.MERCHANT_UNKNOWN, {"merchant": None}),
    (Reason.MERCHANT_NOT_ELIGIBLE, {"merchant": HIFI}),
    (Reason.SUNDAY, {"instant": paris("2026-05-17T12:30:00")}),
    (Reason.HOLIDAY, {"instant": paris("2026-05-14T12:30:00")}),
    (Reason.DAILY_CAP, {"position": {"spent": tuple(DaySpend("90", date(2026, 5, day), Cents(1900))
                                                    for day in (12, 14, 17))}}),
    (Reason.NO_FUNDS, {"lots": (vintage(2026, 999),)}),
    (Reason.VINTAGE_EXPIRED, {"lots": (vintage(2025, 500), vintage(2026, 500))}),
)  # fmt: skip
UP_TO_PRODUCT = tuple(reason for reason, _ in VIOLATIONS[: [r for r, _ in VIOLATIONS].index(Reason.MERCHANT_UNKNOWN)])
A_CVV2_LOCK_DECIDES = {Reason.CVV_WRONG, Reason.ONLINE_LOCKED}
"""One row of the table: whichever CVV2 a locked card brings, the lock answers, or it would tell right from wrong."""


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any] | None:
    """Both violations at once; None where they contradict each other."""
    both = dict(one)
    for key, value in other.items():
        if key not in both:
            both[key] = value
        elif isinstance(value, dict) and all(both[key].get(name, item) == item for name, item in value.items()):
            both[key] = both[key] | value
        elif both[key] != value:
            return None
    return both


def scene(violation: dict[str, Any]) -> tuple[dict[str, Any], Facts]:
    """The command's changes and the facts of a request that violates this and nothing else."""
    all_of = {
        key: value | violation.get(key, {}) if isinstance(value, dict) else violation.get(key, value)
        for key, value in ALL_IN_ORDER.items()
    }
    both = replace(APETIZ, products=APETIZ.products + PLUXEE.products)
    at = position(*all_of["lots"], of=card(**all_of["card"]), **all_of["position"])
    known = facts(at, programme=both, merchant=all_of["merchant"], instant=all_of["instant"])
    return all_of["command"], replace(known, evidence=Evidence(**all_of["evidence"]))


def spend(violation: dict[str, Any]) -> Outcome:
    changes, known = scene(violation)
    return decide(purchase(**changes), known)


PAIRS = [
    pytest.param(first, both, id=f"{first}-{second}")
    for (first, one), (second, other) in combinations(VIOLATIONS, 2)
    if (both := merged(one, other)) is not None and {first, second} != A_CVV2_LOCK_DECIDES
]


def test_a_request_that_violates_nothing_is_approved() -> None:
    assert spend({}).reply.reason is Reason.APPROVED


@pytest.mark.parametrize(("reason", "violation"), VIOLATIONS)
def test_each_rule_refuses_alone(reason: Reason, violation: dict[str, Any]) -> None:
    outcome = spend(violation)
    assert outcome.reply.reason is reason
    assert outcome.transfers == ()


@pytest.mark.parametrize(("first", "violation"), PAIRS)
def test_of_two_violations_the_earlier_in_the_table_is_answered(first: Reason, violation: dict[str, Any]) -> None:
    assert spend(violation).reply.reason is first


def test_a_sunday_that_is_a_holiday_answers_sunday() -> None:
    all_saints_2026 = {"instant": paris("2026-11-01T12:30:00")}
    assert spend(all_saints_2026).reply.reason is Reason.SUNDAY


def without_purchase_fields(changes: dict[str, Any], *fields: str) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if name not in fields}


@pytest.mark.parametrize(("reason", "violation"), VIOLATIONS)
def test_inquiries_pass_the_same_rules_up_to_product_then_only_whether_the_merchant_is_known(
    reason: Reason, violation: dict[str, Any]
) -> None:
    changes, known = scene(violation)
    command: Payment = inquiry(**without_purchase_fields(changes, "amount", "currency", "transaction"))
    other = {Reason.TRANSACTION, Reason.AMOUNT, Reason.CURRENCY, Reason.PRODUCT_NOT_CHOSEN}
    judged = {*UP_TO_PRODUCT, Reason.MERCHANT_UNKNOWN} - other
    assert decide(command, known).reply.reason is (reason if reason in judged else Reason.APPROVED)


@pytest.mark.parametrize(("reason", "violation"), VIOLATIONS)
def test_refunds_pass_the_same_rules_up_to_product_but_need_no_pin_and_the_programmes_take_none(
    reason: Reason, violation: dict[str, Any]
) -> None:
    changes, known = scene(violation)
    command: Payment = refund(**without_purchase_fields(changes, "transaction"))
    judged = set(UP_TO_PRODUCT) - {Reason.TRANSACTION, Reason.PIN_MISSING}
    assert decide(command, known).reply.reason is (reason if reason in judged else Reason.REFUND_NOT_ALLOWED)


@pytest.mark.parametrize("code", ["01", "89", "96", "9A", ""])
@pytest.mark.parametrize("command", [purchase(), inquiry(), refund()], ids=["purchase", "inquiry", "refund"])
def test_a_product_that_de_3_cannot_name_is_an_unknown_transaction(command: Payment, code: str) -> None:
    outcome = decide(replace(command, product=code), facts(position(vintage(2026, 5000))))
    assert outcome.reply.reason is Reason.TRANSACTION
