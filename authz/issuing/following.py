"""Following a partition's journal: by the kinds of its records, behind a cursor that is a record too.

Nothing keeps a queue: what is to be done about a record is found here, and found again by whoever goes on after a kill.
"""

from collections.abc import Sequence

from authz.decision.issuing.commands import NoteFollowed
from authz.decision.issuing.states import Followed, follower_passbook
from authz.engine.bulk import HIDDEN, Errand, Interrupted, Lane, Pace
from authz.issuing.issuer import Issuer
from ledger.store import EVENTS_A_CALL_MAX, HOLDERS_WINDOW_SEQS_MAX, Event
from ledger.values import Partition, Seq

PASSED_A_NOTE = 16 * HOLDERS_WINDOW_SEQS_MAX
"""Records about which there is nothing to do, behind which it is noted how far they were followed."""


class Follower:
    """Somebody who follows a partition's journal. What they do beside payments, their notes too, goes at `pace`."""

    def __init__(self, issuer: Issuer, partition: Partition, name: str, pace: Pace = HIDDEN) -> None:
        self.name = name
        self._issuer = issuer
        self._partition = partition
        self._pace = pace

    @property
    def lane(self) -> Lane:
        """The partition's lane for bulk work."""
        return self._issuer.engine.lane(self._partition)

    def head(self) -> Seq:
        """Tell how far the journal goes for sure. Raises `Interrupted` where its partition isn't written here."""
        fence = self._issuer.engine.acknowledged().get(self._partition)
        if fence is None:
            raise Interrupted
        return fence.head

    async def noted(self) -> Seq | None:
        """Read how far they have come; None: they never noted it. Raises `LedgerError`."""
        state = await self._issuer.state(follower_passbook(self.name), self._partition)
        return state.through if isinstance(state, Followed) else None

    async def note(self, through: Seq) -> None:
        """Note how far they have come. Raises `Interrupted`."""
        day = self._issuer.instant.date()
        await self.lane.carry_out([Errand(NoteFollowed(self.name, through), f"{self.name} {through}", day)], self._pace)


async def window(
    issuer: Issuer, partition: Partition, kinds: Sequence[str], after: Seq, last: Seq, mentioning: str = ""
) -> tuple[Seq, Sequence[Event]]:
    """Read records of some kinds behind `after`, and tell how far that goes: to `last`, or as far as one read does.

    `mentioning` is looked for in their replies. Raises `LedgerError`.
    """
    through = Seq(min(after + HOLDERS_WINDOW_SEQS_MAX, last))
    events = await issuer.store.events(partition, kinds, after, through, EVENTS_A_CALL_MAX, mentioning)
    return (events[-1].seq if len(events) == EVENTS_A_CALL_MAX else through), events
