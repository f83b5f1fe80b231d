"""What is wrong with a configuration's text: every fault with its place, never a value."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct, structs

from authz.config.links import SECRET
from authz.config.tables import Tables
from authz.security.keys import masked

_AT = re.compile(r" - at `[^`]*`$")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_ACQUIRER = re.compile("[0-9]{1,11}")


class ConfigInvalid(Exception):
    """The configuration can't be used: the message says which file and what in it. `faults` has each by itself."""

    def __init__(self, message: str, faults: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults) or (message,)


class Faulty(Exception):
    """A configuration's text has faults; its file isn't named yet."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class Table(Struct, frozen=True):
    """A table of the configuration: its name in the file, the struct of its keys, and whether there may be several."""

    name: str
    kind: type[Struct]
    several: bool

    def place(self, said: object, number: int) -> str:
        """Say which table is meant: links by their acquirer, others of several by their number."""
        if not self.several:
            return f"[{self.name}]"
        acquirer = said.get("acquirer") if isinstance(said, Mapping) else None
        return f"[[{self.name}]] {acquirer if isinstance(acquirer, str) and _ACQUIRER.fullmatch(acquirer) else number}"

    @property
    def keys(self) -> dict[str, Any]:
        """Give the keys that it can have, with the types of their values."""
        return hints(self.kind)


def tables() -> tuple[Table, ...]:
    """Every table that a configuration can have, in the order of the reference."""
    found = []
    for field in structs.fields(Tables):
        [kind] = [one for one in _parts(field.type) if isinstance(one, type) and issubclass(one, Struct)]
        found.append(Table(field.name, kind, several=get_origin(field.type) is tuple))
    return tuple(found)


@cache
def hints(kind: type[Struct]) -> dict[str, Any]:
    """Types of a struct's fields, with what is said of them."""
    return get_type_hints(kind, include_extras=True)


def is_secret(kind: Any) -> bool:
    """Tell whether values of a type are never shown."""
    if SECRET in getattr(kind, "__metadata__", ()):
        return True
    return any(is_secret(one) for one in get_args(kind))


def suggested(name: str, known: Sequence[str]) -> str:
    """Suggest the nearest known name; empty where none is near.

    >>> suggested("idle_prob_s", ["idle_probe_s", "deadline_s"])
    '; did you mean idle_probe_s?'
    """
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def toml_of(text: bytes) -> dict[str, Any]:
    """Read TOML. Raises `Faulty`, and `UnicodeDecodeError`."""
    try:
        return tomllib.loads(text.decode())
    except tomllib.TOMLDecodeError as error:
        raise Faulty([f"it isn't TOML: {masked(str(error))}"]) from None


def parsed(said: Mapping[str, Any]) -> Tables:
    """Turn what a file says into its tables. Raises `Faulty` with every fault that it has."""
    faults = list(faults_of(said))
    if faults:
        raise Faulty(faults)
    return msgspec.convert(said, Tables)


def faults_of(said: Mapping[str, Any]) -> Iterator[str]:
    """Go through the faults of what a file says."""
    known = {table.name: table for table in tables()}
    required = {field.name for field in structs.fields(Tables) if field.required}
    found = 0
    for name in said:
        if name not in known:
            found += 1
            yield f"unknown table {_shown(name)}{suggested(name, list(known))}"
    for name, table in known.items():
        if name not in said and name in required:
            found += 1
            yield f"{table.place(None, 1) if not table.several else f'[[{name}]]'} is missing"
        elif name in said:
            for fault in _faults_of_tables(table, said[name]):
                found += 1
                yield fault
    if not found and (fault := _refused(said, Tables)):
        yield fault


def _faults_of_tables(table: Table, said: object) -> Iterator[str]:
    if not table.several:
        yield from _faults_of_table(table, said, table.place(said, 1))
    elif not isinstance(said, (list, tuple)):
        yield f"{table.name} must be written [[{table.name}]]: there may be several"
    else:
        for number, one in enumerate(said, 1):
            yield from _faults_of_table(table, one, table.place(one, number))


def _faults_of_table(table: Table, said: object, place: str) -> Iterator[str]:
    if not isinstance(said, Mapping):
        yield f"{table.name} must be a table: {place}"
        return
    keys = table.keys
    found = [f"unknown key {_shown(name)} in {place}{suggested(name, list(keys))}" for name in said if name not in keys]
    for field in structs.fields(table.kind):
        if field.name not in said and field.required:
            found.append(f"`{field.name}` is missing in {place}")
        elif field.name in said and (why := refused(said[field.name], keys[field.name])):
            found.append(f"`{field.name}` in {place}: {why}")
    if not found and (why := _refused(said, table.kind)):
        found.append(why)
    yield from found


def refused(value: object, kind: Any, *, strict: bool = True) -> str:
    """Say why a value isn't one of a type, without showing it; empty: it is."""
    choices = [repr(one) for part in _parts(kind) if get_origin(part) is Literal for one in get_args(part)]
    why = _refused(value, kind, strict=strict)
    return f"it must be one of {', '.join(choices)}".replace("'", '"') if why and choices else why


def _refused(value: object, kind: Any, *, strict: bool = True) -> str:
    try:
        msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        text = _AT.sub("", str(error))
        return masked(text.replace("Expected", "expected", 1) if text.startswith("Expected") else text)
    return ""


def alternatives(kind: Any) -> Iterator[Any]:
    """Go through the types that a value may have, but for None."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from alternatives(get_args(kind)[0])
    elif origin in (Union, UnionType):
        for one in get_args(kind):
            yield from alternatives(one)
    elif kind is not NoneType:
        yield kind


def _parts(kind: Any) -> Iterator[Any]:
    """Go through the types that a value, or one of a list of them, may have."""
    for one in alternatives(kind):
        if get_origin(one) is tuple:
            yield from _parts(get_args(one)[0])
        else:
            yield one


def _shown(name: str) -> str:
    """Show a name that is unknown: one that may be a value in the wrong place, it doesn't."""
    return f"`{masked(name)}`" if _NAME.fullmatch(name) else "(not shown: it may be a value)"
