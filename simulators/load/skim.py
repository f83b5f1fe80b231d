"""Skimming: what a reply answers and what it says, without reading the rest of it.

A message's head (MTI and bitmap) says where its fields lie, up to those of variable length: so the way through a head
is found once and kept. Fields' contents aren't tested as `Codec.decode` tests them.
"""

from msgspec import Struct

from authz.wire.rules import is_response, reply_mti
from simulators.load.places import Place, Places, Unwalkable, size_after

HEADS_MAX = 1_024
"""Ways kept. A host that has more kinds of replies is skimmed as well, at the cost of finding the way each time."""
MATCHED = (11, 12, 13, 41, 42)
"""A reply echoes these; they name the request that it answers."""
MATCHED_PLACELESS = (7, 11)
PLACELESS = "58"
"""Second digits of the message types that no terminal sends: totals and network management."""
RESPONSE_CODE, REASON = 39, 44


class Skimmed(Struct, frozen=True, gc=False):
    """What was found in a message: texts as they lie there, None where the field is absent.

    `key` is the same for a request and its reply: the reply's MTI, then the bytes of the fields that a reply echoes.
    """

    mti: str
    key: bytes
    response_code: str | None
    reason: str | None


class _Step(Struct, frozen=True, gc=False):
    """Fields of fixed length that are taken, at offsets from here; how long all are; what follows has a length."""

    key_spans: tuple[tuple[int, int], ...]
    response_code: tuple[int, int] | None
    size_bytes: int
    variable: Place | None
    takes_reason: bool
    takes_key: bool


class _Way(Struct, frozen=True):
    mti: str
    key_head: bytes
    fields_at: int
    steps: tuple[_Step, ...]


class Skimmer:
    """Skims the payloads of one dialect."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._ways: dict[bytes, _Way] = {}
        self._code = places.reader(RESPONSE_CODE)
        self._reason = places.reader(REASON)
        self._plain = (places.mti_at, places.bitmap_at + places.bitmap_bytes)

    def skim(self, payload: bytes) -> Skimmed:
        """Raises `Unwalkable`."""
        begin, end = self._plain
        way = self._ways.get(payload[begin:end]) or self._find(payload)
        at = way.fields_at
        parts = [way.key_head]
        code: bytes | None = None
        reason: bytes | None = None
        for step in way.steps:
            for first, last in step.key_spans:
                parts.append(payload[at + first : at + last])
            if step.response_code is not None:
                first, last = step.response_code
                code = payload[at + first : at + last]
            at += step.size_bytes
            place = step.variable
            if place is not None:
                size = size_after(payload, at, place)
                at += place.prefix_bytes
                if step.takes_reason:
                    reason = payload[at : at + size]
                elif step.takes_key:
                    parts.append(payload[at : at + size])
                at += size
        if at > len(payload):
            raise Unwalkable
        return Skimmed(
            way.mti,
            b"".join(parts),
            None if code is None else self._code(code),
            None if reason is None else self._reason(reason),
        )

    def _find(self, payload: bytes) -> _Way:
        """Find the way through a head, and keep it. A head of two bitmaps can't be told by its first alone."""
        head = self._places.head(payload)
        way = self._ways.get(head)
        if way is None:
            way = self._way(head)
            if len(self._ways) < HEADS_MAX:
                self._ways[head] = way
        return way

    def _way(self, head: bytes) -> _Way:
        mti = self._places.mti(head)
        matched = MATCHED_PLACELESS if mti[1] in PLACELESS else MATCHED
        answer = mti if is_response(mti) else reply_mti(mti)
        steps: list[_Step] = []
        spans: list[tuple[int, int]] = []
        code: tuple[int, int] | None = None
        at = 0
        for number, place in self._places.fields(head):
            if place.prefix_bytes:
                steps.append(_Step(tuple(spans), code, at, place, number == REASON, number in matched))
                spans, code, at = [], None, 0
                continue
            if number in matched:
                spans.append((at, at + place.size_bytes))
            elif number == RESPONSE_CODE:
                code = at, at + place.size_bytes
            at += place.size_bytes
        steps.append(_Step(tuple(spans), code, at, None, takes_reason=False, takes_key=False))
        return _Way(mti, answer.encode(), self._places.mti_at + len(head), tuple(steps))
