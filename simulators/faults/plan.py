"""What goes wrong when: a plan of phases, each with its own faults, by the clock or by the frames that pass."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from simulators import toml_files
from simulators.faults.fates import Faults, LineFaults
from simulators.mistakes import Mistake

PHASES_MAX = 1_000
PHASE_S_MAX = 7 * 24 * 3_600
PHASE_FRAMES_MAX = 1_000_000_000


class PlanUnreadable(Mistake):
    """The plan's file is missing, or isn't what a plan's file must be."""


class Phase(LineFaults, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Faults that are in force until so many frames have passed, of both directions together, or for so long.

    With neither, they stay.
    """

    for_frames: Annotated[int, Meta(ge=1, le=PHASE_FRAMES_MAX)] | None = None
    for_s: Annotated[float, Meta(gt=0, le=PHASE_S_MAX)] | None = None

    def __post_init__(self) -> None:
        """Refuse a phase with two ends."""
        super().__post_init__()
        if self.for_frames is not None and self.for_s is not None:
            raise ValueError("a phase has `for_frames` or `for_s`, not both")

    @property
    def stays(self) -> bool:
        """Whether it has no end."""
        return self.for_frames is None and self.for_s is None


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Phases one after the other. Behind the last one, where that ends, nothing goes wrong any more."""

    phase: Annotated[tuple[Phase, ...], Meta(min_length=1, max_length=PHASES_MAX)]

    def __post_init__(self) -> None:
        """Refuse phases that would never come."""
        if any(phase.stays for phase in self.phase[:-1]):
            raise ValueError("only the last phase can do without `for_frames` and `for_s`")


def lasting(faults: Faults | LineFaults) -> Plan:
    """Make the plan of what goes wrong from now on: of `Faults` in both directions, or of a line's."""
    line = LineFaults(both=faults) if isinstance(faults, Faults) else faults
    return Plan(phase=(Phase(both=line.both, to=line.to, from_=line.from_, refuse=line.refuse),))


def read(path: Path) -> Plan:
    """Read a plan from a TOML file. Raises `PlanUnreadable`, with the place in the file that is wrong."""
    return toml_files.load(path, Plan, PlanUnreadable)


class Course:
    """A plan under way, from now on: tells what is in force, and is told of every frame that passes.

    It holds no timer: a phase whose time is over ends when it is next looked at, and the one behind it has begun at
    the very moment at which that time was over. `clock` is in seconds.
    """

    def __init__(self, plan: Plan, clock: Callable[[], float]) -> None:
        self._phases = iter((*plan.phase, Phase()))
        self._clock = clock
        self._begin(clock())

    @property
    def faults(self) -> LineFaults:
        """Those in force for the next frame."""
        while self._phase.for_s is not None and self._clock() >= self._began_s + self._phase.for_s:
            self._begin(self._began_s + self._phase.for_s)
        return self._phase

    def passed(self) -> None:
        """Count a frame; the last of its phase ends it."""
        self._frames += 1
        if self._frames == self._phase.for_frames:
            self._begin(self._clock())

    def _begin(self, at_s: float) -> None:
        self._phase, self._began_s, self._frames = next(self._phases), at_s, 0
