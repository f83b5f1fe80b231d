"""The writer of one partition: decides against memory, appends by batches, and replies after the commit.

Exactly one append is in flight. What arrives meanwhile is decided at once and becomes the next batch; seqs and
hashes are assigned when a batch is sent, so nothing of the chain is speculative. When an append fails or its outcome
is unknown, memory is dropped, the batch is settled against the ledger, and what was decided behind it is decided
again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from msgspec import Struct

from authz import logs
from authz.decision.outcomes import Reason
from authz.engine.counting import Counting
from authz.engine.desk import Desk
from authz.engine.gate import Gate, GateState
from authz.engine.lease import RETRY_EVERY_MS, instant_of, is_in, persist, settle, take_over
from authz.engine.limits import Limits
from authz.engine.lookup import Lookup
from authz.engine.passbooks import RecordUnreadable
from authz.engine.requests import Answer, NoAnswer, hand_over
from authz.engine.teller import Teller
from authz.engine.work import Batch, Work
from authz.metrics import Metrics
from ledger.chain import extend
from ledger.store import Fence, IdentityTaken, LedgerError, OutcomeUnknown, Store
from ledger.values import Epoch, HolderId, Partition, Record, Seq

REFUSED_IN_A_ROW_MAX = 2
"""After so many appends that the database refused, one after the other, it is left alone for a moment: 91 at once."""
REST_MS = 1_000
ALONE_RECORDS_MAX = 2
"""Behind a batch of at most so many records the next is sent at once: few come, and each is answered soonest."""
RECORDS_A_MS = 2
"""Behind a larger one, so many records more make the next wait 1 ms for company: what an append costs is shared."""
COMPANY_MS_MAX = 5


class Doubt(Struct, frozen=True):
    """A batch of which nobody knows whether it is in the ledger: it is, if its last record is."""

    batch: Batch
    last: Record


class Writer:
    """Owns a partition while it holds the lease. `run` keeps it alive; `answer` is what requests come through.

    `on_term` is awaited behind every take from another engine's epoch, and before the first request: it reads again
    what that engine may have changed. It is called until it raises no `LedgerError`. `behind` is the gate of the
    partition before this one: partitions are taken in their order, and given up together, so that of two engines
    one writes them all.
    """

    def __init__(
        self,
        partition: Partition,
        store: Store,
        desk: Desk,
        metrics: Metrics,
        say: Callable[[str], None],
        limits: Limits,
        on_term: Callable[[], Awaitable[None]],
        behind: Gate | None = None,
    ) -> None:
        self.partition = partition
        self.gate = Gate()
        self.shut_because = "starting"
        self._store = store
        self._desk = desk
        self._metrics = metrics
        self._say = say
        self._limits = limits
        self._on_term = on_term
        self._behind = behind
        self._lookup = Lookup(store, partition, desk)
        self._forming = Batch()
        self._sent = Batch()
        self._backlog: deque[Work] = deque()
        self._fence = Fence(Epoch(0), Seq(0), b"", 0)
        self._flight: asyncio.Task[None] | None = None
        self._send_is_due = False
        self._last_records = 0
        self._lost = asyncio.Event()
        self._doubt: Doubt | None = None
        self._refused_in_a_row = 0
        self._lost_by = ""
        self._counting = Counting(partition, metrics, self._queues)
        self._teller = Teller(partition, desk, metrics, self._counting)
        metrics.caches.watch("passbooks", self._lookup.passbooks)

    def _queues(self) -> dict[str, list[Work]]:
        """What waits, by where: behind a full batch, in the batch that forms, in the one that is sent, in doubt."""
        doubtful = Batch() if self._doubt is None else self._doubt.batch
        batches = {"forming": self._forming, "sent": self._sent, "doubtful": doubtful}
        return {"backlog": [*self._backlog]} | {name: [*batch.works()] for name, batch in batches.items()}

    async def run(self) -> None:
        """Take the lease, write until it is lost or in doubt, settle, and so on until cancelled."""
        try:
            while True:
                try:
                    await self._hold_office()
                except Exception as error:  # a defect costs the lease, and is told without content
                    self._shut(f"partition {self.partition} begins again after {type(error).__name__}")
                    await asyncio.sleep(RETRY_EVERY_MS / 1000)
        finally:
            self.gate.turn(GateState.SHUT)
            self.shut_because = "stopped"
            self._let_go()

    @property
    def fence(self) -> Fence:
        """How far this writer has come, by acknowledged appends alone."""
        return self._fence

    async def bring(self, holders: Iterable[HolderId]) -> None:
        """Load passbooks that requests to come will need."""
        await self._lookup.bring(holders)

    async def answer(self, work: Work) -> Answer | NoAnswer:
        """Bring a request to its answer. Raises what the decision raises for a command that makes no sense."""
        while await self.gate.passes(work.deadline):
            self._lookup.begin(work)
            admitted = self._admit(work)
            if not work.bulk:
                self._lookup.passbooks.note(found=admitted)
            if not admitted:
                try:
                    await self._lookup.fill(work)
                except RecordUnreadable as error:
                    self._say(str(error))
                    break
                except (LedgerError, TimeoutError):
                    break
                if not self._admit(work):  # what was there has left memory meanwhile
                    continue
            assert work.waiter is not None
            result = await work.waiter
            if result is not NoAnswer.DECIDE_AGAIN:
                self._counting.time(work)
                return result
        return self._teller.refuse(work, Reason.UNAVAILABLE)

    async def _hold_office(self) -> None:
        """Write from taking the lease to losing it. What was in doubt is settled behind each take."""
        if self._behind is not None:
            await self._behind.is_open()
        fence: Fence | None = await take_over(self._store, self.partition, self._shut, self._stand_by)
        self._counting.takeovers.inc()
        await self._leave_unproven()
        await persist(self._on_term, self._shut)
        while fence is not None:
            self._settle(fence)
            await self._write(fence)
            if self._is_passed_over:
                break
            if self._refused_in_a_row >= REFUSED_IN_A_ROW_MAX and self._doubt is None:
                self._shut(self._lost_by)
                await asyncio.sleep(REST_MS / 1000)
            fence = await settle(self._store, self.partition, self._fence.epoch, self._shut)
        self._stand_by()
        await self._leave_unproven()

    @property
    def _is_passed_over(self) -> bool:
        """Tell whether another engine has the partition before this one: it is to have this one too."""
        return self._behind is not None and self._behind.state is GateState.STANDING_BY

    def _admit(self, work: Work) -> bool:
        """Give a request its waiter, and decide it. False: not all that it rests on is in memory."""
        work.waiter = asyncio.get_running_loop().create_future()
        work.admitted_at = time.monotonic()
        if self.gate.state is not GateState.OPEN:
            hand_over(work.waiter, NoAnswer.DECIDE_AGAIN)
            return True
        if len(self._forming.decided) >= self._limits.batch_records_max:
            self._backlog.append(work)
            return True
        return self._decide(work)

    def _decide(self, work: Work) -> bool:
        """Decide a request into the batch that forms. False: not all that it rests on is in memory."""
        assert work.waiter is not None
        began = time.monotonic()
        try:
            decided = self._desk.decide(work)
        except Exception as error:  # the request's own fault or a defect: nobody else pays for it
            work.waiter.set_exception(error)
            return True
        if decided is None:
            return False
        work.decide_s = time.monotonic() - began
        if isinstance(decided, Answer):
            self._forming.riders.append((work, decided))
        else:
            self._forming.decided.append(decided)
        self._send_soon()
        return True

    def _send_soon(self) -> None:
        """Have the batch that forms sent: at once, or, where many come, when some more have joined it."""
        if self._flight is None and not self._send_is_due:
            self._send_is_due = True
            loop, wait_ms = asyncio.get_running_loop(), self._company_ms
            if wait_ms:
                loop.call_later(wait_ms / 1_000, self._send)
            else:
                loop.call_soon(self._send)

    @property
    def _company_ms(self) -> int:
        """How long the batch that forms waits for company, by the size of the last one."""
        more = max(0, self._last_records - ALONE_RECORDS_MAX)
        return min(more // RECORDS_A_MS, COMPANY_MS_MAX)

    def _send(self) -> None:
        """Send the batch that has formed, and let the next one form behind it."""
        self._send_is_due = False
        if self._flight is not None or self.gate.state is not GateState.OPEN:
            return
        batch = self._take_forming()
        now = asyncio.get_running_loop().time()
        if any(now >= work.deadline for work in batch.works()):
            # The deadline is tested last here. Those that keep it are decided again, without those that don't.
            self._teller.roll_back(batch, keep=lambda work: now < work.deadline)
        elif batch:
            self._flight = asyncio.create_task(self._fly(batch))
        while self._backlog and len(self._forming.decided) < self._limits.batch_records_max:
            work = self._backlog.popleft()
            assert work.waiter is not None
            if work.waiter.done():  # it was answered 91 while it waited, or nobody waits any more
                continue
            if self.gate.state is not GateState.OPEN or not self._decide(work):
                hand_over(work.waiter, NoAnswer.DECIDE_AGAIN)

    def _take_forming(self) -> Batch:
        batch, self._forming = self._forming, Batch()
        return batch

    async def _fly(self, batch: Batch) -> None:
        """Append a batch, and answer it when it is durable."""
        loop = asyncio.get_running_loop()
        self._sent = batch
        fence = self._fence
        records: list[Record] = []
        watch = loop.call_later(self._limits.silence_max_ms / 1000, self._fall_silent)
        started = time.monotonic()
        try:
            places = enumerate(batch.decided, fence.head + 1)
            entries = (one.entry(Seq(seq)) for seq, one in places)
            records.extend(extend(self.partition, fence.epoch, fence.head, fence.hash, entries))
            if records:
                await self._store.append(self.partition, fence.epoch, fence.head, fence.hash, records)
                self._fence = Fence(fence.epoch, records[-1].seq, records[-1].hash, 0)
                self._refused_in_a_row = 0
                self._metrics.append_seconds.observe(time.monotonic() - started)
                self._metrics.batch_records.observe(len(records))
            else:
                await self._store.beat(self.partition, fence.epoch)
            self._teller.acknowledge(batch)
        except IdentityTaken:
            self._metrics.append_failures.labels("identity_taken").inc()
            for one in batch.decided:
                one.work.look_up = True
            self._teller.roll_back(batch)
            self._teller.roll_back(self._take_forming())
        except LedgerError as error:
            self._metrics.append_failures.labels(type(error).__name__).inc()
            self._refused_in_a_row += not isinstance(error, OutcomeUnknown)
            self._lose(batch, records if isinstance(error, OutcomeUnknown) else [], str(error))
        except Exception as error:  # a defect, told without content: only the ledger knows what became of the batch
            self._metrics.append_failures.labels("defect").inc()
            why = f"an append of partition {self.partition} ended in {type(error).__name__}"
            self._say(why)
            self._lose(batch, records, why)
        finally:
            watch.cancel()
            self._flight = None
            self._last_records = len(batch.decided)
            self._sent = Batch()
        if self.gate.state is GateState.OPEN:
            if self._forming or self._backlog:
                self._send_soon()
        elif not self._lost.is_set():  # it was acknowledged after all, while its session was being cut
            self._lose(Batch(), [])

    def _lose(self, batch: Batch, doubtful: Sequence[Record], why: str = "its session was cut") -> None:
        """The lease is lost or in doubt: drop all memory. What may be in is left to be settled, the rest is refused."""
        if self.gate.state is GateState.OPEN:
            self.gate.turn(GateState.PAUSED)
            logs.warning("lease lost or in doubt", partition=self.partition, epoch=self._fence.epoch, why=why)
        self._lost_by = why
        self._counting.epoch.set(0)
        self._let_go()
        if doubtful:
            self._doubt = Doubt(batch, doubtful[-1])
            self._teller.limit_the_wait(batch)
        else:
            self._teller.roll_back(batch, keep=lambda _: False)
        self._lost.set()

    def _let_go(self) -> None:
        """Drop all memory. What was decided on it and not sent is decided again, behind whatever is in the ledger."""
        behind, backlog = self._take_forming(), list(self._backlog)
        self._backlog.clear()
        self._desk.drop()
        self._teller.roll_back(behind)
        for work in backlog:
            hand_over(work.waiter, NoAnswer.DECIDE_AGAIN)

    def _settle(self, fence: Fence) -> None:
        """Answer a batch whose outcome was unknown as the acknowledged `retake` of one's own epoch tells it.

        Nobody else has written since. The batch is in if its last record is the newest, and then every standby of the
        database that has the retake has it too; otherwise it never will be: 91.
        """
        doubt, self._doubt = self._doubt, None
        if doubt is None:
            return
        if fence.hash == doubt.last.hash:
            self._counting.settled_in.inc()
            self._teller.acknowledge(doubt.batch)
        else:
            self._counting.settled_out.inc()
            self._teller.roll_back(doubt.batch, keep=lambda _: False)

    async def _leave_unproven(self) -> None:
        """Leave a batch whose outcome was unknown to whoever has taken the lease since: it answers the repeats.

        What is in may be so on this server alone, and is not told. What is not in never will be: 91.
        """
        doubt, self._doubt = self._doubt, None
        if doubt is None:
            return
        if await is_in(self._store, self.partition, doubt.last.seq, doubt.last.hash, self._shut):
            self._counting.settled_in.inc()
            self._teller.keep_silent(doubt.batch)
        else:
            self._counting.settled_out.inc()
            self._teller.roll_back(doubt.batch, keep=lambda _: False)

    async def _write(self, fence: Fence) -> None:
        """Write under this lease until it is lost."""
        newest = await instant_of(self._store, self.partition, fence.head, self._shut)
        self._fence = fence
        self._desk.open(newest)
        self._lost.clear()
        self._counting.epoch.set(fence.epoch)
        self.shut_because = ""
        self.gate.turn(GateState.OPEN)
        logs.event("writes", partition=self.partition, epoch=fence.epoch, head=fence.head)
        beating = asyncio.create_task(self._beat())
        try:
            await self._lost.wait()
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        """Move the fence while nothing else does: whoever stands by sees that this writer lives.

        Where something else does, answer 91 to those whose deadline passed while they waited behind it: `_send`
        will not let them through.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.beat_every_ms / 1000)
            if self._flight is None and self.gate.state is GateState.OPEN:
                if self._is_passed_over:
                    self._lose(Batch(), [])
                    return
                self._flight = asyncio.create_task(self._fly(Batch()))
            for work in [*self._forming.works(), *self._backlog]:
                if loop.time() >= work.deadline:
                    self._teller.turn_away(work)

    def _shut(self, why: str) -> None:
        self.gate.turn(GateState.SHUT)
        self._explain(why)

    def _stand_by(self) -> None:
        self.gate.turn(GateState.STANDING_BY)
        self._explain(f"standing by: another engine writes partition {self.partition}")

    def _explain(self, why: str) -> None:
        """Say why requests are refused, once."""
        if why != self.shut_because:
            self.shut_because = why
            self._say(why)

    def _fall_silent(self) -> None:
        """No acknowledgement in time: whoever comes now is answered 91, and the session is cut to learn the outcome."""
        self._shut("the ledger doesn't acknowledge")
        self._abandoning = asyncio.create_task(self._store.abandon(self.partition))
