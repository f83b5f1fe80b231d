"""What becomes of a frame: a function of the faults in force, the seed, and which frame of which connection it is.

Nothing here waits, sends or remembers: the same seed gives the same fates, however fast anyone sends and whatever is
in the frames. Chances are in parts per 1,000.
"""

import random
from enum import StrEnum
from typing import Annotated, Self

from msgspec import Meta, Struct

from authz.wire.dialect import Framing
from authz.wire.frames import Framer

PER_MILLE = 1_000
DELAY_MS_MAX = 600_000
DRIP_BYTES_PER_S_MAX = 1_000_000_000
SPOTS_MAX = 4
"""Bytes of one frame that are corrupted at most."""
LENGTH_ERROR_MAX = 9
"""Bytes by which a length is wrong at most. Below half of the smallest `payload_bytes_max`, so that a length that is
wrong one way or the other always fits the framing."""

PerMille = Annotated[int, Meta(ge=0, le=PER_MILLE)]
Milliseconds = Annotated[int, Meta(ge=1, le=DELAY_MS_MAX)]


class Direction(StrEnum):
    """A connection's two halves, as the authorizer sees them."""

    TO = "to"
    FROM = "from"


class Break(StrEnum):
    """What a direction, or its connection, ends by at a frame; of several, the first here. They are faults by name."""

    CUT = "cut"
    HALVE = "halve"
    BLACKHOLE = "blackhole"
    HALF_CLOSE = "half_close"


CHANCES = (*Break, "drop", "duplicate", "reorder", "delay", "corrupt", "misframe")
"""The faults that strike by chance, in the order in which they are drawn."""


class Faults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong in one direction, and how often: parts per 1,000 frames, each drawn for itself.

    A frame may meet several at once, but for what one leaves no room for: what is lost isn't late. Raises
    `ValueError` for what can't be.
    """

    drop: PerMille = 0
    """Frames lost."""
    duplicate: PerMille = 0
    """Frames sent twice, the second time within the bounds of a delay."""
    reorder: PerMille = 0
    """Frames that the next one overtakes, or that come `delay_max_ms` late where none does."""
    delay: PerMille = 0
    """Frames that come late, by `delay_min_ms` to `delay_max_ms`, evenly spread; equal bounds are a fixed delay."""
    delay_min_ms: Milliseconds = 1
    delay_max_ms: Milliseconds = 200
    corrupt: PerMille = 0
    """Frames of which 1 to `SPOTS_MAX` bytes are others; the length in front is right."""
    misframe: PerMille = 0
    """Frames whose length in front is wrong, by up to `LENGTH_ERROR_MAX` bytes; the rest is right."""
    halve: PerMille = 0
    """Frames of which a first part is sent, and the connection ended."""
    half_close: PerMille = 0
    """Frames behind which this direction is closed (a FIN); what comes later vanishes, the other direction goes on."""
    blackhole: PerMille = 0
    """Frames from which on everything vanishes, its end too, while the connection stays; until faults are in force
    that have no blackhole."""
    cut: PerMille = 0
    """Frames that are lost with their connection, which is reset (an RST), and with what was delayed on it."""
    drip_bytes_per_s: Annotated[int, Meta(ge=1, le=DRIP_BYTES_PER_S_MAX)] | None = None
    """How fast bytes are sent at most; 1 is one byte a second."""

    def __post_init__(self) -> None:
        """Refuse what `Meta` would, however these are made, and bounds that are the wrong way round."""
        if not all(0 <= getattr(self, name) <= PER_MILLE for name in CHANCES):
            raise ValueError("a chance is 0 to 1000 parts per 1,000")
        if not 1 <= self.delay_min_ms <= self.delay_max_ms <= DELAY_MS_MAX:
            raise ValueError(f"a delay is 1 to {DELAY_MS_MAX} ms, and `delay_min_ms` at most `delay_max_ms`")
        if self.drip_bytes_per_s is not None and not 1 <= self.drip_bytes_per_s <= DRIP_BYTES_PER_S_MAX:
            raise ValueError(f"a drip is 1 to {DRIP_BYTES_PER_S_MAX} bytes a second")


class LineFaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What goes wrong on a line: in `both` directions alike, but for one that has faults of its own.

    `refuse`: connections, in parts per 1,000, that are reset as soon as they are made.
    """

    both: Faults = Faults()
    to: Faults | None = None
    from_: Faults | None = None
    refuse: PerMille = 0

    def __post_init__(self) -> None:
        """Refuse what `Meta` would, however this is made."""
        if not 0 <= self.refuse <= PER_MILLE:
            raise ValueError("a chance is 0 to 1000 parts per 1,000")

    @classmethod
    def towards(cls, direction: Direction | None, faults: Faults, *, refuse: int = 0) -> Self:
        """Make those of a line with the same faults in one direction, or in both (None)."""
        if direction is None:
            return cls(both=faults, refuse=refuse)
        return cls(to=faults, refuse=refuse) if direction is Direction.TO else cls(from_=faults, refuse=refuse)

    def of(self, direction: Direction) -> Faults:
        """Return those of one direction."""
        own = self.to if direction is Direction.TO else self.from_
        return self.both if own is None else own


class Spot(Struct, frozen=True):
    """A byte that is corrupted: its place, to be taken modulo the frame's length, and the bits that are flipped."""

    place: int
    bits: int


class Fate(Struct, frozen=True, kw_only=True):
    """What happens to one frame. `delays_ms` has an entry for each copy that is sent on: 0 is at once.

    `overtaken_within_ms`: the frame waits for the next one so long. `length_error` is in bytes. `share_per_mille` is
    what is sent of a frame that is cut in half.
    """

    broken: Break | None = None
    delays_ms: tuple[int, ...] = (0,)
    overtaken_within_ms: int | None = None
    spots: tuple[Spot, ...] = ()
    length_error: int = 0
    share_per_mille: int = PER_MILLE


UNHARMED = Fate()


def draw(faults: Faults, seed: int, connection: int, direction: Direction, frame: int) -> Fate:
    """Decide what happens to the `frame`-th of the `connection`-th connection's one direction, counted from 1.

    Everything is drawn for every frame, in a fixed order: which frames one fault strikes, and how, depends on no
    other fault.
    """
    if faults == NONE:
        return UNHARMED
    chance = random.Random(f"{seed}:{connection}:{direction}:{frame}")  # noqa: S311 - reproducible, not secret
    struck = {name: chance.randrange(PER_MILLE) < getattr(faults, name) for name in CHANCES}
    first, second, share = chance.random(), chance.random(), chance.randrange(1, PER_MILLE)
    length_error = chance.randint(1, LENGTH_ERROR_MAX) * chance.choice((-1, 1))
    spots = tuple(Spot(chance.randrange(1 << 16), chance.randrange(1, 256)) for _ in range(SPOTS_MAX))
    spots = spots[: chance.randint(1, SPOTS_MAX)]
    copies = (_delay(faults, first) if struck["delay"] else 0, _delay(faults, second))
    broken = next((each for each in Break if struck[each]), None)
    return Fate(
        broken=broken,
        delays_ms=() if struck["drop"] else copies[: 1 + struck["duplicate"]],
        overtaken_within_ms=faults.delay_max_ms if struck["reorder"] and not struck["drop"] else None,
        spots=spots if struck["corrupt"] else (),
        length_error=length_error if struck["misframe"] else 0,
        share_per_mille=share if broken is Break.HALVE else PER_MILLE,
    )


def refuses(refuse: int, seed: int, connection: int) -> bool:
    """Decide whether the `connection`-th connection is refused."""
    return random.Random(f"{seed}:{connection}").randrange(PER_MILLE) < refuse  # noqa: S311 - as above


def on_the_wire(payload: bytes, fate: Fate, framing: Framing) -> bytes:
    """Return a frame as its fate leaves it: with its length in front, corrupted where it is to be, whole."""
    size, spoilt = len(payload), bytearray(payload)
    for spot in fate.spots:
        place = spot.place % size
        spoilt[place] = payload[place] ^ spot.bits
    stated = size + fate.length_error
    if not 0 <= stated <= framing.payload_bytes_max:
        stated = size - fate.length_error
    return Framer(framing).frame(bytes(stated))[: framing.length_bytes] + spoilt


def first_part(frame: bytes, fate: Fate) -> bytes:
    """Return what is sent of a frame that is cut in half: at least its first byte, and never its last."""
    return frame[: max(1, (len(frame) - 1) * fate.share_per_mille // PER_MILLE)]


def _delay(faults: Faults, drawn: float) -> int:
    return faults.delay_min_ms + int(drawn * (faults.delay_max_ms - faults.delay_min_ms + 1))


NONE = Faults()
"""Nothing goes wrong."""
