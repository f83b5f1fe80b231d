"""Whether an authorizer stays as fast while its ledger grows, and with holders nobody has seen for long.

Two ledgers in one PostgreSQL: a small one, and one with millions of records; an authorizer on each. The same active
holders pay at both in turns, and at the large one also anybody of all holders, whose positions and cards are then read
from the database.
"""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct
from rich.console import Console

from benchmarks.authorizer import Authorizer, AuthorizerFailed, started
from benchmarks.bounds import Bound, judged
from benchmarks.costs import metering
from benchmarks.filled import card_of, fill
from benchmarks.ground import RESULTS, Count, Positive, temporary
from benchmarks.machine import Machine, describe
from benchmarks.payments import SEED, Crowd, Paid, pay_on, saturate
from benchmarks.rows import times
from benchmarks.samples import TUESDAY_NOON
from benchmarks.steady import Side, side
from ledger.schema import APPLICATION_ROLE
from simulators.load.latencies import Latencies

RECORDS = 5_000_000
HOLDERS = 1_000_000
ACTIVE = 10_000
RATE = 500.0
TURNS = 4
SECONDS = 10.0
WARM_UP_S = 2.0
CHECKPOINT_SECONDS = 60.0
STARTS = 3
START_TIMEOUT_S = 600
"""The first one of a demo goes through all holders' lots before it is ready: those that follow have nothing to do."""
STOP_TIMEOUT_S = 15
SMALL, LARGE = "small", "large"
_SERVE = "import sys; from authz.cli import main; sys.exit(main())"

TIMES_MAX = 1.25
COLD_MORE_MS_MAX = 1.0
START_SECONDS_MAX = 3.0


class Growth(Struct, frozen=True, kw_only=True):
    """What was measured: the active holders at both ledgers, and anybody of all at the large one."""

    machine: Machine
    records: int
    holders: int
    active: int
    rate: float
    small: Side
    large: Side
    anybody: Side
    starts_s: tuple[float, ...]
    """From the start of `authz serve` on the large ledger to its `ready`, PostgreSQL running."""
    wal_bytes_after_checkpoint: float
    wal_bytes_later: float
    """Of write-ahead log a request, at the large ledger, by anybody."""
    bounds: tuple[Bound, ...] = ()


class Shape(Struct, frozen=True, kw_only=True):
    """How large and how long: see `growth`."""

    records: int
    holders: int
    active: int
    rate: float
    turns: int
    seconds: float
    checkpoint_seconds: float


def growth(
    *,
    records: Count = RECORDS,
    holders: Count = HOLDERS,
    active: Count = ACTIVE,
    rate: Positive = RATE,
    turns: Count = TURNS,
    seconds: Positive = SECONDS,
    checkpoint_seconds: Positive = CHECKPOINT_SECONDS,
    data: Path | None = None,
    json: Path = RESULTS,
) -> int:
    """Measure the same holders on a small ledger and on a large one, and everybody on the large one.

    Parameters
    ----------
    records
        Of the large ledger. The small one has one for each active holder.
    holders
        Of the large ledger.
    active
        How many pay, at either.
    rate
        Requests a second.
    turns
        How many each has.
    seconds
        How long a turn lasts.
    checkpoint_seconds
        How long is measured behind a checkpoint.
    data
        Where the temporary data folder is made: on the disk that is to be measured.
    json
        The file of results.
    """
    shape = Shape(
        records=records,
        holders=holders,
        active=min(active, holders),
        rate=rate,
        turns=turns,
        seconds=seconds,
        checkpoint_seconds=checkpoint_seconds,
    )
    return judged("growth", json, lambda console: _measure(console, shape, data))


async def _measure(console: Console, shape: Shape, data: Path | None) -> Growth:
    async with temporary(data) as embedded, metering(embedded.server) as meter:
        server = embedded.server
        machine = await describe(embedded.superuser_url, server.data)
        with console.status(f"a ledger of {shape.records:,} records …") as status:
            await fill(server, SMALL, shape.active, shape.active)
            await fill(server, LARGE, shape.holders, shape.records)
            status.update("starting on it …")
            large_url = server.url(APPLICATION_ROLE, LARGE)
            starts = [await start_seconds(large_url) for _ in range(STARTS + 1)]
            crowd = Crowd(shape.holders, card_of)
            async with started(server.url(APPLICATION_ROLE, SMALL), 0) as small, started(large_url, 0) as large:
                status.update("warming up …")
                for authorizer in (small, large):
                    await saturate(authorizer, crowd, shape.active, range(shape.active))
                turns = await _take_turns(crowd, small, large, shape, status.update)
                status.update("after a checkpoint …")
                lasts = (shape.checkpoint_seconds, WARM_UP_S, meter)
                fresh = await pay_on(large, crowd, shape.rate, *lasts, after_checkpoint=True)
                later = await pay_on(large, crowd, shape.rate, *lasts)
    assert fresh.cost is not None
    assert later.cost is not None
    sides = [_summed_up(name, some) for name, some in turns.items()]
    bytes_written = (fresh.cost.wal_bytes, later.cost.wal_bytes)
    return summed_up(machine, shape, sides, tuple(starts[1:]), bytes_written)


async def _take_turns(
    crowd: Crowd, small: Authorizer, large: Authorizer, shape: Shape, say: Callable[[str], None]
) -> dict[str, list[Paid]]:
    chance = random.Random(SEED)

    def active() -> Iterator[int]:
        while True:
            yield chance.randrange(shape.active)

    paid: dict[str, list[Paid]] = {}
    for turn in range(shape.turns):
        say(f"turn {turn + 1} of {shape.turns} …")
        for name, authorizer, who in (
            (f"{shape.active:,} active holders, {shape.active:,} records", small, active()),
            (f"{shape.active:,} active holders, {shape.records:,} records", large, active()),
            (f"anybody of {shape.holders:,} holders, {shape.records:,} records", large, None),
        ):
            done = await pay_on(authorizer, crowd, shape.rate, shape.seconds, WARM_UP_S, who=who)
            paid.setdefault(name, []).append(done)
    return paid


def _summed_up(name: str, turns: list[Paid]) -> Side:
    latencies = Latencies.sum_of(one.result.latencies() for one in turns)
    return side(name, latencies, sum(one.row().errors for one in turns))


def summed_up(
    machine: Machine, shape: Shape, sides: list[Side], starts: tuple[float, ...], wal_bytes: tuple[float, float]
) -> Growth:
    """Hold the turns against each other."""
    small, large, anybody = sides
    bounds = [Bound(what=f"{one.name}, {name}", value=value, unit="ms") for one in sides for name, value in _told(one)]
    bounds += [
        Bound(what=f"active holders, {name}: large to small", value=times(many, few) or 0.0, unit="×", most=TIMES_MAX)
        for (name, few), (_, many) in zip(_told(small), _told(large), strict=True)
    ]
    more = anybody.p50_ms - large.p50_ms
    bounds += [
        Bound(what="anybody, p50: more than active holders'", value=more, unit="ms", most=COLD_MORE_MS_MAX),
        Bound(what="start-up to ready, the slowest", value=max(starts), unit="s", most=START_SECONDS_MAX),
        Bound(what="WAL a request, from a checkpoint on", value=wal_bytes[0], unit="bytes"),
        Bound(what="WAL a request, later", value=wal_bytes[1], unit="bytes"),
        Bound(what="errors", value=sum(one.errors for one in sides), unit="", most=0),
    ]
    return Growth(
        machine=machine,
        records=shape.records,
        holders=shape.holders,
        active=shape.active,
        rate=shape.rate,
        small=small,
        large=large,
        anybody=anybody,
        starts_s=starts,
        wal_bytes_after_checkpoint=wal_bytes[0],
        wal_bytes_later=wal_bytes[1],
        bounds=tuple(bounds),
    )


def _told(one: Side) -> tuple[tuple[str, float], ...]:
    return ("p50", one.p50_ms), ("p99", one.p99_ms)


async def start_seconds(url: str) -> float:
    """Start `authz serve` on a ledger, and tell how long it took to say `ready`. Raises `AuthorizerFailed`."""
    words = ("serve", "--demo", "--port", "0", "--http-port", "0", "--clock", TUESDAY_NOON.isoformat())
    start = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _SERVE, *words, "--database", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while line := await process.stdout.readline():
                if line.startswith(b"ready "):
                    return time.perf_counter() - start
        sys.stderr.write((await process.stderr.read()).decode())
        raise AuthorizerFailed
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
