"""The report of one day: which tables and plots it has, in their order."""

from collections.abc import Sequence
from datetime import date

from ledger.reading import Progress
from ledger.reconciliation.terms import Terms
from ledger.reports import tables, tables_of_run
from ledger.reports.figures import Report, Run
from ledger.reports.gathering import gather
from ledger.reports.part import Part, Plot


async def report(url: str, day: date, terms: Terms | None = None, *, progress: Progress | None = None) -> Report:
    """Report a day. Raises a `LedgerError`."""
    return await gather(url, day, day, terms, progress=progress)


def parts(found: Report) -> Sequence[Part]:
    """Put a day's report together."""
    return [
        Part(tables.clearing(found)),
        Part(tables.volume(found), Plot.VOLUME_BY_HOUR, folded=True),
        Part(tables.refusals(found), Plot.REFUSALS),
        Part(tables.vouchers(found)),
        Part(tables.unspent(found), Plot.UNSPENT),
        *(_reconciled(found, found.run) if found.run else ()),
        Part(tables.trial_balance(found)),
    ]


def _reconciled(found: Report, run: Run) -> Sequence[Part]:
    return [
        Part(tables_of_run.matches(run)),
        Part(tables_of_run.acquirers(run)),
        Part(tables.ageing(found), Plot.AGEING),
        Part(tables_of_run.breaks(run), folded=True),
    ]
