"""The engine: finds out which card and partition a request is about, has its secrets verified, and its writer answer.

One process owns every partition of a ledger. A request is routed by its card; what has no card known here goes by
the hash of its acquirer and terminal.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from zlib import crc32

import msgspec

from authz import logs
from authz.clock import Now
from authz.decision.commands import UNDOING, Administration, Command, Completion, CutOver
from authz.decision.evidence import Evidence
from authz.decision.outcomes import Reason, Reply
from authz.decision.refused import Refused
from authz.engine.bulk import Lane, keep_up
from authz.engine.business_days import BusinessDays
from authz.engine.cards import Cards, KnownCard, TakeIn
from authz.engine.chores import Chores
from authz.engine.desk import Desk
from authz.engine.gate import GateState
from authz.engine.identities import command_key, keys_of, keys_of_totals, originals_of, text_of
from authz.engine.key_changes import KeyChanges
from authz.engine.kinds import beside_of, kind_of, passbook_of
from authz.engine.limits import Limits
from authz.engine.passbooks import Passbooks, RecordUnreadable
from authz.engine.ranges import make_room
from authz.engine.recent import Recent
from authz.engine.requests import Answer, KeyChange, NoAnswer, Request, TotalsRequest
from authz.engine.traffic import Traffic
from authz.engine.verification import Verification
from authz.engine.work import Work
from authz.engine.writer import Writer
from authz.engine.zone_keys import MemoryZoneKeys, ZoneKeyStore
from authz.metrics import Metrics
from authz.programmes.rulebook import Rulebook
from authz.security.module import SecurityModule, SecurityUnavailable
from ledger.store import Fence, LedgerError, Line, Store
from ledger.values import HolderId, Partition

NAMING = (*UNDOING, Completion)
"""What may name another request. A completion's hold is in the holder's purse."""
UNRECORDED = (
    Reason.FORMAT,
    Reason.MAC_WRONG,
    Reason.ACQUIRER_UNKNOWN,
    Reason.NOT_SIGNED_ON,
    Reason.TRANSACTION,
    Reason.OVERLOADED,
    Reason.UNAVAILABLE,
    Reason.INTERNAL,
)
"""Reasons for which a request is refused without a record."""
DRAIN_MAX_S = 2


class Engine:
    """Every partition's writer, and the way to them."""

    def __init__(
        self,
        store: Store,
        cards: Cards,
        security: SecurityModule,
        now: Now,
        metrics: Metrics,
        partitions: Sequence[Partition],
        say: Callable[[str], None],
        limits: Limits = Limits(),  # noqa: B008, frozen
        zone_keys: ZoneKeyStore | None = None,
        rulebook: Rulebook | None = None,
    ) -> None:
        self._store = store
        self._cards = cards
        self._security = security
        self._verification = Verification(security, metrics)
        self._metrics = metrics
        self._now = now
        self._say = say
        self._business_days = BusinessDays(store, partitions)
        self._traffic = Traffic(limits)
        books_max, remembered_max = limits.passbooks_max // len(partitions), limits.remembered_max // len(partitions)
        self._desks = [Desk(now, Passbooks(books_max), Recent(remembered_max)) for _ in partitions]
        self._writers: list[Writer] = []
        for partition, desk in zip(partitions, self._desks, strict=True):
            behind = self._writers[-1].gate if self._writers else None
            self._writers.append(Writer(partition, store, desk, metrics, say, limits, self._begin_term, behind))
        cards.on_read = self._beside_cards
        self._key_changes = KeyChanges(
            store, partitions[0], security, zone_keys or MemoryZoneKeys(), metrics, self.administer
        )
        self.rulebook = rulebook or Rulebook()
        self._lanes = [
            Lane(writer.answer, writer.bring, desk, self._traffic, limits.batch_records_max, metrics.bulk_records)
            for writer, desk in zip(self._writers, self._desks, strict=True)
        ]
        self._chores = [
            Chores(store, writer.partition, lane, desk.present, self.rulebook)
            for writer, lane, desk in zip(self._writers, self._lanes, self._desks, strict=True)
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._expose(metrics)

    def _expose(self, metrics: Metrics) -> None:
        """Have what can be read at any time be read when it is asked for."""
        metrics.clock_lag.set_function(lambda: max(desk.lag() for desk in self._desks))
        metrics.works.set_function(lambda: self._traffic.in_hand)
        metrics.ready.set_function(lambda: not self.unready())
        metrics.standing_by.set_function(
            lambda: any(writer.gate.state is GateState.STANDING_BY for writer in self._writers)
        )
        for writer, lane in zip(self._writers, self._lanes, strict=True):
            metrics.bulk_age.labels(writer.partition).set_function(lane.age_s)
        metrics.caches.watch("cards", self._cards.looked_up)
        for reason in UNRECORDED:
            metrics.refused.labels(reason)

    def start(self) -> None:
        """Begin to stand by for every partition."""
        self._tasks = [asyncio.create_task(writer.run()) for writer in self._writers]
        self._tasks.append(asyncio.create_task(make_room(self._store, self._metrics)))

    def keep_up(self) -> None:
        """Begin to do what is due by the date, beside payments, whenever this engine writes."""
        self._tasks += [
            asyncio.create_task(keep_up(writer.gate, chore, self._say))
            for writer, chores in zip(self._writers, self._chores, strict=True)
            for chore in chores.all()
        ]

    async def is_ready(self) -> None:
        """Wait until every partition's lease is held."""
        for writer in self._writers:
            await writer.gate.is_open()

    async def takes_office(self) -> bool:
        """Wait until every partition's lease is held, or another engine is seen to write one: False."""
        for writer in self._writers:
            if not await writer.gate.opens():
                return False
        return True

    def turns_away(self, link: str) -> Reason | None:
        """Say why no request of a link's would be taken now, whatever it were; None: it would."""
        if not any(writer.gate.lets_in for writer in self._writers):
            return Reason.UNAVAILABLE
        return Reason.OVERLOADED if self._traffic.of(link).is_full else None

    @property
    def instant(self) -> datetime:
        """The engine's time at its newest decision, or, before that, at taking the lease: never behind a record."""
        return max(desk.instant for desk in self._desks)

    def unready(self) -> list[str]:
        """Say why requests would not be taken now; empty: they would."""
        return [
            f"partition {writer.partition}: {writer.shut_because or 'settling'}"
            for writer in self._writers
            if writer.gate.state is not GateState.OPEN
        ]

    async def stop(self) -> None:
        """Answer what is in flight, within `DRAIN_MAX_S`, and give up every lease. Links have drained by then."""
        with contextlib.suppress(TimeoutError):  # what is left then is settled by whoever writes next
            async with asyncio.timeout(DRAIN_MAX_S):
                await self._traffic.is_below(1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.close()

    async def pay(self, request: Request) -> Answer | NoAnswer:
        """Decide a payment, or answer it again. What can't be taken is answered 91, and nothing was written."""
        share = self._traffic.of(request.link)
        if share.is_full:
            return self._refuse(request.command, Reason.OVERLOADED)
        asked_at = time.monotonic()
        with share:
            token = self._security.token(request.secrets.pan)
            try:
                known = await self._cards.find(token, request.deadline)
                evidence = await self._verification.verify(request, known)
            except (LedgerError, SecurityUnavailable, TimeoutError):
                return self._refuse(request.command, Reason.UNAVAILABLE)
            work = self._work(request, token, known, evidence, asked_at)
            origin = request.command.origin
            partition = known.partition if known else self._by_hash(origin.acquirer + origin.terminal.rstrip())
            return await self._writers[partition].answer(work)

    async def total(self, request: TotalsRequest) -> Answer | NoAnswer:
        """Hold an acquirer's totals of a business day against the ledger's."""
        share = self._traffic.of(request.link)
        if share.is_full:
            return self._refuse(request.command, Reason.OVERLOADED)
        asked_at = time.monotonic()
        with share:
            command = request.command
            try:
                async with asyncio.timeout_at(request.deadline):
                    windows = await self._business_days.windows(command.acquirer, command.day)
                    recorded = await self._business_days.sums(command.acquirer, windows)
            except (LedgerError, TimeoutError):
                return self._refuse(command, Reason.UNAVAILABLE)
            work = Work(
                command=msgspec.structs.replace(command, recorded=recorded, windows=windows),
                kind=kind_of(command),
                holder=None,
                keys=keys_of_totals(command),
                link=request.link,
                look_up=True,
                deadline=request.deadline,
                asked_at=asked_at,
            )
            return await self._writers[self._by_hash(command.acquirer)].answer(work)

    async def cut_over(self, acquirer: str, begins: date | None, key: str) -> Reply:
        """Close an acquirer's business day at one point of the journal, once for each `key`.

        Where the ledger has several partitions, the first says which day begins in all of them.
        """
        first, *others = self._writers
        try:
            reply = await self._carry_out(first, CutOver(acquirer, begins), key)
            opened = await self._business_days.open(first.partition, acquirer) if others else None
            for writer in others:
                if reply.reason.approves:
                    reply = await self._carry_out(writer, CutOver(acquirer, opened), key)
        except Refused:
            return self._refuse(CutOver(acquirer, begins), Reason.TRANSACTION).reply
        except LedgerError:
            return Reply(Reason.UNAVAILABLE)
        return reply

    async def change_key(self, acquirer: str, block: str, key: str) -> KeyChange:
        """Give a link the key that a TR-31 block wraps: recorded, kept, then in use.

        A block that comes again is answered again; it doesn't bring back a key that was changed since.
        """
        return await self._key_changes.change(acquirer, block, key)

    async def restore_keys(self) -> None:
        """Bring the keys that links were given by key changes back into use. Raises what store and module raise."""
        await self._key_changes.restore()

    async def _begin_term(self) -> None:
        """Read again what another engine may have changed while it wrote."""
        await self.restore_keys()
        self._cards.forget()

    def _beside_cards(self) -> TakeIn:
        """Begin to read passbooks beside cards."""
        departures = [desk.departures for desk in self._desks]

        def take_in(partition: Partition, holder: HolderId, line: Line) -> None:
            with contextlib.suppress(RecordUnreadable):  # told where it is missed
                self._desks[partition].keep(holder, line, departures[partition])

        return take_in

    async def age_lots(self) -> None:
        """Post what the date has made of every holder's lots: all that is due is done when this returns.

        Raises a `ledger.store.LedgerError` where that can't be; what was done then is not done again.
        """
        for chores in self._chores:
            await chores.walk.walk()

    def acknowledged(self) -> Mapping[Partition, Fence]:
        """How far each partition that is written here has come, by acknowledged appends alone."""
        return {writer.partition: writer.fence for writer in self._writers if writer.gate.state is GateState.OPEN}

    async def administer(self, command: Administration, key: str, by: str = "") -> Reply:
        """Carry out an issuer's command, once for each `key`: the same key again changes nothing.

        `by` is whose access it came by, for the record. What is about no holder is written in every partition.
        Raises `authz.decision.refused.Refused` where it makes no sense; the reply is UNAVAILABLE where no ledger is.
        """
        holder = passbook_of(command)
        targets = self._writers if ":" in holder else [self._writers[self.partition_of(holder)]]
        for writer in targets:
            reply = await self._carry_out(writer, command, key, by)
            if not reply.reason.approves:
                return reply
        return Reply(Reason.APPROVED)

    async def administer_in(self, partition: Partition, command: Administration, key: str, by: str = "") -> Reply:
        """Carry out a command in one partition alone, else as `administer` does."""
        return await self._carry_out(self._writers[partition], command, key, by)

    def lane(self, partition: Partition) -> Lane:
        """Give the lane for bulk work of a partition."""
        return self._lanes[partition]

    def keep_doing(self, job: Callable[[], Awaitable[None]], partition: Partition) -> None:
        """Begin to do a job of bulk work now and then, whenever this engine writes that partition."""
        self._tasks.append(asyncio.create_task(keep_up(self._writers[partition].gate, job, self._say)))

    async def _carry_out(self, writer: Writer, command: Administration, key: str, by: str = "") -> Reply:
        share = self._traffic.of("")
        if share.is_full:
            return Reply(Reason.OVERLOADED)
        with share:
            # Looked up first: done once, it may make no sense to do it again.
            work = Work(
                command=command,
                kind=kind_of(command),
                holder=passbook_of(command),
                merchant=beside_of(command),
                keys=command_key(key),
                look_up=True,
                deadline=math.inf,
                by=by,
            )
            answer = await writer.answer(work)
            return answer.reply if isinstance(answer, Answer) else Reply(Reason.UNAVAILABLE)

    def partition_of(self, holder: HolderId) -> Partition:
        """The partition that a new holder belongs to. A card's vault entry keeps it from then on."""
        return Partition(self._by_hash(holder))

    def _by_hash(self, key: str) -> int:
        return crc32(key.encode()) % len(self._writers)

    def _refuse(self, command: Command, reason: Reason) -> Answer:
        self._metrics.refused.labels(reason).inc()
        logs.refused(reason)
        return Answer(command, Reply(reason))

    def _work(
        self, request: Request, token: bytes, known: KnownCard | None, evidence: Evidence, asked_at: float
    ) -> Work:
        """Put a payment and what was found out about it together, for its writer."""
        keys = keys_of(request.command.origin, token, repeat=request.repeat)
        card = known.card if known else None
        command = msgspec.structs.replace(request.command, card=card, reference=text_of(keys.reference))
        if request.named is not None and isinstance(command, NAMING):
            command = msgspec.structs.replace(command, originals=originals_of(command.origin, request.named, token))
        return Work(
            command=command,
            kind=kind_of(command),
            holder=known.holder if known else None,
            card=card,
            merchant=beside_of(command),
            evidence=evidence,
            keys=keys,
            link=request.link,
            look_up=request.repeat or isinstance(command, UNDOING),
            deadline=request.deadline,
            asked_at=asked_at,
        )
