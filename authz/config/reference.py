"""The reference in docs/configuration.md, made of the structs that read the file.

`python -m authz.config.reference docs/configuration.md` makes it anew.

A table's meaning is its struct's docstring; a key's is the docstring below it, its type and its limits are the ones
that are checked.
"""

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, structs

from authz.config.environment import variable_name
from authz.config.faults import Table, alternatives, is_secret, tables

MARK = "<!-- From here on, made of authz/config/*.py by `python -m authz.config.reference docs/configuration.md`. -->\n"
"""Above it, people write."""


def page(text: str) -> str:
    """Make the page's reference anew, below what people have written."""
    written, mark, _ = text.partition(MARK)
    assert mark, "the page has no place for its reference"
    return "\n".join([written + MARK, *(_section(table) for table in tables())])


def _section(table: Table) -> str:
    head = f"[[{table.name}]]" if table.several else f"[{table.name}]"
    meanings = _meanings(table.kind)
    rows = "\n".join(
        f"| `{field.name}` | {_type(table.keys[field.name])} | {_default(field)} | {_cell(meanings[field.name])} |"
        for field in structs.fields(table.kind)
    )
    variable = variable_name(table.name, *(["970002"] if "acquirer" in table.keys else []), "…")
    by = "" if table.several and "acquirer" not in table.keys else f" In the environment: `{variable}`."
    meaning = " ".join(inspect.cleandoc(table.kind.__doc__ or "").split())
    return f"## `{head}`\n\n{meaning}{by}\n\n| key | type | default | meaning |\n|---|---|---|---|\n{rows}\n"


def _meanings(kind: type[Struct]) -> Mapping[str, str]:
    """Read the docstring below each field of a struct."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, said in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(said, ast.Expr), f"{kind.__name__}.{field.target.id} has no docstring"
            assert isinstance(said.value, ast.Constant), f"{kind.__name__}.{field.target.id} has no docstring"
            found[field.target.id] = inspect.cleandoc(str(said.value.value))
    return found


def _type(kind: Any) -> str:
    """Say what a value may be: its types, its limits, and whether it is a secret."""
    said = " or ".join(dict.fromkeys(_said(one) for one in alternatives(kind)))
    return ", ".join([said, *_limits(kind), *(["secret"] if is_secret(kind) else [])])


def _said(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"list of {_said(get_args(kind)[0])}"
    if get_origin(kind) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(kind))
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}[kind]


def _limits(kind: Any) -> Iterator[str]:
    """Go through the limits that are checked, in words."""
    if get_origin(kind) is not Annotated:
        for one in get_args(kind):
            yield from _limits(one)
        return
    for meta in kind.__metadata__:
        if isinstance(meta, Meta):
            words = {"ge": "at least", "le": "at most", "gt": "above", "lt": "below"}
            limits = {word: getattr(meta, name) for name, word in words.items()}
            yield from (f"{word} {limit:,}" for word, limit in limits.items() if limit is not None)


def _default(field: structs.FieldInfo) -> str:
    if field.required:
        return "required"
    return "" if field.default in (None, ()) else f"`{msgspec.json.encode(field.default).decode()}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(page(file.read_text(encoding="utf-8")), encoding="utf-8")
