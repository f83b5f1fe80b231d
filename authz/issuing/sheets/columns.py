"""The columns of a beneficiaries file, by the names that people give them, in any order."""

import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from authz.issuing.sheets.cells import Cell, is_blank
from authz.issuing.sheets.faults import Fault, Findings, Wrong

COLUMNS_MAX = 50
_NAME_CHARACTERS_MAX = 100


class Column(StrEnum):
    """What a column has; the value is also what it is called in JSON and in errors."""

    NUMBER = "number"
    LAST_NAME = "last_name"
    FIRST_NAME = "first_name"
    EMAIL = "email"
    QUANTITY = "quantity"
    FACE = "face"
    WORKS_DAYS_OFF = "works_days_off"
    LANGUAGE = "language"


OPTIONAL = frozenset((Column.WORKS_DAYS_OFF, Column.LANGUAGE))

NAMES: Mapping[Column, Sequence[str]] = {
    Column.NUMBER: (
        "matricule",
        "numéro de matricule",
        "employee number",
        "employee id",
        "number",
        "personeelsnummer",
        "stamnummer",
    ),
    Column.LAST_NAME: ("nom", "nom de famille", "last name", "surname", "naam", "achternaam", "familienaam"),
    Column.FIRST_NAME: ("prénom", "first name", "given name", "voornaam"),
    Column.EMAIL: ("e-mail", "courriel", "adresse e-mail", "e-mail address", "mail", "e-mailadres"),
    Column.QUANTITY: ("quantité", "titres", "nombre de titres", "quantity", "vouchers", "aantal", "aantal cheques"),
    Column.FACE: ("valeur faciale", "valeur", "face value", "face", "nominale waarde", "waarde"),
    Column.WORKS_DAYS_OFF: (
        "travaille dimanches",
        "travaille dimanches et jours fériés",
        "dimanches",
        "dimanches et jours fériés",
        "works Sundays",
        "works Sundays and holidays",
        "works days off",
        "werkt zondagen",
        "werkt zon- en feestdagen",
    ),
    Column.LANGUAGE: ("langue", "language", "taal"),
}
"""How each column may be called in French, English and Dutch. Capitals, accents, spaces and signs don't count."""


def _fold(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name[:_NAME_CHARACTERS_MAX]).casefold()
    return "".join(one for one in letters if one.isascii() and one.isalnum())


_BY_NAME = {_fold(name): column for column, names in NAMES.items() for name in names}


def column_of(cell: Cell) -> Column | None:
    """Find the column that a cell of the first line names."""
    return _BY_NAME.get(_fold(cell)) if isinstance(cell, str) else None


def letter(index: int) -> str:
    """Name a column as a spreadsheet does, counting from 0.

    >>> letter(0), letter(25), letter(26)
    ('A', 'Z', 'AA')
    """
    return (chr(ord("A") + index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


class Header(Struct, frozen=True):
    """What stands where, by a column's place from 0. What is under an unknown name isn't looked at."""

    columns: Mapping[int, Column]
    unknown: frozenset[int] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether lines can be read under it: every column that must be there is, and none is twice."""
        there = list(self.columns.values())
        return OPTIONAL.union(there).issuperset(Column) and len(set(there)) == len(there)


WRITTEN = Header(dict(enumerate(Column)))
"""Every column, in the order in which we write them ourselves."""


def read_header(cells: Sequence[Cell], findings: Findings) -> Header:
    """Tell what stands in each column of a file, and note what is unknown, there twice, or missing."""
    columns: dict[int, Column] = {}
    unknown: set[int] = set()
    for index, cell in enumerate(cells[:COLUMNS_MAX]):
        if column := column_of(cell):
            if column in columns.values():
                findings.note(1, column, Wrong(Fault.TWICE))
            columns[index] = column
        elif not is_blank(cell):
            findings.note(1, letter(index), Wrong(Fault.UNKNOWN))
            unknown.add(index)
    for column in Column:
        if column not in columns.values() and column not in OPTIONAL:
            findings.note(1, column, Wrong(Fault.MISSING))
    if not all(map(is_blank, cells[COLUMNS_MAX:])):
        findings.note(1, "", Wrong(Fault.WIDE, most=COLUMNS_MAX))
    return Header(columns, frozenset(unknown))
