"""Bank statements: what an account stood at day by day, and what was booked on it.

A file is believed where it agrees with itself: each statement's opening balance and its booked entries come to its
closing balance, and where an account has several statements in a file, each begins with what the one before ended with.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ledger.printing import euros
from ledger.reconciliation.bank.iban import is_iban
from ledger.reconciliation.values import BankBalance, BankEntry
from ledger.store import LedgerError
from ledger.values import Cents

STATEMENT_BYTES_MAX = 64 * 1024 * 1024
ENTRIES_MAX = 100_000
STATEMENTS_MAX = 1_000
PURPOSE_CHARACTERS_MAX = 500
NAME_CHARACTERS_MAX = 140
REFERENCE_CHARACTERS_MAX = 35
"""ISO 20022's Max35Text: what a reference or an end-to-end identification may be."""
CURRENCY = "EUR"

_SNIFFED_BYTES = 4_096
_MT940 = re.compile(rb"^(\xef\xbb\xbf|\{.*\{4:\s*)?:20:", re.MULTILINE)
"""Field 20 at the begin of a line, or behind SWIFT's own headers."""
_CARD = re.compile(r"(?<![0-9])(?:[0-9][ -]?){12,18}[0-9](?![0-9])")


class StatementInvalid(LedgerError):
    """A statement can't be read: the message names the file, the place in it, and what is wrong there."""


class Statement(Struct, frozen=True):
    """All of a file. `account` is its IBAN; of several, they stand in the order of the file, joined by commas.

    `balances` has a line for each account and each day that something was booked on, and each day on which a
    statement closes; `entries` are what was booked, numbered from 1 in the order of the file. `format` is the message's
    name: `camt.053.001.08`, `mt940`.
    """

    format: str
    account: str
    balances: tuple[BankBalance, ...]
    entries: tuple[BankEntry, ...]

    @property
    def day(self) -> date:
        """The last day that it closes."""
        return max(one.day for one in self.balances)


class Page(Struct, frozen=True):
    """One account's statement as a file has it: `opening` at the begin of day `begins`, `closing` at the end of `ends`.

    `place` is where it stands. Its entries bear neither number nor account yet.
    """

    place: str
    account: str
    begins: date
    opening: Cents
    ends: date
    closing: Cents
    entries: tuple[BankEntry, ...]


class Misfit(Exception):
    """What a reader found wrong, and where in the file: to be told as a `StatementInvalid`."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}")


def read_statement(path: Path) -> Statement:
    """Read a bank statement: camt.053 or MT940, as its first bytes tell. Raises `StatementInvalid`."""
    from ledger.reconciliation.bank import camt053

    try:
        if path.stat().st_size > STATEMENT_BYTES_MAX:
            raise StatementInvalid(f"{path}: larger than {STATEMENT_BYTES_MAX:,} bytes")
        with path.open("rb") as file:
            begin = file.read(_SNIFFED_BYTES)
            file.seek(0)
            if camt053.begins_so(begin):
                return camt053.read(file)
            if _MT940.search(begin):
                from ledger.reconciliation.bank import mt940

                return mt940.read(file)
    except OSError as failed:
        raise StatementInvalid(f"{path}: {failed.strerror}") from None
    except Misfit as wrong:
        raise StatementInvalid(f"{path}: {wrong}") from None
    raise StatementInvalid(f"{path}: neither a camt.053 message nor an MT940")


def assembled(form: str, pages: Sequence[Page]) -> Statement:
    """Put a file's statements together: check them, number the entries, tell each day's balance. Raises `Misfit`."""
    if not pages:
        raise Misfit("the file", "holds no statement")
    of: defaultdict[str, list[Page]] = defaultdict(list)
    for page in pages:
        _require_agreement(page)
        of[page.account].append(page)
    for several in of.values():
        for one, other in pairwise(several):
            if other.opening != one.closing or other.ends < one.ends:
                raise Misfit(other.place, f"doesn't go on from {one.place}, which closes with {euros(one.closing)}")
    entries = [replace(one, account=page.account) for page in pages for one in page.entries]
    if len(entries) > ENTRIES_MAX:
        raise Misfit("the file", f"more than {ENTRIES_MAX:,} entries")
    return Statement(
        format=form,
        account=",".join(of),
        balances=tuple(one for several in of.values() for one in _by_day(several)),
        entries=tuple(replace(one, entry=number) for number, one in enumerate(entries, 1)),
    )


def account_of(place: str, text: str) -> str:
    """Take an account's IBAN, with its check digits. Raises `Misfit`."""
    if not is_iban(text):
        raise Misfit(place, "no IBAN, or its check digits are wrong")
    return text


def reference_of(place: str, text: str | None) -> str | None:
    """Take a reference; what only says that there is none is None. Raises `Misfit`."""
    cleaned = " ".join((text or "").split())
    if len(cleaned) > REFERENCE_CHARACTERS_MAX:
        raise Misfit(place, f"a reference of more than {REFERENCE_CHARACTERS_MAX} characters")
    return None if cleaned in ("", "NOTPROVIDED", "NONREF") else cleaned


def purpose_of(texts: Iterable[str | None]) -> str | None:
    """Join what a payment says that it is for, cut to length. What may be a card's number is masked."""
    joined = " ".join(" ".join(text.split()) for text in texts if text and text.strip())
    return _CARD.sub(_masked, joined)[:PURPOSE_CHARACTERS_MAX] or None


def counterparty_of(iban: str | None, name: str | None) -> str | None:
    """Name the other side: its IBAN and a space, where that is known, then its name."""
    known = (iban or "", " ".join((name or "").split())[:NAME_CHARACTERS_MAX])
    return " ".join(one for one in known if one) or None


def _masked(found: re.Match[str]) -> str:
    """A run of digits as it is, but for a card's number: it satisfies the check digit that all of them have."""
    digits = [int(one) for one in found[0] if one.isdigit()]
    doubled = [sum(divmod(2 * one, 10)) for one in digits[-2::-2]]
    if (sum(digits[-1::-2]) + sum(doubled)) % 10:
        return found[0]
    text = "".join(map(str, digits))
    return f"{text[:6]}{'*' * (len(text) - 10)}{text[-4:]}"


def _require_agreement(page: Page) -> None:
    moved = sum(one.cents for one in page.entries)
    if page.opening + moved != page.closing:
        raise Misfit(
            page.place,
            f"opens with {euros(page.opening)}, its entries come to {euros(Cents(moved))},"
            f" but it closes with {euros(page.closing)}",
        )
    for number, one in enumerate(page.entries, 1):
        if not page.begins <= one.booked <= page.ends:
            raise Misfit(
                page.place, f"a booked entry ({number}) is of {one.booked}: not of {page.begins} to {page.ends}"
            )


def _by_day(pages: Sequence[Page]) -> list[BankBalance]:
    """What an account stood at on each day that something was booked on, or that a statement closes."""
    moved: defaultdict[date, int] = defaultdict(int)
    for page in pages:
        moved[page.ends] += 0
        for one in page.entries:
            moved[one.booked] += one.cents
    balances = []
    standing = pages[0].opening
    for day in sorted(moved):
        after = Cents(standing + moved[day])
        balances.append(BankBalance(pages[0].account, day, standing, after))
        standing = after
    return balances
