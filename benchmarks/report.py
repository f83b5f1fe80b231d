"""What is shown: the measurements as one table, the stages of a request as another, and both as JSON."""

from collections.abc import Sequence

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.machine import Machine
from benchmarks.rows import Row, times

YARDSTICK = "ledger.append, 1 record"
REMAINDER = "event loop, sockets, driver below"


class Report(Struct, frozen=True):
    """All of one run. The yardstick of the ratios is the closed loop of single-row appends."""

    machine: Machine
    rows: tuple[Row, ...]

    @property
    def yardstick(self) -> Row:
        """The bare append, one after the other."""
        return next(row for row in self.rows if row.name == YARDSTICK and row.asked is None)


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
    table = Table(title=_title(report.machine), title_justify="left", caption_justify="left", caption=_CAPTION)
    table.add_column("", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    previous = report.rows[0].asked
    for row in report.rows:
        if row.asked != previous:
            table.add_section()
        previous = row.asked
        table.add_row(row.name, *_cells(row, report.yardstick))
    console.print(table)
    for row in report.rows:
        if row.refusals:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in row.refusals.items())
            console.print(f"refused at {row.asked:g}/s: {reasons}")


def show_profile(console: Console, profile: Profile) -> None:
    """Print where a request's time goes."""
    total = sum(one.microseconds for one in profile.stages)
    table = Table("stage", title=_title(profile.machine), title_justify="left", show_footer=True)
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


_COLUMNS = ("asked/s", "held/s", "p50", "p90", "p99", "p99.9", "× p50", "× p99", "lag p99", "engine µs", "batch",
            "refused", "errors")  # fmt: skip
_CAPTION = (
    "Milliseconds, from when a request was due; × : times the closed loop's ledger.append. "
    "Without asked/s: a closed loop. engine µs: its processor time a request. batch: records an append."
)


def _title(machine: Machine) -> str:
    return (
        f"{machine.at} · {machine.cores} × {machine.processor} · {machine.kernel} · {machine.disk} · "
        f"PostgreSQL {machine.postgresql} · Python {machine.python} · load before {machine.load:.1f}"
    )


def _cells(row: Row, yardstick: Row) -> Sequence[str]:
    return (
        "" if row.asked is None else f"{row.asked:,.0f}",
        f"{row.held:,.0f}",
        *(f"{value:.2f}" for value in (row.p50_ms, row.p90_ms, row.p99_ms, row.p99_9_ms)),
        _number(times(row.p50_ms, yardstick.p50_ms), 2),
        _number(times(row.p99_ms, yardstick.p99_ms), 2),
        _number(row.lag_p99_ms, 2),
        _number(row.engine_us, 0),
        _number(row.batch, 1),
        f"{sum(row.refusals.values()):,}",
        f"{row.errors:,}",
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
