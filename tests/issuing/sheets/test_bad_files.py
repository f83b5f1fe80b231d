"""Files with something wrong in them: nothing is applied, every error is listed (docs/beneficiaries.md)."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz.decision.issuing.states import LINES_MAX
from authz.issuing.person import Person
from authz.issuing.sheets import reading, rows
from authz.issuing.sheets.faults import ERRORS_MAX, Fault, RowError, Wrong, said
from authz.issuing.sheets.reading import read_csv, read_json, read_xlsx
from authz.issuing.sheets.rows import Row, Sheet, check_rows
from ledger.values import Cents
from tests.issuing.sheets.files import (
    HEADER,
    JAN,
    JANS_ROW,
    MARIE,
    MARIES_ROW,
    SHEET_PART,
    as_csv,
    as_xlsx,
    sheet_of,
    sheet_xml,
    with_part,
)

COLUMNS = ("number", "last_name", "first_name", "email", "quantity", "face", "works_days_off", "language")
NAMES = COLUMNS[:3]


def error(line: int, column: str, fault: Fault, /, **facts: int) -> RowError:
    return RowError(line, column, said(Wrong(fault, **facts)))


def changed(column: str, cell: object) -> Sequence[Any]:
    at = COLUMNS.index(column)
    return [*MARIE[:at], cell, *MARIE[at + 1 :]]


def with_cell(column: str, content: str) -> bytes:
    """A workbook whose second line has this XML in that column's cell."""
    text = '<c r="{}{}" t="inlineStr"><is><t>{}</t></is></c>'.format
    lines = [
        [text(letter, number, cell) for letter, cell in zip("ABCDEFGH", cells, strict=True)]
        for number, cells in enumerate((HEADER, MARIE), 1)
    ]
    at = COLUMNS.index(column)
    lines[1][at] = f'<c r="{"ABCDEFGH"[at]}2">{content}</c>'
    rows = "".join(f"<row>{''.join(line)}</row>" for line in lines)
    return with_part(as_xlsx([HEADER]), SHEET_PART, sheet_xml(rows))


def refusal(column: str, cell: object) -> RowError:
    """What a cell in the second line is refused for: the same in a CSV file and in a workbook."""
    lines = [HEADER, changed(column, cell), JAN]
    (found,) = read_csv(as_csv(lines)).errors
    assert read_xlsx(as_xlsx(lines)).errors == (found,)
    return found


@pytest.mark.parametrize("column", COLUMNS[:6])
@pytest.mark.parametrize("cell", ["", "  ", "\u00a0"])
def test_a_cell_may_not_be_empty(column: str, cell: str) -> None:
    assert refusal(column, cell) == error(2, column, Fault.EMPTY)


@pytest.mark.parametrize(
    "cell",
    [
        "marie",
        "marie@",
        "@societe.fr",
        "marie@societe",
        "ma rie@societe.fr",
        "marie@@societe.fr",
        "a..b@societe.fr",
        "marie@localhost",
        "rené@societe.fr",
        "marie@[127.0.0.1]",
        '"marie"@societe.fr',
        "marie@societe.fr;jan@b.be",
        "a" * 65 + "@societe.fr",
        "marie@" + "a" * 64 + ".fr",
        "Marie <marie@societe.fr>",
        "marie@-societe.fr",
    ],
)
def test_an_email_address_must_be_one(cell: str) -> None:
    fault = Fault.FORMULA if cell.startswith("@") else Fault.EMAIL
    assert refusal("email", cell) == error(2, "email", fault)


def test_a_domain_beyond_ascii_is_what_dns_knows_it_as() -> None:
    (row,) = read_csv(as_csv([HEADER, changed("email", "marie@société.fr")])).rows
    assert row.person.email == "marie@xn--socit-esab.fr"


@pytest.mark.parametrize("cell", ["0", "-1", "32", "1.5", "99999999999999999999", "-0,01", "0.0"])
def test_a_quantity_is_a_whole_number_up_to_one_a_day(cell: str) -> None:
    assert refusal("quantity", cell) == error(2, "quantity", Fault.QUANTITY)


@pytest.mark.parametrize("cell", ["0", "-9.50", "0,00", "100", "100.00", "99999999999999999999"])
def test_a_face_value_is_between_its_bounds(cell: str) -> None:
    assert refusal("face", cell) == error(2, "face", Fault.FACE)


@pytest.mark.parametrize("column", ["quantity", "face"])
@pytest.mark.parametrize(
    "cell", ["abc", "9.", ".5", "9.555", "1e1", "1,000.00", "9 €", "٩", "NaN", "1_0", "0x9", "9.5.0"]
)
def test_an_amount_is_a_number_with_at_most_two_decimals(column: str, cell: str) -> None:
    assert refusal(column, cell) == error(2, column, Fault.NUMBER)


@pytest.mark.parametrize(
    "value", ["0.30000000000000004", "9.999", "1E-7", "1e17", "9.504999999999999", "1e999", "-1e-3"]
)
def test_a_workbooks_number_is_never_rounded(value: str) -> None:
    assert read_xlsx(with_cell("face", f"<v>{value}</v>")).errors == (error(2, "face", Fault.NUMBER),)


@pytest.mark.parametrize("value", ["9.9499999999999993", "9.95", "9.9500000000000011"])
def test_a_number_is_what_its_seventeen_digits_stand_for(value: str) -> None:
    """Spreadsheets write binary fractions with 17 digits: the shortest decimal that is the same was typed."""
    sheet = read_xlsx(with_cell("face", f"<v>{value}</v>"))
    assert [row.face for row in sheet.rows] == ([995] if float(value) == 9.95 else [])


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "\u00a0@", "＝"])
def test_a_cell_that_a_spreadsheet_would_compute_is_refused(column: str, start: str) -> None:
    """OWASP, "CSV injection": what is refused here can't reach whoever opens an export of it."""
    content = as_csv([HEADER, changed(column, f"{start}HYPERLINK(1)")])
    assert read_csv(content).errors == (error(2, column, Fault.FORMULA),)


@pytest.mark.parametrize("start", ["\t", "\r", "\n"])
def test_a_cell_that_begins_with_a_tab_or_a_line_end_is_refused(start: str) -> None:
    assert read_csv(as_csv([HEADER, changed("last_name", f"{start}Dupont")])).errors == (
        error(2, "last_name", Fault.FORMULA),
    )


@pytest.mark.parametrize(
    "formula",
    [
        "<f>1+1</f><v>2</v>",
        '<f t="array" ref="A2">1+1</f><v>2</v>',
        '<f t="shared" si="0" ref="A2:A9">B2</f><v>2</v>',
        "<f>HYPERLINK(1)</f>",
    ],
)
def test_a_workbooks_formula_is_refused_whatever_it_gave(formula: str) -> None:
    sheet = read_xlsx(with_cell("number", formula))
    assert sheet.errors == (error(2, "number", Fault.FORMULA),)


@pytest.mark.parametrize("column", NAMES)
def test_what_a_failed_formula_leaves_is_no_name(column: str) -> None:
    assert refusal(column, "#N/A") == error(2, column, Fault.FAILED)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_date_is_none_of_these_things(column: str) -> None:
    """Spreadsheets make dates of what looks like one: of the number 1-2, or of 9.05."""
    sheet = read_xlsx(as_xlsx([HEADER, changed(column, datetime(2026, 2, 1, tzinfo=UTC).replace(tzinfo=None))]))
    assert sheet.errors == (error(2, column, Fault.DATE),)


@pytest.mark.parametrize("column", NAMES)
def test_a_name_has_at_most_60_characters(column: str) -> None:
    assert refusal(column, "x" * 61) == error(2, column, Fault.LONG, most=60)
    assert read_csv(as_csv([HEADER, changed(column, "x" * 60)])).rows


def test_a_huge_cell_is_not_even_looked_at() -> None:
    """Putting combining marks in order takes the square of their number."""
    assert refusal("last_name", "e" + "\u0301\u0316" * 15_000) == error(2, "last_name", Fault.LONG, most=1_000)


@pytest.mark.parametrize("column", NAMES)
@pytest.mark.parametrize(
    "character", ["\x01", "\x7f", "\x1b", "\u202e", "\u200b", "\ufeff", "\u2028", "\n", "\t", "\r"]
)
def test_a_name_has_no_character_that_cant_be_seen(column: str, character: str) -> None:
    sheet = read_csv(as_csv([HEADER, changed(column, f"Du{character}pont")]))
    assert sheet.errors == (error(2, column, Fault.CONTROL),)


def test_words_other_than_yes_and_no_and_other_languages_are_refused() -> None:
    assert refusal("works_days_off", "peut-être") == error(2, "works_days_off", Fault.YES_NO)
    assert refusal("language", "de") == error(2, "language", Fault.LANGUAGE)


def test_a_beneficiary_stands_in_a_list_once() -> None:
    """By number and by e-mail address, in capitals or not; both lines are named."""
    again = [*JAN[:3], "MARIE@Societe.FR", *JAN[4:]]
    twin = ["M1", *JAN[1:3], "jan@autre.be", *JAN[4:]]
    assert read_csv(as_csv([HEADER, MARIE, again, [], twin])).errors == (
        error(3, "email", Fault.SAME, line=2),
        error(5, "number", Fault.SAME, line=2),
    )


def test_every_error_of_a_line_and_of_every_line_is_listed() -> None:
    bad = ["", "=1", "x" * 61, "nobody", "0", "abc", "maybe", "de"]
    faults = [
        Fault.EMPTY,
        Fault.FORMULA,
        Fault.LONG,
        Fault.EMAIL,
        Fault.QUANTITY,
        Fault.NUMBER,
        Fault.YES_NO,
        Fault.LANGUAGE,
    ]
    expected = [
        error(line, column, fault, **({"most": 60} if fault is Fault.LONG else {}))
        for line in (2, 4)
        for column, fault in zip(COLUMNS, faults, strict=True)
    ]
    sheet = read_csv(as_csv([HEADER, bad, MARIE, bad]))
    assert sorted(map(msgspec.structs.astuple, sheet.errors)) == sorted(map(msgspec.structs.astuple, expected))
    assert not sheet.rows


def test_beyond_a_thousand_errors_are_counted() -> None:
    lines = [[f"M{one}", *MARIE[1:3], f"m{one}@societe.fr", "0", *MARIE[5:]] for one in range(ERRORS_MAX + 234)]
    *listed, last = read_csv(as_csv([HEADER, *lines])).errors
    assert len(listed) == ERRORS_MAX
    assert last == RowError(0, "", "234 more errors")


class TestHeaders:
    def test_every_missing_column_is_named(self) -> None:
        assert read_csv(as_csv([HEADER[:3]])).errors == tuple(
            error(1, column, Fault.MISSING) for column in ("email", "quantity", "face")
        )

    def test_an_unknown_column_is_named_by_its_letter_and_what_stands_under_it_is_not_looked_at(self) -> None:
        sheet = read_csv(as_csv([[*HEADER, "salaire"], [*changed("quantity", "0"), "=1"]]))
        assert sheet.errors == (error(1, "I", Fault.UNKNOWN), error(2, "quantity", Fault.QUANTITY))

    def test_a_column_stands_there_once(self) -> None:
        assert read_csv(as_csv([[*HEADER, "courriel"], [*MARIE, "x"]])).errors == (error(1, "email", Fault.TWICE),)

    def test_a_cell_under_no_name_is_refused(self) -> None:
        assert read_csv(as_csv([HEADER, [*MARIE, "", "more"]])).errors == (error(2, "J", Fault.UNNAMED),)

    @pytest.mark.parametrize("line", [1, 2])
    def test_a_line_has_an_end(self, line: int) -> None:
        lines = [list(HEADER), list(MARIE)]
        lines[line - 1] += [""] * 50 + ["x"]
        assert error(line, "", Fault.WIDE, most=50) in read_csv(as_csv(lines)).errors
        assert error(line, "", Fault.WIDE, most=50) in read_xlsx(as_xlsx(lines)).errors

    def test_a_file_without_a_header_is_not_repeated_in_its_errors(self) -> None:
        sheet = read_csv(as_csv([MARIE, JAN]))
        assert error(1, "A", Fault.UNKNOWN) in sheet.errors
        assert error(1, "email", Fault.MISSING) in sheet.errors
        _says_nothing_of(sheet, [*MARIE[:4], *JAN[:4]])


class TestFiles:
    @pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
    def test_nothing_at_all(self, content: bytes) -> None:
        assert read_csv(content).errors == (error(0, "", Fault.NOBODY),)

    def test_nobody_under_the_header(self) -> None:
        for sheet in (read_csv(as_csv([HEADER])), read_xlsx(as_xlsx([HEADER])), check_rows([])):
            assert sheet.errors == (error(0, "", Fault.NOBODY),)

    def test_nul_bytes(self) -> None:
        for content in (as_csv([HEADER, MARIE]) + b"\0", as_csv([HEADER, MARIE], encoding="utf-16"), as_xlsx([HEADER])):
            assert read_csv(content).errors == (error(0, "", Fault.NUL),)

    @pytest.mark.parametrize("content", [b"\xef\xbb\xbfmatricule;\xe9", b"matricule;\x81\x8d\x90"])
    def test_a_wrong_encoding(self, content: bytes) -> None:
        assert read_csv(content).errors == (error(0, "", Fault.ENCODING),)

    @pytest.mark.parametrize("line", ['"M1;Dupont', '"M1"x;Dupont', f"M1;{'x' * 200_000}"])
    def test_lines_that_cant_be_split(self, line: str) -> None:
        content = as_csv([HEADER, changed("quantity", "0")]) + line.encode()
        assert read_csv(content).errors == (error(2, "quantity", Fault.QUANTITY), error(3, "", Fault.BROKEN))

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"matricule;nom", b"\xd0\xcf\x11\xe0" * 200])
    def test_no_workbook(self, content: bytes) -> None:
        assert read_xlsx(content).errors == (error(0, "", Fault.UNREADABLE),)

    @settings(deadline=None, max_examples=50)
    @given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
    def test_a_damaged_workbook_never_raises(self, at: int, byte: int) -> None:
        content = bytearray(as_xlsx([HEADER, MARIE]))
        content[at % len(content)] = byte
        sheet = read_xlsx(bytes(content))
        assert sheet == sheet_of([MARIES_ROW]) or (sheet.errors and not sheet.rows)

    def test_a_workbook_that_lies_about_its_size(self) -> None:
        cells = "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in HEADER)
        xml = sheet_xml(f"<row>{cells}</row>").replace(b"<sheetData>", b'<dimension ref="A1:XFD1048576"/><sheetData>')
        assert read_xlsx(with_part(as_xlsx([HEADER]), SHEET_PART, xml)).errors == (error(0, "", Fault.NOBODY),)

    def test_a_line_behind_the_last_one_that_a_worksheet_has(self) -> None:
        xml = sheet_xml('<row r="99999999999"><c><v>1</v></c></row>')
        assert read_xlsx(with_part(as_xlsx([HEADER]), SHEET_PART, xml)).errors  # at once: no line is made for the gap

    def test_more_beneficiaries_than_an_order_takes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert rows.LINES_MAX == LINES_MAX
        monkeypatch.setattr(rows, "LINES_MAX", 1)
        assert read_csv(as_csv([HEADER, MARIE, JAN])).errors == (error(3, "", Fault.BEHIND, most=1),)

    def test_more_lines_than_a_worksheet_has(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "LINES_READ_MAX", 3)
        assert read_csv(as_csv([HEADER, MARIE, [], [], []])).errors == (error(4, "", Fault.BEHIND, most=3),)


class TestRows:
    """What comes as JSON is judged just as a file is."""

    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            (Row("", MARIES_ROW.person, 20, Cents(950)), error(2, "number", Fault.EMPTY)),
            (Row("M1", MARIES_ROW.person, 0, Cents(950)), error(2, "quantity", Fault.QUANTITY)),
            (Row("M1", MARIES_ROW.person, -3, Cents(950)), error(2, "quantity", Fault.QUANTITY)),
            (Row("M1", MARIES_ROW.person, 20, Cents(-950)), error(2, "face", Fault.FACE)),
            (Row("M1", MARIES_ROW.person, 20, Cents(10_000)), error(2, "face", Fault.FACE)),
            (Row("=1", MARIES_ROW.person, 20, Cents(950)), error(2, "number", Fault.FORMULA)),
            (Row("M1", Person("Marie", "Du\0pont", "m@a.fr"), 20, Cents(950)), error(2, "last_name", Fault.CONTROL)),
            (Row("M1", Person("\ud800", "Dupont", "m@a.fr"), 20, Cents(950)), error(2, "first_name", Fault.CONTROL)),
            (Row("M1", Person("Marie", "Dupont", "marie"), 20, Cents(950)), error(2, "email", Fault.EMAIL)),
            (Row("M2", MARIES_ROW.person, 20, Cents(950)), error(2, "number", Fault.SAME, line=1)),
        ],
    )
    def test_a_bad_row(self, row: Row, expected: RowError) -> None:
        assert check_rows([JANS_ROW, row]) == Sheet(errors=(expected,))

    @pytest.mark.parametrize(
        ("body", "line", "column"),
        [
            ("not JSON", 0, ""),
            ("[" * 100_000, 0, ""),
            ('{"lines": [{"number": "Dupont"}]}', 1, ""),
            ('{"lines": [{"number": 7, "person": {}}]}', 1, "number"),
            ('{"lines": [{"number": "M1", "person": {"first_name": 1}}]}', 1, "first_name"),
        ],
    )
    def test_another_shape(self, body: str, line: int, column: str) -> None:
        assert read_json(body.encode()).errors == (error(line, column, Fault.SHAPE),)

    def test_a_language_is_not_repeated(self) -> None:
        body = json.loads(msgspec.json.encode({"lines": [MARIES_ROW]}))
        body["lines"][0]["person"]["language"] = "Dupont"
        assert read_json(json.dumps(body).encode()).errors == (error(1, "language", Fault.SHAPE),)


@settings(deadline=None, max_examples=30)
@given(cells=st.lists(st.text("abcdefghijklmnopqrstuvwxyz=+-@#éß", min_size=24, max_size=40), min_size=8, max_size=8))
def test_no_error_says_what_a_cell_holds(cells: list[str]) -> None:
    """A list of errors goes to logs, screens and e-mails: nobody's name or address stands in it."""
    _says_nothing_of(read_csv(as_csv([HEADER, cells])), cells)
    _says_nothing_of(read_csv(as_csv([cells, cells])), cells)
    _says_nothing_of(read_xlsx(as_xlsx([HEADER, cells])), cells)


def _says_nothing_of(sheet: Sheet, cells: Sequence[str]) -> None:
    text = repr(sheet)
    assert sheet.errors
    for cell in cells:
        assert cell not in text
