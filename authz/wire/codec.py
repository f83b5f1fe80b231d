"""Bytes to messages and back, by a dialect. The one place that knows pyiso8583.

pyiso8583 lays fields out and takes them apart; it looks at no content, and its exceptions hold the whole message.
So every field is tested here, and none of its exceptions gets out, not even as the context of another.
"""

import re
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import iso8583
import msgspec
from msgspec import Struct

from authz.wire.content import expected, matcher
from authz.wire.dialect import Dialect, Field
from authz.wire.message import ATTRIBUTES, Elements, Message
from authz.wire.track2 import Track2

WHOLE = 0
"""Stands for a field's number where the message as a whole is meant."""
MAC_LENGTH = 16
"""Bytes that a MAC takes up: the last ones of its frame."""

_SECONDARY_BITMAP, _TERTIARY_BITMAP = 1, 65
_ELEMENTS, _MAC, _MAC_ABOVE_64 = 48, 64, 128
_NO_FIELD = "no field of this dialect"


class Unreadable(Exception):
    """There is no message type and bitmap in this frame."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Malformed(Exception):
    """A field of this message is missing, misplaced or ill-formed.

    `field` is its number (0: the message as a whole), `why` says what is expected and holds no content,
    `partial` is the message as far as it is well-formed.
    """

    def __init__(self, field: int, why: str, partial: Message) -> None:
        super().__init__(f"DE {field}: {why}" if field else why)
        self.field = field
        self.why = why
        self.partial = partial


class Unsendable(Exception):
    """A field of this message doesn't fit the dialect. `field` is its number, `why` says what is expected."""

    def __init__(self, field: int, why: str) -> None:
        super().__init__(f"DE {field}: {why}" if field else why)
        self.field = field
        self.why = why


class Codec:
    """Reads and writes the messages of one dialect. It keeps no state: one serves any number of connections."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._specification = _specification(dialect)
        self._fields = {str(number): _prepare(number, field) for number, field in dialect.fields.items()}

    def decode(self, frame: bytes) -> Message:
        """Read one message, its frame's length already taken off. Raises `Unreadable` and `Malformed`.

        `Malformed` names the first ill-formed field; its `partial` has every well-formed one up to where a wrong
        length or a field that the dialect lacks makes the rest unreadable.
        """
        split = self._split(frame)
        values: dict[str, Any] = {"mti": split.mti}
        unused: list[tuple[int, int]] = []
        wrong: _Flaw | None = None
        for key, text in split.texts.items():
            field = self._fields[key]
            if field.prefixed and not split.parts[key]["len"].isdigit():
                wrong = wrong or (field.number, field.expected)
                break
            value = field.read(text) if field.matches(text) else None
            if value is None:
                wrong = wrong or (field.number, field.expected)
            elif field.attribute is not None:
                values[field.attribute] = value
            else:
                unused.append((field.number, len(text)))
        else:
            wrong = wrong or split.flaw
        contradiction = _contradiction(values, split.texts)
        wrong = wrong or contradiction
        message = Message(**values, unused=tuple(unused))
        if wrong is not None:
            raise Malformed(*wrong, message)
        return message

    def encode(self, message: Message) -> bytes:
        """Write a message as it stands, a MAC included if it has one. Raises `Unsendable`.

        Characters and lengths are tested, meaning isn't: a terminal under test may send two PANs that differ.
        `unused` is not written.
        """
        if not _MTI(message.mti):
            raise Unsendable(WHOLE, "4 digits expected as the message type")
        texts = {"t": message.mti}
        last = 0
        for number, value in zip(_SENT, _sent(message), strict=True):
            if value is not None:
                self._put(texts, number, value.text if number == _ELEMENTS else value)
                last = number
        if message.mac is not None:
            self._put(texts, _MAC_ABOVE_64 if last > _MAC else _MAC, message.mac)
        frame, _ = iso8583.encode(texts, self._specification)
        return bytes(frame)

    def encode_unsigned(self, message: Message) -> bytes:
        """Write a message with zeros in the place of its MAC, which `signed` fills. Raises `Unsendable`.

        Making a MAC is asynchronous, writing is not, so it takes three steps:
        `frame = encode_unsigned(message)`, `mac = await make_mac(zone, covered(frame))`, `signed(frame, mac)`.
        """
        return self.encode(msgspec.structs.replace(message, mac="0" * MAC_LENGTH))

    @staticmethod
    def covered(frame: bytes) -> bytes:
        """Return what the MAC of a frame is made over: all from the MTI to the last field before it.

        The frame must have one: written by `encode_unsigned`, or read as a message whose `mac` is there.
        """
        return frame[:-MAC_LENGTH]

    @staticmethod
    def signed(frame: bytes, mac: str) -> bytes:
        """Put a MAC (16 hexadecimal digits) in its place at the end of a frame from `encode_unsigned`."""
        assert len(mac) == MAC_LENGTH
        return frame[:-MAC_LENGTH] + mac.encode("ascii")

    def _put(self, texts: dict[str, str], number: int, text: str) -> None:
        key = str(number)
        field = self._fields.get(key)
        if field is None:
            raise Unsendable(number, _NO_FIELD)
        if not field.matches(text):
            raise Unsendable(number, field.expected)
        texts[key] = text

    def _split(self, frame: bytes) -> "_Split":
        """Take a frame apart. Raises `Unreadable`, and `Malformed` where the secondary bitmap isn't there."""
        if not _HEAD(frame):
            raise Unreadable
        mti = frame[:4].decode("ascii")
        secondary = frame[4] >= _FIRST_BIT
        if secondary and not _BITMAP(frame, 20):
            raise Malformed(_SECONDARY_BITMAP, "16 hexadecimal digits expected", Message(mti=mti))
        # pyiso8583 would read field 65 as a third bitmap, before all fields. Without the second bitmap it reads those
        # up to 64, which are all that can be told.
        tertiary = secondary and frame[20] >= _FIRST_BIT
        if tertiary:
            frame = frame[:20] + b"0" * 16 + frame[36:]
        flaw: _Flaw | None = None
        try:
            texts, parts = iso8583.decode(frame, self._specification)
        except iso8583.DecodeError as stopped:
            texts, parts = stopped.doc_dec, stopped.doc_enc
            if stopped.msg == "Extra data after last field":
                flaw = WHOLE, "nothing expected after the last field"
            else:
                del texts[stopped.field]
                field = self._fields.get(stopped.field)
                flaw = int(stopped.field), field.expected if field else _NO_FIELD
        if tertiary and (flaw is None or flaw[0] == WHOLE):
            flaw = _TERTIARY_BITMAP, _NO_FIELD
        for key in ("t", "p", "1"):
            texts.pop(key, None)
        return _Split(mti, texts, parts, flaw)


_Flaw = tuple[int, str]
"""The number of a field, and what is expected of it."""


class _Split(Struct):
    """A frame taken apart: texts and encoded parts by field, up to the first that can't be read; and why it can't."""

    mti: str
    texts: dict[str, str]
    parts: dict[str, dict[str, bytes]]
    flaw: _Flaw | None


class _Prepared(Struct):
    """A field of the dialect, made ready. `read` gives the value of a text that `matches`; None: it has none."""

    number: int
    attribute: str | None
    prefixed: bool
    expected: str
    matches: Callable[[str], object]
    read: Callable[[str], str | Elements | None]


class _Specification(dict[str, Mapping[str, Any]]):
    """A dialect as pyiso8583 takes it. A field that the dialect lacks is longer than any frame: reading stops there."""

    def __missing__(self, key: str) -> Mapping[str, Any]:
        return _layout(0, sys.maxsize)


_HEAD = re.compile(rb"[0-9]{4}[0-9A-Fa-f]{16}").match
_BITMAP = re.compile(rb"[0-9A-Fa-f]{16}").match
_FIRST_BIT = ord("8")
"""The least of the hexadecimal digits, of either case, that have their first bit set."""
_MTI = re.compile("[0-9]{4}").fullmatch
_SENT = [number for number, attribute in ATTRIBUTES.items() if attribute != "mac"]
_sent = attrgetter(*(ATTRIBUTES[number] for number in _SENT))


def _as_it_is(text: str) -> str:
    return text


def _track2(text: str) -> str | None:
    return text if Track2.parse(text) else None


def _replacement(text: str) -> str | None:
    return text if text[:12].isdigit() else None


_READERS: Mapping[int, tuple[Callable[[str], str | Elements | None], str]] = {
    35: (_track2, ": PAN, separator, expiry"),
    48: (Elements.parse, ": elements of two letters, three digits of length, and a value of the tag's kind"),
    95: (_replacement, ", the first 12 of them digits"),
}


def _prepare(number: int, field: Field) -> _Prepared:
    read, meaning = _READERS.get(number, (_as_it_is, ""))
    why = f"{expected(field)} expected{meaning}"
    return _Prepared(number, ATTRIBUTES.get(number), field.prefix > 0, why, matcher(field), read)


def _contradiction(values: dict[str, Any], texts: dict[str, str]) -> _Flaw | None:
    """Find fields that are well-formed but can't stand together; the one that is to blame leaves the values."""
    if "64" in texts and int(next(reversed(texts))) > _MAC:
        values.pop("mac", None)
        return _MAC, "DE 128 expected instead, since there are fields above 64"
    track2 = Track2.parse(values.get("track2", ""))
    if track2 is None:
        return None
    if values.get("pan", track2.pan) != track2.pan:
        del values["track2"]
        return 35, "the PAN of DE 2 expected"
    if values.get("expiry", track2.expiry) != track2.expiry:
        del values["expiry"]
        return 14, "the expiry of track 2 expected"
    return None


def _layout(prefix: int, length: int) -> Mapping[str, Any]:
    # Latin-1 gives every byte a character, so that pyiso8583 never stops over content: which ones may be there is
    # the field's own pattern, and all patterns are of ASCII.
    return {"data_enc": "latin-1", "len_enc": "latin-1", "len_type": prefix, "max_len": length, "desc": ""}


def _specification(dialect: Dialect) -> _Specification:
    heads = {"h": _layout(0, 0), "t": _layout(0, 4), "p": _layout(0, 16), "1": _layout(0, 16)}
    fields = {str(number): _layout(field.prefix, field.length) for number, field in dialect.fields.items()}
    return _Specification(heads | fields)
