"""A clearing file as any format reads it: lines in, what they say out, held to the file's own control totals.

A format yields, in the file's order, a `ClearingLine` or a `Bad` for every line that asks for money, and last one
`Stated`. Whatever makes the file as a whole untrustworthy raises `FileRefused`. No message and no reason shows anything
of a line's content: it may hold a card's number.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import count
from typing import BinaryIO

from msgspec import Struct

from ledger.reconciliation.values import ClearingLine
from ledger.store import LedgerError
from ledger.values import Cents

LINES_MAX = 1_000_000
"""Lines of a file that ask for money."""
LINE_BYTES_MAX = 4_000
BAD_LINES_MAX = 1_000
"""More that can't be read, and the file isn't of this format."""


class FileRefused(LedgerError):
    """The file isn't what it should be, and nothing of it was taken in: the message names the place."""


class Malformed(Exception):
    """A line, or a field of it, isn't as its format says: in words that show nothing of it."""


class Bad(Struct, frozen=True, gc=False):
    """A line that isn't as its format says. `cents` is what it asks for, where that much could be read."""

    line: int
    reason: str
    cents: Cents | None = None
    payments: int = 1


class Stated(Struct, frozen=True):
    """What a file says of itself. `name` names it for good, where its format has such a name.

    `day` is the business day that it closes; None: its last line's. `totals` are control totals by `Sums`' names; none
    where it states none. `lines` are those on which they stand.
    """

    day: date | None
    totals: Mapping[str, int]
    name: str | None = None
    lines: Mapping[str, int] = {}


Item = ClearingLine | Bad | Stated


class Lines:
    """The numbered lines of a file, without their ends (LF, or CR LF where `crlf`), digested as they are read.

    Iterate once. `number` is that of the line read last. Raises `FileRefused` where a line is too long or, if `ended`,
    the last one has no end.
    """

    def __init__(self, file: BinaryIO, *, crlf: bool = False, ended: bool = False) -> None:
        self._file = file
        self._crlf = crlf
        self._ended = ended
        self._digest = hashlib.sha256()
        self.number = 1

    @property
    def sha256(self) -> bytes:
        """The digest of all that was read so far: 32 bytes."""
        return self._digest.digest()

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for number in count(1):
            line = self._file.readline(LINE_BYTES_MAX + 2)
            if not line:
                return
            self.number = number
            self._digest.update(line)
            text = line.removesuffix(b"\n")
            if len(text) == len(line) and self._ended:
                raise FileRefused(f"line {number}: the file is cut short here, or the line is too long")
            if self._crlf:
                text = text.removesuffix(b"\r")
            if len(text) > LINE_BYTES_MAX:
                raise FileRefused(f"line {number}: longer than {LINE_BYTES_MAX} bytes")
            yield number, text


class Sums:
    """What the lines of a file come to. Debits are what the acquirer is to be paid, credits what it gives back."""

    NAMES = ("lines", "payments", "debits", "debits_cents", "credits", "credits_cents", "gross", "net")
    """Control totals that a file may state: `gross` is debits and credits together, `net` debits less credits."""
    COUNTS = ("lines", "payments", "debits", "credits")

    def __init__(self) -> None:
        self.lines = self.payments = self.debits = self.debits_cents = self.credits = self.credits_cents = 0

    def add(self, cents: Cents | None, payments: int) -> None:
        """Count a line; one whose amount couldn't be read asks for nothing that is known."""
        self.lines += 1
        self.payments += payments
        if cents is None:
            return
        if cents > 0:
            self.debits += 1
            self.debits_cents += cents
        else:
            self.credits += 1
            self.credits_cents -= cents

    @property
    def gross(self) -> int:
        """Debits and credits together, in cents."""
        return self.debits_cents + self.credits_cents

    @property
    def net(self) -> int:
        """Debits less credits, in cents."""
        return self.debits_cents - self.credits_cents


def checked(items: Iterator[Item]) -> Iterator[Item]:
    """Pass a format's items on, and hold the file to its limits and its control totals. Raises `FileRefused`.

    The totals count lines that can't be read, and what they ask for where that much can be: so none may be so bad that
    a cent of the file is unaccounted for.
    """
    sums = Sums()
    bad: list[Bad] = []
    for item in items:
        match item:
            case ClearingLine():
                sums.add(item.cents, item.payments)
            case Bad():
                bad.append(item)
                sums.add(item.cents, item.payments)
            case Stated():
                _require_agreement(item, sums, bad)
        if sums.lines > LINES_MAX:
            raise FileRefused(f"it has more than {LINES_MAX:,} lines: ask the acquirer for more than one file")
        if len(bad) > BAD_LINES_MAX:
            raise FileRefused(f"{_first(bad)}; so are more than {BAD_LINES_MAX:,} lines: it is of another format")
        yield item


def _require_agreement(stated: Stated, sums: Sums, bad: list[Bad]) -> None:
    if bad and len(bad) == sums.lines:
        raise FileRefused(f"{_first(bad)}; no line of it can be read")
    found = {name: getattr(sums, name) for name in Sums.NAMES if name in stated.totals}
    wrong = [name for name, comes_to in found.items() if stated.totals[name] != comes_to]
    if wrong:
        hint = f" ({len(bad):,} of them can't be read: {_first(bad)})" if bad else ""
        said = "; ".join(f"{name} {stated.totals[name]}, not {found[name]}" for name in wrong)
        place = f"line {stated.lines[wrong[0]]}: its" if wrong[0] in stated.lines else "its"
        raise FileRefused(f"{place} control totals aren't those of the file's lines{hint}: it says {said}")


def _first(bad: list[Bad]) -> str:
    return f"line {bad[0].line}: {bad[0].reason}"
