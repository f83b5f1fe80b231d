"""What the whole authorizer takes beyond a bare append, at a rate that both hold with ease.

The two take turns under the very same arrivals, in one run: so whatever else the machine does meets both alike.
"""

import asyncio
from pathlib import Path

from msgspec import Struct
from rich.console import Console

from benchmarks import bare
from benchmarks.authorizer import started
from benchmarks.bounds import Bound, judged
from benchmarks.ground import RESULTS, Count, Positive, temporary
from benchmarks.machine import Machine, describe
from benchmarks.payments import Crowd, pay_on, plan_of
from benchmarks.rows import times
from benchmarks.samples import purchase
from simulators.load.latencies import Latencies

RATE = 500.0
TURNS = 6
SECONDS = 10.0
WARM_UP_S = 2.0
HOLDERS = 3_000
TIMES_P50_MAX = TIMES_P99_9_MAX = 3.0


class Side(Struct, frozen=True):
    """One of the two, all of its turns together, in milliseconds."""

    name: str
    count: int
    errors: int
    p50_ms: float
    p99_ms: float
    p99_9_ms: float


class Steady(Struct, frozen=True, kw_only=True):
    """Both sides; `turns` each, one after the other."""

    machine: Machine
    rate: float
    turns: int
    seconds: float
    append: Side
    authorizer: Side
    bounds: tuple[Bound, ...]


def steady(
    *,
    rate: Positive = RATE,
    turns: Count = TURNS,
    seconds: Positive = SECONDS,
    holders: Count = HOLDERS,
    data: Path | None = None,
    json: Path = RESULTS,
) -> int:
    """Measure the bare append and the authorizer in turns, at the same arrivals.

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
        Where the temporary data folder is made: on the disk that is to be measured.
    json
        The file of results.
    """
    return judged("steady", json, lambda console: _measure(console, rate, turns, seconds, holders, data))


async def _measure(
    console: Console, rate: float, turns: int, seconds: float, holders: int, data: Path | None
) -> Steady:
    sample = await purchase()
    appends: list[Latencies] = []
    payments: list[Latencies] = []
    missed = errors = 0
    async with temporary(data) as embedded:
        machine = await describe(embedded.superuser_url, embedded.server.data)
        await asyncio.to_thread(lambda: asyncio.run(bare.create(embedded.server)))
        crowd = Crowd(holders)
        with console.status("an authorizer, and its holders' money …") as status:
            async with started(embedded.url, holders) as authorizer:
                for turn in range(turns):
                    status.update(f"turn {turn + 1} of {turns} …")
                    appended = await bare.append_on(embedded.server, sample, plan_of(rate, seconds), seconds)
                    paid = await pay_on(authorizer, crowd, rate, seconds, WARM_UP_S)
                    appends.append(appended.latencies)
                    payments.append(paid.result.latencies())
                    missed += appended.missed
                    errors += paid.row().errors
    append = side(bare.YARDSTICK, Latencies.sum_of(appends), missed)
    authorizer_side = side("authorizer, TCP and PIN", Latencies.sum_of(payments), errors)
    return Steady(
        machine=machine,
        rate=rate,
        turns=turns,
        seconds=seconds,
        append=append,
        authorizer=authorizer_side,
        bounds=bounds_of(append, authorizer_side),
    )


def side(name: str, latencies: Latencies, errors: int) -> Side:
    """Sum one side up."""
    return Side(name, latencies.count, errors, *(latencies.milliseconds(share) for share in (50, 99, 99.9)))


def bounds_of(append: Side, authorizer: Side) -> tuple[Bound, ...]:
    """Hold the authorizer's latencies against the bare append's."""
    told = []
    for name, bare_ms, whole_ms, most in (
        ("p50", append.p50_ms, authorizer.p50_ms, TIMES_P50_MAX),
        ("p99", append.p99_ms, authorizer.p99_ms, None),
        ("p99.9", append.p99_9_ms, authorizer.p99_9_ms, TIMES_P99_9_MAX),
    ):
        told += [
            Bound(what=f"bare append, {name}", value=bare_ms, unit="ms"),
            Bound(what=f"authorizer, {name}", value=whole_ms, unit="ms"),
            Bound(what=f"times the bare append's {name}", value=times(whole_ms, bare_ms) or 0.0, unit="×", most=most),
        ]
    errors = Bound(what="errors of either", value=append.errors + authorizer.errors, unit="", most=0)
    return (*told, errors)
