"""How finance's commands print: tables for people, JSON for programs; amounts in euros, instants in ISO 8601."""

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich import box
from rich.console import Console
from rich.table import Column, Table

from ledger.values import Cents

FILE_WIDTH_COLUMNS = 160

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
"""An option that is said or isn't."""
AsJson = Annotated[Flag, Parameter(name="--json")]
"""The option that every command of finance has."""


class NobodyReads(Exception):
    """Whoever read standard output has read enough."""


def table(title: str, *columns: Column | str) -> Table:
    """Begin a table."""
    return Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD)


def print_table(one: Table) -> None:
    """Print a table: to the width of a terminal, and without folding where the output isn't one."""
    sized = Console()
    console = sized if sized.is_terminal else Console(width=FILE_WIDTH_COLUMNS)
    with console.capture() as printed:  # rich itself would exit where nobody reads
        console.print(one)
    sys.stdout.write(printed.get())


def print_json(value: object) -> None:
    """Print a value for programs: amounts are integer cents, instants are in UTC."""
    encoded = msgspec.json.encode(value)
    sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")


def discard_output() -> None:
    """Forget what standard output holds and couldn't write: at exit it would be tried again, and complained of."""
    with suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def euros(cents: Cents) -> str:
    """Write an amount.

    >>> euros(Cents(-123456))
    '-1,234.56'
    """
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100:,}.{abs(cents) % 100:02}"


def instant(at: datetime) -> str:
    """Write an instant to the second, in UTC.

    >>> instant(datetime.fromisoformat("2026-05-12T12:30:00.5+02:00"))
    '2026-05-12T10:30:00Z'
    """
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
