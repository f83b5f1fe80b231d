"""/v1/offers: quotes that bind to nothing. A page of them, one, and what becomes of it."""

from datetime import date
from typing import Annotated

from litestar import delete, get, post
from litestar.params import JSONBody
from msgspec import Meta, Struct

from authz.decision.issuing.states import (
    BASIS_POINTS,
    LINES_MAX,
    WANTED_MAX,
    ClientId,
    Costs,
    Format,
    Offer,
    OfferStatus,
    Tariff,
    Wanted,
)
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.clients import ClientView, client_view
from authz.issuing.api.fields import Id, OfferInPath, Positive, Product, Sent, Someone, Territory, Words
from authz.issuing.api.pages import PAGE, After, Limit, Page, page
from authz.issuing.api.problems import READ, WRITE
from ledger.values import Cents

BasisPoints = Annotated[int, Meta(ge=0, le=BASIS_POINTS)]


class WantedRequest(Sent, frozen=True):
    """A product: for how many holders at most, and how many cents each in all."""

    product: Product
    format: Format
    holders: Annotated[int, Meta(ge=1, le=LINES_MAX)]
    amount: Positive


class TariffRequest(Sent, frozen=True):
    """What the issuer charges, without VAT: basis points of the face value, and cents for each new card."""

    commission: BasisPoints
    card: Annotated[int, Meta(ge=0, le=10**6)]
    vat: BasisPoints


class OfferRequest(Sent, frozen=True):
    """What is offered to whom, at which tariff, until when."""

    programme: Words
    company: Words
    territory: Territory
    contact: Someone
    wanted: Annotated[list[WantedRequest], Meta(min_length=1, max_length=WANTED_MAX)]
    tariff: TariffRequest
    until: date


class Acceptance(Sent, frozen=True):
    """Which account an offer is accepted for. None: a new and separate one."""

    client: Id | None = None


class OfferView(Struct, frozen=True):
    """An offer. `maximum` is what it can cost, a card for everyone included; `total` adds it up."""

    id: str
    programme: str
    company: str
    territory: str
    contact: str
    wanted: tuple[Wanted, ...]
    tariff: Tariff
    maximum: Costs
    total: int
    until: date
    status: OfferStatus
    client: str | None


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
