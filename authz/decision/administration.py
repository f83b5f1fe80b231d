"""What isn't a payment: the issuer's commands, those of an acquirer's host on its link, and what is due by the date.

A command that makes no sense raises a `Refused`; so does one that was done already, where doing it twice would
mean something else than doing it once. Whether a load is a repeat is for identities to say, not for this room.
"""

import re
from datetime import date, datetime, timedelta

from msgspec.structs import replace

from authz.decision import calendar, holds, lots
from authz.decision.commands import (
    Administration,
    AdoptProgramme,
    Carry,
    ChangeKey,
    CutOver,
    Enrol,
    IssueCard,
    LapseHolds,
    LiftOnlineLock,
    Load,
    NoteSweep,
    NoteWalk,
    RegisterEmployer,
    RegisterMerchant,
    SealRange,
    StopCard,
)
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome, Reason, Reply, State
from authz.decision.position import Card, CardStatus, Position
from authz.decision.programme import PRODUCT_CODES
from authz.decision.reference import (
    SWEEP_PASSBOOK,
    VINTAGES_PASSBOOK,
    BusinessDay,
    LinkKeys,
    Merchant,
    Swept,
    acquirer_passbook,
    employer_passbook,
    link_passbook,
    merchant_passbook,
    programme_passbook,
    range_passbook,
)
from authz.decision.refused import (
    BusinessDayTooFar,
    CardIssued,
    CardStopped,
    CardUnknown,
    ExpiryMalformed,
    HolderEnrolled,
    HolderUnknown,
    LoadEmpty,
    LotMalformed,
    NothingDue,
    NothingToCarry,
    RangeSealed,
    ZoneUnknown,
)
from ledger import accounts
from ledger.values import HolderId, Lot, Purse, Transfer

BUSINESS_DAYS_AHEAD_MAX = 7
"""How far ahead of the calendar a business day may be."""
BUSINESS_ZONE = "Europe/Paris"
"""Where the calendar's date is a business day, for an acquirer that hasn't cut over yet."""
SMALL_HOURS = timedelta(hours=6)
"""After midnight: a cutover then closes the day before."""
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
        case NoteSweep(through):
            return _written(SWEEP_PASSBOOK, Swept(through))
        case NoteWalk(walked):
            return _written(VINTAGES_PASSBOOK, walked)
        case Carry(passbook):
            if facts.own is None:
                raise NothingToCarry
            return _written(passbook, facts.own)
        case SealRange(manifest):
            if facts.own is not None:
                raise RangeSealed
            return _written(range_passbook(manifest.range), manifest)
        case CutOver():
            return _written(acquirer_passbook(command.acquirer), _cut_over(command, facts))
        case ChangeKey(acquirer, usage, check_value):
            known = facts.own.check_values if isinstance(facts.own, LinkKeys) else {}
            return _written(link_passbook(acquirer), LinkKeys(dict(sorted({**known, usage: check_value}.items()))))
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
        case LiftOnlineLock():
            return _written(command.holder, _lift(command, facts.position))
        case Load():
            return _load(command, facts.position)
        case LapseHolds():
            return _lapse(command, facts)


def business_date(instant: datetime) -> date:
    """Give the business day of an acquirer that never cut over: the calendar's."""
    return calendar.local_day(instant, BUSINESS_ZONE)


def day_closed_at(instant: datetime) -> date:
    """Give the calendar's day that a cutover closes: in the small hours, the day before."""
    return business_date(instant - SMALL_HOURS)


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


def _lift(command: LiftOnlineLock, position: Position) -> Position:
    card = position.card(command.card)
    if card is None:
        raise CardUnknown
    return position.with_card(replace(card, cvv2_wrong=0))


def _load(command: Load, position: Position) -> Outcome:
    if command.amount <= 0:
        raise LoadEmpty
    named = command.product in PRODUCT_CODES and command.lot and ":" not in command.lot
    if not named or command.valid_from > command.valid_until:
        raise LotMalformed
    lot = Lot(command.product, command.lot, command.valid_from, command.valid_until, command.amount)
    purse = replace(position.purse, lots=lots.add(position.purse.lots, lot))
    products = position.products if lot.product in position.products else (*position.products, lot.product)
    credited = accounts.of_holder(command.holder, lot.product, lot.name)
    transfer = Transfer(accounts.issuer_float(lot.product), credited, lot.amount)
    return Outcome(DONE, command.holder, replace(position, purse=purse, products=products), (transfer,))


def _lapse(command: LapseHolds, facts: Facts) -> Outcome:
    assert facts.position is not None
    position, transfers = holds.lapse(command.holder, facts.position, holds.over_everywhere(facts.instant))
    if not transfers:
        raise NothingDue
    return Outcome(DONE, command.holder, position, transfers)


def _cut_over(command: CutOver, facts: Facts) -> BusinessDay:
    """Find the day that begins. One that has begun already changes nothing."""
    open_now = facts.own.open if isinstance(facts.own, BusinessDay) else day_closed_at(facts.instant)
    following = max(open_now, day_closed_at(facts.instant)) + timedelta(days=1)
    begins = following if command.begins is None else max(open_now, command.begins)
    if begins > business_date(facts.instant) + timedelta(days=BUSINESS_DAYS_AHEAD_MAX):
        raise BusinessDayTooFar
    return BusinessDay(begins)
