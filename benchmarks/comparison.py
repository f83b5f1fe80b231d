"""All contenders in one run, on one PostgreSQL: the disk, the database, pgbench, the bare append and the authorizer."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from authz.database import Embedded
from benchmarks import bare, pgbench
from benchmarks.authorizer import Authorizer, started
from benchmarks.bounds import Bound
from benchmarks.costs import SETTLE_SECONDS, Meter, cost, metering
from benchmarks.ground import temporary
from benchmarks.machine import describe
from benchmarks.payments import Crowd, pay_on, plan_of
from benchmarks.report import AFTER_CHECKPOINT, SATURATED, Report, was_held
from benchmarks.rows import Row, costing
from benchmarks.samples import purchase
from benchmarks.search import Found, highest_held

WARM_UP_PARTS = 4
"""A warm-up is so small a part of what is measured after it."""
SEARCH_STEP = 1.5
SEARCH_WITHIN = 0.05
CHECKPOINT_RATE = 500.0
TIMES_TPCB_LEAST = 3.0
TIMES_ROWLOCK_LEAST = 1.0
TIMES_ROWLOCK_AIM = 1.25
REQUESTS_AIM = 10_000


class Plan(Struct, frozen=True, kw_only=True):
    """What a run measures: how long each measurement lasts, at which rates, with how many holders and clients.

    The highest held rate is sought up to `rate_max`.
    """

    seconds: float
    rates: tuple[float, ...]
    holders: int
    clients: tuple[int, ...] = pgbench.ROWLOCK_CLIENTS
    scale: int = pgbench.TPCB_SCALE
    rate_max: float
    checkpoint_seconds: float


async def compare(console: Console, plan: Plan, place: Path | None) -> Report:
    """Measure everything. `place` is where the temporary data folder is made."""
    settle_seconds = min(plan.seconds, SETTLE_SECONDS)  # in a run so short, rows are not worth the wait
    async with temporary(place) as embedded, metering(embedded.server, settle_seconds) as meter:
        machine = await describe(embedded.superuser_url, embedded.server.data)
        with console.status("the disk, the database and the ledger, bare …") as status:
            rows = await _bare(embedded, meter, plan.seconds)
            status.update("pgbench …")
            rows += await _pgbench(embedded, meter, plan)
        appended: dict[float, Row] = {}
        sample = await purchase()
        for rate in plan.rates:
            with console.status(f"ledger.append at {rate:g}/s …"):
                done = await bare.append_on(embedded.server, sample, plan_of(rate, plan.seconds), plan.seconds)
                appended[rate] = done.row()
        crowd = Crowd(plan.holders)
        with console.status("an authorizer, and its holders' money …") as status:
            async with started(embedded.url, plan.holders) as authorizer:
                for rate in plan.rates:
                    status.update(f"the authorizer at {rate:g}/s …")
                    paid = await pay_on(authorizer, crowd, rate, plan.seconds, plan.seconds / WARM_UP_PARTS, meter)
                    rows += [appended[rate], paid.row()]
                found = await saturation(
                    authorizer, crowd, plan.seconds, plan.rates[-1], plan.rate_max, meter, status.update
                )
                if found.best is not None:
                    rows.append(replace(found.best.measured, name=SATURATED))
                status.update("the authorizer after a checkpoint …")
                rows += await _after_checkpoint(authorizer, crowd, meter, plan)
    tries = tuple(one.measured for one in found.tries)
    report = Report(machine=machine, holders=plan.holders, rows=tuple(rows), tries=tries)
    return replace(report, bounds=tuple(bounds_of(report)))


async def saturation(
    authorizer: Authorizer,
    crowd: Crowd,
    seconds: float,
    start: float,
    rate_max: float,
    meter: Meter | None = None,
    say: Callable[[str], None] = lambda _: None,
    is_held: Callable[[Row], bool] = was_held,
) -> Found[Row]:
    """Seek the highest rate that an authorizer holds: every request answered, no error, p99 within its bound.

    `is_held` can ask for less.
    """

    async def measure(rate: float) -> Row:
        say(f"the highest rate: {rate:,.0f}/s …")
        return (await pay_on(authorizer, crowd, rate, seconds, seconds / WARM_UP_PARTS, meter)).row()

    return await highest_held(measure, is_held, start=start, most=rate_max, step=SEARCH_STEP, within=SEARCH_WITHIN)


def bounds_of(report: Report) -> list[Bound]:
    """Hold the authorizer's highest rate against what pgbench's clients held in the same run."""
    saturated = next(iter(report.named(SATURATED)), None)
    rate = saturated.held if saturated is not None else 0.0
    found = [Bound(what="authorizer: highest rate with p99 ≤ 25 ms and no error", value=rate, unit="/s")]
    found.append(Bound(what="of the aim of 10,000/s", value=rate / REQUESTS_AIM, unit="×"))
    found += [
        Bound(what=f"times {row.name}", value=rate / row.held, unit="×", least=TIMES_TPCB_LEAST)
        for row in report.named("pgbench TPC-B-like")
    ]
    for row in report.named("row-lock function")[-1:]:
        found.append(Bound(what=f"times {row.name}", value=rate / row.held, unit="×", least=TIMES_ROWLOCK_LEAST))
        aim = rate / row.held / TIMES_ROWLOCK_AIM
        found.append(Bound(what=f"of the aim of {TIMES_ROWLOCK_AIM} times it", value=aim, unit="×"))
    return found


async def _bare(embedded: Embedded, meter: Meter, seconds: float) -> list[Row]:
    """Measure the closed loops, on the event loop that an authorizer has."""
    server = embedded.server

    async def metered(call: Callable[[], Awaitable[Row]]) -> Row:
        before = await meter.before()
        measured = await _on_uvloop(call)
        return costing(measured, cost(before, await meter.after(), measured.count + bare.WARM_UP_CALLS))

    async def append() -> Row:
        return await bare.append(server, await purchase(), seconds)

    await bare.create(server)
    disk = await asyncio.to_thread(bare.fdatasync, server.socket_folder.parent, seconds)
    return [disk, await metered(lambda: bare.commit(server, seconds)), await metered(append)]


async def _on_uvloop(call: Callable[[], Awaitable[Row]]) -> Row:
    async def called() -> Row:
        return await call()

    def run() -> Row:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(called())

    return await asyncio.to_thread(run)


async def _pgbench(embedded: Embedded, meter: Meter, plan: Plan) -> list[Row]:
    server, seconds = embedded.server, plan.seconds
    rows = [await pgbench.tpcb(server, meter, plan.scale, pgbench.TPCB_CLIENTS, seconds)]
    await pgbench.create_rowlock(server, plan.holders)
    return rows + [await pgbench.rowlock(server, meter, plan.holders, clients, seconds) for clients in plan.clients]


async def _after_checkpoint(authorizer: Authorizer, crowd: Crowd, meter: Meter, plan: Plan) -> Sequence[Row]:
    """Pay right behind a checkpoint, when every page that changes is logged whole, and again when most have been."""
    lasts, warm_up = plan.checkpoint_seconds, min(plan.seconds, plan.checkpoint_seconds) / WARM_UP_PARTS
    first = await pay_on(authorizer, crowd, CHECKPOINT_RATE, lasts, warm_up, meter, after_checkpoint=True)
    later = await pay_on(authorizer, crowd, CHECKPOINT_RATE, plan.seconds, warm_up, meter)
    return [first.row(f"{AFTER_CHECKPOINT}, {lasts:g} s"), later.row("authorizer, later")]
