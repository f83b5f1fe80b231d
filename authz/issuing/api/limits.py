"""How many requests a caller may make: so many a second for good, and so many at once."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

CALLERS_MAX = 10_000
"""Callers that are remembered. The one forgotten is who has been silent longest, and begins anew."""
REQUESTS_BURST_S = 5
"""For so many seconds' requests may come at once."""
ORDERS_BURST_S = 60
"""The same of orders."""


class RequestLimits(Struct, frozen=True):
    """What each token may ask for, and each address without one: after a silence, five seconds' worth at once.

    `orders_a_minute`: lists of beneficiaries, each of them megabytes.
    """

    requests_a_second: float = 20
    orders_a_minute: float = 10


class Pace:
    """Tells callers apart by name, and each one how long to wait, so that `a_second` of its requests pass.

    After a silence what is due in `burst_s` passes at once, or one request. `now` gives monotonic seconds.

    >>> pace = Pace(a_second=2, burst_s=0.5, now=lambda: 0.0)
    >>> pace.wait_s("a"), pace.wait_s("a"), pace.wait_s("b")
    (0, 1, 0)
    """

    def __init__(
        self,
        a_second: float,
        burst_s: float,
        now: Callable[[], float] = time.monotonic,
        callers_max: int = CALLERS_MAX,
    ) -> None:
        self._every_s = 1 / a_second
        self._ahead_max_s = max(burst_s, self._every_s)
        self._now = now
        self._callers_max = callers_max
        self._rested: OrderedDict[str, float] = OrderedDict()
        """When each caller's requests will all be paid off by time."""

    def wait_s(self, caller: str) -> int:
        """Count a request, and return 0; or how many whole seconds the caller has to wait, and it doesn't count."""
        now = self._now()
        rested = max(now, self._rested.pop(caller, now)) + self._every_s
        over_s = rested - now - self._ahead_max_s
        passes = over_s <= 0
        self._rested[caller] = rested if passes else rested - self._every_s
        if len(self._rested) > self._callers_max:
            self._rested.popitem(last=False)
        return 0 if passes else math.ceil(over_s)
