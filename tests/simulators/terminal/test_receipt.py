"""What the terminal prints: the outcome in words, amounts to the cent, nothing secret, 40 columns."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.decision.outcomes import Reason
from authz.wire.message import Elements, Message
from simulators.terminal import parameters, wording
from simulators.terminal.book import Kind, Tally
from simulators.terminal.card import Card
from simulators.terminal.messages import Site
from simulators.terminal.receipt import (
    COLUMNS,
    OFFLINE,
    UNANSWERED,
    UNREACHED,
    Copy,
    DaySlip,
    Decision,
    Left,
    balances,
    euros,
    read,
    render,
    render_day,
    unheard,
)
from simulators.terminal.wording import Language

SITE = parameters.demo().site("PAR00001")
NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
CARD = "925010…0014"
HOLDER = Card(pan="9250100000000014")
REQUEST = Message(mti="0200", amount="000000002500", trace="000042")
INQUIRY = Message(mti="0100", trace="000043")
REFUSALS = [reason for reason in Reason if not reason.approves]


def slip_of(code, reason, request=REQUEST, **fields):
    return read(SITE, NOON, CARD, request, Message(mti="0210", response_code=code, reason=reason, **fields))


def lines_of(slip, language=Language.BOTH, copy=Copy.HOLDER, **how):
    return [" ".join(line.split()) for line in render(slip, language, copy, **how).splitlines()]


def test_approved():
    slip = slip_of("00", "APPROVED", amount="000000002500", approval="A1B2C3", balances="9002978C000000017500")
    assert (slip.decision, slip.approved, slip.rest) == (Decision.APPROVED, 2500, 0)
    lines = lines_of(slip)
    assert "*** APPROUVÉ / APPROVED ***" in lines
    assert "Montant / Amount 25,00 €" in lines
    assert "Autorisation / Approval A1B2C3" in lines
    assert "Solde / Balance 175,00 €" in lines
    assert not any("Reste" in line for line in lines)


def test_partial_names_the_rest_to_pay_conecs():
    fields = {"amount": "000000001900", "balances": "9002978C0000000181009020978C000000000000"}
    slip = slip_of("10", "PARTIAL", **fields)
    assert (slip.decision, slip.approved, slip.rest) == (Decision.PARTIAL, 1900, 600)
    lines = lines_of(slip)
    assert "Accepté / Approved 19,00 €" in lines
    assert "Reste à payer / Left to pay 6,00 €" in lines
    assert "Encore ce jour / Left today 0,00 €" in lines


@pytest.mark.parametrize("reason", REFUSALS)
@pytest.mark.parametrize("language", list(Language))
def test_a_refusal_says_why(reason, language):
    printed = " ".join(render(slip_of("57", reason.value), language).split())
    for word in wording.REFUSED.spoken(language):
        assert word.upper() in printed
    for sentence in wording.REASONS[reason].spoken(language):
        assert sentence in printed


def test_a_wrong_pin_shows_the_tries_left():
    slip = slip_of("55", "PIN_WRONG", elements=Elements(tries_left="2"))
    assert slip.tries_left == 2
    assert "Essais restants / Tries left 2" in lines_of(slip)


@pytest.mark.parametrize("reason", [None, "HOUSE_RULE"])
def test_a_host_with_other_reasons_is_quoted_by_its_response_code(reason):
    assert "Response code 05" in lines_of(slip_of("05", reason), Language.ENGLISH)


def test_a_reply_without_response_code_is_no_approval():
    assert slip_of(None, None).decision is Decision.REFUSED


@pytest.mark.parametrize("reply", [("00", "APPROVED"), ("10", "PARTIAL")])
@pytest.mark.parametrize("language", list(Language))
def test_the_merchants_copy_says_what_was_paid_and_nothing_of_what_is_left(reply, language):
    slip = slip_of(*reply, amount="000000001900", balances="9002978C0000000181009020978C000000000642")
    merchants = render(slip, language, Copy.MERCHANT)
    holders = render(slip, language, Copy.HOLDER)
    for cents in (18_100, 642):
        assert euros(cents, language) in holders
        assert euros(cents, language) not in merchants
    for words, bears, lacks in ((wording.MERCHANT_COPY, merchants, holders), (wording.KEEP, holders, merchants)):
        assert all(word in bears and word not in lacks for word in words.spoken(language))
    assert wording.PRODUCTS["90"].said(language) in merchants


def test_the_merchants_copy_names_the_voucher_that_was_chosen():
    chosen = msgspec.structs.replace(REQUEST, processing_code="009200")
    assert "Éco-chèque / Eco voucher" in lines_of(slip_of("00", "APPROVED", chosen), copy=Copy.MERCHANT)


@pytest.mark.parametrize("copy", list(Copy))
def test_a_duplicate_says_that_it_is_one(copy):
    slip = slip_of("00", "APPROVED", amount="000000002500")
    original, duplicate = lines_of(slip, copy=copy), lines_of(slip, copy=copy, duplicate=True)
    duplicate.remove("*** DUPLICATA / DUPLICATE ***")
    assert duplicate == original


def test_accepted_offline():
    slip = unheard(SITE, NOON, CARD, REQUEST, OFFLINE)
    assert (slip.decision, slip.approved, slip.rest) == (Decision.OFFLINE, 2500, 0)
    assert "*** OFFLINE AANVAARD ***" in lines_of(slip, Language.DUTCH)


@pytest.mark.parametrize(("code", "why"), [(UNREACHED, "No link"), (UNANSWERED, "No answer: nothing is taken")])
def test_refused_because_no_host_decided(code, why):
    slip = unheard(SITE, NOON, CARD, REQUEST, code)
    assert (slip.decision, slip.approved) == (Decision.REFUSED, None)
    assert why in lines_of(slip, Language.ENGLISH)


@pytest.mark.parametrize(("code", "said"), [("00", "*** ANNULÉ ***"), ("25", "*** NON ANNULÉ ***")])
def test_a_payment_taken_back(code, said):
    slip = msgspec.structs.replace(slip_of("00", "APPROVED", amount="000000002500"), reversal=code)
    assert said in lines_of(slip, Language.FRENCH)


def test_a_balance_inquiry_lists_every_product():
    slip = slip_of("00", "APPROVED", INQUIRY, balances="9102978C0000000064009202978C000000005000")
    assert slip.left == (Left("91", 6400), Left("92", 5000))
    lines = lines_of(slip)
    assert "*** SOLDE / BALANCE ***" in lines
    assert "Éco-chèque / Eco voucher" in lines
    assert not any("Montant" in line for line in lines)


def test_date_and_time_are_the_terminals():
    reunion = parameters.demo().site("RUN00001")
    slip = read(reunion, NOON, CARD, REQUEST, Message(mti="0210", response_code="00"))
    assert "Date 12/05/2026 14:30:00" in lines_of(slip, Language.FRENCH)
    assert "Date 2026-05-12 14:30:00" in lines_of(slip, Language.ENGLISH)


@given(
    cents=st.integers(0, 999_999_999_999),
    name=st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=80),
    code=st.sampled_from(["00", "10", "51"]),
    reason=st.sampled_from(list(Reason)),
    language=st.sampled_from(list(Language)),
    copy=st.sampled_from(list(Copy)),
)
def test_no_line_is_wider_than_the_paper(cents, name, code, reason, language, copy):
    site = Site("PAR00001", "FR0000000000001", name, "Europe/Paris")
    amount = f"{cents:012d}"
    request = msgspec.structs.replace(REQUEST, amount=amount)
    left = f"9002978C{amount}9020978D{amount}9302978C{amount}"
    fields = {"response_code": code, "reason": reason.value, "balances": left}
    slip = read(site, NOON, CARD, request, Message(mti="0210", amount=amount, approval="ABC123", **fields))
    printed = render(slip, language, copy, duplicate=True)
    assert max(map(len, printed.splitlines())) <= COLUMNS


@given(st.integers(-(10**12), 10**12))
def test_amounts_keep_every_cent(cents):
    for language in Language:
        digits = "".join(character for character in euros(cents, language) if character.isdigit())
        assert int(digits) == abs(cents)


@pytest.mark.parametrize("field", ["", "9002978C00000001", "9002978X000000010000"])
def test_an_ill_formed_de_54_says_nothing(field):
    assert balances(field) == ()


@pytest.mark.parametrize("language", list(Language))
def test_a_days_slip_adds_up_the_book(terminal, language):
    book = terminal.book
    sale, back = terminal.purchase(HOLDER, 2500), terminal.purchase(HOLDER, 1000)
    for request in (sale, back):
        book.note(request, Message(mti="0210", response_code="00"))
    book.note(terminal.reversal(back), Message(mti="0410", response_code="00"))
    book.note(terminal.advice(HOLDER, 700), Message(mti="0230", response_code="00"))
    slip = DaySlip.of(book, SITE, NOON)
    assert slip.tallies == ((Kind.SALE, Tally(2, 3500)), (Kind.ADVICE, Tally(1, 700)))
    assert (slip.given_back, slip.owed) == (1000, 3200)
    printed = render_day(slip, language)
    for cents in (3500, 700, -1000, 3200):
        assert euros(cents, language) in printed
    for words in (wording.KINDS[Kind.SALE], wording.KINDS[Kind.ADVICE], wording.GIVEN_BACK, wording.OWED):
        assert words.said(language) in printed
    assert wording.KINDS[Kind.REFUND].said(language) not in printed
    assert max(map(len, printed.splitlines())) <= COLUMNS


def test_an_empty_day_has_a_slip_too(terminal):
    slip = DaySlip.of(terminal.book, SITE, NOON)
    assert slip.tallies == ()
    assert "À recevoir / To be paid 0,00 €" in " ".join(render_day(slip, Language.BOTH).split())
