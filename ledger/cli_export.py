"""The command `ledger export`: the books, in the format of another program."""

import asyncio
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from cyclopts import Parameter

from ledger.export import fec
from ledger.export.books import ExportError
from ledger.export.chart import Chart
from ledger.export.formats import Format, writer_of
from ledger.export.formats import export as write_books
from ledger.export.output import output
from ledger.progress import bars
from ledger.report import Begin, End, period_of
from ledger.shortfalls import Period
from ledger.source import Source, address
from ledger.values import Partition

STANDARD_OUTPUT = Path("-")


class ExportMisused(ExportError):
    """The options of an export contradict each other, or one is missing."""


def export(
    *,
    format: Annotated[Format, Parameter(name="--format")],  # noqa: A002  the option's name
    source: Source | None = None,
    destination: Annotated[Path, Parameter(name="--output", show_default=False)] = STANDARD_OUTPUT,
    begin: Begin = None,
    end: End = None,
    zone: str = "Europe/Paris",
    partition: int | None = None,
    chart: Path | None = None,
    siren: str | None = None,
    closing: date | None = None,
) -> None:
    """Write down every movement of money, for accounting, spreadsheets or databases.

    Parameters
    ----------
    format
        hledger and beancount: plain-text accounting. fec: the French file of accounting entries. csv and parquet: a
        row a transfer.
    source
        Where the ledger is.
    destination
        The file to write, which is there whole or not at all; without it, standard output. With fec it may be a
        folder: the law names the file.
    begin
        Only records from this instant or date on, such as 2026-05-12; what was before is brought in as balances.
    end
        Only records before this instant or date.
    zone
        Whose days the dates are.
    partition
        Write this partition only.
    chart
        A chart of accounts to use instead of the one that comes along: docs/export.md.
    siren
        With fec, the nine digits of the company.
    closing
        With fec, the last day of the fiscal year; it begins twelve months earlier, or with --from.
    """
    days = _zone(zone)
    if format is Format.FEC:
        path, period = _fiscal_year(destination, siren, closing, begin, end, days)
    else:
        path, period = _path(destination, format, siren, closing), period_of(begin, end, days)
    write = writer_of(format, Chart.read(chart))
    only = None if partition is None else Partition(partition)
    with output(path) as sink, address(source) as url, bars() as progress:
        asyncio.run(write_books(url, write, sink, days, period, only=only, progress=progress))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ExportMisused(f"--zone {name!r} is none: write it as Europe/Paris") from None


def _path(destination: Path, asked: Format, siren: str | None, closing: date | None) -> Path | None:
    """Find the file to write, None for standard output."""
    if siren is not None or closing is not None:
        raise ExportMisused(f"--siren and --closing are for --format fec: leave them out with {asked}")
    if destination != STANDARD_OUTPUT:
        return destination
    if asked is Format.PARQUET:
        raise ExportMisused("a Parquet file doesn't go to standard output: name a file by --output")
    return None


def _fiscal_year(
    destination: Path, siren: str | None, closing: date | None, begin: str | None, end: str | None, zone: ZoneInfo
) -> tuple[Path | None, Period]:
    """Find the file of a fiscal year, None for standard output, and what it holds."""
    if siren is None or closing is None:
        raise ExportMisused("--format fec needs the company, --siren, and the last day of its fiscal year, --closing")
    if end is not None:
        raise ExportMisused("--format fec goes to the end of a fiscal year: leave --to out, --closing says it")
    name = fec.file_name(siren, closing)
    path = destination / name if destination.is_dir() else destination
    first = begin or fec.year_begin(closing).isoformat()
    period = period_of(first, (closing + timedelta(days=1)).isoformat(), zone)
    return None if destination == STANDARD_OUTPUT else path, period
