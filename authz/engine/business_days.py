"""An acquirer's business days in the journal: where each begins and ends, and what was recorded in it.

A cutover is a record, and its place in the journal is where one day ends and the next begins. Before an acquirer's
first cutover its days are the calendar's: they end where the instants of records pass midnight.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from authz.decision.administration import BUSINESS_ZONE, day_closed_at
from authz.decision.calendar import zone
from authz.decision.commands import Window
from authz.decision.issuing.commands import ApproveAdjustment
from authz.decision.reference import BusinessDay, acquirer_passbook
from authz.decision.totals import Sums
from authz.engine.instants import last_before
from ledger import accounts
from ledger.store import HISTORY_LINES_MAX, Store, Turnover
from ledger.values import Cents, Partition, Seq

_REVERSAL = "reversal"
_ADJUSTMENT = str(ApproveAdjustment.__struct_config__.tag)
"""What finance posts: no payment of any day."""
_opened = msgspec.json.Decoder(BusinessDay).decode


class BusinessDays:
    """Reads one ledger. Every method raises `ledger.store.Unavailable`."""

    def __init__(self, store: Store, partitions: Sequence[Partition]) -> None:
        self._store = store
        self._partitions = partitions

    async def open(self, partition: Partition, acquirer: str) -> date | None:
        """Return the day that an acquirer's newest cutover began; None: it never cut over."""
        lines = await self._store.history(partition, acquirer_passbook(acquirer), 1)
        return _opened(lines[0].position).open if lines else None

    async def windows(self, acquirer: str, day: date) -> tuple[Window, ...]:
        """Find an acquirer's business day in each partition, as far as it has come."""
        return tuple([await self._window(partition, acquirer, day) for partition in self._partitions])

    async def sums(self, acquirer: str, windows: Sequence[Window]) -> Sums:
        """Add up what was recorded for an acquirer in these windows."""
        total = Sums()
        for window in windows:
            for one in await self._store.turnover(
                window.partition, accounts.payable(acquirer), window.after, window.through
            ):
                if one.kind != _ADJUSTMENT:
                    total = _added(total, one)
        return total

    async def _window(self, partition: Partition, acquirer: str, day: date) -> Window:
        head = (await self._store.fence(partition)).head
        openings = await self._openings(partition, acquirer, head)
        ends = [*(one.seq for one in openings[1:]), head]
        for opening, end in zip(openings[1:], ends[1:], strict=True):
            if opening.day == day:
                return Window(partition, opening.seq, end)
        if openings and day > openings[0].day:
            return Window(partition, head, head)
        begin = await last_before(self._store, partition, _midnight(day))
        if not openings or day < openings[0].day:
            end = await last_before(self._store, partition, _midnight(day + timedelta(days=1)))
            return Window(partition, min(begin, ends[0]), min(end, ends[0]))
        return Window(partition, min(begin, ends[0]), ends[0])

    async def _openings(self, partition: Partition, acquirer: str, head: Seq) -> list["_Opening"]:
        """The cutovers that began a day, oldest first, behind the day that was open before the first cutover.

        None at all: there was no cutover yet.
        """
        lines = await self._store.history(partition, acquirer_passbook(acquirer), HISTORY_LINES_MAX)
        openings: list[_Opening] = []
        for line in reversed(lines):
            if line.seq > head:
                break
            if not openings:
                at = await self._store.instant_of(partition, line.seq)
                assert at is not None, "the line was read there"
                openings.append(_Opening(day_closed_at(at), Seq(0)))
            opened = _opened(line.position).open
            if opened != openings[-1].day:
                openings.append(_Opening(opened, line.seq))
        return openings


class _Opening(Struct, frozen=True, gc=False):
    """A day, and the cutover that began it."""

    day: date
    seq: Seq


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone(BUSINESS_ZONE))


def _added(total: Sums, one: Turnover) -> Sums:
    """Count what went through an acquirer's account: what a payment pays its reversal takes, and so with refunds."""
    if one.kind == _REVERSAL:
        return replace(
            total,
            credits_reversal_number=total.credits_reversal_number + one.credits,
            credits_reversal_amount=Cents(total.credits_reversal_amount + one.credited),
            debits_reversal_number=total.debits_reversal_number + one.debits,
            debits_reversal_amount=Cents(total.debits_reversal_amount + one.debited),
        )
    return replace(
        total,
        credits_number=total.credits_number + one.debits,
        credits_amount=Cents(total.credits_amount + one.debited),
        debits_number=total.debits_number + one.credits,
        debits_amount=Cents(total.debits_amount + one.credited),
    )
