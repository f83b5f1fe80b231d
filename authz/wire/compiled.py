"""Reading and writing by plans: the short way for messages that are in perfect order.

A plan is made once a set of fields, from a message that was examined and found good; whatever it can't take ends in
None, and is to be examined. What it gives is what the examination would have given. Nothing of a message is kept but
which fields it had.
"""

from itertools import compress
from operator import is_not
from typing import Any

from msgspec.structs import astuple

from authz.wire.dialect import Dialect
from authz.wire.layout import Head, charset_of, head_of
from authz.wire.meaning import contradiction
from authz.wire.message import ATTRIBUTES, Message
from authz.wire.plan import SEPARATOR, ReadingPlan, WritingPlan, reading_plan, writing_plan

PLANS_MAX = 256
"""Sets of fields that a reader, or a writer, makes plans for; messages with others are always examined. A plan costs
as much to make as hundreds of messages to read, so a peer can't be let make us do it over and over."""

_FIELDS_FROM = 2
"""Before them: header, MTI."""
_BITMAPS = (1, 65)
"""Bits that announce no field but another bitmap."""
_MAC, _MAC_ABOVE_64 = 64, 128
_NUMBERS = {attribute: number for number, attribute in ATTRIBUTES.items()} | {"mac": _MAC}
_SENT = Message.__struct_fields__[:-1]
"""All but `unused`, in the order in which a frame has them."""
_ABSENT = (None,) * len(_SENT)


class CompiledReader:
    """Reads frames of a dialect that have sets of fields it has learned."""

    def __init__(self, dialect: Dialect, plans_max: int) -> None:
        self._dialect = dialect
        self._charset = charset_of(dialect)
        self._head: Head = head_of(dialect)
        self._plans: dict[str, ReadingPlan] = {}
        self._plans_max = plans_max

    def read(self, frame: bytes) -> Message | None:
        """Read a frame. None: its fields aren't learned, or not all is as it should be."""
        head = self._head
        characters = str(frame, self._charset)
        at = self._fields_at(frame)
        plan = self._plans.get(characters[head.first_at : at])
        if plan is None:
            return None
        nibbles = frame.hex().upper() if plan.in_nibbles else ""
        texts = [head.mti(frame[head.mti_at : head.first_at])]
        for take in plan.strides:
            at = take(characters, nibbles, at, texts)
        if at != len(frame):
            return None
        for place, convert in plan.conversions:
            texts[place] = convert(texts[place])
        if not plan.well_formed(SEPARATOR.join(texts)):
            return None
        values: dict[str, Any] = dict(zip(plan.names, texts, strict=True))
        for attribute, read in plan.readers:
            value = values[attribute] = read(values[attribute])
            if value is None:
                return None
        if plan.may_contradict and contradiction(values) is not None:
            return None
        values["unused"] = tuple([(number, len(texts[place])) for number, place in plan.unused])
        if head.mti_at:
            values["header"] = frame[: head.mti_at].hex().upper()
        return Message(**values)

    def learn(self, frame: bytes) -> None:
        """Make the plan of a frame that was examined and found good, while there is room."""
        bitmaps = frame[self._head.first_at : self._fields_at(frame)]
        key = str(bitmaps, self._charset)
        if len(self._plans) < self._plans_max and key not in self._plans:
            block = bitmaps if self._dialect.bitmap == "binary" else bytes.fromhex(key)
            self._plans[key] = reading_plan(self._dialect, _announced(block))

    def _fields_at(self, frame: bytes) -> int:
        """Tell where a frame's fields begin: behind the first bitmap, or the second."""
        head = self._head
        second = len(frame) > head.first_at and frame[head.first_at] in head.announcing
        return head.fields_at if second else head.second_at


class CompiledWriter:
    """Writes messages, in a dialect, that have sets of fields it has learned."""

    def __init__(self, dialect: Dialect, plans_max: int) -> None:
        self._dialect = dialect
        self._charset = charset_of(dialect)
        self._plans: dict[bytes, WritingPlan] = {}
        self._plans_max = plans_max

    def write(self, message: Message) -> bytes | None:
        """Write a message. None: its fields aren't learned, or one of them doesn't fit."""
        values = astuple(message)
        present = _present(values)
        plan = self._plans.get(present)
        if plan is None:
            return None
        texts = list(compress(values, present))
        if plan.elements_at is not None:
            texts[plan.elements_at] = texts[plan.elements_at].text
        if not plan.well_formed(SEPARATOR.join(texts)):
            return None
        for place, form in plan.forms:
            texts[place] = form(texts[place])
        return "".join(texts).encode(self._charset)

    def learn(self, message: Message) -> None:
        """Make the plan of a message that was examined and could be written, while there is room."""
        present = _present(astuple(message))
        if len(self._plans) < self._plans_max and present not in self._plans:
            numbers = [_NUMBERS[name] for name in compress(_SENT[_FIELDS_FROM:], present[_FIELDS_FROM:])]
            if message.mac is not None and max(numbers) > _MAC:
                numbers[-1] = _MAC_ABOVE_64
            self._plans[present] = writing_plan(self._dialect, numbers, headed=message.header is not None)


def _present(values: tuple[Any, ...]) -> bytes:
    """Which of a message's attributes it has: a byte for each, 1 or 0."""
    return bytes(map(is_not, values, _ABSENT))


def _announced(bitmaps: bytes) -> list[int]:
    """Read which fields one bitmap, or two, announce."""
    bits = f"{int.from_bytes(bitmaps, 'big'):0{8 * len(bitmaps)}b}"
    return [number for number, bit in enumerate(bits, 1) if bit == "1" and number not in _BITMAPS]
