"""What a measurement must show, beside what it showed."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.ground import console_for_tables, keep
from benchmarks.processes import Stolen
from simulators.load.run import precise_loop

DONE, FINDING = 0, 1


class Bound(Struct, frozen=True, kw_only=True):
    """A figure and what it must be: at least `least`, at most `most`. With neither it is only told."""

    what: str
    value: float
    unit: str
    least: float | None = None
    most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the figure is what it must be.

        >>> Bound(what="goodput", value=0.93, unit="", least=0.9).holds
        True
        """
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    def cells(self) -> tuple[str, str, str, str]:
        """What, how much, what it must be, and whether it is."""
        if self.least is None and self.most is None:
            return self.what, self._text(self.value), "", ""
        wanted = [f"≥ {self._text(self.least)}"] if self.least is not None else []
        wanted += [f"≤ {self._text(self.most)}"] if self.most is not None else []
        return self.what, self._text(self.value), ", ".join(wanted), "yes" if self.holds else "NO"

    def _text(self, value: float) -> str:
        digits = 0 if abs(value) >= 100 or value == int(value) else 2
        return f"{value:,.{digits}f} {self.unit}".rstrip()


COLUMNS = ("it must show", "measured", "bound", "held")
"""Of a table of bounds."""


def show_bounds(console: Console, bounds: Sequence[Bound]) -> None:
    """Print figures beside their bounds."""
    table = Table(*COLUMNS)
    for one in bounds:
        table.add_row(*one.cells(), style=None if one.holds else "bold red")
    console.print(table)


def all_hold(bounds: Iterable[Bound]) -> bool:
    """Whether every bound is held."""
    return all(one.holds for one in bounds)


class Bounded(Protocol):
    """A measurement that is held against what it must show."""

    @property
    def bounds(self) -> Sequence[Bound]:
        """Its figures."""


def judged(section: str, json: Path, measure: Callable[[Console], Coroutine[Any, Any, Bounded]]) -> int:
    """Measure on an event loop with precise timers, print figures and bounds, and keep all in the file of results.

    Returns the exit code: `FINDING` where a bound is not held.
    """
    console, stolen = console_for_tables(), Stolen()
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        measured = runner.run(measure(console))
    show_bounds(console, measured.bounds)
    console.print(stolen)
    keep(json, section, measured)
    return DONE if all_hold(measured.bounds) else FINDING
