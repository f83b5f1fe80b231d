"""The command `ledger export` (docs/interface.md, "Commands"; docs/export.md)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from cyclopts import App

from ledger.cli_export import ExportMisused, export
from ledger.export.books import ExportError
from ledger.export.fec import SirenInvalid
from ledger.export.formats import Format
from ledger.postgres import PostgresStore
from ledger.reading import PartitionUnknown
from ledger.report import PeriodInvalid

SIREN = ["--siren", "732829320", "--closing", "2026-12-31"]
Run = Callable[..., None]


@pytest.fixture
def run(database: Any, begin: Any, story: Any) -> Run:
    """Run the command on the ledger of the story."""

    async def tell() -> None:
        store = PostgresStore(database.url)
        await (await begin(store)).append(*(entry for _, entry in story))
        await store.close()

    asyncio.run(tell())
    app = App(name="ledger", print_error=False, exit_on_error=False, result_action="return_value")
    app.command(export)

    def call(*arguments: str | Path) -> None:
        app(["export", "--database", database.finance_url, *map(str, arguments)])

    return call


def test_books_go_to_standard_output_unless_a_file_is_named(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run("--format", "csv")
    shown = capsys.readouterr()
    assert shown.err == ""
    run("--format", "csv", "--output", tmp_path / "books.csv")
    assert capsys.readouterr().out == ""
    assert (tmp_path / "books.csv").read_text() == shown.out
    assert shown.out.startswith("partition,seq,line")


def test_parquet_goes_to_a_file(run: Run, tmp_path: Path) -> None:
    run("--format", "parquet", "--output", tmp_path / "books.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "books.parquet").num_rows == 18
    with pytest.raises(ExportMisused, match="--output"):
        run("--format", "parquet")


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ([], "2025-05-12"),
        (["--from", "2026-01-01"], "2026-01-01"),
        (["--from", "2026-01-01", "--zone", "UTC"], "2026-02-10"),
        (["--from", "2026-02-10T12:20:00+01:00"], "2026-02-10"),
    ],
)
def test_days_are_those_of_the_zone(
    run: Run, capsys: pytest.CaptureFixture[str], options: list[str], first: str
) -> None:
    run("--format", "hledger", *options)
    titles = [line for line in capsys.readouterr().out.splitlines() if " * (" in line]
    assert titles[0].split()[0] == first


def test_a_fec_is_named_by_the_law_where_a_folder_is_named(run: Run, tmp_path: Path) -> None:
    """And holds the fiscal year, what was before it as the first entry."""
    run("--format", "fec", *SIREN, "--output", tmp_path)
    (written,) = tmp_path.iterdir()
    assert written.name == "732829320FEC20261231.txt"
    rows = [line.split("\t") for line in written.read_text("iso8859-15").splitlines()[1:]]
    assert (rows[0][0], rows[0][3]) == ("AN", "20260101")
    assert {row[3][:4] for row in rows} == {"2026"}


def test_a_fec_ends_with_the_closing_day_and_can_begin_on_any(
    run: Run, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    run("--format", "fec", "--siren", "732829320", "--closing", "2026-03-01", "--from", "2025-11-01")
    rows = [line.split("\t") for line in capsysbinary.readouterr().out.decode("iso8859-15").splitlines()[1:]]
    assert (rows[0][3], rows[-1][3]) == ("20251101", "20260301")


def test_an_account_that_the_chart_lacks_leaves_no_file(run: Run, tmp_path: Path) -> None:
    chart = tmp_path / "own.toml"
    with_everything = (Path(__file__).parents[3] / "ledger" / "export" / "chart.toml").read_text()
    chart.write_text(with_everything.replace('"issuer:fees:{product}"', '"issuer:costs:{product}"'))
    with pytest.raises(ExportError, match="'issuer:fees:91'"):
        run("--format", "beancount", "--chart", chart, "--output", tmp_path / "books.beancount")
    assert list(tmp_path.iterdir()) == [chart]
    run("--format", "csv", "--chart", chart, "--output", tmp_path / "books.csv")


@pytest.mark.parametrize(
    ("options", "wrong", "said"),
    [
        (["--format", "fec"], ExportMisused, "--siren"),
        (["--format", "fec", "--siren", "732829320"], ExportMisused, "--closing"),
        (["--format", "fec", *SIREN, "--to", "2026-12-31"], ExportMisused, "leave --to out"),
        (["--format", "fec", "--siren", "732829321", "--closing", "2026-12-31"], SirenInvalid, "nine digits"),
        (["--format", "fec", *SIREN, "--from", "2027-01-01"], PeriodInvalid, "isn't before"),
        (["--format", "csv", *SIREN], ExportMisused, "leave them out"),
        (["--format", "csv", "--zone", "Paris"], ExportMisused, "Europe/Paris"),
        (["--format", "csv", "--zone", "../Europe/Paris"], ExportMisused, "Europe/Paris"),
        (["--format", "csv", "--from", "yesterday"], PeriodInvalid, "is no instant"),
        (["--format", "csv", "--partition", "4"], PartitionUnknown, "it has 0"),
        (["--format", "csv", "--output", "/nowhere/books"], ExportError, "/nowhere/books can't be written"),
        (["--format", "csv", "--output", "/"], ExportError, "/ can't be written"),
        (["--format", "fec", *SIREN, "--chart", "/nowhere/chart"], ExportError, "/nowhere/chart can't be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_use_is_refused_with_what_to_do(
    run: Run, options: list[str], wrong: type[Exception], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(wrong, match=said):
        run(*options)
    assert "\n" not in capsys.readouterr().out


def test_every_format_can_be_asked_for(run: Run, tmp_path: Path) -> None:
    for one in Format:
        run("--format", one, "--output", tmp_path / one, *(SIREN if one is Format.FEC else ()))
        assert (tmp_path / one).stat().st_size > 0
