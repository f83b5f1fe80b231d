"""What can be wrong with a beneficiaries file, in words that never repeat what a cell holds: that is personal data."""

from enum import Enum

from msgspec import Struct

ERRORS_MAX = 1_000
"""Errors that are listed; the others are counted."""


class Fault(Enum):
    """One thing that can be wrong; its value is what is said of the file, the line, or the cell."""

    UNREADABLE = "isn't a CSV or XLSX file"
    SHAPE = "isn't what a list of beneficiaries is in JSON"
    ENCODING = "isn't text in UTF-8 or Windows-1252"
    NUL = "holds NUL bytes, so it isn't a CSV file"
    BIG = "is over {most} MB"
    UNPACKED = "is over {most} MB unpacked"
    TANGLED = "is too big or too tangled to be read"
    NOBODY = "has no beneficiaries"
    MORE = "{count} more errors"

    BROKEN = "can't be split into cells: its quotes don't match, or a cell has no end"
    BEHIND = "is behind the {most} lines or beneficiaries that one order may have"
    WIDE = "has cells behind the first {most}"

    MISSING = "is missing"
    TWICE = "is there twice"
    UNKNOWN = "isn't the name of a column"
    UNNAMED = "stands under no column's name"

    EMPTY = "is empty"
    FORMULA = "is a formula, or begins like one: with = + - @, a tab or a line end"
    FAILED = "is what a failed formula leaves"
    DATE = "is a date or a time"
    LONG = "is over {most} characters long"
    CONTROL = "holds a control character or an invisible one"
    EMAIL = "isn't an e-mail address"
    NUMBER = "isn't a number with at most two decimals"
    QUANTITY = "isn't a whole number from 1 to 31"
    FACE = "isn't from 0.01 to 99.99"
    YES_NO = "is neither yes nor no"
    LANGUAGE = "is none of fr, nl, en"
    SAME = "is the same as in line {line}"


class RowError(Struct, frozen=True, gc=False):
    """What is wrong, and where.

    `line` is counted as a spreadsheet shows it (in JSON: from 1), 0 for the file as a whole. `column` is a column's own
    name, the letter of one that has none, or empty for the whole line.
    """

    line: int
    column: str
    what: str


class Wrong(Exception):
    """A cell, a line or a file isn't what it should be."""

    def __init__(self, fault: Fault, **facts: int) -> None:
        super().__init__(fault, facts)
        self.fault = fault
        self.facts = facts


class Findings:
    """The errors found so far: the first `ERRORS_MAX`, and how many more."""

    def __init__(self) -> None:
        self._errors: list[RowError] = []
        self._more = 0

    def __len__(self) -> int:
        return len(self._errors) + self._more

    def note(self, line: int, column: str, wrong: Wrong) -> None:
        """Take an error down."""
        if len(self._errors) < ERRORS_MAX:
            self._errors.append(RowError(line, column, said(wrong)))
        else:
            self._more += 1

    def listed(self) -> tuple[RowError, ...]:
        """Give all of them, in the order of the file; the last one tells how many aren't listed."""
        more = (RowError(0, "", said(Wrong(Fault.MORE, count=self._more))),) if self._more else ()
        return (*self._errors, *more)


def said(wrong: Wrong) -> str:
    """Say a fault with its facts.

    >>> said(Wrong(Fault.SAME, line=12))
    'is the same as in line 12'
    """
    facts = {name: f"{value:,}" if name != "line" else str(value) for name, value in wrong.facts.items()}
    return wrong.fault.value.format(**facts)
