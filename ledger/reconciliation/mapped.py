"""Reads a clearing file by an acquirer's mapping: csv, or lines of fixed places."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from enum import Enum, auto

from ledger.reconciliation import fields
from ledger.reconciliation.clearing import CREDITS
from ledger.reconciliation.fields import CENTS_MAX, PAYMENTS_MAX, Cells, Reader
from ledger.reconciliation.files import Bad, FileRefused, Item, Lines, Malformed, Stated, Sums
from ledger.reconciliation.mapping import Layout, Outline, Sign, field_of
from ledger.reconciliation.values import ClearingLine
from ledger.values import Cents

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_COPIED = ("terminal", "trace", "transmitted", "retrieval", "approval", "product", "original")
"""Fields that a line has as they are written, or not at all."""


class _Part(Enum):
    """What a line behind the header is."""

    DETAIL = auto()
    IGNORED = auto()
    TRAILER = auto()


def read(lines: Lines, layout: Layout, acquirer: str, name: str) -> Iterator[Item]:
    """Read an acquirer's file of this name. Raises `FileRefused`."""
    numbered = _written(lines)
    outlines = _Outlines(layout, acquirer)
    day = _day_in(name, layout)
    if layout.header is not None:
        day = outlines.read("header", layout.header, *_next(numbered, "header")) or day
    titles = _titles(layout, *_next(numbered, "titles")) if layout.titles else None
    detail = _Details(layout, acquirer, day, titles)
    part_of = _parts(layout)
    ended = layout.trailer is None
    for number, line, last in numbered:
        try:
            cells = _cells(line, layout)
            part = part_of(cells, last)
        except Malformed as wrong:
            yield Bad(number, str(wrong))
            continue
        if part is _Part.DETAIL:
            yield detail.read(number, cells)
        elif part is _Part.TRAILER and layout.trailer is not None:
            outlines.read("trailer", layout.trailer, number, line)
            ended = True
            if not last:
                raise FileRefused(f"line {number}: its trailer isn't its last line")
    if not ended:
        raise FileRefused(f"line {lines.number}: the file is cut short: it has no trailer")
    yield Stated(day or detail.latest, outlines.totals, lines=outlines.lines)


class _Outlines:
    """What the header and the trailer say."""

    def __init__(self, layout: Layout, acquirer: str) -> None:
        self.totals: dict[str, int] = {}
        self.lines: dict[str, int] = {}
        self._layout = layout
        self._acquirer = acquirer
        self._amount = fields.amounts(layout.amounts)

    def read(self, which: str, outline: Outline, number: int, line: bytes) -> date | None:
        """Read one. Returns the day, if it names one."""
        try:
            return self._read(outline, number, _cells(line, self._layout))
        except (Malformed, FileRefused) as wrong:
            raise FileRefused(f"line {number}: its {which}: {wrong}") from None

    def _read(self, outline: Outline, number: int, cells: Cells) -> date | None:
        if self._layout.lines is not None:
            type_ = Reader("type", field_of(self._layout.lines.type))
            if type_(cells) != outline.type:
                raise Malformed("another type of line")
        readers = fields.readers(outline.named())
        for name in (name for name in Sums.NAMES if name in readers):
            text = readers[name](cells)
            self.totals[name] = fields.number(name, text) if name in Sums.COUNTS else self._amount(name, text)
            self.lines[name] = number
        if "acquirer" in readers and readers["acquirer"](cells) != self._acquirer:
            raise Malformed(f"the file isn't acquirer {self._acquirer}'s")
        if "currency" in readers:
            fields.require_euros(readers["currency"](cells))
        return readers["day"].date(cells) if "day" in readers else None


class _Details:
    """Reads the lines that ask for money. `latest` is the newest business day on one."""

    def __init__(self, layout: Layout, acquirer: str, day: date | None, titles: Mapping[str, int] | None) -> None:
        self.latest: date | None = None
        self._acquirer = acquirer
        self._day = day
        self._columns = layout.columns if titles is None else len(titles)
        self._readers = fields.readers(layout.fields.named(), titles)
        self._kind_is_fixed = layout.fields.named()["kind"].constant is not None
        self._copied = [(name, self._readers[name]) for name in _COPIED if name in self._readers]
        self._amount = fields.amounts(layout.amounts)
        self._sign = layout.amounts.sign
        self._side = (
            fields.readers({"sign": field_of(self._sign.at)}, titles)["sign"] if isinstance(self._sign, Sign) else None
        )

    def read(self, number: int, cells: Cells) -> ClearingLine | Bad:
        """Read a line. Raises `FileRefused` for another currency."""
        cents, payments = None, 1
        try:
            self._require_columns(cells)
            kind = self._readers["kind"](cells)
            cents = self._cents(kind, cells)
            payments = self._payments(cells)
            return self._line(number, cells, kind, cents, payments)
        except Malformed as wrong:
            return Bad(number, str(wrong), cents, payments)
        except FileRefused as wrong:
            raise FileRefused(f"line {number}: {wrong}") from None

    def _require_columns(self, cells: Cells) -> None:
        if self._columns is not None and len(cells) != self._columns:
            raise Malformed(f"it has {len(cells)} columns, not {self._columns}")

    def _line(self, number: int, cells: Cells, kind: str, cents: Cents, payments: int) -> ClearingLine:
        readers = self._readers
        if "currency" in readers:
            fields.require_euros(readers["currency"](cells))
        merchant = fields.text("merchant", readers["merchant"](cells))
        if merchant is None:
            raise Malformed("merchant is missing")
        day = readers["day"].date(cells) if self._day is None else self._day
        line = ClearingLine(
            line=number,
            acquirer=self._acquirer,
            day=day,
            kind=kind,
            merchant=merchant,
            cents=cents,
            payments=payments,
            local=self._local(cells),
            class_=fields.class_of(readers["mti"](cells)) if "mti" in readers else None,
            card=fields.card(readers["card"](cells)) if "card" in readers else None,
            **{name: fields.text(name, reader(cells)) for name, reader in self._copied},
        )
        self.latest = day if self.latest is None else max(self.latest, day)
        return line

    def _cents(self, kind: str, cells: Cells) -> Cents:
        cents = self._amount("cents", self._readers["cents"](cells))
        if not 0 < abs(cents) <= CENTS_MAX:
            raise Malformed(f"cents is 0, or above {CENTS_MAX:,}")
        if self._sign == "number":
            signed = cents
        elif cents < 0:
            raise Malformed("cents has a minus, and the mapping's `sign` isn't `number`")
        else:
            signed = Cents(-cents) if self._gives_back(kind, cells) else cents
        if not self._kind_is_fixed and (signed < 0) != (kind in CREDITS):
            raise Malformed("its kind and its sign go two ways")
        return signed

    def _gives_back(self, kind: str, cells: Cells) -> bool:
        if self._side is None or not isinstance(self._sign, Sign):
            return kind in CREDITS
        side = self._side(cells)
        if side not in self._sign.debits and side not in self._sign.credits:
            raise Malformed("sign is none of the texts that the mapping knows")
        return side in self._sign.credits

    def _payments(self, cells: Cells) -> int:
        if "payments" not in self._readers:
            return 1
        payments = fields.number("payments", self._readers["payments"](cells))
        if not 0 < payments <= PAYMENTS_MAX:
            raise Malformed(f"payments is 0, or above {PAYMENTS_MAX:,}")
        return payments

    def _local(self, cells: Cells) -> datetime | None:
        readers = self._readers
        if "local" in readers:
            return readers["local"].instant(cells) if readers["local"](cells) else None
        if "date" in readers and readers["date"](cells) and readers["time"](cells):
            return datetime.combine(readers["date"].date(cells), readers["time"].instant(cells).time())
        return None


def _written(lines: Lines) -> Iterator[tuple[int, bytes, bool]]:
    """The lines that aren't blank, each with whether it is the last."""
    ahead: tuple[int, bytes] | None = None
    for number, line in lines:
        text = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if text.strip():
            if ahead is not None:
                yield *ahead, False
            ahead = number, text
    if ahead is not None:
        yield *ahead, True


def _next(numbered: Iterator[tuple[int, bytes, bool]], what: str) -> tuple[int, bytes]:
    number, line, _ = next(numbered, (0, b"", True))
    if not number:
        raise FileRefused(f"the file is cut short: it has no {what}")
    return number, line


def _cells(line: bytes, layout: Layout) -> Cells:
    try:
        text = line.decode(layout.encoding)
    except UnicodeDecodeError:
        raise Malformed(f"it isn't {layout.encoding}") from None
    if layout.layout == "fixed":
        return text
    if '"' not in text:
        return text.split(layout.delimiter)
    try:
        return next(csv.reader([text], delimiter=layout.delimiter, strict=True), [])
    except csv.Error:
        raise Malformed("it isn't csv: a quote opens and doesn't close, or stands where none can") from None


def _titles(layout: Layout, number: int, line: bytes) -> Mapping[str, int]:
    try:
        titles = [title.strip() for title in _cells(line, layout)]
    except Malformed as wrong:
        raise FileRefused(f"line {number}: its titles: {wrong}") from None
    if len(set(titles)) < len(titles):
        raise FileRefused(f"line {number}: two columns have the same title")
    return {title: column for column, title in enumerate(titles, 1)}


def _parts(layout: Layout) -> Callable[[Cells, bool], _Part]:
    """Make the function that tells what a line is, of its cells and whether it is the last."""
    if layout.lines is None:
        by_place = {True: _Part.DETAIL if layout.trailer is None else _Part.TRAILER, False: _Part.DETAIL}
        return lambda _, last: by_place[last]
    type_ = Reader("type", field_of(layout.lines.type))
    by_type = dict.fromkeys(layout.lines.detail, _Part.DETAIL) | dict.fromkeys(layout.lines.ignored, _Part.IGNORED)
    if layout.trailer is not None and layout.trailer.type is not None:
        by_type[layout.trailer.type] = _Part.TRAILER

    def part_of(cells: Cells, last: bool) -> _Part:
        part = by_type.get(type_(cells))
        if part is None:
            raise Malformed("its type is none that the mapping knows")
        return part

    return part_of


def _day_in(name: str, layout: Layout) -> date | None:
    """Read the business day in a file's name, where the mapping says that it stands there."""
    if layout.file_name is None:
        return None
    found = re.search(layout.file_name.pattern, name)
    try:
        return fields.instant("day", found.group(1) if found else "", layout.file_name.form).date()
    except Malformed:
        raise FileRefused("its name doesn't bear the business day as the mapping has it") from None
