"""The engine's clock. It is the one place where the time of day enters."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Now = Callable[[], datetime]
"""Tells the present instant, aware and in UTC."""


def system_clock() -> datetime:
    """The machine's own time."""
    return datetime.now(UTC)


class SimulatedClock:
    """A clock that stands at a chosen instant until it is told to run, and then keeps the pace of real time.

    >>> clock = SimulatedClock(datetime(2026, 5, 12, 12, 30, tzinfo=UTC))
    >>> clock() == clock()
    True
    """

    def __init__(self, instant: datetime) -> None:
        self.wait_at(instant)

    def wait_at(self, instant: datetime) -> None:
        """Show `instant`, which must be aware, and stand still."""
        assert instant.tzinfo is not None
        self._start = instant.astimezone(UTC)
        self._since: int | None = None

    def run(self) -> None:
        """Run on from here."""
        self._since = time.monotonic_ns()

    def __call__(self) -> datetime:
        """Tell the instant."""
        if self._since is None:
            return self._start
        return self._start + timedelta(microseconds=(time.monotonic_ns() - self._since) // 1000)
