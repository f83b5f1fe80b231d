"""One business day reconciled in a process of its own, as `ledger reconcile` does it: it can be killed, and weighed."""

import asyncio
import resource
import sys
import time
from datetime import date
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from ledger.reconciliation.reconciling import reconcile
from ledger.reconciliation.terms import read

KILOBYTE = 1_024
_STATUS = Path("/proc/self/status")


class Worked(Struct, frozen=True):
    """What a day took: the wall's and the process's own seconds for reconciling alone, and the process's peak."""

    day: date
    wall_s: float
    processor_s: float
    peak_bytes: int


async def work(url: str, day: date, terms: Path) -> Worked:
    """Reconcile a day, as the reconciler, and weigh it."""
    agreed, before, begun = read(terms), _processor_s(), time.perf_counter()
    await reconcile(url, day, agreed)
    spent = time.perf_counter() - begun
    return Worked(day, spent, _processor_s() - before, _peak_bytes())


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_bytes() -> int:
    """The process's peak by proc(5): getrusage(2) has that of whoever started it, where that was larger."""
    [told] = [line for line in _STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:")]
    return int(told.split()[1]) * KILOBYTE


if __name__ == "__main__":
    _url, _day, _terms = sys.argv[1:]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as _runner:
        _worked = _runner.run(work(_url, date.fromisoformat(_day), Path(_terms)))
    sys.stdout.buffer.write(msgspec.json.encode(_worked))
