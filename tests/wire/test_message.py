"""Typed parts of a message, and that none of them shows a secret."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.pretty import pretty_repr

from authz.wire.amounts import AdditionalAmount, format_amounts, parse_amounts
from authz.wire.message import ATTRIBUTES, Elements, Message
from authz.wire.original import OriginalElements, amount_that_stands
from authz.wire.track2 import Track2

PAN = "9250100000000014"
TRACK2 = f"{PAN}=28061011234567890"
DIGITS = "0123456789"


class TestTrack2:
    """docs/interface.md, DE 35: PAN, `=` or `D`, expiry."""

    @pytest.mark.parametrize("separator", ["=", "D"])
    def test_either_separator(self, separator: str) -> None:
        assert Track2.parse(f"{PAN}{separator}2806101") == Track2(PAN, "2806")

    @pytest.mark.parametrize("length", [12, 19])
    def test_a_pan_has_12_to_19_digits(self, length: int) -> None:
        assert Track2.parse("9" * length + "=2806") == Track2("9" * length, "2806")

    @pytest.mark.parametrize(
        "text", ["", PAN, f"{PAN}=", f"{PAN}=2813", f"{PAN}=28", f"{PAN}F2806", "9" * 11 + "=2806", "9" * 20 + "=2806"]
    )
    def test_anything_else_is_no_track(self, text: str) -> None:
        assert Track2.parse(text) is None


class TestCard:
    """The PAN and the expiry, wherever they stand (docs/interface.md, DE 2, 35, 14)."""

    def test_from_the_fields(self) -> None:
        message = Message(mti="0200", pan=PAN, expiry="2806")
        assert (message.card_number, message.card_expiry) == (PAN, "2806")

    def test_from_track_2(self) -> None:
        message = Message(mti="0200", track2=TRACK2)
        assert (message.card_number, message.card_expiry) == (PAN, "2806")

    def test_from_neither(self) -> None:
        message = Message(mti="0800")
        assert (message.card_number, message.card_expiry) == (None, None)


ELEMENTS = st.builds(
    Elements,
    cvv2=st.none() | st.text(DIGITS, min_size=3, max_size=3),
    takes_partial=st.none() | st.just("1"),
    key_block=st.none() | st.text("ABCDEF0123456789 ", min_size=1, max_size=100),
    key_check=st.none() | st.text("ABCDEF0123456789", min_size=1, max_size=6),
    key_serial=st.none() | st.text("ABCDEF0123456789", min_size=1, max_size=20),
    tries_left=st.none() | st.text(DIGITS, min_size=1, max_size=1),
)


class TestElements:
    """docs/interface.md, DE 48: tag (2 letters), length (3 digits), value."""

    @given(ELEMENTS)
    def test_what_is_written_is_read(self, elements: Elements) -> None:
        assert Elements.parse(elements.text) == elements

    def test_written_out(self) -> None:
        assert Elements(cvv2="123", takes_partial="1").text == "CV003123PA0011"

    def test_unknown_tags_are_passed_over(self) -> None:
        assert Elements.parse("ZZ005CV003CV003123") == Elements(cvv2="123")

    @pytest.mark.parametrize(
        "text",
        [
            "CV003123CV003123",
            "ZZ0011ZZ0011",
            "CV00312",
            "CV003",
            "CV",
            "CV 03123",
            "CV+03123",
            "C1003123",
            "CV0041234",
            "CV00312a",
            "PA00211",
            "PA000",
            "KC003XYZ",
            "TR001x",
            "free text",
        ],
    )
    def test_what_is_ill_formed(self, text: str) -> None:
        assert Elements.parse(text) is None


class TestAmounts:
    """docs/interface.md, DE 54."""

    def test_written_out(self) -> None:
        available = AdditionalAmount("90", "02", "978", 18_100)
        cap_left = AdditionalAmount("90", "20", "978", 0)
        assert format_amounts([available, cap_left]) == "9002978C0000000181009020978C000000000000"

    @given(
        st.lists(
            st.builds(
                AdditionalAmount,
                st.text(DIGITS, min_size=2, max_size=2),
                st.sampled_from(["02", "20"]),
                st.just("978"),
                st.integers(-(10**12) + 1, 10**12 - 1),
            ),
            max_size=6,
        )
    )
    def test_what_is_written_is_read(self, amounts: list[AdditionalAmount]) -> None:
        assert parse_amounts(format_amounts(amounts)) == tuple(amounts)

    @pytest.mark.parametrize("text", ["9002978C00000001810", "9002978E000000018100", "9002978C0000000181009"])
    def test_what_is_ill_formed(self, text: str) -> None:
        assert parse_amounts(text) is None


class TestOriginal:
    """docs/interface.md, DE 90 and DE 95."""

    TEXT = "0200" + "000042" + "0512103000" + "00000970001" + "00000000000"

    def test_read_and_written(self) -> None:
        original = OriginalElements.parse(self.TEXT)
        assert original == OriginalElements("0200", "000042", "0512103000", "970001".zfill(11))
        assert original.text == self.TEXT
        assert OriginalElements("0200", "000042", "0512103000", "970001").text == self.TEXT

    def test_what_stands_is_the_first_12_digits(self) -> None:
        assert amount_that_stands("000000000750" + "x" * 30) == 750


ELEMENTS_WITH_SECRETS = Elements(cvv2="917", key_block="B0112SECRET")
MESSAGE_WITH_SECRETS = Message(
    mti="0200",
    pan=PAN,
    expiry="2806",
    track2=TRACK2,
    elements=ELEMENTS_WITH_SECRETS,
    pin_block="0123456789ABCDEF",
    chip="9F2608AABBCCDDEEFF0011",
    mac="FEDCBA9876543210",
)


def _rich(value: object) -> str:
    console = Console(width=500)
    with console.capture() as capture:
        console.print(value)
    return capture.get()


@pytest.mark.parametrize("show", [repr, str, "{!r:s}".format, pretty_repr, _rich])
@pytest.mark.parametrize("value", [MESSAGE_WITH_SECRETS, ELEMENTS_WITH_SECRETS, Track2(PAN, "2806")])
def test_no_way_of_showing_a_value_shows_its_secrets(show: Callable[[object], str], value: object) -> None:
    shown = show(value)
    secrets = [PAN, "2806", "0123456789ABCDEF", "917", "SECRET", "9F26", "FEDCBA"]
    assert [secret for secret in secrets if secret in shown] == []


def test_a_message_shows_which_fields_it_has() -> None:
    assert repr(Message(mti="0200", pan=PAN, trace="000042")) == "Message(0200: pan, trace)"


def test_every_attribute_is_a_field_and_fields_ascend() -> None:
    assert set(ATTRIBUTES.values()) == set(Message.__struct_fields__) - {"mti", "header", "unused"}


def test_attributes_stand_in_the_order_of_a_frame() -> None:
    attributes = tuple(dict.fromkeys(name for name in ATTRIBUTES.values() if name != "mac"))
    assert Message.__struct_fields__ == ("header", "mti", *attributes, "mac", "unused")
    assert list(ATTRIBUTES) == sorted(ATTRIBUTES)
