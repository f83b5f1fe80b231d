"""The reconciliation of a business day: read, match, explain, publish.

It reads up to heads that it notes at the start, into work tables of its own session, in short statements. Nothing is
written before it is published, so a reconciliation that is killed is run again as if it had never begun.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import asyncpg

from ledger.reading import Progress, heads, reader
from ledger.reconciliation import causes, matching, movements, runs
from ledger.reconciliation.bank.matching import Considered, bank_matches
from ledger.reconciliation.movements import Wanted
from ledger.reconciliation.register import writer
from ledger.reconciliation.runs import DayPassed, File, Head, Inputs, Listed, NeverReconciled, Run
from ledger.reconciliation.sessions import SETTINGS, WORK_TABLES, Reading, match_exactly
from ledger.reconciliation.terms import Terms
from ledger.reconciliation.values import Cause
from ledger.values import Partition, Seq


async def reconcile(url: str, day: date, terms: Terms, progress: Progress | None = None) -> Run:
    """Reconcile a business day with all that has come in for it, and publish the run.

    Where nothing is new, the run that there is is returned. `url` is of role reconciler. Days are reconciled in their
    order: what comes for one behind the newest is taken up by the next run. Raises a `LedgerError`, among them
    `DayPassed`, `AnotherRun`, `AcquirerWithoutTerms`, `MayNotImport`.
    """
    async with writer(url) as connection:
        await runs.lock(connection)
        await connection.execute(SETTINGS)
        before = await runs.newest(connection)
        if before is not None and day < before.day:
            return await _earlier(connection, day, before.day)
        await connection.execute(WORK_TABLES["inputs"])
        return await _reconcile(connection, url, day, terms, before, progress)


async def breaks(url: str, day: date | None = None, cause: Cause | None = None) -> tuple[Run, Sequence[Listed]]:
    """Return the newest run, or a day's newest, with its breaks, or those of one cause.

    Any role that can read the ledger may ask. Raises a `LedgerError`, among them `NeverReconciled`.
    """
    async with reader(url) as connection:
        run = await runs.newest(connection, day)
        if run is None:
            raise NeverReconciled(
                "no day is reconciled yet: run ledger reconcile first"
                if day is None
                else f"{day} isn't reconciled: run ledger reconcile {day} first"
            )
        return run, await runs.listed(connection, run, cause)


async def breaks_of(url: str, run: Run) -> Sequence[Listed]:
    """Return a run's breaks. Raises a `LedgerError`."""
    async with reader(url) as connection:
        return await runs.listed(connection, run)


async def _earlier(connection: asyncpg.Connection, day: date, newest: date) -> Run:
    """Return the run of a day that isn't the newest one's."""
    run = await runs.newest(connection, day)
    if run is None:
        raise DayPassed(f"{newest} is reconciled already, and {day} was open then: its breaks are in that run")
    return run


async def _reconcile(
    connection: asyncpg.Connection, url: str, day: date, terms: Terms, before: Run | None, progress: Progress | None
) -> Run:
    journal = await heads(connection)
    days = await movements.read_days(connection, journal, terms, day)
    through = {
        partition: await runs.head_of(connection, partition, max([await one.end(day) for one in calendars]))
        for partition, calendars in days.items()
    }
    files = await runs.files(connection, day)
    inputs = Inputs(
        terms=runs.digest(terms),
        previous=None if before is None else before.key.hex(),
        files=tuple(sorted(one.sha256.hex() for one in files if one.new)),
        adjustments=await movements.read_adjustments(connection, list(days), await runs.adjusted(connection)),
        payments=await runs.payments(connection, day),
        journal=journal,
    )
    if before is not None and _nothing_new(before, day, through, inputs):
        return before
    reading = Reading(
        day, await movements.find_spans(days, _wanted(day, before)), _ids(files, "clearing", new=True), terms
    )
    await match_exactly(connection, url, reading, before, progress)
    await matching.match(connection, day)
    await causes.explain(connection, day)
    await bank_matches(connection, _considered(day, files, journal, before), terms)
    summary = await runs.summed(connection, await causes.pending(connection))
    return await runs.publish(connection, day, through, inputs, summary)


def _nothing_new(before: Run, day: date, through: Mapping[Partition, Head], inputs: Inputs) -> bool:
    """Tell whether the newest run was made of all this. That the journal went on behind the day's end is nothing."""
    same = before.day == day and before.heads == through and before.inputs.terms == inputs.terms
    return same and not inputs.files and not inputs.adjustments


def _wanted(day: date, before: Run | None) -> Wanted:
    """Say which days are read: before the first run there was nothing."""
    if before is None:
        return Wanted(day, day - timedelta(days=1))
    read = {partition: head.seq for partition, head in before.heads.items()}
    return Wanted(day, before.day, read)


def _considered(day: date, files: Sequence[File], journal: Mapping[Partition, Seq], before: Run | None) -> Considered:
    """Say what the bank's stages look at."""
    new = _ids(files, "statement", new=True)
    return Considered(
        day=day,
        files=sorted([*_ids(files, "statement", new=False), *new]),
        new=new,
        heads=journal,
        day_before=None if before is None else before.day,
        heads_before={} if before is None else before.inputs.journal,
    )


def _ids(files: Sequence[File], kind: str, *, new: bool) -> Sequence[int]:
    return [one.id for one in files if one.kind == kind and one.new is new]
