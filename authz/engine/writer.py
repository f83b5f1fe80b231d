"""The writer of one partition: decides against memory, appends by batches, and replies after the commit.

Exactly one append is in flight. What arrives meanwhile is decided at once and becomes the next batch; seqs and
hashes are assigned when a batch is sent, so nothing of the chain is speculative. When an append fails or its outcome
is unknown, memory is dropped, the batch is settled against the ledger, and what was decided behind it is decided
again.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from authz.decision.outcomes import Reason, Reply
from authz.engine.desk import Desk
from authz.engine.gate import Gate, GateState
from authz.engine.lease import is_in, settle, take_over
from authz.engine.lookup import Lookup
from authz.engine.requests import Answer, NoAnswer, hand_over
from authz.engine.work import Batch, Work
from authz.metrics import Metrics
from ledger.chain import extend
from ledger.store import Fence, IdentityTaken, LedgerError, Store, Unavailable
from ledger.values import Epoch, Partition, Record, Seq

BATCH_RECORDS_MAX = 256
WORKS_MAX = 4_096
SILENCE_MAX_MS = 2_000
BEAT_EVERY_MS = 500


class Writer:
    """Owns a partition while it holds the lease. `run` keeps it alive; `answer` is what requests come through."""

    def __init__(
        self, partition: Partition, store: Store, desk: Desk, metrics: Metrics, say: Callable[[str], None]
    ) -> None:
        self.partition = partition
        self.gate = Gate()
        self.shut_because = "starting"
        self._store = store
        self._desk = desk
        self._metrics = metrics
        self._say = say
        self._lookup = Lookup(store, partition, desk)
        self._works = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._forming = Batch()
        self._backlog: deque[Work] = deque()
        self._fence = Fence(Epoch(0), Seq(0), b"", 0)
        self._flight: asyncio.Task[None] | None = None
        self._send_is_due = False
        self._lost: asyncio.Future[tuple[Batch, Record | None]] | None = None

    async def run(self) -> None:
        """Take the lease, write until it is lost or in doubt, settle, and so on until cancelled."""
        while True:
            fence: Fence | None = await take_over(self._store, self.partition, self._shut)
            while fence is not None:
                batch, last = await self._write(fence)
                fence = await settle(self._store, self.partition, self._fence.epoch, self._shut)
                await self._settle(batch, last)

    async def answer(self, work: Work) -> Answer | NoAnswer:
        """Bring a request to its answer. Raises what the decision raises for a command that makes no sense."""
        if self._works >= WORKS_MAX:
            return self._refuse(work, Reason.OVERLOADED)
        self._works += 1
        self._idle.clear()
        self._metrics.works.inc()
        try:
            while await self.gate.passes(work.deadline):
                try:
                    await self._lookup.fill(work)
                except Unavailable:
                    break
                work.waiter = asyncio.get_running_loop().create_future()
                self._admit(work)
                result = await work.waiter
                if result is not NoAnswer.DECIDE_AGAIN:
                    return result
            return self._refuse(work, Reason.UNAVAILABLE)
        finally:
            self._works -= 1
            self._metrics.works.dec()
            if not self._works:
                self._idle.set()

    async def is_idle(self) -> None:
        """Wait until no request is under way."""
        await self._idle.wait()

    def _admit(self, work: Work) -> None:
        """Decide a request whose passbooks are in memory, into the batch that forms."""
        if self.gate.state is not GateState.OPEN or self._desk.missing(work):
            hand_over(work.waiter, NoAnswer.DECIDE_AGAIN)
            return
        if len(self._forming.decided) >= BATCH_RECORDS_MAX:
            self._backlog.append(work)
            return
        try:
            decided = self._desk.decide(work)
        except Exception as error:  # the request's own fault or a defect: nobody else pays for it
            if work.waiter is not None:
                work.waiter.set_exception(error)
            return
        if isinstance(decided, Answer):
            self._forming.riders.append((work, decided))
        elif decided is not None:
            self._forming.decided.append(decided)
        if self._flight is None and not self._send_is_due:
            self._send_is_due = True
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        """Send the batch that has formed, and let the next one form behind it."""
        self._send_is_due = False
        if self._flight is not None or self.gate.state is not GateState.OPEN:
            return
        batch = self._without_the_late(self._take_forming())
        if batch:
            self._flight = asyncio.create_task(self._fly(batch))
        while self._backlog and len(self._forming.decided) < BATCH_RECORDS_MAX:
            self._admit(self._backlog.popleft())

    def _take_forming(self) -> Batch:
        batch, self._forming = self._forming, Batch()
        return batch

    def _without_the_late(self, batch: Batch) -> Batch:
        """The deadline is tested last here. Where one has passed, the others are decided again without it."""
        now = asyncio.get_running_loop().time()
        if all(now < work.deadline for work, _ in batch.waiting()):
            return batch
        self._roll_back(batch, keep=lambda work: now < work.deadline)
        return Batch()

    async def _fly(self, batch: Batch) -> None:
        """Append a batch, and answer it when it is durable."""
        loop = asyncio.get_running_loop()
        fence = self._fence
        places = enumerate(batch.decided, fence.head + 1)
        entries = (one.entry(Seq(seq)) for seq, one in places)
        records = list(extend(self.partition, fence.epoch, fence.head, fence.hash, entries))
        watch = loop.call_later(SILENCE_MAX_MS / 1000, self._fall_silent)
        started = loop.time()
        try:
            if records:
                await self._store.append(self.partition, fence.epoch, fence.head, fence.hash, records)
            else:
                await self._store.beat(self.partition, fence.epoch)
        except IdentityTaken:
            self._metrics.append_failures.labels("identity_taken").inc()
            for one in batch.decided:
                one.work.look_up = True
            self._roll_back(batch)
            self._roll_back(self._take_forming())
        except LedgerError as error:
            self._metrics.append_failures.labels(type(error).__name__).inc()
            self._lose(batch, records[-1] if records else None)
        else:
            if records:
                self._fence = Fence(fence.epoch, records[-1].seq, records[-1].hash, 0)
                self._metrics.append_seconds.observe(loop.time() - started)
                self._metrics.batch_records.observe(len(records))
            self._acknowledge(batch)
        finally:
            watch.cancel()
            self._flight = None
        self._send()

    def _acknowledge(self, batch: Batch) -> None:
        """Answer every request of a batch that is in the ledger, and the repeats that waited for it."""
        self._desk.acknowledge(batch)
        now = asyncio.get_running_loop().time()
        for one in batch.decided:
            reply = one.outcome.reply
            self._metrics.decisions.labels(one.work.kind, reply.reason).inc()
            answer = Answer(one.work.command, reply)
            waiters = [one.work.waiter, *(one.known.waiters if one.known else ())]
            if now > one.work.deadline:
                self._metrics.late.inc()
            for waiter in waiters:
                hand_over(waiter, answer if now <= one.work.deadline else NoAnswer.TOO_LATE)
        for work, answer in batch.riders:
            self._metrics.repeats.inc()
            hand_over(work.waiter, answer)

    def _roll_back(self, batch: Batch, keep: Callable[[Work], bool] = lambda _: True) -> None:
        """Undo a batch that is not in the ledger. What is kept is decided again, the rest refused."""
        self._desk.roll_back(batch)
        for work, waiters in batch.waiting():
            again = keep(work)
            for waiter in waiters:
                hand_over(waiter, NoAnswer.DECIDE_AGAIN if again else self._refuse(work, Reason.UNAVAILABLE))

    def _refuse(self, work: Work, reason: Reason) -> Answer:
        """An answer that needs no record: nothing was written."""
        self._metrics.refused.labels(reason).inc()
        return Answer(work.command, Reply(reason))

    def _lose(self, batch: Batch, last: Record | None) -> None:
        """The lease is lost or in doubt: drop all memory, and leave the batch to be settled."""
        self.gate.turn(GateState.SHUT if self.gate.state is GateState.SHUT else GateState.PAUSED)
        self._metrics.epoch.labels(self.partition).set(0)
        behind, backlog = self._take_forming(), list(self._backlog)
        self._backlog.clear()
        self._desk.drop()
        self._roll_back(behind)
        for work in backlog:
            hand_over(work.waiter, NoAnswer.DECIDE_AGAIN)
        if self._lost is not None and not self._lost.done():
            self._lost.set_result((batch, last))

    async def _settle(self, batch: Batch, last: Record | None) -> None:
        """Answer a batch whose outcome was unknown as it stands in the ledger; 91 where it is not in."""
        if last is not None and await is_in(self._store, self.partition, last.seq, last.hash, self._shut):
            self._acknowledge(batch)
        else:
            self._roll_back(batch, keep=lambda _: False)

    async def _write(self, fence: Fence) -> tuple[Batch, Record | None]:
        """Write under this lease until it is lost: returns the batch to be settled, and its last record."""
        newest = await self._store.instant_of(self.partition, fence.head)
        self._fence = fence
        self._desk.open(newest)
        self._lost = asyncio.get_running_loop().create_future()
        self._metrics.epoch.labels(self.partition).set(fence.epoch)
        self.shut_because = ""
        self.gate.turn(GateState.OPEN)
        beating = asyncio.create_task(self._beat())
        try:
            return await self._lost
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        """Move the fence while nothing else does: whoever stands by sees that this writer lives."""
        while True:
            await asyncio.sleep(BEAT_EVERY_MS / 1000)
            if self._flight is None and self.gate.state is GateState.OPEN:
                self._flight = asyncio.create_task(self._fly(Batch()))

    def _shut(self, why: str) -> None:
        self.gate.turn(GateState.SHUT)
        if why != self.shut_because:
            self.shut_because = why
            self._say(why)

    def _fall_silent(self) -> None:
        """No acknowledgement in time: whoever comes now is answered 91, and the session is cut to learn the outcome."""
        self.gate.turn(GateState.SHUT)
        self._abandoning = asyncio.create_task(self._store.abandon(self.partition))
