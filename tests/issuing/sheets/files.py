"""Beneficiaries files, written as people's programs write them."""

import csv
import io
from collections.abc import Iterable, Sequence
from zipfile import ZIP_DEFLATED, ZipFile

from msgspec.structs import replace
from openpyxl import Workbook

from authz.issuing.person import Person
from authz.issuing.sheets.rows import Row, Sheet
from ledger.values import Cents

HEADER = ("matricule", "nom", "prénom", "e-mail", "quantité", "valeur faciale", "travaille dimanches", "langue")
MARIE = ("M1", "Dupont", "Marie", "marie@societe.fr", "20", "9,50", "non", "fr")
JAN = ("M2", "Peeters", "Jan", "jan@bedrijf.be", "18", "8", "oui", "nl")
MARIES_ROW = Row("M1", Person("Marie", "Dupont", "marie@societe.fr", "fr"), 20, Cents(950), works_days_off=False)
JANS_ROW = Row("M2", Person("Jan", "Peeters", "jan@bedrijf.be", "nl"), 18, Cents(800), works_days_off=True)


def sheet_of(rows: Iterable[Row], first: int = 2) -> Sheet:
    """Give the sheet of rows that stand one below the other, the first in line `first`."""
    return Sheet(tuple(replace(row, line=line) for line, row in enumerate(rows, first)))


def as_csv(lines: Iterable[Sequence[str]], separator: str = ";", encoding: str = "utf-8", end: str = "\r\n") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=end).writerows(lines)
    return text.getvalue().encode(encoding)


def as_xlsx(lines: Iterable[Sequence[object]]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for line in lines:
        sheet.append(list(line))
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def with_part(workbook: bytes, name: str, part: bytes) -> bytes:
    """Put another part in the place of one of a workbook's."""
    content = io.BytesIO()
    with ZipFile(io.BytesIO(workbook)) as old, ZipFile(content, "w", ZIP_DEFLATED) as new:
        for one in old.namelist():
            new.writestr(one, part if one == name else old.read(one))
    return content.getvalue()


SHEET_PART = "xl/worksheets/sheet1.xml"


def sheet_xml(rows: str, before: str = "") -> bytes:
    namespace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f'<worksheet xmlns="{namespace}"><sheetData>{rows}</sheetData></worksheet>'
    return f'<?xml version="1.0"?>{before}{sheet}'.encode()
