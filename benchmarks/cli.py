"""The command line of the benchmarks. Exit 0: measured, 1: something was not answered, 2: wrong use."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import App, CycloptsError, Parameter
from msgspec.structs import replace
from rich.console import Console

from authz.database import Embedded
from benchmarks import pgbench
from benchmarks.authorizer import AuthorizerFailed, Usage, started
from benchmarks.bounds import all_hold
from benchmarks.comparison import WARM_UP_PARTS, Plan, compare
from benchmarks.expiry import expiry
from benchmarks.ground import RESULTS, Count, Positive, ResultsUnusable, console_for_tables, keep, temporary
from benchmarks.growth import growth
from benchmarks.load_generator import load_generator
from benchmarks.long_read import long_read
from benchmarks.machine import describe
from benchmarks.memory import memory
from benchmarks.month import month
from benchmarks.order import order
from benchmarks.overload import overload
from benchmarks.payments import Crowd, batch, engine_us, saturate
from benchmarks.plot import latency_by_rate
from benchmarks.processes import Stolen
from benchmarks.proofs import proofs
from benchmarks.report import REMAINDER, Profile, Spent, show, show_profile
from benchmarks.rows import Row
from benchmarks.scrape import scrape
from benchmarks.steady import steady
from benchmarks.tables import tables
from benchmarks.takeover import takeover
from benchmarks.world import world
from ledger.embedded import EmbeddedError
from simulators.load.run import precise_loop
from simulators.mistakes import Mistake

DONE, FINDING, WRONG = 0, 1, 2
RATES = (100, 250, 500, 1_000, 2_000, 3_000)
SECONDS = 5.0
RATE_MAX = 20_000.0
CHECKPOINT_SECONDS = 60.0
HOLDERS = 10_000
"""So many that neither caps nor balances are used up by all that a run pays."""
PAYMENTS = 20_000
MISTAKES = (AuthorizerFailed, EmbeddedError, pgbench.PgbenchFailed, ResultsUnusable, Mistake)

Rates = Annotated[tuple[Positive, ...], Parameter(consume_multiple=True)]
Clients = Annotated[tuple[Count, ...], Parameter(consume_multiple=True)]

app = App(
    name="benchmarks",
    help="Measures the authorizer beside the disk, PostgreSQL, pgbench and the bare append.",
    version_flags=[],
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
)


for command in (
    steady,
    overload,
    growth,
    memory,
    scrape,
    proofs,
    takeover,
    expiry,
    order,
    long_read,
    load_generator,
    world,
    month,
    tables,
):
    app.command(command)


@app.default
def measure(
    *,
    seconds: Positive = SECONDS,
    rates: Rates = RATES,
    holders: Count = HOLDERS,
    clients: Clients = pgbench.ROWLOCK_CLIENTS,
    scale: Count = pgbench.TPCB_SCALE,
    rate_max: Positive = RATE_MAX,
    checkpoint_seconds: Positive = CHECKPOINT_SECONDS,
    data: Path | None = None,
    json: Path = RESULTS,
) -> int:
    """Measure the authorizer and all that it is compared with in one run: one table, and one plot beside the JSON.

    Parameters
    ----------
    seconds
        How long each measurement lasts.
    rates
        Requests a second, of the open loops, ascending.
    holders
        How many holders pay.
    clients
        Of pgbench, on the row-lock function: one measurement each; the last is what is compared with.
    scale
        Of pgbench's built-in tables.
    rate_max
        Up to which rate the highest that is held is sought.
    checkpoint_seconds
        How long is measured behind a checkpoint.
    data
        Where the temporary data folder is made: on the disk that is to be measured.
    json
        The file of results; the plot goes beside it.
    """
    console, stolen = console_for_tables(), Stolen()
    plan = Plan(
        seconds=seconds,
        rates=tuple(sorted(rates)),
        holders=holders,
        clients=clients,
        scale=scale,
        rate_max=rate_max,
        checkpoint_seconds=checkpoint_seconds,
    )
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        report = runner.run(compare(console, plan, data))
    show(console, report)
    console.print(stolen)
    keep(json, "comparison", report)
    plot = json.with_suffix(".svg")
    plot.write_text(latency_by_rate(report), encoding="utf-8")
    console.print(f"in {json} and {plot}")
    answered = not any(row.errors for row in report.rows)
    return DONE if answered and all_hold(report.bounds) else FINDING


@app.command
def profile(
    *, payments: Count = PAYMENTS, holders: Count = HOLDERS, data: Path | None = None, json: Path = RESULTS
) -> int:
    """Tell where a request's processor time goes, in an engine that is kept as busy as it can be.

    Parameters
    ----------
    payments
        How many requests are averaged.
    holders
        How many holders pay.
    data
        Where the temporary data folder is made.
    json
        The file of results.
    """
    console = console_for_tables()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(_profile(console, payments, holders, data))
    show_profile(console, measured)
    keep(json, "profile", measured)
    return FINDING if measured.plain.errors or measured.timed.errors else DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks and return their exit code. Errors are one line on standard error."""
    try:
        code = app(sys.argv[1:] if arguments is None else arguments)
    except CycloptsError as wrong:
        return _complain(f"{' '.join(str(wrong).split()).rstrip('.')}; see --help")
    except MISTAKES as wrong:
        return _complain(str(wrong))
    return code if isinstance(code, int) else DONE


async def _profile(console: Console, payments: int, holders: int, data: Path | None) -> Profile:
    async def busy(embedded: Embedded, *, timed: bool) -> tuple[Row, Usage, Usage]:
        crowd = Crowd(holders)
        async with started(embedded.url, holders, timed=timed) as authorizer:
            await saturate(authorizer, crowd, max(payments // WARM_UP_PARTS, 1))
            row, before, after = await saturate(authorizer, crowd, payments)
        return replace(row, engine_us=engine_us(before, after), batch=batch(before, after)), before, after

    with console.status("an engine, saturated …"):
        async with temporary(data) as embedded:
            machine = await describe(embedded.superuser_url, embedded.server.data)
            plain, *span = await busy(embedded, timed=False)
        async with temporary(data) as embedded:
            timed, before, after = await busy(embedded, timed=True)
    collections = stages_of(*span)[:-1]
    return Profile(machine, plain, collections, timed, stages_of(before, after))


def stages_of(before: Usage, after: Usage) -> tuple[Spent, ...]:
    """Break a request's processor time down by stage; what no stage covers stands last."""
    requests = after.records - before.records
    stages = []
    for name, (nanoseconds, calls) in after.stages.items():
        earlier_ns, earlier_calls = before.stages.get(name, (0, 0))
        stages.append(Spent(name, (nanoseconds - earlier_ns) / requests / 1_000, (calls - earlier_calls) / requests))
    rest = engine_us(before, after) - sum(one.microseconds for one in stages)
    return (*stages, Spent(REMAINDER, rest, 0.0))


def _complain(text: str) -> int:
    sys.stderr.write(f"benchmarks: {text}\n")
    return WRONG
