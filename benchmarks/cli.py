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
from benchmarks import bare
from benchmarks.authorizer import AuthorizerFailed, Usage, started
from benchmarks.expiry import expiry
from benchmarks.ground import Count, Positive, console_for_tables, temporary, write_json
from benchmarks.load_generator import load_generator
from benchmarks.long_read import long_read
from benchmarks.machine import describe
from benchmarks.month import month
from benchmarks.order import order
from benchmarks.payments import Crowd, batch, engine_us, pay_on, plan_of, saturate
from benchmarks.proofs import proofs
from benchmarks.report import REMAINDER, Profile, Report, Spent, show, show_profile
from benchmarks.rows import Row
from benchmarks.samples import purchase
from benchmarks.takeover import takeover
from benchmarks.world import world
from ledger.embedded import EmbeddedError, EmbeddedServer
from simulators.load.run import precise_loop

DONE, FINDING, WRONG = 0, 1, 2
RATES = (100, 250, 500, 1_000)
SECONDS = 4.0
WARM_UP_PARTS = 4
"""A warm-up is so small a part of what is measured after it."""
HOLDERS = 3_000
PAYMENTS = 20_000
MISTAKES = (AuthorizerFailed, EmbeddedError)

Rates = Annotated[tuple[Positive, ...], Parameter(consume_multiple=True)]

app = App(
    name="benchmarks",
    help="Measures the authorizer beside the bare disk, the bare database and the bare append.",
    version_flags=[],
    print_error=False,
    exit_on_error=False,
    result_action="return_value",
)


for command in (proofs, takeover, expiry, order, long_read, load_generator, world, month):
    app.command(command)


@app.default
def measure(
    *,
    seconds: Positive = SECONDS,
    rates: Rates = RATES,
    holders: Count = HOLDERS,
    data: Path | None = None,
    json: Path | None = None,
) -> int:
    """Measure everything in one run, and print it as one table.

    Parameters
    ----------
    seconds
        How long each measurement lasts.
    rates
        Requests a second, of the open loops.
    holders
        How many holders pay.
    data
        Where the temporary data folder is made: on the disk that is to be measured.
    json
        A file to write the measurements to.
    """
    console = console_for_tables()
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        report = runner.run(_measure(console, seconds, rates, holders, data))
    show(console, report)
    write_json(json, report)
    return FINDING if any(row.errors for row in report.rows if row.engine_us is not None) else DONE


@app.command
def profile(
    *, payments: Count = PAYMENTS, holders: Count = HOLDERS, data: Path | None = None, json: Path | None = None
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
        A file to write the measurements to.
    """
    console = console_for_tables()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(_profile(console, payments, holders, data))
    show_profile(console, measured)
    write_json(json, measured)
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


async def _measure(
    console: Console, seconds: float, rates: tuple[float, ...], holders: int, data: Path | None
) -> Report:
    sample = await purchase()
    async with temporary(data) as embedded:
        server = embedded.server
        machine = await describe(embedded.superuser_url, server.data)
        with console.status("the disk, the database and the ledger, bare …"):
            rows = await asyncio.to_thread(_bare, server, seconds)
        appended: dict[float, Row] = {}
        for rate in rates:
            with console.status(f"ledger.append at {rate:g}/s …"):
                appended[rate] = await bare.append_on(server, sample, plan_of(rate, seconds), seconds)
        crowd = Crowd(holders)
        with console.status("an authorizer, and its holders' money …") as status:
            async with started(embedded.url, holders) as authorizer:
                for rate in rates:
                    status.update(f"the authorizer at {rate:g}/s …")
                    paid = await pay_on(authorizer, crowd, rate, seconds, seconds / WARM_UP_PARTS)
                    rows += [appended[rate], paid]
    return Report(machine, tuple(rows))


def _bare(server: EmbeddedServer, seconds: float) -> list[Row]:
    """Measure the closed loops, on the event loop that an authorizer has."""

    async def measured() -> list[Row]:
        sample = await purchase()
        await bare.create(server)
        disk = bare.fdatasync(server.socket_folder.parent, seconds)
        return [disk, await bare.commit(server, seconds), await bare.append(server, sample, seconds)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measured())


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
