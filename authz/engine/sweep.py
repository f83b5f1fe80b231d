"""Releases the holds that are past their days: bookkeeping behind a function of the date, which counts them out.

The sweep follows the journal at such a distance that every hold it comes to is over, captured or released, and has each
holder's writer release what is over. How far it has come is a record too, so that no start begins from the beginning.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from authz.clock import Now
from authz.decision.commands import Administration, LapseHolds, NoteSweep
from authz.decision.outcomes import Reply
from authz.decision.reference import SWEEP_PASSBOOK, Swept
from authz.decision.refused import Refused
from authz.engine.instants import last_before
from authz.engine.kinds import AUTHORIZATION, AUTHORIZATION_ADVICE
from authz.engine.passbooks import decode_state
from ledger.store import HOLDERS_WINDOW_SEQS_MAX, LedgerError, Store
from ledger.values import HolderId, Partition, Seq

SWEEP_EVERY_S = 60
AT_ONCE_MAX = 32
"""Commands of the sweep in one batch: payments come first."""
MARGIN = timedelta(days=2)
"""From the end of a hold's last day, wherever on earth that was, to a date that is over everywhere."""

CarryOut = Callable[[Administration, str], Awaitable[Reply]]
"""Has a partition's writer carry out a command, once for a key."""


class Sweep:
    """Follows one partition. `hold_days` is the longest that a hold lasts in any programme."""

    def __init__(self, store: Store, partition: Partition, now: Now, hold_days: int, carry_out: CarryOut) -> None:
        self._store = store
        self._partition = partition
        self._now = now
        self._distance = timedelta(days=hold_days) + MARGIN
        self._carry_out = carry_out

    async def run(self) -> None:
        """Sweep now and then, until cancelled."""
        while True:
            with contextlib.suppress(LedgerError):  # of which the writer speaks
                await self.sweep()
            await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self) -> None:
        """Go as far as the distance lets it. Raises what the store raises."""
        lines = await self._store.history(self._partition, SWEEP_PASSBOOK, 1)
        state = decode_state(SWEEP_PASSBOOK, lines[0].position) if lines else None
        after = state.through if isinstance(state, Swept) else Seq(0)
        last = await last_before(self._store, self._partition, self._now() - self._distance)
        while after < last:
            through = Seq(min(after + HOLDERS_WINDOW_SEQS_MAX, last))
            holders = await self._store.holders_of(
                self._partition, (AUTHORIZATION, AUTHORIZATION_ADVICE), after, through
            )
            if not await self._release(holders, through):
                return
            if holders or through < last:  # what has nothing in it is soon walked again
                reply = await self._carry_out(NoteSweep(through), f"sweep {self._partition} {through}")
                if not reply.reason.approves:
                    return
            after = through

    async def _release(self, holders: Sequence[HolderId], through: Seq) -> bool:
        """Release what is over of these holders. False: not all of it could be done."""
        for start in range(0, len(holders), AT_ONCE_MAX):
            some = holders[start : start + AT_ONCE_MAX]
            if not all(await asyncio.gather(*(self._lapse(holder, through) for holder in some))):
                return False
        return True

    async def _lapse(self, holder: HolderId, through: Seq) -> bool:
        try:
            reply = await self._carry_out(LapseHolds(holder), f"lapse {holder} {through}")
        except Refused:  # nothing is over: it was captured or released
            return True
        return reply.reason.approves
