"""What the commands print: the API's own answer as JSON, or a table for people, amounts in euros."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TypeAlias, TypeVar

from rich.table import Column
from rich.text import Text

from authz.issue_cli.api import Ask
from authz.issuing.bodies.problems import Fault
from ledger.printing import euros, print_json, print_table, table
from ledger.values import Cents

T = TypeVar("T")
Cell: TypeAlias = str | int | bool | date | None
Facts: TypeAlias = Mapping[str, Cell]
EURO = ", €"
"""How the name of a column of amounts ends: what stands there is cents."""


def show_list(ask: Ask | None, title: str, items: Sequence[T], columns: Mapping[str, Callable[[T], Cell]]) -> None:
    """Print things of a kind, a line each."""
    if ask is not None and ask.as_json:
        print_json(items)
        return
    shown = table(title, *[_column(name) for name in columns])
    for one in items:
        shown.add_row(*[_written(name, cell(one)) for name, cell in columns.items()])
    print_table(shown)


def show_one(ask: Ask | None, title: str, thing: object, facts: Facts) -> None:
    """Print one thing, a line for each of its facts."""
    if ask is not None and ask.as_json:
        print_json(thing)
        return
    shown = table(title, Column(no_wrap=True), Column(overflow="fold"))
    shown.show_header = False
    for name, fact in facts.items():
        shown.add_row(name, _written(name, fact))
    print_table(shown)


def show_faults(faults: Sequence[Fault], *, as_json: bool) -> None:
    """Print what is wrong in a list, by line and column."""
    if as_json:
        print_json(faults)
        return
    shown = table("What is wrong", Column("line", justify="right"), "column", "what")
    for one in faults:
        shown.add_row(str(one.line) if one.line else "file", one.column, Text(one.what))
    print_table(shown)


def _column(name: str) -> Column:
    return Column(name, justify="right" if name.endswith(EURO) else "left", overflow="fold")


def _written(name: str, cell: Cell) -> Text:
    """Write a cell. As text: what somebody is called is no markup."""
    if cell is None:
        return Text("")
    if isinstance(cell, bool):
        return Text("yes" if cell else "no")
    if isinstance(cell, int):
        return Text(euros(Cents(cell)) if name.endswith(EURO) else f"{cell:,}")
    return Text(str(cell))
