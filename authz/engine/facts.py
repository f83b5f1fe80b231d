"""Which passbooks a decision reads, and what it is told of them: the same for the engine and for a replay."""

from collections.abc import Callable, Sequence
from datetime import datetime

from authz.decision.commands import CardId
from authz.decision.evidence import Evidence, Facts, Original
from authz.decision.outcomes import State
from authz.decision.position import Card, Position
from authz.decision.programme import Programme
from authz.decision.reference import Employer, Merchant, employer_passbook, programme_passbook
from ledger.values import HolderId


def passbooks_read(
    holder: HolderId | None,
    merchant: HolderId | None,
    card: CardId | None,
    state_of: Callable[[HolderId | None], State | None],
) -> tuple[HolderId | None, ...]:
    """The passbooks of the holder, the merchant, the employer and the programme, as far as they are known.

    The programme is the used card's; where no card is used, the employer's.
    """
    position = state_of(holder)
    if not isinstance(position, Position):
        return holder, merchant, None, None
    employer = employer_passbook(position.employer) if position.employer else None
    ruled_by = state_of(employer) if card is None else position.card(card)
    programme = programme_passbook(ruled_by.programme) if isinstance(ruled_by, (Employer, Card)) else None
    return holder, merchant, employer, programme


def facts_of(
    instant: datetime,
    evidence: Evidence,
    holder: HolderId | None,
    states: Sequence[State | None],
    original: Original | None = None,
) -> Facts:
    """Put the facts together. `states` are those of `passbooks_read`, in its order."""
    own, merchant, employer, programme = states
    return Facts(
        instant=instant,
        evidence=evidence,
        position=own if isinstance(own, Position) else None,
        holder=holder,
        merchant=merchant if isinstance(merchant, Merchant) else None,
        employer=employer if isinstance(employer, Employer) else None,
        programme=programme if isinstance(programme, Programme) else None,
        original=original,
        own=own,
    )
