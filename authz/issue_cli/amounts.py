"""Amounts and shares as they are written on a command line: euros and per cent, with at most two decimals."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token

_DECIMAL = re.compile(r"(\d{1,12})(?:[.,](\d{1,2}))?")


def hundredths(text: str) -> int:
    """Read a decimal number with at most two decimals, in hundredths. Raises `ValueError`.

    >>> hundredths("12.5"), hundredths("3"), hundredths("0,05")
    (1250, 300, 5)
    """
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} isn't a number with at most two decimals")
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


def _convert(_: Any, tokens: Sequence[Token]) -> int:
    return hundredths(tokens[0].value)


Euros = Annotated[int, Parameter(converter=_convert)]
"""An amount, in cents; written in euros."""
PerCent = Annotated[int, Parameter(converter=_convert)]
"""A share, in basis points; written in per cent."""
