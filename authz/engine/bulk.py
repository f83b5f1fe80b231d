"""The lane for bookkeeping by the date, one a partition: commands that may take hours, beside payments that may not.

Nothing here is urgent: the core judges every payment by the date, whether or not what is due was posted. So payments
come first: a chunk takes only the room that they leave in a batch, and the lane rests in proportion to what it took.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date

from msgspec import Struct

from authz.decision.commands import Administration
from authz.decision.refused import Refused
from authz.engine.desk import Desk
from authz.engine.gate import Gate
from authz.engine.identities import Keys, command_key
from authz.engine.kinds import beside_of, kind_of, passbook_of
from authz.engine.requests import Answer, NoAnswer
from authz.engine.traffic import Traffic
from authz.engine.work import Work
from ledger.store import LedgerError
from ledger.values import Identity

AT_ONCE_MAX = 32
"""Commands of bulk work in one batch."""
BESIDE_PAYMENTS_MAX = 8
"""The same while there are payments: the loop is theirs again after so many decisions."""
RESTS_PER_WORK = 9
"""How many times as long as a chunk took the lane then rests, while there are payments: it has a tenth of the time."""
BEGIN_AGAIN_EVERY_S = 60
"""How often it is looked for what has become due."""


class Interrupted(LedgerError):
    """Bulk work could not go on: its partition isn't written here now. What was done is done, and is found done."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class Errand(Struct, frozen=True, gc=False):
    """A command to carry out once for its `key`. `day` is the key's own date, for its place in the index."""

    command: Administration
    key: str
    day: date


class Lane:
    """Takes bulk work of one partition to its writer, whose `answer` and `desk` these are.

    `batch_records_max` is the writer's.
    """

    def __init__(
        self,
        answer: Callable[[Work], Awaitable[Answer | NoAnswer]],
        desk: Desk,
        traffic: Traffic,
        batch_records_max: int,
    ) -> None:
        self._answer = answer
        self._desk = desk
        self._traffic = traffic
        self._batch_records_max = batch_records_max
        self._one_at_a_time = asyncio.Lock()

    async def carry_out(self, errands: Sequence[Errand]) -> None:
        """Carry out commands in any order. One that makes no sense by now, or was done before, counts as done.

        Raises `Interrupted`.
        """
        left = list(errands)
        while left:
            room = await self._room()
            async with self.turn():
                some, left = left[:room], left[room:]
                await self._carry_out(some)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Do something of bulk work, alone; then rest, if there are payments. Reading counts as work too."""
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            started = loop.time()
            yield
            if self._traffic.flows:
                await asyncio.sleep((loop.time() - started) * RESTS_PER_WORK)

    async def _room(self) -> int:
        """Wait until payments leave room in a batch; tell for how many commands."""
        await self._traffic.is_below(self._batch_records_max)
        left = self._batch_records_max - self._traffic.in_hand
        return min(left, BESIDE_PAYMENTS_MAX if self._traffic.flows else AT_ONCE_MAX)

    async def _carry_out(self, errands: Sequence[Errand]) -> None:
        with self._desk.guests(passbook_of(one.command) for one in errands):
            done = await asyncio.gather(*map(self._carry_out_one, errands), return_exceptions=True)
        for failed in done:
            if failed is not None:
                raise failed

    async def _carry_out_one(self, errand: Errand) -> None:
        command = errand.command
        work = Work(
            command=command,
            kind=kind_of(command),
            holder=passbook_of(command),
            merchant=beside_of(command),
            keys=_dated(command_key(errand.key), errand.day),
            look_up=True,
            bulk=True,
            deadline=math.inf,
        )
        try:
            answer = await self._answer(work)
        except Refused:
            return
        if not isinstance(answer, Answer) or not answer.reply.reason.approves:
            raise Interrupted


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


def _dated(keys: Keys, day: date) -> Keys:
    """The same key with the stamp of a day: many keys of one day lie together in the index."""
    identity = Identity(int(f"{day:%y%m%d}000000"), keys.identity.digest)
    return Keys(identity, identity)
