"""Amounts written as sums: whole cents and variables, `+` and `-`, and nothing else.

>>> cents("$before - 1250", {"before": "18100"})
16850
"""

import re
from collections.abc import Mapping
from typing import Annotated, TypeAlias

from msgspec import Meta

from simulators.mistakes import Mistake

TERMS_MAX = 32
DIGITS_MAX = 12
"""Of a number, as DE 4 has them."""
NAME_PATTERN = "[a-z][a-z0-9_]*"
"""Of a variable."""

Sum: TypeAlias = Annotated[int, Meta(ge=0)] | str
"""Cents, or a text such as "$before - 1250"."""

_TERM = rf"(?:[0-9]{{1,{DIGITS_MAX}}}|\${NAME_PATTERN})"
_SUM = re.compile(rf" *-? *{_TERM}(?: *[+-] *{_TERM}){{0,{TERMS_MAX - 1}}} *", re.ASCII)
_SIGNED_TERM = re.compile(rf"([+-]?) *({_TERM})", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]+", re.ASCII)


class SumInvalid(Mistake):
    """A sum isn't whole cents and $variables with + and - between them, or has a variable that is no number."""


def names(written: Sum) -> tuple[str, ...]:
    """The variables that a sum has. Raises `SumInvalid`.

    >>> names("$paid + $tip - 100")
    ('paid', 'tip')
    """
    return tuple(term[1:] for _, term in _terms(written) if term.startswith("$"))


def cents(written: Sum, variables: Mapping[str, str]) -> int:
    """Work a sum out. Raises `SumInvalid`."""
    return sum((-1 if sign == "-" else 1) * _value(term, variables) for sign, term in _terms(written))


def _terms(written: Sum) -> list[tuple[str, str]]:
    text = str(written)
    if _SUM.fullmatch(text) is None:
        raise SumInvalid("a sum is whole cents and $variables with + and - between them, such as $before - 1250")
    return _SIGNED_TERM.findall(text)


def _value(term: str, variables: Mapping[str, str]) -> int:
    if not term.startswith("$"):
        return int(term)
    text = variables.get(term[1:])
    if text is None:
        raise SumInvalid(f"{term}: no variable of this name has a value yet")
    if _WHOLE.fullmatch(text) is None:
        raise SumInvalid(f"{term}: it isn't a whole number, so nothing can be added to it")
    return int(text)
