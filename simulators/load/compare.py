"""Two results beside each other: how much slower, and whether they can be compared at all."""

from msgspec import Struct
from rich.console import Console
from rich.table import Column, Table

from simulators.load.result import Asked, Recorded, Result

PERCENTILES = (50, 90, 99, 99.9, 100)


class Line(Struct, frozen=True):
    """One figure of both results. `ratio` is the second's to the first's, None where that is nothing."""

    figure: str
    first: float
    second: float

    @property
    def ratio(self) -> float | None:
        """How many times the first the second is."""
        return self.second / self.first if self.first else None


def compare(first: Recorded, second: Recorded) -> tuple[Line, ...]:
    """Figures of both, all messages before each; a message that only one of them has is left out."""
    one, other = first.result, second.result
    lines = [
        Line("asked/s", one.asked_rate, other.asked_rate),
        Line("held/s", one.held_rate, other.held_rate),
        Line("errors", one.errors, other.errors),
        Line("unanswered", one.unanswered, other.unanswered),
        Line("lag p99 ms", one.lag_p99_ms, other.lag_p99_ms),
    ]
    for message in (None, *(message for message in one.messages if message in other.messages)):
        lines += _percentiles(message, one, other)
    return tuple(lines)


def differences(first: Recorded, second: Recorded) -> tuple[str, ...]:
    """Say in what two runs were asked for different loads; empty where they can be compared."""
    found = [
        f"{name.replace('_', ' ')}: {before} and {after}"
        for name in Asked.__struct_fields__
        if (before := getattr(first.asked, name)) != (after := getattr(second.asked, name)) and name != "seed"
    ]
    for name, recorded in (("first", first), ("second", second)):
        if not recorded.result.was_held(recorded.asked.seconds):
            found.append(f"the {name} did not hold its rate")
    return tuple(found)


def show(console: Console, first: Recorded, second: Recorded) -> None:
    """Print both, and what keeps them from being compared."""
    table = Table("", *(Column(name, justify="right") for name in ("first", "second", "ratio")))
    for line in compare(first, second):
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        table.add_row(line.figure, f"{line.first:,.2f}", f"{line.second:,.2f}", ratio)
    console.print(table)
    differing = differences(first, second)
    if differing:
        console.print("not the same load: " + "; ".join(differing), style="yellow")
    else:
        console.print("the same load was asked of both")


def _percentiles(message: str | None, one: Result, other: Result) -> list[Line]:
    before, after = one.latencies(message), other.latencies(message)
    return [
        Line(
            f"{message or 'all'} {'max' if percentile == 100 else f'p{percentile:g}'} ms",
            before.milliseconds(percentile),
            after.milliseconds(percentile),
        )
        for percentile in PERCENTILES
    ]
