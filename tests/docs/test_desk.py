"""What a transcript may leave out, and what it may not."""

import pytest

from tests.docs.desk import Printed, differing
from tests.docs.pages import ours

PRINTED = Printed(1, "Two accounts\n  one      12.50\n ─────\n\n  another   7.00\n", "authz: something is wrong\n")


@pytest.mark.parametrize(
    "shown",
    [
        ["Two accounts", "one 12.50", "another 7.00"],
        ["Two accounts", "  …"],
        ["…", " another   …"],
        ["Two …", "…", "another 7.00", "authz: something is wrong"],
    ],
)
def test_what_is_printed_is_shown(shown: list[str]) -> None:
    assert differing(shown, PRINTED) is None


@pytest.mark.parametrize(
    "shown",
    [
        [],
        ["Two accounts", "one 12.50"],
        ["Two accounts", "one 12.51", "another 7.00"],
        ["Two accounts", "another 7.00"],
        ["another 7.00", "…"],
        ["…", "one 12.50"],
    ],
)
def test_what_is_not_printed_is_found(shown: list[str]) -> None:
    assert differing(shown, PRINTED) is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (".venv/bin/ledger verify --data DIR   # walks", ["ledger", "verify", "--data", "DIR"]),
        ("authz keys seal --name zpk < key > sealed", ["authz", "keys", "seal", "--name", "zpk"]),
        ("simulate pay \\\n    --pan 9", ["simulate", "pay", "--pan", "9"]),
        (
            "CARD=$(authz issue holder show h --json | python3 -c 'x')",
            ["authz", "issue", "holder", "show", "h", "--json"],
        ),
        ("psql -c 'authz'", None),
    ],
)
def test_a_command_is_told_from_others(text: str, words: list[str] | None) -> None:
    assert ours(text) == words
