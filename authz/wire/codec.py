"""Bytes to messages and back, by a dialect. The one place that calls pyiso8583.

pyiso8583 lays fields out and takes them apart; it looks at no content, and its exceptions hold the whole message.
So every field is tested here, and none of its exceptions gets out, not even as the context of another.

That is how a message is examined. One that is in order, with fields that came together before, takes the short way of
`authz.wire.compiled`, which gives the same or nothing.
"""

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import iso8583
import msgspec
from msgspec import Struct

from authz.wire import tpdu
from authz.wire.compiled import PLANS_MAX, CompiledReader, CompiledWriter
from authz.wire.content import expected, matcher
from authz.wire.dialect import Dialect, Field
from authz.wire.layout import Conversion, Head, Specification, charset_of, conversions, head_of, length_test
from authz.wire.meaning import MEANINGS, Flaw, Reader, contradiction
from authz.wire.message import ATTRIBUTES, Message

WHOLE = 0
"""Stands for a field's number where the message as a whole is meant."""
MAC_LENGTH = 16
"""Hexadecimal digits of a MAC in a message, whatever the dialect sends for them."""

_HEADS = ("h", "t", "p", "1")
_SECONDARY_BITMAP, _TERTIARY_BITMAP = 1, 65
_ELEMENTS, _MAC, _MAC_ABOVE_64 = 48, 64, 128
_NO_FIELD = "no field of this dialect"
_NO_MAC = "0" * MAC_LENGTH


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
    """Reads and writes the messages of one dialect; one serves any number of connections.

    It keeps plans for the first `plans_max` sets of fields that it meets, each way, and nothing of any message.
    With 0, every message is examined.
    """

    def __init__(self, dialect: Dialect, plans_max: int = PLANS_MAX) -> None:
        self.dialect = dialect
        self._specification = Specification(dialect)
        self._head: Head = head_of(dialect)
        self._is_length = length_test(dialect)
        self._fields = {str(number): _prepare(number, field, dialect) for number, field in dialect.fields.items()}
        self._mac_bytes = len(self._mac(_NO_MAC))
        self._reader = CompiledReader(dialect, plans_max)
        self._writer = CompiledWriter(dialect, plans_max)

    def decode(self, frame: bytes) -> Message:
        """Read one message, its frame's length already taken off. Raises `Unreadable` and `Malformed`.

        `Malformed` names the first ill-formed field; its `partial` has every well-formed one up to where a wrong
        length or a field that the dialect lacks makes the rest unreadable.
        """
        message = self._reader.read(frame)
        if message is None:
            message = self._examine(frame)
            self._reader.learn(frame)
        return message

    def encode(self, message: Message) -> bytes:
        """Write a message as it stands, a MAC included if it has one. Raises `Unsendable`.

        Characters and lengths are tested, meaning isn't: a terminal under test may send two PANs that differ.
        `unused` is not written. A dialect that has a header gets the default one where the message has none.
        """
        frame = self._writer.write(message)
        if frame is None:
            frame = self._lay_out(message)
            self._writer.learn(message)
        return frame

    def encode_unsigned(self, message: Message) -> bytes:
        """Write a message with zeros in the place of its MAC, which `signed` fills. Raises `Unsendable`.

        Making a MAC is asynchronous, writing is not, so it takes three steps:
        `frame = encode_unsigned(message)`, `mac = await make_mac(zone, covered(frame))`, `signed(frame, mac)`.
        """
        return self.encode(msgspec.structs.replace(message, mac=_NO_MAC))

    def covered(self, frame: bytes) -> bytes:
        """Return what the MAC of a frame is made over: all from the MTI to the last field before it.

        The frame must have one: written by `encode_unsigned`, or read as a message whose `mac` is there.
        """
        return frame[self._head.mti_at : -self._mac_bytes]

    def signed(self, frame: bytes, mac: str) -> bytes:
        """Put a MAC (16 hexadecimal digits) in its place at the end of a frame from `encode_unsigned`."""
        assert len(mac) == MAC_LENGTH
        return frame[: -self._mac_bytes] + self._mac(mac)

    def _examine(self, frame: bytes) -> Message:
        split = self._split(frame)
        values: dict[str, Any] = {"mti": split.mti, "header": split.header}
        unused: list[tuple[int, int]] = []
        wrong: Flaw | None = None
        for key, text in split.texts.items():
            field = self._fields[key]
            if field.prefixed and not self._is_length(split.parts[key]["len"]):
                wrong = wrong or (field.number, field.expected)
                break
            if field.from_wire is not None:
                text = field.from_wire(text)
            value = field.read(text) if field.matches(text) else None
            if value is None:
                wrong = wrong or (field.number, field.expected)
            elif field.attribute is not None:
                values[field.attribute] = value
            else:
                unused.append((field.number, len(text)))
        else:
            wrong = wrong or split.flaw
        contradicted = _contradiction(values, split.texts)
        wrong = wrong or contradicted
        message = Message(**values, unused=tuple(unused))
        if wrong is not None:
            raise Malformed(*wrong, message)
        return message

    def _lay_out(self, message: Message) -> bytes:
        if not _MTI(message.mti):
            raise Unsendable(WHOLE, "4 digits expected as the message type")
        texts = {"t": message.mti}
        if self._head.mti_at or message.header is not None:
            texts["h"] = self._header(message.header)
        last = 0
        for number, value in zip(_SENT, _sent(message), strict=True):
            if value is not None:
                self._put(texts, number, value.text if number == _ELEMENTS else value)
                last = number
        if message.mac is not None:
            self._put(texts, _MAC_ABOVE_64 if last > _MAC else _MAC, message.mac)
        frame, _ = iso8583.encode(texts, self._specification)
        return bytes(frame)

    def _mac(self, mac: str) -> bytes:
        return bytes.fromhex(mac) if self.dialect.binary == "raw" else mac.encode(charset_of(self.dialect))

    def _header(self, header: str | None) -> str:
        if not self._head.mti_at:
            raise Unsendable(WHOLE, "no header in this dialect")
        if header is not None and not _HEADER(header):
            raise Unsendable(WHOLE, "10 hexadecimal digits expected as the header")
        return header or tpdu.DEFAULT

    def _put(self, texts: dict[str, str], number: int, text: str) -> None:
        key = str(number)
        field = self._fields.get(key)
        if field is None:
            raise Unsendable(number, _NO_FIELD)
        if not field.matches(text):
            raise Unsendable(number, field.expected)
        texts[key] = text if field.to_wire is None else field.to_wire(text)

    def _split(self, frame: bytes) -> "_Split":
        """Take a frame apart. Raises `Unreadable`, and `Malformed` where the secondary bitmap isn't there."""
        head = self._head
        if not head.begins(frame):
            raise Unreadable
        mti = head.mti(frame[head.mti_at : head.first_at])
        header = frame[: head.mti_at].hex().upper() or None
        secondary = frame[head.first_at] in head.announcing
        if secondary and not head.is_bitmap(frame, head.second_at):
            raise Malformed(_SECONDARY_BITMAP, head.bitmap_expected, Message(mti=mti, header=header))
        # pyiso8583 would read field 65 as a third bitmap, before all fields. Without the second bitmap it reads those
        # up to 64, which are all that can be told.
        tertiary = secondary and frame[head.second_at] in head.announcing
        if tertiary:
            frame = frame[: head.second_at] + head.no_fields + frame[head.fields_at :]
        flaw: Flaw | None = None
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
        for key in _HEADS:
            texts.pop(key, None)
        return _Split(mti, header, texts, parts, flaw)


class _Split(Struct):
    """A frame taken apart: texts and encoded parts by field, up to the first that can't be read; and why it can't."""

    mti: str
    header: str | None
    texts: dict[str, str]
    parts: dict[str, dict[str, bytes]]
    flaw: Flaw | None


class _Prepared(Struct):
    """A field of the dialect, made ready. `read` gives the value of a text that `matches`; None: it has none.

    `to_wire` and `from_wire` stand between a text and what pyiso8583 lays out; None where that is the text itself.
    """

    number: int
    attribute: str | None
    prefixed: bool
    expected: str
    matches: Callable[[str], object]
    read: Reader
    to_wire: Conversion | None
    from_wire: Conversion | None


_MTI = re.compile("[0-9]{4}").fullmatch
_HEADER = re.compile("[0-9A-Fa-f]{10}").fullmatch
_SENT = [number for number, attribute in ATTRIBUTES.items() if attribute != "mac"]
_sent = attrgetter(*(ATTRIBUTES[number] for number in _SENT))


def _as_it_is(text: str) -> str:
    return text


def _prepare(number: int, field: Field, dialect: Dialect) -> _Prepared:
    read, meaning = MEANINGS.get(number, (_as_it_is, ""))
    why = f"{expected(field)} expected{meaning}"
    to_wire, from_wire = conversions(dialect, field)
    return _Prepared(number, ATTRIBUTES.get(number), field.prefix > 0, why, matcher(field), read, to_wire, from_wire)


def _contradiction(values: dict[str, Any], texts: dict[str, str]) -> Flaw | None:
    """Find fields that are well-formed but can't stand together; the one that is to blame leaves the values."""
    if "64" in texts and int(next(reversed(texts))) > _MAC:
        values.pop("mac", None)
        return _MAC, "DE 128 expected instead, since there are fields above 64"
    return contradiction(values)
