"""/v1/clients/…/requests: what holders ask of their employer about a card, and what becomes of it."""

from litestar import get, post
from litestar.params import JSONBody

from authz.decision.issuing.states import CardRequest
from authz.decision.position import CardId
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.fields import ClientInPath, RequestInPath
from authz.issuing.api.pages import After, Limit, page
from authz.issuing.api.problems import READ, WRITE
from authz.issuing.bodies.pages import PAGE, Page
from authz.issuing.bodies.requests import EmployersRequest, RequestView
from ledger.values import HolderId


def request_view(asked: CardRequest) -> RequestView:
    """Show a request."""
    return RequestView(
        asked.id, asked.client, asked.kind, asked.holder, asked.card, asked.asked_on, asked.status, asked.new
    )


@get("/clients/{client:str}/requests", responses=READ)
async def list_requests(
    client: ClientInPath, desks: Desks, after: After = "", limit: Limit = PAGE
) -> Page[RequestView]:
    """List what was asked of a client."""
    found = await desks.cards.requests(client, after, limit + 1)
    return page(found, limit, request_view, lambda one: one.id)


@post("/clients/{client:str}/requests", responses=WRITE)
async def make_request(
    client: ClientInPath, data: JSONBody[EmployersRequest], desks: Desks, write: Writing
) -> RequestView:
    """Ask for a holder's new card, or for their PIN again, as their employer: it needs no validation."""
    holder, card = HolderId(data.holder), CardId(data.card)
    return request_view(await desks.cards.start(client, holder, card, data.kind, write.by, write.key))


@post("/clients/{client:str}/requests/{asked:str}/validation", responses=WRITE)
async def validate_request(client: ClientInPath, asked: RequestInPath, desks: Desks, write: Writing) -> RequestView:
    """Validate what a holder asked: the card is made, or the PIN sent."""
    return request_view(await desks.cards.answer(client, asked, write.by, write.key, validated=True))


@post("/clients/{client:str}/requests/{asked:str}/refusal", responses=WRITE)
async def refuse_request(client: ClientInPath, asked: RequestInPath, desks: Desks, write: Writing) -> RequestView:
    """Refuse what a holder asked."""
    return request_view(await desks.cards.answer(client, asked, write.by, write.key, validated=False))
