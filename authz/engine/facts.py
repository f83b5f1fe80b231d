"""Which passbooks a decision reads, and what it is told of them: the same for the engine and for a replay."""

from collections.abc import Callable
from datetime import datetime

from authz.decision.commands import CardId
from authz.decision.evidence import Evidence, Facts, Original
from authz.decision.position import Card, Position
from authz.decision.programme import Programme
from authz.decision.reference import Employer, Merchant, employer_passbook, programme_passbook
from authz.engine.passbooks import Passbook
from authz.engine.work import Books
from ledger.values import HolderId


def books_read(
    holder: HolderId | None,
    beside: HolderId | None,
    card: CardId | None,
    find: Callable[[HolderId], Passbook | None],
) -> Books:
    """Find the passbooks of the holder, the merchant, the employer and the programme, as far as they are known.

    `beside` is the merchant's name, or another's that an issuing command reads (`authz.engine.kinds.beside_of`). The
    programme is the used card's; where no card is used, the employer's.
    """
    own = None if holder is None else find(holder)
    shop = None if beside is None else find(beside)
    employer = programme = under = rules = None
    position = None if own is None else own.state
    if isinstance(position, Position):
        if position.employer:
            employer = employer_passbook(position.employer)
            under = find(employer)
        ruled_by = position.card(card) if card is not None else None if under is None else under.state
        if isinstance(ruled_by, (Card, Employer)):
            programme = programme_passbook(ruled_by.programme)
            rules = find(programme)
    found = (own, shop, under, rules)
    if None not in found:
        return Books(*found)
    names = zip((holder, beside, employer, programme), found, strict=True)
    return Books(*found, missing=tuple([name for name, book in names if book is None and name is not None]))


def facts_of(
    instant: datetime, evidence: Evidence, holder: HolderId | None, books: Books, original: Original | None = None
) -> Facts:
    """Put the facts together, as they stand in the passbooks."""
    own = None if books.holder is None else books.holder.state
    beside = None if books.merchant is None else books.merchant.state
    employer = None if books.employer is None else books.employer.state
    programme = None if books.programme is None else books.programme.state
    return Facts(
        instant=instant,
        evidence=evidence,
        position=own if isinstance(own, Position) else None,
        holder=holder,
        merchant=beside if isinstance(beside, Merchant) else None,
        employer=employer if isinstance(employer, Employer) else None,
        programme=programme if isinstance(programme, Programme) else None,
        original=original,
        own=own,
        beside=beside,
    )
