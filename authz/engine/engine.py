"""The engine: finds out which card and partition a request is about, has its secrets verified, and its writer answer.

One process owns every partition of a ledger. A request is routed by its card; what has no card known here goes by
the hash of its acquirer and terminal.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from zlib import crc32

import msgspec

from authz.clock import Now
from authz.decision.commands import (
    Administration,
    AdoptProgramme,
    Payment,
    Purchase,
    RegisterEmployer,
    RegisterMerchant,
)
from authz.decision.evidence import Check, Evidence
from authz.decision.outcomes import Reason, Reply
from authz.decision.reference import employer_passbook, merchant_passbook, programme_passbook
from authz.engine.cards import Cards, KnownCard
from authz.engine.desk import Desk
from authz.engine.gate import GateState
from authz.engine.identities import Recent, command_key, keys_of
from authz.engine.limits import Limits
from authz.engine.passbooks import Passbooks
from authz.engine.requests import Answer, NoAnswer, Request
from authz.engine.work import Work
from authz.engine.writer import Writer
from authz.metrics import Metrics
from authz.security.module import PinFinding, SecurityModule
from ledger.store import LedgerError, Store
from ledger.values import EURO, HolderId, Partition

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
    ) -> None:
        self._store = store
        self._cards = cards
        self._security = security
        self._metrics = metrics
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
            return self._refuse(request, Reason.OVERLOADED)
        with self._in_hand():
            token = self._security.token(request.secrets.pan)
            try:
                known = await self._cards.find(token, request.deadline)
            except (LedgerError, TimeoutError):
                return self._refuse(request, Reason.UNAVAILABLE)
            work = self._work(request, token, known, await self._verify(request, known))
            origin = request.command.origin
            partition = known.partition if known else self._by_hash(origin.acquirer + origin.terminal.rstrip())
            return await self._writers[partition].answer(work)

    async def administer(self, command: Administration, key: str) -> Reply:
        """Carry out an issuer's command, once for each `key`: the same key again changes nothing.

        Raises `authz.decision.refused.Refused` where it makes no sense; the reply is UNAVAILABLE where no ledger is.
        """
        if self._requests >= self._requests_max:
            return Reply(Reason.OVERLOADED)
        holder = passbook_of(command)
        targets = self._writers if ":" in holder else [self._writers[self.partition_of(holder)]]
        with self._in_hand():
            for writer in targets:
                # Looked up first: done once, it may make no sense to do it again.
                work = Work(
                    command=command,
                    kind=kind_of(command),
                    holder=holder,
                    keys=command_key(key),
                    look_up=True,
                    deadline=math.inf,
                )
                answer = await writer.answer(work)
                if not isinstance(answer, Answer) or not answer.reply.reason.approves:
                    return answer.reply if isinstance(answer, Answer) else Reply(Reason.UNAVAILABLE)
        return Reply(Reason.APPROVED)

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

    def _refuse(self, request: Request, reason: Reason) -> Answer:
        self._metrics.refused.labels(reason).inc()
        return Answer(request.command, Reply(reason))

    def _work(self, request: Request, token: bytes, known: KnownCard | None, evidence: Evidence) -> Work:
        """Put a payment and what was found out about it together, for its writer."""
        keys = keys_of(request.command.origin, token)
        card = known.card if known else None
        command = msgspec.structs.replace(request.command, card=card, reference=keys.reference.digest.hex())
        return Work(
            command=command,
            kind=kind_of(command),
            holder=known.holder if known else None,
            card=card,
            merchant=merchant_passbook(command.origin.merchant_id),
            evidence=evidence,
            keys=keys,
            link=request.link,
            look_up=request.repeat,
            deadline=request.deadline,
        )

    async def _verify(self, request: Request, known: KnownCard | None) -> Evidence:
        """Have the security module look at every secret that the request bears."""
        secrets, origin = request.secrets, request.command.origin
        ours = origin.acquirer == request.link
        if known is None:
            return Evidence(ours=ours)
        pin = cvv2 = arqc = Check.ABSENT
        counter = response = None
        if secrets.pin_block is not None:
            finding = await self._security.verify_pin(request.link, secrets.pin_block, secrets.pan, known.pvv)
            pin = Check(finding.value)
            if finding is PinFinding.GARBLED:
                self._metrics.pins_garbled.inc()
        if secrets.cvv2 is not None:
            right = await self._security.verify_cvv2(secrets.pan, known.expiry, secrets.cvv2)
            cvv2 = Check.RIGHT if right else Check.WRONG
        if secrets.chip is not None:
            chip = await self._security.verify_cryptogram(
                secrets.pan, secrets.card_sequence, secrets.chip, origin.amount or "0", origin.currency or str(EURO)
            )
            arqc = Check.RIGHT if chip.right else Check.WRONG
            counter, response = chip.counter, chip.response
        return Evidence(pin, cvv2, arqc, counter, response, ours)

    async def _make_room(self) -> None:
        """Keep empty ranges ahead of the journal's head."""
        while True:
            with contextlib.suppress(LedgerError):  # of which the writers speak
                self._metrics.empty_ranges.set(await self._store.add_range())
            await asyncio.sleep(ROOM_EVERY_S)


def passbook_of(command: Administration) -> HolderId:
    """Whose passbook an issuer's command is written in."""
    match command:
        case AdoptProgramme(programme):
            return programme_passbook(programme.id)
        case RegisterMerchant(merchant):
            return merchant_passbook(merchant.id)
        case RegisterEmployer(employer):
            return employer_passbook(employer.id)
        case _:
            return command.holder


def kind_of(command: Payment | Administration) -> str:
    """The word for a command in the journal; a purchase that only holds is an authorization."""
    if isinstance(command, Purchase) and command.holds:
        return "authorization"
    return str(command.__struct_config__.tag)
