"""Where fields lie in a message's bytes, told from a dialect's data alone, without reading what is in them.

A load generator can't afford to read every reply whole, nor to write every request anew: a reply is skimmed for the
few fields that matter, and a request is an earlier one with other values in the same places.
"""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import compress

from msgspec import Struct

from authz.wire import tpdu
from authz.wire.dialect import Content, Dialect, Field

Span = tuple[int, int]
"""Begin and end of a field's content in a payload, in bytes; its length isn't part of it."""
_CHARSETS = {"ascii": "latin-1", "ebcdic": "cp500"}


class Unwalkable(Exception):
    """The bytes end before the fields that their bitmap announces, or a field's length is no number."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Place(Struct, frozen=True):
    """How a field lies on the wire: `size_bytes` where it is fixed, else `prefix_bytes` that `sizes` has in bytes."""

    size_bytes: int
    prefix_bytes: int = 0
    sizes: dict[bytes, int] = {}


class Places:
    """The fields of one dialect's payloads. A payload is a frame without its length."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.charset = _CHARSETS[dialect.text]
        self.mti_at = tpdu.LENGTH if dialect.framing.tpdu else 0
        self.bitmap_at = self.mti_at + (2 if dialect.numerics == "bcd" else 4)
        self.bitmap_bytes = 8 if dialect.bitmap == "binary" else 16
        self._places = {number: self._place(field) for number, field in dialect.fields.items()}

    def head(self, payload: bytes) -> bytes:
        """MTI and bitmaps, as they lie there: payloads of one head have the same fields."""
        first = self.bitmap_at + self.bitmap_bytes
        head = payload[self.mti_at : first]
        return (
            payload[self.mti_at : first + self.bitmap_bytes] if self._numbers(head[-self.bitmap_bytes :])[0] else head
        )

    def mti(self, head: bytes) -> str:
        """Read the MTI of a head. Raises `Unwalkable`."""
        size = self.bitmap_at - self.mti_at
        mti = head[:size].hex() if self.dialect.numerics == "bcd" else head[:size].decode(self.charset)
        if len(mti) != 4 or not (mti.isascii() and mti.isdigit()):
            raise Unwalkable
        return mti

    def fields(self, head: bytes) -> list[tuple[int, Place]]:
        """The fields that a head announces, in their order. Raises `Unwalkable` where the dialect lacks one."""
        bits = self._numbers(head[self.bitmap_at - self.mti_at :])
        numbers = (number for number in compress(range(1, 1 + len(bits)), bits) if number != 1)
        try:
            return [(number, self._places[number]) for number in numbers]
        except KeyError:
            raise Unwalkable from None

    def spans(self, payload: bytes) -> dict[int, Span]:
        """Where every field of a payload lies. Raises `Unwalkable`."""
        head = self.head(payload)
        at = self.mti_at + len(head)
        spans: dict[int, Span] = {}
        for number, place in self.fields(head):
            size = place.size_bytes
            if place.prefix_bytes:
                size = size_after(payload, at, place)
                at += place.prefix_bytes
            spans[number] = at, at + size
            at += size
        if at > len(payload):
            raise Unwalkable
        return spans

    def writer(self, number: int) -> Callable[[str], bytes]:
        """What turns a field's text into its bytes on the wire, its length left out."""
        field, charset = self.dialect.fields[number], self.charset
        match field.content:
            case Content.BINARY if self.dialect.binary == "raw":
                return bytes.fromhex
            case Content.SIGNED if self._in_nibbles(field):
                return lambda text: text[:1].encode(charset) + bytes.fromhex(text[1:])
            case Content.DIGITS | Content.TRACK if self._in_nibbles(field):
                side, digit = self.dialect.padding.split() if field.prefix else ("left", "0")
                return lambda text: _nibbles(text.replace("=", "D"), side, digit)
            case _:
                return lambda text: text.encode(charset)

    def reader(self, number: int) -> Callable[[bytes], str]:
        """What turns a fixed field's bytes on the wire into text, or those of a variable one of characters."""
        field = self.dialect.fields.get(number)
        if field is not None and self._in_nibbles(field):
            return lambda content: content.hex()[-field.length :]
        return lambda content: content.decode(self.charset)

    def _place(self, field: Field) -> Place:
        halved = self._in_nibbles(field) or (field.content is Content.BINARY and self.dialect.binary == "raw")
        if not field.prefix:
            return Place((field.length + 1) // 2 if halved else field.length)
        bcd = self.dialect.lengths == "bcd"
        sizes = _sizes(field.prefix, None if bcd else self.charset, in_nibbles=self._in_nibbles(field))
        return Place(0, (field.prefix + 1) // 2 if bcd else field.prefix, sizes)

    def _in_nibbles(self, field: Field) -> bool:
        bcd = (field.numerics or self.dialect.numerics) == "bcd"
        return bcd and field.content in (Content.DIGITS, Content.TRACK, Content.SIGNED)

    def _numbers(self, bitmaps: bytes) -> list[bool]:
        """The bits, from field 1 on. Raises `Unwalkable`."""
        try:
            raw = bitmaps if self.dialect.bitmap == "binary" else bytes.fromhex(bitmaps.decode(self.charset))
        except ValueError:
            raise Unwalkable from None
        if len(raw) not in (8, 16):
            raise Unwalkable
        return [bit == "1" for bit in f"{int.from_bytes(raw, 'big'):0{8 * len(raw)}b}"]


def size_after(payload: bytes, at: int, place: Place) -> int:
    """The size in bytes of the content of the variable field whose length stands at an offset. Raises `Unwalkable`."""
    try:
        return place.sizes[payload[at : at + place.prefix_bytes]]
    except KeyError:
        raise Unwalkable from None


@cache
def _sizes(digits: int, charset: str | None, *, in_nibbles: bool) -> dict[bytes, int]:
    """By the bytes of a length of so many digits (None: BCD), the size in bytes of what it counts."""
    sizes: dict[bytes, int] = {}
    for count in range(10**digits):
        text = f"{count:0{digits}d}"
        prefix = _nibbles(text, "left", "0") if charset is None else text.encode(charset)
        sizes[prefix] = (count + 1) // 2 if in_nibbles else count
    return sizes


def _nibbles(text: str, side: str, digit: str) -> bytes:
    if len(text) % 2:
        text = digit + text if side == "left" else text + digit
    return bytes.fromhex(text)


class Template:
    """A frame whose fields can be given other values of the same length. `fields` are the numbers of those."""

    def __init__(self, places: Places, frame: bytes, fields: Iterable[int]) -> None:
        head = places.dialect.framing.length_bytes
        spans = places.spans(frame[head:])
        self.fields = tuple(fields)
        self._frame = frame
        self._patches = [
            (number, head + spans[number][0], head + spans[number][1], places.writer(number)) for number in self.fields
        ]

    def __repr__(self) -> str:
        return f"Template({len(self._frame)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, int]]:
        return [("bytes", len(self._frame))]

    def fill(self, texts: dict[int, str]) -> bytes:
        """The frame with these texts, by field number; others than `fields` are passed over."""
        frame = bytearray(self._frame)
        for number, begin, end, wire in self._patches:
            frame[begin:end] = wire(texts[number])
        if len(frame) != len(self._frame):
            raise ValueError("a field's text has another length than the template's")
        return bytes(frame)
