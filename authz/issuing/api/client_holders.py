"""/v1/clients/…/holders: what an employer sees of a holder: their cards, and what it loaded itself. Nothing else."""

from litestar import get

from authz.issuing.api.auth import Desks
from authz.issuing.api.fields import ClientInPath, HolderInPath
from authz.issuing.api.holders import Before
from authz.issuing.api.problems import READ
from authz.issuing.bodies.client_holders import EmployersCardView, EmployersHolderView
from authz.issuing.bodies.holders import CardView
from authz.issuing.bodies.operations import OperationsPage
from ledger.values import Seq

LAST_DIGITS = 4


def _view(card: CardView) -> EmployersCardView:
    return EmployersCardView(card.card, card.number[-LAST_DIGITS:], card.status, card.expiry, card.locked)


@get("/clients/{client:str}/holders/{holder:str}", responses=READ)
async def read_client_holder(client: ClientInPath, holder: HolderInPath, desks: Desks) -> EmployersHolderView:
    """Read which cards a holder of a client's has, to ask for a new one or for the PIN again."""
    cards = await desks.holders.cards(client, holder)
    return EmployersHolderView(holder, [_view(one) for one in cards])


@get("/clients/{client:str}/holders/{holder:str}/loads", responses=READ)
async def list_client_loads(
    client: ClientInPath, holder: HolderInPath, desks: Desks, before: Before = None
) -> OperationsPage:
    """List what a client loaded for a holder, newest first."""
    return await desks.holders.loads(client, holder, None if before is None else Seq(before))
