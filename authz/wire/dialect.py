"""Dialects: how one acquirer's ISO 8583 looks on the wire, as data in a TOML file.

A new acquirer is a new file. Each vocabulary below lists what is built; a dialect that needs more (BCD, EBCDIC,
a binary bitmap, a TPDU) widens it here and in `codec` or `frames`.
"""

from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct


class DialectUnreadable(Exception):
    """The dialect's file is missing, or isn't what a dialect's file must be."""


class Content(StrEnum):
    """What the characters of a field may be; the names are the standard's."""

    DIGITS = "n"
    ALPHANUMERIC = "an"
    PADDED = "anp"
    """Letters, digits and spaces."""
    PRINTABLE = "ans"
    TRACK = "z"
    """Digits and separators of a magnetic track."""
    SIGNED = "x+n"
    """C or D, then digits."""
    BINARY = "b"
    """Bytes, as hexadecimal digits of either case."""


class Form(StrEnum):
    """Digits that are a real date or time. No year is known where none is written: 29 February is always real."""

    MONTH_TO_SECOND = "MMDDhhmmss"
    TIME = "hhmmss"
    MONTH_DAY = "MMDD"
    YEAR_MONTH = "YYMM"


class Field(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One field. `length` is in characters: fixed, or at most where `prefix` digits of length stand before it."""

    name: str
    content: Content
    length: Annotated[int, Meta(ge=1, le=999)]
    prefix: Literal[0, 2, 3] = 0
    least: Annotated[int, Meta(ge=0)] = 0
    form: Form | None = None

    def __post_init__(self) -> None:
        """Refuse a field whose parts contradict each other."""
        if self.prefix and self.length >= 10**self.prefix:
            raise ValueError(f"a length of {self.length} doesn't fit into {self.prefix} digits")
        if self.least > self.length or (self.least and not self.prefix):
            raise ValueError("`least` is for a field of variable length, and at most its length")
        if self.form and (self.prefix or self.length != len(self.form) or self.content is not Content.DIGITS):
            raise ValueError(f"the form {self.form} asks for {len(self.form)} digits, fixed")


class Framing(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How messages are told apart in a stream: a length (big-endian, not counting itself) before each."""

    length_coding: Literal["binary"] = "binary"
    length_bytes: Literal[2] = 2
    payload_bytes_max: Annotated[int, Meta(ge=20, le=65_535)] = 8_192


class Dialect(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Framing and fields of a dialect. A field that isn't in `fields` is refused in any message."""

    name: str
    text: Literal["ascii"]
    bitmap: Literal["hex"]
    framing: Framing
    fields: dict[Annotated[int, Meta(ge=2, le=128)], Field]


def shipped(name: str) -> Dialect:
    """Return a dialect that comes with the product. Raises `DialectUnreadable` for a name that none has.

    >>> shipped("iso87ascii").fields[11].length
    6
    """
    try:
        text = (files("authz.wire") / "dialects" / f"{name}.toml").read_text(encoding="utf-8")
    except OSError:
        raise DialectUnreadable(f"dialect {name!r}: none of this name is shipped; give the path of a file") from None
    return _parse(text, name)


def from_file(path: Path) -> Dialect:
    """Read a dialect from a TOML file. Raises `DialectUnreadable`, with the place in the file that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unread:
        raise DialectUnreadable(f"dialect {path}: {unread}") from unread
    return _parse(text, str(path))


def _parse(text: str, source: str) -> Dialect:
    try:
        return msgspec.toml.decode(text, type=Dialect)
    except (msgspec.DecodeError, ValueError) as wrong:
        raise DialectUnreadable(f"dialect {source}: {wrong}") from wrong
