"""What happens at twice the rate that can be answered: how much still gets through, how fast the rest is turned away.

One run in three parts without a pause: a bearable rate, twice the highest at which nobody is turned away, however late
answers are (of what is held within 25 ms, twice may be answered too), the bearable rate again. Every request bears the
part and the span of time in which it was due, so latencies are told by when requests were due.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from authz.engine.limits import Limits
from benchmarks.authorizer import Authorizer, started
from benchmarks.bounds import Bound, judged
from benchmarks.comparison import saturation
from benchmarks.ground import RESULTS, Count, Positive, temporary
from benchmarks.machine import Machine, describe
from benchmarks.payments import Crowd, connected, saturate
from benchmarks.processes import resident_bytes
from benchmarks.report import was_answered
from benchmarks.rows import APPROVED
from simulators.load.latencies import Latencies
from simulators.load.result import Result
from simulators.load.run import Prepared, run
from simulators.load.schedule import Pace, Schedule

TIMES_SATURATION = 2.0
BEARABLE_SHARE = 0.25
"""The rate before and after, as a part of the highest that is answered."""
HOLDERS = 10_000
WARM_UP_PAYMENTS = Limits().remembered_max
SECONDS = 10.0
CALM_SECONDS = 10.0
SEARCH_SECONDS = 4.0
SEARCH_START, SEARCH_MAX = 2_000.0, 20_000.0
SPAN_SECONDS = 0.5
"""How finely recovery is told."""
RECOVERED_SPANS = 4
SEED = 29
RSS_EVERY_S = 0.1
TURNED_AWAY = "91"
BEFORE, DURING, AFTER = "before", "during", "after"

GOODPUT_SHARE_MIN = 0.9
TURNED_AWAY_MS_MAX = 200.0
RECOVERY_SECONDS_MAX = 2.0
NORMAL_TIMES_MAX = 1.5
"""A span is normal again whose p99 is at most so many times the highest of the spans before the overload."""
GROWTH_MB_MAX = 128.0
"""By which an engine may be larger at its largest than before the overload: its queues are full then."""
BYTES_PER_MB = 1_000_000


class Phase(Struct, frozen=True):
    """A part of a run: its rate in requests a second, and how long it lasts."""

    name: str
    rate: float
    seconds: float


class Phases(Schedule, frozen=True):
    """Independent arrivals at rates that follow one another. `rate` is the mean, `seconds` the whole."""

    phases: tuple[Phase, ...] = ()

    @classmethod
    def of(cls, phases: tuple[Phase, ...]) -> "Phases":
        """Put parts one behind the other."""
        seconds = sum(phase.seconds for phase in phases)
        requests = sum(phase.rate * phase.seconds for phase in phases)
        return cls(requests / seconds, seconds, Pace.POISSON, SEED, 0.0, phases)

    def __iter__(self) -> Iterator[float]:
        ends = accumulate(phase.seconds for phase in self.phases)
        for number, (phase, end) in enumerate(zip(self.phases, ends, strict=True)):
            start = end - phase.seconds
            yield from (start + at for at in Schedule(phase.rate, phase.seconds, Pace.POISSON, self.seed + number))

    def label(self, at: float) -> str:
        """Name the part that an arrival is in, and its span: `after 3` is the fourth span after the overload."""
        start = 0.0
        for phase in self.phases:
            if at < start + phase.seconds or phase is self.phases[-1]:
                return f"{phase.name} {int((at - start) / SPAN_SECONDS)}"
            start += phase.seconds
        raise AssertionError


class Overload(Struct, frozen=True, kw_only=True):
    """What was measured. Rates are a second, latencies milliseconds from when requests were due.

    `spans` are p99s by when requests were due, `SPAN_SECONDS` each, of the whole run. `megabytes` is the engine's
    memory, every `RSS_EVERY_S`.
    """

    machine: Machine
    saturation: float
    asked: float
    goodput: float
    turned_away: int
    turned_away_p50_ms: float
    turned_away_p99_ms: float
    turned_away_max_ms: float
    answered_p99_ms: float
    unanswered: int
    lag_p99_ms: float
    recovery_s: float
    spans: tuple[float, ...]
    megabytes: tuple[float, ...]
    bounds: tuple[Bound, ...] = ()


def overload(
    *,
    saturation: Positive | None = None,
    seconds: Positive = SECONDS,
    calm_seconds: Positive = CALM_SECONDS,
    warm_up_payments: Count = WARM_UP_PAYMENTS,
    holders: Count = HOLDERS,
    data: Path | None = None,
    json: Path = RESULTS,
) -> int:
    """Ask for twice what the authorizer can do, and tell what it does then, and how soon it is itself again.

    Parameters
    ----------
    saturation
        The highest rate that is answered without an error, in requests a second. Without it, it is sought first.
    seconds
        How long the overload lasts.
    calm_seconds
        How long the bearable rate lasts, before and after.
    warm_up_payments
        How many are made first: as many as an engine remembers, so that its memory is as large as it gets.
    holders
        How many holders pay.
    data
        Where the temporary data folder is made: on the disk that is to be measured.
    json
        The file of results.
    """
    return judged(
        "overload",
        json,
        lambda console: _measure(console, saturation, seconds, calm_seconds, warm_up_payments, holders, data),
    )


async def _measure(
    console: Console,
    known: float | None,
    seconds: float,
    calm_seconds: float,
    warm_up_payments: int,
    holders: int,
    data: Path | None,
) -> Overload:
    async with temporary(data) as embedded:
        machine = await describe(embedded.superuser_url, embedded.server.data)
        crowd = Crowd(holders)
        with console.status("an authorizer, and its holders' money …") as status:
            async with started(embedded.url, holders) as authorizer:
                if known is None:
                    known = await saturation_of(authorizer, crowd, status.update)
                status.update("filling what the engine remembers …")
                await saturate(authorizer, crowd, warm_up_payments)
                status.update(f"twice {known:,.0f}/s …")
                calm = BEARABLE_SHARE * known
                plan = Phases.of(
                    (
                        Phase(BEFORE, calm, calm_seconds),
                        Phase(DURING, TIMES_SATURATION * known, seconds),
                        Phase(AFTER, calm, calm_seconds),
                    )
                )
                result, megabytes = await _run(authorizer, crowd, plan)
    return summed_up(machine, known, plan, result, megabytes)


async def saturation_of(authorizer: Authorizer, crowd: Crowd, say: Callable[[str], None]) -> float:
    """Seek the highest rate that is answered; what the lowest rate tried comes to, where none is."""
    found = await saturation(authorizer, crowd, SEARCH_SECONDS, SEARCH_START, SEARCH_MAX, say=say, is_held=was_answered)
    return found.best.measured.held if found.best is not None else found.tries[-1].measured.held


async def _run(authorizer: Authorizer, crowd: Crowd, plan: Phases) -> tuple[Result, list[float]]:
    labelled = _labelled(plan, crowd.payments(plan))
    requests = list(labelled)
    megabytes: list[float] = []

    async def sample() -> None:
        while True:
            megabytes.append(resident_bytes(authorizer.pid) / BYTES_PER_MB)
            await asyncio.sleep(RSS_EVERY_S)

    async with connected(authorizer, crowd) as hosts:
        sampling = asyncio.create_task(sample())
        try:
            return await run(plan, requests, hosts), megabytes
        finally:
            sampling.cancel()


def _labelled(plan: Phases, requests: Iterable[Prepared]) -> Iterator[Prepared]:
    for at, request in zip(plan, requests, strict=False):
        yield replace(request, message=plan.label(at))


def summed_up(
    machine: Machine, saturation: float, plan: Phases, result: Result, megabytes: Sequence[float]
) -> Overload:
    """Tell the parts apart again by what the requests are called."""
    before, during, after = plan.phases
    decided, turned_away = Latencies(), Latencies()
    for one in result.distributions:
        if one.message.startswith(DURING) and one.response_code == TURNED_AWAY:
            turned_away = Latencies.sum_of([turned_away, one.histogram])
        elif one.message.startswith(DURING) and one.response_code in APPROVED:
            decided = Latencies.sum_of([decided, one.histogram])
    spans = {phase.name: spans_of(result, phase) for phase in plan.phases}
    calm = spans[BEFORE]
    normal_ms = NORMAL_TIMES_MAX * max(calm[len(calm) // 4 :])
    answered_p99_ms = decided.milliseconds(99)
    recovered = recovery_of(spans[AFTER], normal_ms)
    measured = Overload(
        machine=machine,
        saturation=saturation,
        asked=during.rate,
        goodput=decided.count / (during.seconds + answered_p99_ms / 1_000),
        turned_away=turned_away.count,
        turned_away_p50_ms=turned_away.milliseconds(50),
        turned_away_p99_ms=turned_away.milliseconds(99),
        turned_away_max_ms=turned_away.milliseconds(100),
        answered_p99_ms=answered_p99_ms,
        unanswered=result.unanswered + result.unsent,
        lag_p99_ms=result.lag_p99_ms,
        recovery_s=after.seconds if recovered is None else recovered,
        spans=tuple(min(span, after.seconds * 1_000) for phase in plan.phases for span in spans[phase.name]),
        megabytes=tuple(megabytes),
    )
    calm_samples = max(int(before.seconds / RSS_EVERY_S), 1)
    growth = max(megabytes) - max(megabytes[:calm_samples])
    return replace(measured, bounds=bounds_of(measured, growth))


def spans_of(result: Result, phase: Phase) -> list[float]:
    """The p99 of each span of a part, in milliseconds; of one in which something was turned away, infinite."""
    parts: dict[str, list[Latencies]] = {}
    refused = set()
    for one in result.distributions:
        parts.setdefault(one.message, []).append(one.histogram)
        if one.response_code not in APPROVED:
            refused.add(one.message)
    names = [f"{phase.name} {number}" for number in range(max(int(phase.seconds / SPAN_SECONDS), 1))]
    return [
        math.inf if name in refused or name not in parts else Latencies.sum_of(parts[name]).milliseconds(99)
        for name in names
    ]


def recovery_of(spans: Sequence[float], normal_ms: float) -> float | None:
    """Seconds until p99 is normal and stays so for `RECOVERED_SPANS`; None where it never is.

    >>> recovery_of([900.0, 40.0, 3.0, 3.0, 3.0, 3.0], 5.0)
    1.0
    """
    normal = [span <= normal_ms for span in spans]
    for number in range(len(normal)):
        if all(normal[number : number + RECOVERED_SPANS]):
            return number * SPAN_SECONDS
    return None


def bounds_of(measured: Overload, growth_mb: float) -> tuple[Bound, ...]:
    """Hold an overload against what it must show."""
    share = measured.goodput / measured.saturation
    return (
        Bound(what="asked for", value=measured.asked, unit="/s"),
        Bound(what="decided, of the highest rate that is answered", value=share, unit="×", least=GOODPUT_SHARE_MIN),
        Bound(what="what was decided, p99", value=measured.answered_p99_ms, unit="ms"),
        Bound(what="turned away (91)", value=measured.turned_away, unit=""),
        Bound(what="turned away, p50", value=measured.turned_away_p50_ms, unit="ms"),
        Bound(what="turned away, p99", value=measured.turned_away_p99_ms, unit="ms", most=TURNED_AWAY_MS_MAX),
        Bound(what="turned away, the slowest", value=measured.turned_away_max_ms, unit="ms"),
        Bound(what="unanswered", value=measured.unanswered, unit="", most=0),
        Bound(what="the generator's own lag, p99", value=measured.lag_p99_ms, unit="ms"),
        Bound(what="the engine's memory: growth at its largest", value=growth_mb, unit="MB", most=GROWTH_MB_MAX),
        Bound(what="until p99 is normal again", value=measured.recovery_s, unit="s", most=RECOVERY_SECONDS_MAX),
    )
