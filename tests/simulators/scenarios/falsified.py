"""A scenario with one of its expectations falsified, for each that it has."""

import copy
from collections.abc import Iterator
from typing import Any

import msgspec

from simulators.scenarios.script import Script

Mutation = tuple[str, str, Script]
"""The step whose expectation is false now, which one it is, and the scenario."""
NEVER = "(?!)"
"""Matches no text."""
NOWHERE = "48.KC"
"""In no reply of these scenarios."""


def falsifications(script: Script) -> Iterator[Mutation]:
    """Falsify every expectation, one at a time. Waits between a till's tries are as short as can be."""
    plain = msgspec.to_builtins(script)
    plain["waiting"]["again_every_ms"] = 1
    for place in _places(plain["step"]):
        for which, changes in _changes(_at(plain, place)):
            changed = copy.deepcopy(plain)
            step = _at(changed, place)
            step.update(changes)
            yield step["name"], which, msgspec.convert(changed, Script)


def _places(steps: list[Any], above: tuple[Any, ...] = ("step",)) -> Iterator[tuple[Any, ...]]:
    for number, step in enumerate(steps):
        yield (*above, number)
        for branch, inner in enumerate(step.get("branch", ())):
            yield from _places(inner["step"], (*above, number, "branch", branch, "step"))


def _at(plain: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        plain = plain[key]
    return plain


def _changes(step: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    expect = step.get("expect")
    if isinstance(expect, str):
        yield "any reply", {"expect": {}}
        if step["do"] == "pays":
            yield "the other end", {"expect": "stored" if expect == "taken-back" else "taken-back"}
    elif isinstance(expect, dict):
        if "within_ms" in step:
            yield "silence", {"expect": "taken-back" if step["do"] == "pays" else "silence"}
        for address, condition in expect.items():
            yield address, {"expect": expect | {address: _otherwise(condition)}}
    for name in step.get("capture", {}):
        yield f"${name}", {"capture": step["capture"] | {name: NOWHERE}}
    if step["do"] == "books":
        yield from (
            (name, {name: _one_more(step[name])}) for name in ("owed", "sales", "holds") if step[name] is not None
        )


def _otherwise(condition: Any) -> Any:
    if isinstance(condition, str):
        return f"not {condition}"
    if not isinstance(condition, dict):
        return [f"not {one}" for one in condition]
    if "cents" in condition:
        return {"cents": _one_more(condition["cents"])}
    return {"is": "present"} if condition.get("is") == "absent" else {"matches": NEVER}


def _one_more(written: int | str) -> int | str:
    return written + 1 if isinstance(written, int) else f"{written} + 1"
