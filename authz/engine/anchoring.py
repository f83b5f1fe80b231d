"""Anchors the heads of acknowledged appends outside the database, while payments go on.

A ledger that is cut at its tail after the last anchor can't be told from one that never was longer: that window is at
most `ANCHOR_EVERY_S`, or `ANCHOR_EVERY_RECORDS` where more comes in. Payments never wait for an anchor.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping

from authz.clock import Now
from ledger.anchors import AnchorFile, AnchorsError, anchor_of
from ledger.store import Fence
from ledger.values import Partition, Seq

LOOK_EVERY_S = 1
ANCHOR_EVERY_S = 60
ANCHOR_EVERY_RECORDS = 10_000
RETRY_EVERY_S = 10
"""After a failure: a file that can't be followed is read again from its beginning."""
FINISH_MAX_S = 2
"""How long a drain waits for a disk that hangs."""


class Anchoring:
    """Follows the acknowledged heads of the partitions that this engine writes, and has them signed.

    `failed` is called for every attempt that doesn't succeed; `say` is told of the first of several in a row, and when
    one succeeds again. `clock` tells seconds.
    """

    def __init__(
        self,
        file: AnchorFile,
        acknowledged: Callable[[], Mapping[Partition, Fence]],
        now: Now,
        say: Callable[[str], None],
        failed: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._acknowledged = acknowledged
        self._now = now
        self._say = say
        self._failed = failed
        self._clock = clock
        self._anchored: dict[Partition, Seq] = {}
        self._complete_at = clock()
        self._tried_at = -math.inf
        self._failing = False

    async def run(self) -> None:
        """Anchor now and then, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Anchor what has moved, if it is due."""
        waiting, at = self._waiting(), self._clock()
        if not waiting:
            self._complete_at = at
            return
        every_s = RETRY_EVERY_S if self._failing else ANCHOR_EVERY_S
        records = max(fence.head - self._anchored.get(partition, 0) for partition, fence in waiting.items())
        if at - self._tried_at >= every_s or (records >= ANCHOR_EVERY_RECORDS and not self._failing):
            await self._anchor(waiting, at)

    async def finish(self) -> None:
        """Anchor what has moved since, after the last append and before the process ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_MAX_S):
                if waiting := self._waiting():
                    await self._anchor(waiting, self._clock())

    def age_s(self) -> float:
        """For how long acknowledged records have been waiting for their anchor, in seconds: 0 where none does."""
        return self._clock() - self._complete_at if self._waiting() else 0.0

    def _waiting(self) -> Mapping[Partition, Fence]:
        """The heads that aren't anchored as they are."""
        heads = self._acknowledged()
        return {one: fence for one, fence in heads.items() if fence.head != self._anchored.get(one, 0)}

    async def _anchor(self, waiting: Mapping[Partition, Fence], at: float) -> None:
        self._tried_at = at
        now = self._now()
        anchors = [anchor_of(partition, fence, now) for partition, fence in waiting.items()]
        try:
            await asyncio.to_thread(self._file.append, anchors)
        except AnchorsError as error:
            self._failed()
            if not self._failing:
                self._say(f"no anchor is written: {error}")
            self._failing = True
            return
        if self._failing:
            self._say("anchors are written again")
        self._failing = False
        self._anchored |= {partition: fence.head for partition, fence in waiting.items()}
        self._complete_at = at
