"""How fast a ledger is proved, and in how much memory: verify, its chain alone, and replay.

Each is run in a process of its own, over a ledger of N records and over one of 10 N with the same holders; what the
second needs more than the first, it needs for records. What a holder costs is measured on the money of many, alone.
"""

import asyncio
import resource
import sys
import time
import tracemalloc
from datetime import date
from hashlib import sha256
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from authz.collector import spare_the_collector
from authz.replay import Replayed, replay
from benchmarks import journals
from benchmarks.ground import Count, console_for_tables, temporary, write_json
from benchmarks.machine import Machine, describe
from benchmarks.samples import purchase
from ledger.money import Money
from ledger.values import Cents, HolderId, Lot, Purse
from ledger.verify import Report, Scope, verify

DONE, FINDING = 0, 1
RECORDS = 100_000
HOLDERS = 3_000
GROWTH = 10
KILOBYTE = 1_024
HOLDERS_WEIGHED = 100_000
HASHES = 200_000
HASHED_BYTES = 1_024
PROOFS = {"verify": Scope(), "verify --chain-only": Scope(chain_only=True), "replay": None}


class Proof(Struct, frozen=True):
    """One proof of one ledger. Seconds are of the process's own processor time and of the wall's; memory its peak."""

    proof: str
    records: int
    holders: int
    processor_s: float
    wall_s: float
    peak_bytes: int
    sound: bool

    @property
    def per_second(self) -> float:
        """Records a second of processor time: of one core, while PostgreSQL has another."""
        return self.records / self.processor_s


class Proofs(Struct, frozen=True):
    """All of one run. `hash_us` is what SHA-256 takes for 1 KB at the same time: the machine's own measure.

    `holder_bytes` is what verify keeps of each holder.
    """

    machine: Machine
    hash_us: float
    rows: tuple[Proof, ...]
    holder_bytes: float


def proofs(
    *, records: Count = RECORDS, holders: Count = HOLDERS, data: Path | None = None, json: Path | None = None
) -> int:
    """Measure how fast a ledger is proved, and in how much memory.

    Parameters
    ----------
    records
        Records in the smaller ledger; the larger has ten times as many.
    holders
        How many holders they are about.
    data
        Where the temporary data folder is made.
    json
        A file to write the measurements to.
    """
    console = console_for_tables()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(_measure(console, records, holders, data))
    _show(console, measured)
    write_json(json, measured)
    return DONE if all(row.sound for row in measured.rows) else FINDING


async def _measure(console: Console, records: int, holders: int, data: Path | None) -> Proofs:
    rows: list[Proof] = []
    sample = await purchase()
    for size in (records, GROWTH * records):
        async with temporary(data) as embedded:
            with console.status(f"a ledger of {size:,} records of {holders:,} holders …"):
                await journals.write(embedded.url, sample, holders, size)
            machine = await describe(embedded.superuser_url, embedded.server.data)
            for proof in PROOFS:
                with console.status(f"{proof} of {size:,} records …"):
                    rows.append(await _in_a_process(proof, embedded.url, holders))
    return Proofs(machine, _hash_us(), tuple(rows), holder_bytes(HOLDERS_WEIGHED))


async def _in_a_process(proof: str, url: str, holders: int) -> Proof:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.proofs", proof, url, str(holders), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    return msgspec.json.decode(told, type=Proof)


def _prove(proof: str, url: str, holders: int) -> Proof:
    scope = PROOFS[proof]
    spare_the_collector()
    before, begun = _processor_s(), time.perf_counter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(replay(url) if scope is None else verify(url, scope))
    spent, elapsed = _processor_s() - before, time.perf_counter() - begun
    sound = isinstance(outcome, Report | Replayed)
    records = outcome.records if isinstance(outcome, Report | Replayed) else 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
    return Proof(proof, records, holders, spent, elapsed, peak, sound)


def holder_bytes(holders: int) -> float:
    """Measure what verify keeps of each of so many holders with a lot, names and tables included."""
    lot = Lot("90", "2026", date(2026, 1, 1), date(2027, 2, 28), Cents(1))
    tracemalloc.start()
    try:
        money = Money(bytes(32), {})
        for number in range(1, holders + 1):
            purse = Purse((replace(lot, amount=Cents(number)),))
            money.know(HolderId(f"h{number:012x}"), msgspec.json.encode((purse,)).decode())
        return tracemalloc.get_traced_memory()[0] / holders
    finally:
        tracemalloc.stop()


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _hash_us() -> float:
    text, begun = bytes(HASHED_BYTES), _processor_s()
    for _ in range(HASHES):
        sha256(text).digest()
    return (_processor_s() - begun) / HASHES * 1e6


def _show(console: Console, measured: Proofs) -> None:
    title = f"{measured.machine.processor}, Python {measured.machine.python}, PostgreSQL {measured.machine.postgresql}"
    shown = Table("proof", title=f"{title}, load {measured.machine.load:.1f}", title_justify="left")
    for name in ("records", "holders", "records/s of processor", "records/s of wall", "processor, s", "peak, MB"):
        shown.add_column(name, justify="right")
    for row in measured.rows:
        shown.add_row(
            row.proof,
            f"{row.records:,}",
            f"{row.holders:,}",
            f"{row.per_second:,.0f}",
            f"{row.records / row.wall_s:,.0f}",
            f"{row.processor_s:.2f}",
            f"{row.peak_bytes / 1e6:.0f}",
        )
    console.print(shown)
    console.print(f"{measured.holder_bytes:.0f} bytes a holder; SHA-256 of 1 KB took {measured.hash_us:.2f} µs")


if __name__ == "__main__":
    _proof, _url, _holders = sys.argv[1:]
    sys.stdout.buffer.write(msgspec.json.encode(_prove(_proof, _url, int(_holders))))
