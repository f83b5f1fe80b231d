"""Expectations of a reply's fields: each kind holds of exactly what it says."""

import re
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.wire.amounts import AdditionalAmount, format_amounts
from authz.wire.message import ATTRIBUTES, Elements, Message
from simulators.scenarios.arithmetic import SumInvalid
from simulators.scenarios.expectations import Condition, Exchange, Requirement, differences
from simulators.scenarios.fields import Address, AddressInvalid, look, put

PAN, CVV2, BLOCK = "9250100000000014", "882", "3E40023C3049D265"
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12)
FIELDS = st.sampled_from([number for number in ATTRIBUTES if number != 48])
CENTS = st.integers(-(10**12) + 1, 10**12 - 1)

ENTRIES = st.tuples(st.integers(90, 95), st.sampled_from(["02", "20"]), CENTS)


def replied(**fields: object) -> Message:
    return Message(mti="0210", **fields)  # type: ignore[arg-type]


def holds(
    condition: Condition, field: int | str, reply: Message, request: Message | None = None, **variables: str
) -> bool:
    exchange = Exchange(request or Message(mti="0200"), reply)
    return not differences({str(field): condition}, exchange, variables)


class TestConditions:
    @given(FIELDS, TEXTS, TEXTS)
    def test_equals(self, field: int, text: str, other: str) -> None:
        reply = put(replied(), Address(field), text)
        if not re.fullmatch(r"\$[a-z][a-z0-9_]*", other):
            assert holds(other, field, reply) == (text == other)
        assert not holds(text, field, replied())

    @given(FIELDS, TEXTS, st.lists(TEXTS.filter(lambda text: "$" not in text), min_size=1, max_size=4))
    def test_one_of(self, field: int, text: str, some: list[str]) -> None:
        assert holds(tuple(some), field, put(replied(), Address(field), text)) == (text in some)
        assert not holds(tuple(some), field, replied())

    @given(FIELDS, st.none() | TEXTS)
    def test_present_and_absent_exclude_each_other(self, field: int, text: str | None) -> None:
        reply = put(replied(), Address(field), text)
        assert holds(Requirement(kind="present"), field, reply) == (text is not None)
        assert holds(Requirement(kind="absent"), field, reply) == (text is None)

    @given(FIELDS, st.none() | TEXTS, st.none() | TEXTS)
    def test_echo(self, field: int, sent: str | None, came: str | None) -> None:
        request, reply = (put(replied(), Address(field), text) for text in (sent, came))
        assert holds(Requirement(kind="echo"), field, reply, request) == (sent == came)

    @given(TEXTS, TEXTS)
    def test_matches_means_the_whole_text(self, text: str, other: str) -> None:
        reply = replied(reason=text)
        assert holds(Requirement(matches=re.escape(text)), 44, reply)
        assert not holds(Requirement(matches=re.escape(text)), 44, replied(reason=text + other))
        assert not holds(Requirement(matches=".*"), 44, replied())

    @given(CENTS, CENTS)
    def test_cents_compare_as_numbers(self, available: int, expected: int) -> None:
        reply = replied(balances=AdditionalAmount("90", "02", "978", available).text)
        assert holds(Requirement(cents="$there"), "54.90.02", reply, there=str(expected)) == (available == expected)
        assert holds(Requirement(cents="$there + 1 - 1"), "54.90.02", reply, there=str(available))

    def test_cents_of_padded_digits_and_of_what_is_no_number(self) -> None:
        assert holds(Requirement(cents=1250), 4, replied(amount="000000001250"))
        assert not holds(Requirement(cents=1250), 4, replied())
        assert not holds(Requirement(cents=0), 38, replied(approval="ABC123"))

    @given(TEXTS, TEXTS)
    def test_a_variable_stands_for_its_value(self, text: str, other: str) -> None:
        assert holds("$approval", 38, replied(approval=text), approval=other) == (text == other)

    def test_a_variable_without_a_value_is_a_mistake(self) -> None:
        with pytest.raises(SumInvalid):
            holds("$approval", 38, replied(approval="ABC123"))

    @pytest.mark.parametrize(
        "table", [{}, {"is": "present", "matches": "x"}, {"matches": "("}, {"is": "there"}, {"cents": -1}]
    )
    def test_a_table_says_exactly_one_thing(self, table: dict[str, object]) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(table, Requirement)


class TestAddresses:
    @given(
        st.lists(
            st.tuples(st.integers(90, 95), st.sampled_from(["02", "20"]), CENTS),
            max_size=6,
            unique_by=lambda one: one[:2],
        )
    )
    def test_amounts_are_found_by_product_and_kind(self, entries: list[tuple[int, str, int]]) -> None:
        amounts = [AdditionalAmount(str(product), kind, "978", cents) for product, kind, cents in entries]
        reply = replied(balances=format_amounts(amounts) or None)
        for product, kind, cents in entries:
            assert look(reply, Address.parse(f"54.{product}.{kind}"), {}) == str(cents)
        assert look(reply, Address.parse("54.96.02"), {}) is None

    def test_elements_are_found_and_put_by_tag(self) -> None:
        reply = replied(elements=Elements(tries_left="2"))
        assert look(reply, Address.parse("48.TR"), {}) == "2"
        assert look(reply, Address.parse("48"), {}) == "TR0012"
        assert put(reply, Address.parse("48.TR"), None).elements is None
        assert put(replied(), Address.parse("48.PA"), "1").elements == Elements(takes_partial="1")

    @given(FIELDS, TEXTS)
    def test_what_is_put_is_found(self, field: int, text: str) -> None:
        address = Address.parse(str(field))
        assert look(put(replied(), address, text), address, {}) == text
        assert put(put(replied(), address, text), address, None) == replied()

    @given(st.text(max_size=10))
    def test_any_text_is_an_address_or_refused(self, text: str) -> None:
        with suppress(AddressInvalid):
            assert str(Address.parse(text)) == text

    @pytest.mark.parametrize(
        "text", ["0", "1", "65", "039", "129", "39.1", "48.ZZ", "54.90", "54.90.02.1", "48.", "MTI", " 39"]
    )
    def test_others_are_refused(self, text: str) -> None:
        with pytest.raises(AddressInvalid):
            Address.parse(text)

    @pytest.mark.parametrize("text", ["54.90.02", "mac", "arpc"])
    def test_what_is_worked_out_cannot_be_put(self, text: str) -> None:
        with pytest.raises(AddressInvalid):
            put(replied(), Address.parse(text), "1")


@pytest.mark.parametrize(
    ("address", "text", "shown"),
    [("2", PAN, "925010……0014"), ("48.CV", CVV2, "••••"), ("52", BLOCK, "••••"), ("35", f"{PAN}=2806", "••••")],
)
def test_differences_show_no_secret(address: str, text: str, shown: str) -> None:
    """Neither what was expected nor what came."""
    one = put(Message(mti="0210"), Address.parse(address), text)
    [difference] = differences({address: "nothing of it"}, Exchange(one, one), {})
    [other] = differences({address: text}, Exchange(one, Message(mti="0210")), {})
    [pattern] = differences({address: Requirement(matches=f"{text}x")}, Exchange(one, one), {})
    assert (difference.seen, other.expected) == (shown, shown)
    assert text not in repr((difference, other, pattern))
