"""What an acquirer is to be paid (docs/acquirer.md), held against what the terminals themselves believe."""

from datetime import date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.wire.message import Message
from simulators.acquirer.settlement import KEPT_DAYS_MAX, Reference, Settlement, totals_of
from simulators.clearing import Clearing, Kind, read, write
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Terminal, repeat
from simulators.terminal.pinpad import PinPad

NOON = datetime.fromisoformat("2026-05-12T10:30:00+00:00")
DAY = date(2026, 5, 12)
CARD = Card(pan="9250100000000014")
DEMO = parameters.demo()


def till() -> Terminal:
    site = DEMO.site("PAR00001")
    assert site is not None
    return Terminal(site, DEMO.acquirer, PinPad("00" * 16), lambda: NOON)


def reply_to(request: Message, code: str = "00", **fields: str | None) -> Message:
    return Message(mti=f"{request.mti[:2]}{int(request.mti[2]) + 1}0", response_code=code, **fields)


class Account:
    """A settlement and a terminal's book that are told the same."""

    def __init__(self) -> None:
        self.till = till()
        self.settlement = Settlement(DAY)
        self.in_doubt: set[Reference] = set()

    def decide(self, request: Message, code: str = "00", **fields: str | None) -> Message:
        reply = reply_to(request, code, **fields)
        self.settlement.decided(request, reply, NOON, in_doubt=self.in_doubt.__contains__)
        self.till.note(request, reply)
        return request

    @property
    def lines(self) -> list[tuple[Kind, int]]:
        return [(one.kind, one.cents) for one in self.settlement.details]


CENTS = st.integers(1, 1_000)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["sale", "partial", "declined", "advice", "hold", "capture", "refund", "reverse", "repeat"]),
        CENTS,
        st.integers(0, 50),
    ),
    max_size=40,
)


@given(STEPS)
def test_the_net_is_what_the_terminals_believe_to_be_owed(steps):
    account, asked = Account(), list[Message]()
    holds, sales = list[Message](), list[Message]()
    for what, cents, pick in steps:
        match what:
            case "sale":
                sales.append(account.decide(account.till.purchase(CARD, cents)))
            case "partial":
                partly = account.till.purchase(CARD, cents + 1, takes_partial=True)
                asked.append(account.decide(partly, "10", amount=f"{cents:012}"))
            case "declined":
                asked.append(account.decide(account.till.purchase(CARD, cents), "51"))
            case "advice":
                asked.append(account.decide(account.till.advice(CARD, cents)))
            case "hold":
                holds.append(account.decide(account.till.authorization(CARD, cents), approval=f"{len(holds):06}"))
            case "capture" if holds:
                asked.append(account.decide(account.till.completion(CARD, holds.pop(), cents)))
            case "refund" if sales:
                asked.append(account.decide(account.till.refund(CARD, sales.pop(), 1)))
            case "reverse" if asked:
                account.decide(account.till.reversal(asked[pick % len(asked)], stands=cents if pick % 2 else None))
            case "repeat" if sales:
                account.decide(repeat(sales[pick % len(sales)]))
    net = sum(one.cents if one.kind.debits else -one.cents for one in account.settlement.details)
    assert net == account.till.owed == -account.settlement.totals.net
    assert all(one.cents > 0 for one in account.settlement.details)
    clearing = Clearing(
        acquirer="970001", day=DAY, created=NOON, file_id="x", details=tuple(account.settlement.details)
    )
    assert read(write(clearing)) == clearing


def test_a_refund_lowers_what_a_reversal_of_its_payment_can_give_back_and_its_own_reversal_undoes_that():
    account = Account()
    sale = account.decide(account.till.purchase(CARD, 1_000))
    refund = account.decide(account.till.refund(CARD, sale, 400))
    account.decide(account.till.reversal(refund, stands=300))
    account.decide(account.till.reversal(sale))
    assert account.lines == [
        (Kind.SALE, 1_000),
        (Kind.REFUND, 400),
        (Kind.REFUND_REVERSAL, 100),
        (Kind.REVERSAL, 700),
    ]
    totals = account.settlement.totals
    assert (totals.credits_amount, totals.credits_reversal_amount) == (400, 100)


def test_a_capture_named_by_its_approval_code_is_lowered_by_a_reversal_of_the_hold():
    account = Account()
    hold = account.decide(account.till.authorization(CARD, 500), approval="ABC123")
    capture = account.decide(account.till.completion(CARD, hold, 450, approval="ABC123"))
    account.decide(account.till.reversal(hold, stands=200))
    account.decide(account.till.reversal(capture))
    assert account.lines == [(Kind.CAPTURE, 450), (Kind.REVERSAL, 250), (Kind.REVERSAL, 200)]


def test_a_reversal_before_the_reply_to_its_original_counts_when_that_comes():
    account = Account()
    sale = account.till.purchase(CARD, 100)
    account.in_doubt.add(Reference.of(sale))
    account.decide(account.till.reversal(sale))
    assert account.lines == []
    account.decide(repeat(sale))
    assert account.lines == [(Kind.SALE, 100), (Kind.REVERSAL, 100)]


@pytest.mark.parametrize("code", ["94", "51"])
def test_and_counts_for_nothing_where_the_original_was_refused(code):
    account = Account()
    sale = account.till.purchase(CARD, 100)
    account.in_doubt.add(Reference.of(sale))
    account.decide(account.till.reversal(sale))
    account.decide(repeat(sale), code)
    account.decide(account.till.reversal(sale))
    assert account.lines == []


def test_a_payment_that_was_refused_may_be_approved_when_it_comes_again():
    account = Account()
    sale = account.decide(account.till.purchase(CARD, 100), "63")
    account.decide(repeat(sale))
    assert account.lines == [(Kind.SALE, 100)]


def test_a_reversal_of_a_time_that_nothing_remembers_is_taken_at_its_word():
    account = Account()
    sale = account.decide(account.till.purchase(CARD, 1_000))
    assert len(account.settlement.open(DAY + timedelta(days=KEPT_DAYS_MAX))) == 1
    account.decide(account.till.reversal(sale, stands=800))
    assert account.lines == [(Kind.REVERSAL, 200)]
    account.settlement.open(DAY + timedelta(days=2 * KEPT_DAYS_MAX + 1))
    account.decide(account.till.reversal(sale))
    assert account.lines == [(Kind.REVERSAL, 1_000)], "what is known of it is forgotten too"


def test_lines_name_messages_as_docs_clearing_says():
    account = Account()
    sale = account.decide(account.till.purchase(CARD, 100, product="90"), approval="ABC123")
    account.decide(account.till.reversal_advice(sale))
    line, back = account.settlement.details
    assert (line.terminal, line.merchant, line.trace, line.mti) == ("PAR00001", "FR0000000000001", "000001", "0200")
    assert (line.card, line.product, line.approval) == ("925010******0014", "90", "ABC123")
    assert (line.day, line.at.isoformat()) == (DAY, "12:30:00")
    assert (back.mti, back.original) == ("0420", "02000000010512103000")


def test_the_year_of_a_line_is_the_one_nearest():
    account = Account()
    late = msgspec.structs.replace(account.till.advice(CARD, 100), local_date="1231", local_time="235900")
    account.settlement.decided(
        late, reply_to(late), datetime.fromisoformat("2027-01-01T00:05:00+00:00"), in_doubt=lambda _: False
    )
    assert account.settlement.details[0].day == date(2026, 12, 31)


def test_totals_are_of_the_lines():
    assert totals_of([]).net == 0
