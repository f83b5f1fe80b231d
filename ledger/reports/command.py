"""The commands `ledger report day` and `ledger report month`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import MAXYEAR, MINYEAR, date
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ledger.export.output import output
from ledger.printing import print_table
from ledger.progress import bars
from ledger.reconciliation import terms as agreed
from ledger.reports import day as of_day
from ledger.reports import month as of_month
from ledger.reports.figures import Report
from ledger.reports.formats import Format, rich_tables, write
from ledger.reports.part import Part
from ledger.source import Source, address
from ledger.store import LedgerError

STANDARD_OUTPUT = Path("-")

FormatOption = Annotated[Format, Parameter(name="--format")]
Destination = Annotated[Path, Parameter(name="--output", show_default=False)]
TermsFile = Annotated[Path | None, Parameter(name="--terms")]
Compose = Callable[[Report], Sequence[Part]]


class ReportMisused(LedgerError):
    """The period isn't one, or the options of a report contradict each other."""


def day(
    date: str,
    /,
    *,
    source: Source | None = None,
    terms: TermsFile = None,
    form: FormatOption = Format.TABLE,
    destination: Destination = STANDARD_OUTPUT,
) -> None:
    """Report a day: clearing, volumes, refusals, vouchers, what is unspent, breaks and the trial balance.

    Parameters
    ----------
    date
        The day, such as 2026-05-12: an acquirer's business day for clearing, the calendar's for all else.
    source
        Where the ledger is.
    terms
        What was agreed with acquirers and banks: the zone of days, and acquirers' names.
    form
        table; csv and parquet: a row a figure; json, in cents; html: a page with plots, in one file.
    destination
        The file to write, which is there whole or not at all; without it, standard output.
    """
    _report(_day(date), source, terms, form, destination, of_day.report, of_day.parts)


def month(
    month: str,
    /,
    *,
    source: Source | None = None,
    terms: TermsFile = None,
    form: FormatOption = Format.TABLE,
    destination: Destination = STANDARD_OUTPUT,
) -> None:
    """Report a month: a line a day, and all that a day's report has.

    Parameters
    ----------
    month
        The month, such as 2026-05.
    source
        Where the ledger is.
    terms
        What was agreed with acquirers and banks: the zone of days, and acquirers' names.
    form
        table; csv and parquet: a row a figure; json, in cents; html: a page with plots, in one file.
    destination
        The file to write, which is there whole or not at all; without it, standard output.
    """
    _report(_month(month), source, terms, form, destination, of_month.report, of_month.parts)


def _report(
    first: date,
    source: Source | None,
    terms: Path | None,
    form: Format,
    destination: Path,
    gather: Callable[..., Awaitable[Report]],
    compose: Compose,
) -> None:
    if form is Format.PARQUET and destination == STANDARD_OUTPUT:
        raise ReportMisused("a Parquet file doesn't go to standard output: name a file by --output")
    known = None if terms is None else agreed.read(terms)

    async def gathered(url: str) -> Report:
        with bars() as progress:
            return await gather(url, first, known, progress=progress)

    with address(source) as url:
        found = asyncio.run(gathered(url))
    if form is Format.TABLE and destination == STANDARD_OUTPUT:
        for one in rich_tables(found, compose(found)):
            print_table(one)
        return
    with output(None if destination == STANDARD_OUTPUT else destination) as sink:
        write(found, compose(found), form, sink)


def _day(text: str) -> date:
    if (found := _date(text)) is None:
        raise ReportMisused(f"{text!r} is no day: write it as 2026-05-12")
    return found


def _month(text: str) -> date:
    if (found := _date(f"{text}-01")) is None:
        raise ReportMisused(f"{text!r} is no month: write it as 2026-05")
    return found


def _date(text: str) -> date | None:
    """Read a date as it is written in one way only, of a year that has years around it."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if str(found) == text and MINYEAR < found.year < MAXYEAR else None
