"""The formats of a report: tables for a terminal, a page, and its figures as JSON, CSV or Parquet.

JSON is the whole report. CSV and Parquet are its figures, a row each; a cell is empty (null) where a figure isn't told
apart by that column. In CSV, lines end in a line feed.
"""

import csv
import io
from collections.abc import Sequence
from enum import StrEnum
from io import BufferedIOBase

import msgspec
from msgspec.structs import astuple
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ledger.printing import FILE_WIDTH_COLUMNS
from ledger.reports.figures import Figure, Report
from ledger.reports.part import Part
from ledger.reports.tables import Sheet, headlines


class Format(StrEnum):
    """How a report is written: docs/reports.md."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"
    HTML = "html"


def write(found: Report, parts: Sequence[Part], asked: Format, sink: BufferedIOBase) -> None:
    """Write a report, the same for the same figures, byte for byte. `parts` are those of its tables and its page."""
    match asked:
        case Format.TABLE:
            sink.write(_text(found, parts).encode())
        case Format.CSV:
            sink.write(_csv(found))
        case Format.JSON:
            sink.write(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
        case Format.PARQUET:
            from ledger.reports import parquet  # whose library, as the plots', takes too long to load for the others

            parquet.write(found, sink)
        case Format.HTML:
            from ledger.reports import page

            sink.write(page.html(found, parts).encode())


def rich_tables(found: Report, parts: Sequence[Part]) -> Sequence[Table]:
    """The tables of a report, the figures that stand out first."""
    top = Sheet(title(found), period(found), ("what", "figure"), headlines(found))
    return [_rich(one) for one in (top, *(part.sheet for part in parts))]


def title(found: Report) -> str:
    """What a report is called."""
    return f"Day {found.first}" if found.first == found.last else f"Month {found.first:%Y-%m}"


def period(found: Report) -> str:
    """Say which records a report is of, and what may still change in it."""
    records = ", ".join(
        f"{one.partition}:{one.after + 1} to {one.through}" for one in found.reach if one.through > one.after
    )
    said = f"Calendar days in {found.zone}: records {records}." if records else "No record was made in these days."
    if found.still_open:
        said += f" Not cut over yet: {', '.join(found.still_open)}; what is of the last business day may grow."
    return said


def _rich(sheet: Sheet) -> Table:
    """Lay a table out below its title and note, which may be wider. No text is markup."""
    laid = Table.grid()
    laid.add_row(Text(sheet.title, style="bold"))
    laid.add_row(Text(sheet.note, style="dim"))
    laid.add_row(_cells(sheet) if sheet.rows else Text("\n  Nothing.\n"))
    return laid


def _cells(sheet: Sheet) -> Table:
    shown = Table(box=box.SIMPLE_HEAD)
    shown.show_footer = sheet.total is not None
    for number, name in enumerate(sheet.columns):
        word = number < sheet.words
        footer = Text(sheet.total[number] if sheet.total else "")
        shown.add_column(Text(name), footer, justify="left" if word else "right", no_wrap=not word, overflow="fold")
    for row in sheet.rows:
        shown.add_row(*map(Text, row))
    return shown


def _text(found: Report, parts: Sequence[Part]) -> str:
    text = io.StringIO()
    console = Console(file=text, width=FILE_WIDTH_COLUMNS, force_terminal=False)
    for one in rich_tables(found, parts):
        console.print(one)
    return text.getvalue()


def _csv(found: Report) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Figure.__struct_fields__)
    writer.writerows(astuple(one) for one in found.figures)
    return text.getvalue().encode()
