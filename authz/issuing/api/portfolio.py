"""/v1/portfolio: holders of another processor, taken over with their cards, PINs and balances."""

from typing import Annotated, Any, cast

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.exceptions import ValidationException
from litestar.params import JSONBody
from msgspec import Meta

from authz.issuing.access import END
from authz.issuing.api.auth import Writing
from authz.issuing.api.fields import Id, LotName, Positive, Product, Sent, Words
from authz.issuing.api.problems import HANDLERS, WRITE, AnyRequest, Problem
from authz.issuing.takeover import (
    CARDS_MAX,
    HOLDERS_MAX,
    LOTS_MAX,
    BroughtCard,
    BroughtHolder,
    BroughtLot,
    Portfolio,
    TakenOver,
)
from authz.security.keys import masked
from ledger.values import Cents

CHUNK_MAX_BYTES = 2_000_000
"""A thousand holders with two cards and three lots each, and names of ordinary length, are half of it."""


class CardBrought(Sent, frozen=True):
    """A card: `expiry` is YYMM, `pin_block` ISO format 0 under the link's zone PIN key. Its repr shows nothing."""

    pan: Annotated[str, Meta(pattern=rf"^[0-9]{{13,19}}{END}")]
    expiry: Annotated[str, Meta(pattern=rf"^[0-9]{{2}}(0[1-9]|1[0-2]){END}")]
    generation: Annotated[int, Meta(ge=1, le=2)]
    activated: bool
    pin_block: Annotated[str, Meta(pattern=rf"^[0-9A-Fa-f]{{16}}{END}")]

    def __repr__(self) -> str:
        return "CardBrought(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class LotBrought(Sent, frozen=True):
    """Vouchers: `lot` is a vintage, such as 2026, or, of products without vintages, the day of their credit."""

    product: Product
    lot: LotName
    amount_cents: Positive


class HolderBrought(Sent, frozen=True):
    """A holder. `reference` is the other processor's name for them, and theirs alone in the programme."""

    reference: Annotated[str, Meta(min_length=1, max_length=64, pattern=rf"^[!-~]+{END}")]
    employer: Id
    works_sundays_holidays: bool
    cards: Annotated[list[CardBrought], Meta(max_length=CARDS_MAX)]
    lots: Annotated[list[LotBrought], Meta(max_length=LOTS_MAX)]


class PortfolioChunk(Sent, frozen=True):
    """Some holders of one programme. `link` is the acquirer whose zone PIN key enciphers the PINs."""

    programme: Words
    link: Annotated[str, Meta(min_length=1, max_length=11, pattern=rf"^[0-9]+{END}")]
    holders: Annotated[list[HolderBrought], Meta(min_length=1, max_length=HOLDERS_MAX)]


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
