"""The requests that an engine has in hand: counted link by link, bounded, and what bulk work stands back for.

A burst is taken in and answered, however long it takes. More than can be answered, and for long, is not: what waits
then would only be answered later and later. So whoever asks beyond a share is turned away at once, until it is calm.
"""

import asyncio
import math
import time
from collections.abc import Callable
from types import TracebackType

from authz.engine.limits import Limits

QUIET_AFTER_MS = 1_000
"""How long nothing must have come before bulk work counts as alone."""


class Share:
    """One link's requests in hand. It is entered with each request, and left with its answer."""

    __slots__ = ("_traffic", "in_hand")

    def __init__(self, traffic: "Traffic") -> None:
        self._traffic = traffic
        self.in_hand = 0

    @property
    def is_full(self) -> bool:
        """Tell whether one more request of this link's is to be turned away."""
        return not self._traffic.has_room_for(self)

    def __enter__(self) -> None:
        self._traffic.add(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._traffic.remove(self)


class Traffic:
    """Counts requests between their arrival and their answer. `now` is in seconds, and never runs backward.

    It is crowded once `Limits.standing_max` are in hand for longer than `Limits.patience_ms`, until a calm: then links
    that have requests in hand share `standing_max` evenly.
    """

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self.in_hand = 0
        self.is_crowded = False
        self._limits = limits
        self._now = now
        self._shares: dict[str, Share] = {}
        self._busy = 0
        self._standing_since = math.inf
        self._latest = -math.inf
        self._fewer = asyncio.Event()

    def of(self, link: str) -> Share:
        """Give a link's share; that of the issuer's commands is no link's: it is called by nothing."""
        share = self._shares.get(link)
        if share is None:
            share = self._shares[link] = Share(self)
        return share

    def has_room_for(self, share: Share) -> bool:
        """Tell whether a link may have one more in hand."""
        if self.in_hand >= self._limits.requests_max:
            return False
        if not self.is_crowded:
            return True
        sharing = self._busy + (share.in_hand == 0)
        return share.in_hand < self._limits.standing_max // sharing

    def add(self, share: Share) -> None:
        """Count a request from here on."""
        self._latest = self._now()
        self._busy += share.in_hand == 0
        share.in_hand += 1
        self.in_hand += 1
        if self.in_hand >= self._limits.standing_max:
            self._standing_since = min(self._standing_since, self._latest)
            if self._latest - self._standing_since > self._limits.patience_ms / 1_000:
                self.is_crowded = True

    def remove(self, share: Share) -> None:
        """Count a request no longer: it has its answer."""
        share.in_hand -= 1
        self._busy -= share.in_hand == 0
        self.in_hand -= 1
        if self.in_hand < self._limits.standing_max:
            self._standing_since = math.inf
        if self.in_hand <= self._limits.calm_max:
            self.is_crowded = False
        self._fewer.set()

    @property
    def flows(self) -> bool:
        """Tell whether there are requests now, or were a moment ago."""
        return self.in_hand > 0 or self._now() < self._latest + QUIET_AFTER_MS / 1_000

    async def is_below(self, bound: int) -> None:
        """Wait until fewer than `bound` requests are in hand."""
        while self.in_hand >= bound:
            self._fewer.clear()
            await self._fewer.wait()
