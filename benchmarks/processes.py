"""What processes use, as the kernel tells it: processor time and memory, of one process and of a whole PostgreSQL."""

import os
import resource
from pathlib import Path

from ledger.embedded import EmbeddedServer
from simulators.load.latencies import NS_PER_SECOND

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def postmaster_of(server: EmbeddedServer) -> int:
    """The id of the process that all others of a PostgreSQL are children of."""
    return int((server.data / "postgresql" / "postmaster.pid").read_text().split()[0])


def tree_cpu_ns(process: int) -> int:
    """Processor time of a process, of its children, and of those children that have ended, in nanoseconds.

    The kernel counts in ticks, of 10 ms as a rule.
    """
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return sum(_ticks(one) for one in (str(process), *children)) * NS_PER_SECOND // _TICKS_PER_SECOND


def ended_children_cpu_ns() -> int:
    """Processor time of this process's own children that have ended, in nanoseconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return int((used.ru_utime + used.ru_stime) * NS_PER_SECOND)


def resident_bytes(process: int) -> int:
    """The memory of a process that is not swapped out (RSS)."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_BYTES


class Stolen:
    """What the host of a virtual machine kept from it, since this was made: time in which a process could have run."""

    def __init__(self) -> None:
        self._stolen, self._all = _stolen_ticks()

    @property
    def share(self) -> float:
        """As a part of all processors' time."""
        stolen, every = _stolen_ticks()
        return (stolen - self._stolen) / max(every - self._all, 1)

    def __str__(self) -> str:
        return f"the host kept {self.share:.1%} of the processors' time to itself meanwhile"


def _stolen_ticks() -> tuple[int, int]:
    """The ticks that were stolen since the machine started, and all: the first line of proc(5)'s stat."""
    _, *ticks = Path("/proc/stat").read_text().splitlines()[0].split()
    user_to_steal = list(map(int, ticks[:8]))
    return user_to_steal[-1], sum(user_to_steal)


def _ticks(process: str) -> int:
    """User and system time of a process and of the children that it has waited for."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended since
        return 0
    return sum(map(int, fields[11:15]))
