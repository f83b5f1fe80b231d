"""Messages as they stand on the wire (dialect iso87ascii), and back; the MAC's place."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from msgspec.structs import replace

from authz.wire.codec import Codec, Unsendable
from authz.wire.dialect import shipped
from authz.wire.message import Elements, Message
from tests.wire.samples import MESSAGES, spaced

CODEC = Codec(shipped("iso87ascii"))


PURCHASE = spaced(
    b"0200 7238040108C19000"
    b" 169250100000000014 000000 000000001250 0512103000 000042 123000 0512 051"
    b" 06970001 613212000042 PAR00001 FR0000000000001 006PA0011 978 0123456789ABCDEF"
)
PURCHASE_REPLY = spaced(
    b"0210 703800010ED08400"
    b" 169250100000000014 000000 000000001250 000042 123000 0512"
    b" 06970001 613212000042 A1B2C3 00 PAR00001 FR0000000000001 08APPROVED"
    b" 978 0409002978C0000000187509020978C000000000650"
)
AUTHORIZATION = spaced(
    b"0100 3238040120C08000"
    b" 009000 000000000800 0512103001 000043 123001 0512 901"
    b" 06970001 259250100000000014=28061011 PAR00001 FR0000000000001 978"
)
AUTHORIZATION_REPLY = spaced(
    b"0110 3038000106D08000"
    b" 009000 000000000800 000043 123001 0512 06970001 A1B2C4 00 PAR00001 FR0000000000001 08APPROVED 978"
)
INQUIRY = spaced(
    b"0100 6238040100C10000"
    b" 169250100000000014 310000 0512103002 000044 123002 0512 812"
    b" 06970001 PAR00001 FR0000000000001 008CV003123"
)
INQUIRY_REPLY = spaced(
    b"0110 6038000102D00400"
    b" 169250100000000014 310000 000044 123002 0512"
    b" 06970001 00 PAR00001 FR0000000000001 08APPROVED 0209002978C000000018750"
)
ECHO = spaced(b"0800 8220000000000000 0400000000000000 0512103003 000045 301")
ECHO_REPLY = spaced(b"0810 8220000002000000 0400000000000000 0512103003 000045 00 301")
REVERSAL = spaced(
    b"0400 F238000100C08000 0000004200000000"
    b" 169250100000000014 000000 000000001250 0512103004 000046 123004 0512"
    b" 06970001 PAR00001 FR0000000000001 978"
    b" 020000004205121030000000097000100000000000 000000000500000000000000000000000000000000"
)

PURCHASE_MESSAGE = Message(
    mti="0200",
    pan="9250100000000014",
    processing_code="000000",
    amount="000000001250",
    transmitted="0512103000",
    trace="000042",
    local_time="123000",
    local_date="0512",
    entry_mode="051",
    acquirer="970001",
    retrieval_reference="613212000042",
    terminal="PAR00001",
    merchant="FR0000000000001",
    elements=Elements(takes_partial="1"),
    currency="978",
    pin_block="0123456789ABCDEF",
)
GOLDEN: Mapping[str, tuple[bytes, Message]] = {
    "purchase": (PURCHASE, PURCHASE_MESSAGE),
    "purchase reply": (
        PURCHASE_REPLY,
        Message(
            mti="0210",
            pan="9250100000000014",
            processing_code="000000",
            amount="000000001250",
            trace="000042",
            local_time="123000",
            local_date="0512",
            acquirer="970001",
            retrieval_reference="613212000042",
            approval="A1B2C3",
            response_code="00",
            terminal="PAR00001",
            merchant="FR0000000000001",
            reason="APPROVED",
            currency="978",
            balances="9002978C0000000187509020978C000000000650",
        ),
    ),
    "authorization by track 2": (
        AUTHORIZATION,
        Message(
            mti="0100",
            processing_code="009000",
            amount="000000000800",
            transmitted="0512103001",
            trace="000043",
            local_time="123001",
            local_date="0512",
            entry_mode="901",
            acquirer="970001",
            track2="9250100000000014=28061011",
            terminal="PAR00001",
            merchant="FR0000000000001",
            currency="978",
        ),
    ),
    "inquiry": (
        INQUIRY,
        Message(
            mti="0100",
            pan="9250100000000014",
            processing_code="310000",
            transmitted="0512103002",
            trace="000044",
            local_time="123002",
            local_date="0512",
            entry_mode="812",
            acquirer="970001",
            terminal="PAR00001",
            merchant="FR0000000000001",
            elements=Elements(cvv2="123"),
        ),
    ),
    "authorization reply": (
        AUTHORIZATION_REPLY,
        Message(
            mti="0110",
            processing_code="009000",
            amount="000000000800",
            trace="000043",
            local_time="123001",
            local_date="0512",
            acquirer="970001",
            approval="A1B2C4",
            response_code="00",
            terminal="PAR00001",
            merchant="FR0000000000001",
            reason="APPROVED",
            currency="978",
        ),
    ),
    "inquiry reply": (
        INQUIRY_REPLY,
        Message(
            mti="0110",
            pan="9250100000000014",
            processing_code="310000",
            trace="000044",
            local_time="123002",
            local_date="0512",
            acquirer="970001",
            response_code="00",
            terminal="PAR00001",
            merchant="FR0000000000001",
            reason="APPROVED",
            balances="9002978C000000018750",
        ),
    ),
    "echo": (ECHO, Message(mti="0800", transmitted="0512103003", trace="000045", network_code="301")),
    "echo reply": (
        ECHO_REPLY,
        Message(mti="0810", transmitted="0512103003", trace="000045", response_code="00", network_code="301"),
    ),
    "reversal": (
        REVERSAL,
        Message(
            mti="0400",
            pan="9250100000000014",
            processing_code="000000",
            amount="000000001250",
            transmitted="0512103004",
            trace="000046",
            local_time="123004",
            local_date="0512",
            acquirer="970001",
            terminal="PAR00001",
            merchant="FR0000000000001",
            currency="978",
            original="020000004205121030000000097000100000000000",
            replacement="000000000500000000000000000000000000000000",
        ),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_frame_written_by_hand_is_read(name: str) -> None:
    frame, message = GOLDEN[name]
    assert CODEC.decode(frame) == message


@pytest.mark.parametrize("name", GOLDEN)
def test_a_message_is_written_as_by_hand(name: str) -> None:
    frame, message = GOLDEN[name]
    assert CODEC.encode(message) == frame


@given(MESSAGES)
def test_every_message_that_is_written_is_read_as_it_was(message: Message) -> None:
    assert CODEC.decode(CODEC.encode(message)) == message


def test_known_fields_that_nothing_reads_are_kept_by_number_and_length() -> None:
    acceptor = b"A" * 40
    frame = spaced(
        b"0800 8220008000200010 0400000000000000 0512103003 000045 00 %b 003xyz 301" % acceptor,
    )
    assert CODEC.decode(frame).unused == ((25, 2), (43, 40), (60, 3))


def test_a_bitmap_in_lower_case_is_read() -> None:
    assert CODEC.decode(PURCHASE.replace(b"7238040108C19000", b"7238040108c19000")) == PURCHASE_MESSAGE


class TestMac:
    """docs/interface.md, DE 64/128: over the bytes as sent from the MTI to the last field before it."""

    MAC = "FEDCBA9876543210"

    def test_it_is_field_64(self) -> None:
        frame = CODEC.encode(replace(PURCHASE_MESSAGE, mac=self.MAC))
        assert frame == PURCHASE.replace(b"7238040108C19000", b"7238040108C19001") + self.MAC.encode()

    def test_it_is_field_128_where_there_are_fields_above_64(self) -> None:
        frame = CODEC.encode(replace(GOLDEN["echo"][1], mac=self.MAC))
        assert frame == ECHO.replace(b"0400000000000000", b"0400000000000001") + self.MAC.encode()

    def test_field_128_alone_above_64_is_read(self) -> None:
        frame = spaced(b"0800 8220000000000000 0000000000000001 0512103003 000045 FEDCBA9876543210")
        assert CODEC.decode(frame).mac == self.MAC

    @given(MESSAGES)
    def test_signing_takes_three_steps(self, message: Message) -> None:
        frame = CODEC.encode_unsigned(message)
        signed = CODEC.signed(frame, self.MAC)
        assert CODEC.decode(signed) == replace(message, mac=self.MAC)
        assert CODEC.covered(signed) == CODEC.covered(frame)
        assert CODEC.covered(signed) + self.MAC.encode() == signed


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (Message(mti="ZZZZ"), 0),
        (Message(mti="0200", pan="12345678901"), 2),
        (Message(mti="0200", amount="12.50"), 4),
        (Message(mti="0200", local_date="0230"), 13),
        (Message(mti="0210", reason="x" * 26), 44),
        (Message(mti="0210", elements=Elements(key_block="K" * 995)), 48),
        (Message(mti="0210", merchant="Café de la Gare"), 42),
        (Message(mti="0210", balances="0" * 121), 54),
        (Message(mti="0200", mac="short"), 64),
        (Message(mti="0800", network_code="301", mac="short"), 128),
    ],
)
def test_what_the_dialect_has_no_room_for_is_not_written(message: Message, field: int) -> None:
    with pytest.raises(Unsendable) as refused:
        CODEC.encode(message)
    assert refused.value.field == field


def test_a_field_that_the_dialect_lacks_is_not_written() -> None:
    dialect = shipped("iso87ascii")
    fields = {number: field for number, field in dialect.fields.items() if number != 49}
    with pytest.raises(Unsendable, match="DE 49: no field of this dialect"):
        Codec(replace(dialect, fields=fields)).encode(PURCHASE_MESSAGE)


def test_a_terminal_under_test_may_send_what_contradicts_itself() -> None:
    assert b"9250100000000022=2806" in CODEC.encode(replace(PURCHASE_MESSAGE, track2="9250100000000022=2806"))
