"""The commands `ledger report day` and `ledger report month` (docs/reports.md)."""

import asyncio
import csv
import io
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pyarrow.parquet
import pytest

from ledger.cli import main
from ledger.reconciliation.runs import Summary, Sums
from ledger.reconciliation.values import Cause, Stage
from ledger.reports.figures import Report, Section
from ledger.values import Cents
from tests.ledger.reports.books import DAYS, LATE, Books

DAY = str(DAYS[2])
TERMS = """
[accounts]
voucher = "FR7612345678901234567890123"
operating = "FR7612345678901234567890124"
holder = "Vouchers SA"

[[acquirer]]
id = "970002"
name = "Night & Day"
iban = "FR7612345678901234567890125"
"""
BREAKS = 3
SUMMARY = Summary({Stage.EXACT: Sums(12, Cents(15_000))}, {Cause.AMOUNT_DIFFERS: Sums(3, Cents(-150))}, {}, (DAYS[2],))


@pytest.fixture
def url(database: Any) -> str:
    """The address of a ledger with books, two runs of which the newer found three breaks, and one of a later day."""

    async def fill() -> None:
        await Books(seed=3, partitions=1, records=150).write(database.url)
        connection = await asyncpg.connect(database.superuser_url.replace("postgres@", "reconciler@"))
        file = await connection.fetchval(
            "INSERT INTO reconciliation.file (sha256, kind, format, name, source, day, lines, quarantined, totals)"
            " VALUES (sha256('it'), 'clearing', 'clearing', 'late.csv', '970002', $1, 9, 0, '{}') RETURNING id",
            DAYS[2],
        )
        for number, (day, breaks) in enumerate([(DAYS[2], 9), (DAYS[2], BREAKS), (DAYS[4], 0)]):
            run = await connection.fetchval(
                "INSERT INTO reconciliation.run (key, day, heads, inputs, summary) VALUES ($1, $2, '{}', '[]', $3)"
                " RETURNING id",
                bytes([number]) * 32,
                day,
                msgspec.json.encode(SUMMARY).decode(),
            )
            await connection.executemany(
                "INSERT INTO reconciliation.break (run, number, cause, since, source, expected, found, partition, seq,"
                " file, line, detail) VALUES ($1, $2::int, 'amount-differs', $3, '970002', 1250, 1200, 0, $2::int, $4,"
                " $2::int + 1, 'says less')",
                [(run, one + 1, DAYS[one % 2], file) for one in range(breaks)],
            )
        await connection.close()

    asyncio.run(fill())
    return str(database.finance_url)


def test_a_day_in_every_format_says_the_same(
    url: str, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    said = {}
    for form in ("table", "csv", "json", "html"):
        assert main(["report", "day", DAY, "--database", url, "--format", form]) == 0
        said[form] = capfdbinary.readouterr().out.decode()
    path = tmp_path / "day.txt"
    assert main(["report", "day", DAY, "--database", url, "--output", str(path)]) == 0
    assert path.read_text() == said["table"]
    parquet = tmp_path / "day.parquet"
    assert main(["report", "day", DAY, "--database", url, "--format", "parquet", "--output", str(parquet)]) == 0
    report = msgspec.json.decode(said["json"], type=Report)
    cents = [one.cents for one in report.figures]
    assert len(cents) > 20
    assert [int(row["cents"]) if row["cents"] else None for row in csv.DictReader(io.StringIO(said["csv"]))] == cents
    assert pyarrow.parquet.read_table(parquet)["cents"].to_pylist() == cents
    assert said["html"].startswith("<!doctype html>")


def test_the_newest_run_of_the_day_is_reported_with_its_breaks(
    url: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["report", "day", DAY, "--database", url, "--format", "json"]) == 0
    report = msgspec.json.decode(capfdbinary.readouterr().out, type=Report)
    assert report.run is not None
    assert (report.run.key, report.run.day, report.run.breaks_count) == ("01" * 32, DAYS[2], BREAKS)
    assert report.run.summary == SUMMARY
    assert [(one.record, one.line, one.expected, one.found) for one in report.run.breaks] == [
        (f"0:{number}", f"late.csv:{number + 1}", 1250, 1200) for number in (1, 2, 3)
    ]
    assert [(one.day, one.records, one.cents) for one in report.of(Section.BREAKS)] == [
        (DAYS[0], 2, -100),
        (DAYS[1], 1, -50),
    ]


def test_before_the_first_run_there_is_none(url: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["report", "day", str(DAYS[1]), "--database", url, "--format", "json"]) == 0
    assert msgspec.json.decode(capfdbinary.readouterr().out, type=Report).run is None


def test_a_month_has_a_line_for_each_of_its_days(
    url: str, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path
) -> None:
    terms = tmp_path / "terms.toml"
    terms.write_text(TERMS)
    assert main(["report", "month", DAY[:7], "--database", url, "--terms", str(terms)]) == 0
    lines = [line.split() for line in capfdbinary.readouterr().out.decode().splitlines() if line.strip()]
    assert [line[0] for line in lines if line[0].startswith("2026-03-")] == [
        str(date(2026, 3, number)) for number in range(1, 32)
    ]
    assert any(line[:4] == [LATE, "Night", "&", "Day"] for line in lines)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["day", "12 May"], "'12 May' is no day: write it as 2026-05-12"),
        (["day", "20260512"], "'20260512' is no day: write it as 2026-05-12"),
        (["day", "9999-12-31"], "'9999-12-31' is no day: write it as 2026-05-12"),
        (["month", "2026-13"], "'2026-13' is no month: write it as 2026-05"),
        (["month", "2026-05-12"], "'2026-05-12' is no month: write it as 2026-05"),
        (["day", DAY], "say where the ledger is: either --database URL or --data DIR"),
        (["day", DAY, "--format", "parquet"], "a Parquet file doesn't go to standard output: name a file by --output"),
        (["day", DAY, "--terms", "/nowhere/terms.toml"], "/nowhere/terms.toml: No such file or directory"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *arguments]) == 2
    assert capsys.readouterr() == ("", f"ledger: {complaint}\n")


@pytest.mark.parametrize("arguments", [["day"], ["day", DAY, "--format", "xml"], ["month", "2026-05", "extra"]])
def test_options_that_do_not_exist_are_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *arguments]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
