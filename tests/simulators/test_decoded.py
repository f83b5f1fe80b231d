"""A message for people: every field by number and name, in order, and nothing secret."""

import re
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.wire.dialect import shipped
from authz.wire.message import ATTRIBUTES, Elements, Message
from authz.wire.rules import RULES, reply_mti
from simulators import decoded
from simulators.decoded import MASK, Row, lines, meaning, rows, shown
from simulators.terminal import parameters, wording
from simulators.terminal.card import Card
from simulators.terminal.chip import Chip
from simulators.terminal.messages import Entry, Terminal
from simulators.terminal.pinpad import PinPad

PAN = "9250100000000014"
DEMO = parameters.demo()
CARD = Card(pan=PAN, expiry="2806", pin="1234", cvv2="987", chip=Chip("2315208C9110AD402315208C9110AD40", PAN))
HELD_BY_PANES = st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=40)


def terminal(**options):
    noon = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
    return Terminal(DEMO.site("PAR00001"), DEMO.acquirer, PinPad(DEMO.zone_pin_key), lambda: noon, **options)


def row(message, field):
    (found,) = [row for row in rows(message) if row.field == field]
    return found


def test_fields_come_in_order_each_with_its_name_and_meaning():
    request = terminal().purchase(CARD, 1250, product="90", takes_partial=True)
    assert [each.field for each in rows(request) if "." not in each.field] == (
        ["MTI", "2", "3", "4", "7", "11", "12", "13", "22", "23", "32", "41", "42", "48", "49", "52", "55"]
    )
    assert rows(request)[0] == Row("MTI", "Message type", "0200", "financial request")
    assert row(request, "3") == Row("3", "Processing Code", "009000", "purchase, titre-restaurant")
    assert row(request, "4").meaning == "12.50"
    assert row(request, "22").meaning == "chip, can take a PIN"
    assert row(request, "48.PA").value == "1"
    assert row(request, "49").meaning == "euro"


def test_a_reply_says_what_was_decided():
    reply = Message(
        mti="0210",
        response_code="55",
        reason="PIN_WRONG",
        balances="9002978C0000000181009020978C000000000000",
        elements=Elements(tries_left="2"),
    )
    assert rows(reply)[0].meaning == "reply: financial request"
    assert row(reply, "39").meaning == "PIN wrong or missing"
    assert row(reply, "44") == Row("44", "Additional Response Data", "PIN_WRONG", "pin wrong")
    assert row(reply, "48.TR").value == "2"
    assert row(reply, "54.1").meaning == "titre-restaurant, 181.00"
    assert (row(reply, "54.2").name, row(reply, "54.2").meaning) == ("Left of the day's cap", "titre-restaurant, 0.00")


def test_a_reversal_names_its_original_and_what_stands():
    till = terminal()
    reversal = till.reversal(till.purchase(CARD, 2500), stands=1000)
    assert row(reversal, "90").meaning == "0200 number 000001 of 0512103000"
    assert row(reversal, "95").meaning == "10.00 stands"


@pytest.mark.parametrize("entry", list(Entry))
@pytest.mark.parametrize("tracked", [False, True])
def test_nothing_secret_is_shown(entry, tracked):
    request = terminal(sends_track2=tracked).purchase(CARD, 1250, entry=entry)
    text = "\n".join(lines(request))
    secrets = [PAN, request.pin_block, CARD.track2, Elements(cvv2=CARD.cvv2).text]
    assert not [secret for secret in secrets if secret and secret in text]
    assert CARD.cvv2 not in re.findall(r"\w+", text), "alone: a cryptogram may hold its digits by chance"
    if request.chip:
        assert row(request, "55.9F26").value == MASK
        assert row(request, "55.9F02").value == "000000001250"


def test_a_key_block_is_masked_and_its_check_value_is_not():
    request = Message(
        mti="0800", network_code="161", elements=Elements(key_block="B0096P0TE00N0000", key_check="08D7B4")
    )
    assert (row(request, "48.KB").value, row(request, "48.KC").value) == (MASK, "08D7B4")
    assert row(request, "70").meaning == "key change"


def test_tags_of_chip_data_that_aren_t_known_to_be_harmless_are_masked():
    message = Message(mti="0200", chip="5A08925010000000001457119250100000000014D280662512345678909C0100")
    assert {each.field: each.value for each in rows(message) if "55." in each.field} == (
        {"55.5A": MASK, "55.57": MASK, "55.9C": "00"}
    )


@pytest.mark.parametrize("chip", ["9F", "9F2608", "5A08925010000000"])
def test_ill_formed_chip_data_is_masked_whole(chip):
    assert row(Message(mti="0200", chip=chip), "55.?").value == MASK


@pytest.mark.parametrize("balances", ["9002", "9002978X000000010000"])
def test_ill_formed_balances_are_quoted(balances):
    assert row(Message(mti="0210", balances=balances), "54.1").value == balances


def test_the_mac_is_the_last_field():
    assert rows(Message(mti="0200", trace="000001", mac="0" * 16))[-1].field == "64"
    assert rows(Message(mti="0400", original="0" * 42, mac="0" * 16))[-1].field == "128"


def test_fields_that_nothing_reads_are_named_with_their_length():
    assert row(Message(mti="0200", unused=((18, 4),)), "18") == Row("18", "Merchant Type", "4 characters", "not read")


def test_every_message_type_and_its_reply_is_named():
    for mti, rule in RULES.items():
        assert rows(Message(mti=mti))[0].meaning == rule.meaning
        assert rows(Message(mti=reply_mti(mti)))[0].meaning == f"reply: {rule.meaning}"
    assert rows(Message(mti="0201"))[0].meaning == "financial request, repeated"
    inquiry = Message(mti="0100", processing_code="310000")
    assert rows(inquiry)[0].meaning == "balance inquiry"
    assert rows(msgspec.structs.replace(inquiry, mti="0110"))[0].meaning == "reply: balance inquiry"
    assert rows(Message(mti="0999"))[0].meaning == ""


def test_every_field_of_the_dialects_has_a_name():
    for dialect in ("iso87ascii", "iso87ascii4", "iso87bcd", "iso87ebcdic"):
        assert shipped(dialect).fields.keys() <= decoded.NAMES.keys()


def test_the_products_are_those_that_terminals_name():
    assert decoded.PRODUCTS.keys() - {"00"} == wording.PRODUCTS.keys()


@given(number=st.sampled_from(sorted(ATTRIBUTES)), text=HELD_BY_PANES)
def test_any_text_can_be_shown(number, text):
    visible = shown(number, text)
    assert number not in decoded.SECRET or visible == MASK
    assert isinstance(meaning(number, text), str)


@given(pan=st.from_regex(r"[0-9]{12,19}", fullmatch=True))
def test_of_a_pan_ten_digits_are_shown_at_most(pan):
    visible = shown(2, pan)
    assert (visible[:6], visible[-4:]) == (pan[:6], pan[-4:])
    assert sum(character.isdigit() for character in visible) == 10
