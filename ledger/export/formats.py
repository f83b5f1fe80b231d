"""The formats that the books can be exported in, and the export itself."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from io import BufferedIOBase
from zoneinfo import ZoneInfo

from ledger.export import fec, plain_text, rows
from ledger.export.beancount import Beancount
from ledger.export.books import Books, open_books
from ledger.export.chart import Chart
from ledger.export.hledger import Hledger
from ledger.reading import Progress, reader
from ledger.shortfalls import EVER, Period
from ledger.values import Partition

Write = Callable[[Books, BufferedIOBase], Awaitable[None]]
"""Writes books down, as they are read. Raises `ExportError`."""


class Format(StrEnum):
    """How the books are written down: docs/export.md."""

    HLEDGER = "hledger"
    BEANCOUNT = "beancount"
    FEC = "fec"
    CSV = "csv"
    PARQUET = "parquet"


def writer_of(asked: Format, chart: Chart) -> Write:
    """Find how a format is written; rows of transfers (CSV, Parquet) need no chart."""
    match asked:
        case Format.HLEDGER:
            return partial(plain_text.write, chart=chart, style=Hledger())
        case Format.BEANCOUNT:
            return partial(plain_text.write, chart=chart, style=Beancount(chart))
        case Format.FEC:
            return partial(fec.write, chart=chart)
        case Format.CSV:
            return rows.write_csv
        case Format.PARQUET:
            from ledger.export import parquet  # whose library takes too long to load for those who don't need it

            return parquet.write


async def export(
    url: str,
    write: Write,
    sink: BufferedIOBase,
    zone: ZoneInfo,
    period: Period = EVER,
    *,
    only: Partition | None = None,
    progress: Progress | None = None,
) -> None:
    """Export a period of the books, of all partitions or of one. Raises a `LedgerError`."""
    async with reader(url) as connection:
        await write(await open_books(connection, zone, period, only=only, progress=progress), sink)
