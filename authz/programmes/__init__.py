"""The programmes that ship with the product, as TOML files, and how any programme file is read."""

from functools import cache
from importlib.resources import files

import msgspec

from authz.decision.programme import Programme

SHIPPED = ("apetiz", "pluxee-be")


class ProgrammeInvalid(ValueError):
    """A programme file breaks a rule of programme files: its message names the row."""


def parse(toml: str) -> Programme:
    """Read a programme file's text. Raises `ProgrammeInvalid`."""
    try:
        return msgspec.toml.decode(toml, type=Programme)
    except msgspec.DecodeError as error:
        raise ProgrammeInvalid(str(error)) from None


@cache
def shipped(name: str) -> Programme:
    """Read a programme that ships with the product: one of `SHIPPED`. Raises `KeyError` for another name.

    >>> shipped("apetiz").cap
    'default'
    """
    if name not in SHIPPED:
        raise KeyError(name)
    return parse((files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
