"""What being scraped costs payments: the same authorizer, at the same arrivals, with and without a scrape each second.

The two take turns in one run, so whatever else the machine does meets both alike. The authorizer is an `authz serve` of
its own; its processor time is its own metric, read before and after each turn.
"""

import asyncio
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

from msgspec import Struct
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from rich.console import Console
from rich.table import Table

from authz.wire.codec import Codec
from benchmarks.authorizer import AuthorizerFailed, started
from benchmarks.ground import RESULTS, Count, Positive, console_for_tables, keep, temporary
from benchmarks.payments import CONNECTIONS, Crowd, plan_of
from benchmarks.samples import TUESDAY_NOON
from simulators.load.connection import Connection
from simulators.load.latencies import Latencies
from simulators.load.run import precise_loop, run
from simulators.load.stages import Stage, between, parse

DONE, FINDING = 0, 1
RATE = 500.0
TURNS = 4
SECONDS = 10.0
WARM_UP_S = 2.0
HOLDERS = 1_000
SCRAPE_EVERY_S = 1.0
GENERATIONS = 50
"""Times that the text is made again, for the time of one."""
ANSWER = "authz_answer"
"""The whole time of a request, as the readers of stages call it."""

_READY = re.compile(rb"ready iso8583=127\.0\.0\.1:(\d+) http=127\.0\.0\.1:(\d+) ")


class Side(Struct, frozen=True):
    """All turns of one of the two. Latencies in milliseconds, from when a request was due; `cpu_us` is a request's.

    `engine_p50_ms` and `engine_p99_ms` are what the engine's own histogram says of the same requests (None: beyond it).
    """

    name: str
    answered: int
    counted: int
    """The same by the engine's histogram."""
    p50_ms: float
    p99_ms: float
    cpu_us: float
    engine_p50_ms: float | None
    engine_p99_ms: float | None


class Scraped(Struct, frozen=True):
    """Both sides, and one scrape: its series, its bytes, and the milliseconds to make it and to get it."""

    rate: float
    turns: int
    seconds: float
    sides: tuple[Side, ...]
    scrapes: int
    series: int
    text_bytes: int
    generate_ms: float
    fetch_p50_ms: float
    fetch_max_ms: float


class Turn(Struct, frozen=True):
    """One turn, between two readings of the engine's metrics."""

    latencies: Latencies
    answered: int
    cpu_s: float
    stages: tuple[Stage, ...]


def scrape(
    *,
    rate: Positive = RATE,
    turns: Count = TURNS,
    seconds: Positive = SECONDS,
    holders: Count = HOLDERS,
    data: Path | None = None,
    json: Path = RESULTS,
) -> int:
    """Measure payments with and without a scrape of the engine's metrics each second, in turns.

    Exit 1 where a payment was not answered, or the engine's histogram counted others.

    Parameters
    ----------
    rate
        Requests a second.
    turns
        How many each has.
    seconds
        How long a turn lasts.
    holders
        How many holders pay.
    data
        Where the temporary data folder is made.
    json
        The file of results.
    """
    console = console_for_tables()
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        measured = runner.run(_measure(console, rate, turns, seconds, holders, data))
    _show(console, measured)
    keep(json, "scrape", measured)
    due = sum(1 for _ in plan_of(rate, seconds)) * turns
    return DONE if all(side.answered == side.counted == due for side in measured.sides) else FINDING


class Authorizer:
    """An `authz serve` process, and where it listens. Made by `_serving`."""

    def __init__(self, port: int, http_port: int) -> None:
        self.port = port
        self.fetches_ms: list[float] = []
        self._address = f"http://127.0.0.1:{http_port}/metrics"

    def text(self) -> str:
        """Fetch its metrics."""
        with urlopen(self._address) as answer:  # noqa: S310, made above
            return str(answer.read().decode())

    async def scrape(self) -> None:
        """Fetch them each second until cancelled, as Prometheus would, and note how long that took."""
        while True:
            begun = time.perf_counter()
            await asyncio.to_thread(self.text)
            self.fetches_ms.append((time.perf_counter() - begun) * 1_000)
            await asyncio.sleep(SCRAPE_EVERY_S)


async def _measure(
    console: Console, rate: float, turns: int, seconds: float, holders: int, data: Path | None
) -> Scraped:
    crowd = Crowd(holders)
    quiet: list[Turn] = []
    scraped: list[Turn] = []
    async with temporary(data) as embedded:
        with console.status("an authorizer, and its holders' money …") as status:
            async with started(embedded.url, holders):
                pass
            async with _serving(embedded.url) as authorizer, _connected(authorizer, crowd.codec) as hosts:
                await run(plan_of(rate, WARM_UP_S), crowd.prepared(plan_of(rate, WARM_UP_S)), hosts)
                for number in range(turns):
                    status.update(f"turn {number + 1} of {turns} …")
                    quiet.append(await _turn(authorizer, crowd, hosts, rate, seconds))
                    scraping = asyncio.create_task(authorizer.scrape())
                    scraped.append(await _turn(authorizer, crowd, hosts, rate, seconds))
                    scraping.cancel()
                    with suppress(asyncio.CancelledError):
                        await scraping
                text = authorizer.text()
    return Scraped(
        rate=rate,
        turns=turns,
        seconds=seconds,
        sides=(_side("not scraped", quiet), _side("scraped each second", scraped)),
        scrapes=len(authorizer.fetches_ms),
        series=sum(1 for line in text.splitlines() if not line.startswith("#")),
        text_bytes=len(text),
        generate_ms=_generation_ms(text),
        fetch_p50_ms=statistics.median(authorizer.fetches_ms),
        fetch_max_ms=max(authorizer.fetches_ms),
    )


async def _turn(authorizer: Authorizer, crowd: Crowd, hosts: list[Connection], rate: float, seconds: float) -> Turn:
    plan = plan_of(rate, seconds)
    requests = crowd.prepared(plan)
    before = authorizer.text()
    result = await run(plan, requests, hosts)
    after = authorizer.text()
    stages = between(parse(before), parse(after))
    return Turn(result.latencies(), result.answered, _cpu_s(after) - _cpu_s(before), stages)


@asynccontextmanager
async def _serving(url: str) -> AsyncIterator[Authorizer]:
    """Run an authorizer on a ledger whose holders have their money. Raises `AuthorizerFailed`."""
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("authz")), "serve", "--demo", "--database", url),
        *("--port", "0", "--http-port", "0", "--clock", TUESDAY_NOON.isoformat()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        ready = _READY.match(await process.stdout.readline())
        if ready is None:
            raise AuthorizerFailed
        yield Authorizer(int(ready[1]), int(ready[2]))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@asynccontextmanager
async def _connected(authorizer: Authorizer, codec: Codec) -> AsyncIterator[list[Connection]]:
    hosts: list[Connection] = []
    try:
        for _ in range(CONNECTIONS):
            hosts.append(await Connection.connect("127.0.0.1", authorizer.port, codec))  # noqa: PERF401, all are closed
        yield hosts
    finally:
        for host in hosts:
            await host.close()


def _side(name: str, turns: list[Turn]) -> Side:
    latencies = Latencies.sum_of(turn.latencies for turn in turns)
    own = [stage for turn in turns for stage in turn.stages if stage.name == ANSWER]
    answered = sum(turn.answered for turn in turns)
    return Side(
        name=name,
        answered=answered,
        counted=sum(stage.count for stage in own),
        p50_ms=latencies.milliseconds(50),
        p99_ms=latencies.milliseconds(99),
        cpu_us=sum(turn.cpu_s for turn in turns) / answered * 1_000_000,
        engine_p50_ms=_middle([stage.p50_ms for stage in own]),
        engine_p99_ms=_middle([stage.p99_ms for stage in own]),
    )


def _middle(values: list[float | None]) -> float | None:
    """The median of the turns', unless one is beyond the histogram."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known and len(known) == len(values) else None


class _Again(Collector):
    """Families that were read from a text."""

    def __init__(self, text: str) -> None:
        self._families = list(text_string_to_metric_families(text))

    def collect(self) -> list[Metric]:
        """Give them."""
        return self._families


def _generation_ms(text: str) -> float:
    """How long the library takes to write the same text, here: what the engine's loop stands still for."""
    registry = CollectorRegistry()
    registry.register(_Again(text))
    begun = time.perf_counter()
    for _ in range(GENERATIONS):
        generate_latest(registry)
    return (time.perf_counter() - begun) / GENERATIONS * 1_000


def _cpu_s(text: str) -> float:
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("process_cpu_seconds_total "))


def _show(console: Console, measured: Scraped) -> None:
    title = f"{measured.rate:g} payments/s, {measured.turns} turns of {measured.seconds:g} s each, one after the other"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in ("answered", "p50 ms", "p99 ms", "engine's p50", "engine's p99", "engine µs a request"):
        table.add_column(name, justify="right")
    for side in measured.sides:
        milliseconds = (side.p50_ms, side.p99_ms, side.engine_p50_ms, side.engine_p99_ms)
        words = ("" if value is None else f"{value:.2f}" for value in milliseconds)
        table.add_row(side.name, f"{side.answered:,}", *words, f"{side.cpu_us:.0f}")
    console.print(table)
    console.print(
        f"{measured.scrapes} scrapes of {measured.series} series, {measured.text_bytes:,} bytes: "
        f"{measured.generate_ms:.2f} ms to write, {measured.fetch_p50_ms:.1f} ms to fetch, "
        f"{measured.fetch_max_ms:.1f} ms at most"
    )
