"""One row a transfer, for spreadsheets and databases: what a row has, and CSV (RFC 4180; lines end in a line feed)."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from io import BufferedIOBase

from msgspec import Struct
from msgspec.structs import astuple

from ledger.export.books import Books, Posted
from ledger.values import Account, Cents, Partition, Seq

EURO = "EUR"


class Row(Struct, frozen=True, gc=False):
    """A transfer: `amount` cents leave `debit` and reach `credit`. The fields are the columns, in this order."""

    partition: Partition
    seq: Seq
    line: int
    at: datetime
    kind: str
    reason: str
    debit: Account
    credit: Account
    amount: Cents
    currency: str


def rows(posted: Posted) -> Iterator[Row]:
    """Write out a record's transfers."""
    for line, moved in enumerate(posted.transfers, 1):
        yield Row(
            partition=posted.partition,
            seq=posted.seq,
            line=line,
            at=posted.at,
            kind=posted.kind,
            reason=posted.reason,
            debit=moved.debit,
            credit=moved.credit,
            amount=moved.amount,
            currency=EURO,
        )


async def write_csv(books: Books, sink: BufferedIOBase) -> None:
    """Write the rows behind a line of their names. Instants are in UTC, to the microsecond."""
    sink.write(_lines([Row.__struct_fields__]))
    async for posted in books.posted:
        sink.write(_lines([_cells(row) for row in rows(posted)]))


def _cells(row: Row) -> tuple[object, ...]:
    return tuple(f"{cell:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(cell, datetime) else cell for cell in astuple(row))


def _lines(cells: list[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(cells)
    return text.getvalue().encode()
