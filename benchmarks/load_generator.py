"""What the load generator itself can do: purchases to a host in another process that does nothing but answer.

The host turns the request's message type into its reply's, and sends the rest back as it came. What is measured is
the rate held beside the rate asked, the generator's own processor time, and how late it sent.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import Parameter
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from benchmarks.ground import Positive, console_for_tables, write_json
from simulators.load.connection import Connection
from simulators.load.mix import Kind, Mix, Popularity
from simulators.load.run import precise_loop, run
from simulators.load.schedule import Pace, Schedule
from simulators.load.traffic import Shop, Traffic
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Entry

DONE, FINDING = 0, 1
RATES = (1_000, 5_000, 10_000, 20_000)
SECONDS = 5.0
WARM_UP_SECONDS = 1.0
CONNECTIONS = 4
LENGTH_BYTES = 2
MTI_THIRD = LENGTH_BYTES + 2

Rates = Annotated[tuple[Positive, ...], Parameter(consume_multiple=True)]


class Pull(Struct, frozen=True):
    """One rate. `cpu` is the generator's processor time in seconds a second; the others are milliseconds, or counts."""

    asked: float
    held: float
    cpu: float
    lag_p99_ms: float
    p50_ms: float
    p99_ms: float
    unanswered: int
    was_held: bool
    """Whether all was answered, at the rate at which it was due."""


def load_generator(*, rates: Rates = RATES, seconds: Positive = SECONDS, json: Path | None = None) -> int:
    """Measure the load generator against a host that only answers, in another process.

    Parameters
    ----------
    rates
        Requests a second.
    seconds
        How long each rate lasts.
    json
        A file to write the measurements to.
    """
    console = console_for_tables()
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        pulls = runner.run(_measure(console, rates, seconds))
    table = Table(
        "asked/s", "held/s", "CPU s/s", "lag p99 ms", "p50 ms", "p99 ms", "unanswered", title="load generator"
    )
    for pull in pulls:
        figures = (pull.cpu, pull.lag_p99_ms, pull.p50_ms, pull.p99_ms)
        table.add_row(
            f"{pull.asked:,.0f}", f"{pull.held:,.0f}", *[f"{one:.2f}" for one in figures], f"{pull.unanswered}"
        )
    console.print(table)
    write_json(json, pulls)
    return DONE if all(pull.was_held for pull in pulls) else FINDING


async def pull(port: int, rate: float, seconds: float, warm_up_seconds: float = WARM_UP_SECONDS) -> Pull:
    """Ask a host for so many purchases a second, each made anew while the run is on."""
    known = parameters.demo()
    codec = Codec(shipped(known.dialect))
    cards = [Card(pan=card.pan, pin=card.pin) for card in known.card]
    plan = Schedule(rate, seconds, Pace.POISSON, 19, warm_up_seconds)
    purchases, chip = Mix(((Kind.PURCHASE, 1),)), Mix(((Entry.CHIP, 1),))
    traffic = Traffic(codec, Shop.of(known), cards.__getitem__, Popularity(len(cards)), purchases, chip)
    connections = [await Connection.connect("127.0.0.1", port, codec) for _ in range(CONNECTIONS)]
    try:
        result = await run(plan, traffic.along(plan), connections, heard=traffic.heard)
    finally:
        for connection in connections:
            await connection.close()
    unanswered = result.unanswered + result.unsent
    latencies = (result.lag_p99_ms, result.p50_ms, result.p99_ms)
    held = result.was_held(seconds) and not unanswered
    return Pull(rate, result.held_rate, result.cpu, *latencies, unanswered, held)


@asynccontextmanager
async def answering() -> AsyncIterator[int]:
    """A host in a process of its own that answers everything at once; gives its port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load_generator"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(await process.stdout.readline())
    finally:
        process.stdin.close()
        await process.wait()


class Answerer(asyncio.Protocol):
    """Sends every frame of `iso87ascii` back, its message type raised by ten."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's transports don't inherit asyncio's

    def data_received(self, data: bytes) -> None:
        """Answer every frame that is whole."""
        frames = self._rest + data
        at, size = 0, len(frames)
        while size - at >= LENGTH_BYTES:
            after = at + LENGTH_BYTES + (frames[at] << 8 | frames[at + 1])
            if after > size:
                break
            frames[at + MTI_THIRD] += 1
            at = after
        assert self._transport is not None
        self._transport.write(bytes(frames[:at]))
        self._rest = frames[at:]


async def _measure(console: Console, rates: tuple[float, ...], seconds: float) -> list[Pull]:
    pulls = []
    async with answering() as port:
        for rate in rates:
            with console.status(f"{rate:g}/s …"):
                pulls.append(await pull(port, rate, seconds))
    return pulls


async def _answer() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answerer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()


if __name__ == "__main__":
    uvloop.run(_answer())
