"""The rows of `ledger.export.rows` as Parquet: typed columns, written group by group as they come."""

from io import BufferedIOBase

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from ledger.export.books import Books
from ledger.export.rows import Row, rows

ROW_GROUP_ROWS_MAX = 65_536

_WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    {
        "partition": pa.int32(),
        "seq": pa.int64(),
        "line": pa.int16(),
        "at": pa.timestamp("us", tz="UTC"),
        "kind": _WORD,
        "reason": _WORD,
        "debit": _WORD,
        "credit": _WORD,
        "amount": pa.int64(),
        "currency": _WORD,
    }
)


async def write(books: Books, sink: BufferedIOBase) -> None:
    """Write a file. Memory holds one group of rows."""
    with ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        group: list[Row] = []
        async for posted in books.posted:
            group += rows(posted)
            if len(group) >= ROW_GROUP_ROWS_MAX:
                writer.write_batch(_batch(group))
                group.clear()
        if group:
            writer.write_batch(_batch(group))


def _batch(group: list[Row]) -> pa.RecordBatch:
    columns = [pa.array([getattr(row, field.name) for row in group], field.type) for field in SCHEMA]
    return pa.record_batch(columns, schema=SCHEMA)
