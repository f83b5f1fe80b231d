"""How a dialect's messages lie on the wire: in pyiso8583's words, and in ours for what it has none for."""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from authz.wire import tpdu
from authz.wire.dialect import Content, Dialect, Field

Conversion = Callable[[str], str]
"""Between a field's text as a message has it and as pyiso8583 has it; None where they are the same."""

_CHARSETS = {"ascii": "latin-1", "ebcdic": "cp500"}
"""Both give every byte a character, so that pyiso8583 never stops over content: which ones may be there is
the field's own pattern, and all patterns are of ASCII."""
_DIGITS, _HEXADECIMAL, _ANNOUNCING = "0123456789", "0123456789ABCDEFabcdef", "89ABCDEFabcdef"
_TWO_DIGITS = bytes(byte for byte in range(256) if f"{byte:02x}".isdigit())


class Specification(dict[str, Mapping[str, Any]]):
    """A dialect as pyiso8583 takes it. A field that the dialect lacks is longer than any frame: reading stops there."""

    def __init__(self, dialect: Dialect) -> None:
        charset = charset_of(dialect)
        bcd = dialect.numerics == "bcd"
        bitmap = _raw(8) if dialect.bitmap == "binary" else _text(charset, 16)
        heads = {
            "h": _raw(tpdu.LENGTH if dialect.framing.tpdu else 0),
            "t": _raw(2) if bcd else _text(charset, 4),
            "p": bitmap,
            "1": bitmap,
        }
        super().__init__(heads | {str(number): _layout(dialect, field) for number, field in dialect.fields.items()})

    def __missing__(self, key: str) -> Mapping[str, Any]:
        return _text("latin-1", sys.maxsize)


class Head(Struct, frozen=True, gc=False):
    """Where the parts before the fields begin in a frame, and how they look. Offsets and sizes are in bytes."""

    begins: Callable[[bytes], object]
    """Tells whether a frame begins with header, MTI and bitmap."""
    mti: Callable[[bytes], str]
    """Reads the bytes of an MTI."""
    is_bitmap: Callable[[bytes, int], object]
    """Tells whether there is a bitmap in a frame at an offset."""
    bitmap_expected: str
    announcing: frozenset[int]
    """First bytes of a bitmap that announces another."""
    no_fields: bytes
    """A bitmap that announces nothing."""
    mti_at: int
    first_at: int
    second_at: int
    fields_at: int
    """Where fields begin after a second bitmap."""


def charset_of(dialect: Dialect) -> str:
    """Name the codec of a dialect's characters."""
    return _CHARSETS[dialect.text]


def head_of(dialect: Dialect) -> Head:
    """Say how a dialect's frames begin."""
    charset = charset_of(dialect)
    bcd, binary = dialect.numerics == "bcd", dialect.bitmap == "binary"
    mti_at = tpdu.LENGTH if dialect.framing.tpdu else 0
    first_at = mti_at + (2 if bcd else 4)
    size = 8 if binary else 16
    mti = _one_of(_TWO_DIGITS) + b"{2}" if bcd else _one_of(_DIGITS.encode(charset)) + b"{4}"
    bitmap = b".{8}" if binary else _one_of(_HEXADECIMAL.encode(charset)) + b"{16}"
    return Head(
        begins=re.compile(b".{%d}%b%b" % (mti_at, mti, bitmap), re.DOTALL).match,
        mti=bytes.hex if bcd else lambda block: block.decode(charset),
        is_bitmap=re.compile(bitmap, re.DOTALL).match,
        bitmap_expected="8 bytes expected" if binary else "16 hexadecimal digits expected",
        announcing=frozenset(range(0x80, 0x100) if binary else _ANNOUNCING.encode(charset)),
        no_fields=bytes(size) if binary else ("0" * size).encode(charset),
        mti_at=mti_at,
        first_at=first_at,
        second_at=first_at + size,
        fields_at=first_at + 2 * size,
    )


def length_test(dialect: Dialect) -> Callable[[bytes], object]:
    """Make the test of the bytes of a variable field's length: pyiso8583 would take signs and spaces for digits."""
    if dialect.lengths == "bcd":
        return re.compile(_one_of(_TWO_DIGITS) + b"+").fullmatch
    return re.compile(_one_of(_DIGITS.encode(charset_of(dialect))) + b"+").fullmatch


def conversions(dialect: Dialect, field: Field) -> tuple[Conversion | None, Conversion | None]:
    """Return what is to be done to a field's text before it is written, and after it was read."""
    if not is_bcd(dialect, field):
        return None, None
    charset = charset_of(dialect)
    match field.content:
        case Content.TRACK:
            return lambda text: text.replace("=", "D"), lambda text: text.replace("D", "=")
        case Content.SIGNED:
            return (
                lambda text: text[0].encode(charset).hex() + text[1:],
                lambda text: bytes.fromhex(text[:2]).decode(charset) + text[2:],
            )
        case _:
            return None, None


def is_bcd(dialect: Dialect, field: Field) -> bool:
    """Tell whether the digits of a field stand two a byte."""
    return (field.numerics or dialect.numerics) == "bcd"


def _layout(dialect: Dialect, field: Field) -> Mapping[str, Any]:
    charset = charset_of(dialect)
    bcd = is_bcd(dialect, field)
    match field.content:
        case Content.DIGITS | Content.TRACK if bcd:
            data = _raw(field.length) | {"len_count": "nibbles"} | _pad(dialect, field)
        case Content.SIGNED if bcd:
            data = _raw((field.length + 1) // 2)
        case Content.BINARY if dialect.binary == "raw":
            data = _raw(field.length // 2)
        case _:
            data = _text(charset, field.length)
    if dialect.lengths == "bcd":
        return data | {"len_enc": "bcd", "len_type": (field.prefix + 1) // 2}
    return data | {"len_enc": charset, "len_type": field.prefix}


def _pad(dialect: Dialect, field: Field) -> dict[str, str]:
    side, digit = dialect.padding.split() if field.prefix else ("left", "0")
    return {f"{side}_pad": digit}


def _text(charset: str, length: int) -> dict[str, Any]:
    return {"data_enc": charset, "len_enc": charset, "len_type": 0, "max_len": length, "desc": ""}


def _raw(length: int) -> dict[str, Any]:
    return _text("b", length)


def _one_of(values: Iterable[int]) -> bytes:
    return b"[%b]" % b"".join(b"\\x%02x" % value for value in values)
