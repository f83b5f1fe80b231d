"""Reversals: what stands goes only down, back to the lots it came from and off the cap of its day.

docs/interface.md, "Reversals". Each order in which a reversal and its original can meet has its answer here.
"""

from collections.abc import Callable

import msgspec
import pytest

from authz.wire.message import ATTRIBUTES, Message
from simulators.terminal.card import Card
from simulators.terminal.messages import repeat
from tests.acceptance.counter import card
from tests.acceptance.shop import CAP, STOCK, Money, Shop, said, told

APPROVED = ("00", "APPROVED")
NO_ORIGINAL = ("25", "NO_ORIGINAL")
REVERSED_BEFORE = ("94", "REVERSED_BEFORE")
IN_FEBRUARY = "2026-02-20T12:30:00+01:00"


class TestOfAPurchase:
    def test_it_frees_the_cap_of_its_day(self, shop: Shop) -> None:
        one = shop.customer()
        purchase = shop.till.purchase(one, CAP)
        shop.ask(purchase)
        assert said(shop.ask(shop.till.purchase(one, 1))) == ("61", "DAILY_CAP")
        assert told(shop.ask(shop.till.reversal(purchase))) == (STOCK, CAP)
        assert said(shop.ask(shop.till.purchase(one, CAP))) == APPROVED

    def test_partial_then_lower_then_full(self, shop: Shop) -> None:
        one = shop.customer()
        purchase = shop.till.purchase(one, 1_000)
        shop.ask(purchase)
        for stands in (700, 200, 0):
            reply = shop.ask(shop.till.reversal(purchase, stands=stands))
            assert (*said(reply), told(reply)) == (*APPROVED, (STOCK - stands, CAP - stands))
            assert shop.money(one) == Money(STOCK - stands, payable=stands)

    @pytest.mark.parametrize("stands", [400, 401, 1_000, 5_000])
    def test_one_at_or_above_what_stands_changes_nothing(self, shop: Shop, stands: int) -> None:
        one = shop.customer()
        purchase = shop.till.purchase(one, 1_000)
        shop.ask(purchase)
        shop.ask(shop.till.reversal(purchase, stands=400))
        assert said(shop.ask(shop.till.reversal(purchase, stands=stands))) == APPROVED
        assert shop.money(one) == Money(STOCK - 400, payable=400)

    def test_twice_gives_back_once(self, shop: Shop) -> None:
        one = shop.customer()
        purchase = shop.till.purchase(one, 1_000)
        shop.ask(purchase)
        replies = [said(shop.ask(shop.till.reversal(purchase))) for _ in range(2)]
        assert replies == [APPROVED] * 2
        assert shop.money(one) == Money(STOCK)

    def test_a_repeat_of_the_original_then_is_still_answered_as_it_was(self, shop: Shop) -> None:
        one = shop.customer()
        purchase = shop.till.purchase(one, 1_000)
        first = shop.ask_bytes(purchase)
        shop.ask(shop.till.reversal(purchase))
        assert shop.ask_bytes(repeat(purchase)) == first
        assert shop.money(one) == Money(STOCK)

    def test_of_one_approved_in_part(self, shop: Shop) -> None:
        one = shop.customer()
        purchase = shop.till.purchase(one, CAP + 600, takes_partial=True)
        assert shop.ask(purchase).response_code == "10"
        assert said(shop.ask(shop.till.reversal(purchase, stands=CAP + 100))) == APPROVED
        assert shop.money(one) == Money(STOCK - CAP, payable=CAP)
        assert told(shop.ask(shop.till.reversal(purchase))) == (STOCK, CAP)

    def test_of_a_declined_one(self, shop: Shop) -> None:
        one = shop.customer()
        declined = shop.till.purchase(one, CAP + 1)
        shop.ask(declined)
        assert said(shop.ask(shop.till.reversal(declined))) == APPROVED
        assert shop.money(one) == Money(STOCK)

    def test_of_an_inquiry(self, shop: Shop) -> None:
        one = shop.customer()
        inquiry = shop.till.inquiry(one)
        shop.ask(inquiry)
        reversal = msgspec.structs.replace(shop.till.reversal(inquiry), amount=f"{0:012}", currency="978")
        assert said(shop.ask(reversal)) == APPROVED
        assert shop.money(one) == Money(STOCK)

    def test_of_a_repeat_it_is_named_as_what_it_repeats(self, shop: Shop) -> None:
        one = shop.customer()
        purchase = repeat(shop.till.purchase(one, 1_000))
        shop.ask(purchase)
        reversal = shop.till.reversal(purchase)
        assert (reversal.original or "").startswith("0200")
        assert said(shop.ask(reversal)) == APPROVED
        assert shop.money(one) == Money(STOCK)

    @pytest.mark.parametrize("field", [3, 49], ids=["DE 3", "DE 49"])
    def test_nothing_else_can_refuse_it(self, shop: Shop, field: int) -> None:
        one = shop.customer()
        purchase = shop.till.purchase(one, 1_000)
        shop.ask(purchase)
        odd = {3: "776655", 49: "840"}[field]
        reversal = msgspec.structs.replace(shop.till.reversal(purchase), **{ATTRIBUTES[field]: odd})
        assert said(shop.ask(reversal)) == APPROVED
        assert shop.money(one) == Money(STOCK)


class TestOfAHold:
    def test_in_full_it_is_released(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.authorization(one, CAP)
        shop.ask(hold)
        assert told(shop.ask(shop.till.reversal(hold))) == (STOCK, CAP)
        assert shop.money(one) == Money(STOCK)
        assert said(shop.ask(shop.till.reversal(hold))) == APPROVED
        assert said(shop.ask(shop.till.completion(one, hold, 100))) == NO_ORIGINAL

    def test_in_part_it_stays_open_for_the_rest(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.authorization(one, 1_000)
        shop.ask(hold)
        assert told(shop.ask(shop.till.reversal(hold, stands=600))) == (STOCK - 600, CAP - 600)
        assert shop.money(one) == Money(STOCK - 600, hold=600)
        shop.ask(shop.till.completion(one, hold, 700))
        assert shop.money(one) == Money(STOCK - 600, payable=700, exceptions=-100)

    @pytest.mark.parametrize("names", ["the 0100", "the 0220"])
    def test_after_its_completion_what_was_captured_goes_back(self, shop: Shop, names: str) -> None:
        one = shop.customer()
        hold = shop.till.authorization(one, 1_000)
        shop.ask(hold)
        completion = shop.till.completion(one, hold, 700)
        shop.ask(completion)
        named = hold if names == "the 0100" else completion
        assert told(shop.ask(shop.till.reversal(named, stands=200))) == (STOCK - 200, CAP - 200)
        assert shop.money(one) == Money(STOCK - 200, payable=200)
        assert told(shop.ask(shop.till.reversal(named))) == (STOCK, CAP)
        assert shop.money(one) == Money(STOCK)
        assert said(shop.ask(shop.till.completion(one, hold, 700))) == NO_ORIGINAL, "the hold stays ended"

    def test_of_both_gives_back_once(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.authorization(one, 1_000)
        shop.ask(hold)
        completion = shop.till.completion(one, hold, 700)
        shop.ask(completion)
        assert [said(shop.ask(shop.till.reversal(named))) for named in (completion, hold)] == [APPROVED] * 2
        assert shop.money(one) == Money(STOCK)


class TestOfAnAdvice:
    def test_the_shortfall_goes_first(self, shop: Shop) -> None:
        one = shop.customer()
        advice = shop.till.advice(one, STOCK + 1_000)
        shop.ask(advice)
        for stands, money in (
            (STOCK + 500, Money(0, payable=STOCK + 500, exceptions=-500)),
            (STOCK - 500, Money(500, payable=STOCK - 500)),
            (0, Money(STOCK)),
        ):
            assert said(shop.ask(shop.till.reversal_advice(advice, stands=stands))) == APPROVED
            assert shop.money(one) == money

    def test_of_a_hold_set_aside_offline(self, shop: Shop) -> None:
        one = shop.customer()
        hold = shop.till.hold_advice(one, 1_000)
        shop.ask(hold)
        assert said(shop.ask(shop.till.reversal(hold))) == APPROVED
        assert shop.money(one) == Money(STOCK)


class TestBeforeTheOriginal:
    @pytest.mark.parametrize("mti", ["0400", "0420"])
    @pytest.mark.parametrize("late", ["0100", "0120", "0200", "0220"])
    def test_it_is_25_and_the_original_is_refused_then(self, shop: Shop, mti: str, late: str) -> None:
        one = shop.customer()
        till = shop.till
        makers: dict[str, Callable[[Card, int], Message]] = {
            "0100": till.authorization,
            "0120": till.hold_advice,
            "0200": till.purchase,
            "0220": till.advice,
        }
        original = makers[late](one, 1_000)
        reversal = msgspec.structs.replace(shop.till.reversal(original), mti=mti)
        acknowledged = shop.ask_bytes(reversal)
        assert said(shop.codec.decode(acknowledged)) == NO_ORIGINAL
        for sent in (original, repeat(original), original):
            assert said(shop.ask(sent)) == REVERSED_BEFORE
        assert shop.ask_bytes(repeat(reversal)) == acknowledged
        assert shop.recorded(original) == []
        assert shop.money(one) == Money(STOCK)

    def test_a_second_one_is_25_too(self, shop: Shop) -> None:
        original = shop.till.purchase(shop.customer(), 1_000)
        assert [said(shop.ask(shop.till.reversal(original))) for _ in range(2)] == [NO_ORIGINAL] * 2
        assert said(shop.ask(original)) == REVERSED_BEFORE

    def test_all_of_it_outlives_a_restart(self, own_shop: Callable[..., Shop]) -> None:
        """What was reversed before, what stands, and each stored reply."""
        shop = own_shop().open()
        early, late, one = shop.customer(), shop.customer(), shop.customer()
        never, purchase, hold = (
            shop.till.purchase(early, 1_000),
            shop.till.purchase(late, 1_000),
            shop.till.authorization(one, 1_000),
        )
        shop.ask(purchase)
        shop.ask(hold)
        told_before = [
            shop.till.reversal(never),
            shop.till.reversal(purchase, stands=400),
            shop.till.completion(one, hold, 700),
        ]
        first = [shop.ask_bytes(request) for request in told_before]
        shop.authorizer.kill()
        shop.open()
        assert said(shop.ask(never)) == REVERSED_BEFORE
        assert [shop.ask_bytes(repeat(request)) for request in told_before] == first
        assert said(shop.ask(never)) == REVERSED_BEFORE
        assert said(shop.ask(shop.till.completion(one, hold, 700))) == NO_ORIGINAL
        assert told(shop.ask(shop.till.reversal(purchase, stands=100))) == (STOCK - 100, CAP - 100)
        assert said(shop.ask(shop.till.reversal(hold))) == APPROVED
        assert [shop.money(card) for card in (early, late, one)] == [
            Money(STOCK),
            Money(STOCK - 100, payable=100),
            Money(STOCK),
        ]


class TestOfNothing:
    def test_it_must_name_the_very_request(self, shop: Shop) -> None:
        """Class, DE 11, DE 7, with DE 32, 41, 42 and the PAN."""
        one, other = shop.customer(), shop.customer()
        purchase = shop.till.purchase(one, 1_000)
        shop.ask(purchase)

        def named(**changes: str) -> Message:
            return shop.till.reversal(msgspec.structs.replace(purchase, **changes))

        for elsewhere in (
            named(mti="0100"),
            named(mti="0220"),
            named(mti="0400"),
            named(mti="0800"),
            named(trace="999998"),
            named(transmitted="0512102959"),
            named(terminal="PAR00009"),
            named(merchant="FR0000000000002"),
            named(pan=other.pan),
        ):
            assert said(shop.ask(elsewhere)) == NO_ORIGINAL
        assert shop.money(one) == Money(STOCK - 1_000, payable=1_000)
        assert said(shop.ask(shop.till.reversal(purchase))) == APPROVED

    def test_of_a_card_that_nobody_knows(self, shop: Shop) -> None:
        stranger = msgspec.structs.replace(shop.customer(), pan="9250100000009999")
        unknown = shop.till.purchase(stranger, 1_000)
        assert said(shop.ask(shop.till.reversal(unknown))) == NO_ORIGINAL
        assert said(shop.ask(unknown)) == REVERSED_BEFORE
        declined = shop.till.purchase(stranger, 1_000)
        assert said(shop.ask(declined)) == ("14", "CARD_UNKNOWN")
        assert said(shop.ask(shop.till.reversal(declined))) == APPROVED


@pytest.mark.parametrize("first", ["0400", "0420"])
def test_a_reversal_and_its_advice_are_one_request(shop: Shop, first: str) -> None:
    """0400 and 0420 count as one class: whichever comes second is answered as the first was."""
    one = shop.customer()
    purchase = shop.till.purchase(one, 1_000)
    shop.ask(purchase)
    sent = msgspec.structs.replace(shop.till.reversal(purchase, stands=300), mti=first)
    other = msgspec.structs.replace(sent, mti="0420" if first == "0400" else "0400")
    reply, again = shop.ask(sent), shop.ask(other)
    assert msgspec.structs.replace(again, mti=reply.mti) == reply
    assert len(shop.recorded(sent)) + len(shop.recorded(other)) == 1


def test_what_goes_back_goes_to_the_lots_it_came_from(own_shop: Callable[..., Shop]) -> None:
    """The oldest vintage was spent first: what stands is what a smaller purchase would have taken."""
    shop, one = own_shop().open(IN_FEBRUARY), card("0022")
    purchase = shop.till.purchase(one, 1_000)
    shop.ask(purchase)
    assert lots(shop) == {"90:2025": 0, "90:2026": 9_750}
    shop.ask(shop.till.reversal(purchase, stands=800))
    assert lots(shop) == {"90:2025": 0, "90:2026": 9_950}
    shop.ask(shop.till.reversal(purchase, stands=500))
    assert lots(shop) == {"90:2025": 250, "90:2026": 10_000}
    shop.ask(shop.till.reversal(purchase))
    assert lots(shop) == {"90:2025": 750, "90:2026": 10_000}


def lots(shop: Shop) -> dict[str, int]:
    """The lots of the demo's card 0022."""
    found = shop.rows(
        "SELECT account, balance FROM ledger.balance JOIN authz.vault ON split_part(account, ':', 2) = holder"
        " WHERE (first6, last4) = ('925010', '0022') AND account LIKE 'holder:%'"
    )
    return {account.split(":", 2)[2]: balance for account, balance in found}
