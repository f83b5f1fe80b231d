"""What a terminal believes of its money (docs/interface.md: Reversals, Holds, Offline advices)."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.wire.rules import reply_mti
from simulators.terminal import parameters
from simulators.terminal.book import Book, Kind, Tally
from simulators.terminal.card import Card
from simulators.terminal.messages import Terminal, repeat
from simulators.terminal.pinpad import PinPad
from tests.simulators.conftest import NOON

CARD = Card(pan="9250100000000014", expiry="2806", pin="1234", cvv2="987", generation=1)


@pytest.fixture
def told(terminal):
    """`told(request)`: the terminal hears its reply, approved unless told otherwise."""

    def tell(request, code="00", **fields):
        reply = msgspec.structs.replace(request, mti=reply_mti(request.mti), response_code=code, original=None)
        terminal.note(request, msgspec.structs.replace(reply, **fields))
        return request

    return tell


def test_a_terminal_is_owed_sales_captures_and_offline_sales_less_refunds(terminal, told):
    sale = told(terminal.purchase(CARD, 1000))
    hold = told(terminal.authorization(CARD, 500))
    assert terminal.owed == 1000
    told(terminal.completion(CARD, hold, 450))
    told(terminal.advice(CARD, 70))
    told(terminal.refund(CARD, sale, 200))
    assert terminal.owed == 1000 + 450 + 70 - 200
    assert [terminal.book.tally(kind).cents for kind in Kind] == [1000, 500, 450, 70, 200]


def test_a_full_reversal_gives_all_back_and_a_partial_one_the_difference(terminal, told):
    kept, lowered = told(terminal.purchase(CARD, 1000)), told(terminal.purchase(CARD, 800))
    told(terminal.reversal(kept))
    told(terminal.reversal_advice(lowered, stands=300))
    assert (terminal.owed, terminal.book.given_back, terminal.sales) == (300, 1500, Tally(2, 1800))


def test_a_reversal_that_nobody_acknowledged_counts_nothing(terminal, told):
    sale = told(terminal.purchase(CARD, 1000))
    told(terminal.reversal(sale), "91")
    assert terminal.owed == 1000


def test_25_acknowledges_that_nothing_stands_whatever_was_to_stand(terminal, told):
    sale = told(terminal.purchase(CARD, 1000))
    told(terminal.reversal(sale, stands=400), "25")
    assert terminal.owed == 0


@given(st.lists(st.integers(0, 1500), max_size=5))
def test_what_stands_goes_only_down(amounts):
    terminal = _terminal()
    sale = terminal.purchase(CARD, 1000)
    _approve(terminal, sale)
    for stands in amounts:
        _approve(terminal, terminal.reversal(sale, stands=stands))
    assert terminal.book.stands(sale) == terminal.owed == min([1000, *amounts])


def test_an_answer_that_comes_after_the_reversal_changes_nothing(terminal, told):
    sale = terminal.purchase(CARD, 1000)
    told(terminal.reversal(sale), "25")
    told(sale)
    assert terminal.owed == 0


def test_the_reply_to_a_repeat_does_not_raise_what_was_reversed(terminal, told):
    sale = told(terminal.purchase(CARD, 1000))
    told(terminal.reversal(sale, stands=400))
    told(repeat(sale))
    assert (terminal.owed, terminal.sales.count) == (400, 1)


def test_the_reversal_of_a_partial_approval_lowers_what_was_approved(terminal, told):
    sale = told(terminal.purchase(CARD, 1000, takes_partial=True), "10", amount="000000000600")
    told(terminal.reversal(sale, stands=800))
    assert terminal.owed == 600
    told(terminal.reversal(sale, stands=100))
    assert terminal.owed == 100


@pytest.mark.parametrize("by_approval", [True, False])
def test_a_completion_ends_the_hold_and_is_owed_whole_also_above_it(terminal, told, by_approval):
    hold = told(terminal.authorization(CARD, 500), approval="A1B2C3")
    assert terminal.book.standing(Kind.HOLD) == 500
    told(terminal.completion(CARD, hold, 550, approval="A1B2C3" if by_approval else None))
    assert (terminal.book.standing(Kind.HOLD), terminal.owed) == (0, 550)


@pytest.mark.parametrize("names", ["the hold", "the completion"])
def test_a_reversal_after_the_completion_lowers_what_was_captured(terminal, told, names):
    hold = told(terminal.authorization(CARD, 500))
    completion = told(terminal.completion(CARD, hold, 400))
    told(terminal.reversal(hold if names == "the hold" else completion, stands=150))
    assert (terminal.book.standing(Kind.HOLD), terminal.owed) == (0, 150)


def test_a_completion_of_a_hold_that_was_lowered_is_owed_whole(terminal, told):
    hold = told(terminal.authorization(CARD, 500))
    told(terminal.reversal(hold, stands=100))
    assert terminal.book.standing(Kind.HOLD) == 100
    told(terminal.completion(CARD, hold, 300))
    assert terminal.owed == 300


def test_a_completion_of_nothing_captures_nothing(terminal, told):
    hold = told(terminal.authorization(CARD, 500), "51")
    told(terminal.completion(CARD, hold, 500), "25")
    assert (terminal.owed, terminal.book.standing(Kind.HOLD)) == (0, 0)


def test_a_completion_of_0_releases_its_hold_and_is_not_counted_as_a_debit(terminal, told):
    hold = told(terminal.authorization(CARD, 500))
    told(terminal.completion(CARD, hold, 0))
    assert (terminal.owed, terminal.book.standing(Kind.HOLD)) == (0, 0)
    assert terminal.book.tally(Kind.CAPTURE) == Tally(0, 0)


def test_an_offline_hold_is_a_hold(terminal, told):
    told(terminal.hold_advice(CARD, 500))
    assert (terminal.owed, terminal.book.standing(Kind.HOLD)) == (0, 500)


@pytest.mark.parametrize(("code", "owed"), [("00", 70), ("10", 70), ("05", 0), ("51", 0), (None, 70)])
def test_an_advice_of_what_was_declined_offline_moves_nothing(terminal, told, code, owed):
    told(terminal.advice(CARD, 70, response_code=code))
    assert terminal.owed == owed


def test_a_reversed_refund_is_owed_again(terminal, told):
    sale = told(terminal.purchase(CARD, 1000))
    refund = told(terminal.refund(CARD, sale, 400))
    told(terminal.reversal(refund, stands=100))
    assert terminal.owed == 900


def test_inquiries_and_the_unknown_stand_for_nothing(terminal, told):
    asked = told(terminal.inquiry(CARD))
    assert terminal.book.stands(asked) == terminal.book.stands(terminal.purchase(CARD, 5)) == terminal.owed == 0


def _terminal():
    demo = parameters.demo()
    return Terminal(demo.site("PAR00001"), demo.acquirer, PinPad(demo.zone_pin_key), lambda: NOON)


def _approve(terminal, request):
    terminal.note(request, msgspec.structs.replace(request, mti=reply_mti(request.mti), response_code="00"))


def test_a_new_day_is_empty_and_owes_nothing_of_the_one_before(terminal, told):
    told(terminal.purchase(CARD, 1000))
    terminal.close_day()
    assert (terminal.owed, terminal.sales, terminal.book.given_back) == (0, Tally(), 0)


def test_what_is_taken_back_of_an_earlier_day_is_owed_less_today(terminal, told):
    sale = told(terminal.purchase(CARD, 1000))
    told(terminal.reversal(sale, stands=800))
    terminal.close_day()
    told(terminal.reversal(sale, stands=300))
    assert (terminal.owed, terminal.book.given_back, terminal.book.stands(sale)) == (-500, 500, 300)


def test_the_reply_to_a_repeat_of_yesterday_changes_nothing(terminal, told):
    sale = told(terminal.purchase(CARD, 1000))
    told(terminal.reversal(sale, stands=400))
    terminal.close_day()
    told(repeat(sale))
    assert (terminal.owed, terminal.book.stands(sale)) == (0, 400)


@pytest.mark.parametrize("by_approval", [True, False])
def test_a_hold_of_yesterday_is_captured_today(terminal, told, by_approval):
    hold = told(terminal.authorization(CARD, 500), approval="A1B2C3")
    terminal.close_day()
    assert (terminal.book.standing(Kind.HOLD), terminal.holds) == (500, Tally())
    told(terminal.completion(CARD, hold, 450, approval="A1B2C3" if by_approval else None))
    assert (terminal.book.standing(Kind.HOLD), terminal.owed) == (0, 450)


def test_a_capture_of_yesterday_is_reversed_by_the_name_of_its_hold(terminal, told):
    hold = told(terminal.authorization(CARD, 500))
    told(terminal.completion(CARD, hold, 450))
    terminal.close_day()
    told(terminal.reversal(hold))
    assert terminal.owed == -450


STEPS = st.tuples(st.sampled_from(["sale", "hold", "capture", "refund", "reverse", "close"]), st.integers(0, 900))


@given(st.lists(STEPS, max_size=25))
def test_what_each_note_moves_adds_up_to_what_is_owed_over_all_days(steps):
    """`note` says by how much; days only cut the sum in parts. A book that no day was closed in is the measure."""
    terminal, whole = _terminal(), Book()
    asked, holds, moved, closed = [], [], 0, 0
    for step, cents in steps:
        match step:
            case "close":
                closed += terminal.owed
                terminal.close_day()
                continue
            case "hold":
                request = terminal.authorization(CARD, cents)
                holds.append(request)
            case "capture" if holds:
                request = terminal.completion(CARD, holds.pop(cents % len(holds)), cents)
            case "reverse" if asked:
                request = terminal.reversal(asked[cents % len(asked)], stands=cents % 3 * 100)
            case "refund" if asked:
                request = terminal.refund(CARD, asked[cents % len(asked)], cents)
            case _:
                request = terminal.purchase(CARD, cents)
        if request.mti != "0400":
            asked.append(request)
        reply = msgspec.structs.replace(request, mti=reply_mti(request.mti), response_code="00")
        moved += terminal.book.note(request, reply)
        whole.note(request, reply)
    assert moved == closed + terminal.owed == whole.owed
    assert terminal.book.standing(Kind.HOLD) == whole.standing(Kind.HOLD)
