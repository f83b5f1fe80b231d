"""What isn't a payment: reference data, an acquirer's host on its link, holders, and what is due by the date.

A command that makes no sense raises a `Refused`; so does one that was done already, where doing it twice would
mean something else than doing it once. Whether a load is a repeat is for identities to say, not for this room.
"""

from datetime import date, datetime, timedelta

from authz.decision import calendar, holders, holds, vintages
from authz.decision.commands import (
    Administration,
    AdoptProgramme,
    Carry,
    ChangeKey,
    CutOver,
    Enrol,
    ExchangeLot,
    ExpireLots,
    ForfeitLots,
    IssueCard,
    LapseHolds,
    LiftOnlineLock,
    Load,
    NoteSweep,
    NoteWalk,
    ReactivateLot,
    RegisterEmployer,
    RegisterMerchant,
    SealRange,
    StopCard,
)
from authz.decision.configuration import ConfigureLink
from authz.decision.evidence import Facts
from authz.decision.issuing import holder_cards
from authz.decision.issuing.commands import Issuing
from authz.decision.issuing.door import issue
from authz.decision.outcomes import Outcome, Reason, Reply, State
from authz.decision.position import Position
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
    HolderUnknown,
    NothingDue,
    NothingToCarry,
    RangeSealed,
    ZoneUnknown,
)
from ledger.values import HolderId

BUSINESS_DAYS_AHEAD_MAX = 7
"""How far ahead of the calendar a business day may be."""
BUSINESS_ZONE = "Europe/Paris"
"""Where the calendar's date is a business day, for an acquirer that hasn't cut over yet."""
SMALL_HOURS = timedelta(hours=6)
"""After midnight: a cutover then closes the day before."""
DONE = Reply(Reason.APPROVED)


def administer(command: Administration, facts: Facts) -> Outcome:
    """Do what is said or due, or raise a `Refused`. Commands on a holder need that holder's position in `facts`."""
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
        case ConfigureLink(link):
            return _written(command.holder, link)
        case Enrol():
            return _written(command.holder, holders.enrol(command, facts.position))
        case Issuing():
            return issue(command, facts)
    position = facts.position
    if position is None:
        raise HolderUnknown
    match command:
        case IssueCard():
            return _written(command.holder, holders.issue(command, position))
        case StopCard():
            return _written(command.holder, holder_cards.stop(command, position))
        case LiftOnlineLock():
            return _written(command.holder, holders.lift(command, position))
        case Load():
            return holders.load(command, position, facts)
        case LapseHolds():
            return _lapse(command, position, facts)
        case ExpireLots() | ForfeitLots() | ExchangeLot() | ReactivateLot():
            return vintages.age(command, position, facts)


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


def _lapse(command: LapseHolds, position: Position, facts: Facts) -> Outcome:
    position, transfers = holds.lapse(command.holder, position, holds.over_everywhere(facts.instant))
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
