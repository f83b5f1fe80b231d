"""The clearing file: what an acquirer asks to be paid for a business day, line by line, as finance reconciles it.

docs/clearing.md specifies the format. A file is read strictly: whatever isn't as specified is refused in one line that
names the line, so that nothing is paid on a file that somebody cut short or edited.
"""

import csv
import io
import os
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct, structs

from simulators.mistakes import Mistake

FORMAT = "AUTHZ-CLEARING"
VERSION = 1
CURRENCY = "978"
LINES_MAX = 1_000_000
"""Detail lines in a file."""
LINE_CHARACTERS_MAX = 400
CENTS_MAX = 999_999_999_999
"""DE 4 has twelve digits."""
CREATED = "%Y-%m-%dT%H:%M:%SZ"
HEADER_FIELDS = 7
SHORTEST_LINES = 3
"""A header, a trailer, and nothing behind the last line's end."""
OPTIONAL = ("retrieval", "approval", "original")

T = TypeVar("T")


class ClearingInvalid(Mistake):
    """A clearing file is not as docs/clearing.md says; the message names the line."""


class Kind(StrEnum):
    """What a line did to the money. The first three, and a reversed refund, are debits; the others credits."""

    SALE = "sale"
    CAPTURE = "capture"
    ADVICE = "advice"
    """A sale made offline."""
    REFUND = "refund"
    REVERSAL = "reversal"
    """Of a sale, capture or advice, in full or in part: what it gave back."""
    REFUND_REVERSAL = "refund-reversal"

    @property
    def debits(self) -> bool:
        """Whether the holder pays."""
        return self not in (Kind.REFUND, Kind.REVERSAL)


class Detail(Struct, frozen=True, kw_only=True):
    """A message that moved money, under the fields that name it. Raises `ClearingInvalid` where one is ill-formed.

    `transmitted` is DE 7 (MMDDhhmmss, UTC); `day` and `at` are DE 13, with its year, and DE 12. `card` is the PAN's
    first six digits, as many asterisks as it has digits between, and its last four. `cents` is above 0. `original` is
    the first 20 digits of DE 90 (MTI, trace number, transmission time), which reversals, and refunds and captures that
    name one, bear.
    """

    kind: Kind
    mti: str
    terminal: str
    merchant: str
    trace: str
    transmitted: str
    retrieval: str | None = None
    approval: str | None = None
    card: str
    product: str
    cents: int
    currency: str = CURRENCY
    day: date
    at: time
    original: str | None = None

    def __post_init__(self) -> None:
        for name, (form, meaning) in _FORMS.items():
            value = getattr(self, name)
            if value is not None and not form.fullmatch(value):
                raise ClearingInvalid(f"{name} is {meaning}")
        if not 1 <= self.cents <= CENTS_MAX:
            raise ClearingInvalid(f"cents is 1 to {CENTS_MAX}")
        if self.kind in (Kind.REVERSAL, Kind.REFUND_REVERSAL) and self.original is None:
            raise ClearingInvalid("a reversal names its original")
        if self.at.microsecond or self.at.tzinfo is not None:
            raise ClearingInvalid("at is local, in whole seconds")


class Totals(Struct, frozen=True, kw_only=True):
    """A file's control totals: counts, and cents."""

    lines: int = 0
    debits: int = 0
    debits_cents: int = 0
    credits: int = 0
    credits_cents: int = 0

    @property
    def net(self) -> int:
        """What the acquirer is to be paid, below 0 where it is to pay."""
        return self.debits_cents - self.credits_cents


class Clearing(Struct, frozen=True, kw_only=True):
    """A clearing file. `acquirer` is DE 32; `created` is UTC, in whole seconds; `file_id` names the file for good."""

    acquirer: str
    day: date
    """The business day that it closes."""
    created: datetime
    file_id: str
    details: tuple[Detail, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{1,11}", self.acquirer):
            raise ClearingInvalid("acquirer is 1 to 11 digits")
        if not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", self.file_id):
            raise ClearingInvalid("file_id is 1 to 64 letters, digits, dots or hyphens")
        if self.created.utcoffset() is None or self.created.utcoffset() or self.created.microsecond:
            raise ClearingInvalid("created is UTC, in whole seconds")
        if len(self.details) > LINES_MAX:
            raise ClearingInvalid(f"a file has at most {LINES_MAX} lines")

    @property
    def totals(self) -> Totals:
        """Add up the lines."""
        debited = [detail.cents for detail in self.details if detail.kind.debits]
        credited = [detail.cents for detail in self.details if not detail.kind.debits]
        return Totals(
            lines=len(self.details),
            debits=len(debited),
            debits_cents=sum(debited),
            credits=len(credited),
            credits_cents=sum(credited),
        )


def masked(pan: str) -> str:
    """A PAN as a clearing file shows it.

    >>> masked("9250100000000014")
    '925010******0014'
    """
    return f"{pan[:6]}{'*' * (len(pan) - 10)}{pan[-4:]}"


def write(clearing: Clearing) -> str:
    """The file's text. What `read` makes of it equals what was written."""
    lines = io.StringIO()
    out = csv.writer(lines, lineterminator="\n")
    created = clearing.created.strftime(CREATED)
    out.writerow(("H", FORMAT, VERSION, clearing.acquirer, clearing.day.isoformat(), created, clearing.file_id))
    for number, detail in enumerate(clearing.details, 1):
        out.writerow(("D", number, *(_written(getattr(detail, name)) for name in Detail.__struct_fields__)))
    totals = clearing.totals
    counted = (getattr(totals, name) for name in Totals.__struct_fields__)
    out.writerow(("T", *counted, totals.net))
    return lines.getvalue()


def save(clearing: Clearing, path: Path) -> None:
    """Write a file so that it is there whole, or not at all, also if the machine stops. Raises `OSError`."""
    unfinished = path.with_name(f".{path.name}.new")
    with unfinished.open("w", encoding="ascii", newline="") as file:
        file.write(write(clearing))
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: Path) -> Clearing:
    """Read a file. Raises `ClearingInvalid`."""
    try:
        text = path.read_bytes().decode("ascii")
    except OSError as failed:
        raise ClearingInvalid(f"{path}: {failed.strerror}") from None
    except UnicodeDecodeError:
        raise ClearingInvalid(f"{path}: not ASCII") from None
    try:
        return read(text)
    except ClearingInvalid as wrong:
        raise ClearingInvalid(f"{path}: {wrong}") from None


def read(text: str) -> Clearing:
    """Read a file's text, strictly. Raises `ClearingInvalid`, which names the line.

    What was read must be the text again when it is written: so a file can't say the same thing in two ways, and line
    numbers and control totals are held to the lines.
    """
    lines = text.split("\n")
    if len(lines) < SHORTEST_LINES or lines[-1]:
        raise ClearingInvalid(f"line {len(lines)}: the file is cut short")
    if len(lines) > LINES_MAX + SHORTEST_LINES:
        raise ClearingInvalid(f"a file has at most {LINES_MAX} lines")
    clearing = _at_line(1, _header, lines[0])
    details = tuple(_at_line(number, _detail, line) for number, line in enumerate(lines[1:-2], 2))
    clearing = structs.replace(clearing, details=details)
    for number, (line, meant) in enumerate(zip(lines, write(clearing).split("\n"), strict=True), 1):
        if line != meant:
            raise ClearingInvalid(f"line {number}: {_difference(line, meant)}")
    return clearing


def _at_line(number: int, parse: Callable[[list[str]], T], line: str) -> T:
    try:
        return parse(_fields(line))
    except ClearingInvalid as wrong:
        raise ClearingInvalid(f"line {number}: {wrong}") from None


def _fields(line: str) -> list[str]:
    if len(line) > LINE_CHARACTERS_MAX:
        raise ClearingInvalid(f"longer than {LINE_CHARACTERS_MAX} characters")
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        raise ClearingInvalid("not CSV") from None


def _header(fields: list[str]) -> Clearing:
    if len(fields) != HEADER_FIELDS or fields[:3] != ["H", FORMAT, str(VERSION)]:
        raise ClearingInvalid(f"not the header of {FORMAT} version {VERSION}")
    created = _parsed(lambda text: datetime.strptime(text, CREATED).replace(tzinfo=UTC), fields[5], "created")
    day = _parsed(date.fromisoformat, fields[4], "day")
    return Clearing(acquirer=fields[3], day=day, created=created, file_id=fields[6])


def _detail(fields: list[str]) -> Detail:
    names = Detail.__struct_fields__
    if len(fields) != len(names) + 2 or fields[0] != "D":
        raise ClearingInvalid("not a detail line")
    values: dict[str, Any] = {name: text or None for name, text in zip(names, fields[2:], strict=True)}
    for name, parse in _PARSED.items():
        values[name] = _parsed(parse, values[name] or "", name)
    for name in set(names) - set(_PARSED) - set(OPTIONAL):
        if values[name] is None:
            raise ClearingInvalid(f"{name} is missing")
    return Detail(**values)


def _parsed(parse: Callable[[str], T], text: str, name: str) -> T:
    try:
        return parse(text)
    except ValueError:
        raise ClearingInvalid(f"{name} is ill-formed") from None


def _written(value: object) -> str:
    return "" if value is None else value.isoformat() if isinstance(value, date | time) else str(value)


def _difference(line: str, meant: str) -> str:
    if meant.startswith("T,"):
        return f"the control totals are not those of the lines, which come to {meant[2:]}"
    return "not written as the format has it"


_ANS = "[!-~](?:[ -~]*[!-~])?"
_FORMS = {
    "mti": (re.compile("0[1-4][0-9]{2}"), "four digits"),
    "terminal": (re.compile(f"(?=.{{1,8}}$){_ANS}"), "1 to 8 characters, without spaces around"),
    "merchant": (re.compile(f"(?=.{{1,15}}$){_ANS}"), "1 to 15 characters, without spaces around"),
    "trace": (re.compile("[0-9]{6}"), "six digits"),
    "transmitted": (re.compile("[0-9]{10}"), "MMDDhhmmss"),
    "retrieval": (re.compile(f"(?=.{{1,12}}$){_ANS}"), "1 to 12 characters, without spaces around"),
    "approval": (re.compile(f"(?=.{{1,6}}$){_ANS}"), "1 to 6 characters, without spaces around"),
    "card": (re.compile(r"[0-9]{6}\*{2,9}[0-9]{4}"), "six digits, asterisks, four digits"),
    "product": (re.compile("[0-9]{2}"), "two digits"),
    "currency": (re.compile("[0-9]{3}"), "three digits"),
    "original": (re.compile("[0-9]{20}"), "20 digits"),
}
_PARSED: dict[str, Callable[[str], Any]] = {
    "kind": Kind,
    "cents": int,
    "day": date.fromisoformat,
    "at": time.fromisoformat,
}
