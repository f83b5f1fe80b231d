"""The format `clearing`, which docs/clearing.md specifies: read strictly, line by line.

There is one way to write anything in it, so that a file which isn't as specified was cut short or edited: it is refused
as a whole. What it says in words and digits stays so but for what finance matches by: cents bear the line's sign, the
acceptor's date and time are one, and the message type is its class.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from ledger.reconciliation.files import FileRefused, Item, Lines, Malformed, Stated
from ledger.reconciliation.values import ClearingLine
from ledger.values import Cents

NAME = "clearing"
LINE_CHARACTERS_MAX = 400
CREDITS = frozenset({"refund", "reversal"})
"""Kinds by which the acquirer gives back."""
KINDS = frozenset({"sale", "capture", "advice", "refund-reversal"}) | CREDITS
REVERSALS = frozenset({"reversal", "refund-reversal"})
TOTALS = ("lines", "debits", "debits_cents", "credits", "credits_cents", "net")

_ANS = "[!-~](?:[ -~]*[!-~])?"
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_AT = r"(?:[01][0-9]|2[0-3])(?::[0-5][0-9]){2}"
_WHOLE = "0|[1-9][0-9]{0,18}"
_HEADER = {
    "format": re.compile("AUTHZ-CLEARING"),
    "version": re.compile("1"),
    "acquirer": re.compile("[0-9]{1,11}"),
    "day": re.compile(_DAY),
    "created": re.compile(f"{_DAY}T{_AT}Z"),
    "file_id": re.compile("[A-Za-z0-9.-]{1,64}"),
}
_DETAIL = {
    "line": re.compile(_WHOLE),
    "kind": re.compile("|".join(sorted(KINDS, reverse=True))),
    "mti": re.compile("0[1-4][0-9]{2}"),
    "terminal": re.compile(f"(?=.{{1,8}}$){_ANS}"),
    "merchant": re.compile(f"(?=.{{1,15}}$){_ANS}"),
    "trace": re.compile("[0-9]{6}"),
    "transmitted": re.compile("[0-9]{10}"),
    "retrieval": re.compile(f"|(?=.{{1,12}}$){_ANS}"),
    "approval": re.compile(f"|(?=.{{1,6}}$){_ANS}"),
    "card": re.compile(r"[0-9]{6}\*{2,9}[0-9]{4}"),
    "product": re.compile("[0-9]{2}"),
    "cents": re.compile("[1-9][0-9]{0,11}"),
    "currency": re.compile("[0-9]{3}"),
    "day": re.compile(_DAY),
    "at": re.compile(_AT),
    "original": re.compile("|[0-9]{20}"),
}
_TRAILER = {name: re.compile(f"-?(?:{_WHOLE})" if name == "net" else _WHOLE) for name in TOTALS}


def read(lines: Lines, acquirer: str) -> Iterator[Item]:
    """Read an acquirer's file, whose lines must be `ended`. Raises `FileRefused`."""
    try:
        yield from _items(lines, acquirer)
    except Malformed as wrong:
        raise FileRefused(f"line {lines.number}: {wrong}") from None


def acquirer_of(line: bytes) -> str | None:
    """Tell whose file it is by its first line; None: it isn't of this format."""
    try:
        return _fields("H", _HEADER, line.removesuffix(b"\n"))[2]
    except Malformed:
        return None


def _items(lines: Lines, acquirer: str) -> Iterator[Item]:
    numbered = iter(lines)
    day, name = _header(next(numbered, (1, b""))[1], acquirer)
    for number, line in numbered:
        if line.startswith(b"T,"):
            totals = _trailer(line)
            if next(numbered, None) is not None:
                raise Malformed("it goes on behind its trailer")
            yield Stated(day, totals, name, dict.fromkeys(totals, number))
            return
        yield _detail(line, number, acquirer, day)
    raise Malformed("the file is cut short: it has no trailer")


def _header(line: bytes, acquirer: str) -> tuple[date, str]:
    _, _, named, day, created, name = _fields("H", _HEADER, line)
    if named != acquirer:
        raise Malformed(f"the file is acquirer {named}'s, not {acquirer}'s")
    _instant(created, "created")
    return _date(day, "day"), name


def _detail(line: bytes, number: int, acquirer: str, day: date) -> ClearingLine:
    counted, kind, mti, terminal, merchant, trace, transmitted, retrieval, approval, card, product, cents, *rest = (
        _fields("D", _DETAIL, line)
    )
    currency, local_day, at, original = rest
    if counted != str(number - 1):
        raise Malformed(f"its number isn't {number - 1}: a line is missing, or too many")
    if currency != "978":
        raise Malformed("its currency isn't 978, the euro")
    if kind in REVERSALS and not original:
        raise Malformed("a reversal names its original")
    return ClearingLine(
        line=number,
        acquirer=acquirer,
        day=day,
        kind=kind,
        merchant=merchant,
        cents=Cents(-int(cents) if kind in CREDITS else int(cents)),
        class_=message_class(mti),
        terminal=terminal,
        trace=trace,
        transmitted=transmitted,
        local=_instant(f"{local_day}T{at}", "day"),
        retrieval=retrieval or None,
        approval=approval or None,
        card=card,
        product=product,
        original=original or None,
    )


def message_class(mti: str) -> str:
    """The first three digits of a message type; the two kinds of reversals are one.

    >>> message_class("0420"), message_class("0200")
    ('040', '020')
    """
    return "040" if mti[:3] == "042" else mti[:3]


def _trailer(line: bytes) -> dict[str, int]:
    return dict(zip(TOTALS, map(int, _fields("T", _TRAILER, line)), strict=True))


def _fields(tag: str, forms: Mapping[str, re.Pattern[str]], line: bytes) -> Sequence[str]:
    """Take a line apart, and hold each field to its form; what is optional may be empty."""
    if len(line) > LINE_CHARACTERS_MAX:
        raise Malformed(f"longer than {LINE_CHARACTERS_MAX} characters")
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("not ASCII") from None
    first, *fields = _unquoted(text) if '"' in text else text.split(",")
    if first != tag or len(fields) != len(forms):
        raise Malformed(f"not a line {tag} of {len(forms)} fields")
    for (name, form), field in zip(forms.items(), fields, strict=True):
        if form.fullmatch(field) is None:
            raise Malformed(f"{name} is ill-formed" if field else f"{name} is missing")
    return fields


def _unquoted(text: str) -> list[str]:
    """Read a line that has quotes: they stand where they must, and nowhere else."""
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error:
        raise Malformed("not CSV") from None
    again = io.StringIO()
    csv.writer(again, lineterminator="").writerow(fields)
    if again.getvalue() != text:
        raise Malformed("not written as the format has it")
    return fields or [""]


def _date(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Malformed(f"{name} is no date") from None


def _instant(text: str, name: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Malformed(f"{name} is no date") from None
