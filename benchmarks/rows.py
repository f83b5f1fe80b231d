"""One line of the table: what was measured, in milliseconds and calls a second."""

from msgspec import Struct

from simulators.load.latencies import NS_PER_SECOND, Latencies
from simulators.load.result import Result

FAULTS = frozenset({"FORMAT", "MAC_WRONG", "IDENTITY_REUSED", "OVERLOADED", "UNAVAILABLE", "INTERNAL"})
"""Reasons that a sound request at a bearable rate never meets: they count as errors, not as refusals."""
APPROVED = frozenset({"00", "10"})


class Row(Struct, frozen=True, kw_only=True):
    """A measurement. `asked` and `lag_p99_ms` (how late the generator was) are None where the loop was closed.

    `errors` were not answered, or answered with one of `FAULTS`; `refusals` are the other declines, by reason.
    `engine_us` is the engine's processor time for a request, in microseconds, `batch` the records in an append.
    """

    name: str
    asked: float | None
    held: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p99_9_ms: float
    max_ms: float
    lag_p99_ms: float | None
    count: int
    errors: int = 0
    refusals: dict[str, int] = {}
    engine_us: float | None = None
    batch: float | None = None


def row(
    name: str,
    latencies: Latencies,
    count: int,
    nanoseconds: int,
    *,
    asked: float | None = None,
    lags: Latencies | None = None,
    errors: int = 0,
) -> Row:
    """Make the line of a loop that made `count` calls in so many nanoseconds."""
    return Row(
        name=name,
        asked=asked,
        held=count * NS_PER_SECOND / max(nanoseconds, 1),
        p50_ms=latencies.milliseconds(50),
        p90_ms=latencies.milliseconds(90),
        p99_ms=latencies.milliseconds(99),
        p99_9_ms=latencies.milliseconds(99.9),
        max_ms=latencies.milliseconds(100),
        lag_p99_ms=None if lags is None else lags.milliseconds(99),
        count=count,
        errors=errors,
    )


def row_of(name: str, result: Result, engine_us: float, batch: float) -> Row:
    """Make the line of a run of the load generator."""
    refusals: dict[str, int] = {}
    errors = result.unanswered + result.unsent
    for reply in result.replies:
        reason = reply.reason or f"DE 39 {reply.response_code}"
        if reason in FAULTS:
            errors += reply.count
        elif reply.response_code not in APPROVED:
            refusals[reason] = refusals.get(reason, 0) + reply.count
    return Row(
        name=name,
        asked=result.asked_rate,
        held=result.held_rate,
        p50_ms=result.p50_ms,
        p90_ms=result.p90_ms,
        p99_ms=result.p99_ms,
        p99_9_ms=result.p99_9_ms,
        max_ms=result.max_ms,
        lag_p99_ms=result.lag_p99_ms,
        count=result.answered,
        errors=errors,
        refusals=refusals,
        engine_us=engine_us,
        batch=batch,
    )


def times(value: float, yardstick: float) -> float | None:
    """How many times the yardstick a value is; None where the yardstick was not measured.

    >>> times(3.0, 1.5), times(3.0, 0.0)
    (2.0, None)
    """
    return value / yardstick if yardstick else None
