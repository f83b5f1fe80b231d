"""What the pages have people type: commands, where they stand, and what is shown below them.

A block marked `console` is a terminal: lines that begin with `$ ` are typed, the others are printed. A line of `…`
stands for any lines, a `…` within a line for any text. A block marked `sh`, or not marked at all, has commands and no
output. A command may go on behind a backslash, or with a here-document.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

HOME = Path(__file__).parents[2]
README = HOME / "README.md"
PAGES = (README, *sorted((HOME / "docs").glob("*.md")))
OURS = ("authz", "ledger", "simulate")
"""The programs of this project."""

_BLOCK = re.compile(r"^ *```(?P<mark>[^\n`]*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_PROGRAM = re.compile(rf"(?:\S*/)?(?:{'|'.join(OURS)}|export|make) +[\w-]")
KEPT = re.compile(r"^\w+=\$\(")
"""How a shell keeps what a command prints."""
_NOTE = re.compile(r"\s{2,}#.*|^#.*")
_HERE = re.compile(r"<<'?(\w+)'?")
_OPERATORS = ("|", "||", "&&", ";", "&", ">", ">>", "<", "2>", "2>&1", "<<")


class Command(Struct, frozen=True):
    """A command as it is typed, the page and line where it stands, and the lines printed below it."""

    page: str
    line: int
    text: str
    shown: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def blocks(page: Path) -> Iterator[tuple[str, int, str]]:
    """Go through a page's blocks: the mark, the number of the first line within, the text."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield found["mark"].strip(), text.count("\n", 0, found.start()) + 2, found["text"]


def transcript(page: Path) -> list[Command]:
    """What is typed in a page's terminals, with what is printed."""
    typed: list[Command] = []
    for mark, start, text in blocks(page):
        if mark == "console":
            typed += _typed(page.name, start, text.splitlines())
    return typed


def commands(page: Path) -> list[Command]:
    """Every command that a page shows, in terminals and elsewhere."""
    found: list[Command] = []
    for mark, start, text in blocks(page):
        word, *_ = [*mark.split(), ""]
        lines = text.splitlines()
        if word == "console" and any(line.startswith("$ ") for line in lines):
            found += _typed(page.name, start, lines)
        elif word in {"sh", "console"} or (not word and _PROGRAM.match(text)):
            found += _written(page.name, start, lines)
    return found


def ours(text: str) -> list[str] | None:
    """Return the words of a command if it is one of this project's programs', without what a shell does beside it."""
    try:
        words = shlex.split(KEPT.sub("", joined(text)), comments=True)
    except ValueError:
        return None
    if not words or words[0].rpartition("/")[2] not in OURS:
        return None
    end = next((at for at, word in enumerate(words) if word in _OPERATORS), len(words))
    return [words[0].rpartition("/")[2], *words[1:end]]


def joined(text: str) -> str:
    """Put a command that goes on behind backslashes on one line."""
    return text.replace("\\\n", " ")


def _typed(page: str, start: int, lines: Sequence[str]) -> Iterator[Command]:
    at = 0
    while at < len(lines):
        first = at
        if not lines[at].startswith("$ "):
            at += 1
            continue
        text, at = _whole(lines, at)
        shown = at
        while at < len(lines) and not lines[at].startswith("$ "):
            at += 1
        yield Command(page, start + first, text.removeprefix("$ "), tuple(lines[shown:at]))


def _written(page: str, start: int, lines: Sequence[str]) -> Iterator[Command]:
    at = 0
    while at < len(lines):
        first = at
        text, at = _whole(lines, at)
        if not _NOTE.sub("", text).strip():
            continue
        yield Command(page, start + first, text)


def _whole(lines: Sequence[str], at: int) -> tuple[str, int]:
    """Take the command that begins at a line; return it, and where the next line is."""
    text = lines[at]
    at += 1
    while text.endswith("\\") and at < len(lines):
        text += f"\n{lines[at]}"
        at += 1
    here = _HERE.search(text)
    if here is not None:
        while at < len(lines):
            text += f"\n{lines[at]}"
            at += 1
            if lines[at - 1] == here[1]:
                break
    return text, at


def files(page: Path) -> dict[str, str]:
    """The files that a page shows whole: blocks with a `title`, by name."""
    titled = ((re.search(r'title="([^"]+)"', mark), text) for mark, _, text in blocks(page))
    return {found[1]: text for found, text in titled if found is not None}
