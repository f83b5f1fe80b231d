"""What all connections through a proxy have in common: the faults in force, and the count of what was done."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from authz.wire.dialect import Framing
from simulators.faults.fates import Direction, Fate, Faults, LineFaults, draw, refuses
from simulators.faults.plan import Course, Plan, lasting


class Counts(Struct):
    """What was done so far: to connections, then to frames. A frame can be in several counts."""

    connections: int = 0
    refused: int = 0
    unreached: int = 0
    """Connections for which the authorizer couldn't be reached."""
    cut: int = 0
    halved: int = 0
    half_closed: int = 0
    frames: int = 0
    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    delayed: int = 0
    corrupted: int = 0
    misframed: int = 0
    vanished: int = 0
    """Frames that went into a black hole, or behind the end of a half-closed direction."""

    def __str__(self) -> str:
        return " ".join(f"{name}={count}" for name, count in msgspec.structs.asdict(self).items())

    def carried(self, fate: Fate) -> None:
        """Count what a frame met that didn't break its direction."""
        if not fate.delays_ms:
            self.dropped += 1
            return
        self.duplicated += len(fate.delays_ms) > 1
        self.reordered += fate.overtaken_within_ms is not None
        self.delayed += fate.delays_ms[0] > 0
        self.corrupted += bool(fate.spots)
        self.misframed += bool(fate.length_error)


class Regime:
    """What is in force, from one frame to the next. `clock` is in seconds."""

    def __init__(
        self, faults: Faults | LineFaults | Plan, seed: int, framing: Framing, clock: Callable[[], float]
    ) -> None:
        self.counts = Counts()
        self.framing = framing
        self._seed = seed
        self._clock = clock
        self.change(faults)

    def change(self, faults: Faults | LineFaults | Plan) -> None:
        """Put other faults in force, from the next frame on; a plan begins now."""
        plan = faults if isinstance(faults, Plan) else lasting(faults)
        self._course = Course(plan, self._clock)

    @property
    def faults(self) -> LineFaults:
        """What is in force for the next frame."""
        return self._course.faults

    def refuses(self, connection: int) -> bool:
        """Decide whether a connection is refused, by the number it bears."""
        return refuses(self.faults.refuse, self._seed, connection)

    def fate(self, connection: int, direction: Direction, frame: int) -> tuple[Fate, Faults]:
        """Count a frame; return what happens to it, and the faults that it met."""
        faults = self.faults.of(direction)
        self._course.passed()
        self.counts.frames += 1
        return draw(faults, self._seed, connection, direction, frame), faults
