"""A report's figures as Parquet, with typed columns."""

from io import BufferedIOBase

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from ledger.reports.figures import Report

_WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    {
        "section": _WORD,
        "day": pa.date32(),
        "hour": pa.int8(),
        "acquirer": _WORD,
        "product": _WORD,
        "name": _WORD,
        "records": pa.int64(),
        "cents": pa.int64(),
    }
)


def write(found: Report, sink: BufferedIOBase) -> None:
    """Write a file."""
    columns = [pa.array([getattr(one, field.name) for one in found.figures], field.type) for field in SCHEMA]
    with ParquetWriter(sink, SCHEMA, compression="zstd") as writer:
        writer.write_batch(pa.record_batch(columns, schema=SCHEMA))
