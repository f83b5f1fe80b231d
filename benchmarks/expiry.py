"""The first of March beside payments: every holder's lots of last year expire while others pay.

The ledger has a lot of vintage 2026 for each of many holders; a crowd of others, with money of 2027, pays at a fixed
rate in an open loop, before the walk, during it and after. In the middle the authorizer is killed and started again.
The authorizer is a process of its own; it is told on standard input to `age` lots, and answers each line with its
`Told` as a line of JSON.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import asyncpg
import uvloop
from msgspec import Struct, structs
from rich.console import Console
from rich.table import Table

from authz import logs
from authz.clock import SimulatedClock
from authz.service import Service
from benchmarks import journals
from benchmarks.beside import COLUMNS, PAYERS, RATE, SECONDS, Companion, obey, serving, span, started, warmed_up
from benchmarks.beside import Span as Payments
from benchmarks.ground import Count, Positive, console_for_tables, temporary, write_json
from benchmarks.machine import Machine, describe
from benchmarks.payments import Crowd
from benchmarks.samples import purchase
from ledger.store import LedgerError
from simulators.load.run import precise_loop

DONE, FINDING = 0, 1
HOLDERS = 100_000
RATIO_MAX = 1.5
"""How much longer a payment may take beside the walk, at its 99th percentile."""
RECORDS_A_HOLDER = 3
POLL_S = 0.25
ALONE_MAX_S = 1_800
SATURDAY = datetime(2027, 2, 27, 11, 0, tzinfo=UTC)
MONDAY = datetime(2027, 3, 1, 11, 0, tzinfo=UTC)


class Told(Struct, frozen=True):
    """What the authorizer says of itself: how many lots it has aged so far, and whether it is at it."""

    port: int
    expired: int
    ageing: bool


class Span(Payments, frozen=True):
    """Payments of a while, and how many holders' lots expired meanwhile, a second."""

    expired_per_s: float


class Expiry(Struct, frozen=True):
    """`ratio` is the 99th percentile beside the walk over the one without it; `alone_per_s` the walk without payments.

    `expired` counts the records of it, `holders` whose lots they were: each once, where the two are equal. `waiting`
    is the money that is where it waits to be exchanged, `spendable` what of that vintage is still elsewhere, in cents.
    """

    machine: Machine
    spans: tuple[Span, ...]
    ratio: float
    alone_per_s: float
    expired: int
    holders: int
    spendable: int
    waiting: int


def expiry(
    *,
    holders: Count = HOLDERS,
    rate: Positive = RATE,
    seconds: Positive = SECONDS,
    data: Path | None = None,
    json: Path | None = None,
) -> int:
    """Let everybody's lots expire beside payments, and compare with payments alone.

    Parameters
    ----------
    holders
        How many have a lot that expires.
    rate
        Payments a second, by others.
    seconds
        How long payments are measured, before the walk, during it and after.
    data
        Where the temporary data folder is made: on the disk that is to be measured.
    json
        A file to write the measurements to.
    """
    console = console_for_tables()
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        measured = runner.run(_measure(console, holders, rate, seconds, data))
    _show(console, measured)
    write_json(json, measured)
    held = measured.ratio <= RATIO_MAX and measured.expired == measured.holders and not measured.spendable
    return DONE if held and not any(one.errors for one in measured.spans) else FINDING


async def _measure(console: Console, holders: int, rate: float, seconds: float, data: Path | None) -> Expiry:
    crowd = Crowd(PAYERS)
    async with temporary(data) as embedded:
        machine = await describe(embedded.superuser_url, embedded.server.data)
        with console.status(f"a ledger of {holders:,} holders …") as status:
            records = RECORDS_A_HOLDER * holders + journals.SHOPS_MAX
            await journals.write(embedded.url, await purchase(), holders, records)
            status.update("payments on Saturday …")
            async with _started(embedded.url, SATURDAY) as saturday:
                spans = [await _pay(saturday, crowd, "before", rate, seconds)]
                status.update("payments on Monday, and the walk …")
                await saturday.tell("age")
                spans.append(await _pay(saturday, crowd, "during", rate, seconds))
                saturday.kill()
            status.update("the walk goes on, alone …")
            async with _started(embedded.url, MONDAY) as monday:
                alone_per_s = await _aged(monday)
                status.update("payments after it …")
                spans.append(await _pay(monday, crowd, "after", rate, seconds))
                await monday.tell("age")
                await _aged(monday)
        quiet = (spans[0].p99_ms + spans[-1].p99_ms) / 2
        counted = await _count(embedded.superuser_url)
        return Expiry(machine, tuple(spans), spans[1].p99_ms / quiet, alone_per_s, **counted)


async def _aged(authorizer: Companion[Told]) -> float:
    """Wait until all lots are aged; tell how many were a second."""
    async with asyncio.timeout(ALONE_MAX_S):
        begun, first = time.perf_counter(), await authorizer.tell()
        while (told := await authorizer.tell()).ageing:  # noqa: ASYNC110  it is in another process
            await asyncio.sleep(POLL_S)
    return (told.expired - first.expired) / (time.perf_counter() - begun)


@asynccontextmanager
async def _started(url: str, at: datetime) -> AsyncIterator[Companion[Told]]:
    async with started("benchmarks.expiry", Told, url, at.isoformat()) as authorizer:
        await authorizer.tell("age" if at == MONDAY else "")
        yield authorizer


async def _pay(authorizer: Companion[Told], crowd: Crowd, name: str, rate: float, seconds: float) -> Span:
    async with warmed_up((await authorizer.tell()).port, crowd, rate, seconds) as payments:
        before, begun = await authorizer.tell(), time.perf_counter()
        paid = span(name, await payments())
        expired = (await authorizer.tell()).expired - before.expired
        return Span(**structs.asdict(paid), expired_per_s=expired / (time.perf_counter() - begun))


async def _count(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            "SELECT count(*) AS expired, count(DISTINCT holder) AS holders,"
            " (SELECT coalesce(sum(balance), 0)::bigint FROM ledger.balance WHERE account LIKE 'holder:%:90:2026')"
            " AS spendable,"
            " (SELECT coalesce(sum(balance), 0)::bigint FROM ledger.balance WHERE account LIKE 'expired:%:90:2026')"
            " AS waiting"
            " FROM ledger.journal WHERE kind = 'expiry'"
        )
        assert row is not None
        return dict(row)
    finally:
        await connection.close()


def _show(console: Console, measured: Expiry) -> None:
    table = Table(title=f"Expiry beside payments, load before it {measured.machine.load:.1f}")
    for column in (*COLUMNS, "holders aged/s"):
        table.add_column(column, justify="left" if column == "payments" else "right")
    for one in measured.spans:
        table.add_row(*one.cells(), f"{one.expired_per_s:.0f}")
    console.print(table)
    console.print(f"p99 beside the walk: {measured.ratio:.2f} times that without it; at most {RATIO_MAX} is asked for")
    console.print(f"the walk alone: {measured.alone_per_s:,.0f} holders a second")
    console.print(f"{measured.expired:,} expiries of {measured.holders:,} holders, also after a kill in the middle")
    console.print(f"cents of 2026 that wait: {measured.waiting:,}; that are still spendable: {measured.spendable:,}")


class _Serving:
    """That authorizer, from inside. It ages lots when it is told to."""

    def __init__(self, service: Service, clock: SimulatedClock) -> None:
        self._service = service
        self._clock = clock
        self._walk: asyncio.Task[None] | None = None

    async def obey(self, order: str) -> Told:
        """Carry out an order, and tell how far it is."""
        if order == "age":
            if self._clock() < MONDAY:
                self._clock.wait_at(MONDAY)
                self._clock.run()
            self._walk = asyncio.create_task(self._age())
        counted = self._service.metrics.registry.get_sample_value
        labels = {"message": "expiry", "product": "", "reason": "APPROVED"}
        expired = int(counted("authz_decisions_total", labels) or 0)
        return Told(self._service.links[0].port, expired, self._walk is not None and not self._walk.done())

    async def _age(self) -> None:
        while True:
            try:
                return await self._service.engine.age_lots()
            except LedgerError as error:
                sys.stderr.write(f"{error}\n")


async def serve(url: str, at: datetime) -> None:
    """Be that authorizer, until standard input ends."""
    clock = SimulatedClock(at)
    async with serving(url, clock, date(2027, 1, 1)) as service:
        await obey(_Serving(service, clock).obey)


def main(url: str, at: str) -> None:
    """Run, by words from the command line."""
    logs.configure(as_json=False)
    uvloop.run(serve(url, datetime.fromisoformat(at)))


if __name__ == "__main__":
    main(*sys.argv[1:])
