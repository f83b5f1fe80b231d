"""What the machine can do bare: its disk, its PostgreSQL, and one `ledger.append` at a time.

These are the yardsticks. What an authorizer takes beyond a bare append of one record is what it costs.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from authz.engine import schema
from benchmarks.rows import Row, row
from benchmarks.samples import Sample, entries
from ledger.chain import extend
from ledger.embedded import SUPERUSER, EmbeddedServer
from ledger.postgres import PostgresStore
from ledger.schema import APPLICATION_ROLE
from ledger.values import Partition
from simulators.load.latencies import NS_PER_SECOND, Latencies
from simulators.load.schedule import Schedule

DATABASE = "bare"
YARDSTICK = "ledger.append, 1 record"
PAGE_BYTES = 4_096
WARM_UP_CALLS = 200
OVERTIME_FACTOR = 2
"""An open loop that has fallen behind is given up after so many times its length."""
MAIN = Partition(0)
Append = Callable[[], Awaitable[None]]
"""Hashes and appends the next batch."""


def fdatasync(folder: Path, seconds: float) -> Row:
    """Append a page to a file and wait until it is on the disk, again and again."""
    file = folder / "fdatasync.probe"
    latencies, count = Latencies(), 0
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        start = time.perf_counter_ns()
        while (begun := time.perf_counter_ns()) < start + seconds * NS_PER_SECOND:
            os.write(descriptor, bytes(PAGE_BYTES))
            os.fdatasync(descriptor)
            latencies.record(time.perf_counter_ns() - begun)
            count += 1
        return row("fdatasync, 4 KiB", latencies, count, time.perf_counter_ns() - start)
    finally:
        os.close(descriptor)
        file.unlink()


async def create(server: EmbeddedServer) -> None:
    """Make the database of the bare measurements, with a ledger in it that nobody else writes."""
    connection = await asyncpg.connect(server.url(SUPERUSER, "postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await connection.close()
    await schema.create(server.url(SUPERUSER, DATABASE))


async def commit(server: EmbeddedServer, seconds: float) -> Row:
    """Insert one row of one number, committed: the least that PostgreSQL can do durably."""
    connection = await asyncpg.connect(server.url(SUPERUSER, DATABASE))
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS probe (number bigint PRIMARY KEY)")
        await connection.execute("TRUNCATE probe")
        insert = await connection.prepare("INSERT INTO probe SELECT coalesce(max(number), 0) + 1 FROM probe")
        return await _closed_loop("commit, 1 row", insert.fetch, seconds)
    finally:
        await connection.close()


async def append(server: EmbeddedServer, sample: Sample, seconds: float) -> Row:
    """Hash and append one record at a time, the next when the last is durable."""
    async with appending(server, sample) as one:
        return await _closed_loop(YARDSTICK, one, seconds)


class Appended(Struct, frozen=True):
    """Single-row appends at arrivals. What was given up counts with the time that it waited, and as `missed`."""

    rate: float
    latencies: Latencies
    lags: Latencies
    nanoseconds: int
    missed: int

    def row(self) -> Row:
        """Write it as a line."""
        line = row(
            YARDSTICK,
            self.latencies,
            self.latencies.count - self.missed,
            self.nanoseconds,
            asked=self.rate,
            lags=self.lags,
        )
        return replace(line, errors=self.missed)


async def append_on(server: EmbeddedServer, sample: Sample, plan: Schedule, seconds: float) -> Appended:
    """Append one record at each arrival, one after the other; latency counts from when each was due."""
    latencies, lags, count = Latencies(), Latencies(), 0
    async with appending(server, sample) as one:
        for _ in range(WARM_UP_CALLS):
            await one()
        start = now = time.perf_counter_ns()
        end = start + int(OVERTIME_FACTOR * seconds * NS_PER_SECOND)
        for at in plan:
            due = start + int(at * NS_PER_SECOND)
            ahead = due - time.perf_counter_ns()
            if ahead > 0:
                await asyncio.sleep(ahead / NS_PER_SECOND)
                lags.record(time.perf_counter_ns() - due)
            if now < end:
                await one()
                now = time.perf_counter_ns()
                count += 1
            latencies.record(now - due)
    return Appended(plan.rate, latencies, lags, now - start, latencies.count - count)


@asynccontextmanager
async def appending(server: EmbeddedServer, sample: Sample, size: int = 1) -> AsyncIterator[Append]:
    """Give a function that appends a batch of `size` records behind the last one, as the only writer."""
    store = PostgresStore(server.url(APPLICATION_ROLE, DATABASE))
    fence = await store.take(MAIN, await store.fence(MAIN))
    head, last = fence.head, fence.hash
    made = entries(sample, start=head)

    async def one() -> None:
        nonlocal head, last
        records = list(extend(MAIN, fence.epoch, head, last, islice(made, size)))
        await store.append(MAIN, fence.epoch, head, last, records)
        head, last = records[-1].seq, records[-1].hash

    try:
        yield one
    finally:
        await store.close()


async def _closed_loop(name: str, call: Callable[[], Awaitable[object]], seconds: float) -> Row:
    for _ in range(WARM_UP_CALLS):
        await call()
    latencies, count = Latencies(), 0
    start = time.perf_counter_ns()
    while (begun := time.perf_counter_ns()) < start + seconds * NS_PER_SECOND:
        await call()
        latencies.record(time.perf_counter_ns() - begun)
        count += 1
    return row(name, latencies, count, time.perf_counter_ns() - start)
