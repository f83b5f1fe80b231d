"""Who may write a partition: standing by, taking over, and settling what is unknown.

The epoch in the fence decides who may write; what is here only decides who tries. A writer that lives moves the
fence; one that has died has lost its session. No wall clocks are compared.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from ledger.store import Fence, Fenced, LedgerError, Store
from ledger.values import Epoch, Partition, Seq

WATCH_EVERY_MS = 250
STILL_FOR_MS = 2_000
STILL_READINGS_MIN = 6
RETRY_EVERY_MS = 100

T = TypeVar("T")
OnWait = Callable[[str], None]
"""Told why a partition has to wait, each time that it has to."""
OnOther = Callable[[], None]
"""Told that another engine writes, each time that it is seen to."""
Look = Callable[[], Awaitable[Fence]]


async def take_over(store: Store, partition: Partition, on_wait: OnWait, on_other: OnOther) -> Fence:
    """Wait until the partition has no living writer, and begin a new epoch.

    What was seen before an outage of the database counts no more: it may have been another server.
    """
    while True:
        try:
            async with store.watch(partition) as look:
                return await store.take(partition, await _left_behind(store, partition, look, on_other))
        except Fenced:  # it has moved after all
            pass
        except LedgerError as error:
            on_wait(str(error))
        await asyncio.sleep(WATCH_EVERY_MS / 1000)


async def _left_behind(store: Store, partition: Partition, look: Look, on_other: OnOther) -> Fence:
    """Wait until the partition's writer is dead, and return the fence as it left it.

    A writer is dead at once when its session is gone, and after `STILL_FOR_MS` when the fence stands still over at
    least `STILL_READINGS_MIN` readings on end. It is taken for alive where it outlasts the first reading: the session
    of one that has just been killed is about to end.
    """
    seen: Fence | None = None
    since, readings = 0.0, 0
    while True:
        known, fence = seen, await look()
        if fence != known:
            seen, since, readings = fence, time.monotonic(), 0
        readings += 1
        still = (time.monotonic() - since) * 1000 >= STILL_FOR_MS and readings >= STILL_READINGS_MIN
        if still or not await store.writer_lives(partition, fence.epoch):
            return fence
        if known is not None:
            on_other()
        await asyncio.sleep(WATCH_EVERY_MS / 1000)


async def settle(store: Store, partition: Partition, epoch: Epoch, on_wait: OnWait) -> Fence | None:
    """After an unknown outcome, begin a new epoch from one's own; None where someone else has taken it.

    Either way the last append has ended when this returns: it is in, or it never will be.
    """
    try:
        return await persist(lambda: store.retake(partition, epoch), on_wait)
    except Fenced:
        return None


async def is_in(store: Store, partition: Partition, seq: Seq, expected: bytes, on_wait: OnWait) -> bool:
    """Tell whether the batch whose last record is (`seq`, `expected`) is in the ledger."""
    return await persist(lambda: store.hash_at(partition, seq), on_wait) == expected


async def instant_of(store: Store, partition: Partition, seq: Seq, on_wait: OnWait) -> datetime | None:
    """Return when the record at `seq` was decided; None where there is none."""
    return await persist(lambda: store.instant_of(partition, seq), on_wait)


async def persist(call: Callable[[], Awaitable[T]], on_wait: OnWait) -> T:
    """Call until the ledger answers. Raises `Fenced`, which is an answer."""
    while True:
        try:
            return await call()
        except Fenced:
            raise
        except LedgerError as error:
            on_wait(str(error))
        await asyncio.sleep(RETRY_EVERY_MS / 1000)
