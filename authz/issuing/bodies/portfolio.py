"""Holders of another processor, as they are brought, and what became of them."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from authz.issuing.bodies.fields import END, Id, LotName, Positive, Product, Sent, Words

HOLDERS_MAX = 1_000
"""Holders in one chunk."""
CARDS_MAX = 4
"""Cards of one holder."""
LOTS_MAX = 12
"""Lots of one holder."""


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


class RefusedHolder(Struct, frozen=True, gc=False):
    """Who wasn't taken over, and why."""

    reference: str
    why: str


class TakenOver(Struct, frozen=True, gc=False):
    """What became of a chunk. `taken_over` counts those who are there now, before or by it."""

    taken_over: int
    refused: tuple[RefusedHolder, ...] = ()
