"""Bounds on a result: what a run must keep, for whoever has to decide by an exit code."""

import re

from msgspec import Struct

from simulators.load.result import Result
from simulators.mistakes import Mistake

_UNITS_MS = {"us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1_000.0, "m": 60_000.0, "min": 60_000.0, "h": 3_600_000.0}


class DurationUnfit(Mistake):
    """A length of time is a number and its unit, such as 500us, 20ms, 1.5s or 10m."""


class Bound(Struct, frozen=True):
    """The most that a figure of a result may be; `name` is the option that set it, `unit` its unit."""

    name: str
    most: float
    unit: str = ""

    def broken_by(self, result: Result) -> str | None:
        """Say by how much a result breaks it; None where it doesn't."""
        value = float(_FIGURES[self.name](result))
        if value <= self.most:
            return None
        times = f", {value / self.most:.2f} times as much" if self.most else ""
        unit = f" {self.unit}" if self.unit else ""
        excess = f"{value - self.most:,.4g}{unit} too much{times}"
        return f"{self.name} is {value:,g}{unit}, above {self.most:,g}{unit}: {excess}"


_FIGURES = {
    "p50": lambda result: result.p50_ms,
    "p90": lambda result: result.p90_ms,
    "p99": lambda result: result.p99_ms,
    "p99.9": lambda result: result.p99_9_ms,
    "max": lambda result: result.max_ms,
    "errors": lambda result: result.errors,
    "unanswered": lambda result: result.unanswered,
}


def milliseconds(text: str, option: str) -> float:
    """Read a length of time. Raises `DurationUnfit`.

    >>> milliseconds("20ms", "--p99"), milliseconds("1.5s", "--p99"), milliseconds("2m", "--duration")
    (20.0, 1500.0, 120000.0)
    """
    parts = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-zµ]+)", text.strip())
    if parts is None or parts[2] not in _UNITS_MS:
        raise DurationUnfit(f"{option}: a number and its unit, such as 500us, 20ms, 1.5s or 10m")
    return float(parts[1]) * _UNITS_MS[parts[2]]
