"""/v1/adjustments: what finance posts to resolve breaks, proposed by one person and approved by another."""

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from authz.decision.issuing.states import Adjustment, AdjustmentId, AdjustmentStatus
from authz.issuing.adjustments import Adjustments
from authz.issuing.api.auth import Writing
from authz.issuing.api.pages import After, Limit
from authz.issuing.api.problems import READ, WRITE
from authz.issuing.bodies.adjustments import AdjustmentView, ProposalRequest
from authz.issuing.bodies.fields import IDS
from authz.issuing.bodies.pages import PAGE, Page

AdjustmentInPath = Annotated[AdjustmentId, PathParameter(pattern=IDS)]
Status = Annotated[
    AdjustmentStatus | None, QueryParameter(name="status", description="Only adjustments that are there in their life.")
]
Desk = NamedDependency[Adjustments]


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
