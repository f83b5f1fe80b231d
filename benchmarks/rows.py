"""One line of the table: what was measured, in milliseconds and calls a second."""

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.costs import Cost
from simulators.load.latencies import NS_PER_SECOND, Latencies
from simulators.load.result import Result

FAULTS = frozenset({"FORMAT", "MAC_WRONG", "IDENTITY_REUSED", "OVERLOADED", "UNAVAILABLE", "INTERNAL"})
"""Reasons that a sound request at a bearable rate never meets: they count as errors, not as refusals."""
MICROSECONDS_PER_SECOND = 1_000_000
APPROVED = frozenset({"00", "10"})


class Row(Struct, frozen=True, kw_only=True):
    """A measurement. `asked` and `lag_p99_ms` (how late the generator was) are None where the loop was closed.

    `errors` were not answered, or answered with one of `FAULTS`; `refusals` are the other declines, by reason.
    Processor time is in microseconds a request: `engine_us` of the engine, `database_us` of all of PostgreSQL's
    processes, `generator_us` of what asked. `batch` is the records in an append; `rows`, `wal_bytes` and `images` are
    the rows, the bytes and the full pages of write-ahead log that were written for a request. None: not measured.
    `kept`: what was due was answered at the rate at which it was due.
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
    kept: bool = True
    refusals: dict[str, int] = {}
    engine_us: float | None = None
    batch: float | None = None
    database_us: float | None = None
    generator_us: float | None = None
    rows: float | None = None
    wal_bytes: float | None = None
    images: float | None = None


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
        generator_us=result.cpu * MICROSECONDS_PER_SECOND / result.held_rate if result.held_rate else None,
    )


def costing(line: Row, spent: Cost) -> Row:
    """Put what a request cost the database into its line."""
    return replace(line, database_us=spent.database_us, rows=spent.rows, wal_bytes=spent.wal_bytes, images=spent.images)


def times(value: float, yardstick: float) -> float | None:
    """How many times the yardstick a value is; None where the yardstick was not measured.

    >>> times(3.0, 1.5), times(3.0, 0.0)
    (2.0, None)
    """
    return value / yardstick if yardstick else None
