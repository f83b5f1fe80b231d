"""The commands `ledger reconcile` and `ledger breaks`: match a business day, and list what didn't agree."""

import asyncio
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from msgspec import Struct
from rich.table import Column, Table

from ledger.printing import AsJson, euros, print_json, print_table, table
from ledger.progress import bars
from ledger.reconciliation.reconciling import breaks as read_breaks
from ledger.reconciliation.reconciling import breaks_of
from ledger.reconciliation.reconciling import reconcile as reconcile_day
from ledger.reconciliation.runs import Head, Inputs, Listed, Run, Summary
from ledger.reconciliation.terms import read as read_terms
from ledger.reconciliation.values import Cause
from ledger.schema import FINANCE_ROLE, RECONCILER_ROLE
from ledger.source import Source, address
from ledger.values import Cents, Partition

AGREED, BROKEN = 0, 1


class Shown(Struct, frozen=True, omit_defaults=True):
    """A break as programs read it: a record as partition:seq, a file by its name and hash, ages in days."""

    cause: Cause
    since: date
    age: int
    source: str
    detail: str
    merchant: str | None = None
    terminal: str | None = None
    expected: Cents | None = None
    found: Cents | None = None
    record: str | None = None
    file: str | None = None
    sha256: str | None = None
    line: int | None = None
    entry: int | None = None


class Result(Struct, frozen=True):
    """A run as programs read it: the same run is the same text, in whatever database."""

    day: date
    key: str
    heads: dict[Partition, Head]
    inputs: Inputs
    summary: Summary
    breaks: Sequence[Shown]


def reconcile(
    day: date,
    *,
    terms: Path,
    source: Source | None = None,
    as_json: AsJson = False,
) -> int:
    """Match a business day's movements with the acquirers' lines and the bank's entries; exit 1 where some don't agree.

    Parameters
    ----------
    day
        The business day, such as 2026-05-12. Days are reconciled in their order; once more changes nothing.
    terms
        What was agreed with acquirers and banks.
    source
        Where the ledger is. The address is that of a role that may add to finance's schema: reconciler.
    as_json
        Print the run as JSON, in cents.
    """
    agreed = read_terms(terms)
    with address(source, RECONCILER_ROLE) as url:
        with bars() as progress:
            run = asyncio.run(reconcile_day(url, day, agreed, progress))
        found = asyncio.run(breaks_of(url, run))
    if as_json:
        shown = [_shown(one, run.day) for one in found]
        print_json(Result(run.day, run.key.hex(), dict(run.heads), run.inputs, run.summary, shown))
    else:
        print_table(_matches(run))
        print_table(_acquirers(run))
        print_table(_breaks(found, run.day))
    if found:
        several = f"1 break on {day}: ledger breaks {day} lists it"
        if len(found) > 1:
            several = f"{len(found):,} breaks on {day}: ledger breaks {day} lists them"
        sys.stderr.write(f"ledger: {several}\n")
    return BROKEN if found else AGREED


def breaks(
    day: Annotated[date | None, Parameter(show_default=False)] = None,
    *,
    source: Source | None = None,
    cause: Annotated[Cause | None, Parameter(show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """List what didn't agree when a business day was reconciled last, each with its likeliest cause.

    Parameters
    ----------
    day
        The business day; without it, the newest that is reconciled.
    source
        Where the ledger is.
    cause
        Only those of this cause.
    as_json
        Print them as JSON, in cents.
    """
    with address(source, FINANCE_ROLE) as url:
        run, found = asyncio.run(read_breaks(url, day, cause))
    if as_json:
        print_json([_shown(one, run.day) for one in found])
    else:
        print_table(_breaks(found, run.day))


def _shown(listed: Listed, day: date) -> Shown:
    one = listed.one
    return Shown(
        cause=one.cause,
        since=one.since,
        age=one.age(day),
        source=one.source,
        detail=one.detail,
        merchant=one.merchant,
        terminal=one.terminal,
        expected=one.expected,
        found=one.found,
        record=None if one.seq is None else f"{one.partition}:{one.seq}",
        file=listed.file_name,
        sha256=listed.sha256,
        line=one.line,
        entry=one.entry,
    )


def _matches(run: Run) -> Table:
    """A line a stage, in the order in which they are run."""
    shown = table(f"{run.day}: matched", "stage", Column("matches", justify="right"), Column("€", justify="right"))
    for stage, sums in run.summary.matched.items():
        shown.add_row(stage, f"{sums.number:,}", euros(sums.cents))
    return shown


def _acquirers(run: Run) -> Table:
    shown = table("By acquirer", "acquirer")
    for name in ("ledger, €", "clearing, €", "matched, €", "open in ledger, €", "open in clearing, €"):
        shown.add_column(name, justify="right", no_wrap=True)
    for acquirer, side in run.summary.acquirers.items():
        sums = (side.ledger, side.clearing, side.matched, side.open_movements, side.open_lines)
        shown.add_row(acquirer, *map(euros, sums))
    return shown


def _breaks(found: Sequence[Listed], day: date) -> Table:
    """A line a break. What it is about is a record (partition:seq), a file's line or entry, or both."""
    shown = table(
        f"{len(found):,} breaks on {day}",
        Column("cause", no_wrap=True),
        Column("days", justify="right"),
        Column("source", overflow="fold"),
        Column("terminal", overflow="fold"),
        Column("record", no_wrap=True),
        Column("line", overflow="fold"),
        Column("expected, €", justify="right", no_wrap=True),
        Column("found, €", justify="right", no_wrap=True),
        Column("", overflow="fold"),
    )
    for one in (_shown(listed, day) for listed in found):
        place = one.line if one.entry is None else one.entry
        shown.add_row(
            one.cause,
            str(one.age),
            one.source,
            one.terminal or "",
            one.record or "",
            "" if one.file is None else f"{one.file}:{place}",
            "" if one.expected is None else euros(one.expected),
            "" if one.found is None else euros(one.found),
            one.detail,
        )
    return shown
