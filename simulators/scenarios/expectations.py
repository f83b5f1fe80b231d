"""What a reply is held to: conditions on its fields, and what differs where one doesn't hold."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from authz.wire.message import Message
from simulators.decoded import MASK
from simulators.scenarios.arithmetic import NAME_PATTERN, Sum, SumInvalid, cents
from simulators.scenarios.fields import Address, Proofs, look

PATTERN_CHARACTERS_MAX = 200
EXPECTATIONS_MAX = 64
"""Of one step."""


class Requirement(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A condition that is more than a text: exactly one of its keys.

    `is`: `present`, `absent`, or `echo`: as in the request. `matches`: a regular expression for the whole text.
    `cents`: a sum, compared as a number.
    """

    kind: Literal["present", "absent", "echo"] | None = msgspec.field(name="is", default=None)
    matches: Annotated[str, Meta(max_length=PATTERN_CHARACTERS_MAX)] | None = None
    cents: Sum | None = None

    def __post_init__(self) -> None:
        """Refuse a condition that says nothing, or two things. Raises `ValueError`."""
        if sum(one is not None for one in (self.kind, self.matches, self.cents)) != 1:
            raise ValueError("exactly one of `is`, `matches` and `cents` expected")
        if self.matches is not None:
            try:
                re.compile(self.matches)
            except re.error as wrong:
                raise ValueError(f"`matches` is no regular expression: {wrong}") from None


Choice: TypeAlias = Annotated[tuple[str, ...], Meta(min_length=1)]
Condition: TypeAlias = str | Choice | Requirement
"""A text that must stand there (or `$name`, a variable's), an array of which it must be one, or a `Requirement`."""
Expectations: TypeAlias = Annotated[dict[str, Condition], Meta(max_length=EXPECTATIONS_MAX)]
"""By address (`simulators.scenarios.fields`)."""


class Difference(Struct, frozen=True):
    """Something that came otherwise than expected; both sides are masked where they are secret."""

    field: str
    name: str
    expected: str
    seen: str


class Exchange(Struct, frozen=True):
    """A request and its reply, and what was worked out of that."""

    request: Message
    reply: Message
    proofs: Proofs = {}


def differences(
    expectations: Mapping[str, Condition], exchange: Exchange, variables: Mapping[str, str]
) -> tuple[Difference, ...]:
    """What of a reply isn't as expected. Raises `AddressInvalid` and `SumInvalid`."""
    found = []
    for text, condition in expectations.items():
        address = Address.parse(text)
        expected, holds = _meaning(condition, address, exchange.request, variables)
        seen = look(exchange.reply, address, exchange.proofs)
        if not holds(seen):
            found.append(Difference(str(address), address.name, expected, address.masked(seen)))
    return tuple(found)


def variable_in(text: str) -> str | None:
    """The variable that a text stands for, None where it stands for itself.

    >>> variable_in("$approval"), variable_in("00")
    ('approval', None)
    """
    return text[1:] if _VARIABLE.fullmatch(text) else None


def filled(text: str, variables: Mapping[str, str]) -> str:
    """The text, or the value of the variable that it stands for. Raises `SumInvalid`."""
    name = variable_in(text)
    if name is None:
        return text
    if name not in variables:
        raise SumInvalid(f"{text}: no variable of this name has a value yet")
    return variables[name]


_VARIABLE = re.compile(rf"\${NAME_PATTERN}", re.ASCII)
_WHOLE = re.compile("-?[0-9]+", re.ASCII)
_Holds = Callable[[str | None], bool]


def _meaning(
    condition: Condition, address: Address, request: Message, variables: Mapping[str, str]
) -> tuple[str, _Holds]:
    """Say in words what a condition asks, masked, and how it is told."""
    if isinstance(condition, str):
        text = filled(condition, variables)
        return address.masked(text), lambda seen: seen == text
    if not isinstance(condition, Requirement):
        texts = [filled(one, variables) for one in condition]
        return f"one of {', '.join(map(address.masked, texts))}", lambda seen: seen in texts
    if condition.matches is not None:
        pattern = re.compile(condition.matches)
        shown = condition.matches if address.masked(condition.matches) == condition.matches else MASK
        return f"/{shown}/", lambda seen: seen is not None and pattern.fullmatch(seen) is not None
    if condition.cents is not None:
        return _amount(condition.cents, variables)
    if condition.kind == "echo":
        sent: Any = look(request, address, {})
        return f"{address.masked(sent)}, as sent", lambda seen: seen == sent
    if condition.kind == "absent":
        return "nothing", lambda seen: seen is None
    return "something", lambda seen: seen is not None


def _amount(written: Sum, variables: Mapping[str, str]) -> tuple[str, _Holds]:
    amount = cents(written, variables)
    worked_out = f"{amount}" if str(amount) == str(written) else f"{amount} ({written})"

    def holds(seen: str | None) -> bool:
        return seen is not None and _WHOLE.fullmatch(seen) is not None and int(seen) == amount

    return worked_out, holds
