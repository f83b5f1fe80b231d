"""One order of many beneficiaries beside payments: its list is drafted, it is paid, and its lines are carried out.

Everybody in it is new: each is enrolled, gets a card, and is loaded. A crowd of others pays at a fixed rate in an open
loop, before the order, while it is drafted, while it is released, and after. Where it is asked for, the authorizer is
killed in the middle of the release and started again. It is a process of its own; it is told on standard input what to
do, and answers each line with its `Told` as a line of JSON.
"""

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import asyncpg
import msgspec
import uvloop
from msgspec import Struct, structs
from rich.console import Console
from rich.table import Table

from authz import demo_data, logs
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
from authz.demo import generated_cards
from authz.issuing.contacts import Person
from authz.issuing.sheets.rows import Row
from authz.service import Service, running
from benchmarks.authorizer import START_TIMEOUT_S, AuthorizerFailed
from benchmarks.ground import Count, Positive, console_for_tables, temporary, write_json
from benchmarks.machine import Machine, describe
from benchmarks.payments import CONNECTIONS, Crowd, plan_of
from benchmarks.samples import TUESDAY_NOON
from ledger.values import Cents
from simulators.acquirer import AcquirerHost
from simulators.load import Result, precise_loop, run

DONE, FINDING = 0, 1
LINES = 100_000
PAYERS = 2_000
RATE = 200.0
SECONDS = 20.0
WARM_UP_S = 3.0
RELEASE_S_MAX = 120
POLL_S = 0.25
STEP_MAX_S = 1_800
KILLED_AT_PERCENT = 50
PAYERS_A_CHUNK = 250
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


class Span(Struct, frozen=True):
    """Payments of a while, in milliseconds."""

    name: str
    payments: int
    errors: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p99_9_ms: float


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
    return DONE if once and in_time and not any(span.errors for span in measured.spans) else FINDING


async def _measure(
    console: Console, lines: int, rate: float, seconds: float, data: Path | None, *, kill: bool
) -> Ordered:
    crowd = Crowd(PAYERS)
    async with temporary(data) as embedded:
        machine = await describe(embedded.superuser_url, embedded.server.data)
        with console.status("an authorizer, and its holders' money …") as status:
            async with _started(embedded.url) as authorizer:
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
                    await authorizer.has_applied(KILLED_AT_PERCENT)
                    authorizer.kill()
                last = await authorizer.tell() if not kill else before
            if kill:
                status.update("started again: payments, and the rest of the release …")
                async with _started(embedded.url) as authorizer:
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


class _Authorizer:
    """A running one, from outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._one_at_a_time = asyncio.Lock()

    async def tell(self, words: str = "", timeout: float = START_TIMEOUT_S) -> Told:
        """Say something, and hear how far it is. Raises `AuthorizerFailed`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._one_at_a_time, asyncio.timeout(timeout):
            self._process.stdin.write(f"{words}\n".encode())
            line = await self._process.stdout.readline()
        if not line:
            raise AuthorizerFailed
        return msgspec.json.decode(line, type=Told)

    async def is_at(self, status: str) -> None:
        """Wait until the order is there in its life."""
        async with asyncio.timeout(STEP_MAX_S):
            while (await self.tell()).status != status:  # noqa: ASYNC110  it is in another process
                await asyncio.sleep(POLL_S)

    async def has_applied(self, percent: int) -> None:
        """Wait until so many of the order's chunks are carried out."""
        async with asyncio.timeout(STEP_MAX_S):
            while (told := await self.tell()).applied * 100 < told.chunks * percent:  # noqa: ASYNC110  as above
                await asyncio.sleep(POLL_S)

    def kill(self) -> None:
        """`kill -9`."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self) -> None:
        """End its input, and wait for its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


@asynccontextmanager
async def _started(url: str) -> AsyncIterator[_Authorizer]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.order", url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    authorizer = _Authorizer(process)
    try:
        await authorizer.tell()
        yield authorizer
    finally:
        await authorizer.stop()


async def _beside(
    authorizer: _Authorizer,
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
        await authorizer.is_at(status)
        took = time.perf_counter() - begun

    waiting = asyncio.create_task(until_done())
    while True:
        spans.append(await _pay(authorizer, crowd, name, rate, seconds))
        if waiting.done():
            await waiting
            return took


async def _pay(authorizer: _Authorizer, crowd: Crowd, name: str, rate: float, seconds: float) -> Span:
    """Send payments at their times, after a warm-up at the same rate."""
    warm_up, plan = plan_of(rate, WARM_UP_S), plan_of(rate, seconds)
    first, requests = crowd.prepared(warm_up), crowd.prepared(plan)
    port = (await authorizer.tell()).port
    hosts = [await AcquirerHost.connect("127.0.0.1", port, crowd.codec) for _ in range(CONNECTIONS)]
    try:
        await run(warm_up, first, hosts)
        return _span(name, await run(plan, requests, hosts))
    finally:
        for host in hosts:
            await host.close()


def _span(name: str, result: Result) -> Span:
    approved = sum(reply.count for reply in result.replies if reply.response_code == "00")
    sent = result.answered + result.unanswered + result.unsent
    percentiles = (result.p50_ms, result.p90_ms, result.p99_ms, result.p99_9_ms)
    return Span(name, result.answered, sent - approved, *percentiles)


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
    for column in ("payments", "count", "errors", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms"):
        table.add_column(column, justify="left" if column == "payments" else "right")
    for span in measured.spans:
        latencies = (f"{value:.2f}" for value in (span.p50_ms, span.p90_ms, span.p99_ms, span.p99_9_ms))
        table.add_row(span.name, str(span.payments), str(span.errors), *latencies)
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
    demo = demo_data.read()
    config = demo.config()
    ports = tuple(structs.replace(link, port=0) for link in config.links)
    config = structs.replace(config, links=ports, http_port=0)
    async with running(config, url, SimulatedClock(TUESDAY_NOON), demo=False) as service:
        loader = demo_data.DemoLoader(service.engine, service.cards, service.security, date(2026, 1, 1))
        await loader.load(demo)
        crowd = generated_cards(PAYERS)
        programmes = {employer.id: employer.programme for employer in demo.employer}
        for start in range(0, len(crowd), PAYERS_A_CHUNK):
            await loader.load_cards(crowd[start : start + PAYERS_A_CHUNK], programmes)
        serving, orders = _Serving(service), asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while line := await orders.readline():
            sys.stdout.write(msgspec.json.encode(await serving.obey(line.decode().strip())).decode() + "\n")
            sys.stdout.flush()


def main(url: str) -> None:
    """Run, by words from the command line."""
    logs.configure(as_json=False)
    uvloop.run(serve(url))


if __name__ == "__main__":
    main(*sys.argv[1:])
