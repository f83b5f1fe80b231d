"""The ranges of the journal: empty ones ahead of its head, closing balances behind it, and what archiving asks for.

A range can be archived once nobody's newest line lies in it, and once the journal says what it holds: so what is old
is stated again, and then summed up in a manifest. Moving the tables is an operator's work (docs/operations.md).
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from authz import logs
from authz.decision.commands import Carry, SealRange
from authz.decision.reference import range_passbook
from authz.engine.bulk import Errand, Lane
from authz.metrics import Metrics
from ledger.store import PASSBOOKS_A_CALL_MAX, FullRange, LedgerError, Store
from ledger.values import Partition

KEPT = timedelta(days=1_096)
"""36 months after its last record no identity, hold or lot of a range can be named any more."""
ROOM_EVERY_S = 30


class Ranges:
    """The full ranges of one partition. What is older than `kept` is made ready for the archive."""

    def __init__(
        self, store: Store, partition: Partition, lane: Lane, now: Callable[[], datetime], kept: timedelta = KEPT
    ) -> None:
        self._store = store
        self._partition = partition
        self._lane = lane
        self._now = now
        self._kept = kept
        self._sealed: set[int] = set()

    async def tend(self) -> None:
        """Close what is full, and carry and seal what is old. Raises what the store and the lane raise."""
        while await self._store.close_range(self._partition) is not None:
            pass
        before = self._now() - self._kept
        for one in await self._store.full_ranges(self._partition):
            if one.newest < before and not one.archived and not await self._is_sealed(one):
                await self._carry(one)
                await self._seal(one)

    async def _is_sealed(self, one: FullRange) -> bool:
        """Tell whether a range has its manifest."""
        book = range_passbook(one.number)
        if one.number not in self._sealed and await self._store.newest(self._partition, [book]):
            self._sealed.add(one.number)
        return one.number in self._sealed

    async def _carry(self, one: FullRange) -> None:
        """State every passbook again whose newest line lies in a range."""
        after = ""
        while True:
            async with self._lane.turn():
                books = await self._store.last_written_in(self._partition, one.number, after, PASSBOOKS_A_CALL_MAX)
            day = one.newest.date()
            await self._lane.carry_out([Errand(Carry(book), f"carry {one.number} {book}", day) for book in books])
            if len(books) < PASSBOOKS_A_CALL_MAX:
                return
            after = books[-1]

    async def _seal(self, one: FullRange) -> None:
        manifest = await self._store.manifest(self._partition, one.number)
        await self._lane.carry_out([Errand(SealRange(manifest), f"manifest {one.number}", one.newest.date())])


async def make_room(store: Store, metrics: Metrics) -> None:
    """Keep empty ranges ahead of the journal's head, until cancelled."""
    while True:
        try:
            metrics.empty_ranges.set(await store.add_range())
        except LedgerError as error:  # nobody knows what is left: as if it were none
            metrics.empty_ranges.set(0)
            logs.warning("no range added", why=str(error))
        await asyncio.sleep(ROOM_EVERY_S)
