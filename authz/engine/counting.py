"""What one writer counts: records, where the time of a request went, and who waits in its queues."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from authz.engine.work import Decided, Work
from authz.metrics import Metrics
from ledger.store import Fenced, OutcomeUnknown, Unavailable
from ledger.values import Partition

FAILURES = ("identity_taken", "defect", *(error.__name__ for error in (Fenced, OutcomeUnknown, Unavailable)))
"""How an append can fail; whatever else it raises counts by its own name."""

Queues = Callable[[], Mapping[str, Sequence[Work]]]
"""Tells who waits now, by where: always the same places."""


class Counting:
    """One writer's side of the metrics. What can be read at any time is read when it is asked for."""

    def __init__(self, partition: Partition, metrics: Metrics, queues: Queues) -> None:
        self._decisions = metrics.decisions
        self._stages = metrics.stages
        self._queues = queues
        for queue in queues():
            metrics.queue_requests.labels(partition, queue).set_function(partial(self._waiting, queue))
        metrics.queue_age.labels(partition).set_function(self._age_s)
        self.epoch = metrics.epoch.labels(partition)
        self.takeovers = metrics.takeovers.labels(partition)
        self.settled_in = metrics.unknown_outcomes.labels("in")
        self.settled_out = metrics.unknown_outcomes.labels("out")
        for how in FAILURES:
            metrics.append_failures.labels(how)

    def record(self, one: Decided) -> None:
        """Count a record that is in the ledger."""
        self._decisions.inc((one.work.kind, one.product, one.outcome.reply.reason))

    def time(self, work: Work) -> None:
        """Count where the time of a link's request went, from its being asked to its answer."""
        if work.asked_at and work.decide_s:
            self._stages.resolve.observe(work.admitted_at - work.asked_at)
            self._stages.decide.observe(work.decide_s)
            self._stages.append.observe(time.monotonic() - work.admitted_at - work.decide_s)

    def _waiting(self, queue: str) -> int:
        return len(self._queues()[queue])

    def _age_s(self) -> float:
        """How long the oldest request that waits has been here, in seconds."""
        now = time.monotonic()
        return now - min((work.admitted_at for queue in self._queues().values() for work in queue), default=now)
