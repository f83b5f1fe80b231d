"""The walk that ages vouchers: each day it comes by every holder, and posts what the date has made of their lots.

It also notes of a lot that soon ends that its holder is to be told: once, on the day on which it has so few days left.

It is bookkeeping behind a function of the date (docs/vintages.md): the core never spends what has expired. So it may
begin late, take hours, stop in the middle and be done twice. How far it has come is a record too; so is the day for
which the walk before it was through, since what falls to the pool falls on a day: each has its walk, be it a later one.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta

from authz.decision import vintages
from authz.decision.calendar import local_day
from authz.decision.commands import ExpireLots, ForfeitLots, NoteWalk
from authz.decision.issuing.commands import Remind
from authz.decision.position import Position
from authz.decision.reference import VINTAGES_PASSBOOK, Walked
from authz.engine.bulk import Errand, Lane
from authz.engine.passbooks import decode_state
from authz.programmes.rulebook import Rulebook
from ledger.store import Line, Store
from ledger.values import HolderId, Lot, Partition

PASSBOOKS_A_LOOK = 64
"""Passbooks that are read together: what the event loop is kept from payments for."""
WORKED_FOR_A_NOTE = 1_024
"""Holders for whom there was something to do, after which the walk notes how far it has come."""
PASSED_A_NOTE = 16_384
"""Holders that it came by, after which it does."""

REMINDED_BEFORE = timedelta(days=30)
"""How long before a lot's last day its holder is told."""


class Walk:
    """Walks through one partition, by the days and products of the programmes in `rulebook`."""

    def __init__(
        self,
        store: Store,
        partition: Partition,
        lane: Lane,
        now: Callable[[], datetime],
        rulebook: Rulebook,
    ) -> None:
        self._store = store
        self._partition = partition
        self._lane = lane
        self._now = now
        self._rulebook = rulebook
        self._through: date | None = None
        self._alone = asyncio.Lock()

    async def walk(self) -> None:
        """Do what is due by the day that has begun, unless that is done. Raises what the store and the lane raise."""
        async with self._alone:
            day = min(local_day(self._now(), one.zone) for one in self._rulebook.all())
            if self._through is not None and self._through >= day:
                return
            walked = _going_on(await self._noted(), day)
            if walked.after is None or await self._walk(walked.day, walked.since, walked.after):
                self._through = walked.day

    async def _noted(self) -> Walked | None:
        lines = await self._store.history(self._partition, VINTAGES_PASSBOOK, 1)
        state = decode_state(VINTAGES_PASSBOOK, lines[0].position) if lines else None
        return state if isinstance(state, Walked) else None

    async def _walk(self, day: date, since: date, after: str) -> bool:
        """Go from behind a holder to the end. False: there is nobody, and nothing is noted of that."""
        passed = worked_for = 0
        while True:
            async with self._lane.turn():
                page = await self._store.passbooks(self._partition, after, PASSBOOKS_A_LOOK)
                positions = [(holder, _position(holder, line)) for holder, line in page]
                due = [(holder, kinds) for holder, one in positions if (kinds := self._due(one, since, day))]
                ending = [_reminder(holder, lot) for holder, one in positions for lot in _ending(one, since, day)]
            await self._lane.carry_out([_expiry(holder, day) for holder, kinds in due if ExpireLots in kinds])
            await self._lane.carry_out([_forfeit(holder, since, day) for holder, kinds in due if ForfeitLots in kinds])
            await self._lane.carry_out(ending)
            if not page and not after:
                return False
            if len(page) < PASSBOOKS_A_LOOK:
                await self._note(Walked(day, None, since))
                return True
            after, passed, worked_for = page[-1][0], passed + len(page), worked_for + len(due) + len(ending)
            if passed >= PASSED_A_NOTE or worked_for >= WORKED_FOR_A_NOTE:
                await self._note(Walked(day, after, since))
                passed = worked_for = 0

    def _due(self, position: Position, since: date, day: date) -> tuple[type[ExpireLots] | type[ForfeitLots], ...]:
        products = tuple(product for one in self._rulebook.all() for product in one.products)
        return vintages.due(position, since, day, products)

    async def _note(self, walked: Walked) -> None:
        await self._lane.carry_out([Errand(NoteWalk(walked), f"walk {walked.day} {walked.after}", walked.day)])


def _going_on(noted: Walked | None, day: date) -> Walked:
    """Go on behind the newest note, if it is of this day; else begin again, for all days since a walk was through.

    Nothing that had its day to fall on goes without a walk, but for what had it before the ledger's first.
    """
    if noted is None:
        return Walked(day, "", since=day)
    if noted.day >= day:
        return noted
    return Walked(day, "", noted.day if noted.after is None else noted.since)


def _position(holder: HolderId, line: Line) -> Position:
    position = decode_state(holder, line.position)
    assert isinstance(position, Position), "references are passed over"
    return position


def _ending(position: Position, since: date, day: date) -> Sequence[Lot]:
    """Find what there is to be told of since the day for which a walk was through, and isn't over."""
    return [lot for lot in position.purse.lots if since < lot.valid_until - REMINDED_BEFORE <= day <= lot.valid_until]


def _reminder(holder: HolderId, lot: Lot) -> Errand:
    key = f"reminder {holder} {lot.product} {lot.name} {lot.valid_until}"
    return Errand(Remind(holder, lot.product, lot.name), key, lot.valid_until)


def _expiry(holder: HolderId, day: date) -> Errand:
    return Errand(ExpireLots(holder), f"expiry {day} {holder}", day)


def _forfeit(holder: HolderId, since: date, day: date) -> Errand:
    return Errand(ForfeitLots(holder, since), f"forfeit {day} {holder}", day)
