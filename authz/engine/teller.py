"""Tells those who wait what became of their requests: answered, refused, to be decided again, or silence."""

import asyncio
import math
from collections.abc import Callable

from authz import logs
from authz.decision.outcomes import APPROVED, Reason, Reply
from authz.engine.counting import Counting
from authz.engine.desk import Desk
from authz.engine.requests import Answer, NoAnswer, hand_over
from authz.engine.work import Batch, Work
from authz.metrics import Metrics
from ledger.values import Partition


class Teller:
    """One writer's: what a batch comes to, it has the desk take note of, counts, and hands over."""

    def __init__(self, partition: Partition, desk: Desk, metrics: Metrics, counting: Counting) -> None:
        self._partition = partition
        self._desk = desk
        self._metrics = metrics
        self._counting = counting

    def acknowledge(self, batch: Batch) -> None:
        """Answer every request of a batch that is in the ledger, and the repeats that go with it."""
        self._desk.acknowledge(batch)
        now = asyncio.get_running_loop().time()
        for one in batch.decided:
            work, reply = one.work, one.outcome.reply
            self._counting.record(one)
            if reply.reason is not APPROVED and not reply.reason.approves and one.known is not None:
                logs.refused(reply.reason, self._partition, one.known.seq)
            if now <= work.deadline:
                hand_over(work.waiter, Answer(work.command, reply))
            else:
                self._metrics.late.inc()
                hand_over(work.waiter, NoAnswer.TOO_LATE)
        for work, answer in batch.riders:
            self._metrics.repeats.inc()
            hand_over(work.waiter, answer)

    def roll_back(self, batch: Batch, keep: Callable[[Work], bool] = lambda _: True) -> None:
        """Undo a batch that is not in the ledger. What is kept is decided again, the rest refused."""
        self._desk.roll_back(batch)
        for work in batch.works():
            if keep(work):
                hand_over(work.waiter, NoAnswer.DECIDE_AGAIN)
            else:
                self.turn_away(work)

    def turn_away(self, work: Work) -> None:
        """Answer 91 to a request that is not in the ledger and is not going to be, if it still waits."""
        if work.waiter is not None and not work.waiter.done():
            work.waiter.set_result(self.refuse(work, Reason.UNAVAILABLE))

    def refuse(self, work: Work, reason: Reason) -> Answer:
        """An answer that needs no record: nothing was written."""
        self._metrics.refused.labels(reason).inc()
        logs.refused(reason, link=work.link)
        return Answer(work.command, Reply(reason))

    def limit_the_wait(self, batch: Batch) -> None:
        """What is unsettled at its deadline is answered by silence."""
        loop = asyncio.get_running_loop()
        for work in batch.works():
            if work.deadline < math.inf:
                loop.call_at(work.deadline, hand_over, work.waiter, NoAnswer.TOO_LATE)

    def keep_silent(self, batch: Batch) -> None:
        """Leave a batch that is in the ledger, perhaps on one server only, to the repeats of its requests."""
        self._metrics.late.inc(len(batch.decided))
        for one in batch.decided:
            self._counting.record(one)
        for work in batch.works():
            hand_over(work.waiter, NoAnswer.TOO_LATE)
