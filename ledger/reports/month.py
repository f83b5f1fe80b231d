"""The report of a month: a line for each day, and then what a day's report has, of all its days."""

import calendar
from collections.abc import Sequence
from datetime import date

from ledger.reading import Progress
from ledger.reconciliation.terms import Terms
from ledger.reports import day, tables
from ledger.reports.figures import Report
from ledger.reports.gathering import gather
from ledger.reports.part import Part, Plot


async def report(url: str, first: date, terms: Terms | None = None, *, progress: Progress | None = None) -> Report:
    """Report the month that begins with a day. Raises a `LedgerError`."""
    return await gather(url, first, last_of(first), terms, progress=progress)


def parts(found: Report) -> Sequence[Part]:
    """Put a month's report together."""
    return [Part(tables.by_day(found), Plot.VOLUME_BY_DAY), *day.parts(found)]


def last_of(first: date) -> date:
    """The last day of a month.

    >>> last_of(date(2028, 2, 1))
    datetime.date(2028, 2, 29)
    """
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])
