"""The French file of accounting entries, "fichier des écritures comptables" (FEC).

Livre des procédures fiscales, article A47 A-1 (VI to X), commented in BOI-CF-IOR-60-40-20: one file a fiscal year, of
18 fields in this order, the fields' names first; what was carried over comes first, then every entry in the order of
its validation, numbered without a gap; dates as YYYYMMDD, a comma before the cents and no other separator, in one of
the article's character sets, ISO 8859-15. Its name is made of the SIREN and the day on which the fiscal year closes.
"""

from datetime import date, timedelta
from io import BufferedIOBase

from ledger.export.books import Books, ExportError, Posted
from ledger.export.chart import Chart, Journal, Place
from ledger.values import Account, Cents

FIELDS = (
    "JournalCode",
    "JournalLib",
    "EcritureNum",
    "EcritureDate",
    "CompteNum",
    "CompteLib",
    "CompAuxNum",
    "CompAuxLib",
    "PieceRef",
    "PieceDate",
    "EcritureLib",
    "Debit",
    "Credit",
    "EcritureLet",
    "DateLet",
    "ValidDate",
    "Montantdevise",
    "Idevise",
)
ENCODING = "iso8859-15"
_SIREN_DIGITS = 9


class SirenInvalid(ExportError):
    """A SIREN has nine digits, the last of which checks the others."""


def file_name(siren: str, closing: date) -> str:
    """Name the file of a fiscal year by the day on which it closes (article A47 A-1, X). Raises `SirenInvalid`.

    >>> file_name("732 829 320", date(2026, 12, 31))
    '732829320FEC20261231.txt'
    """
    digits = siren.replace(" ", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) == _SIREN_DIGITS and _luhn(digits)):
        raise SirenInvalid(f"--siren {siren!r} is none: it has nine digits, the last of which checks the others")
    return f"{digits}FEC{closing:%Y%m%d}.txt"


def year_begin(closing: date) -> date:
    """Find the first of the twelve months that close on a day.

    >>> year_begin(date(2026, 12, 31)), year_begin(date(2024, 2, 29))
    (datetime.date(2026, 1, 1), datetime.date(2023, 3, 1))
    """
    after = closing + timedelta(days=1)
    return date(after.year - 1, after.month, 1) + timedelta(days=after.day - 1)


async def write(books: Books, sink: BufferedIOBase, *, chart: Chart) -> None:
    """Write the file. Raises `AccountUnplaced`."""
    sink.write(_line(*FIELDS))
    number = 0
    if books.begins is not None and (carried := chart.opening(books.opening)):
        number += 1
        entry = _Entry(chart, chart.opening_journal, number, books.begins, f"AN{books.begins:%Y%m%d}", "À nouveaux")
        sink.write(b"".join(entry.line(account, Cents(-cents)) for account, cents in carried))
    async for posted in books.posted:
        number += 1
        sink.write(_entry(chart, number, books.day(posted), posted))


def _entry(chart: Chart, number: int, day: date, posted: Posted) -> bytes:
    entry = _Entry(chart, chart.journal, number, day, posted.name, f"{posted.kind} {posted.reason}")
    return b"".join(
        entry.line(moved.debit, moved.amount) + entry.line(moved.credit, Cents(-moved.amount))
        for moved in posted.transfers
    )


class _Entry:
    """One entry: what its lines have in common. A record can't change, so it is valid from its own day on."""

    def __init__(self, chart: Chart, journal: Journal, number: int, day: date, piece: str, label: str) -> None:
        self._chart = chart
        self._head = (journal.code, journal.label, str(number), f"{day:%Y%m%d}")
        self._piece = (piece, f"{day:%Y%m%d}", label)
        self._tail = ("", "", f"{day:%Y%m%d}", "", "")

    def line(self, account: Account, debit: Cents) -> bytes:
        """Write the debit of an account; below 0, its credit."""
        place: Place = self._chart.place(account)
        placed = (place.number, place.label, place.auxiliary, place.auxiliary_label)
        return _line(*self._head, *placed, *self._piece, _euros(max(debit, 0)), _euros(max(-debit, 0)), *self._tail)


def _line(*fields: str) -> bytes:
    """Join fields. What the character set lacks, an account's name may have: it is written as its number."""
    return ("\t".join(" ".join(field.split()) for field in fields) + "\r\n").encode(ENCODING, "backslashreplace")


def _euros(cents: int) -> str:
    return f"{cents // 100},{cents % 100:02}"


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0
