"""Beneficiaries files give exactly what was written in them, however they were written (docs/beneficiaries.md)."""

import string
from datetime import datetime

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.issuing.person import Person
from authz.issuing.sheets.cells import FACE_MAX, QUANTITY_MAX
from authz.issuing.sheets.columns import NAMES, Column
from authz.issuing.sheets.reading import READERS, read_csv, read_json, read_xlsx
from authz.issuing.sheets.rows import Lines, Row, Sheet, check_rows, written
from ledger.values import Cents
from tests.issuing.sheets.files import HEADER, JAN, JANS_ROW, MARIE, MARIES_ROW, as_csv, as_xlsx, sheet_of

BOTH = (MARIES_ROW, JANS_ROW)

# Letters that Windows-1252 has, too: with quotes, separators, apostrophes and hyphens between them.
_letters = string.ascii_letters + "éèëêàçôïœÉ"
_names = st.builds(
    lambda first, rest: first + rest, st.sampled_from(_letters), st.text(_letters + "'-;,\" ", max_size=20)
).map(str.strip)
_emails = st.builds(
    lambda local, domain: f"{local}@{domain}",
    st.text(string.ascii_letters + string.digits, min_size=1, max_size=20),
    st.sampled_from(["societe.fr", "bedrijf.be", "mail.example.com", "xn--socit-esab.fr"]),
)
_rows = st.lists(
    st.builds(
        Row,
        _names,
        st.builds(Person, _names, _names, _emails, st.sampled_from(["fr", "nl", "en"])),
        st.integers(1, QUANTITY_MAX),
        st.integers(1, FACE_MAX).map(Cents),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
    unique_by=(lambda row: row.number, lambda row: row.person.email.lower()),
).map(tuple)


@given(rows=_rows, separator=st.sampled_from(";,\t"), encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252"]))
@settings(deadline=None)
def test_rows_written_as_csv_are_read_back_equal(rows: tuple[Row, ...], separator: str, encoding: str) -> None:
    content = as_csv([HEADER, *map(written, rows)], separator, encoding)
    if encoding == "cp1252":
        # A few letters in Windows-1252 are one in UTF-8: nothing can tell.
        assume(_differs(content))
    assert read_csv(content) == sheet_of(rows)


def _differs(content: bytes) -> bool:
    try:
        return content.decode("utf-8") == content.decode("cp1252")
    except UnicodeDecodeError:
        return True


@given(rows=_rows, order=st.permutations(range(len(HEADER))))
@settings(deadline=None, max_examples=30)
def test_rows_written_as_a_workbook_in_any_order_are_read_back_equal(rows: tuple[Row, ...], order: list[int]) -> None:
    lines = [[line[column] for column in order] for line in (HEADER, *map(written, rows))]
    assert read_xlsx(as_xlsx(lines)) == sheet_of(rows)


@given(rows=_rows)
def test_rows_sent_as_json_are_checked_alike(rows: tuple[Row, ...]) -> None:
    assert read_json(msgspec.json.encode(Lines(rows))) == check_rows(rows) == sheet_of(rows, first=1)


@given(content=st.binary(max_size=2_000), media=st.sampled_from(["csv", "xlsx", "json"]))
@settings(deadline=None)
def test_any_bytes_give_errors_and_never_an_exception(content: bytes, media: str) -> None:
    sheet = READERS[media](content)  # type: ignore[index]
    assert sheet.errors
    assert not sheet.rows


@given(text=st.text(max_size=200))
@settings(deadline=None)
def test_any_text_under_a_good_header_gives_errors_and_never_an_exception(text: str) -> None:
    sheet = read_csv(as_csv([HEADER]) + text.encode("utf-8", "surrogatepass"))
    assert sheet.errors
    assert not sheet.rows


@given(
    at=st.integers(0, len(HEADER) - 1),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=0xFFFD, exclude_categories=["Cs"]), max_size=80)
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.datetimes(min_value=datetime(1900, 3, 1)),  # noqa: DTZ001  spreadsheets know no zones
)
@settings(deadline=None, max_examples=50)
def test_any_cell_of_a_workbook_is_read_or_refused_by_its_own_name(at: int, value: object) -> None:
    sheet = read_xlsx(as_xlsx([HEADER, [*MARIE[:at], value, *MARIE[at + 1 :]], JAN]))
    assert len(sheet.rows) == 2 or [(one.line, one.column) for one in sheet.errors] == [(2, list(Column)[at])]


@pytest.mark.parametrize("column", list(Column))
@pytest.mark.parametrize("change", [str, str.upper, lambda name: f"  {name} ", lambda name: name.replace("é", "e")])
def test_columns_are_found_by_their_french_dutch_and_english_names(column: Column, change: object) -> None:
    at = list(Column).index(column)
    for name in NAMES[column]:
        header = [*HEADER[:at], change(name), *HEADER[at + 1 :]]  # type: ignore[operator]
        assert read_csv(as_csv([header, MARIE, JAN])) == sheet_of(BOTH), name


def test_what_json_calls_a_column_is_a_name_of_it() -> None:
    assert read_csv(as_csv([list(Column), MARIE, JAN])) == sheet_of(BOTH)


def test_language_and_sundays_may_be_left_out_or_empty() -> None:
    expected = sheet_of([MARIES_ROW])
    assert read_csv(as_csv([HEADER[:6], MARIE[:6]])) == expected
    assert read_csv(as_csv([HEADER, [*MARIE[:6], " ", ""]])) == expected
    assert read_csv(as_csv([HEADER, MARIE[:6]])) == expected


@pytest.mark.parametrize(("text", "cents"), [("9", 900), ("9.5", 950), ("9,50", 950), ("0,01", 1), ("99.99", 9999)])
def test_amounts_are_read_from_their_digits(text: str, cents: int) -> None:
    (row,) = read_csv(as_csv([HEADER, [*MARIE[:5], text, *MARIE[6:]]])).rows
    assert row.face == cents


@given(cents=st.integers(1, FACE_MAX))
@settings(deadline=None, max_examples=20)
def test_a_workbooks_numbers_are_what_was_typed(cents: int) -> None:
    """A workbook has binary fractions: 9.95 isn't in it, yet exactly 9.95 is meant, and nothing else."""
    (row,) = read_xlsx(as_xlsx([HEADER, [7, *MARIE[1:4], 20.0, cents / 100, True, "fr"]])).rows
    assert (row.number, row.quantity, row.face, row.works_days_off) == ("7", 20, cents, True)


@pytest.mark.parametrize("word", ["oui", "OUI", "ja", "yes", "1", "true", "Vrai"])
def test_a_yes_is_one_in_each_language(word: str) -> None:
    (row,) = read_csv(as_csv([HEADER, [*MARIE[:6], word, "fr"]])).rows
    assert row.works_days_off


def test_names_are_composed_and_stripped_of_spaces() -> None:
    """Two ways of writing é, and the spaces of French typing, make no two names."""
    (row,) = read_csv(as_csv([HEADER, ["\u00a0M1 ", "Lefe\u0300vre", " Rene\u0301\u202f", *MARIE[3:]]])).rows
    assert (row.number, row.person.last_name, row.person.first_name) == ("M1", "Lefèvre", "René")


def test_empty_lines_are_skipped_and_counted() -> None:
    empty = [""] * len(HEADER)
    wrong = [*JAN[:4], "0", *JAN[5:]]
    for read, content in (
        (read_csv, as_csv([HEADER, MARIE, empty, [], wrong])),
        (read_xlsx, as_xlsx([HEADER, MARIE, empty, [], wrong])),
    ):
        (error,) = read(content).errors
        assert (error.line, error.column) == (5, "quantity")
    assert read_csv(as_csv([HEADER, MARIE, empty, [], JAN, empty])) == Sheet(
        (replace(MARIES_ROW, line=2), replace(JANS_ROW, line=5))
    )


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_lines_end_as_any_system_ends_them(end: str) -> None:
    assert read_csv(as_csv([HEADER, MARIE, JAN], end=end)) == sheet_of(BOTH)
