"""The lines of an end-of-day batch: one for each message that moved money, under the fields that name it."""

from datetime import UTC, date, datetime, time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.clearing import Kind
from simulators.terminal.batch import detail, local_day
from simulators.terminal.card import Card
from simulators.terminal.messages import repeat
from tests.simulators.conftest import NOON, answer

CARD = Card(pan="9250100000000014", expiry="2806", pin="1234", generation=1)


@pytest.fixture
def line(terminal):
    """`line(request)`: what an approval of it puts into the batch."""

    def make(request, code="00", **fields):
        reply = answer(request, code, approval="A1B2C3", **fields)
        return detail(request, reply, NOON, terminal.book.note(request, reply))

    return make


def test_a_sale_is_a_line_under_the_names_of_its_message(terminal, line):
    sale = terminal.purchase(CARD, 1250, product="90")
    one = line(sale, retrieval_reference="613212000042")
    assert (one.kind, one.mti, one.cents, one.product, one.currency) == (Kind.SALE, "0200", 1250, "90", "978")
    assert (one.terminal, one.merchant) == ("PAR00001", "FR0000000000001")
    assert (one.trace, one.transmitted) == (sale.trace, sale.transmitted)
    assert (one.day, one.at) == (date(2026, 5, 12), time(12, 30))
    assert (one.approval, one.retrieval, one.card) == ("A1B2C3", "613212000042", "925010******0014")


def test_each_kind_of_message_has_its_word_and_names_its_original(terminal, line):
    sale, hold, offline = terminal.purchase(CARD, 900), terminal.authorization(CARD, 500), terminal.advice(CARD, 70)
    assert line(hold) is None
    lines = [line(sale), line(offline), line(terminal.completion(CARD, hold, 450))]
    refund = terminal.refund(CARD, sale, 200)
    lines += [line(refund), line(terminal.reversal(refund, stands=50)), line(terminal.reversal(offline))]
    assert [(one.kind, one.cents) for one in lines] == [
        (Kind.SALE, 900),
        (Kind.ADVICE, 70),
        (Kind.CAPTURE, 450),
        (Kind.REFUND, 200),
        (Kind.REFUND_REVERSAL, 150),
        (Kind.REVERSAL, 70),
    ]
    assert [one.original and one.original[:10] for one in lines] == [
        None,
        None,
        f"0100{hold.trace}",
        f"0200{sale.trace}",
        f"0200{refund.trace}",
        f"0220{offline.trace}",
    ]


def test_of_a_partial_approval_what_was_approved_and_of_its_reversal_what_came_back(terminal, line):
    sale = terminal.purchase(CARD, 3000, takes_partial=True)
    assert line(sale, "10", amount="000000001900").cents == 1900
    assert line(terminal.reversal(sale, stands=400)).cents == 1500


def test_what_moved_nothing_has_no_line(terminal, line):
    sale = terminal.purchase(CARD, 900)
    assert line(sale, "51") is line(terminal.inquiry(CARD)) is line(terminal.reversal(sale), "25") is None
    assert line(sale) is None, "an approval behind its reversal"


def test_a_repeat_is_a_line_of_what_it_repeats_once(terminal, line):
    sale = terminal.purchase(CARD, 900)
    assert line(repeat(sale)).mti == "0200"
    assert line(sale) is None


def test_a_pan_in_track_2_is_masked_too(terminal, line):
    sale = msgspec.structs.replace(terminal.purchase(CARD, 900), pan=None, track2=CARD.track2)
    assert line(sale).card == "925010******0014"


@given(st.datetimes(datetime(1990, 1, 2), datetime(2090, 1, 1)), st.integers(-1, 1))  # noqa: DTZ001
def test_the_year_of_a_local_date_is_the_one_nearest(moment, days):
    at = moment.replace(tzinfo=UTC)
    day = date.fromordinal(at.date().toordinal() + days)
    assert local_day(f"{day:%m%d}", at) == day
