"""The bookkeeping of one partition that is due by the date: each piece a job that the lane for bulk work carries."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from authz.engine.bulk import Lane
from authz.engine.ranges import Ranges
from authz.engine.sweep import Sweep
from authz.engine.vintages import Walk
from authz.programmes.rulebook import Rulebook
from ledger.store import Store
from ledger.values import Partition


class Chores:
    """Holds that lapse, lots that age, ranges that grow old. They share one lane."""

    def __init__(
        self,
        store: Store,
        partition: Partition,
        lane: Lane,
        now: Callable[[], datetime],
        rulebook: Rulebook,
    ) -> None:
        self.sweep = Sweep(store, partition, lane, now, rulebook)
        self.walk = Walk(store, partition, lane, now, rulebook)
        self.ranges = Ranges(store, partition, lane, now)

    def all(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """Each job, to be done again and again."""
        return self.sweep.sweep, self.walk.walk, self.ranges.tend
