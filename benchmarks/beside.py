"""Payments beside something else: an authorizer in a process of its own, which is told what to do while a crowd pays.

The process reads a line of words on its standard input, and answers each with a line of JSON: how far it is.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct, structs

from authz.clock import SimulatedClock
from authz.demo.demo import generated_cards
from authz.demo_data import data as demo_data
from authz.service import Service, running
from benchmarks.authorizer import START_TIMEOUT_S, AuthorizerFailed
from benchmarks.payments import CONNECTIONS, Crowd, plan_of
from simulators.load.connection import Connection
from simulators.load.result import Result
from simulators.load.run import run

PAYERS = 2_000
RATE = 200.0
"""Payments a second, unless asked for otherwise."""
SECONDS = 20.0
WARM_UP_S = 3.0
PAYERS_A_CHUNK = 250
COLUMNS = ("payments", "count", "errors", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms")
"""Of a table of spans."""

Told = TypeVar("Told")


class Span(Struct, frozen=True):
    """Payments of a while, in milliseconds."""

    name: str
    payments: int
    errors: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p99_9_ms: float

    def cells(self) -> tuple[str, ...]:
        """Write it under `COLUMNS`."""
        latencies = (self.p50_ms, self.p90_ms, self.p99_ms, self.p99_9_ms)
        return (self.name, str(self.payments), str(self.errors), *[f"{value:.2f}" for value in latencies])


class Companion(Generic[Told]):
    """That process, from outside. It tells of itself in structs of one kind."""

    def __init__(self, process: asyncio.subprocess.Process, told: type[Told]) -> None:
        self._process = process
        self._told = told
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
        return msgspec.json.decode(line, type=self._told)

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
async def started(module: str, told: type[Told], *arguments: str) -> AsyncIterator[Companion[Told]]:
    """Start a module that `obey`s, and stop it when the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    companion = Companion(process, told)
    try:
        yield companion
    finally:
        await companion.stop()


@asynccontextmanager
async def warmed_up(
    port: int, crowd: Crowd, rate: float, seconds: float
) -> AsyncIterator[Callable[[], Awaitable[Result]]]:
    """Warm an authorizer up at a rate of payments, and give what sends those that are measured, at their times."""
    warm_up, plan = plan_of(rate, WARM_UP_S), plan_of(rate, seconds)
    first, requests = crowd.prepared(warm_up), crowd.prepared(plan)
    hosts = [await Connection.connect("127.0.0.1", port, crowd.codec) for _ in range(CONNECTIONS)]
    try:
        await run(warm_up, first, hosts)
        yield lambda: run(plan, requests, hosts)
    finally:
        for host in hosts:
            await host.close()


def span(name: str, result: Result) -> Span:
    """Sum payments up. What isn't approved is an error."""
    approved = sum(reply.count for reply in result.replies if reply.response_code == "00")
    sent = result.answered + result.unanswered + result.unsent
    percentiles = (result.p50_ms, result.p90_ms, result.p99_ms, result.p99_9_ms)
    return Span(name, result.answered, sent - approved, *percentiles)


@asynccontextmanager
async def serving(url: str, clock: SimulatedClock, first_day: date) -> AsyncIterator[Service]:
    """Be an authorizer with the demo's data and the crowd's cards, on a free port."""
    demo = demo_data.read()
    config = demo.config()
    ports = tuple(structs.replace(link, port=0) for link in config.links)
    async with running(structs.replace(config, links=ports, http_port=0), url, clock, demo=False) as service:
        loader = demo_data.DemoLoader(service.engine, service.cards, service.security, first_day)
        await loader.load(demo)
        crowd = generated_cards(PAYERS)
        for start in range(0, len(crowd), PAYERS_A_CHUNK):
            await loader.load_cards(crowd[start : start + PAYERS_A_CHUNK], demo.programmes)
        yield service


async def obey(command: Callable[[str], Awaitable[Struct]]) -> None:
    """Do what standard input says, line by line, and tell how far it is, until it ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        sys.stdout.write(msgspec.json.encode(await command(line.decode().strip())).decode() + "\n")
        sys.stdout.flush()
