"""What a terminal sends (docs/interface.md, wire) and what it counts."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyemv import tlv

from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.rules import check_mandatory
from simulators.terminal import parameters
from simulators.terminal.book import Tally
from simulators.terminal.card import Card
from simulators.terminal.chip import Chip
from simulators.terminal.messages import AmountUnfit, Entry, Terminal, repeat
from simulators.terminal.pinpad import PinPad

CARD = Card(pan="9250100000000014", expiry="2806", pin="1234", cvv2="987", generation=1)
NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)


def at(name="PAR00001", instant=NOON, **options):
    demo = parameters.demo()
    return Terminal(demo.site(name), demo.acquirer, PinPad(demo.zone_pin_key), lambda: instant, **options)


def test_a_purchase_says_how_much_and_who_asks(terminal):
    request = terminal.purchase(CARD, 1250)
    assert request.mti == "0200"
    assert (request.amount, request.currency, request.processing_code) == ("000000001250", "978", "000000")
    assert (request.terminal, request.merchant, request.acquirer) == ("PAR00001", "FR0000000000001", "970001")


@pytest.mark.parametrize("entry", list(Entry))
@pytest.mark.parametrize("tracked", [True, False])
def test_every_request_has_its_mandatory_fields_and_passes_the_dialect_unchanged(entry, tracked):
    codec = Codec(shipped("iso87ascii"))
    till = at(sends_track2=tracked)
    for request in (
        till.purchase(CARD, 1250, entry=entry, takes_partial=True),
        till.authorization(CARD, 1, entry=entry, product="90"),
        till.inquiry(CARD, entry=entry),
    ):
        check_mandatory(request)
        assert codec.decode(codec.encode(request)) == request


@pytest.mark.parametrize(
    ("entry", "mode", "pin", "cvv2"),
    [
        (Entry.CHIP, "051", True, False),
        (Entry.CONTACTLESS, "071", True, False),
        (Entry.STRIPE, "021", True, False),
        (Entry.ONLINE, "812", False, True),
        (Entry.MANUAL, "011", True, True),
    ],
)
def test_entry_decides_de_22_and_which_secrets_go_along(terminal, entry, mode, pin, cvv2):
    request = terminal.purchase(CARD, 900, entry=entry)
    assert request.entry_mode == mode
    assert (request.pin_block is not None) is pin
    assert (request.elements is not None and request.elements.cvv2 == "987") is cvv2
    assert (request.expiry == "2806") is cvv2


def test_track_2_replaces_the_pan_where_the_card_is_read():
    till = at(sends_track2=True)
    stripe = till.purchase(CARD, 900, entry=Entry.STRIPE)
    assert (stripe.pan, stripe.track2, stripe.entry_mode) == (None, CARD.track2, "901")
    assert till.purchase(CARD, 900).track2 == CARD.track2
    assert till.purchase(CARD, 900, entry=Entry.ONLINE).pan == CARD.pan


def test_what_follows_a_request_has_its_mandatory_fields_and_passes_the_dialect_unchanged():
    codec = Codec(shipped("iso87ascii"))
    for tracked in (True, False):
        till = at(sends_track2=tracked)
        hold, sale = till.authorization(CARD, 900, product="90"), till.purchase(CARD, 800)
        for request in (
            till.refund(CARD, sale, 300),
            till.completion(CARD, hold, 0),
            till.completion(CARD, hold, 950, approval="A1B2C3"),
            till.advice(CARD, 5),
            till.advice(CARD, 5, entry=Entry.MANUAL, response_code="00"),
            till.hold_advice(CARD, 5, product="90"),
            till.reversal(sale),
            till.reversal(hold, stands=0),
            till.reversal_advice(till.refund(CARD, sale, 300), stands=100),
        ):
            check_mandatory(request)
            assert codec.decode(codec.encode(request)) == request
            assert codec.decode(codec.encode(repeat(request))).mti[3] == "1"


def test_a_reversal_is_a_request_of_its_own_that_names_its_original():
    """docs/interface.md: DE 90 by class, DE 11 and DE 7, with DE 32, 41, 42 and the PAN."""
    instants = iter([NOON, NOON.replace(second=7)])
    till = at()
    till._clock = lambda: next(instants)
    sale = till.purchase(CARD, 800, product="90")
    reversal = till.reversal(repeat(sale), stands=250)
    assert reversal.mti == "0400"
    assert reversal.original == f"0200{sale.trace}051210300000000970001{'':0>11}"
    assert reversal.replacement == "000000000250" + "0" * 30
    assert (reversal.trace, reversal.transmitted, reversal.local_time) == ("000002", "0512103007", "123007")
    same = ("pan", "processing_code", "amount", "currency", "acquirer", "terminal", "merchant", "local_date")
    assert [getattr(reversal, name) for name in same] == [getattr(sale, name) for name in same]
    assert (reversal.pin_block, reversal.elements) == (None, None)


def test_a_full_reversal_has_no_de_95(terminal):
    assert terminal.reversal(terminal.purchase(CARD, 800)).replacement is None


def test_a_reversal_of_a_stripe_payment_bears_the_stripe():
    till = at(sends_track2=True)
    reversal = till.reversal(till.purchase(CARD, 800, entry=Entry.STRIPE))
    assert (reversal.pan, reversal.track2) == (None, CARD.track2)


def test_a_refund_is_a_0200_with_code_20_of_the_same_product_and_without_a_pin(terminal):
    sale = terminal.purchase(CARD, 800, product="91")
    refund = terminal.refund(CARD, sale, 300)
    assert (refund.mti, refund.processing_code, refund.amount) == ("0200", "209100", "000000000300")
    assert refund.original[:10] == f"0200{sale.trace}"
    assert refund.pin_block is None


def test_a_completion_names_its_hold_by_de_90_or_by_its_approval_code(terminal):
    hold = terminal.authorization(CARD, 800, product="90")
    by_original, by_code = terminal.completion(CARD, hold, 700), terminal.completion(CARD, hold, 700, approval="A1B2C3")
    assert (by_original.mti, by_original.processing_code, by_original.amount) == ("0220", "009000", "000000000700")
    assert (by_original.original[:10], by_original.approval) == (f"0100{hold.trace}", None)
    assert (by_code.original, by_code.approval) == (None, "A1B2C3")


def test_an_advice_names_nothing_and_has_no_pin(terminal):
    sale, hold = terminal.advice(CARD, 5, response_code="00"), terminal.hold_advice(CARD, 5)
    assert (sale.mti, sale.response_code, sale.original, sale.approval, sale.pin_block) == ("0220", "00", *[None] * 3)
    assert (hold.mti, hold.response_code) == ("0120", None)


def test_an_inquiry_names_no_amount(terminal):
    request = terminal.inquiry(CARD, product="90")
    assert (request.mti, request.processing_code, request.amount, request.currency) == ("0100", "319000", None, None)


def test_partial_approval_is_asked_for_by_pa(terminal):
    assert terminal.purchase(CARD, 1, takes_partial=True).elements.takes_partial == "1"
    assert terminal.purchase(CARD, 1).elements is None


def test_de_7_is_utc_and_de_12_13_are_the_terminals_own_zone():
    evening = datetime(2026, 5, 16, 20, 30, tzinfo=UTC)
    paris, reunion = at(instant=evening).purchase(CARD, 1), at("RUN00001", evening).purchase(CARD, 1)
    assert (paris.transmitted, paris.local_date, paris.local_time) == ("0516203000", "0516", "223000")
    assert (reunion.transmitted, reunion.local_date, reunion.local_time) == ("0516203000", "0517", "003000")


@given(first=st.integers(1, 999_999), count=st.integers(1, 5))
def test_trace_numbers_rise_by_one_and_go_round_without_a_zero(first, count):
    till = at(first_trace=first)
    traces = [int(till.inquiry(CARD).trace) for _ in range(count)]
    assert traces == [(first - 1 + step) % 999_999 + 1 for step in range(count)]


def test_after_999999_comes_000001():
    till = at(first_trace=999_999)
    assert [till.inquiry(CARD).trace for _ in range(2)] == ["999999", "000001"]


@pytest.mark.parametrize("cents", [-1, 10**12])
def test_an_amount_that_de_4_cannot_hold_is_refused(terminal, cents):
    with pytest.raises(AmountUnfit):
        terminal.purchase(CARD, cents)


def test_a_repeat_differs_in_the_last_digit_of_its_mti_only(terminal):
    request = terminal.purchase(CARD, 1250)
    again = repeat(request)
    assert again.mti == "0201"
    assert msgspec.structs.replace(again, mti="0200") == request


@given(st.lists(st.tuples(st.integers(2, 10**6), st.sampled_from(["00", "10", "51", "91"]), st.booleans())))
def test_totals_are_what_replies_approved_each_payment_once(payments):
    till = at()
    expected = 0
    for cents, code, answered_twice in payments:
        request = till.purchase(CARD, cents, takes_partial=True)
        approved = cents if code == "00" else cents // 2
        reply = msgspec.structs.replace(request, mti="0210", response_code=code, amount=f"{approved:012d}")
        till.note(request, reply)
        if answered_twice:
            till.note(repeat(request), reply)
        expected += approved if code in ("00", "10") else 0
    assert till.sales == Tally(sum(code in ("00", "10") for _, code, _ in payments), expected)


def test_holds_and_inquiries_are_not_sales(terminal):
    for request in (terminal.authorization(CARD, 500), terminal.inquiry(CARD)):
        terminal.note(request, msgspec.structs.replace(request, mti="0110", response_code="00"))
    assert (terminal.sales, terminal.holds) == (Tally(), Tally(1, 500))
    terminal.close_day()
    assert terminal.holds == Tally()


CHIPPED = msgspec.structs.replace(CARD, chip=Chip("2315208C9110AD402315208C9110AD40", CARD.pan, sequence=7))


@pytest.mark.parametrize("entry", list(Entry))
def test_where_the_chip_is_read_its_cryptogram_and_sequence_number_go_along(terminal, entry):
    """docs/interface.md, DE 55 and DE 23."""
    read = entry in (Entry.CHIP, Entry.CONTACTLESS)
    counter = CHIPPED.chip.counter
    for request in (
        terminal.purchase(CHIPPED, 1250, entry=entry),
        terminal.inquiry(CHIPPED, entry=entry),
        terminal.refund(CHIPPED, terminal.purchase(CARD, 5), 5, entry=entry),
    ):
        assert (request.chip is not None) is read
        assert request.card_sequence == ("007" if read else None)
    assert CHIPPED.chip.counter == counter + (3 if read else 0)
    assert terminal.purchase(CARD, 1250, entry=entry).chip is None


def test_the_chip_is_told_what_the_message_says_by_the_terminals_own_date():
    evening = datetime(2026, 5, 16, 20, 30, tzinfo=UTC)
    request = at("RUN00001", evening).purchase(CHIPPED, 1250)
    told = tlv.decode(bytes.fromhex(request.chip))
    seen = {tag: told[tag].hex() for tag in ("9F02", "5F2A", "9A", "9C")}
    assert seen == {"9F02": request.amount, "5F2A": "0978", "9A": "260517", "9C": "00"}
    assert request.local_date == "0517"


def test_no_two_cryptograms_are_alike_but_a_repeat_bears_its_originals(terminal):
    first, second = terminal.purchase(CHIPPED, 1250), terminal.purchase(CHIPPED, 1250)
    assert first.chip != second.chip
    assert repeat(first).chip == first.chip


def test_a_request_with_a_chips_data_passes_the_dialect_unchanged(terminal):
    codec = Codec(shipped("iso87ascii"))
    request = terminal.purchase(CHIPPED, 1250)
    check_mandatory(request)
    assert codec.decode(codec.encode(request)) == request


def test_a_reversal_and_a_completion_bear_no_cryptogram(terminal):
    hold = terminal.authorization(CHIPPED, 900)
    for request in (terminal.reversal(hold), terminal.completion(CHIPPED, hold, 900)):
        assert (request.chip, request.card_sequence) == (None, None)
