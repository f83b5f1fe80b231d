"""/v1/portfolio: holders of another processor, taken over with their cards, PINs and balances."""

from typing import cast

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.params import JSONBody

from authz.issuing.api.auth import Writing
from authz.issuing.api.problems import HANDLERS, WRITE, AnyRequest
from authz.issuing.bodies.portfolio import HolderBrought, PortfolioChunk, TakenOver
from authz.issuing.bodies.problems import Problem
from authz.issuing.takeover import BroughtCard, BroughtHolder, BroughtLot, Portfolio
from authz.security.keys import masked
from ledger.values import Cents

CHUNK_MAX_BYTES = 2_000_000
"""A thousand holders with two cards and three lots each, and names of ordinary length, are half of it."""


def _without_digits(request: AnyRequest, error: ValidationException) -> Response[Problem]:
    """Say what isn't as it should be: where that is named by a number, it may be a card's."""
    extra = cast("list[dict[str, str]]", error.extra if isinstance(error.extra, list) else [])
    error.extra = [{name: masked(str(text)) for name, text in one.items()} for one in extra]
    return HANDLERS[ValidationException](request, error)


@post(
    "/portfolio",
    status_code=200,
    responses=WRITE,
    request_max_body_size=CHUNK_MAX_BYTES,
    exception_handlers={ValidationException: _without_digits},
)
async def take_over(data: JSONBody[PortfolioChunk], portfolio: NamedDependency[Portfolio], write: Writing) -> TakenOver:
    """Take holders over from another processor: each is taken over whole, or refused with the reason."""
    holders = [_holder(one) for one in data.holders]
    return await portfolio.take_over(data.programme, data.link, holders, write.by)


def _holder(one: HolderBrought) -> BroughtHolder:
    cards = [
        BroughtCard(card.pan, card.expiry, 1 if card.generation == 1 else 2, card.activated, card.pin_block)
        for card in one.cards
    ]
    lots = [BroughtLot(lot.product, lot.lot, Cents(lot.amount_cents)) for lot in one.lots]
    return BroughtHolder(one.reference, one.employer, one.works_sundays_holidays, tuple(cards), tuple(lots))
