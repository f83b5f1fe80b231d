"""A scenario as its TOML file says it. Unknown keys are refused, with their place in the file."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from simulators.mistakes import Mistake
from simulators.scenarios.steps import (
    STEPS_MAX,
    WITHIN_MS_DEFAULT,
    AnyStep,
    Fault,
    Milliseconds,
    Name,
    Parallel,
    Table,
    Variable,
)
from simulators.terminal.card import masked

FILE_BYTES_MAX = 1 << 20

Hexadecimal: TypeAlias = Annotated[str, Meta(pattern="^[0-9A-Fa-f]+$")]


class ScenarioInvalid(Mistake):
    """A scenario's file can't be read or carried out as it stands: the message says which file, where and why."""


class HostClock(Table, frozen=True, kw_only=True):
    """`host`: the instant at the host when the scenario begins. The terminals' clocks begin there and stand still."""

    host: Annotated[datetime, Meta(tz=True)]


class Place(Table, frozen=True, kw_only=True):
    """A terminal, one of the parameters'. `merchant` stands in place of its own; `off` is how wrong its clock is."""

    terminal: str
    merchant: str | None = None
    off: timedelta = timedelta()
    track2: bool = False
    """Whether chip and stripe are sent as track 2 (DE 35) instead of the number."""


class ChipOn(Table, frozen=True, kw_only=True):
    """A card's chip, personalised from the issuer's master key. Its repr doesn't show it."""

    key: Hexadecimal
    version: Literal[10, 18] = 18
    sequence: Annotated[int, Meta(ge=0, le=99)] = 1

    def __repr__(self) -> str:
        return f"ChipOn(CVN {self.version})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("version", self.version)]


class CardInHand(Table, frozen=True, kw_only=True):
    """A card, one of the parameters' by its holder's name, or any by its number.

    `pin` is what its holder types. It, `expiry` (YYMM) and `generation` are the parameters' where they know them.
    """

    holder: str | None = None
    pan: str | None = None
    pin: str | None = None
    cvv2: str | None = None
    expiry: str | None = None
    generation: Literal[1, 2] | None = None
    chip: ChipOn | None = None

    def __post_init__(self) -> None:
        """Refuse a card that is named twice, or not at all. Raises `ValueError`."""
        if (self.holder is None) == (self.pan is None):
            raise ValueError("either `holder` or `pan` expected")

    def __repr__(self) -> str:
        return f"CardInHand({self.holder or masked(self.pan or '')})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("holder", self.holder), ("pan", masked(self.pan or ""))]


class Keys(Table, frozen=True, kw_only=True):
    """The link's keys beside the zone PIN key. With `mac`, every request is signed. Its repr shows none."""

    mac: Hexadecimal | None = None

    def __repr__(self) -> str:
        return "Keys(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class Waiting(Table, frozen=True, kw_only=True):
    """How long a till that `pays` waits for an answer, how long between reversals, and how many it sends at a time."""

    answer_within_ms: Milliseconds = WITHIN_MS_DEFAULT
    again_every_ms: Milliseconds = 1_000
    tries_max: Annotated[int, Meta(ge=1, le=1_000)] = 3


class Script(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole scenario. `config` names a file beside it, which the host is started with."""

    name: Name
    purpose: str
    clock: HostClock
    step: Annotated[tuple[AnyStep, ...], Meta(min_length=1, max_length=STEPS_MAX)]
    terminals: Annotated[dict[Name, Place], Meta(min_length=1)]
    cards: dict[Name, CardInHand] = {}
    variables: dict[Variable, int | str] = {}
    config: str | None = None
    keys: Keys = Keys()
    waiting: Waiting = Waiting()

    def every_step(self) -> Iterator[AnyStep]:
        """Go through all steps as they stand in the file, those of branches behind their parallel step."""
        return _each(self.step)

    @property
    def needs_bad_line(self) -> bool:
        """Whether the line is spoilt in any step."""
        return any(isinstance(step, Fault) for step in self.every_step())


class Source(Struct, frozen=True):
    """A scenario and where it stands: `label` for messages, `config` as a path that the host can be given."""

    label: str
    script: Script
    config: Path | None = None


SHIPPED = files("simulators.scenarios") / "shipped"


def shipped_names() -> tuple[str, ...]:
    """Names of the scenarios that come along."""
    found = (entry.name for entry in SHIPPED.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


def find(named: str) -> Source:
    """Read a scenario by the path of its file, or by its name if it comes along. Raises `ScenarioInvalid`."""
    if re.fullmatch("[a-z0-9-]+", named) and named in shipped_names():
        return read(Path(str(SHIPPED / f"{named}.toml")), named)
    return read(Path(named), named)


def read(path: Path, label: str) -> Source:
    """Read a scenario's file. Raises `ScenarioInvalid`."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise ScenarioInvalid(f"{label}: no such file, and no scenario of this name: simulate run --list") from None
    except OSError as failed:
        raise ScenarioInvalid(f"{label}: {failed.strerror}") from None
    if len(content) > FILE_BYTES_MAX:
        raise ScenarioInvalid(f"{label}: larger than {FILE_BYTES_MAX:,} bytes")
    script = parse(content, label)
    return Source(label, script, None if script.config is None else path.parent / script.config)


def parse(content: bytes, label: str) -> Script:
    """Read a scenario's text. Raises `ScenarioInvalid`, with the place in the file that is wrong."""
    try:
        return msgspec.toml.decode(content, type=Script)
    except msgspec.ValidationError as wrong:
        raise ScenarioInvalid(f"{label}: {wrong}") from None
    except (msgspec.DecodeError, ValueError) as wrong:
        raise ScenarioInvalid(f"{label}: not TOML: {_first_line(wrong)}") from None


def _first_line(wrong: Exception) -> str:
    """Where TOML breaks off; the lines behind may hold what stands there."""
    place = re.search(r"\(at [^)]*\)", str(wrong))
    return place[0] if place else "unreadable"


def _each(steps: tuple[AnyStep, ...]) -> Iterator[AnyStep]:
    for step in steps:
        yield step
        if isinstance(step, Parallel):
            for branch in step.branch:
                yield from _each(branch.step)
