"""docs/support.md shows what is printed: each `$` is typed at the ledger of that day."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.pages import Command, transcript
from tests.show.conftest import Shown

PAGE = Path(__file__).parents[2] / "docs" / "support.md"
SOURCE = " --data /srv/authz"
CALLS = transcript(PAGE)


def pattern(shown: tuple[str, ...]) -> str:
    """A line of `…` stands for any lines, one within a line for any text."""
    lines = [r"(?:.*\n)*?" if line == "…" else f"{re.escape(line.rstrip()).replace('…', '.*?')}\n" for line in shown]
    return "".join(lines)


def test_it_has_the_five_calls() -> None:
    assert len(CALLS) == 6, "the last one has two commands"


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.text.split()[2])
def test_it_is_what_is_printed(shown: Callable[..., Shown], call: Command) -> None:
    assert call.text.endswith(SOURCE)
    _, command, *words = call.text.removesuffix(SOURCE).split()
    told = shown(*words)
    assert command == "show"
    assert re.fullmatch(pattern(call.shown), told.output), f"{call}\n{told.output}{told.errors}"
