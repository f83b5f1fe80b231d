"""The messages table of docs/interface.md, row by row."""

import pytest
from msgspec.structs import replace

from authz.wire.codec import Malformed
from authz.wire.message import ATTRIBUTES, Message
from authz.wire.rules import (
    INQUIRY,
    RULES,
    check_mandatory,
    first_mti,
    is_inquiry,
    is_repeat,
    is_response,
    reply_mti,
)

PAYMENT = {2, 3, 4, 7, 11, 12, 13, 22, 32, 41, 42, 49}
REVERSAL = (PAYMENT - {22}) | {90}
TOTALS = {7, 11, 15, 32, 74, 75, 76, 77, 86, 87, 88, 89, 97}
TABLE = {
    "0100": PAYMENT,
    "0200": PAYMENT,
    "0120": PAYMENT - {22},
    "0220": PAYMENT - {22},
    "0400": REVERSAL,
    "0420": REVERSAL,
    "0500": TOTALS,
    "0520": TOTALS,
    "0800": {7, 11, 70},
}
EVERY = [(mti, field) for mti, fields in TABLE.items() for field in sorted(fields)]


def a_message(mti: str, fields: set[int], **more: str) -> Message:
    return replace(Message(mti=mti), **({ATTRIBUTES[field]: "0" * 42 for field in fields} | more))


def missing(message: Message) -> int:
    with pytest.raises(Malformed) as refused:
        check_mandatory(message)
    assert refused.value.partial is message
    return refused.value.field


def test_the_table_has_these_rows() -> None:
    assert RULES.keys() == TABLE.keys()


@pytest.mark.parametrize("mti", TABLE)
def test_a_request_with_its_mandatory_fields_passes_and_so_does_its_repeat(mti: str) -> None:
    check_mandatory(a_message(mti, TABLE[mti]))
    check_mandatory(a_message(f"{mti[:3]}1", TABLE[mti]))


@pytest.mark.parametrize(("mti", "field"), EVERY)
def test_each_mandatory_field_that_is_missing_is_named(mti: str, field: int) -> None:
    assert missing(a_message(mti, TABLE[mti] - {field})) == field


@pytest.mark.parametrize("mti", ["0100", "0220", "0400"])
def test_track_2_stands_for_the_pan(mti: str) -> None:
    check_mandatory(a_message(mti, (TABLE[mti] - {2}) | {35}))


class TestInquiry:
    """0100 or 0200 with processing code 30 or 31: DE 4 absent or zero, DE 49 optional."""

    FIELDS = PAYMENT - {3, 4, 49}

    @pytest.mark.parametrize("mti", ["0100", "0200", "0101", "0201"])
    @pytest.mark.parametrize("code", ["300000", "319000"])
    def test_amount_and_currency_may_be_absent(self, mti: str, code: str) -> None:
        message = a_message(mti, self.FIELDS, processing_code=code)
        assert is_inquiry(message)
        check_mandatory(message)

    def test_an_amount_of_zero_passes(self) -> None:
        check_mandatory(a_message("0100", self.FIELDS, processing_code="310000", amount="000000000000"))

    def test_another_amount_is_ill_formed(self) -> None:
        assert missing(a_message("0100", self.FIELDS, processing_code="310000", amount="000000000001")) == 4

    @pytest.mark.parametrize("field", sorted(FIELDS))
    def test_the_rest_is_mandatory(self, field: int) -> None:
        assert missing(a_message("0100", self.FIELDS - {field}, processing_code="310000")) == field

    def test_it_is_the_payments_row_less_4_and_49(self) -> None:
        assert set(INQUIRY.mandatory) == set(RULES["0100"].mandatory) - {(4,), (49,)}

    def test_an_advice_is_none(self) -> None:
        assert not is_inquiry(a_message("0120", self.FIELDS, processing_code="310000"))


@pytest.mark.parametrize("mti", ["0300", "0600", "1200", "0202", "0140", "9999"])
def test_an_unknown_request_type_is_the_messages_fault_as_a_whole(mti: str) -> None:
    assert missing(a_message(mti, PAYMENT)) == 0


REPLIES = {
    "0100": "0110", "0101": "0110", "0120": "0130", "0121": "0130", "0200": "0210", "0201": "0210",
    "0220": "0230", "0221": "0230", "0400": "0410", "0401": "0410", "0420": "0430", "0421": "0430",
    "0500": "0510", "0520": "0530", "0521": "0530", "0800": "0810", "0300": "0310", "0280": "0290",
}  # fmt: skip


@pytest.mark.parametrize(("request_mti", "reply"), REPLIES.items())
def test_a_replys_mti(request_mti: str, reply: str) -> None:
    assert reply_mti(request_mti) == reply
    assert is_response(reply)
    assert not is_response(request_mti)


def test_a_repeat_ends_in_1() -> None:
    assert [mti for mti in REPLIES if is_repeat(mti)] == ["0101", "0121", "0201", "0221", "0401", "0421", "0521"]
    assert first_mti("0201") == first_mti("0200") == "0200"


@pytest.mark.parametrize("entry_mode", ["812", "010"])
@pytest.mark.parametrize("mti", ["0100", "0200", "0201"])
def test_where_the_number_was_typed_the_expiry_is_mandatory(mti: str, entry_mode: str) -> None:
    """DE 14: mandatory for entry modes 81 and 01; track 2's expiry counts as DE 14."""
    message = a_message(mti, PAYMENT, entry_mode=entry_mode)
    with pytest.raises(Malformed) as caught:
        check_mandatory(message)
    assert caught.value.field == 14
    check_mandatory(replace(message, expiry="2806"))
    check_mandatory(replace(message, track2="9250100000000014=2806201"))
    check_mandatory(replace(message, entry_mode="051"))
