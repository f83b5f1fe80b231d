"""docs/glossary.md explains the words that newcomers' pages stress, and every reason that a terminal may be told."""

import re

import pytest

from authz.decision.outcomes import Reason
from authz.links.codes import RESPONSE_CODES
from tests.docs.pages import HOME

DOCS = HOME / "docs"
PAGE = (DOCS / "glossary.md").read_text(encoding="utf-8")
BEGINNERS = (
    "index.md",
    "getting-started.md",
    "one-payment.md",
    "connecting-an-acquirer.md",
    "employers.md",
    "holders.md",
)
ROWS = [[cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", PAGE, re.MULTILINE)]
WORDS = {re.sub(r"[*`]", "", word).strip().lower() for row in ROWS for word in re.split(r",|:|\(|\)", row[0])}
_STRESSED = re.compile(r"(?<![*\w])\*([^*\n]+)\*(?![*\w])")
_BLOCK = re.compile(r"```.*?```", re.DOTALL)


@pytest.mark.parametrize("page", BEGINNERS)
def test_what_a_newcomers_page_stresses_is_explained(page: str) -> None:
    stressed = {word.lower() for word in _STRESSED.findall(_BLOCK.sub("", (DOCS / page).read_text(encoding="utf-8")))}
    assert {word for word in stressed if not {word, re.sub(r"s\b", "", word)} & WORDS} == set()


def test_every_reason_is_explained_with_its_code() -> None:
    explained = {row[0].strip("`"): row[1] for row in ROWS if row[0].startswith("`")}
    assert explained == {str(reason): RESPONSE_CODES[reason] for reason in Reason if reason in RESPONSE_CODES}
    assert set(RESPONSE_CODES) == set(Reason)


def test_no_word_is_explained_twice_and_all_stand_in_order() -> None:
    words = [row[0].strip("*").lower() for row in ROWS if len(row) == 2 and row[0] not in {"word", "---"}]
    assert len(words) == len(set(words))
    for section in PAGE.split("\n## ")[1:-2]:
        rows = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)[2:]
        keys = [re.sub(r"[^a-zé .0-9-]", "", row.lower()).replace("é", "e") for row in rows]
        assert keys == sorted(keys)
