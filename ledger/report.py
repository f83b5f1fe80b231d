"""The commands `ledger report …`: one for each of finance's reports, over the period that `--from` and `--to` name."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from cyclopts import App, Parameter
from rich.table import Column, Table

from ledger.printing import AsJson, euros, instant, print_json, print_table, table
from ledger.shortfalls import Period, Shortfalls, Totals
from ledger.shortfalls import shortfalls as read_shortfalls
from ledger.source import Source, address
from ledger.store import LedgerError
from ledger.values import Cents

report = App(name="report", help="Report to finance what the books say of a period.")

for name, where, what in (
    ("day", "command:day", "Report a day: payments, refusals, balances, breaks."),
    ("month", "command:month", "Report a month, and each of its days."),
    ("funds", "command_funds:funds", "Hold the bank's balance against what it is for: vouchers, pool, debts."),
    ("forecast", "command_funds:forecast", "Say what will expire, and when."),
    ("trial-balance", "command_funds:trial_balance", "Add up every class of accounts."),
):
    report.command(f"ledger.reports.{where}", name=name, help=what)

Begin = Annotated[str | None, Parameter(name="--from")]
End = Annotated[str | None, Parameter(name="--to")]


class PeriodInvalid(LedgerError):
    """The options name no instant, or no period."""


@report.command
def shortfalls(
    *,
    source: Source | None = None,
    begin: Begin = None,
    end: End = None,
    acquirer: str | None = None,
    as_json: AsJson = False,
) -> None:
    """Print what acquirers advised and no balance could cover, what was given back of it, and what is outstanding now.

    Parameters
    ----------
    source
        Where the ledger is.
    begin
        Only movements from this instant on, such as 2026-05-12T00:00:00+02:00
    end
        Only movements before this instant.
    acquirer
        Only this acquirer's.
    as_json
        Print them as JSON, in cents.
    """
    period = period_of(begin, end)
    with address(source) as url:
        found = asyncio.run(read_shortfalls(url, period, acquirer))
    if as_json:
        print_json(found)
    else:
        print_table(_movements(found))
        print_table(_by_acquirer(found))


def period_of(begin: str | None, end: str | None, zone: ZoneInfo | None = None) -> Period:
    """Read `--from` and `--to`: instants, or, where a zone is given, dates of it too. Raises `PeriodInvalid`."""
    period = Period(
        None if begin is None else instant_of("--from", begin, zone),
        None if end is None else instant_of("--to", end, zone),
    )
    if period.begin is not None and period.end is not None and period.begin >= period.end:
        raise PeriodInvalid(f"--from {begin} isn't before --to {end}: a period ends after it begins")
    return period


def instant_of(option: str, text: str, zone: ZoneInfo | None = None) -> datetime:
    """Read the instant that an option names, or, where a zone is given, the date. Raises `PeriodInvalid`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise PeriodInvalid(f"{option} {text!r} is no instant: write it as 2026-05-12T00:00:00+02:00") from None
    if at.tzinfo is None and zone is not None:
        return at.replace(tzinfo=zone)
    if at.tzinfo is None:
        raise PeriodInvalid(f"{option} {text} has no zone: write it as {at.isoformat()}+02:00, or with Z for UTC")
    return at


def _movements(found: Shortfalls) -> Table:
    """A line a movement. Its record is named as partition:seq."""
    total = found.total
    shown = table(
        f"Shortfalls: {total.movements:,} movements of exceptions accounts",
        Column("instant", footer="sum", no_wrap=True),
        Column("record", no_wrap=True),
        Column("kind", overflow="fold"),
        Column("holder", overflow="fold"),
        Column("acquirer", overflow="fold"),
        Column("€", justify="right", no_wrap=True, footer=euros(Cents(total.advised - total.given_back))),
    )
    shown.show_footer = True
    for one in found.movements:
        record = f"{one.partition}:{one.seq}"
        shown.add_row(instant(one.at), record, one.kind, one.holder or "", one.acquirer, euros(one.cents))
    return shown


def _by_acquirer(found: Shortfalls) -> Table:
    shown = table("By acquirer", Column("acquirer", footer="total", overflow="fold"))
    shown.show_footer = True
    names = ("movements", "advised, €", "given back, €", "outstanding now, €")
    for name, sum_ in zip(names, _cells(found.total), strict=True):
        shown.add_column(name, justify="right", footer=sum_)
    for acquirer, totals in found.acquirers.items():
        shown.add_row(acquirer, *_cells(totals))
    return shown


def _cells(totals: Totals) -> Sequence[str]:
    cents = (totals.advised, totals.given_back, totals.outstanding)
    return (f"{totals.movements:,}", *map(euros, cents))
