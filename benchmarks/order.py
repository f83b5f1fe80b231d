"""One order of many beneficiaries beside payments: its list is drafted, it is paid, and its lines are carried out.

Everybody in it is new: each is enrolled, gets a card, and is loaded. A crowd of others pays at a fixed rate in an open
loop, before the order, while it is drafted, while it is released, and after. Where it is asked for, the authorizer is
killed in the middle of the release and started again. It is a process of its own; it is told on standard input what to
do, and answers each line with its `Told` as a line of JSON.
"""

import asyncio
import math
import sys
import time
from datetime import date
from pathlib import Path

import asyncpg
import uvloop
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from authz import logs
from authz.clock import SimulatedClock
from authz.decision.commands import RegisterEmployer
from authz.decision.issuing.commands import OpenClient
from authz.decision.issuing.states import (
    ClientId,
    ContactId,
    Contract,
    Format,
    OfferId,
    Order,
    OrderId,
    OrderStatus,
    Tariff,
)
from authz.decision.reference import Employer
from authz.issuing.person import Person
from authz.issuing.sheets.rows import Row
from authz.service import Service
from benchmarks.beside import COLUMNS, PAYERS, RATE, SECONDS, Companion, Span, obey, serving, span, started, warmed_up
from benchmarks.ground import Count, Positive, console_for_tables, temporary, write_json
from benchmarks.machine import Machine, describe
from benchmarks.payments import Crowd
from benchmarks.samples import TUESDAY_NOON
from ledger.values import Cents
from simulators.load.run import precise_loop

DONE, FINDING = 0, 1
LINES = 100_000
RELEASE_S_MAX = 120
POLL_S = 0.25
STEP_MAX_S = 1_800
KILLED_AT_PERCENT = 50
CLIENT, ORDER = ClientId("large"), OrderId("o1")
TARIFF = Tariff(commission=250, card=Cents(4_00), vat=2000)
MAY = date(2026, 5, 1)


class Told(Struct, frozen=True):
    """What the authorizer says of itself: the order's chunks and how many are applied, and its memory, in MB."""

    port: int
    status: str
    chunks: int
    applied: int
    refused: int
    rss_mb: float
    peak_mb: float


class Ordered(Struct, frozen=True):
    """`ratio` is the 99th percentile beside the release over the one without it, where it was the worst.

    `fulfilled` counts the records of the order's lines, `holders` whose they are: each once, where the two are equal.
    `funds` is what of the client's money is left, `loaded` what holders have of it, both in cents.
    """

    machine: Machine
    lines: int
    draft_s: float
    release_s: float
    lines_per_s: float
    spans: tuple[Span, ...]
    ratio: float
    rss_before_mb: float
    rss_peak_mb: float
    killed: bool
    fulfilled: int
    holders: int
    funds: int
    loaded: int


def order(
    *,
    lines: Count = LINES,
    rate: Positive = RATE,
    seconds: Positive = SECONDS,
    kill: bool = False,
    data: Path | None = None,
    json: Path | None = None,
) -> int:
    """Release one large order beside payments, and compare with payments alone.

    Parameters
    ----------
    lines
        How many beneficiaries it has.
    rate
        Payments a second, by others.
    seconds
        How long payments are measured at a time.
    kill
        Kill the authorizer in the middle of the release, and start it again.
    data
        Where the temporary data folder is made: on the disk that is to be measured.
    json
        A file to write the measurements to.
    """
    console = console_for_tables()
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        measured = runner.run(_measure(console, lines, rate, seconds, data, kill=kill))
    _show(console, measured)
    write_json(json, measured)
    once = measured.fulfilled == measured.holders == measured.lines and not measured.funds
    in_time = measured.release_s <= RELEASE_S_MAX
    return DONE if once and in_time and not any(one.errors for one in measured.spans) else FINDING


async def _measure(
    console: Console, lines: int, rate: float, seconds: float, data: Path | None, *, kill: bool
) -> Ordered:
    crowd = Crowd(PAYERS)
    async with temporary(data) as embedded:
        machine = await describe(embedded.superuser_url, embedded.server.data)
        with console.status("an authorizer, and its holders' money …") as status:
            async with started("benchmarks.order", Told, embedded.url) as authorizer:
                status.update("payments before …")
                spans = [await _pay(authorizer, crowd, "before", rate, seconds)]
                before = await authorizer.tell()
                status.update("payments, and the list …")
                draft_s = await _beside(authorizer, crowd, spans, "drafting", f"draft {lines}", "draft", rate, seconds)
                status.update("payments, and the release …")
                begun = time.perf_counter()
                if not kill:
                    await _beside(authorizer, crowd, spans, "releasing", "pay", OrderStatus.DONE, rate, seconds)
                    release_s = time.perf_counter() - begun
                    status.update("payments after …")
                    spans.append(await _pay(authorizer, crowd, "after", rate, seconds))
                else:
                    await authorizer.tell("pay")
                    await _has_applied(authorizer, KILLED_AT_PERCENT)
                    authorizer.kill()
                last = await authorizer.tell() if not kill else before
            if kill:
                status.update("started again: payments, and the rest of the release …")
                async with started("benchmarks.order", Told, embedded.url) as authorizer:
                    await _beside(authorizer, crowd, spans, "resuming", "", OrderStatus.DONE, rate, seconds)
                    release_s = time.perf_counter() - begun
                    spans.append(await _pay(authorizer, crowd, "after", rate, seconds))
                    last = await authorizer.tell()
        quiet = (spans[0].p99_ms + spans[-1].p99_ms) / 2
        beside = max(one.p99_ms for one in spans if one.name in ("releasing", "resuming"))
        return Ordered(
            machine,
            lines,
            draft_s,
            release_s,
            lines / release_s,
            tuple(spans),
            beside / quiet,
            before.rss_mb,
            last.peak_mb,
            kill,
            **await _count(embedded.superuser_url),
        )


async def _is_at(authorizer: Companion[Told], status: str) -> None:
    """Wait until the order is there in its life."""
    async with asyncio.timeout(STEP_MAX_S):
        while (await authorizer.tell()).status != status:  # noqa: ASYNC110  it is in another process
            await asyncio.sleep(POLL_S)


async def _has_applied(authorizer: Companion[Told], percent: int) -> None:
    """Wait until so many of the order's chunks are carried out."""
    async with asyncio.timeout(STEP_MAX_S):
        while (told := await authorizer.tell()).applied * 100 < told.chunks * percent:  # noqa: ASYNC110  as above
            await asyncio.sleep(POLL_S)


async def _beside(
    authorizer: Companion[Told],
    crowd: Crowd,
    spans: list[Span],
    name: str,
    words: str,
    status: str,
    rate: float,
    seconds: float,
) -> float:
    """Begin something, and let others pay until it is done; tell how many seconds it took."""
    begun = time.perf_counter()
    await authorizer.tell(words)
    took = math.inf

    async def until_done() -> None:
        nonlocal took
        await _is_at(authorizer, status)
        took = time.perf_counter() - begun

    waiting = asyncio.create_task(until_done())
    while True:
        spans.append(await _pay(authorizer, crowd, name, rate, seconds))
        if waiting.done():
            await waiting
            return took


async def _pay(authorizer: Companion[Told], crowd: Crowd, name: str, rate: float, seconds: float) -> Span:
    async with warmed_up((await authorizer.tell()).port, crowd, rate, seconds) as payments:
        return span(name, await payments())


async def _count(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            "SELECT count(*) AS fulfilled, count(DISTINCT journal.holder) AS holders,"
            " coalesce(sum(transfer.amount), 0)::bigint AS loaded,"
            " (SELECT coalesce(sum(balance), 0)::bigint FROM ledger.balance WHERE account LIKE 'client:%') AS funds"
            " FROM ledger.journal LEFT JOIN ledger.transfer USING (partition, seq) WHERE kind = 'fulfilment'"
        )
        assert row is not None
        return dict(row)
    finally:
        await connection.close()


def _show(console: Console, measured: Ordered) -> None:
    table = Table(
        title=f"An order of {measured.lines:,} lines beside payments, load before {measured.machine.load:.1f}"
    )
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "payments" else "right")
    for one in measured.spans:
        table.add_row(*one.cells())
    console.print(table)
    console.print(f"drafted in {measured.draft_s:.1f} s")
    told = f"released in {measured.release_s:.1f} s, {measured.lines_per_s:,.0f} lines/s"
    console.print(
        f"{told}{', killed in the middle' if measured.killed else ''}; at most {RELEASE_S_MAX} s is asked for"
    )
    console.print(f"p99 beside the release: {measured.ratio:.2f} times that without it, where it was the worst")
    console.print(f"memory: {measured.rss_before_mb:,.0f} MB before, {measured.rss_peak_mb:,.0f} MB at most")
    console.print(f"{measured.fulfilled:,} lines carried out, of {measured.holders:,} holders")
    console.print(f"cents loaded: {measured.loaded:,}; left of the client's: {measured.funds:,}")


class _Serving:
    """That authorizer, from inside."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._orders = service.issuing.orders
        self._doing: asyncio.Task[None] | None = None

    async def obey(self, words: str) -> Told:
        """Begin what is said, and tell how far everything is."""
        match words.split():
            case ["draft", lines]:
                self._doing = asyncio.create_task(self._draft(int(lines)))
            case ["pay"]:
                self._doing = asyncio.create_task(self._pay())
        if self._doing is not None and self._doing.done():
            self._doing.result()
        order = await self._order()
        rss_mb, peak_mb = _memory_mb()
        port = self._service.links[0].port
        if order is None:
            return Told(port, "", 0, 0, 0, rss_mb, peak_mb)
        return Told(port, order.status, len(order.chunks), order.applied, order.refused, rss_mb, peak_mb)

    async def _order(self) -> Order | None:
        return next(iter(await self._orders.list(CLIENT)), None)

    async def _draft(self, lines: int) -> None:
        issuer = self._service.issuing.issuer
        contract = Contract("90", Format.ELECTRONIC, TARIFF, OfferId("f1"), date(2026, 1, 1))
        opening = OpenClient(CLIENT, "Large", "apetiz", "FR-75", ContactId("u1"), (contract,))
        await issuer.do(RegisterEmployer(Employer(CLIENT, "Large", "apetiz")), "large employer", "")
        await issuer.do(opening, "large client", "")
        rows = [
            Row(f"E{number}", Person(f"First{number}", f"Last{number}", f"p{number}@example.org"), 20, Cents(9_00))
            for number in range(lines)
        ]
        await self._orders.draft(CLIENT, ORDER, "90", MAY, rows, "", "large draft")

    async def _pay(self) -> None:
        drafted = await self._orders.order(CLIENT, ORDER)
        await self._orders.confirm(CLIENT, ORDER, drafted.revision, "", "large confirmation")
        await self._orders.pay(CLIENT, ORDER, "VIR", drafted.costs.total, "", "large payment")


def _memory_mb() -> tuple[float, float]:
    """Tell this process's resident memory now, and at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if "kB" in rest
    }
    return kilobytes["VmRSS"] / 1024, kilobytes["VmHWM"] / 1024


async def serve(url: str) -> None:
    """Be that authorizer, until standard input ends."""
    async with serving(url, SimulatedClock(TUESDAY_NOON), date(2026, 1, 1)) as service:
        await obey(_Serving(service).obey)


def main(url: str) -> None:
    """Run, by words from the command line."""
    logs.configure(as_json=False)
    uvloop.run(serve(url))


if __name__ == "__main__":
    main(*sys.argv[1:])
