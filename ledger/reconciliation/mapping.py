"""How an acquirer's own files are to be read: a TOML file, so that a new acquirer is no code. docs/imports.md has one.

A mapping is checked when it is read: what it leaves open, or says twice, is an error then, and not on a line.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from ledger.reconciliation.clearing import KINDS
from ledger.reconciliation.files import Sums
from ledger.store import LedgerError

Number = Annotated[int, Meta(ge=1, le=4_000)]


_SHOWN = datetime(2026, 11, 29, 13, 47, 58)  # noqa: DTZ001 - a wall clock's
_MEANT = (_SHOWN.date(), _SHOWN.time(), _SHOWN.time().replace(second=0))


class MappingInvalid(LedgerError):
    """The mapping can't be read: the message names the file and the place."""


class Field(Struct, frozen=True, forbid_unknown_fields=True, rename={"first": "from", "last": "to"}):
    """Where a value stands, and how it is written there. Spaces around it never count.

    `at` is a column's title or its number from 1; `first` and `last` the characters, both included, of a fixed line;
    `constant` stands nowhere, and is the same on every line. `values` says what each text means: any other is bad.
    `form` is a date's or time's, as strptime has it. `zeros`: filled up to so many characters with zeros before it.
    """

    at: Annotated[str, Meta(min_length=1)] | Number | None = None
    first: Number | None = None
    last: Number | None = None
    constant: str | None = None
    values: dict[str, str] | None = None
    form: Annotated[str, Meta(min_length=2)] | None = None
    zeros: Annotated[int, Meta(ge=1, le=20)] | None = None

    def __post_init__(self) -> None:
        if (self.first is None) != (self.last is None):
            raise ValueError("`from` and `to` go together")
        if self.first is not None and self.last is not None and self.first > self.last:
            raise ValueError("`from` is not behind `to`")
        if [self.at, self.first, self.constant].count(None) != 2:
            raise ValueError("a value is `at` a column, `from` and `to` characters, or a `constant`: one of these")


Place = str | int | Field
"""A column's title, its number, or a field in full."""


class Fields(Struct, frozen=True, forbid_unknown_fields=True):
    """What of a line means what: `ledger.reconciliation.values.ClearingLine` says what each is.

    `mti` is the message type, of which the class comes; `date` and `time` make `local` where they are apart.
    """

    merchant: Place
    kind: Place
    cents: Place
    day: Place | None = None
    mti: Place | None = None
    terminal: Place | None = None
    trace: Place | None = None
    transmitted: Place | None = None
    local: Place | None = None
    date: Place | None = None
    time: Place | None = None
    retrieval: Place | None = None
    approval: Place | None = None
    card: Place | None = None
    product: Place | None = None
    currency: Place | None = None
    payments: Place | None = None
    original: Place | None = None

    def __post_init__(self) -> None:
        if (self.date is None) != (self.time is None) or (self.local is not None and self.date is not None):
            raise ValueError("the local time is `local`, or both `date` and `time`")
        for name in ("day", "local", "date", "time"):
            if name in self.named():
                require_form(name, self.named()[name].form)
        kind = self.named()["kind"]
        meant = set((kind.values or {}).values()) if kind.constant is None else {kind.constant}
        if not meant or not meant <= KINDS:
            raise ValueError(f"`kind` needs `values`, or a `constant`, that are of {', '.join(sorted(KINDS))}")

    def named(self) -> Mapping[str, Field]:
        """The fields that a line has, by name."""
        return {name: field_of(place) for name in self.__struct_fields__ if (place := getattr(self, name)) is not None}


class Sign(Struct, frozen=True, forbid_unknown_fields=True):
    """A column says which way the money goes: `debits` are to be paid to the acquirer, `credits` it gives back."""

    at: Place
    debits: tuple[str, ...]
    credits: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.debits and not self.credits:
            raise ValueError("`debits` and `credits` are the texts that stand in that place")
        if set(self.debits) & set(self.credits):
            raise ValueError("a text means `debits` or `credits`")


class Amounts(Struct, frozen=True, forbid_unknown_fields=True):
    """How amounts are written: whole cents, or euros with a `decimal` mark and, between thousands, `thousands`.

    `sign`: `kind` (refunds and reversals are given back, and amounts have no sign), `number` (what has a minus is), or
    what a column says.
    """

    decimal: Literal[",", "."] | None = None
    thousands: Literal[",", ".", " ", "'"] | None = None
    sign: Literal["kind", "number"] | Sign = "kind"

    def __post_init__(self) -> None:
        if self.thousands is not None and self.thousands == self.decimal:
            raise ValueError("`thousands` and `decimal` are two marks")


class Outline(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file's first or last line: what it says of the file, and its control totals, by the names of `Sums`.

    `type` is what stands in the place of the lines' `type`. Columns are named by number.
    """

    type: str | None = None
    day: Place | None = None
    acquirer: Place | None = None
    currency: Place | None = None
    lines: Place | None = None
    payments: Place | None = None
    debits: Place | None = None
    debits_cents: Place | None = None
    credits: Place | None = None
    credits_cents: Place | None = None
    gross: Place | None = None
    net: Place | None = None

    def named(self) -> Mapping[str, Field]:
        """The fields that it has, by name."""
        names = ("day", "acquirer", "currency", *Sums.NAMES)
        return {name: field_of(place) for name in names if (place := getattr(self, name)) is not None}

    @property
    def controls(self) -> set[str]:
        """The control totals that it states."""
        return set(self.named()) & set(Sums.NAMES)


class Kinds(Struct, frozen=True, forbid_unknown_fields=True):
    """Which lines are what, where they say so themselves: `detail` ask for money, `ignored` don't count."""

    type: Place
    detail: Annotated[tuple[str, ...], Meta(min_length=1)]
    ignored: tuple[str, ...] = ()


class FileName(Struct, frozen=True, forbid_unknown_fields=True):
    """The day stands in the file's name: the `pattern`'s only group, written as `form`."""

    pattern: str
    form: str

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.pattern).groups
        except re.error:
            raise ValueError("`pattern` is no regular expression") from None
        if groups != 1:
            raise ValueError("`pattern` has one group: the day")
        require_form("day", self.form)


class Layout(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of the file. `titles`: a line before the details names the columns. `columns`: how many a detail has."""

    name: Annotated[str, Meta(min_length=1, max_length=70)]
    layout: Literal["csv", "fixed"]
    fields: Fields
    encoding: Literal["ascii", "utf-8", "iso8859-1", "iso8859-15", "cp1252"] = "utf-8"
    delimiter: Literal[";", ",", "\t", "|"] = ";"
    titles: bool = False
    columns: Number | None = None
    amounts: Amounts = Amounts()
    lines: Kinds | None = None
    header: Outline | None = None
    trailer: Outline | None = None
    file_name: FileName | None = None
    controls: Literal["stated", "none"] = "stated"

    def __post_init__(self) -> None:
        self._require_places()
        self._require_a_day()
        self._require_controls()
        for name, outline in self.outlines():
            if (outline.type is None) != (self.lines is None):
                raise ValueError(f"`[{name}]` has a `type` where `[lines]` has one, and only there")

    def outlines(self) -> Iterator[tuple[str, Outline]]:
        """The header and the trailer, as far as there are any."""
        return ((name, one) for name, one in (("header", self.header), ("trailer", self.trailer)) if one is not None)

    def _require_places(self) -> None:
        if self.layout == "fixed" and (self.titles or self.columns):
            raise ValueError("a fixed line has no columns, and so no `titles`")
        sign = self.amounts.sign
        details = [*self.fields.named().values(), *([field_of(sign.at)] if isinstance(sign, Sign) else [])]
        others = [one for _, outline in self.outlines() for one in outline.named().values()]
        others += [field_of(self.lines.type)] if self.lines else []
        for field in (*details, *others):
            if field.constant is None and (field.first is not None) != (self.layout == "fixed"):
                raise ValueError("a fixed line's values stand `from` and `to`, a csv line's `at` a column")
        if any(isinstance(field.at, str) for field in others) or (
            not self.titles and any(isinstance(field.at, str) for field in details)
        ):
            raise ValueError("columns have numbers, but for those of details below `titles`")

    def _require_a_day(self) -> None:
        days = [self.fields.day, *(outline.day for _, outline in self.outlines()), self.file_name]
        if len(days) - days.count(None) != 1 or (self.trailer and self.trailer.day):
            raise ValueError("the business day stands in one place: in `fields`, in `[header]` or in `[file_name]`")
        if self.header and self.header.day is not None:
            require_form("day", field_of(self.header.day).form)

    def _require_controls(self) -> None:
        stated = [outline.controls for _, outline in self.outlines()]
        found = set().union(*stated)
        if len(found) < sum(map(len, stated)):
            raise ValueError("a control total stands in the header or in the trailer")
        whole = found & set(Sums.COUNTS) and found - set(Sums.COUNTS)
        if self.controls == "stated" and not whole:
            raise ValueError('a file states a count and a sum; of one that doesn\'t, say `controls = "none"`')
        if self.controls == "none" and found:
            raise ValueError('`controls = "none"`, and yet there are some')


def field_of(place: Place) -> Field:
    """Write a place out as a field."""
    return place if isinstance(place, Field) else Field(at=place)


def require_form(name: str, form: str | None) -> None:
    """Require that what is written so can be told again: so a date has its year. Raises `ValueError`."""
    shown = _SHOWN.strftime(form or "")
    try:
        read = datetime.strptime(shown, form or "")  # noqa: DTZ007 - a wall clock's
    except ValueError:
        read = None
    parts = {"time": ("time",), "local": ("date", "time")}.get(name, ("date",))
    if read is None or read.tzinfo is not None or any(getattr(read, part)() not in _MEANT for part in parts):
        what = " and ".join({"date": "a date with its year", "time": "a time"}[part] for part in parts)
        raise ValueError(f"`{name}` needs a `form` that gives {what}, without a zone, such as %d/%m/%Y or %H:%M")


def load(path: Path) -> Layout:
    """Read a mapping. Raises `MappingInvalid`."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Layout)
    except OSError as failed:
        raise MappingInvalid(f"{path}: {failed.strerror}") from None
    except msgspec.ValidationError as wrong:
        raise MappingInvalid(f"{path}: {wrong}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise MappingInvalid(f"{path}: not TOML") from None
