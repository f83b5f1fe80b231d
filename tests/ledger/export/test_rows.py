"""A row a transfer: CSV and Parquet."""

import csv
from collections.abc import Sequence
from datetime import datetime
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from ledger.export import parquet
from ledger.export.formats import Format

COLUMNS = ["partition", "seq", "line", "at", "kind", "reason", "debit", "credit", "amount", "currency"]


@pytest.fixture
def expected(story: Any) -> Sequence[dict[str, Any]]:
    return [
        dict(
            zip(
                COLUMNS,
                (0, seq, line, one.at, one.kind, one.reason, moved.debit, moved.credit, moved.amount, "EUR"),
                strict=True,
            )
        )
        for seq, one in story
        for line, moved in enumerate(one.transfers, 1)
    ]


async def test_csv_has_every_transfer_in_cents_with_its_instant_in_utc(exported: Any, expected: Any) -> None:
    lines = (await exported(Format.CSV)).decode().splitlines()
    rows = [
        row | {name: int(row[name]) for name in ("partition", "seq", "line", "amount")} for row in csv.DictReader(lines)
    ]
    assert lines[0].split(",") == COLUMNS
    assert all(row["at"].endswith("Z") for row in rows)
    assert [row | {"at": datetime.fromisoformat(row["at"])} for row in rows] == expected


async def test_the_lines_of_rows_are_the_ledgers(exported: Any, superuser: Any) -> None:
    lines = csv.DictReader((await exported(Format.CSV)).decode().splitlines())
    stored = await superuser.fetch("SELECT seq, line FROM ledger.transfer ORDER BY seq, line")
    assert [(int(row["seq"]), int(row["line"])) for row in lines] == [tuple(row) for row in stored]


@pytest.mark.parametrize("group", [1, 4, 65_536])
async def test_parquet_has_the_same_in_groups_of_typed_columns(
    exported: Any, expected: Any, monkeypatch: pytest.MonkeyPatch, group: int
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS_MAX", group)
    file = pa.parquet.ParquetFile(BytesIO(await exported(Format.PARQUET)))
    assert file.read().to_pylist() == expected
    sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert max(sizes) <= group + 1
    types = {field.name: field.type for field in file.schema_arrow}
    assert list(types) == COLUMNS
    assert {types[name] for name in ("seq", "amount")} == {pa.int64()}
    assert types["at"] == pa.timestamp("us", tz="UTC")
    assert types["debit"] == pa.dictionary(pa.int32(), pa.string())


async def test_an_empty_ledger_has_columns_and_no_rows(export_empty: Any) -> None:
    assert (await export_empty(Format.CSV)).decode() == ",".join(COLUMNS) + "\n"
    assert pa.parquet.read_table(BytesIO(await export_empty(Format.PARQUET))).num_rows == 0
