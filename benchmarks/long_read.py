"""Appends while finance reads: a snapshot that stays open would make each of them slower, minute by minute.

`ledger verify` reads the whole journal again and again, in a process of its own, while one record is appended at each
arrival of an open loop; before and after, the same appends without a reader.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from authz.database import Embedded
from benchmarks.ground import Count, Positive, console_for_tables, temporary, write_json
from benchmarks.journals import MAIN, Journal
from benchmarks.machine import Machine, describe
from benchmarks.samples import purchase
from ledger.chain import extend
from ledger.postgres import PostgresStore
from ledger.schema import FINANCE_ROLE
from ledger.values import Entry
from simulators.load.latencies import NS_PER_SECOND, Latencies
from simulators.load.run import precise_loop

RECORDS = 300_000
HOLDERS = 3_000
QUIET_S = 60.0
READING_S = 600.0
RATE = 100.0
"""Appends a second: the writer has time to spare, so that what is measured is an append and no queue."""
READ_RATE = 20_000
"""Records a second that the reader keeps to, as finance is told to beside payments on the same machine."""
FILL_RECORDS = 1_000
"""Records in an append while the ledger is filled."""


class Span(Struct, frozen=True):
    """Appends of a while: how many, and how long one took."""

    name: str
    appends: int
    p50_ms: float
    p90_ms: float
    p99_ms: float


class LongRead(Struct, frozen=True):
    """`spans` stand in their order in time; `passes` counts how often the reader came to the end of the journal.

    `ratio` is the median append of the reader's last minute over that of the quiet spans.
    """

    machine: Machine
    records: int
    passes: int
    spans: tuple[Span, ...]
    ratio: float


def long_read(
    *,
    reading: Positive = READING_S,
    quiet: Positive = QUIET_S,
    rate: Positive = RATE,
    records: Count = RECORDS,
    data: Path | None = None,
    json: Path | None = None,
) -> int:
    """Append while finance reads for ten minutes, and compare with appends that nobody disturbs.

    Parameters
    ----------
    reading
        Seconds during which `ledger verify` runs, one pass after the other.
    quiet
        Seconds without it, before and after.
    rate
        Appends a second, of one record each.
    records
        How many records the ledger has at first.
    data
        Where the temporary data folder is made: on the disk that is to be measured.
    json
        A file to write the measurements to.
    """
    console = console_for_tables()
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        measured = runner.run(_measure(console, reading, quiet, rate, records, data))
    _show(console, measured)
    write_json(json, measured)
    return 0


async def _measure(
    console: Console, reading: float, quiet: float, rate: float, records: int, data: Path | None
) -> LongRead:
    minutes = max(1, round(reading / 60))
    async with temporary(data) as embedded:
        machine = await describe(embedded.superuser_url, embedded.server.data)
        appending = _Appending(PostgresStore(embedded.url), Journal(await purchase(), HOLDERS).entries())
        try:
            with console.status(f"a ledger of {records:,} records …") as status:
                await appending.begin(records)
                status.update("appends that nobody disturbs …")
                before = await appending.span("quiet, before", rate, quiet)
                status.update("appends while finance reads …")
                async with _reader(embedded) as passes:
                    spans = [
                        await appending.span(f"reading, minute {minute}", rate, reading / minutes)
                        for minute in range(1, minutes + 1)
                    ]
                    status.update("appends that nobody disturbs …")
                after = await appending.span("quiet, after", rate, quiet)
        finally:
            await appending.store.close()
    ratio = spans[-1].p50_ms / ((before.p50_ms + after.p50_ms) / 2)
    return LongRead(machine, records, len(passes), (before, *spans, after), ratio)


class _Appending:
    """The one writer of the ledger."""

    def __init__(self, store: PostgresStore, entries: Iterator[Entry]) -> None:
        self.store = store
        self._entries = entries

    async def begin(self, records: int) -> None:
        """Take the ledger, and fill it."""
        self._fence = await self.store.take(MAIN, await self.store.fence(MAIN))
        self._head, self._last = self._fence.head, self._fence.hash
        for start in range(0, records, FILL_RECORDS):
            await self._append(min(FILL_RECORDS, records - start))

    async def span(self, name: str, rate: float, seconds: float) -> Span:
        """Append one record at each arrival, evenly spaced; the time of each append itself is what counts."""
        latencies, count = Latencies(), int(rate * seconds)
        start = time.perf_counter_ns()
        for number in range(count):
            await asyncio.sleep(max(0.0, (start - time.perf_counter_ns()) / NS_PER_SECOND + number / rate))
            begun = time.perf_counter_ns()
            await self._append(1)
            latencies.record(time.perf_counter_ns() - begun)
        return Span(name, count, *(latencies.milliseconds(percent) for percent in (50, 90, 99)))

    async def _append(self, size: int) -> None:
        entries = [next(self._entries) for _ in range(size)]
        records = list(extend(MAIN, self._fence.epoch, self._head, self._last, entries))
        await self.store.append(MAIN, self._fence.epoch, self._head, self._last, records)
        self._head, self._last = records[-1].seq, records[-1].hash


@asynccontextmanager
async def _reader(embedded: Embedded) -> AsyncIterator[list[int]]:
    """Verify the ledger again and again until the block ends. Yields the exit codes of the passes that are through."""
    url = embedded.server.url(FINANCE_ROLE, "authz")
    codes: list[int] = []
    command = (str(Path(sys.executable).with_name("ledger")), "verify", "--database", url, "--rate", str(READ_RATE))
    process: asyncio.subprocess.Process | None = None

    async def read() -> None:
        nonlocal process
        while True:
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
            codes.append(await process.wait())
            assert codes[-1] == 0, "the ledger that is measured must be sound"

    reading = asyncio.create_task(read())
    try:
        yield codes
        if reading.done():
            reading.result()
    finally:
        reading.cancel()
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()


def _show(console: Console, measured: LongRead) -> None:
    title = f"One append, at {measured.records:,} records and more; {measured.passes} whole passes of `ledger verify`"
    shown = Table(title=title, title_justify="left")
    shown.add_column("span")
    for name in ("appends", "p50, ms", "p90, ms", "p99, ms"):
        shown.add_column(name, justify="right")
    for one in measured.spans:
        shown.add_row(one.name, f"{one.appends:,}", f"{one.p50_ms:.2f}", f"{one.p90_ms:.2f}", f"{one.p99_ms:.2f}")
    console.print(shown)
    console.print(f"last minute of reading / quiet, median: {measured.ratio:.2f}")
