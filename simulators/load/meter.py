"""What is counted while a run is on. Memory doesn't grow with the requests, but by a line a second."""

import time
from collections import Counter

from simulators.load.connection import Arrival
from simulators.load.latencies import NS_PER_SECOND, Latencies
from simulators.load.result import FAULT_CODES, Distribution, ReplyCount, Result, Second

OUTCOMES_MAX = 256
"""Messages by response code and reason that are told apart; a host that has more has the others in one."""
OTHERS = (None, "OTHERS")
SECONDS_MAX = 86_400
"""Lines kept."""
SECOND_PART_MIN = 0.2
"""A second that was so much shorter, at a run's end, has no line."""

Outcome = tuple[str, str | None, str | None]
"""Message, response code, reason."""


class Meter:
    """Counts one run. `start_ns` is when the warm-up ends: what was due before isn't counted, but for `in_flight`."""

    def __init__(self, start_ns: int) -> None:
        self.in_flight = 0
        self._start_ns = start_ns
        self._outcomes: dict[Outcome, Latencies] = {}
        self._waited = Latencies()
        self._lags = Latencies()
        self._unsent = 0
        self._last_ns = start_ns
        self._cpu_s: float | None = None
        self._second = Latencies()
        self._asked_in_second = 0
        self._errors_in_second = 0
        self._second_begun_ns = time.perf_counter_ns()
        self._seconds: list[Second] = []

    def sent(self, due_ns: int, at_ns: int) -> None:
        """Count a request that leaves now."""
        self.in_flight += 1
        self._asked_in_second += 1
        if due_ns >= self._start_ns:
            if self._cpu_s is None:
                self._cpu_s = time.process_time()
            self._lags.record(at_ns - due_ns)

    def unsent(self, due_ns: int) -> None:
        """Count a request that can't leave."""
        self._asked_in_second += 1
        self._errors_in_second += 1
        if due_ns >= self._start_ns:
            self._unsent += 1

    def unanswered(self, due_ns: int) -> None:
        """Count a request that nobody will answer, with the time that it has waited."""
        self.in_flight -= 1
        self._errors_in_second += 1
        if due_ns >= self._start_ns:
            self._waited.record(time.perf_counter_ns() - due_ns)

    def answered(self, message: str, due_ns: int, arrival: Arrival) -> None:
        """Count a reply."""
        self.in_flight -= 1
        reply, at_ns = arrival.reply, arrival.at_ns
        latency_ns = at_ns - due_ns
        self._second.record(latency_ns)
        if reply.response_code in FAULT_CODES:
            self._errors_in_second += 1
        if due_ns < self._start_ns:
            return
        self._last_ns = at_ns
        latencies = self._outcomes.get((message, reply.response_code, reply.reason))
        if latencies is None:
            latencies = self._tell_apart((message, reply.response_code, reply.reason))
        latencies.record(latency_ns)

    def end_second(self) -> Second:
        """Sum up what came since the last one was ended, a second ago or somewhat less or more."""
        now_ns = time.perf_counter_ns()
        part = max(now_ns - self._second_begun_ns, 1) / NS_PER_SECOND
        second = Second(
            at=round((now_ns - self._start_ns) / NS_PER_SECOND, 3),
            asked=round(self._asked_in_second / part),
            answered=round(self._second.count / part),
            errors=self._errors_in_second,
            in_flight=self.in_flight,
            p50_ms=self._second.milliseconds(50),
            p99_ms=self._second.milliseconds(99),
        )
        self._second.clear()
        self._asked_in_second = self._errors_in_second = 0
        self._second_begun_ns = now_ns
        if second.at > part / 2 and part >= SECOND_PART_MIN and len(self._seconds) < SECONDS_MAX:
            self._seconds.append(second)
        return second

    def result(self, asked_rate: float) -> Result:
        """Sum the run up."""
        spent_s = 0.0 if self._cpu_s is None else time.process_time() - self._cpu_s
        elapsed_s = max(time.perf_counter_ns() - self._start_ns, 1) / NS_PER_SECOND
        whole = Latencies.sum_of([*self._outcomes.values(), self._waited])
        replies: Counter[tuple[str | None, str | None]] = Counter()
        for (_, code, reason), latencies in self._outcomes.items():
            replies[code, reason] += latencies.count
        answered = replies.total()
        return Result(
            asked_rate=asked_rate,
            held_rate=answered * NS_PER_SECOND / max(self._last_ns - self._start_ns, 1),
            p50_ms=whole.milliseconds(50),
            p90_ms=whole.milliseconds(90),
            p99_ms=whole.milliseconds(99),
            p99_9_ms=whole.milliseconds(99.9),
            max_ms=whole.milliseconds(100),
            lag_p99_ms=self._lags.milliseconds(99),
            answered=answered,
            unanswered=self._waited.count,
            unsent=self._unsent,
            replies=tuple(ReplyCount(code, reason, count) for (code, reason), count in replies.most_common()),
            cpu=spent_s / elapsed_s,
            distributions=tuple(
                Distribution(*outcome, latencies.count, latencies.encode())
                for outcome, latencies in sorted(self._outcomes.items(), key=lambda item: -item[1].count)
            ),
            waited=self._waited.encode() if self._waited.count else "",
            seconds=tuple(self._seconds),
        )

    def _tell_apart(self, outcome: Outcome) -> Latencies:
        if len(self._outcomes) >= OUTCOMES_MAX:
            outcome = (outcome[0], *OTHERS)
        return self._outcomes.setdefault(outcome, Latencies())
