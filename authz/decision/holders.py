"""What the issuer does for a holder: their passbook, their cards, their vouchers."""

import re

from msgspec.structs import replace

from authz.decision import lots, vintages
from authz.decision.commands import Enrol, IssueCard, LiftOnlineLock, Load
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome, Reason, Reply
from authz.decision.position import Card, CardStatus, Position
from authz.decision.programme import PRODUCT_CODES
from authz.decision.refused import (
    CardIssued,
    CardUnknown,
    ExpiryMalformed,
    HolderEnrolled,
    LoadEmpty,
    LotMalformed,
)
from ledger import accounts
from ledger.values import Account, HolderId, Lot, Purse, Transfer

EXPIRY = re.compile(r"[0-9]{2}(0[1-9]|1[0-2])")


def enrol(command: Enrol, position: Position | None) -> Position:
    """Open a passbook."""
    if position is not None:
        raise HolderEnrolled
    employer = command.employer
    return Position(Purse(), employer=employer, works_days_off=command.works_days_off, employers=(employer,))


def issue(command: IssueCard, position: Position) -> Position:
    """Give a card."""
    status = CardStatus.ACTIVE if command.active else CardStatus.INACTIVE
    return add_card(position, Card(command.card, command.programme, command.generation, command.expiry, status))


def add_card(position: Position, card: Card) -> Position:
    """Put a card behind those that the holder has."""
    if position.card(card.id) is not None:
        raise CardIssued
    if not EXPIRY.fullmatch(card.expiry):
        raise ExpiryMalformed
    return replace(position, cards=(*position.cards, card))


def lift(command: LiftOnlineLock, position: Position) -> Position:
    """Let a card be used online again."""
    card = position.card(command.card)
    if card is None:
        raise CardUnknown
    return position.with_card(replace(card, cvv2_wrong=0))


def load(command: Load, position: Position, facts: Facts) -> Outcome:
    """Credit vouchers, after what is due by the date."""
    lot = Lot(command.product, command.lot, command.valid_from, command.valid_until, command.amount)
    after, moved = credit(command.holder, position, lot, accounts.issuer_float(command.product), facts)
    return Outcome(Reply(Reason.APPROVED), command.holder, after, moved)


def credit(
    holder: HolderId, position: Position, lot: Lot, source: Account, facts: Facts
) -> tuple[Position, tuple[Transfer, ...]]:
    """Credit a lot out of `source`, after what is due by the date: the position then, and all that moves."""
    position, due = vintages.post_due(holder, position, facts)
    position, transfer = add_lot(holder, position, lot, source)
    return position, (*due, transfer)


def add_lot(holder: HolderId, position: Position, lot: Lot, source: Account) -> tuple[Position, Transfer]:
    """Put a lot into a purse out of `source`, whatever is due by the date."""
    if lot.amount <= 0:
        raise LoadEmpty
    named = lot.product in PRODUCT_CODES and lot.name and ":" not in lot.name
    if not named or lot.valid_from > lot.valid_until:
        raise LotMalformed
    purse = replace(position.purse, lots=lots.add(position.purse.lots, lot))
    products = position.products if lot.product in position.products else (*position.products, lot.product)
    transfer = Transfer(source, accounts.of_holder(holder, lot.product, lot.name), lot.amount)
    return replace(position, purse=purse, products=products), transfer
