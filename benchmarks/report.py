"""What is shown: the measurements as one table, the stages of a request as another, and both as JSON."""

from collections.abc import Sequence

from msgspec import Struct
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.bare import YARDSTICK
from benchmarks.bounds import Bound, show_bounds
from benchmarks.machine import Machine
from benchmarks.rows import Row, times

SATURATED = "authorizer, saturated"
AFTER_CHECKPOINT = "authorizer, after a checkpoint"
HELD_P99_MS_MAX = 25.0
"""At the highest rate that counts as held."""
REMAINDER = "event loop, sockets, driver below"


class Report(Struct, frozen=True, kw_only=True):
    """All of one run. The yardstick of the ratios is the closed loop of single-row appends.

    `tries` are the rates at which the highest that is held was sought; the line of that one is the last of `rows`
    whose name is `SATURATED`. Contenders are pgbench's lines.
    """

    machine: Machine
    holders: int
    rows: tuple[Row, ...]
    tries: tuple[Row, ...] = ()
    bounds: tuple[Bound, ...] = ()

    @property
    def yardstick(self) -> Row:
        """The bare append, one after the other."""
        return next(row for row in self.rows if row.name == YARDSTICK and row.asked is None)

    def named(self, name: str) -> tuple[Row, ...]:
        """The lines whose name begins so."""
        return tuple(row for row in self.rows if row.name.startswith(name))


class Spent(Struct, frozen=True):
    """A stage's processor time for one request, in microseconds, and how often it runs for one."""

    stage: str
    microseconds: float
    calls: float


class Profile(Struct, frozen=True):
    """A saturated engine: without stopwatches, where only the garbage collector is timed, and then with them."""

    machine: Machine
    plain: Row
    collections: tuple[Spent, ...]
    timed: Row
    stages: tuple[Spent, ...]


def show(console: Console, report: Report) -> None:
    """Print the measurements."""
    table = Table(
        box=box.SIMPLE, title=title(report.machine), title_justify="left", caption_justify="left", caption=CAPTION
    )
    for name in COLUMNS:
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    previous = report.rows[0].asked
    for row in report.rows:
        if row.asked != previous:
            table.add_section()
        previous = row.asked
        table.add_row(*cells(row, report.yardstick))
    console.print(table)
    if report.tries:
        tried = ", ".join(f"{row.asked:,.0f}{'' if was_held(row) else ' (no)'}" for row in report.tries)
        console.print(f"rates tried, requests/s: {tried}")
    show_bounds(console, report.bounds)


def show_profile(console: Console, profile: Profile) -> None:
    """Print where a request's time goes."""
    total = sum(one.microseconds for one in profile.stages)
    table = Table("stage", title=title(profile.machine), title_justify="left", show_footer=True)
    table.columns[0].footer = "processor time of the engine, a request"
    table.add_column("µs", justify="right", footer=f"{total:.0f}")
    table.add_column("", justify="right", footer="100 %")
    table.add_column("calls", justify="right")
    for one in sorted(profile.stages, key=lambda spent: -spent.microseconds):
        table.add_row(one.stage, f"{one.microseconds:.1f}", f"{one.microseconds / total:.0%}", f"{one.calls:.3f}")
    console.print(table)
    for how, row in (("without stopwatches", profile.plain), ("with", profile.timed)):
        console.print(
            f"{how}: {row.held:,.0f} requests/s, {row.engine_us or 0:.0f} µs of processor each, "
            f"{row.batch or 0:.0f} records an append, {row.errors} errors"
        )
    for one in profile.collections:
        pause = one.microseconds / one.calls / 1_000 if one.calls else 0
        console.print(f"without stopwatches, {one.stage}: {one.microseconds:.1f} µs a request, {pause:.2f} ms a pause")


COLUMNS = ("", "asked/s", "held/s", "p50", "p99", "p99.9", "× p50", "lag", "engine", "database", "generator",
           "batch", "rows", "WAL", "refused", "errors")  # fmt: skip
"""Of the table of all measurements."""
CAPTION = (
    "p50, p99, p99.9, and the generator's own lag at p99: milliseconds, from when a request was due. Without asked/s: "
    "a closed loop. × p50: times the closed loop's ledger.append. engine, database, generator: µs of processor time a "
    "request. batch: records an append. rows, WAL (bytes): written a request."
)


def title(machine: Machine) -> str:
    """Say what was measured on, and when."""
    return (
        f"{machine.at} · {machine.cores} × {machine.processor} · {machine.kernel} · {machine.disk} · "
        f"PostgreSQL {machine.postgresql} · Python {machine.python} · load before {machine.load:.1f}"
    )


def was_answered(row: Row) -> bool:
    """Whether all of a rate was answered without an error, be it late."""
    return row.kept and not row.errors


def was_held(row: Row) -> bool:
    """Whether a rate was held: all of it was answered in time and without an error."""
    return was_answered(row) and row.p99_ms <= HELD_P99_MS_MAX


def cells(row: Row, yardstick: Row) -> Sequence[str]:
    """Write a measurement under `COLUMNS`."""
    return (
        row.name,
        "" if row.asked is None else f"{row.asked:,.0f}",
        f"{row.held:,.0f}",
        *(f"{value:.2f}" for value in (row.p50_ms, row.p99_ms, row.p99_9_ms)),
        _number(times(row.p50_ms, yardstick.p50_ms), 2),
        _number(row.lag_p99_ms, 2),
        _number(row.engine_us, 0),
        _number(row.database_us, 0),
        _number(row.generator_us, 0),
        _number(row.batch, 1),
        _number(row.rows, 1),
        _number(row.wal_bytes, 0),
        f"{sum(row.refusals.values()):,}",
        f"{row.errors:,}",
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
