"""What one sees while a run is on: a line a second, and what came of it at the end."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Column, Table
from rich.text import Text

from simulators.load.result import FAULT_CODES, Recorded, Result, Second
from simulators.load.schedule import Schedule

LAG_SHARE_MAX = 0.25
"""Of the p99: a generator that was later than that measured itself."""
REASONS_MAX = 20
"""Lines of replies by reason."""


class Progress(AbstractContextManager["Progress"]):
    """The state of a run, redrawn as each second ends: not in between, for that takes time from the run."""

    def __init__(self, console: Console, plan: Schedule, *, quiet: bool = False) -> None:
        self._plan = plan
        self._errors = 0
        self._live = Live(console=Console(quiet=True) if quiet else console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        self._live.update(Text("…"), refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, second: Second) -> None:
        """Show the second that has ended."""
        self._errors += second.errors
        phase = "warm-up " if second.at <= 0 else ""
        line = (
            f"{phase}{second.at:.0f}/{self._plan.seconds:g} s  asked {second.asked:,}/s  held {second.answered:,}/s  "
            f"p50 {second.p50_ms:.2f}  p99 {second.p99_ms:.2f} ms  "
            f"errors {self._errors:,}  in flight {second.in_flight:,}"
        )
        self._live.update(Text(line), refresh=True)


def show(console: Console, recorded: Recorded) -> None:
    """Print a result as tables."""
    result = recorded.result
    console.print(_latencies(result))
    console.print(_replies(result))
    console.print(
        f"asked {result.asked_rate:,.1f}/s, held {result.held_rate:,.1f}/s; errors {result.errors:,} "
        f"(unanswered {result.unanswered:,}, unsent {result.unsent:,}); "
        f"own processor {result.cpu:.2f} s/s, lag p99 {result.lag_p99_ms:.2f} ms"
    )
    if recorded.stages:
        table = Table("stage, by the host's own metrics", *_right("count", "p50 ms", "p99 ms"))
        for stage in recorded.stages:
            table.add_row(stage.name, f"{stage.count:,}", _or_beyond(stage.p50_ms), _or_beyond(stage.p99_ms))
        console.print(table)
    for caution in cautions(recorded):
        console.print(caution, style="yellow")


def cautions(recorded: Recorded) -> list[str]:
    """Say what makes a result worth less than it seems."""
    result, seconds = recorded.result, recorded.asked.seconds
    found = []
    if result.lag_p99_ms > LAG_SHARE_MAX * result.p99_ms:
        found.append(
            f"the generator itself was late: its lag, {result.lag_p99_ms:.2f} ms at p99, is in these latencies; "
            "ask for less, or give it a processor of its own"
        )
    if not result.was_held(seconds):
        found.append(f"the rate was not held: {result.held_rate:,.1f}/s of {result.asked_rate:,.1f}/s")
    return found


def _latencies(result: Result) -> Table:
    table = Table("ms since due", *_right("count", "p50", "p90", "p99", "p99.9", "max"))
    for name in (None, *result.messages):
        latencies = result.latencies(name)
        figures = [f"{latencies.milliseconds(percentile):.2f}" for percentile in (50, 90, 99, 99.9, 100)]
        table.add_row(name or "all", f"{latencies.count:,}", *figures)
    return table


def _replies(result: Result) -> Table:
    table = Table("DE 39", "reason", *_right("count", "p50 ms", "p99 ms"))
    for reply in result.replies[:REASONS_MAX]:
        alike = (reply.response_code, reply.reason)
        latencies = result.latencies_of_outcome(*alike)
        figures = (f"{latencies.milliseconds(50):.2f}", f"{latencies.milliseconds(99):.2f}")
        style = "red" if reply.response_code in FAULT_CODES else None
        table.add_row(reply.response_code or "–", reply.reason or "–", f"{reply.count:,}", *figures, style=style)
    return table


def _right(*names: str) -> list[Column]:
    return [Column(name, justify="right") for name in names]


def _or_beyond(value: float | None) -> str:
    return "beyond" if value is None else f"{value:.2f}"
