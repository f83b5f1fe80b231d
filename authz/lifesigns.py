"""Signs of life: systemd's watchdog is fed while the event loop turns and every writer's beats reach the ledger.

A database that is away is no reason to be killed: there, the writers have given up their leases, and wait.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from authz.systemd import Systemd
from ledger.postgres import PostgresStore
from ledger.store import Fence
from ledger.values import Epoch, Partition, Record, Seq

BEAT_MISSING_MAX_S = 5.0
"""A writer beats twice a second, and gives up its lease when nothing is acknowledged for two: this is a defect."""
TELL_EVERY_S = 1.0
"""How often systemd is told, at least: twice in the time of its watchdog where that is shorter."""


class BeatingStore(PostgresStore):
    """The ledger's store, which notes when each writer last heard of it (the event loop's time)."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._heard_at: dict[Partition, float] = {}

    def hears(self, partitions: Iterable[Partition]) -> bool:
        """Tell whether the writers of these partitions have heard of the ledger within `BEAT_MISSING_MAX_S`."""
        now = asyncio.get_running_loop().time()
        return all(now - self._heard_at.get(one, 0.0) < BEAT_MISSING_MAX_S for one in partitions)

    async def take(self, partition: Partition, seen: Fence) -> Fence:
        """Begin a new epoch."""
        fence = await super().take(partition, seen)
        self._note(partition)
        return fence

    async def retake(self, partition: Partition, epoch: Epoch) -> Fence:
        """Begin a new epoch from one's own."""
        fence = await super().retake(partition, epoch)
        self._note(partition)
        return fence

    async def beat(self, partition: Partition, epoch: Epoch) -> None:
        """Show that the writer of this epoch lives."""
        await super().beat(partition, epoch)
        self._note(partition)

    async def append(
        self, partition: Partition, epoch: Epoch, head: Seq, last: bytes, records: Sequence[Record]
    ) -> None:
        """Make records durable."""
        await super().append(partition, epoch, head, last, records)
        self._note(partition)

    def _note(self, partition: Partition) -> None:
        self._heard_at[partition] = asyncio.get_running_loop().time()


async def tell(systemd: Systemd, lives: Callable[[], bool], status: Callable[[], str]) -> None:
    """Keep systemd told, from the event loop: one that is frozen tells nothing. Runs until it is cancelled."""
    every_s = TELL_EVERY_S if systemd.watchdog_s is None else min(TELL_EVERY_S, systemd.watchdog_s / 2)
    while True:
        systemd.status(status())
        if systemd.watchdog_s is not None and lives():
            systemd.lives()
        await asyncio.sleep(every_s)
