"""An authorizer in a process of its own, with a crowd of holders in its ledger, that tells what it has used.

`serve --demo` would do, but for the crowd, the clock and the counting: so this process puts the same service together
by the same functions. It is told what to do on standard input. At each line it writes its `Usage` so far as a line of
JSON; when the input ends, it stops as `authz serve` does on SIGTERM.
"""

import asyncio
import gc
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import uvloop
from msgspec import Struct, structs

from authz import logs
from authz.clock import SimulatedClock
from authz.demo.demo import generated_cards
from authz.demo_data import data as demo_data
from authz.service import Service, running
from benchmarks.samples import TUESDAY_NOON
from benchmarks.stages import Stopwatch
from simulators.load.latencies import NS_PER_SECOND

START_TIMEOUT_S = 300
ANSWER_TIMEOUT_S = 10
STOP_TIMEOUT_S = 15
HOLDERS_PER_CHUNK = 250


class AuthorizerFailed(Exception):
    """The authorizer to be measured didn't start, or ended: its own words stand above."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Usage(Struct, frozen=True):
    """What an authorizer has used since it started.

    Processor time is in nanoseconds; `stages` are the nanoseconds and calls of each. The garbage collector's are
    always there, the others where they are timed.
    """

    port: int
    user_ns: int
    system_ns: int
    appends: int
    records: int
    stages: dict[str, tuple[int, int]] = {}


class Authorizer:
    """A running authorizer, from outside. Made by `started`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    async def usage(self, timeout: float = ANSWER_TIMEOUT_S) -> Usage:
        """Ask what it has used. Raises `AuthorizerFailed`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        try:
            async with asyncio.timeout(timeout):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise AuthorizerFailed from None
        if not line:
            raise AuthorizerFailed
        return msgspec.json.decode(line, type=Usage)

    async def stop(self) -> None:
        """End its input, and it; by force where that is not enough."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def started(url: str, holders: int, *, timed: bool = False) -> AsyncIterator[Authorizer]:
    """Start an authorizer on the ledger at `url`, and wait until its holders have their money.

    `timed`: with a stopwatch at every stage, which costs time itself. Raises `AuthorizerFailed`.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.authorizer", url, str(holders), "timed" if timed else "plain"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    authorizer = Authorizer(process)
    try:
        await authorizer.usage(START_TIMEOUT_S)
        yield authorizer
    finally:
        await authorizer.stop()


async def serve(url: str, holders: int, stopwatch: Stopwatch) -> None:
    """Be that authorizer, until standard input ends."""
    demo = demo_data.read()
    config = demo.config()
    ports = tuple(structs.replace(link, port=0) for link in config.links)
    config = structs.replace(config, links=ports, http_port=0)
    async with running(config, url, SimulatedClock(TUESDAY_NOON), demo=True) as service:
        loader = demo_data.DemoLoader(
            service.engine, service.cards, service.security, (await service.first_instant()).date()
        )
        crowd = generated_cards(holders)
        programmes = {employer.id: employer.programme for employer in demo.employer}
        for start in range(0, len(crowd), HOLDERS_PER_CHUNK):
            await loader.load_cards(crowd[start : start + HOLDERS_PER_CHUNK], programmes)
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while await orders.readline():
            sys.stdout.write(msgspec.json.encode(_usage(service, stopwatch)).decode() + "\n")
            sys.stdout.flush()


def _usage(service: Service, stopwatch: Stopwatch) -> Usage:
    used = resource.getrusage(resource.RUSAGE_SELF)
    counted = service.metrics.registry.get_sample_value
    return Usage(
        port=service.links[0].port,
        user_ns=int(used.ru_utime * NS_PER_SECOND),
        system_ns=int(used.ru_stime * NS_PER_SECOND),
        appends=int(counted("authz_batch_records_count") or 0),
        records=int(counted("authz_batch_records_sum") or 0),
        stages=stopwatch.read(),
    )


def main(url: str, holders: str, mode: str) -> None:
    """Run, by words from the command line."""
    logs.configure(as_json=False)
    stopwatch = Stopwatch()
    gc.callbacks.append(stopwatch.collecting)
    if mode == "timed":
        stopwatch.install()
    uvloop.run(serve(url, int(holders), stopwatch))


if __name__ == "__main__":
    main(*sys.argv[1:])
