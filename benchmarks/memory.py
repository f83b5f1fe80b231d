"""What an active holder takes of an engine's memory, and whether that memory stays as large as it is.

First a few holders pay until the engine remembers as many answers as it may. What it grows by then, while each of many
others pays for the first time, is theirs: a position and a card each. After that a steady rate, with a reading now
and then.
"""

import asyncio
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path

from msgspec import Struct
from rich.console import Console

from authz.engine.limits import Limits
from benchmarks.authorizer import Authorizer, started
from benchmarks.bounds import Bound, judged
from benchmarks.filled import card_of, fill
from benchmarks.ground import RESULTS, Count, Positive, temporary
from benchmarks.machine import Machine, describe
from benchmarks.payments import Crowd, connected, plan_of, saturate
from benchmarks.processes import resident_bytes
from ledger.schema import APPLICATION_ROLE
from simulators.load.result import Result
from simulators.load.run import run

HOLDERS = 50_000
FEW = 500
"""Holders who fill what the engine remembers."""
REMEMBERED = Limits().remembered_max
RATE = 500.0
MINUTES = 10.0
READINGS = 40
"""Of the memory, over a soak."""
SECONDS_PER_MINUTE = 60
BYTES_PER_MB = 1_000_000
DATABASE = "soak"

HOLDER_BYTES_MAX = 2_048
FLAT_TIMES_MAX = 1.05
"""The largest reading of a soak, to the largest of its first quarter."""


class Memory(Struct, frozen=True, kw_only=True):
    """An engine's resident memory, in bytes: before many holders paid, after each did once, and after each once more.

    `readings` are taken evenly over the soak.
    """

    machine: Machine
    holders: int
    rate: float
    minutes: float
    before: int
    after_once: int
    after_twice: int
    readings: tuple[int, ...]
    errors: int
    bounds: tuple[Bound, ...] = ()


def memory(
    *,
    holders: Count = HOLDERS,
    warm_up_payments: Count = REMEMBERED,
    rate: Positive = RATE,
    minutes: Positive = MINUTES,
    data: Path | None = None,
    json: Path = RESULTS,
) -> int:
    """Measure the memory of an active holder, and the engine's memory over a soak.

    Parameters
    ----------
    holders
        How many become active.
    warm_up_payments
        How many payments a few others make first: as many as an engine remembers.
    rate
        Requests a second, of the soak.
    minutes
        How long the soak lasts.
    data
        Where the temporary data folder is made.
    json
        The file of results.
    """
    return judged("memory", json, lambda console: _measure(console, holders, warm_up_payments, rate, minutes, data))


async def _measure(
    console: Console, holders: int, warm_up_payments: int, rate: float, minutes: float, data: Path | None
) -> Memory:
    async with temporary(data) as embedded:
        machine = await describe(embedded.superuser_url, embedded.server.data)
        with console.status(f"a ledger of {holders:,} holders …") as status:
            await fill(embedded.server, DATABASE, holders + FEW, holders + FEW)
            crowd = Crowd(holders, card_of)
            async with started(embedded.server.url(APPLICATION_ROLE, DATABASE), 0) as authorizer:
                status.update("filling what the engine remembers …")
                few = cycle(range(holders, holders + FEW))
                errors = (await saturate(authorizer, crowd, warm_up_payments, few))[0].errors
                sizes = [resident_bytes(authorizer.pid)]
                for number in (1, 2):
                    status.update(f"every holder pays, {number} of 2 …")
                    errors += (await saturate(authorizer, crowd, holders, range(holders)))[0].errors
                    sizes.append(resident_bytes(authorizer.pid))
                status.update(f"{minutes:g} minutes at {rate:g}/s …")
                result, readings = await _soak(authorizer, crowd, rate, minutes * SECONDS_PER_MINUTE)
    return summed_up(machine, holders, rate, minutes, sizes, readings, errors + result.errors)


async def _soak(authorizer: Authorizer, crowd: Crowd, rate: float, seconds: float) -> tuple[Result, list[int]]:
    """Pay at a steady rate, each payment made when it is due, and read the engine's memory meanwhile."""
    plan = plan_of(rate, seconds)
    readings: list[int] = []

    async def read() -> None:
        start = asyncio.get_running_loop().time()
        for number in count(1):
            await asyncio.sleep(start + number * seconds / READINGS - asyncio.get_running_loop().time())
            readings.append(resident_bytes(authorizer.pid))

    async with connected(authorizer, crowd) as hosts:
        reading = asyncio.create_task(read())
        try:
            return await run(plan, crowd.payments(plan), hosts), readings
        finally:
            reading.cancel()


def summed_up(
    machine: Machine,
    holders: int,
    rate: float,
    minutes: float,
    sizes: list[int],
    readings: list[int],
    errors: int,
) -> Memory:
    """Hold the sizes against what they may be."""
    before, after_once, after_twice = sizes
    each = (max(sizes) - before) / holders
    beginning = max(readings[: max(len(readings) // 4, 1)])
    bounds = [
        Bound(what="the engine, before its holders paid", value=before / BYTES_PER_MB, unit="MB"),
        Bound(what=f"with {holders:,} active holders", value=max(sizes) / BYTES_PER_MB, unit="MB"),
        Bound(what="an active holder", value=each, unit="bytes", most=HOLDER_BYTES_MAX),
        *(
            Bound(what=f"in the soak, after {minute:g} min", value=size / BYTES_PER_MB, unit="MB")
            for minute, size in _by_minute(readings, minutes)
        ),
        Bound(what="largest to its first quarter's", value=max(readings) / beginning, unit="×", most=FLAT_TIMES_MAX),
        Bound(what="errors", value=errors, unit="", most=0),
    ]
    return Memory(
        machine=machine,
        holders=holders,
        rate=rate,
        minutes=minutes,
        before=before,
        after_once=after_once,
        after_twice=after_twice,
        readings=tuple(readings),
        errors=errors,
        bounds=tuple(bounds),
    )


def _by_minute(readings: list[int], minutes: float) -> Iterator[tuple[float, int]]:
    """Choose the readings that are told: one a minute, or all where there are fewer."""
    step = max(round(len(readings) / minutes), 1) if minutes >= 1 else len(readings)
    for number in range(step, len(readings) + 1, step):
        yield round(number * minutes / len(readings), 2), readings[number - 1]
