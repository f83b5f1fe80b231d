"""What the issuer does for a holder: their passbook, their cards, their vouchers."""

import re

from msgspec.structs import replace

from authz.decision import lots, vintages
from authz.decision.commands import Enrol, IssueCard, LiftOnlineLock, Load, StopCard
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome, Reason, Reply
from authz.decision.position import Card, CardStatus, Position
from authz.decision.programme import PRODUCT_CODES
from authz.decision.refused import (
    CardIssued,
    CardStopped,
    CardUnknown,
    ExpiryMalformed,
    HolderEnrolled,
    LoadEmpty,
    LotMalformed,
)
from ledger import accounts
from ledger.values import Lot, Purse, Transfer

EXPIRY = re.compile(r"[0-9]{2}(0[1-9]|1[0-2])")


def enrol(command: Enrol, position: Position | None) -> Position:
    """Open a passbook."""
    if position is not None:
        raise HolderEnrolled
    return Position(Purse(), employer=command.employer, works_days_off=command.works_days_off)


def issue(command: IssueCard, position: Position) -> Position:
    """Give a card."""
    if position.card(command.card) is not None:
        raise CardIssued
    if not EXPIRY.fullmatch(command.expiry):
        raise ExpiryMalformed
    status = CardStatus.ACTIVE if command.active else CardStatus.INACTIVE
    card = Card(command.card, command.programme, command.generation, command.expiry, status)
    return replace(position, cards=(*position.cards, card))


def stop(command: StopCard, position: Position) -> Position:
    """Stop a card, for good."""
    card = _card(command, position)
    if card.status not in (CardStatus.ACTIVE, CardStatus.INACTIVE):
        raise CardStopped
    return position.with_card(replace(card, status=CardStatus(command.because)))


def lift(command: LiftOnlineLock, position: Position) -> Position:
    """Let a card be used online again."""
    return position.with_card(replace(_card(command, position), cvv2_wrong=0))


def load(command: Load, position: Position, facts: Facts) -> Outcome:
    """Credit vouchers, after what is due by the date."""
    if command.amount <= 0:
        raise LoadEmpty
    named = command.product in PRODUCT_CODES and command.lot and ":" not in command.lot
    if not named or command.valid_from > command.valid_until:
        raise LotMalformed
    position, due = vintages.post_due(command.holder, position, facts)
    lot = Lot(command.product, command.lot, command.valid_from, command.valid_until, command.amount)
    purse = replace(position.purse, lots=lots.add(position.purse.lots, lot))
    products = position.products if lot.product in position.products else (*position.products, lot.product)
    credited = accounts.of_holder(command.holder, lot.product, lot.name)
    transfer = Transfer(accounts.issuer_float(lot.product), credited, lot.amount)
    after = replace(position, purse=purse, products=products)
    return Outcome(Reply(Reason.APPROVED), command.holder, after, (*due, transfer))


def _card(command: StopCard | LiftOnlineLock, position: Position) -> Card:
    card = position.card(command.card)
    if card is None:
        raise CardUnknown
    return card
