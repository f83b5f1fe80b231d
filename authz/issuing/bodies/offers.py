"""Offers, as they are made, accepted and shown."""

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct

from authz.decision.issuing.states import (
    BASIS_POINTS,
    LINES_MAX,
    WANTED_MAX,
    Costs,
    Format,
    OfferStatus,
    Tariff,
    Wanted,
)
from authz.issuing.bodies.fields import Id, Positive, Product, Sent, Someone, Territory, Words

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
