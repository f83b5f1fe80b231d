"""What a mapping's fields mean: the text in a place, and the date, amount or card that it is.

Every function that reads a text raises `Malformed`, which names the field and shows nothing of the text.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache
from operator import itemgetter

from ledger.reconciliation.clearing import message_class
from ledger.reconciliation.files import FileRefused, Malformed
from ledger.reconciliation.mapping import Amounts, Field
from ledger.values import Cents

CENTS_MAX = 999_999_999_999
"""DE 4 has twelve digits."""
PAYMENTS_MAX = 1_000_000
"""Payments for which one line may stand."""
INSTANTS_KEPT_MAX = 4_096
"""Dates and times that needn't be read again: a file's lines are of few dates, and in the order of time."""
EUROS = ("978", "EUR")

Cells = str | list[str]
"""A line: its characters, or its columns."""

_SEPARATORS = re.compile(r"[ .-]")
_HIDDEN = re.compile(r"[xX#•]")
_CARD = re.compile(r"[0-9*]{12,19}")
_SPACES = str.maketrans({"\N{NO-BREAK SPACE}": " ", "\N{NARROW NO-BREAK SPACE}": " "})
_ANS = "[!-~](?:[ -~]*[!-~])?"
_TEXTS = {
    "merchant": (re.compile(f"(?=.{{1,15}}$){_ANS}"), "1 to 15 characters"),
    "terminal": (re.compile(f"(?=.{{1,8}}$){_ANS}"), "1 to 8 characters"),
    "trace": (re.compile("[0-9]{6}"), "six digits"),
    "transmitted": (re.compile("[0-9]{10}"), "MMDDhhmmss"),
    "retrieval": (re.compile(f"(?=.{{1,12}}$){_ANS}"), "1 to 12 characters"),
    "approval": (re.compile(f"(?=.{{1,6}}$){_ANS}"), "1 to 6 characters"),
    "product": (re.compile("[0-9]{2}"), "two digits"),
    "original": (re.compile(f"[0-9]{{20}}|(?=.{{1,12}}$){_ANS}"), "20 digits, or 1 to 12 characters"),
}


class Reader:
    """Reads the text of one field from a line."""

    def __init__(self, name: str, field: Field, at: int | None = None) -> None:
        """Read the field `name`; `at` is its column, from 1, where it has a title."""
        self.name = name
        self._field = field
        column = at if at is not None else field.at
        if isinstance(column, int):
            self._width = column
            self._part: Callable[[Cells], str] | None = itemgetter(column - 1)
        elif field.first is not None and field.last is not None:
            self._width = field.last
            self._part = itemgetter(slice(field.first - 1, field.last))
        else:
            self._width = 0
            self._part = None

    def __call__(self, cells: Cells) -> str:
        """Return the text without the spaces around it; empty: the line doesn't say."""
        field = self._field
        if self._part is None:
            return field.constant or ""
        if len(cells) < self._width:
            raise Malformed(f"it ends before {self.name}")
        text = self._part(cells).strip()
        if field.values is not None:
            if text not in field.values:
                raise Malformed(f"{self.name} is none of the texts that the mapping knows")
            return field.values[text]
        return text.zfill(field.zeros) if field.zeros and text else text

    def date(self, cells: Cells) -> date:
        """Read a date by the field's form."""
        return self.instant(cells).date()

    def instant(self, cells: Cells) -> datetime:
        """Read a wall clock's instant by the field's form."""
        return instant(self.name, self(cells), self._field.form or "")


@lru_cache(INSTANTS_KEPT_MAX)
def _told(text: str, form: str) -> datetime:
    return datetime.strptime(text, form)  # noqa: DTZ007 - a wall clock's


def instant(name: str, text: str, form: str) -> datetime:
    """Read a wall clock's instant."""
    try:
        return _told(text, form)
    except ValueError:
        raise Malformed(f"{name} isn't written as the mapping has it") from None


def text(name: str, written: str) -> str | None:
    """Read a field that stays as it is. None: the line doesn't say."""
    if not written:
        return None
    form, meaning = _TEXTS[name]
    if form.fullmatch(written) is None:
        raise Malformed(f"{name} isn't {meaning}")
    return written


def class_of(written: str) -> str | None:
    """Read a message type as its class."""
    if not written:
        return None
    if re.fullmatch("0[1-4][0-9]{2}", written) is None:
        raise Malformed("mti isn't a message type")
    return message_class(written)


def card(written: str) -> str | None:
    """Keep six digits and four of a card's number, or as many as are shown.

    >>> card("9250 1000 0000 0014"), card("XXXXXXXXXXXX0014")
    ('925010******0014', '************0014')
    """
    if not written:
        return None
    number = _HIDDEN.sub("*", _SEPARATORS.sub("", written))
    if _CARD.fullmatch(number) is None:
        raise Malformed("card is no number, nor a masked one")
    return f"{number[:6]}{'*' * (len(number) - 10)}{number[-4:]}"


def number(name: str, written: str) -> int:
    """Read a whole number from 0 on."""
    if re.fullmatch("[0-9]{1,15}", written) is None:
        raise Malformed(f"{name} isn't a number")
    return int(written)


def require_euros(written: str) -> None:
    """Raise `FileRefused` for another currency: a file isn't half in one."""
    if written and written not in EUROS:
        raise FileRefused("its currency isn't the euro (978, EUR)")


def amounts(written: Amounts) -> Callable[[str, str], Cents]:
    """Make the function that reads an amount of a field: with its minus, if it has one.

    >>> amounts(Amounts(decimal=",", thousands=" "))("cents", "-1 234,5")
    -123450
    """
    thousands = re.escape(written.thousands) if written.thousands else ""
    grouped = f"[0-9]{{1,3}}(?:{thousands}[0-9]{{3}})+|" if thousands else ""
    fraction = f"(?:{re.escape(written.decimal)}([0-9]{{1,2}}))?" if written.decimal else "()"
    form = re.compile(f"([+-]?)({grouped}[0-9]{{1,15}}){fraction}")
    scale = 100 if written.decimal else 1

    def read(name: str, text: str) -> Cents:
        match = form.fullmatch(text.translate(_SPACES))
        if match is None:
            raise Malformed(f"{name} isn't an amount as the mapping has it")
        sign, whole, part = match.groups()
        if written.thousands:
            whole = whole.replace(written.thousands, "")
        cents = int(whole) * scale + int((part or "").ljust(2, "0"))
        return Cents(-cents if sign == "-" else cents)

    return read


def readers(fields: Mapping[str, Field], titles: Mapping[str, int] | None = None) -> Mapping[str, Reader]:
    """Make a reader of each field; `titles` are columns by title. Raises `FileRefused` where one isn't there."""
    for field in fields.values():
        if isinstance(field.at, str) and field.at not in (titles or {}):
            raise FileRefused(f"it has no column {field.at!r}")
    return {
        name: Reader(name, field, (titles or {})[field.at] if isinstance(field.at, str) else None)
        for name, field in fields.items()
    }
