"""Beneficiaries from the bytes of a file: CSV, a workbook (XLSX), or JSON. Whatever the bytes, the answer is a `Sheet`.

For anything that comes from outside, use `authz.issuing.sheets.process`: reading takes memory and time in proportion
to what the file unpacks to, and a hostile one as much as it is let.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from typing import Final
from zipfile import ZipFile

import msgspec
from openpyxl import load_workbook

from authz.issuing.sheets.cells import Cell
from authz.issuing.sheets.columns import column_of
from authz.issuing.sheets.faults import Fault, RowError, Wrong
from authz.issuing.sheets.media import Media
from authz.issuing.sheets.rows import Lines, Numbered, Sheet, Stopped, check_rows, read_lines, refused

UNPACKED_BYTES_MAX = 384 * 1024 * 1024
"""All parts of a workbook: 200,000 beneficiaries take some 90 MB."""
PARTS_MAX = 1_000
"""Files in a workbook's archive."""
LINES_READ_MAX = 1_048_576
"""As many lines as a worksheet can have (ECMA-376 part 1, 18.3.1.73); empty ones count."""

_SEPARATORS = ";,\t"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MEGABYTE = 1024 * 1024
_WHERE = re.compile(r"`\$\.lines\[([0-9]+)\](?:\.(?:person\.)?([a-z_]+))?")
"""The place of an error in JSON, as msgspec writes it: nothing else of its messages is passed on."""


def read_csv(content: bytes) -> Sheet:
    """Read a CSV file, in UTF-8 or Windows-1252, separated by semicolons, commas or tabs."""
    if b"\0" in content:
        return refused(Fault.NUL)
    text = _decoded(content)
    return refused(Fault.ENCODING) if text is None else read_lines(_lines(text, _separator(text)))


def read_xlsx(content: bytes) -> Sheet:
    """Read the first sheet of a workbook."""
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
            if len(parts) > PARTS_MAX:
                return refused(Fault.TANGLED)
            # No part gives more than it declares: zipfile stops there.
            if sum(one.file_size for one in parts) > UNPACKED_BYTES_MAX:
                return refused(Fault.UNPACKED, most=UNPACKED_BYTES_MAX // _MEGABYTE)
        return read_lines(_rows_of_workbook(content))
    except MemoryError:
        return refused(Fault.TANGLED)
    except Exception:  # openpyxl lets through whatever its parts raise, and their messages hold cells
        return refused(Fault.UNREADABLE)


def read_json(content: bytes) -> Sheet:
    """Read what a program sends."""
    try:
        body = _decode_lines(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Sheet(errors=(_place(str(error)),))
    return check_rows(body.lines)


READERS: Final[Mapping[Media, Callable[[bytes], Sheet]]] = {"csv": read_csv, "xlsx": read_xlsx, "json": read_json}

_decode_lines = msgspec.json.Decoder(Lines).decode


def _decoded(content: bytes) -> str | None:
    marked = content.startswith(_BYTE_ORDER_MARK)
    for encoding in ("utf-8-sig",) if marked else ("utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _separator(text: str) -> str:
    """Find the separator by which the first line names the most columns."""

    def named(separator: str) -> int:
        try:
            first = next(_lines(text, separator), None)
        except Stopped:
            return -1
        return 0 if first is None else sum(column_of(cell) is not None for cell in first.cells)

    return max(_SEPARATORS, key=named)


def _lines(text: str, separator: str) -> Iterator[Numbered]:
    records = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 0
    try:
        for number, cells in enumerate(records, 1):
            yield _bounded(number, cells)
    except csv.Error:
        raise Stopped(number + 1, Wrong(Fault.BROKEN)) from None


def _rows_of_workbook(content: bytes) -> Iterator[Numbered]:
    # Without data_only: formulas come as formulas, and not as what they gave when the file was saved.
    book = load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
    sheet = book.worksheets[0]
    # What the file says of its own size may be wrong, and a row would be made for each line of it.
    sheet.reset_dimensions()
    for number, values in enumerate(sheet.iter_rows(values_only=True), 1):
        yield _bounded(number, [_cell(value) for value in values])


def _bounded(number: int, cells: list[str] | list[Cell]) -> Numbered:
    if number > LINES_READ_MAX:
        raise Stopped(number, Wrong(Fault.BEHIND, most=LINES_READ_MAX))
    return Numbered(number, cells)


def _cell(value: object) -> Cell:
    """Give a spreadsheet's cell as text. Numbers are written as they would be typed: 9.5 is "9.5", 12.0 is "12"."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case int() | float():
            text = repr(value).removesuffix(".0")
            # Some with an exponent, infinite, or none: not what was typed.
            return text if set(text) <= set("-.0123456789") else Fault.NUMBER
        case date() | datetime() | time() | timedelta():
            return Fault.DATE
        case _:
            return Fault.FORMULA


def _place(message: str) -> RowError:
    found = _WHERE.search(message)
    line = int(found[1]) + 1 if found else 0
    return RowError(line, (found and found[2]) or "", Fault.SHAPE.value)
