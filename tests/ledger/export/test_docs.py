"""docs/export.md shows what really comes out."""

import re
from pathlib import Path
from typing import Any

import pytest

from ledger.export.chart import Chart
from ledger.export.formats import Format

PAGE = (Path(__file__).parents[3] / "docs" / "export.md").read_text()


def _examples(of: Format) -> list[str]:
    return re.findall(rf"^```{of}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("of", [Format.HLEDGER, Format.BEANCOUNT, Format.FEC, Format.CSV])
async def test_the_examples_are_lines_of_an_export(exported: Any, second_year: Any, of: Format) -> None:
    encoding = "iso8859-15" if of is Format.FEC else "utf-8"
    lines = (await exported(of, second_year)).decode(encoding).replace("\r\n", "\n")
    examples = _examples(of)
    assert examples
    for example in examples:
        assert f"\n{example}" in f"\n{lines}"


def test_every_format_has_a_chapter() -> None:
    chapters = {word for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) for word in title.split(", ")}
    assert {str(one) for one in Format} <= chapters


def test_the_table_is_the_chart_that_comes_along() -> None:
    rows = [[cell.strip(" `") for cell in row.split("|")[1:-1]] for row in PAGE.splitlines() if row.startswith("| `")]
    table = [row for row in rows if len(row) == 5]
    chart = [[one.account, one.number, one.label, one.auxiliary, one.root] for one in Chart.read().places]
    assert table == chart
