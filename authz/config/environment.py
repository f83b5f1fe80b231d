"""What the environment says in place of the configuration file: `AUTHZ_HTTP_PORT`, `AUTHZ_LINK_970002_PORT`.

An option prevails over the environment, that over the file, that over what holds by default. A list is written with
commas. Links and programmes are named in the file alone; the environment changes a link's keys by its acquirer.
"""

from collections.abc import Iterator, Mapping
from typing import Any, get_origin

import msgspec
from msgspec import Struct

from authz.config.faults import Faulty, Table, alternatives, refused, suggested, tables

PREFIX = "AUTHZ_"
OTHERS = frozenset({"AUTHZ_MASTER_KEY", "AUTHZ_TOKEN", "AUTHZ_URL"})
"""Variables that mean something else: the master key, whom `authz issue` asks, and the tests' server."""


class Variable(Struct, frozen=True):
    """One key of the configuration that a variable can say. `number` counts the tables of that name from 0."""

    name: str
    table: Table
    number: int
    place: str
    key: str


def overlaid(said: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Variable]]:
    """Put what the environment says over what a file says; also tell which variables did, by their names.

    Raises `Faulty`: a variable that names no key, or whose value can't be one.
    """
    ours = {name: text for name, text in environment.items() if name.startswith(PREFIX) and name not in OTHERS}
    if not ours:
        return dict(said), {}
    known = {one.name: one for one in variables(said)}
    over, faults, used = _copied(said), list[str](), dict[str, Variable]()
    for name, text in sorted(ours.items()):
        variable = known.get(name)
        if variable is None:
            faults.append(f"unknown variable {name} in the environment{suggested(name, list(known))}")
            continue
        kind = variable.table.keys[variable.key]
        value = _value(text, kind)
        if why := refused(value, kind, strict=False):
            faults.append(f"{name} in the environment: {why}")
            continue
        _table(over, variable)[variable.key] = msgspec.to_builtins(msgspec.convert(value, kind, strict=False))
        used[name] = variable
    if faults:
        raise Faulty(faults)
    return over, used


def variables(said: Mapping[str, Any]) -> Iterator[Variable]:
    """Go through the variables that a configuration can have, with the links that its file names."""
    for table in tables():
        if not table.several:
            for key in table.keys:
                yield Variable(variable_name(table.name, key), table, 0, table.place(None, 1), key)
        elif "acquirer" in table.keys:
            for number, one in enumerate(_links(said)):
                acquirer = one.get("acquirer") if isinstance(one, Mapping) else None
                for key in table.keys if isinstance(acquirer, str) else ():
                    if key != "acquirer":
                        name = variable_name(table.name, str(acquirer), key)
                        yield Variable(name, table, number, table.place(one, number + 1), key)


def variable_name(*parts: str) -> str:
    """Name the variable of a table's key.

    >>> variable_name("http", "port"), variable_name("link", "970002", "port")
    ('AUTHZ_HTTP_PORT', 'AUTHZ_LINK_970002_PORT')
    """
    return PREFIX + "_".join(parts).upper()


def _links(said: Mapping[str, Any]) -> list[Any]:
    links = said.get("link")
    return links if isinstance(links, list) else []


def _copied(said: Mapping[str, Any]) -> dict[str, Any]:
    """Copy what is written over: the tables."""
    copies = dict[str, Any]()
    for name, value in said.items():
        if isinstance(value, list):
            copies[name] = [dict(one) if isinstance(one, Mapping) else one for one in value]
        else:
            copies[name] = dict(value) if isinstance(value, Mapping) else value
    return copies


def _table(over: dict[str, Any], variable: Variable) -> Any:
    if variable.table.several:
        return over[variable.table.name][variable.number]
    table = over.setdefault(variable.table.name, {})
    if not isinstance(table, dict):
        raise Faulty([f"{variable.table.name} must be a table: {variable.place}"])
    return table


def _value(text: str, kind: Any) -> Any:
    """Read a variable's text: a list, where it has commas or only a list can stand there."""
    lists = [get_origin(one) is tuple for one in alternatives(kind)]
    if any(lists) and ("," in text or all(lists)):
        return [one.strip() for one in text.split(",")]
    return text
