"""The lane for bulk work, one a partition: many commands that can wait, beside payments that can't.

Payments come first: a chunk takes only the room that they leave in a batch, and the lane rests in proportion to what it
took. How much it takes is its pace. Bookkeeping by the date may take hours and goes unnoticed: the core judges every
payment by the date, whether or not what is due was posted. For what is ordered somebody waits.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from datetime import date

from msgspec import Struct
from prometheus_client import Counter

from authz.decision.commands import (
    Administration,
    Carry,
    ExpireLots,
    ForfeitLots,
    LapseHolds,
    NoteSweep,
    NoteWalk,
    SealRange,
)
from authz.decision.outcomes import Reason
from authz.decision.refused import Refused
from authz.engine.desk import Desk
from authz.engine.gate import Gate
from authz.engine.identities import Keys, command_key
from authz.engine.kinds import beside_of, kind_of, passbook_of
from authz.engine.requests import Answer, NoAnswer
from authz.engine.traffic import Traffic
from authz.engine.work import Work
from ledger.store import LedgerError
from ledger.values import HolderId, Identity

AT_ONCE_MAX = 32
"""Commands of bulk work in one batch, where its pace says nothing else."""
BEGIN_AGAIN_EVERY_S = 60
"""How often it is looked for what has become due."""
DONE = frozenset({Reason.APPROVED, Reason.IDENTITY_REUSED})
"""Answers to a command of bulk work that is carried out, now or before."""
_ISSUING = "issuing"
_CHORES = {
    LapseHolds: "sweep",
    NoteSweep: "sweep",
    ExpireLots: "walk",
    ForfeitLots: "walk",
    NoteWalk: "walk",
    Carry: "ranges",
    SealRange: "ranges",
}
"""What bookkeeping by the date a command is part of. Whatever else is issuing's: orders, portfolios, their notes."""


class Pace(Struct, frozen=True, gc=False):
    """How much of a partition bulk work takes while there are payments: alone, it takes all there is.

    At most `at_once_max` commands are in a batch: the loop is the payments' again after so many decisions. When they
    are done, the lane rests `rests_per_work` times as long as they took. `alone_max` are in a batch where nobody pays:
    whoever comes then waits for one of them at most.
    """

    at_once_max: int
    rests_per_work: float
    alone_max: int = AT_ONCE_MAX

    def rest(self, work_s: float) -> float:
        """Tell how long to rest after so many seconds of work."""
        return work_s * self.rests_per_work


HIDDEN = Pace(at_once_max=8, rests_per_work=9)
"""Bookkeeping, which takes a tenth of the time."""
BRISK = Pace(at_once_max=32, rests_per_work=0.5)
"""Orders that are paid, which take two thirds of it."""
MASSIVE = Pace(at_once_max=32, rests_per_work=0.5, alone_max=250)
"""Portfolios that are taken over: millions of commands, as a rule before anybody pays."""


class Interrupted(LedgerError):
    """Bulk work could not go on: its partition isn't written here now. What was done is done, and is found done."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class Errand(Struct, frozen=True, gc=False):
    """A command to carry out once for its `key`. `day` is the key's own date, for its place in the index.

    `by` is whose access it came by. `verbatim`: it is refused where something else was carried out under its key.
    `fresh`: it was most likely never carried out, and would be refused if it had been: only then is its key looked for.
    """

    command: Administration
    key: str
    day: date
    by: str = ""
    verbatim: bool = False
    fresh: bool = False

    @property
    def keys(self) -> Keys:
        """Its key with the stamp of its day: many keys of one day lie together in the index."""
        stamp = (self.day.year % 100 * 10_000 + self.day.month * 100 + self.day.day) * 10**6
        identity = Identity(stamp, command_key(self.key).identity.digest)
        return Keys(identity, identity)


class SaidOtherwise(Refused):
    """It was carried out before, and with other content."""


class Refusal(Struct, frozen=True, gc=False):
    """An errand that makes no sense, or none any more, and why."""

    errand: Errand
    why: Refused


class Lane:
    """Takes bulk work of one partition to its writer, whose `answer`, `bring` and `desk` these are.

    `batch_records_max` is the writer's. `carried_out` counts commands by chore.
    """

    def __init__(
        self,
        answer: Callable[[Work], Awaitable[Answer | NoAnswer]],
        bring: Callable[[Iterable[HolderId]], Awaitable[None]],
        desk: Desk,
        traffic: Traffic,
        batch_records_max: int,
        carried_out: Counter,
    ) -> None:
        self._answer = answer
        self._bring = bring
        self._desk = desk
        self._traffic = traffic
        self._batch_records_max = batch_records_max
        self._one_at_a_time = asyncio.Lock()
        self._carried_out = {chore: carried_out.labels(chore) for chore in (*_CHORES.values(), _ISSUING)}
        self._begun: list[float] = []

    def age_s(self) -> float:
        """For how long the oldest work that was brought here has been waiting for its end, in seconds: 0 for none."""
        return time.monotonic() - self._begun[0] if self._begun else 0.0

    async def carry_out(self, errands: Sequence[Errand], pace: Pace = HIDDEN) -> Sequence[Refusal]:
        """Carry out commands in any order, and tell which of them were refused.

        What was done before under the same key counts as done, also where it was said in other words then and the
        errand isn't to be taken verbatim. Raises `Interrupted`.
        """
        left, refusals = list(errands), list[Refusal]()
        begun = time.monotonic()
        self._begun.append(begun)
        try:
            while left:
                room = await self._room(pace)
                async with self.turn(pace):
                    some, left = left[:room], left[room:]
                    refusals += await self._carry_out(some)
        finally:
            self._begun.remove(begun)
        return refusals

    @contextlib.asynccontextmanager
    async def turn(self, pace: Pace = HIDDEN) -> AsyncIterator[None]:
        """Do something of bulk work, alone; then rest, if there are payments. Reading counts as work too."""
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            started = loop.time()
            yield
            if self._traffic.flows:
                await asyncio.sleep(pace.rest(loop.time() - started))

    async def _room(self, pace: Pace) -> int:
        """Wait until payments leave room in a batch; tell for how many commands."""
        await self._traffic.is_below(self._batch_records_max)
        left = self._batch_records_max - self._traffic.in_hand
        return min(left, pace.at_once_max if self._traffic.flows else pace.alone_max)

    async def _carry_out(self, errands: Sequence[Errand]) -> Sequence[Refusal]:
        passbooks = [passbook_of(one.command) for one in errands]
        with self._desk.guests(passbooks):
            await self._bring(passbooks)
            done = await asyncio.gather(*map(self._carry_out_one, errands), return_exceptions=True)
        refusals = []
        for errand, failed in zip(errands, done, strict=True):
            if isinstance(failed, Refused):
                refusals.append(Refusal(errand, failed))
            elif failed is not None:
                raise failed
        return refusals

    async def _carry_out_one(self, errand: Errand) -> None:
        command = errand.command
        work = Work(
            command=command,
            kind=kind_of(command),
            holder=passbook_of(command),
            merchant=beside_of(command),
            keys=errand.keys,
            look_up=not errand.fresh,
            bulk=True,
            deadline=math.inf,
            by=errand.by,
        )
        try:
            answer = await self._answer(work)
        except Refused:
            if work.look_up:
                raise
            work.look_up = True
            answer = await self._answer(work)
        if not isinstance(answer, Answer) or answer.reply.reason not in DONE:
            raise Interrupted
        self._carried_out[_CHORES.get(type(command), _ISSUING)].inc()
        if errand.verbatim and answer.reply.reason is Reason.IDENTITY_REUSED:
            raise SaidOtherwise


async def keep_up(gate: Gate, job: Callable[[], Awaitable[None]], say: Callable[[str], None]) -> None:
    """Do a job of bulk work now and then, while a partition is written here, until cancelled."""
    while True:
        await gate.is_open()
        try:
            await job()
        except LedgerError:  # of which the writer speaks
            pass
        except Exception as error:  # a defect, told without content: payments go on
            say(f"bookkeeping by the date begins again after {type(error).__name__}")
        await asyncio.sleep(BEGIN_AGAIN_EVERY_S)
