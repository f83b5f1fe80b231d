"""An open-loop load generator: requests leave at times fixed beforehand, whatever has been answered so far.

Latency is measured from the time at which a request was *due*, not from when it was sent. A host that stalls makes
everything due in the meantime late, and the percentiles say so; measured from the sending, or in a closed loop, the
stall would count once ("coordinated omission", Gil Tene, How NOT to Measure Latency).
"""

import asyncio
import random
import selectors
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any

from hdrh.histogram import HdrHistogram
from msgspec import Struct

from authz.wire.codec import Codec
from authz.wire.frames import Framer
from authz.wire.message import Message
from simulators.acquirer.host import AcquirerHost, Arrival, Key, Taker, expected_by
from simulators.link import LinkError

LATENCY_MAX_MICROSECONDS = 60_000_000
"""Longer latencies are recorded as this."""
SIGNIFICANT_FIGURES = 3
BURST_REQUESTS_MAX = 64
"""Sent in a row when late, before replies are read again."""
PENDING_REQUESTS_MAX = 100_000
"""Awaiting replies at once, over all connections; what is due beyond counts as unsent."""
DRAIN_SECONDS = 10.0
"""How long the last replies are waited for."""
POLL_SECONDS = 0.001
NS_PER_SECOND = 1_000_000_000
NS_PER_MICROSECOND = 1_000


class Pace(StrEnum):
    """How arrivals are spread over time."""

    POISSON = "poisson"
    """Independent arrivals, as customers are."""
    UNIFORM = "uniform"


class Schedule(Struct, frozen=True):
    """When requests are due: seconds from the start, ascending. `rate` is what they come to a second."""

    rate: float
    arrivals: tuple[float, ...]


class Latencies:
    """How long things took: a histogram with relative errors below 0.1 %, from 1 µs to `LATENCY_MAX_MICROSECONDS`."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(1, LATENCY_MAX_MICROSECONDS, SIGNIFICANT_FIGURES)

    def record(self, nanoseconds: int) -> None:
        """Count one; what is out of range counts at its edge."""
        microseconds = nanoseconds // NS_PER_MICROSECOND
        self._histogram.record_value(min(max(microseconds, 1), LATENCY_MAX_MICROSECONDS))

    def milliseconds(self, percentile: float) -> float:
        """Tell a percentile (0 to 100); 0 where nothing was recorded."""
        microseconds: int = self._histogram.get_value_at_percentile(percentile)
        return microseconds / 1_000


class Prepared(Struct, frozen=True):
    """A request encoded ahead of time, and the key of the reply that it awaits."""

    frame: bytes
    key: Key

    def __repr__(self) -> str:
        return f"Prepared({len(self.frame)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("bytes", len(self.frame))]


class ReplyCount(Struct, frozen=True):
    """How many replies bore a response code (DE 39) and a reason (DE 44, None where the host gave none)."""

    response_code: str | None
    reason: str | None
    count: int


class Result(Struct, frozen=True, kw_only=True):
    """What a run measured. Rates are per second; latencies, in milliseconds, count from when requests were due.

    A request without a reply counts in the percentiles with the time waited for it. `lag_p99_ms` is how late the
    generator itself sent: where it isn't small beside the latencies, they measure the generator.
    """

    asked_rate: float
    held_rate: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p99_9_ms: float
    max_ms: float
    lag_p99_ms: float
    answered: int
    unanswered: int
    """Sent, and no reply by the end of the run."""
    unsent: int
    """Due, and not sendable: the link was lost, or too much was pending."""
    replies: tuple[ReplyCount, ...]
    """Most frequent first."""


def schedule(rate: float, seconds: float, pace: Pace, seed: int) -> Schedule:
    """Fix the arrival times of a run of `rate` requests a second; the same for the same seed.

    >>> schedule(4, 1, Pace.UNIFORM, seed=1).arrivals
    (0.0, 0.25, 0.5, 0.75)
    """
    if pace is Pace.UNIFORM:
        return Schedule(rate, tuple(number / rate for number in range(round(rate * seconds))))
    chance = random.Random(seed)  # noqa: S311 - a reproducible schedule, not a secret
    arrivals: list[float] = []
    at = chance.expovariate(rate)
    while at < seconds:
        arrivals.append(at)
        at += chance.expovariate(rate)
    return Schedule(rate, tuple(arrivals))


def prepare(codec: Codec, requests: Iterable[Message]) -> Iterator[Prepared]:
    """Encode requests. Make a list of it before a run, so that the run only sends."""
    framer = Framer(codec.dialect.framing)
    for request in requests:
        yield Prepared(framer.frame(codec.encode(request)), expected_by(request))


def precise_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop whose timers keep microseconds; epoll's, and uvloop's, round to milliseconds.

    For `asyncio.Runner(loop_factory=precise_loop)`.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def run(
    plan: Schedule,
    requests: Iterable[Prepared],
    hosts: Sequence[AcquirerHost],
    *,
    drain_seconds: float = DRAIN_SECONDS,
) -> Result:
    """Send one request at each arrival time, over the hosts in turn, and measure. Ends with the shorter of the two."""
    meter = _Meter()
    start_ns = time.perf_counter_ns()
    burst = 0
    turn = 0
    for at, request in zip(plan.arrivals, requests, strict=False):
        due_ns = start_ns + int(at * NS_PER_SECOND)
        ahead_ns = due_ns - time.perf_counter_ns()
        burst += 1
        if ahead_ns > 0 or burst > BURST_REQUESTS_MAX:
            await asyncio.sleep(max(ahead_ns, 0) / NS_PER_SECOND)
            burst = 0
        meter.send(hosts[turn], request, due_ns)
        turn = (turn + 1) % len(hosts)
    await meter.drain(drain_seconds)
    return meter.result(plan.rate, start_ns)


class _Meter:
    """Counts one run. A request is `due` until sent, then pending until its reply, the link's loss or the end."""

    def __init__(self) -> None:
        self._latencies = Latencies()
        self._lags = Latencies()
        self._replies: Counter[tuple[str | None, str | None]] = Counter()
        self._due_ns: dict[int, int] = {}
        self._next = 0
        self._lost: list[int] = []
        self._unsent = 0
        self._last_ns = 0

    def send(self, host: AcquirerHost, request: Prepared, due_ns: int) -> None:
        if len(self._due_ns) >= PENDING_REQUESTS_MAX:
            self._unsent += 1
            return
        number = self._next
        self._next += 1
        try:
            host.post(request.frame, request.key, self._taker(number))
        except LinkError:
            self._unsent += 1
            return
        self._due_ns[number] = due_ns
        self._lags.record(time.perf_counter_ns() - due_ns)

    def _taker(self, number: int) -> Taker:
        def take(arrival: Arrival | None) -> None:
            due_ns = self._due_ns.pop(number, None)
            if due_ns is None:
                return
            if arrival is None:
                self._lost.append(due_ns)
                return
            self._last_ns = max(self._last_ns, arrival.at_ns)
            self._latencies.record(arrival.at_ns - due_ns)
            self._replies[arrival.reply.response_code, arrival.reply.reason] += 1

        return take

    async def drain(self, seconds: float) -> None:
        """Wait for what is pending, at most so long."""
        end_ns = time.perf_counter_ns() + int(seconds * NS_PER_SECOND)
        while self._due_ns and time.perf_counter_ns() < end_ns:  # noqa: ASYNC110 - an event would cost each reply
            await asyncio.sleep(POLL_SECONDS)

    def result(self, asked_rate: float, start_ns: int) -> Result:
        answered = self._replies.total()
        unanswered = [*self._due_ns.values(), *self._lost]
        self._due_ns.clear()
        end_ns = time.perf_counter_ns()
        for due_ns in unanswered:
            self._latencies.record(end_ns - due_ns)
        return Result(
            asked_rate=asked_rate,
            held_rate=answered * NS_PER_SECOND / max(self._last_ns - start_ns, 1),
            p50_ms=self._latencies.milliseconds(50),
            p90_ms=self._latencies.milliseconds(90),
            p99_ms=self._latencies.milliseconds(99),
            p99_9_ms=self._latencies.milliseconds(99.9),
            max_ms=self._latencies.milliseconds(100),
            lag_p99_ms=self._lags.milliseconds(99),
            answered=answered,
            unanswered=len(unanswered),
            unsent=self._unsent,
            replies=tuple(ReplyCount(code, reason, count) for (code, reason), count in self._replies.most_common()),
        )
