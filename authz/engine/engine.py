"""The engine: finds out which card and partition a request is about, has its secrets verified, and its writer answer.

One process owns every partition of a ledger. A request is routed by its card; what has no card known here goes by
the hash of its acquirer and terminal.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import partial
from zlib import crc32

import msgspec

from authz.clock import Now
from authz.decision.commands import UNDOING, Administration, ChangeKey, Command, Completion, CutOver
from authz.decision.evidence import Evidence
from authz.decision.outcomes import Reason, Reply
from authz.decision.programme import HOLD_DAYS
from authz.decision.reference import LinkKeys, link_passbook, merchant_passbook
from authz.decision.refused import Refused
from authz.engine.business_days import BusinessDays
from authz.engine.cards import Cards, KnownCard
from authz.engine.desk import Desk
from authz.engine.gate import GateState
from authz.engine.identities import command_key, keys_of, keys_of_totals, originals_of, text_of
from authz.engine.kinds import kind_of, passbook_of
from authz.engine.limits import Limits
from authz.engine.passbooks import Passbooks, decode_state
from authz.engine.recent import Recent
from authz.engine.requests import Answer, KeyChange, NoAnswer, Request, TotalsRequest
from authz.engine.sweep import Sweep
from authz.engine.verification import Verification
from authz.engine.work import Work
from authz.engine.writer import Writer
from authz.engine.zone_keys import MemoryZoneKeys, ZoneKeyStore
from authz.metrics import Metrics
from authz.security.module import ImportedKey, KeyMissing, SecurityError, SecurityModule, SecurityUnavailable
from ledger.store import LedgerError, Store
from ledger.values import HolderId, Partition

NAMING = (*UNDOING, Completion)
"""What may name another request. A completion's hold is in the holder's purse."""
ROOM_EVERY_S = 30
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
        hold_days: int = HOLD_DAYS,
    ) -> None:
        self._store = store
        self._cards = cards
        self._security = security
        self._verification = Verification(security, metrics)
        self._metrics = metrics
        self._now = now
        self._hold_days = hold_days
        self._zone_keys = zone_keys or MemoryZoneKeys()
        self._key_changes = asyncio.Lock()
        self._business_days = BusinessDays(store, partitions)
        self._requests_max = limits.requests_max
        self._requests = 0
        self._idle = asyncio.Event()
        self._idle.set()
        books_max, remembered_max = limits.passbooks_max // len(partitions), limits.remembered_max // len(partitions)
        self._desks = [Desk(now, Passbooks(books_max), Recent(remembered_max)) for _ in partitions]
        metrics.clock_lag.set_function(lambda: max(desk.lag() for desk in self._desks))
        self._writers = [
            Writer(partition, store, desk, metrics, say, limits)
            for partition, desk in zip(partitions, self._desks, strict=True)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to stand by for every partition."""
        self._tasks = [asyncio.create_task(writer.run()) for writer in self._writers]
        self._tasks.append(asyncio.create_task(self._make_room()))
        self._tasks += [asyncio.create_task(self._sweep(writer)) for writer in self._writers]

    async def is_ready(self) -> None:
        """Wait until every partition's lease is held."""
        for writer in self._writers:
            await writer.gate.is_open()

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
                await self._idle.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._store.close()

    async def pay(self, request: Request) -> Answer | NoAnswer:
        """Decide a payment, or answer it again. What can't be taken is answered 91, and nothing was written."""
        if self._requests >= self._requests_max:
            return self._refuse(request.command, Reason.OVERLOADED)
        with self._in_hand():
            token = self._security.token(request.secrets.pan)
            try:
                known = await self._cards.find(token, request.deadline)
                evidence = await self._verification.verify(request, known)
            except (LedgerError, SecurityUnavailable, TimeoutError):
                return self._refuse(request.command, Reason.UNAVAILABLE)
            work = self._work(request, token, known, evidence)
            origin = request.command.origin
            partition = known.partition if known else self._by_hash(origin.acquirer + origin.terminal.rstrip())
            return await self._writers[partition].answer(work)

    async def total(self, request: TotalsRequest) -> Answer | NoAnswer:
        """Hold an acquirer's totals of a business day against the ledger's."""
        if self._requests >= self._requests_max:
            return self._refuse(request.command, Reason.OVERLOADED)
        with self._in_hand():
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
        try:
            imported = await self._security.import_key(acquirer, block)
        except SecurityError:
            return KeyChange(self._refuse(ChangeKey(acquirer, "", ""), Reason.FORMAT).reply)
        async with self._key_changes:  # the newest on record is the newest in use
            return await self._change_key(acquirer, imported, key)

    async def _change_key(self, acquirer: str, imported: ImportedKey, key: str) -> KeyChange:
        reply = await self.administer(ChangeKey(acquirer, imported.usage, imported.check_value), key)
        if not reply.reason.approves:
            return KeyChange(reply)
        try:
            [line, *_] = await self._store.history(self._writers[0].partition, link_passbook(acquirer), 1)
            newest = decode_state(link_passbook(acquirer), line.position)
            if isinstance(newest, LinkKeys) and newest.check_values[imported.usage] == imported.check_value:
                await self._zone_keys.put(acquirer, imported)
                await self._security.use_key(acquirer, imported)
        except LedgerError:
            return KeyChange(Reply(Reason.UNAVAILABLE))
        return KeyChange(reply, imported.check_value)

    async def restore_keys(self) -> None:
        """Bring the keys that links were given by key changes back into use. Raises what store and module raise."""
        for acquirer, key in await self._zone_keys.all():
            with contextlib.suppress(KeyMissing):  # a link that isn't configured any more
                await self._security.restore_key(acquirer, key)

    async def administer(self, command: Administration, key: str) -> Reply:
        """Carry out an issuer's command, once for each `key`: the same key again changes nothing.

        Raises `authz.decision.refused.Refused` where it makes no sense; the reply is UNAVAILABLE where no ledger is.
        """
        holder = passbook_of(command)
        targets = self._writers if ":" in holder else [self._writers[self.partition_of(holder)]]
        for writer in targets:
            reply = await self._carry_out(writer, command, key)
            if not reply.reason.approves:
                return reply
        return Reply(Reason.APPROVED)

    async def _carry_out(self, writer: Writer, command: Administration, key: str) -> Reply:
        if self._requests >= self._requests_max:
            return Reply(Reason.OVERLOADED)
        with self._in_hand():
            # Looked up first: done once, it may make no sense to do it again.
            work = Work(
                command=command,
                kind=kind_of(command),
                holder=passbook_of(command),
                keys=command_key(key),
                look_up=True,
                deadline=math.inf,
            )
            answer = await writer.answer(work)
            return answer.reply if isinstance(answer, Answer) else Reply(Reason.UNAVAILABLE)

    def partition_of(self, holder: HolderId) -> Partition:
        """The partition that a new holder belongs to. A card's vault entry keeps it from then on."""
        return Partition(self._by_hash(holder))

    def _by_hash(self, key: str) -> int:
        return crc32(key.encode()) % len(self._writers)

    @contextlib.contextmanager
    def _in_hand(self) -> Iterator[None]:
        """Count a request until it is answered."""
        self._requests += 1
        self._idle.clear()
        self._metrics.works.inc()
        try:
            yield
        finally:
            self._requests -= 1
            self._metrics.works.dec()
            if not self._requests:
                self._idle.set()

    def _refuse(self, command: Command, reason: Reason) -> Answer:
        self._metrics.refused.labels(reason).inc()
        return Answer(command, Reply(reason))

    def _work(self, request: Request, token: bytes, known: KnownCard | None, evidence: Evidence) -> Work:
        """Put a payment and what was found out about it together, for its writer."""
        keys = keys_of(request.command.origin, token)
        card = known.card if known else None
        command = msgspec.structs.replace(request.command, card=card, reference=text_of(keys.reference))
        if request.named is not None and isinstance(command, NAMING):
            command = msgspec.structs.replace(command, originals=originals_of(command.origin, request.named, token))
        return Work(
            command=command,
            kind=kind_of(command),
            holder=known.holder if known else None,
            card=card,
            merchant=merchant_passbook(command.origin.merchant_id),
            evidence=evidence,
            keys=keys,
            link=request.link,
            look_up=request.repeat or isinstance(command, UNDOING),
            deadline=request.deadline,
        )

    async def _sweep(self, writer: Writer) -> None:
        """Release the holds of a partition that are past their days, as long as this engine writes it."""
        await writer.gate.is_open()
        await self.sweep_of(writer).run()

    def sweep_of(self, writer: Writer) -> Sweep:
        """The sweep of a writer's partition."""
        carry_out = partial(self._carry_out, writer)
        return Sweep(self._store, writer.partition, self._now, self._hold_days, carry_out)

    async def _make_room(self) -> None:
        """Keep empty ranges ahead of the journal's head."""
        while True:
            with contextlib.suppress(LedgerError):  # of which the writers speak
                self._metrics.empty_ranges.set(await self._store.add_range())
            await asyncio.sleep(ROOM_EVERY_S)
