"""Offers: a maximum, with a card for everyone, that binds to nothing; accepting one opens an account, or adds to it."""

from datetime import date, datetime

from msgspec.structs import replace

from authz.decision.calendar import local_day
from authz.decision.evidence import Facts
from authz.decision.issuing.commands import AcceptOffer, MakeOffer, WithdrawOffer
from authz.decision.issuing.costs import most_of
from authz.decision.issuing.lives import OFFER, OfferEvent, step
from authz.decision.issuing.states import WANTED_MAX, Format, Offer, OfferStatus, Wanted
from authz.decision.programme import PRODUCT_CODES
from authz.decision.refused import (
    NamedTwice,
    OfferClosed,
    OfferEmpty,
    OfferMade,
    OfferOver,
    OfferTooLong,
    OfferUnknown,
    PaperOver,
    ProductUnknown,
)

ISSUER_ZONE = "Europe/Paris"
"""Where the issuer's office is: an offer's last day is over when it is over there."""
PAPER_OVER = frozenset({"92", "93"})
"""Products whose paper vouchers can't be ordered any more: eco and gift."""


def offer(command: MakeOffer | AcceptOffer | WithdrawOffer, facts: Facts) -> Offer:
    """Make an offer, accept it or take it back."""
    if isinstance(command, MakeOffer):
        return _made(command, facts)
    known, today = facts.own, issuer_day(facts.instant)
    if not isinstance(known, Offer):
        raise OfferUnknown
    match command:
        case AcceptOffer(client=client):
            status = step(OFFER, status_on(known, today), OfferEvent.ACCEPTANCE, OfferClosed)
            return replace(known, status=status, client=client)
        case WithdrawOffer():
            return replace(known, status=step(OFFER, status_on(known, today), OfferEvent.WITHDRAWAL, OfferClosed))


def status_on(offer: Offer, day: date) -> OfferStatus:
    """Tell where an offer is in its life on a day: one that nobody accepted lapses when its last day is over."""
    if offer.status is OfferStatus.OPEN and offer.until < day:
        return OFFER[OfferStatus.OPEN][OfferEvent.LAST_DAY_OVER]
    return offer.status


def issuer_day(instant: datetime) -> date:
    """Give the date at the issuer's office."""
    return local_day(instant, ISSUER_ZONE)


def _made(command: MakeOffer, facts: Facts) -> Offer:
    if facts.own is not None:
        raise OfferMade
    if command.until < issuer_day(facts.instant):
        raise OfferOver
    _check(command.wanted)
    return Offer(
        id=command.offer,
        programme=command.programme,
        company=command.company,
        territory=command.territory,
        contact=command.contact,
        wanted=command.wanted,
        tariff=command.tariff,
        maximum=most_of(command.wanted, command.tariff),
        until=command.until,
    )


def _check(wanted: tuple[Wanted, ...]) -> None:
    if not wanted:
        raise OfferEmpty
    if len(wanted) > WANTED_MAX:
        raise OfferTooLong
    if len({(one.product, one.format) for one in wanted}) < len(wanted):
        raise NamedTwice
    for one in wanted:
        if one.product not in PRODUCT_CODES:
            raise ProductUnknown
        if one.format is Format.PAPER and one.product in PAPER_OVER:
            raise PaperOver
