"""Plans: how messages with one and the same set of fields are read and written, worked out from the dialect's data.

A frame is seen twice: as characters, one a byte, and as nibbles, two hexadecimal digits a byte; a field is a slice of
one of the two. Its texts, set one behind the other with a separator that no field may hold, are tested by one regular
expression: the patterns of the fields with that separator between them.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from msgspec import Struct

from authz.wire import tpdu
from authz.wire.content import pattern
from authz.wire.dialect import Content, Dialect, Field
from authz.wire.layout import Conversion, charset_of, conversions, is_bcd
from authz.wire.meaning import MEANINGS, Reader
from authz.wire.message import ATTRIBUTES

SEPARATOR = "\0"
Stride = Callable[[str, str, int, list[str]], int]
"""Takes a frame's next field, or next few of fixed length, and gives the offset behind them.

Of the frame's characters, its nibbles, and an offset in bytes; the texts go to the end of the list. A length that
can't be read, or a wrong pad, ends beyond any frame: the one test that the last field ends with its frame finds both.
"""

_MTI, _HEADER = "[0-9]{4}", "[0-9A-Fa-f]{10}"
_NOBODY = "unused"
"""The name of a text that nothing reads: a pad, or a field that is kept by number and length."""
_BEYOND = sys.maxsize
"""Longer than any frame."""
_ELEMENTS, _TRACK2 = 48, 35
_CARD = frozenset({2, 14})
_FIRST_BITMAP_BITS = 64
_LENGTHS = {digits: {f"{length:0{digits}}": length for length in range(10 ** min(digits, 3))} for digits in (2, 3, 4)}
"""Lengths by their digits. Of the four of BCD, the first is unused."""


class ReadingPlan(Struct, frozen=True, gc=False):
    """How a frame with certain fields is read: the texts, the first of them the MTI, then what becomes of them."""

    in_nibbles: bool
    """Whether any stride looks at the frame's nibbles."""
    strides: tuple[Stride, ...]
    conversions: tuple[tuple[int, Conversion], ...]
    """By a text's place."""
    well_formed: Callable[[str], object]
    """Tests all texts, joined."""
    names: tuple[str, ...]
    """A message's attributes; `unused` for texts that none bears."""
    readers: tuple[tuple[str, Reader], ...]
    """By attribute."""
    may_contradict: bool
    """Track 2 comes with a PAN or an expiry that may differ from its own."""
    unused: tuple[tuple[int, int], ...]
    """Of fields that nothing reads: number, and a text's place."""


class WritingPlan(Struct, frozen=True, gc=False):
    """How a message with certain fields is written: its texts are tested, then some replaced by what is sent.

    The first texts are the header, if the message has one, and the MTI; behind that, the bitmaps are put.
    """

    elements_at: int | None
    well_formed: Callable[[str], object]
    """Tests all texts, joined."""
    forms: tuple[tuple[int, Conversion], ...]
    """By a text's place: text to characters as sent."""


class _Place(Struct, frozen=True, gc=False):
    """A field on the wire: a slice of the characters, or of the nibbles, its length counting so many by `unit`."""

    number: int
    field: Field
    nibbles: bool
    unit: int

    @property
    def size(self) -> int:
        """Characters, or nibbles with the pad of an odd number, of a fixed length."""
        return self.field.length + (self.field.length % 2 if self.nibbles else 0)

    @property
    def padded(self) -> bool:
        """Whether it is of fixed length with a pad, a 0 on the left. A sign in BCD is a whole byte: it needs none."""
        field = self.field
        return not field.prefix and self.size > field.length and field.content is not Content.SIGNED


def reading_plan(dialect: Dialect, numbers: Sequence[int]) -> ReadingPlan:
    """Plan the reading of frames with these fields, all of them the dialect's, in their order."""
    in_nibbles = False
    strides: list[Stride] = []
    changed: list[tuple[int, Conversion]] = []
    patterns, names = [_MTI], ["mti"]
    unused: list[tuple[int, int]] = []
    for (variable, nibbles), group in groupby(_places(dialect, numbers), _stretch):
        places = list(group)
        in_nibbles |= nibbles or (variable and dialect.lengths == "bcd")
        strides += [_variable(dialect, place) for place in places] if variable else [_fixed(places, nibbles)]
        for place in places:
            if place.padded:
                patterns.append("0")
                names.append(_NOBODY)
            _, from_wire = conversions(dialect, place.field)
            if from_wire is not None:
                changed.append((len(names), from_wire))
            name = ATTRIBUTES.get(place.number)
            if name is None:
                unused.append((place.number, len(names)))
            patterns.append(pattern(place.field))
            names.append(name or _NOBODY)
    return ReadingPlan(
        in_nibbles=in_nibbles,
        strides=tuple(strides),
        conversions=tuple(changed),
        well_formed=_test(patterns),
        names=tuple(names),
        readers=tuple((ATTRIBUTES[number], MEANINGS[number][0]) for number in numbers if number in MEANINGS),
        may_contradict=_TRACK2 in numbers and not _CARD.isdisjoint(numbers),
        unused=tuple(unused),
    )


def writing_plan(dialect: Dialect, numbers: Sequence[int], headed: bool) -> WritingPlan:
    """Plan the writing of messages with these fields, all of them the dialect's, in their order.

    `headed`: they have a header of their own, and the dialect has one.
    """
    unhex = _unhex(dialect)
    header = "" if headed or not dialect.framing.tpdu else unhex(tpdu.DEFAULT)
    bitmaps = _bitmaps(dialect, numbers)
    spell = unhex if dialect.numerics == "bcd" else str
    forms: list[tuple[int, Conversion]] = [(0, unhex)] if headed else []
    forms.append((len(forms), lambda mti: f"{header}{spell(mti)}{bitmaps}"))
    first = len(forms)
    for at, place in enumerate(_places(dialect, numbers), first):
        form = _form(dialect, place)
        if form is not None:
            forms.append((at, form))
    patterns = [_HEADER, _MTI] if headed else [_MTI]
    return WritingPlan(
        elements_at=first + numbers.index(_ELEMENTS) if _ELEMENTS in numbers else None,
        well_formed=_test([*patterns, *(pattern(dialect.fields[number]) for number in numbers)]),
        forms=tuple(forms),
    )


def _test(patterns: Iterable[str]) -> Callable[[str], object]:
    return re.compile(SEPARATOR.join(patterns)).fullmatch


def _places(dialect: Dialect, numbers: Iterable[int]) -> Iterator[_Place]:
    for number in numbers:
        field = dialect.fields[number]
        if field.content is Content.BINARY:
            yield _Place(number, field, nibbles=dialect.binary == "raw", unit=2)
        else:
            digits = field.content in (Content.DIGITS, Content.TRACK, Content.SIGNED)
            yield _Place(number, field, nibbles=digits and is_bcd(dialect, field), unit=1)


def _stretch(place: _Place) -> tuple[bool, bool]:
    return place.field.prefix > 0, place.nibbles


def _fixed(places: Iterable[_Place], nibbles: bool) -> Stride:
    """Take a run of fields of fixed length. A pad is a text of its own."""
    slices: list[slice] = []
    end = 0
    for place in places:
        start, end = end, end + place.size
        if place.padded:
            slices.append(slice(start, start := start + 1))
        slices.append(slice(start, end))
    size = end

    def take_characters(characters: str, _: str, at: int, texts: list[str]) -> int:
        run = characters[at : at + size]
        texts += [run[part] for part in slices]
        return at + size

    def take_nibbles(_: str, nibbles: str, at: int, texts: list[str]) -> int:
        run = nibbles[2 * at : 2 * at + size]
        texts += [run[part] for part in slices]
        return at + size // 2

    return take_nibbles if nibbles else take_characters


def _variable(dialect: Dialect, place: _Place) -> Stride:
    """Take a field that its length stands before."""
    bcd_length = dialect.lengths == "bcd"
    prefix = (place.field.prefix + 1) // 2 if bcd_length else place.field.prefix
    lengths: Mapping[str, int] = _LENGTHS[2 * prefix if bcd_length else prefix]
    unit = place.unit
    side, pad = dialect.padding.split()
    pad_on_left = side == "left"

    def take_characters(characters: str, nibbles: str, at: int, texts: list[str]) -> int:
        start = at + prefix
        end = start + lengths.get(nibbles[2 * at : 2 * start] if bcd_length else characters[at:start], _BEYOND)
        texts.append(characters[start:end])
        return end

    def take_nibbles(characters: str, nibbles: str, at: int, texts: list[str]) -> int:
        start = at + prefix
        size = unit * lengths.get(nibbles[2 * at : 2 * start] if bcd_length else characters[at:start], _BEYOND)
        end = start + (size + 1) // 2
        first = 2 * start
        if size % 2:
            pad_at = first if pad_on_left else 2 * end - 1
            if nibbles[pad_at : pad_at + 1] != pad:
                return _BEYOND
            first += pad_on_left
        texts.append(nibbles[first : first + size])
        return end

    return take_nibbles if place.nibbles else take_characters


def _form(dialect: Dialect, place: _Place) -> Conversion | None:
    """Make what turns a field's text into characters as sent. None where those are the text itself."""
    convert, _ = conversions(dialect, place.field)
    unhex = _unhex(dialect)
    side, pad = dialect.padding.split() if place.field.prefix else ("left", "0")
    left, right = (pad, "") if side == "left" else ("", pad)

    def bytes_of(text: str) -> str:
        if convert is not None:
            text = convert(text)
        return unhex(f"{left}{text}{right}" if len(text) % 2 else text)

    if not place.field.prefix:
        return bytes_of if place.nibbles else None
    length_of = _length_form(dialect, place.field.prefix)
    if not place.nibbles:
        return lambda text: f"{length_of(len(text))}{text}"
    unit = place.unit
    return lambda text: f"{length_of(len(text) // unit)}{bytes_of(text)}"


def _length_form(dialect: Dialect, prefix: int) -> Callable[[int], str]:
    """Make what turns the length of a variable field into characters as sent."""
    if dialect.lengths == "text":
        return f"%0{prefix}d".__mod__
    unhex, digits = _unhex(dialect), f"%0{prefix + prefix % 2}d"
    return lambda length: unhex(digits % length)


def _bitmaps(dialect: Dialect, numbers: Sequence[int]) -> str:
    """Write the bitmap, or the two of them, that announces fields, in characters as sent."""
    second = numbers[-1] > _FIRST_BITMAP_BITS if numbers else False
    bits = 2 * _FIRST_BITMAP_BITS if second else _FIRST_BITMAP_BITS
    announced = sum(1 << (bits - number) for number in ([1, *numbers] if second else numbers))
    digits = f"{announced:0{bits // 4}X}"
    return _unhex(dialect)(digits) if dialect.bitmap == "binary" else digits


def _unhex(dialect: Dialect) -> Conversion:
    """Make what turns hexadecimal digits into the characters whose bytes they are."""
    charset = charset_of(dialect)
    return lambda digits: bytes.fromhex(digits).decode(charset)
