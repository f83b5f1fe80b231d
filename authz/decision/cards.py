"""What a card and the evidence about it come to: status, expiry, PIN, CVV2, cryptogram, in docs/interface.md's order.

Each later rule is tried only where the earlier ones let the request pass; a try that a rule counts is counted
in the card that comes back, whatever the answer.
"""

from datetime import date
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from authz.decision.commands import Entry, Inquiry, Presented, Purchase, Refund
from authz.decision.evidence import Check, Evidence
from authz.decision.outcomes import Reason
from authz.decision.position import Card, CardStatus
from authz.decision.programme import Generation, Programme
from ledger.values import Cents

ABSENT: Final = Check.ABSENT
RIGHT: Final = Check.RIGHT
"""What every payment is asked about: an enum takes longer to find a member by its name than a rule to be tried."""
REMOTE = frozenset({Entry.ONLINE, Entry.MANUAL})
"""Where the card isn't there: its expiry and CVV2 stand in for the PIN."""

STOPPED = {
    CardStatus.LOST: Reason.CARD_LOST,
    CardStatus.STOLEN: Reason.CARD_STOLEN,
    CardStatus.FRAUD: Reason.CARD_FRAUD,
    CardStatus.INACTIVE: Reason.CARD_NOT_ACTIVE,
    CardStatus.REPLACED: Reason.CARD_REPLACED,
}


class Verdict(Struct, frozen=True, gc=False):
    """The card after the request, and why it is refused (None: not by these rules).

    `tries_left` counts PIN tries, after a wrong one that was counted. `authentic`: the chip's cryptogram is
    right and new.
    """

    card: Card
    refusal: Reason | None = None
    tries_left: int | None = None
    authentic: bool = False


def examine(card: Card, command: Presented, evidence: Evidence, programme: Programme, today: date) -> Verdict:
    """Try every rule on the card and what it brought. `today` is the date that its expiry is judged on."""
    generation = programme.generation(card.generation)
    if generation is None:
        return Verdict(card, Reason.INTERNAL)
    counter = evidence.counter if evidence.arqc is RIGHT else None
    authentic = counter is not None and not card.has_seen(counter)
    if counter is not None and authentic:  # seen from now on, whatever the answer; a wrong one could be anybody's
        card = card.with_counter(counter)
    verdict = _status(card, command, generation, today) or _pin(card, command, evidence, programme, generation)
    if verdict.refusal is None:
        verdict = _cvv2(verdict, command, evidence, programme)
    if verdict.refusal is None:
        forged = evidence.arqc is not ABSENT and not authentic
        refusal = Reason.ARQC_WRONG if forged else _barred(command.entry, programme, generation)
        verdict = verdict if refusal is None else Verdict(verdict.card, refusal)
    return replace(verdict, authentic=True) if authentic else verdict


def _barred(entry: Entry, programme: Programme, generation: Generation) -> Reason | None:
    """Refuse a way of reading the card that its programme or its generation doesn't have."""
    if entry in REMOTE and not generation.online:
        return Reason.ONLINE_NOT_ALLOWED
    return Reason.TRANSACTION if not programme.chip.fallback and entry is Entry.FALLBACK else None


def _status(card: Card, command: Presented, generation: Generation, today: date) -> Verdict | None:
    refusal = STOPPED.get(card.status)
    if refusal is None and card.pin_wrong >= generation.pin_tries:
        refusal = Reason.PIN_LOCKED
    if refusal is None and _expired(card, command, today):
        refusal = Reason.CARD_EXPIRED
    return Verdict(card, refusal) if refusal else None


def _expired(card: Card, command: Presented, today: date) -> bool:
    this_month = (today.year - 2000) * 100 + today.month
    return (command.expiry or card.expiry) != card.expiry or this_month > int(card.expiry)


def _pin(card: Card, command: Presented, evidence: Evidence, programme: Programme, generation: Generation) -> Verdict:
    if evidence.pin is RIGHT:
        return Verdict(replace(card, pin_wrong=0, contactless=Cents(0)))
    match evidence.pin:
        case Check.WRONG:
            card = replace(card, pin_wrong=card.pin_wrong + 1)
            left = generation.pin_tries - card.pin_wrong
            return Verdict(card, Reason.PIN_WRONG, left) if left > 0 else Verdict(card, Reason.PIN_LOCKED)
        case Check.GARBLED:
            return Verdict(card, Reason.PIN_WRONG)
        case Check.ABSENT:
            return Verdict(card, Reason.PIN_MISSING if _needs_pin(card, command, programme) else None)


def _needs_pin(card: Card, command: Presented, programme: Programme) -> bool:
    if isinstance(command, Refund) or command.entry in REMOTE:
        return False
    if command.entry is not Entry.CONTACTLESS:
        return True
    amount = 0 if isinstance(command, Inquiry) else command.amount
    limits = programme.contactless
    return amount > limits.single or card.contactless + amount > limits.together


def _cvv2(verdict: Verdict, command: Presented, evidence: Evidence, programme: Programme) -> Verdict:
    # One that is brought where none is needed is judged all the same: no entry mode lets a thief guess uncounted.
    if evidence.cvv2 is ABSENT and command.entry not in REMOTE:
        return verdict
    card = verdict.card
    if card.cvv2_wrong >= programme.cvv2.tries:
        return Verdict(card, Reason.ONLINE_LOCKED)
    match evidence.cvv2:
        case Check.RIGHT:
            return Verdict(replace(card, cvv2_wrong=0))
        case Check.ABSENT:
            return Verdict(card, Reason.CVV_WRONG)
        case Check.WRONG | Check.GARBLED:
            return Verdict(replace(card, cvv2_wrong=card.cvv2_wrong + 1), Reason.CVV_WRONG)


def spends_without_pin(command: Purchase, evidence: Evidence) -> bool:
    """Tell whether a purchase counts on what contactless payments may come to together without a PIN."""
    return evidence.pin is ABSENT and command.entry is Entry.CONTACTLESS
