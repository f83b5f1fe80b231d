"""The commands `ledger positions` and `ledger payouts`: what acquirers are owed for a day, and the file that pays."""

import asyncio
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.table import Column, Table

from ledger.printing import AsJson, euros, print_json, print_table, table
from ledger.reading import reader
from ledger.reconciliation import terms as agreements
from ledger.reconciliation.bank.payouts import PaymentFile, Payout
from ledger.reconciliation.bank.payouts import payouts as make_payouts
from ledger.reconciliation.bank.positions import Position
from ledger.reconciliation.bank.positions import positions as read_positions
from ledger.reconciliation.terms import Terms
from ledger.schema import RECONCILER_ROLE
from ledger.source import Source, address
from ledger.store import LedgerError
from ledger.values import Cents


class OutputUnusable(LedgerError):
    """The payment file can't be written where it was asked for."""


def positions(
    day: date,
    *,
    terms: Path,
    source: Source | None = None,
    as_json: AsJson = False,
) -> None:
    """Print what each acquirer is owed for a reconciled day, by merchant and product: matched payments, less fees.

    Parameters
    ----------
    day
        The business day, such as 2026-05-12.
    terms
        The file of what is agreed with acquirers.
    source
        Where the ledger is.
    as_json
        Print them as JSON, in cents.
    """
    agreed = agreements.read(terms)
    with address(source) as url:
        found = asyncio.run(_positions(url, day, agreed))
    if as_json:
        print_json(found)
    else:
        print_table(_shown_positions(day, found))


def payouts(
    day: date,
    *,
    terms: Path,
    output: Path,
    source: Source | None = None,
    as_json: AsJson = False,
) -> None:
    """Write the payment file of a reconciled day: what acquirers are owed, as pain.001 for the bank.

    Only what was matched is paid, less fees. What an acquirer owes is carried to the next day. The same again writes
    the same file; where nobody is owed anything, none is written.

    Parameters
    ----------
    day
        The business day, such as 2026-05-12.
    terms
        The file of what is agreed with acquirers.
    output
        The file to write.
    source
        Where the ledger is. With --database, as role `reconciler`.
    as_json
        Print what is paid as JSON, in cents.
    """
    agreed = agreements.read(terms)
    with address(source, RECONCILER_ROLE) as url:
        made = asyncio.run(make_payouts(url, day, agreed))
    if made.content:
        _write(output, made.content)
    if as_json:
        print_json({"day": made.day, "message": made.message, "payouts": made.payouts, "carried": made.carried})
    else:
        print_table(_shown_payouts(made))


async def _positions(url: str, day: date, terms: Terms) -> Sequence[Position]:
    async with reader(url) as connection:
        return await read_positions(connection, day, terms)


def _write(path: Path, content: bytes) -> None:
    """Put the file in its place by renaming: one that is there is whole. It isn't for everybody's eyes."""
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as failed:
        raise OutputUnusable(f"{path} can't be written: {failed.strerror}") from None


def _shown_positions(day: date, found: Sequence[Position]) -> Table:
    shown = table(
        f"Positions of {day}",
        Column("acquirer", footer="sum"),
        Column("merchant", overflow="fold"),
        Column("product"),
        Column("payments", justify="right", footer=f"{sum(one.payments for one in found):,}"),
    )
    for name, cents in (
        ("gross, €", [one.gross for one in found]),
        ("fee, €", [one.fee for one in found]),
        ("net, €", [one.net for one in found]),
    ):
        shown.add_column(name, justify="right", no_wrap=True, footer=euros(Cents(sum(cents))))
    shown.show_footer = True
    for one in found:
        amounts = (euros(one.gross), euros(one.fee), euros(one.net))
        shown.add_row(one.acquirer, one.merchant, one.product or "", f"{one.payments:,}", *amounts)
    return shown


def _shown_payouts(made: PaymentFile) -> Table:
    title = f"Payouts of {made.day}: {made.message}" if made.message else f"Payouts of {made.day}: nothing is owed"
    total = euros(Cents(sum(one.net for one in made.payouts)))
    shown = table(title, Column("acquirer", footer="paid"), Column("name", overflow="fold"))
    for name in ("gross, €", "fee, €"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("net, €", justify="right", no_wrap=True, footer=total)
    shown.show_footer = True
    for one in (*made.payouts, *made.carried):
        shown.add_row(one.acquirer, *_cells(one))
    return shown


def _cells(one: Payout) -> Sequence[str]:
    return (one.end_to_end or "carried to the next day", euros(one.gross), euros(one.fee), euros(one.net))
