"""What a terminal tells of: completions of holds, and what happened offline (docs/interface.md, "Holds", "Advices").

It has happened. Hardly anything can refuse it, and what no balance covers is a shortfall, for finance.
"""

import msgspec
import pytest

from authz.wire.message import Message
from tests.acceptance.counter import card
from tests.acceptance.shop import CAP, STOCK, Money, Shop, said, told

APPROVED = ("00", "APPROVED")
NO_ORIGINAL = ("25", "NO_ORIGINAL")
MONDAY = "2026-05-11T19:00:00+02:00"
SUNDAY = "2026-05-10T12:30:00+02:00"
THREE_DAYS_BACK = "2026-05-09T12:30:00+02:00"
FOUR_DAYS_BACK = "2026-05-08T12:30:00+02:00"
"""A holiday: 8 May (L3133-1)."""
TOMORROW = "2026-05-13T12:30:00+02:00"


class TestCompletions:
    def test_what_is_not_captured_is_released_and_leaves_the_cap(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.authorization(one, 1_800)
        assert told(shop.ask(hold)) == (STOCK - 1_800, CAP - 1_800)
        assert said(shop.ask(shop.till.purchase(one, 101))) == ("61", "DAILY_CAP"), "the day's cap counts holds"
        reply = shop.ask(shop.till.completion(one, hold, 500))
        assert (*said(reply), told(reply)) == (*APPROVED, (STOCK - 500, CAP - 500))
        assert shop.money(one) == Money(STOCK - 500, payable=500)
        assert said(shop.ask(shop.till.purchase(one, CAP - 500))) == APPROVED

    def test_what_is_above_the_hold_is_a_shortfall_and_off_no_cap(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.authorization(one, 1_000)
        shop.ask(hold)
        reply = shop.ask(shop.till.completion(one, hold, 1_300))
        assert (*said(reply), reply.amount) == (*APPROVED, "000000001300")
        assert told(reply) == (STOCK - 1_000, CAP - 1_000)
        assert shop.money(one) == Money(STOCK - 1_000, payable=1_300, exceptions=-300)

    def test_one_of_0_releases_its_hold(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.authorization(one, 1_000)
        shop.ask(hold)
        reply = shop.ask(shop.till.completion(one, hold, 0))
        assert (*said(reply), told(reply)) == (*APPROVED, (STOCK, CAP))
        assert shop.money(one) == Money(STOCK)
        assert said(shop.ask(shop.till.completion(one, hold, 500))) == NO_ORIGINAL

    def test_a_second_one_finds_no_hold(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.authorization(one, 1_000)
        approval = shop.ask(hold).approval
        shop.ask(shop.till.completion(one, hold, 600))
        for again in (shop.till.completion(one, hold, 600), shop.till.completion(one, hold, 400, approval=approval)):
            reply = shop.ask(again)
            assert (*said(reply), reply.approval, reply.balances) == (*NO_ORIGINAL, None, None)
        assert shop.money(one) == Money(STOCK - 600, payable=600)

    def test_each_of_two_holds_is_completed_by_its_own(self, shop: Shop) -> None:
        one = shop.customer()
        first, second = shop.till.authorization(one, 300), shop.till.authorization(one, 300)
        shop.ask(first)
        approval = shop.ask(second).approval
        shop.ask(shop.till.completion(one, second, 200, approval=approval))
        assert shop.money(one) == Money(STOCK - 500, hold=300, payable=200)
        shop.ask(shop.till.completion(one, first, 100))
        assert shop.money(one) == Money(STOCK - 300, payable=300)

    def test_one_that_names_no_hold_of_ours_posts_nothing(self, shop: Shop) -> None:
        one, other = shop.customer(), shop.customer()
        never_sent = shop.till.authorization(one, 1_000)
        declined = shop.till.authorization(one, CAP + 1)
        assert said(shop.ask(declined)) == ("61", "DAILY_CAP")
        released = shop.till.authorization(one, 1_000)
        shop.ask(released)
        shop.ask(shop.till.reversal(released))
        purchase = shop.till.purchase(one, 1_000)
        paid_with = shop.ask(purchase).approval
        others = shop.till.authorization(other, 1_000)
        others_approval = shop.ask(others).approval
        for named in (never_sent, declined, released, purchase, others):
            assert said(shop.ask(shop.till.completion(one, named, 500))) == NO_ORIGINAL
        for approval in ("ZZZZZZ", paid_with, others_approval):
            assert said(shop.ask(shop.till.completion(one, never_sent, 500, approval=approval))) == NO_ORIGINAL
        assert shop.money(one) == Money(STOCK - 1_000, payable=1_000)
        assert shop.money(other) == Money(STOCK - 1_000, hold=1_000)

    def test_a_hold_granted_in_part_is_captured_up_to_it(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.authorization(one, CAP + 600, takes_partial=True)
        reply = shop.ask(hold)
        assert (*said(reply), reply.amount) == ("10", "PARTIAL", f"{CAP:012}")
        assert said(shop.ask(shop.till.completion(one, hold, CAP))) == APPROVED
        assert shop.money(one) == Money(STOCK - CAP, payable=CAP)

    def test_one_of_a_hold_set_aside_offline(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.hold_advice(one, STOCK + 1_000)
        assert told(shop.ask(hold)) == (0, 0)
        assert shop.money(one) == Money(0, hold=STOCK)
        assert said(shop.ask(shop.till.completion(one, hold, STOCK + 1_000))) == APPROVED
        assert shop.money(one) == Money(0, payable=STOCK + 1_000, exceptions=-1_000)

    def test_one_that_tells_of_a_decline_is_recorded_and_not_posted(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.authorization(one, 1_000)
        shop.ask(hold)
        declined = msgspec.structs.replace(shop.till.completion(one, hold, 600), response_code="05")
        assert said(shop.ask(declined)) == APPROVED
        assert len(shop.recorded(declined)) == 1
        assert shop.money(one) == Money(STOCK - 1_000, hold=1_000)
        assert said(shop.ask(shop.till.completion(one, hold, 600))) == APPROVED


class TestOfflineAdvices:
    def test_what_the_balance_cannot_cover_is_a_shortfall(self, shop: Shop) -> None:
        one = shop.customer()
        reply = shop.ask(shop.till.advice(one, STOCK + 1_000))
        assert (*said(reply), reply.amount) == (*APPROVED, f"{STOCK + 1_000:012}")
        assert told(reply) == (0, 0), "what is left of the cap is never below 0"
        assert shop.money(one) == Money(0, payable=STOCK + 1_000, exceptions=-1_000)

    def test_the_cap_refuses_none_but_counts_it(self, shop: Shop) -> None:
        one = shop.customer()
        assert said(shop.ask(shop.till.advice(one, CAP - 100))) == APPROVED
        assert said(shop.ask(shop.till.purchase(one, 101))) == ("61", "DAILY_CAP")
        assert said(shop.ask(shop.till.advice(one, 101))) == APPROVED

    @pytest.mark.parametrize("at", [MONDAY, SUNDAY, THREE_DAYS_BACK])
    def test_one_of_the_last_three_days_counts_on_its_own_day(self, shop: Shop, at: str) -> None:
        one = shop.customer()
        advice = shop.till_at(at).advice(one, 1_500)
        reply = shop.ask(advice)
        assert (*said(reply), told(reply)) == (*APPROVED, (STOCK - 1_500, CAP))
        [record] = shop.recorded(advice)
        assert '"redated"' not in record["reply"]
        assert said(shop.ask(shop.till.purchase(one, CAP))) == APPROVED
        assert shop.money(one) == Money(STOCK - 1_500 - CAP, payable=1_500 + CAP)

    @pytest.mark.parametrize("at", [FOUR_DAYS_BACK, TOMORROW])
    def test_one_of_an_earlier_or_later_day_counts_today_and_is_marked(self, shop: Shop, at: str) -> None:
        one = shop.customer()
        advice = shop.till_at(at).advice(one, 1_500)
        reply = shop.ask(advice)
        assert (*said(reply), told(reply)) == (*APPROVED, (STOCK - 1_500, CAP - 1_500))
        [record] = shop.recorded(advice)
        assert '"redated":true' in record["reply"]

    @pytest.mark.parametrize(
        ("last4", "left"),
        [
            pytest.param("0055", 4_000, id="expired"),
            pytest.param("0063", 4_000, id="stolen"),
            pytest.param("0071", 4_000, id="lost"),
            pytest.param("0089", 4_000, id="not activated"),
            pytest.param("0139", 5_000, id="replaced: its successor's balance"),
        ],
    )
    def test_a_card_that_may_not_pay_refuses_none(self, shop: Shop, last4: str, left: int) -> None:
        one = card(last4)
        assert said(shop.ask(shop.till.advice(one, 1_000))) == APPROVED
        assert shop.money(one) == Money(left, payable=1_000)

    def test_the_merchant_refuses_none(self, shop: Shop) -> None:
        one = shop.customer()
        stranger = msgspec.structs.replace(shop.till.advice(one, 300), merchant="FR9999999999999")
        elsewhere = msgspec.structs.replace(shop.till.advice(one, 300), merchant="FR0000000000005")
        assert [said(shop.ask(request)) for request in (stranger, elsewhere)] == [APPROVED] * 2
        assert shop.money(one) == Money(STOCK - 600, payable=600)

    @pytest.mark.parametrize("code", ["05", "51", "30"])
    @pytest.mark.parametrize("holds", [True, False], ids=["0120", "0220"])
    def test_one_of_a_decline_is_recorded_and_not_posted(self, shop: Shop, code: str, holds: bool) -> None:
        one = shop.customer()
        make = shop.till.hold_advice if holds else shop.till.advice
        advice = make(one, 1_000, response_code=code)
        assert said(shop.ask(advice)) == APPROVED
        assert len(shop.recorded(advice)) == 1
        assert shop.money(one) == Money(STOCK)

    @pytest.mark.parametrize("code", ["00", "10"])
    def test_one_of_an_approval_is_posted(self, shop: Shop, code: str) -> None:
        one = shop.customer()
        assert said(shop.ask(shop.till.advice(one, 1_000, response_code=code))) == APPROVED
        assert shop.money(one) == Money(STOCK - 1_000, payable=1_000)

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"pan": "9250100000009999"}, ("14", "CARD_UNKNOWN")),
            ({"processing_code": "019000"}, ("12", "TRANSACTION")),
            ({"processing_code": "009001"}, ("12", "TRANSACTION")),
            ({"processing_code": "008000"}, ("12", "TRANSACTION")),
            ({"processing_code": "009100"}, ("42", "PRODUCT_NOT_HELD")),
            ({"amount": f"{0:012}"}, ("13", "AMOUNT")),
            ({"currency": "840"}, ("12", "CURRENCY")),
            ({"acquirer": "970009"}, ("58", "ACQUIRER_UNKNOWN")),
        ],
    )
    def test_what_can_refuse_one(self, shop: Shop, changes: dict[str, str], expected: tuple[str, str]) -> None:
        one = shop.customer()
        for make in (shop.till.advice, shop.till.hold_advice):
            advice: Message = msgspec.structs.replace(make(one, 1_000), **changes)
            assert said(shop.ask(advice)) == expected
        assert shop.money(one) == Money(STOCK)
