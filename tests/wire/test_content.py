"""Content classes of ISO 8583:1987, and the dates and times that must be real ones."""

import pytest

from authz.wire.content import expected, matcher
from authz.wire.dialect import Content, Field, Form, shipped

CASES = [
    (Content.DIGITS, ["0000", "9876"], ["", "123", "12345", "12a4", "+123", " 123", "12.4", "١٢٣٤", "²²²²", "123\n"]),
    (Content.ALPHANUMERIC, ["aZ09"], ["", "a b1", "a-b1", "éa12"]),
    (Content.PADDED, ["aZ9 ", "    "], ["a-b1", "ab\t1"]),
    (Content.PRINTABLE, ["a-b ", "~!=D"], ["", "ab\x7f1", "ab\x001", "ab\n1", "é123"]),
    (Content.TRACK, ["12=4", "1D34"], ["12d4", "12F4", "1?34"]),
    (Content.SIGNED, ["C123", "D000"], ["1234", "c123", "CD12", "X123", "C12 "]),
    (Content.BINARY, ["09aF", "ABCD"], ["ABC", "ABCDE", "ABCG", "0x12"]),
]


@pytest.mark.parametrize(("content", "good", "bad"), CASES)
def test_a_fixed_field_takes_its_class_and_nothing_else(content: Content, good: list[str], bad: list[str]) -> None:
    matches = matcher(Field(name="Four", content=content, length=4))
    assert [text for text in good if not matches(text)] == []
    assert [text for text in bad if matches(text)] == []


def test_hexadecimal_digits_come_in_pairs() -> None:
    matches = matcher(Field(name="Chip", content=Content.BINARY, prefix=3, length=999))
    assert matches("9F26")
    assert not matches("9F2")
    assert not matches("")


def test_only_text_may_be_empty() -> None:
    def takes_nothing(content: Content) -> bool:
        return bool(matcher(Field(name="Up to nine", content=content, prefix=2, length=9))(""))

    assert [content for content in Content if takes_nothing(content)] == [Content.PRINTABLE]


FORMS = [
    (Form.MONTH_DAY, ["0101", "0229", "1231", "0430"], ["0001", "1301", "0100", "0132", "0230", "0431", "0931"]),
    (Form.TIME, ["000000", "235959"], ["240000", "236000", "235960"]),
    (Form.YEAR_MONTH, ["2601", "0012"], ["2600", "2613"]),
    (Form.MONTH_TO_SECOND, ["0229235959"], ["0230000000", "0101240000"]),
]


@pytest.mark.parametrize(("form", "real", "unreal"), FORMS)
def test_dates_and_times_are_real(form: Form, real: list[str], unreal: list[str]) -> None:
    matches = matcher(Field(name="When", content=Content.DIGITS, length=len(form), form=form))
    assert [text for text in real if not matches(text)] == []
    assert [text for text in unreal if matches(text)] == []


def test_the_fields_that_are_dates_and_times() -> None:
    forms = {number: field.form.value for number, field in shipped("iso87ascii").fields.items() if field.form}
    assert forms == {7: "MMDDhhmmss", 12: "hhmmss", 13: "MMDD", 14: "YYMM", 15: "MMDD"}


def test_what_is_expected_is_said_for_every_field() -> None:
    fields = shipped("iso87ascii").fields
    assert expected(fields[2]) == "12 to 19 digits"
    assert expected(fields[4]) == "12 digits"
    assert expected(fields[7]) == "a real MMDDhhmmss"
    assert expected(fields[48]) == "0 to 999 printable characters"
    assert expected(fields[97]) == "17 characters, C or D and digits"
