"""docs/beneficiaries.md says what the code does."""

import re
from pathlib import Path

import pytest

from authz.decision.issuing.states import LINES_MAX
from authz.issuing.sheets import cells, process, reading
from authz.issuing.sheets.columns import COLUMNS_MAX, NAMES, Column
from authz.issuing.sheets.faults import ERRORS_MAX, Fault
from authz.issuing.sheets.media import CONTENT_BYTES_MAX, Media
from authz.issuing.sheets.reading import READERS
from tests.issuing.sheets.files import JANS_ROW, MARIES_ROW, sheet_of

PAGE = (Path(__file__).parents[3] / "docs" / "beneficiaries.md").read_text()


def table(first: str) -> list[list[str]]:
    """The rows of the table whose first column is called `first`."""
    _, _, rest = PAGE.partition(f"| {first} |")
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_column_has_its_names() -> None:
    said = {column.strip("`"): set(names.split(", ")) for column, names, _ in table("column")}
    assert said == {column.value: set(names) for column, names in NAMES.items()}
    assert list(said) == list(Column)


def test_every_error_is_on_the_page() -> None:
    assert [what for _, what, _ in table("where")] == [re.sub(r"{\w+}", "N", fault.value) for fault in Fault]


def test_every_yes_and_no_is_on_the_page() -> None:
    words = next(what for column, _, what in table("column") if column == "`works_days_off`")
    assert set(words.partition(";")[0].split(", ")) == cells._YES | cells._NO


@pytest.mark.parametrize(("media", "fence"), [("csv", r"```csv\n(.*?)```"), ("json", r"`({\"lines.*?})`")])
def test_the_examples_are_read(media: Media, fence: str) -> None:
    found = re.search(fence, PAGE, re.DOTALL)
    assert found
    rows = {"csv": (MARIES_ROW, JANS_ROW), "json": (MARIES_ROW,), "xlsx": ()}[media]
    assert READERS[media](found[1].encode()) == sheet_of(rows, first=1 if media == "json" else 2)


def test_the_limits_are_the_codes() -> None:
    megabyte = 1024**2
    for limit in (
        f"first {ERRORS_MAX:,}, then",
        f"| {CONTENT_BYTES_MAX // megabyte}, as it is sent |",
        f"| {reading.UNPACKED_BYTES_MAX // megabyte}, all parts",
        f"{LINES_MAX:,} beneficiaries, {reading.LINES_READ_MAX:,} lines",
        f"has cells behind the first N | {COLUMNS_MAX} |",
        f"| {cells.NAME_CHARACTERS_MAX} in names and employee numbers |",
        f"{process.MEMORY_BYTES_MAX // megabyte // 1024} GB\nof memory and {process.CPU_S_MAX} s of processor time",
        f"two files at once and {process.WAITING_MAX} waiting",
    ):
        assert limit in PAGE
    assert process.PROCESSES_MAX == 2
    assert Fault.QUANTITY.value.endswith(f" {cells.QUANTITY_MAX}")
    assert Fault.FACE.value.endswith(f" {cells.FACE_MAX / 100}")
