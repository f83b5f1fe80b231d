"""/v1/offers: quotes that bind to nothing. A page of them, one, and what becomes of it."""

from litestar import delete, get, post
from litestar.params import JSONBody

from authz.decision.issuing.states import (
    ClientId,
    Offer,
    Tariff,
    Wanted,
)
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.clients import client_view
from authz.issuing.api.fields import OfferInPath
from authz.issuing.api.pages import After, Limit, page
from authz.issuing.api.problems import READ, WRITE
from authz.issuing.bodies.clients import ClientView
from authz.issuing.bodies.offers import Acceptance, OfferRequest, OfferView
from authz.issuing.bodies.pages import PAGE, Page
from ledger.values import Cents


def _view(offer: Offer) -> OfferView:
    return OfferView(
        offer.id,
        offer.programme,
        offer.company,
        offer.territory,
        offer.contact,
        offer.wanted,
        offer.tariff,
        offer.maximum,
        offer.maximum.total,
        offer.until,
        offer.status,
        offer.client,
    )


@post("/offers", responses=WRITE)
async def make_offer(data: JSONBody[OfferRequest], desks: Desks, write: Writing) -> OfferView:
    """Make an offer."""
    return _view(
        await desks.clients.offer(
            data.programme,
            data.company,
            data.territory,
            data.contact.person,
            tuple(Wanted(one.product, one.format, one.holders, Cents(one.amount)) for one in data.wanted),
            Tariff(data.tariff.commission, Cents(data.tariff.card), data.tariff.vat),
            data.until,
            write.by,
            write.key,
        )
    )


@get("/offers", responses=READ)
async def list_offers(desks: Desks, after: After = "", limit: Limit = PAGE) -> Page[OfferView]:
    """List offers."""
    return page(await desks.clients.offers(after, limit + 1), limit, _view, lambda one: one.id)


@get("/offers/{offer:str}", responses=READ)
async def read_offer(offer: OfferInPath, desks: Desks) -> OfferView:
    """Read an offer."""
    return _view(await desks.clients.offered(offer))


@delete("/offers/{offer:str}", status_code=200, responses=WRITE)
async def withdraw_offer(offer: OfferInPath, desks: Desks, write: Writing) -> OfferView:
    """Take an offer back."""
    return _view(await desks.clients.withdraw(offer, write.by, write.key))


@post("/offers/{offer:str}/acceptance", responses=WRITE)
async def accept_offer(offer: OfferInPath, data: JSONBody[Acceptance], desks: Desks, write: Writing) -> ClientView:
    """Accept an offer: it opens a client's account, or adds to one."""
    client = None if data.client is None else ClientId(data.client)
    return await client_view(desks, await desks.clients.accept(offer, client, write.by, write.key))
