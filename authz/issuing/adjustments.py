"""Finance's desk: adjustments are proposed by one person, and approved or refused by another.

An adjustment stands in the partition that its money is posted in, and in no other: each step is one record.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from authz.decision.commands import Advice, Completion, Payment, Purchase, Refund, Reversal
from authz.decision.issuing.commands import ApproveAdjustment, IssuingCommand, ProposeAdjustment, RefuseAdjustment
from authz.decision.issuing.states import (
    Adjustment,
    AdjustmentId,
    AdjustmentStatus,
    Proposal,
    RecordNamed,
    adjustment_passbook,
)
from authz.decision.refused import Refused
from authz.engine.inputs import decode_inputs
from authz.engine.passbooks import decode_state
from authz.issuing.issuer import PAGE_MAX, Issuer, KeyReused, NotThere, require_done
from authz.issuing.names import new_id
from ledger.values import Partition, Seq

MONEY_KINDS = tuple([str(one.__struct_config__.tag) for one in (Purchase, Refund, Advice, Completion, Reversal)])
"""Records that move an acquirer's money."""


class RecordUnknown(Refused):
    """No payment of this acquirer stands at that place of the ledger: a record is named by partition and number."""


class AdjustmentsPage(Struct, frozen=True, gc=False):
    """Adjustments in the order of their ids. `next`: behind which there are more; None: there are none."""

    adjustments: tuple[Adjustment, ...]
    next: AdjustmentId | None


class Adjustments:
    """Takes proposals, and what others say to them."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._one_proposal_at_a_time = asyncio.Lock()
        """A key is for one adjustment, in whichever partition it is: no two may look for it at once."""

    async def propose(self, proposal: Proposal, by: str, key: str) -> Adjustment:
        """Propose an adjustment. Raises `RecordUnknown`, and as `Issuer.do`."""
        adjustment = AdjustmentId(new_id("adjustment", "", key))
        async with self._one_proposal_at_a_time:
            known = await self._find(adjustment)
            if known is not None and known.proposal.partition != proposal.partition:
                raise KeyReused
            if known is None and proposal.record is not None:
                await self._require_payment(proposal.record, proposal.acquirer)
            await self._do(ProposeAdjustment(adjustment, proposal, by), proposal.partition, key, by)
        return await self.adjustment(adjustment)

    async def approve(self, adjustment: AdjustmentId, by: str, key: str) -> Adjustment:
        """Approve an adjustment, as somebody else than who proposed it. Raises `NotThere`, and as `Issuer.do`."""
        proposal = (await self.adjustment(adjustment)).proposal
        await self._do(ApproveAdjustment(adjustment, proposal, by), proposal.partition, key, by)
        return await self.adjustment(adjustment)

    async def refuse(self, adjustment: AdjustmentId, by: str, key: str) -> Adjustment:
        """Refuse an adjustment, or take back one's own. Raises `NotThere`, and as `Issuer.do`."""
        partition = (await self.adjustment(adjustment)).proposal.partition
        await self._do(RefuseAdjustment(adjustment, by), partition, key, by)
        return await self.adjustment(adjustment)

    async def adjustment(self, adjustment: AdjustmentId) -> Adjustment:
        """Give an adjustment. Raises `NotThere`."""
        found = await self._find(adjustment)
        if found is None:
            raise NotThere
        return found

    async def adjustments(
        self, after: str = "", most: int = PAGE_MAX, status: AdjustmentStatus | None = None
    ) -> AdjustmentsPage:
        """List adjustments, or those in one state, in the order of their ids behind one: at most `most`."""
        found: list[Adjustment] = []
        while page := await self._page(after):
            found += [one for one in page if status in (None, one.status)]
            after = page[-1].id
            if len(found) > most or len(page) < PAGE_MAX:
                break
        shown = tuple(found[:most])
        return AdjustmentsPage(shown, shown[-1].id if len(found) > most else None)

    async def _page(self, after: str) -> Sequence[Adjustment]:
        """Read the first `PAGE_MAX` behind an id, of all partitions: each has as many as it may have to give."""
        prefix, behind = adjustment_passbook(AdjustmentId("")), adjustment_passbook(AdjustmentId(after))
        found = [
            state
            for partition in await self._issuer.store.partitions()
            for name, line in await self._issuer.store.references(partition, prefix, behind, PAGE_MAX)
            if isinstance(state := decode_state(name, line.position), Adjustment)
        ]
        return sorted(found, key=lambda one: one.id)[:PAGE_MAX]

    async def _find(self, adjustment: AdjustmentId) -> Adjustment | None:
        for partition in await self._issuer.store.partitions():
            state = await self._issuer.state(adjustment_passbook(adjustment), partition)
            if isinstance(state, Adjustment):
                return state
        return None

    async def _require_payment(self, record: RecordNamed, acquirer: str) -> None:
        """Raise `RecordUnknown` unless the record is of a payment that came from the acquirer."""
        if record.partition not in await self._issuer.store.partitions():
            raise RecordUnknown
        before = Seq(record.seq - 1)
        events = await self._issuer.store.events(record.partition, MONEY_KINDS, before, record.seq, 1)
        commands = [decode_inputs(one.request).command for one in events]
        if not any(isinstance(one, Payment) and one.origin.acquirer == acquirer for one in commands):
            raise RecordUnknown

    async def _do(self, command: IssuingCommand, partition: Partition, key: str, by: str) -> None:
        require_done((await self._issuer.engine.administer_in(partition, command, key, by)).reason)
