"""The requests that an engine has in hand: counted, bounded by the engine, and what bulk work stands back for."""

import asyncio
import contextlib
import math
from collections.abc import Iterator

QUIET_AFTER_MS = 1_000
"""How long nothing must have come before bulk work counts as alone."""


class Traffic:
    """Counts requests between their arrival and their answer."""

    def __init__(self) -> None:
        self.in_hand = 0
        self._latest = -math.inf
        self._fewer = asyncio.Event()

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Count a request until it is answered."""
        self._latest = asyncio.get_running_loop().time()
        self.in_hand += 1
        try:
            yield
        finally:
            self.in_hand -= 1
            self._fewer.set()

    @property
    def flows(self) -> bool:
        """Tell whether there are requests now, or were a moment ago."""
        return self.in_hand > 0 or asyncio.get_running_loop().time() < self._latest + QUIET_AFTER_MS / 1_000

    async def is_below(self, bound: int) -> None:
        """Wait until fewer than `bound` requests are in hand."""
        while self.in_hand >= bound:
            self._fewer.clear()
            await self._fewer.wait()
