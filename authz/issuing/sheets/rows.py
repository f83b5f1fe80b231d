"""Beneficiaries: one row each, validated whole. A list with one error in it gives no rows at all."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct

from authz.decision.issuing.states import LINES_MAX
from authz.issuing.person import Person
from authz.issuing.sheets import cells
from authz.issuing.sheets.cells import Cell, is_blank
from authz.issuing.sheets.columns import COLUMNS_MAX, OPTIONAL, WRITTEN, Column, Header, letter, read_header
from authz.issuing.sheets.faults import Fault, Findings, RowError, Wrong
from ledger.values import Cents

T = TypeVar("T")


class Row(Struct, frozen=True, gc=False):
    """A beneficiary. `number` is what their employer calls them; they get `quantity` vouchers of `face` cents each.

    `works_days_off`: works Sundays and holidays. `line` is where it stands in its list; 0: in none.
    """

    number: str
    person: Person
    quantity: int
    face: Cents
    works_days_off: bool = False
    line: int = 0


class Sheet(Struct, frozen=True, gc=False):
    """What a list came to: its rows, or all that is wrong with it. One of the two is empty."""

    rows: tuple[Row, ...] = ()
    errors: tuple[RowError, ...] = ()


class Lines(Struct, frozen=True, gc=False):
    """Beneficiaries as JSON: `{"lines": [{"number": …, "person": {…}, "quantity": …, "face": …}]}`; `face` in cents."""

    lines: tuple[Row, ...]


class Numbered(Struct, frozen=True, gc=False):
    """A line's cells, and its number as a spreadsheet shows it."""

    number: int
    cells: Sequence[Cell]


class Stopped(Exception):
    """A line can't be read, nor any behind it."""

    def __init__(self, line: int, wrong: Wrong) -> None:
        super().__init__(line)
        self.line = line
        self.wrong = wrong


def refused(fault: Fault, **facts: int) -> Sheet:
    """Refuse a file as a whole."""
    findings = Findings()
    findings.note(0, "", Wrong(fault, **facts))
    return Sheet(errors=findings.listed())


def check_rows(rows: Iterable[Row]) -> Sheet:
    """Check rows that came by another way than a file, just as a file's. Lines are counted from 1.

    200,000 rows take seconds: beside payments, `authz.issuing.sheets.process.check_apart` does the same.
    """
    lines = (Numbered(number, written(row)) for number, row in enumerate(rows, 1))
    return _Lines(WRITTEN, Findings()).read(lines)


def read_lines(lines: Iterator[Numbered]) -> Sheet:
    """Read a file's lines: the first one names the columns."""
    findings = Findings()
    try:
        first = next(lines, None)
    except Stopped as stopped:
        findings.note(stopped.line, "", stopped.wrong)
        return Sheet(errors=findings.listed())
    if first is None:
        return refused(Fault.NOBODY)
    header = read_header(first.cells, findings)
    # Without a column for each thing, every line would be wrong for the same reason.
    return _Lines(header, findings).read(lines) if header.is_whole else Sheet(errors=findings.listed())


def written(row: Row) -> Sequence[str]:
    """Write a row as the cells of a line, in the order of `Column`."""
    sign, cents = ("-" if row.face < 0 else ""), abs(row.face)
    return (
        row.number,
        row.person.last_name,
        row.person.first_name,
        row.person.email,
        str(row.quantity),
        f"{sign}{cents // 100}.{cents % 100:02}",
        "yes" if row.works_days_off else "no",
        row.person.language,
    )


class _Lines:
    """Reads lines under columns that are known, and what must differ between them."""

    def __init__(self, header: Header, findings: Findings) -> None:
        self._header = header
        self._findings = findings
        self._numbers: dict[str, int] = {}
        self._emails: dict[str, int] = {}

    def read(self, lines: Iterable[Numbered]) -> Sheet:
        rows: list[Row] = []
        people = 0
        try:
            for line in lines:
                if all(map(is_blank, line.cells)):
                    continue
                people += 1
                if people > LINES_MAX:
                    raise Stopped(line.number, Wrong(Fault.BEHIND, most=LINES_MAX))  # noqa: TRY301
                row = self._row(line)
                if not self._findings:
                    rows.append(row)
        except Stopped as stopped:
            self._findings.note(stopped.line, "", stopped.wrong)
        if self._findings:
            return Sheet(errors=self._findings.listed())
        return Sheet(tuple(rows)) if people else refused(Fault.NOBODY)

    def _row(self, line: Numbered) -> Row:
        """Read a line. What is wrong with it is noted, and an empty value stands in its place."""
        taken = _Taking(line.number, self._named(line), self._findings)
        row = Row(
            taken.take(Column.NUMBER, cells.name, ""),
            Person(
                last_name=taken.take(Column.LAST_NAME, cells.name, ""),
                first_name=taken.take(Column.FIRST_NAME, cells.name, ""),
                email=taken.take(Column.EMAIL, cells.email, ""),
                language=taken.take(Column.LANGUAGE, cells.language, "fr"),
            ),
            taken.take(Column.QUANTITY, cells.quantity, 0),
            taken.take(Column.FACE, cells.face, Cents(0)),
            taken.take(Column.WORKS_DAYS_OFF, cells.yes_or_no, False),
            line.number,
        )
        self._once(self._numbers, row.number, line.number, Column.NUMBER)
        self._once(self._emails, row.person.email.lower(), line.number, Column.EMAIL)
        return row

    def _named(self, line: Numbered) -> Mapping[Column, Cell]:
        named: dict[Column, Cell] = {}
        for index, cell in enumerate(line.cells[:COLUMNS_MAX]):
            if column := self._header.columns.get(index):
                named[column] = cell
            elif index not in self._header.unknown and not is_blank(cell):
                self._findings.note(line.number, letter(index), Wrong(Fault.UNNAMED))
        if len(line.cells) > COLUMNS_MAX and not all(map(is_blank, line.cells[COLUMNS_MAX:])):
            self._findings.note(line.number, "", Wrong(Fault.WIDE, most=COLUMNS_MAX))
        return named

    def _once(self, seen: dict[str, int], value: str, line: int, column: Column) -> None:
        if value and (first := seen.setdefault(value, line)) != line:
            self._findings.note(line, column, Wrong(Fault.SAME, line=first))


class _Taking:
    """Takes one line's cells, and notes what is wrong with each."""

    def __init__(self, line: int, named: Mapping[Column, Cell], findings: Findings) -> None:
        self._line = line
        self._named = named
        self._findings = findings

    def take(self, column: Column, read: Callable[[str], T], otherwise: T) -> T:
        cell = self._named.get(column, "")
        try:
            if isinstance(cell, Fault):
                raise Wrong(cell)  # noqa: TRY301
            if column in OPTIONAL and is_blank(cell):
                return otherwise
            return read(cell)
        except Wrong as wrong:
            self._findings.note(self._line, column, wrong)
            return otherwise
