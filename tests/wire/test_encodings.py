"""One message, many looks: the shipped dialects, byte by byte, and what a dialect's file may change in them.

The BCD layouts are those of jPOS' stock iso87binary: an odd number of digits gets a 0 on the left where the length is
fixed, on the right where it is variable; the length counts digits.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.wire import tpdu
from authz.wire.codec import Codec, Malformed, Unreadable, Unsendable
from authz.wire.dialect import from_file, shipped, shipped_names
from authz.wire.frames import Framer
from authz.wire.message import Elements, Message
from tests.wire.samples import MESSAGES, spaced

SHIPPED = ("iso87ascii", "iso87ascii4", "iso87bcd", "iso87ebcdic")
RAW = ("iso87bcd", "iso87ebcdic")
MAC = "FEDCBA9876543210"

ECHO = Message(mti="0800", transmitted="0512103003", trace="000045", network_code="301")
PURCHASE = Message(
    mti="0200",
    pan="9250100000000014",
    processing_code="000000",
    amount="000000001250",
    transmitted="0512103000",
    trace="000042",
    local_time="123000",
    local_date="0512",
    entry_mode="051",
    acquirer="97001",
    track2="9250100000000014=28061011",
    retrieval_reference="613212000042",
    terminal="PAR00001",
    merchant="FR0000000000001",
    elements=Elements(takes_partial="1"),
    currency="978",
    pin_block="0123456789ABCDEF",
)
TOTALS = Message(
    mti="0500",
    transmitted="0512103005",
    trace="000047",
    settlement_date="0511",
    acquirer="97001",
    credits_number="0000000001",
    credits_reversal_number="0000000002",
    debits_number="0000000003",
    debits_reversal_number="0000000004",
    credits_amount="0000000000001100",
    credits_reversal_amount="0000000000002200",
    debits_amount="0000000000003300",
    debits_reversal_amount="0000000000004400",
    net_amount="D0000000000000012",
)
HEADER = "6000120345"

ECHO_ASCII = spaced(b"0800 8220000000000000 0400000000000000 0512103003 000045 301")
PURCHASE_ASCII = spaced(
    b"0200 7238040128C19000 16 9250100000000014 000000 000000001250 0512103000 000042 123000 0512 051"
    b" 05 97001 25 9250100000000014=28061011 613212000042 PAR00001 FR0000000000001 006 PA0011 978 0123456789ABCDEF"
)
ECHO_BCD = bytes.fromhex("60 0012 0345  0800 8220000000000000 0400000000000000  0512103003 000045 0301")
PURCHASE_BCD = bytes.fromhex(
    "60 0012 0345  0200 7238040128C19000"
    "  16 9250100000000014  000000  000000001250  0512103000  000042  123000  0512  0051"
    "  05 970010  25 9250100000000014D280610110  363133323132303030303432  5041523030303031"
    "  465230303030303030303030303031  0006 504130303131  393738  0123456789ABCDEF"
)
TOTALS_BCD = bytes.fromhex(
    "60 0012 0345  0500 8222000100000000 0078078080000000"
    "  0512103005  000047  0511  05 970010"
    "  0000000001  0000000002  0000000003  0000000004"
    "  0000000000001100  0000000000002200  0000000000003300  0000000000004400"
    "  44 0000000000000012"
)
ECHO_EBCDIC = bytes.fromhex("F0F8F0F0 8220000000000000 0400000000000000  F0F5F1F2F1F0F3F0F0F3  F0F0F0F0F4F5  F3F0F1")
PURCHASE_EBCDIC = bytes.fromhex(
    "F0F2F0F0 7238040128C19000"
    "  F1F6 F9F2F5F0F1F0F0F0F0F0F0F0F0F0F1F4  F0F0F0F0F0F0  F0F0F0F0F0F0F0F0F1F2F5F0  F0F5F1F2F1F0F3F0F0F0"
    "  F0F0F0F0F4F2  F1F2F3F0F0F0  F0F5F1F2  F0F5F1  F0F5 F9F7F0F0F1"
    "  F2F5 F9F2F5F0F1F0F0F0F0F0F0F0F0F0F1F4 7E F2F8F0F6F1F0F1F1  F6F1F3F2F1F2F0F0F0F0F4F2"
    "  D7C1D9F0F0F0F0F1  C6D9F0F0F0F0F0F0F0F0F0F0F0F0F1  F0F0F6 D7C1F0F0F1F1  F9F7F8  0123456789ABCDEF"
)
BY_HAND: dict[str, tuple[str, Message, bytes, bytes]] = {
    "echo, 2-byte length": ("iso87ascii", ECHO, b"\x00\x37", ECHO_ASCII),
    "echo, 4-digit length": ("iso87ascii4", ECHO, b"0055", ECHO_ASCII),
    "echo, BCD": ("iso87bcd", replace(ECHO, header=HEADER), b"\x00\x21", ECHO_BCD),
    "echo, EBCDIC": ("iso87ebcdic", ECHO, b"\x00\x27", ECHO_EBCDIC),
    "purchase, 2-byte length": ("iso87ascii", PURCHASE, b"\x00\xb6", PURCHASE_ASCII),
    "purchase, 4-digit length": ("iso87ascii4", PURCHASE, b"0182", PURCHASE_ASCII),
    "purchase, BCD": ("iso87bcd", replace(PURCHASE, header=HEADER), b"\x00\x78", PURCHASE_BCD),
    "purchase, EBCDIC": ("iso87ebcdic", PURCHASE, b"\x00\xa6", PURCHASE_EBCDIC),
    "totals, BCD": ("iso87bcd", replace(TOTALS, header=HEADER), b"\x00\x62", TOTALS_BCD),
}


@cache
def codec(name: str) -> Codec:
    return Codec(shipped(name))


def as_read(name: str, message: Message) -> Message:
    """A message as it is read from its frame: with the header that it got."""
    return replace(message, header=tpdu.DEFAULT) if codec(name).dialect.framing.tpdu else message


def refused(name: str, frame: bytes) -> Malformed:
    with pytest.raises(Malformed) as caught:
        codec(name).decode(frame)
    return caught.value


@pytest.fixture
def variant(tmp_path: Path) -> Callable[[str], Codec]:
    """Make the codec of a dialect's file."""

    def make(text: str) -> Codec:
        path = tmp_path / "variant.toml"
        path.write_text(f'name = "variant"\n{text}')
        return Codec(from_file(path))

    return make


def test_these_dialects_are_shipped() -> None:
    assert shipped_names() == SHIPPED


@pytest.mark.parametrize("case", BY_HAND)
def test_a_message_is_written_as_by_hand_and_read_again(case: str) -> None:
    name, message, length, payload = BY_HAND[case]
    assert codec(name).encode(message) == payload
    assert Framer(codec(name).dialect.framing).frame(payload) == length + payload
    assert codec(name).decode(payload) == message


@pytest.mark.parametrize("name", SHIPPED)
@given(message=MESSAGES)
def test_every_message_is_read_as_it_was_written(name: str, message: Message) -> None:
    assert codec(name).decode(codec(name).encode(message)) == as_read(name, message)


class TestMac:
    """docs/interface.md, DE 64/128: over the bytes as sent from the MTI to the last field before it."""

    @pytest.mark.parametrize("name", SHIPPED)
    @given(message=MESSAGES)
    def test_signing_takes_three_steps(self, name: str, message: Message) -> None:
        frame = codec(name).encode_unsigned(message)
        signed = codec(name).signed(frame, MAC)
        assert codec(name).decode(signed) == as_read(name, replace(message, mac=MAC))
        assert codec(name).covered(signed) == codec(name).covered(frame)

    @pytest.mark.parametrize(
        ("name", "mti", "mac"),
        [
            ("iso87ascii", b"0800", MAC.encode()),
            ("iso87ascii4", b"0800", MAC.encode()),
            ("iso87bcd", b"\x08\x00", bytes.fromhex(MAC)),
            ("iso87ebcdic", b"\xf0\xf8\xf0\xf0", bytes.fromhex(MAC)),
        ],
    )
    def test_it_covers_neither_the_header_nor_itself(self, name: str, mti: bytes, mac: bytes) -> None:
        frame = codec(name).encode(replace(ECHO, mac=MAC))
        covered = codec(name).covered(frame)
        assert covered.startswith(mti)
        assert frame.endswith(covered + mac)
        assert len(frame) - len(covered) - len(mac) == (5 if name == "iso87bcd" else 0)

    def test_in_characters_of_ebcdic(self, variant: Callable[[str], Codec]) -> None:
        characters = variant('like = "iso87ebcdic"\nbitmap = "hex"\nbinary = "hex"')
        frame = characters.signed(characters.encode_unsigned(ECHO), MAC)
        assert frame.endswith(bytes.fromhex("C6C5C4C3C2C1F9F8F7F6F5F4F3F2F1F0"))
        assert characters.decode(frame) == replace(ECHO, mac=MAC)


class TestHeader:
    """The TPDU: a part of the message, 10 hexadecimal digits."""

    @given(st.binary(min_size=5, max_size=5))
    def test_any_five_bytes_are_one(self, block: bytes) -> None:
        message = replace(ECHO, header=block.hex().upper())
        assert codec("iso87bcd").encode(message) == block + ECHO_BCD[5:]
        assert codec("iso87bcd").decode(block + ECHO_BCD[5:]) == message

    def test_a_message_without_one_gets_the_default(self) -> None:
        assert codec("iso87bcd").encode(ECHO).startswith(bytes.fromhex("6000000000 0800"))

    @pytest.mark.parametrize("header", ["", "60", "60000000000", "600000000G"])
    def test_another_is_not_written(self, header: str) -> None:
        with pytest.raises(Unsendable, match="10 hexadecimal digits"):
            codec("iso87bcd").encode(replace(ECHO, header=header))

    def test_nor_is_any_in_a_dialect_without(self) -> None:
        with pytest.raises(Unsendable, match="no header in this dialect"):
            codec("iso87ebcdic").encode(replace(ECHO, header=HEADER))

    def test_what_can_be_told_of_an_ill_formed_message_has_it(self) -> None:
        assert refused("iso87bcd", ECHO_BCD[:-1]).partial.header == HEADER
        assert refused("iso87bcd", ECHO_BCD[:20]).partial == Message(mti="0800", header=HEADER)


class TestBcd:
    """Two digits a byte."""

    @pytest.mark.parametrize("separator", "=D")
    def test_the_separator_of_track_2_is_the_nibble_d(self, separator: str) -> None:
        frame = codec("iso87bcd").encode(replace(PURCHASE, track2=f"9250100000000014{separator}2806"))
        assert bytes.fromhex("21 9250100000000014D28060") in frame
        assert codec("iso87bcd").decode(frame).track2 == "9250100000000014=2806"

    @pytest.mark.parametrize(
        ("padding", "pan", "written"),
        [
            ("right 0", "925010000000014", "15 9250100000000140"),
            ("right F", "925010000000014", "15 925010000000014F"),
            ("left 0", "925010000000014", "15 0925010000000014"),
            ("right F", "9250100000000014", "16 9250100000000014"),
        ],
    )
    def test_an_odd_number_of_digits_is_filled_up(
        self, variant: Callable[[str], Codec], padding: str, pan: str, written: str
    ) -> None:
        padded = variant(f'like = "iso87bcd"\npadding = "{padding}"')
        message = Message(mti="0200", header=HEADER, pan=pan, entry_mode="051")
        frame = bytes.fromhex(f"60 0012 0345  0200 4000040000000000  {written}  0051")
        assert padded.encode(message) == frame
        assert padded.decode(frame) == message

    def test_a_field_may_differ_from_its_dialect(self, variant: Callable[[str], Codec]) -> None:
        row = '37 = { name = "Reference", content = "n", length = 12, numerics = "bcd" }'
        mixed = variant(f'like = "iso87ascii"\n[fields]\n{row}')
        message = Message(mti="0210", retrieval_reference="613212000042", response_code="00")
        assert mixed.encode(message) == b"0210000000000A000000\x61\x32\x12\x00\x00\x4200"
        assert mixed.decode(mixed.encode(message)) == message

    @pytest.mark.parametrize(
        ("right", "wrong", "field"),
        [
            (b"\x05\x12\x10\x30\x00", b"\x05\x12\x1a\x30\x00", 7),
            (b"\x00\x51", b"\x15\x10", 22),
            (b"\x05\x97\x00\x10", b"\x05\x97\x00\x1f", 32),
            (b"\x05\x97\x00\x10", b"\x0a\x97\x00\x10", 32),
            (b"\x05\x97\x00\x10", b"\x12\x97\x00\x10", 32),
            (b"\x25\x92", b"\x38\x92", 35),
            (b"\x14\xd2\x80", b"\x14\xf2\x80", 35),
            (b"\x00\x06PA", b"\x10\x06PA", 48),
            (b"978", b"\x09\x78", 49),
        ],
    )
    def test_what_is_no_digit_is_named(self, right: bytes, wrong: bytes, field: int) -> None:
        assert PURCHASE_BCD.count(right) == 1
        error = refused("iso87bcd", PURCHASE_BCD.replace(right, wrong))
        assert error.field == field
        assert error.partial.trace == (None if field == 11 else "000042")

    @pytest.mark.parametrize("sign", [b"\x00", b"\x0d", b"X"])
    def test_the_sign_of_an_amount_is_a_character(self, sign: bytes) -> None:
        error = refused("iso87bcd", TOTALS_BCD[:-9] + sign + TOTALS_BCD[-8:])
        assert (error.field, error.partial.net_amount) == (97, None)
        assert error.partial.debits_reversal_amount == TOTALS.debits_reversal_amount

    @pytest.mark.parametrize("mti", [b"\x0a\x00", b"\xff\xff", b"\x02\x0f"])
    def test_a_type_that_is_no_digits(self, mti: bytes) -> None:
        with pytest.raises(Unreadable):
            codec("iso87bcd").decode(ECHO_BCD[:5] + mti + ECHO_BCD[7:])


class TestEbcdic:
    """Code page 500."""

    @pytest.mark.parametrize("length", ["4EF5", "40F5", "F56D", "60F5", "B2F5", "3035"])
    def test_a_length_is_digits(self, length: str) -> None:
        at = PURCHASE_EBCDIC.index(bytes.fromhex("F0F5 F9F7F0F0F1"))
        frame = PURCHASE_EBCDIC[:at] + bytes.fromhex(length) + PURCHASE_EBCDIC[at + 2 :]
        error = refused("iso87ebcdic", frame)
        assert (error.field, error.partial.entry_mode) == (32, "051")

    def test_ascii_is_none_of_it(self) -> None:
        with pytest.raises(Unreadable):
            codec("iso87ebcdic").decode(ECHO_ASCII)

    def test_a_bitmap_in_characters(self, variant: Callable[[str], Codec]) -> None:
        characters = variant('like = "iso87ebcdic"\nbitmap = "hex"')
        frame = characters.encode(ECHO)
        assert frame[4:20] == bytes.fromhex("F8F2F2F0F0F0F0F0F0F0F0F0F0F0F0F0")
        assert characters.decode(frame) == ECHO
        lower = replace(ECHO, retrieval_reference="613212000042", network_code=None)
        small = characters.encode(lower).replace(b"\xc1", b"\x81")
        assert characters.decode(small) == lower


class TestBitmap:
    """A second bitmap is there if it is announced, and a third never is."""

    @pytest.mark.parametrize("name", RAW)
    @pytest.mark.parametrize("missing", range(1, 9))
    def test_a_second_one_that_is_cut_off(self, name: str, missing: int) -> None:
        frame = codec(name).encode(ECHO)
        end = len(codec(name).encode(Message(mti="0800"))) + 8
        error = refused(name, frame[: end - missing])
        assert (error.field, error.why) == (1, "8 bytes expected")
        assert error.partial == as_read(name, Message(mti="0800"))

    @pytest.mark.parametrize("name", SHIPPED)
    @pytest.mark.parametrize("field", [65, 93, 96])
    def test_a_field_that_the_dialect_lacks(self, name: str, field: int) -> None:
        second = (1 << (128 - field)).to_bytes(8, "big")
        if codec(name).dialect.bitmap == "hex":
            second = second.hex().encode()
        frame = codec(name).encode(replace(ECHO, network_code=None, settlement_code="1"))
        at = len(codec(name).encode(Message(mti="0800")))
        digits = len(codec(name).encode(Message(mti="0800", settlement_code="1"))) - at - len(second)
        error = refused(name, frame[:at] + second + frame[at + len(second) : -digits] + bytes(20))
        assert (error.field, error.why) == (field, "no field of this dialect")
        assert error.partial == as_read(name, replace(ECHO, network_code=None))


class TestUnused:
    """A field that is laid out and that nothing reads is kept by number and length: what it held is nobody's."""

    ROWS = """
[fields]
93 = { name = "Response Indicator", content = "an", length = 5 }
96 = { name = "Message Security Code", content = "b", length = 16 }
"""

    def test_in_characters(self, variant: Callable[[str], Codec]) -> None:
        frame = b"0800 0000001000200000".replace(b" ", b"") + b"C00000012" + b"A" * 40
        assert codec("iso87ascii").decode(frame).unused == ((28, 9), (43, 40))
        longer = b"0800" + b"8000001000200000" + b"0000000900000000" + frame[20:] + b"AB123" + b"0123456789ABCDEF"
        assert variant('like = "iso87ascii"' + self.ROWS).decode(longer).unused == (
            (28, 9),
            (43, 40),
            (93, 5),
            (96, 16),
        )

    def test_in_bcd(self, variant: Callable[[str], Codec]) -> None:
        frame = (
            bytes.fromhex("6000120345 0800 8000301000200000 0000000900000000 0250 0978 43 00000012")
            + b"A" * 40
            + b"AB123"
            + bytes.fromhex("0123456789ABCDEF")
        )
        message = variant('like = "iso87bcd"' + self.ROWS).decode(frame)
        assert message.unused == ((19, 3), (20, 3), (28, 9), (43, 40), (93, 5), (96, 16))
        assert refused("iso87bcd", frame).field == 93
