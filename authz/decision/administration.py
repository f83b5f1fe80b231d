"""What comes from the issuer: rules and reference data, holders, their cards, and the loads.

A command that makes no sense raises a `Refused`; so does one that was done already, where doing it twice would
mean something else than doing it once. Whether a load is a repeat is for identities to say, not for this room.
"""

import re

from msgspec.structs import replace

from authz.decision import calendar, lots
from authz.decision.commands import (
    Administration,
    AdoptProgramme,
    Enrol,
    IssueCard,
    Load,
    RegisterEmployer,
    RegisterMerchant,
    StopCard,
)
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome, Reason, Reply, State
from authz.decision.position import Card, CardStatus, Position
from authz.decision.programme import PRODUCT_CODES
from authz.decision.reference import Merchant, employer_passbook, merchant_passbook, programme_passbook
from authz.decision.refused import (
    CardIssued,
    CardStopped,
    CardUnknown,
    ExpiryMalformed,
    HolderEnrolled,
    HolderUnknown,
    LoadEmpty,
    LotMalformed,
    ZoneUnknown,
)
from ledger import accounts
from ledger.values import HolderId, Lot, Purse, Transfer

DONE = Reply(Reason.APPROVED)
EXPIRY = re.compile(r"[0-9]{2}(0[1-9]|1[0-2])")


def administer(command: Administration, facts: Facts) -> Outcome:
    """Do what the issuer says, or raise a `Refused`. Commands on a holder need that holder's position in `facts`."""
    match command:
        case AdoptProgramme(programme):
            return _written(programme_passbook(programme.id), programme)
        case RegisterMerchant(merchant):
            return _written(merchant_passbook(merchant.id), _checked(merchant))
        case RegisterEmployer(employer):
            return _written(employer_passbook(employer.id), employer)
        case Enrol(holder, employer_id, works_days_off):
            if facts.position is not None:
                raise HolderEnrolled
            return _written(holder, Position(Purse(), employer=employer_id, works_days_off=works_days_off))
    if facts.position is None:
        raise HolderUnknown
    match command:
        case IssueCard():
            return _written(command.holder, _issue(command, facts.position))
        case StopCard():
            return _written(command.holder, _stop(command, facts.position))
        case Load():
            return _load(command, facts.position)


def _written(holder: HolderId, state: State) -> Outcome:
    return Outcome(DONE, holder, state)


def _checked(merchant: Merchant) -> Merchant:
    try:
        calendar.zone(merchant.time_zone)
    except ValueError:
        raise ZoneUnknown from None
    return merchant


def _issue(command: IssueCard, position: Position) -> Position:
    if position.card(command.card) is not None:
        raise CardIssued
    if not EXPIRY.fullmatch(command.expiry):
        raise ExpiryMalformed
    status = CardStatus.ACTIVE if command.active else CardStatus.INACTIVE
    card = Card(command.card, command.programme, command.generation, command.expiry, status)
    return replace(position, cards=(*position.cards, card))


def _stop(command: StopCard, position: Position) -> Position:
    card = position.card(command.card)
    if card is None:
        raise CardUnknown
    if card.status not in (CardStatus.ACTIVE, CardStatus.INACTIVE):
        raise CardStopped
    return position.with_card(replace(card, status=CardStatus(command.because)))


def _load(command: Load, position: Position) -> Outcome:
    if command.amount <= 0:
        raise LoadEmpty
    named = command.product in PRODUCT_CODES and command.lot and ":" not in command.lot
    if not named or command.valid_from > command.valid_until:
        raise LotMalformed
    lot = Lot(command.product, command.lot, command.valid_from, command.valid_until, command.amount)
    purse = Purse(lots.add(position.purse.lots, lot), position.purse.holds)
    products = position.products if lot.product in position.products else (*position.products, lot.product)
    credited = accounts.of_holder(command.holder, lot.product, lot.name)
    transfer = Transfer(accounts.issuer_float(lot.product), credited, lot.amount)
    return Outcome(DONE, command.holder, replace(position, purse=purse, products=products), (transfer,))
