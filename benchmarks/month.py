"""A generated month, reconciled: all that was made wrong is found, and nothing else: docs/reconciliation-proof.md.

Two months are made: one of a tenth of the size, whose reconciling is also killed day by day on a copy of its database;
and the whole, which is timed, weighed and reconciled again.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import uvloop
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from benchmarks.ground import Count, console_for_tables, temporary, write_json
from benchmarks.machine import Machine, describe
from benchmarks.month_build import Month, build
from benchmarks.month_found import Verdict, digest, stages, verdict
from benchmarks.month_payouts import by_acquirer, paid
from benchmarks.month_run import Day, Finance
from benchmarks.month_world import Shape
from ledger.values import Cents

DONE, FINDING = 0, 1
PART = 10
"""The smaller month has so small a part of the larger one's payments."""
COPY = "month_copy"
MILLION_LINES = 1_000_000
MILLION_LINES_S_MAX = 30.0
"""What matching so many lines may take, of the wall, on two cores; more lines take as much more, fewer have as much."""
PEAK_MORE_BYTES_MAX = 32_000_000
"""What a run's process may take more at a month ten times as large: its memory is flat."""


class Reconciled(Struct, frozen=True, kw_only=True):
    """A month that was reconciled. Seconds are the wall's: of reconciling alone, its processes' start not counted.

    `processor_s` is what those processes used of processors themselves, `server_s` what PostgreSQL's sessions did;
    `peak_bytes` is the largest of the processes. `digest` is over all that was published, under names that are the
    same in any database; `killed` is a copy's, where each day's process was killed first. `paid` is what acquirers
    got; `payouts_right`: day by day what the lines that are owed come to, less fees.
    """

    records: int
    movements: int
    lines: int
    built_s: float
    imported_s: float
    reconciled_s: float
    processor_s: float
    server_s: float
    peak_bytes: int
    stages: Mapping[str, int]
    verdict: Verdict
    paid: Mapping[str, Cents]
    payouts_right: bool
    funds_agree: bool
    days: Sequence[Day]
    digest: str
    killed: str | None = None
    kills: int = 0

    @property
    def same_again(self) -> bool:
        """Whether each day came out the same when it was reconciled a second time."""
        return all(day.digest == day.again for day in self.days)

    @property
    def reconciled_s_max(self) -> float:
        """What reconciling so many lines may take."""
        return MILLION_LINES_S_MAX * max(self.lines, MILLION_LINES) / MILLION_LINES

    @property
    def in_time(self) -> bool:
        """Whether it took no longer."""
        return self.reconciled_s <= self.reconciled_s_max

    @property
    def sound(self) -> bool:
        """All was found, not one more; the same came out each time; payouts and funds are right to the cent."""
        came_out_the_same = self.same_again and self.killed in (None, self.digest)
        return self.verdict.exact and came_out_the_same and self.payouts_right and self.funds_agree


class Months(Struct, frozen=True):
    """All of one run."""

    machine: Machine
    shape: Shape
    months: Sequence[Reconciled]

    @property
    def peak_more_bytes(self) -> int:
        """What a run's process took more at the larger month."""
        return self.months[-1].peak_bytes - self.months[0].peak_bytes

    @property
    def as_it_should_be(self) -> bool:
        """Whether each month is sound and was reconciled in time, and the process's memory is flat."""
        sound = all(one.sound and one.in_time for one in self.months)
        return sound and self.peak_more_bytes <= PEAK_MORE_BYTES_MAX


def month(
    *,
    days: Count = 30,
    records: Count = 1_000_000,
    discrepancies: Count = 500,
    data: Path | None = None,
    json: Path | None = None,
) -> int:
    """Reconcile a generated month, hold what is found against what was put in, and measure it.

    Parameters
    ----------
    days
        Business days with payments.
    records
        Requests of terminals in the larger month; the smaller one has a tenth.
    discrepancies
        How many things are wrong, as many of each cause.
    data
        Where the temporary data folder is made.
    json
        A file to write the measurements to.
    """
    console = console_for_tables()
    shape = Shape(days, records, discrepancies)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(_measure(console, shape, data))
    _show(console, measured)
    write_json(json, measured)
    return DONE if measured.as_it_should_be else FINDING


async def _measure(console: Console, shape: Shape, data: Path | None) -> Months:
    reconciled = []
    for records in (shape.records // PART, shape.records):
        with tempfile.TemporaryDirectory(dir=data) as folder, console.status(f"{records:,} requests …"):
            async with temporary(data) as embedded:
                size = Shape(shape.days, records, shape.discrepancies, shape.seed)
                small = records < shape.records
                reconciled.append(
                    await month_of(size, embedded.url, embedded.superuser_url, Path(folder), killed=small)
                )
                machine = await describe(embedded.superuser_url, embedded.server.data)
    return Months(machine, shape, reconciled)


async def month_of(
    shape: Shape, url: str, superuser_url: str, folder: Path, *, killed: bool, apart: bool = True
) -> Reconciled:
    """Build a month in an empty ledger, and reconcile it; with `killed`, also on a copy, killed day by day.

    `apart`: each day in a process of its own.
    """
    begun = time.perf_counter()
    built = await build(url, folder, shape)
    built_s = time.perf_counter() - begun
    if not killed:
        return await _reconciled(built, Finance(built, superuser_url, apart=apart), built_s, None)
    async with copied(superuser_url) as copy:
        other = Finance(built, copy, apart=apart)
        return await _reconciled(built, Finance(built, superuser_url, apart=apart), built_s, other)


async def _reconciled(built: Month, finance: Finance, built_s: float, copy: Finance | None) -> Reconciled:
    shape = built.shape
    days = await finance.month()
    first = await digest(finance.url, shape.all_dates)
    killed, kills = None, 0
    if copy is not None:
        kills = sum(day.kills for day in await copy.month(random.Random(shape.seed)))
        killed = await digest(copy.url, shape.all_dates)
    payouts = await paid(finance.url)
    return Reconciled(
        records=built.records,
        movements=built.movements,
        lines=built.lines,
        built_s=built_s,
        imported_s=sum(day.imported_s for day in days),
        reconciled_s=sum(day.worked.wall_s for day in days),
        processor_s=sum(day.worked.processor_s for day in days),
        server_s=sum(day.server_s for day in days),
        peak_bytes=max(day.worked.peak_bytes for day in days),
        stages=await stages(finance.url),
        verdict=await verdict(finance.url, built.injected, built.folder),
        paid=by_acquirer(payouts),
        payouts_right=payouts == built.owed.payouts(),
        funds_agree=all(day.agrees for day in days),
        days=days,
        digest=first,
        killed=killed,
        kills=kills,
    )


@asynccontextmanager
async def copied(superuser_url: str) -> AsyncIterator[str]:
    """A copy of a database that nobody uses, for as long as the block runs."""
    parts = urlsplit(superuser_url)
    name = f"{parts.path[1:]}_{COPY}"
    connection = await asyncpg.connect(parts._replace(path="/postgres").geturl())
    try:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{parts.path[1:]}"')
        yield parts._replace(path=f"/{name}").geturl()
    finally:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.close()


def _show(console: Console, measured: Months) -> None:
    title = f"{measured.machine.processor}, Python {measured.machine.python}, PostgreSQL {measured.machine.postgresql}"
    shown = Table("", title=f"{title}, load {measured.machine.load:.1f}", title_justify="left")
    rows: dict[str, list[str]] = {}
    for one in measured.months:
        shown.add_column(f"{one.records:,} records", justify="right")
        found, put_in = sum(one.verdict.found.values()), sum(one.verdict.found.values()) + len(one.verdict.missed)
        for name, value in {
            "movements, lines": f"{one.movements:,}, {one.lines:,}",
            "built, imported, s": f"{one.built_s:.1f}, {one.imported_s:.1f}",
            "matched: reconciling alone, s": f"{one.reconciled_s:.1f}",
            "bound, s": f"{one.reconciled_s_max:.0f}: {'pass' if one.in_time else 'FAIL'}",
            "processors: own + PostgreSQL's, s": f"{one.processor_s:.1f} + {one.server_s:.1f}",
            "a day, s: median, longest": f"{_median_s(one):.2f}, {max(day.worked.wall_s for day in one.days):.2f}",
            "peak of its process, MB": f"{one.peak_bytes / 1e6:.0f}",
            "found, and more": f"{found} of {put_in}, {len(one.verdict.more)}",
            "funds agree": "every day" if one.funds_agree else "NO",
            "payouts": "right" if one.payouts_right else "WRONG",
            "again": "identical" if one.same_again else "DIFFERS",
            "killed": "-" if one.killed is None else f"{one.kills} times, {_same(one)}",
        }.items():
            rows.setdefault(name, []).append(value)
    for name, values in rows.items():
        shown.add_row(name, *values)
    console.print(shown)
    more, most = measured.peak_more_bytes / 1e6, PEAK_MORE_BYTES_MAX / 1e6
    console.print(
        f"memory: {more:+.0f} MB at the larger month, bound +{most:.0f} MB: {'pass' if more <= most else 'FAIL'}"
    )


def _median_s(one: Reconciled) -> float:
    return statistics.median(day.worked.wall_s for day in one.days)


def _same(one: Reconciled) -> str:
    return "identical" if one.killed == one.digest else "DIFFERS"
