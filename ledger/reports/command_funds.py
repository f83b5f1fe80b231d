"""The commands `ledger report funds|forecast|trial-balance`: each as a table for people, JSON and CSV for programs."""

import asyncio
import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Column, Table

from ledger.export.output import output
from ledger.printing import FILE_WIDTH_COLUMNS, AsJson, Flag, euros, print_table, table
from ledger.reconciliation.terms import read as read_terms
from ledger.report import PeriodInvalid, instant_of
from ledger.reports.forecast import Forecast
from ledger.reports.forecast import forecast as read_forecast
from ledger.reports.funds import Funds
from ledger.reports.funds import funds as read_funds
from ledger.reports.trial_balance import TrialBalance, day_end
from ledger.reports.trial_balance import trial_balance as read_trial_balance
from ledger.source import Source, address

AGREES, FINDING = 0, 1

Statement = Funds | Forecast | TrialBalance


class Form(StrEnum):
    """How a statement is written: for people in euros, for programs in cents."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Formatted = Annotated[Form, Parameter(name="--format")]
Destination = Annotated[Path | None, Parameter(name="--output")]


def funds(
    day: date,
    /,
    *,
    terms: Path,
    source: Source | None = None,
    written: Formatted = Form.TABLE,
    destination: Destination = None,
    as_json: AsJson = False,
) -> int:
    """State the money on the voucher account: what the bank says, and what it is for. Exit 1 where they differ.

    Parameters
    ----------
    day
        The day at whose end, such as 2026-05-12
    terms
        The file of terms, which names the account and the zone of days.
    source
        Where the ledger is.
    written
        table, json or csv.
    destination
        The file to write; without it, standard output.
    as_json
        The same as --format json
    """
    agreed = read_terms(terms)
    with address(source) as url:
        found = asyncio.run(read_funds(url, day, agreed))
    _write(found, Form.JSON if as_json else written, destination)
    return AGREES if found.agrees else FINDING


def forecast(
    day: Annotated[date | None, Parameter(show_default=False)] = None,
    /,
    *,
    until: date | None = None,
    history: Flag = False,
    zone: str = "Europe/Paris",
    source: Source | None = None,
    written: Formatted = Form.TABLE,
    destination: Destination = None,
    as_json: AsJson = False,
) -> None:
    """Forecast what expires when: by last day, product and lot, with how many holders have it.

    Parameters
    ----------
    day
        The day at whose end, such as 2026-05-12; without it, now.
    until
        Only what expires on this day or before.
    history
        Also what share of each lot that is over was never spent. It reads every transfer there ever was.
    zone
        Whose days these are.
    source
        Where the ledger is.
    written
        table, json or csv.
    destination
        The file to write; without it, standard output.
    as_json
        The same as --format json
    """
    before = None if day is None else day_end(day, zone_of(zone))
    with address(source) as url:
        found = asyncio.run(read_forecast(url, day, before, until, with_history=history))
    _write(found, Form.JSON if as_json else written, destination)


def trial_balance(
    day: Annotated[date | None, Parameter(show_default=False)] = None,
    /,
    *,
    at: str | None = None,
    zone: str = "Europe/Paris",
    source: Source | None = None,
    written: Formatted = Form.TABLE,
    destination: Destination = None,
    as_json: AsJson = False,
) -> int:
    """Draw up the trial balance: every class of accounts, debits beside credits. Exit 1 where they aren't equal.

    Parameters
    ----------
    day
        The day at whose end, such as 2026-05-12; without it, now.
    at
        Instead of a day, behind the last record made before this instant, such as 2026-05-12T12:00:00+02:00
    zone
        Whose days these are.
    source
        Where the ledger is.
    written
        table, json or csv.
    destination
        The file to write; without it, standard output.
    as_json
        The same as --format json
    """
    before = _moment(day, at, zone_of(zone))
    with address(source) as url:
        found = asyncio.run(read_trial_balance(url, day, before))
    _write(found, Form.JSON if as_json else written, destination)
    return AGREES if found.is_even else FINDING


def zone_of(name: str) -> ZoneInfo:
    """Find a zone by its name. Raises `PeriodInvalid`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PeriodInvalid(f"--zone {name!r} is none: write it as Europe/Paris") from None


def _moment(day: date | None, at: str | None, zone: ZoneInfo) -> datetime | None:
    if day is not None and at is not None:
        raise PeriodInvalid("a day and --at name two moments: leave one out")
    if at is not None:
        return instant_of("--at", at)
    return None if day is None else day_end(day, zone)


def as_json_text(statement: Statement) -> bytes:
    """Write a statement for programs: amounts are integer cents."""
    return msgspec.json.format(msgspec.json.encode(statement), indent=2) + b"\n"


def as_csv(statement: Statement) -> bytes:
    """Write a statement for spreadsheets, behind a line of names: amounts are integer cents (RFC 4180, line feeds)."""
    match statement:
        case Funds():
            rows = _funds_rows(statement)
        case Forecast():
            rows = _forecast_rows(statement)
        case TrialBalance():
            rows = [
                ("account", "debit", "credit"),
                *((one.account, one.debit, one.credit) for one in statement.classes),
            ]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _funds_rows(found: Funds) -> Iterable[Sequence[object]]:
    yield "part", "name", "product", "lot", "cents"
    yield "bank", found.account, "", "", found.bank
    for line in found.lines:
        yield "claim", line.claim, "", "", line.cents
    yield "expected", "", "", "", found.expected
    yield "difference", "", "", "", found.difference
    for one in found.vintages:
        for name in ("spendable", "held", "waiting"):
            yield "vintage", name, one.product, one.lot, getattr(one, name)


def _forecast_rows(found: Forecast) -> Iterable[Sequence[object]]:
    yield "until", "product", "lot", "spendable", "held", "waiting", "holders", "loaded", "unspent"
    for one in found.expiries:
        yield one.until, one.product, one.lot, one.spendable, one.held, one.waiting, one.holders, "", ""
    for past in found.unspent:
        yield "", past.product, past.lot, "", "", "", "", past.loaded, past.expired


def tables(statement: Statement) -> Sequence[Table]:
    """Show a statement to people, in euros."""
    match statement:
        case Funds():
            return _funds_tables(statement)
        case Forecast():
            return _forecast_tables(statement)
        case TrialBalance():
            return (_trial_balance_table(statement),)


def _funds_tables(found: Funds) -> Sequence[Table]:
    shown = _sums(f"The voucher account at the end of {found.day}", "", "€")
    for line in found.lines:
        shown.add_row(line.claim, euros(line.cents))
    shown.add_section()
    shown.add_row("expected on the account", euros(found.expected))
    if found.bank is None or found.difference is None:
        shown.add_row("the bank says", "no statement: import that day's")
    else:
        shown.add_row(f"the bank says ({found.account}, {found.stated})", euros(found.bank))
        shown.add_row("difference", euros(found.difference))
    outstanding = _sums(
        "Outstanding by vintage", "product", "vintage", "spendable, €", "held, €", "expired, €", named=2
    )
    for one in found.vintages:
        outstanding.add_row(one.product, one.lot, *map(euros, (one.spendable, one.held, one.waiting)))
    if not found.difference or not found.unmatched:
        return shown, outstanding
    entries = _sums("Entries that nothing accounts for", "booked", "reference", "from or to", "€", named=3)
    entries.show_footer, entries.columns[-1].footer = True, euros(found.unmatched_cents)
    for entry in found.unmatched:
        named = entry.end_to_end or entry.reference or ""
        entries.add_row(str(entry.booked), named, entry.counterparty or "", euros(entry.cents))
    return shown, outstanding, entries


def _forecast_tables(found: Forecast) -> Sequence[Table]:
    names = ("last day", "product", "vintage", "spendable, €", "held, €", "expired, €", "holders")
    shown = _sums("What expires when" + (f", as of {found.day}" if found.day else ""), *names, named=3)
    for one in found.expiries:
        cents = map(euros, (one.spendable, one.held, one.waiting))
        shown.add_row(str(one.until), one.product, one.lot, *cents, f"{one.holders:,}")
    if not found.unspent:
        return (shown,)
    past = _sums("Never spent of what is over", "product", "vintage", "loaded, €", "expired, €", "%", named=2)
    for lot in found.unspent:
        percent = f"{lot.share // 100}.{lot.share % 100:02}"
        past.add_row(lot.product, lot.lot, euros(lot.loaded), euros(lot.expired), percent)
    return shown, past


def _trial_balance_table(found: TrialBalance) -> Table:
    shown = table(
        "Trial balance" + (f" at the end of {found.day}" if found.day else ""),
        Column("account", footer="sum", overflow="fold"),
        Column("debit, €", justify="right", no_wrap=True, footer=euros(found.debit)),
        Column("credit, €", justify="right", no_wrap=True, footer=euros(found.credit)),
    )
    shown.show_footer = True
    for one in found.classes:
        shown.add_row(one.account, euros(one.debit) if one.debit else "", euros(one.credit) if one.credit else "")
    return shown


def _sums(title: str, *names: str, named: int = 1) -> Table:
    """Begin a table whose first columns are names, and the others amounts."""
    shown = table(title)
    for number, name in enumerate(names):
        shown.add_column(name, justify="left" if number < named else "right", overflow="fold")
    return shown


def encoded(statement: Statement, written: Form) -> bytes:
    """Write a statement in a format, for a file."""
    match written:
        case Form.JSON:
            return as_json_text(statement)
        case Form.CSV:
            return as_csv(statement)
        case Form.TABLE:
            console = Console(width=FILE_WIDTH_COLUMNS, file=io.StringIO(), color_system=None)
            with console.capture() as printed:
                for one in tables(statement):
                    console.print(one)
            return printed.get().encode()


def _write(statement: Statement, written: Form, destination: Path | None) -> None:
    if destination is None and written is Form.TABLE:
        for one in tables(statement):
            print_table(one)
        return
    content = encoded(statement, written)
    with output(destination) as sink:
        sink.write(content)
