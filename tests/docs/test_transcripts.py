"""What the pages' terminals show is what is printed: each `$` is typed, from the top of a page to its end."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.authorizer import eventually
from tests.docs.desk import COMMAND_MAX_S, Desk, Printed, differing
from tests.docs.pages import HOME, Command, files, transcript
from tests.docs.rehearsal import lay_out

PREPARED: dict[str, Callable[[Path], None]] = {"connecting-an-acquirer.md": lay_out}
"""What lies on the desk before the first command, by page."""
TRANSCRIPTS = (
    "getting-started.md",
    "one-payment.md",
    "connecting-an-acquirer.md",
    "employers.md",
    "holders.md",
)


@pytest.mark.parametrize("page", TRANSCRIPTS)
def test_a_page_shows_what_is_printed(page: str, desk: Desk) -> None:
    path = HOME / "docs" / page
    if page in PREPARED:
        PREPARED[page](desk.folder)
    for name, text in files(path).items():
        (desk.folder / name).write_text(text)
    for command in transcript(path):
        printed = typed(desk, command)
        assert differing(command.shown, printed) is None, f"{command}\n{printed.output}{printed.errors}"
        assert printed.code == 0 or set(command.shown) - {"…"}, f"{command}\n{printed.errors}"


def typed(desk: Desk, command: Command) -> Printed:
    """Type it. What another process writes, and what is carried out behind an answer, is waited for."""
    if not re.match(r"cat \S+\.(log|csv)|authz issue \w+ (show|list)", command.text):
        return desk.type(command)

    def read() -> Printed | None:
        printed = desk.type(command)
        return printed if differing(command.shown, printed) is None else None

    found: Printed = eventually(read, COMMAND_MAX_S / 4)
    return found
