"""/v1/adjustments: what finance posts to resolve breaks, proposed by one person and approved by another."""

from datetime import datetime
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from msgspec import Meta, Struct

from authz.decision.issuing.adjustments import REASON_MAX
from authz.decision.issuing.states import (
    Adjustment,
    AdjustmentId,
    AdjustmentKind,
    AdjustmentStatus,
    LineNamed,
    Proposal,
    RecordNamed,
)
from authz.issuing.access import END, IDS
from authz.issuing.adjustments import Adjustments
from authz.issuing.api.auth import Writing
from authz.issuing.api.fields import Sent
from authz.issuing.api.pages import PAGE, After, Limit, Page
from authz.issuing.api.problems import READ, WRITE
from ledger.values import Cents, Partition, Seq

CENTS_MAX = SEQ_MAX = 10**15
NUMBER_MAX = 2**31 - 1

AdjustmentInPath = Annotated[AdjustmentId, PathParameter(pattern=IDS)]
Status = Annotated[
    AdjustmentStatus | None, QueryParameter(name="status", description="Only adjustments that are there in their life.")
]
Desk = NamedDependency[Adjustments]


class RecordRequest(Sent, frozen=True):
    """A payment's record: what exports and reports write as 0:17 is partition 0, record 17."""

    partition: Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
    seq: Annotated[int, Meta(ge=1, le=SEQ_MAX)]


class LineRequest(Sent, frozen=True):
    """A line of a clearing file, or an entry of a statement, by the file's SHA-256 in hexadecimal."""

    file: Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{END}")]
    line: Annotated[int, Meta(ge=1, le=NUMBER_MAX)]


class ProposalRequest(Sent, frozen=True):
    """What is to be adjusted, by how many cents, and why. Below 0 it is the other way round; 0 is refused.

    `record` and `line` name the break that it resolves. The reason may bear no card's number.
    """

    kind: AdjustmentKind
    acquirer: Annotated[str, Meta(pattern=rf"^[0-9]{{1,11}}{END}")]
    cents: Annotated[int, Meta(ge=-CENTS_MAX, le=CENTS_MAX)]
    reason: Annotated[str, Meta(min_length=1, max_length=REASON_MAX, pattern=rf"^[^\x00-\x1f\x7f]*{END}")]
    record: RecordRequest | None = None
    line: LineRequest | None = None

    @property
    def proposal(self) -> Proposal:
        """The same, as the core has it."""
        return Proposal(
            self.kind,
            self.acquirer,
            Cents(self.cents),
            self.reason,
            None if self.record is None else RecordNamed(Partition(self.record.partition), Seq(self.record.seq)),
            None if self.line is None else LineNamed(self.line.file, self.line.line),
        )


class AdjustmentView(Struct, frozen=True):
    """An adjustment. People are a role and an access's id; `partition` is where it is posted."""

    id: str
    kind: AdjustmentKind
    acquirer: str
    cents: int
    reason: str
    record: RecordNamed | None
    line: LineNamed | None
    partition: int
    status: AdjustmentStatus
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None


def _view(one: Adjustment) -> AdjustmentView:
    proposal = one.proposal
    return AdjustmentView(
        one.id,
        proposal.kind,
        proposal.acquirer,
        proposal.cents,
        proposal.reason,
        proposal.record,
        proposal.line,
        proposal.partition,
        one.status,
        one.proposed_by,
        one.proposed_at,
        one.decided_by,
        one.decided_at,
    )


@post("/adjustments", responses=WRITE)
async def propose_adjustment(data: JSONBody[ProposalRequest], adjustments: Desk, write: Writing) -> AdjustmentView:
    """Propose an adjustment: nothing is posted until somebody else approves it."""
    return _view(await adjustments.propose(data.proposal, write.by, write.key))


@get("/adjustments", responses=READ)
async def list_adjustments(
    adjustments: Desk, after: After = "", limit: Limit = PAGE, status: Status = None
) -> Page[AdjustmentView]:
    """List adjustments."""
    found = await adjustments.adjustments(after, limit, status)
    return Page([_view(one) for one in found.adjustments], found.next)


@get("/adjustments/{adjustment:str}", responses=READ)
async def read_adjustment(adjustment: AdjustmentInPath, adjustments: Desk) -> AdjustmentView:
    """Read an adjustment."""
    return _view(await adjustments.adjustment(adjustment))


@post("/adjustments/{adjustment:str}/approval", responses=WRITE)
async def approve_adjustment(adjustment: AdjustmentInPath, adjustments: Desk, write: Writing) -> AdjustmentView:
    """Approve what somebody else proposed: it is posted."""
    return _view(await adjustments.approve(adjustment, write.by, write.key))


@post("/adjustments/{adjustment:str}/refusal", responses=WRITE)
async def refuse_adjustment(adjustment: AdjustmentInPath, adjustments: Desk, write: Writing) -> AdjustmentView:
    """Refuse what somebody proposed, or take back one's own proposal: nothing is posted."""
    return _view(await adjustments.refuse(adjustment, write.by, write.key))
