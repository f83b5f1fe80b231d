"""Releases the holds that are past their days: bookkeeping behind a function of the date, which counts them out.

The sweep follows the journal at such a distance that every hold it comes to is over, captured or released, and has each
holder's writer release what is over. How far it has come is a record too, so that no start begins from the beginning.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from authz.decision.commands import LapseHolds, NoteSweep
from authz.decision.reference import SWEEP_PASSBOOK, Swept
from authz.engine.bulk import Errand, Lane
from authz.engine.instants import last_before
from authz.engine.kinds import AUTHORIZATION, AUTHORIZATION_ADVICE
from authz.engine.passbooks import decode_state
from authz.programmes.rulebook import Rulebook
from ledger.store import HOLDERS_WINDOW_SEQS_MAX, Store
from ledger.values import Partition, Seq

MARGIN = timedelta(days=2)
"""From the end of a hold's last day, wherever on earth that was, to a date that is over everywhere."""


class Sweep:
    """Follows one partition, at the distance of the longest that a hold lasts in any programme of `rulebook`."""

    def __init__(
        self, store: Store, partition: Partition, lane: Lane, now: Callable[[], datetime], rulebook: Rulebook
    ) -> None:
        self._store = store
        self._partition = partition
        self._lane = lane
        self._now = now
        self._rulebook = rulebook

    async def sweep(self) -> None:
        """Go as far as the distance lets it. Raises what the store and the lane raise."""
        lines = await self._store.history(self._partition, SWEEP_PASSBOOK, 1)
        state = decode_state(SWEEP_PASSBOOK, lines[0].position) if lines else None
        after = state.through if isinstance(state, Swept) else Seq(0)
        distance = timedelta(days=max(one.holds.days for one in self._rulebook.all())) + MARGIN
        last = await last_before(self._store, self._partition, self._now() - distance)
        while after < last:
            through = Seq(min(after + HOLDERS_WINDOW_SEQS_MAX, last))
            found = await self._release(after, through)
            if found or through < last:  # what has nothing in it is soon walked again
                await self._carry_out(through, [(NoteSweep(through), f"sweep {self._partition} {through}")])
            after = through

    async def _release(self, after: Seq, through: Seq) -> bool:
        """Release what is over in a window; tell whether anybody had set something aside there."""
        async with self._lane.turn():
            kinds = (AUTHORIZATION, AUTHORIZATION_ADVICE)
            holders = await self._store.holders_of(self._partition, kinds, after, through)
        await self._carry_out(through, [(LapseHolds(holder), f"lapse {holder} {through}") for holder in holders])
        return bool(holders)

    async def _carry_out(self, through: Seq, commands: list[tuple[LapseHolds | NoteSweep, str]]) -> None:
        at = await self._store.instant_of(self._partition, through)
        assert at is not None, "the window ends with a record"
        await self._lane.carry_out([Errand(command, key, at.date()) for command, key in commands])
