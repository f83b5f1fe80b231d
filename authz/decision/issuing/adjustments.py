"""Adjustments: what finance posts where acquirers, the bank and the ledger can't agree otherwise. Two people each.

Which transfers a kind of adjustment posts is one table, from which docs/adjustments.md comes.
"""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from authz.decision.evidence import Facts
from authz.decision.issuing.commands import ApproveAdjustment, ProposeAdjustment, RefuseAdjustment
from authz.decision.issuing.lives import ADJUSTMENT, AdjustmentEvent, step
from authz.decision.issuing.states import Adjustment, AdjustmentKind, Proposal
from authz.decision.refused import Refused
from ledger import accounts
from ledger.values import Account, Cents, Transfer

REASON_MAX = 200
"""Characters of a reason."""
DIGITS_MAX = 11
"""Digits in a row, or in groups as on a card, in a reason: a card's number has 12 or more."""

# Groups of three digits or more, with one character between them: of dates, times and amounts they are shorter.
_GROUPS = re.compile(r"\d{3,}(?:[\W_]\d{3,})*")

Sides = tuple[tuple[Account, Account], ...]
"""The debit and the credit of each transfer."""


class AdjustmentProposed(Refused):
    """The same adjustment was proposed already."""


class AdjustmentUnknown(Refused):
    """There is no such adjustment."""


class AdjustmentDecided(Refused):
    """The adjustment was approved or refused already."""


class OwnProposal(Refused):
    """Nobody approves what they proposed themselves: it takes somebody else."""


class ProposalDiffers(Refused):
    """What is approved isn't what was proposed."""


class NothingAdjusted(Refused):
    """An adjustment is of at least one cent, one way or the other."""


class ReasonMalformed(Refused):
    """An adjustment has a reason, of at most 200 characters."""


class CardInReason(Refused):
    """A reason has at most 11 digits in a row, also in groups as on a card: it may bear no card's number."""


def sides(kind: AdjustmentKind, acquirer: str) -> Sides:
    """Give what an adjustment above 0 debits and credits; one below 0 does it the other way round."""
    payable, settled, differences = accounts.payable(acquirer), accounts.settled(), accounts.differences()
    table: Mapping[AdjustmentKind, Sides] = {
        AdjustmentKind.SETTLEMENT: ((payable, settled),),
        # Money moves from one of the issuer's bank accounts to the other, so that face value and fees never mix.
        AdjustmentKind.FEE: ((payable, settled), (accounts.operating(), accounts.commission())),
        AdjustmentKind.WRITE_OFF: ((differences, accounts.exceptions(acquirer)),),
        AdjustmentKind.CORRECTION: ((differences, payable),),
    }
    return table[kind]


def adjust(
    command: ProposeAdjustment | ApproveAdjustment | RefuseAdjustment, facts: Facts
) -> tuple[Adjustment, tuple[Transfer, ...]]:
    """Propose, approve or refuse: only what is approved moves money."""
    match command:
        case ProposeAdjustment():
            return _proposed(command, facts), ()
        case ApproveAdjustment(proposal=proposal):
            return _approved(command, facts), _posted(proposal)
        case RefuseAdjustment(by=by):
            return _decided(_known(facts), AdjustmentEvent.REFUSAL, by, facts), ()


def _proposed(command: ProposeAdjustment, facts: Facts) -> Adjustment:
    if facts.own is not None:
        raise AdjustmentProposed
    proposal = command.proposal
    if not proposal.cents:
        raise NothingAdjusted
    if not 0 < len(proposal.reason) <= REASON_MAX:
        raise ReasonMalformed
    if any(sum(map(str.isdecimal, group)) > DIGITS_MAX for group in _GROUPS.findall(proposal.reason)):
        raise CardInReason
    return Adjustment(command.adjustment, proposal, proposed_by=command.by, proposed_at=facts.instant)


def _approved(command: ApproveAdjustment, facts: Facts) -> Adjustment:
    known = _known(facts)
    adjustment = _decided(known, AdjustmentEvent.APPROVAL, command.by, facts)
    if command.by == known.proposed_by:
        raise OwnProposal
    if command.proposal != known.proposal:
        raise ProposalDiffers
    return adjustment


def _decided(known: Adjustment, event: AdjustmentEvent, by: str, facts: Facts) -> Adjustment:
    status = step(ADJUSTMENT, known.status, event, AdjustmentDecided)
    return replace(known, status=status, decided_by=by, decided_at=facts.instant)


def _posted(proposal: Proposal) -> tuple[Transfer, ...]:
    cents = Cents(abs(proposal.cents))
    return tuple(
        Transfer(debit, credit, cents) if proposal.cents > 0 else Transfer(credit, debit, cents)
        for debit, credit in sides(proposal.kind, proposal.acquirer)
    )


def _known(facts: Facts) -> Adjustment:
    if not isinstance(facts.own, Adjustment):
        raise AdjustmentUnknown
    return facts.own
