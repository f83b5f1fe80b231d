"""docs/reversals.md is a table of answers: each row has its test, each test its row, and each word its code."""

import re
from pathlib import Path

import pytest

from authz.decision.outcomes import Reason
from authz.links.codes import RESPONSE_CODES

TESTS = Path(__file__).parent
PAGE = (TESTS.parents[1] / "docs" / "reversals.md").read_text()
ROWS = [
    [cell.strip() for cell in row.split("|")[1:-1]] for row in re.findall(r"^\|.*`test_\w+` \|$", PAGE, re.MULTILINE)
]
ABOUT_NO_CASE = {
    "test_de_90_has_no_year_and_the_likeliest_that_is_there_is_meant",
    "test_the_acquirer_that_was_paid_is_the_one_that_pays_back",
}


def written() -> set[str]:
    names: set[str] = set()
    for file in ("test_reversals.py", "test_reversals_of_holds.py"):
        names.update(re.findall(r"^def (test_\w+)\(", (TESTS / file).read_text(), re.MULTILINE))
    return names


def test_every_row_names_a_test_and_every_test_of_a_case_has_its_row() -> None:
    named = [row[-1].strip("`") for row in ROWS]
    assert len(named) == len(set(named))
    assert set(named) == written() - ABOUT_NO_CASE
    assert PAGE.count("\n| ") == len(ROWS) + PAGE.count("\n| case |")


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_word_has_its_code(row: list[str]) -> None:
    _, code, word, _, _ = row
    assert RESPONSE_CODES[Reason(word)] == code
