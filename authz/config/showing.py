"""The configuration in force, value by value, each with where it is from."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from authz.config.configuration import said
from authz.config.environment import Variable, overlaid
from authz.config.faults import ConfigInvalid, Faulty, Table, is_secret, tables
from authz.config.tables import without_password
from authz.security.master import MARK

MASK = "…"
COMMENT_COLUMN = 48
FILE, DEFAULT, NOWHERE = "file", "default", "not set"

Value = str | int | float | bool | list[str] | list[int] | None


class Setting(Struct, frozen=True):
    """One value of the configuration: in which table, and from where. Secrets are masked."""

    table: str
    key: str
    value: Value
    source: str


def settings(config: Path | None, environment: Mapping[str, str], *, demo: bool = False) -> list[Setting]:
    """Read what is in force, in the order of the reference. Raises `ConfigInvalid` and `SecurityError`."""
    written: Mapping[str, Any] = {}
    try:
        if config is None:
            over, variables = overlaid({}, environment)
        else:
            together = said(config, environment, demo=demo)
            written, variables = together.written, together.variables
            over, _ = overlaid(written, environment)
    except Faulty as error:
        raise ConfigInvalid(f"{config or 'environment'}: {error}", error.faults) from None
    except OSError as error:
        raise ConfigInvalid(f"{config}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{config}: it isn't UTF-8") from None
    return [setting for table in tables() for setting in _of(table, over, written, variables)]


def toml_of(shown: Sequence[Setting]) -> str:
    """Write settings as TOML, with where each is from beside it. What isn't set is a comment."""
    lines: list[str] = []
    for table, group in groupby(shown, lambda setting: setting.table):
        lines += ["", _head(table)] if lines else [_head(table)]
        for one in group:
            line = f"# {one.key} =" if one.value is None else f"{one.key} = {_written(one.value)}"
            lines.append(f"{line:<{COMMENT_COLUMN}} # {one.source}")
    return "\n".join(lines) + "\n"


def _head(table: str) -> str:
    """Give the line that begins a table: which one of several it is, its keys say."""
    return table.partition("]]")[0] + "]]" if table.startswith("[[") else table


def _of(
    table: Table, over: Mapping[str, Any], written: Mapping[str, Any], variables: Mapping[str, Variable]
) -> Iterator[Setting]:
    """Go through the settings of a table; of one that isn't there, through its defaults, if it has any."""
    there = over.get(table.name)
    ones = there if isinstance(there, list) else [{} if there is None else there]
    if there is None and (table.several or any(field.required for field in structs.fields(table.kind))):
        return
    before = written.get(table.name, [])
    for number, one in enumerate(ones):
        was = before[number] if isinstance(before, list) and before else before
        said_by = {
            known.key: name
            for name, known in variables.items()
            if known.table.name == table.name and known.number == number
        }
        for field in structs.fields(table.kind):
            value = one.get(field.name, None if field.required else field.default)
            source = FILE if field.name in was else DEFAULT if value is not None else NOWHERE
            if field.name in said_by:
                source = f"environment {said_by[field.name]}"
            shown = _masked(value) if is_secret(table.keys[field.name]) else value
            yield Setting(table.place(one, number + 1), field.name, msgspec.to_builtins(shown), source)


def _masked(value: Any) -> Any:
    """Mask a secret: whether it is sealed may be seen, and of an address all but its password."""
    if isinstance(value, (list, tuple)):
        return [_masked(one) for one in value]
    if not isinstance(value, str):
        return value
    if "://" in value:
        return without_password(value)
    return MARK + MASK if value.startswith(MARK) else MASK


def _written(value: Value) -> str:
    """Write a value as TOML does: where it has these types, as JSON."""
    return msgspec.json.encode(value).decode()
