"""Plain-text accounting: what journals of all its programs have in common. Each writes it in a style of its own.

An account is declared where it is used first, each record is one transaction, what was before the period is one
transaction at its beginning, and assertions at the end say what every account must stand at. Debits count up, as these
programs have it: a balance is the ledger's (credits less debits) with its sign turned.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from io import BufferedIOBase
from typing import Protocol

from ledger.export.books import Books, Posted
from ledger.export.chart import Chart, Place
from ledger.printing import euros
from ledger.values import Account, Cents

Postings = Sequence[tuple[Account, Cents]]
"""Accounts and what is debited to each; below 0, credited. They add up to 0."""


class Style(Protocol):
    """How a program wants it written. Each method returns whole lines."""

    header: str

    def declaration(self, day: date, account: Account, place: Place) -> str:
        """Declare an account that is used from this day on."""

    def opening(self, day: date, postings: Postings) -> str:
        """Bring in what was before the period."""

    def transaction(self, day: date, posted: Posted, postings: Postings) -> str:
        """Write a record down."""

    def assertions(self, day: date, balances: Mapping[Account, Cents]) -> str:
        """Say what accounts must stand at when a day begins."""


async def write(books: Books, sink: BufferedIOBase, *, chart: Chart, style: Style) -> None:
    """Write a journal. Memory holds the accounts and their balances. Raises `AccountUnplaced`."""
    balances: dict[Account, Cents] = {}
    day = books.begins

    def declared(day: date, postings: Postings) -> str:
        """Count postings, and declare the accounts that are new."""
        new = [account for account in dict.fromkeys(account for account, _ in postings) if account not in balances]
        for account, cents in postings:
            balances[account] = Cents(balances.get(account, 0) + cents)
        lines = [style.declaration(day, account, chart.place(account)) for account in new]
        return "".join(["\n", *lines]) if lines else ""

    sink.write(style.header.encode())
    if day is not None and (carried := chart.opening(books.opening)):
        postings: Postings = [(account, Cents(-cents)) for account, cents in carried]
        sink.write((declared(day, postings) + style.opening(day, postings)).encode())
    async for posted in books.posted:
        day = books.day(posted)
        postings = _postings(posted)
        sink.write((declared(day, postings) + style.transaction(day, posted, postings)).encode())
    if day is not None and balances:
        sink.write(style.assertions(day + timedelta(days=1), dict(sorted(balances.items()))).encode())


def amount(cents: Cents) -> str:
    """Write an amount of plain-text accounting.

    >>> amount(Cents(-123456))
    '-1234.56 EUR'
    """
    return f"{euros(cents).replace(',', '')} EUR"


def columns(rows: Sequence[tuple[str, str]], indent: str) -> str:
    """Write names and amounts, a line each, the amounts right-justified below each other.

    >>> print(columns([("holder", "12.50 EUR"), ("acquirer", "-12.50 EUR")], "  "), end="")
      holder     12.50 EUR
      acquirer  -12.50 EUR
    """
    width = max(len(name) for name, _ in rows)
    digits = max(len(amount) for _, amount in rows)
    return "".join(f"{indent}{name:<{width}}  {amount:>{digits}}\n" for name, amount in rows)


def _postings(posted: Posted) -> Postings:
    """Both sides of every transfer, as they stand in the ledger."""
    return [
        side
        for moved in posted.transfers
        for side in ((moved.debit, moved.amount), (moved.credit, Cents(-moved.amount)))
    ]
