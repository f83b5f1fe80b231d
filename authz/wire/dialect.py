"""Dialects: how one acquirer's ISO 8583 looks on the wire, as data in a TOML file.

A new acquirer is a new file. One that says `like = "iso87ascii"` is that shipped dialect but for what it states
itself: keys of its own, keys of `[framing]`, and whole rows of `[fields]`.
"""

from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

_SHIPPED = files("authz.wire") / "dialects"


class DialectUnreadable(Exception):
    """The dialect's file is missing, or isn't what a dialect's file must be."""


Numerics = Literal["text", "bcd"]
"""How digits stand on the wire: a character each, or two a byte."""


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
    """One field. `length` is in characters: fixed, or at most where `prefix` digits of length stand before it.

    `numerics` is for the field that differs from its dialect in it.
    """

    name: str
    content: Content
    length: Annotated[int, Meta(ge=1, le=999)]
    prefix: Literal[0, 2, 3] = 0
    least: Annotated[int, Meta(ge=0)] = 0
    form: Form | None = None
    numerics: Numerics | None = None

    def __post_init__(self) -> None:
        """Refuse a field whose parts contradict each other."""
        if self.prefix and self.length >= 10**self.prefix:
            raise ValueError(f"a length of {self.length} doesn't fit into {self.prefix} digits")
        if self.least > self.length or (self.least and not self.prefix):
            raise ValueError("`least` is for a field of variable length, and at most its length")
        if self.form and (self.prefix or self.length != len(self.form) or self.content is not Content.DIGITS):
            raise ValueError(f"the form {self.form} asks for {len(self.form)} digits, fixed")
        shortest = (self.least or 1) if self.prefix else self.length
        if self.content is Content.BINARY and (shortest + 1) // 2 > self.length // 2:
            raise ValueError("`b` asks for an even number of hexadecimal digits")


class Framing(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How messages are told apart in a stream: a length, not counting itself, before each.

    `length_coding`: a big-endian number, or decimal digits. `tpdu`: 5 bytes of addresses before the MTI, counted.
    """

    length_coding: Literal["binary", "ascii"] = "binary"
    length_bytes: Literal[2, 4] = 2
    payload_bytes_max: Annotated[int, Meta(ge=20, le=65_535)] = 8_192
    tpdu: bool = False

    def __post_init__(self) -> None:
        """Refuse a limit that the length has no room for."""
        if self.payload_bytes_max >= (10 if self.length_coding == "ascii" else 256) ** self.length_bytes:
            raise ValueError("`payload_bytes_max` doesn't fit into the length")


class Dialect(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Framing, encodings and fields of a dialect. A field that isn't in `fields` is refused in any message.

    | key        | of                                   | values                                      |
    |------------|--------------------------------------|---------------------------------------------|
    | `text`     | characters, and whatever is in them  | ascii; ebcdic, code page 500                |
    | `numerics` | MTI, `n`, `z` and the digits of `x+n` | text; bcd, two digits a byte                |
    | `padding`  | BCD of an odd, variable length       | right 0, right F, left 0 (fixed: left 0)    |
    | `lengths`  | the length before a variable field   | text; bcd, the first nibble of three unused |
    | `bitmap`   | bitmaps                              | hex, in characters; binary                  |
    | `binary`   | `b`: PIN block, EMV data, MAC        | hex, in characters; raw, counted in bytes   |
    """

    name: str
    text: Literal["ascii", "ebcdic"] = "ascii"
    numerics: Numerics = "text"
    padding: Literal["right 0", "right F", "left 0"] = "right 0"
    lengths: Literal["text", "bcd"] = "text"
    bitmap: Literal["hex", "binary"] = "hex"
    binary: Literal["hex", "raw"] = "hex"
    framing: Framing = Framing()
    fields: dict[Annotated[int, Meta(ge=2, le=128)], Field]

    def __post_init__(self) -> None:
        """Refuse fields that can't be where they are."""
        if 65 in self.fields:
            raise ValueError("65 announces a third bitmap, which no dialect has: it can't be a field")
        for number in (64, 128):
            mac = self.fields.get(number)
            if mac is not None and (mac.content, mac.prefix, mac.length) != (Content.BINARY, 0, 16):
                raise ValueError(f"{number} is the MAC: `b` of 16, fixed")
        for number, field in self.fields.items():
            signed = field.content is Content.SIGNED and (field.numerics or self.numerics) == "bcd"
            if signed and (field.prefix or field.length % 2 == 0):
                raise ValueError(f"{number}: `x+n` in BCD is a letter and pairs of digits, fixed")


def shipped_names() -> tuple[str, ...]:
    """Names of the dialects that come with the product."""
    found = (entry.name for entry in _SHIPPED.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


def shipped(name: str) -> Dialect:
    """Return a dialect that comes with the product. Raises `DialectUnreadable` for a name that none has.

    >>> shipped("iso87ascii").fields[11].length
    6
    """
    names = shipped_names()
    if name not in names:
        raise DialectUnreadable(f"dialect {name!r}: neither shipped ({', '.join(names)}) nor the path of a TOML file")
    return _dialect(_shipped_tables(name), name)


def from_file(path: Path) -> Dialect:
    """Read a dialect from a TOML file. Raises `DialectUnreadable`, with the place in the file that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as unread:
        raise DialectUnreadable(f"dialect {path}: {unread}") from unread
    return _dialect(_tables(text, str(path)), str(path))


def _shipped_tables(name: str) -> dict[str, Any]:
    return _tables((_SHIPPED / f"{name}.toml").read_text(encoding="utf-8"), name)


def _tables(text: str, source: str) -> dict[str, Any]:
    """Read a file's tables and lay them over those of the dialect that it is `like`."""
    try:
        tables: dict[str, Any] = msgspec.toml.decode(text)
    except msgspec.DecodeError as wrong:
        raise DialectUnreadable(f"dialect {source}: {wrong}") from wrong
    like = tables.pop("like", None)
    if like is None:
        return tables
    names = shipped_names()
    if like not in names:
        raise DialectUnreadable(f"dialect {source}: `like` is one of the shipped: {', '.join(names)}")
    whole = _shipped_tables(like)
    del whole["name"]
    for key, value in tables.items():
        both_tables = isinstance(value, dict) and isinstance(whole.get(key), dict)
        whole[key] = whole[key] | value if both_tables else value
    return whole


def _dialect(tables: dict[str, Any], source: str) -> Dialect:
    try:
        return msgspec.convert(tables, Dialect, str_keys=True)
    except msgspec.ValidationError as wrong:
        raise DialectUnreadable(f"dialect {source}: {wrong}") from wrong
