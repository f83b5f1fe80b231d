"""Commands of the issuer: what they write, what they refuse."""

from datetime import date

import pytest
from msgspec.structs import replace

from authz.decision.commands import (
    AdoptProgramme,
    CardId,
    Command,
    Enrol,
    IssueCard,
    Load,
    RegisterEmployer,
    RegisterMerchant,
    StopCard,
)
from authz.decision.decide import decide
from authz.decision.evidence import Facts
from authz.decision.outcomes import Reason
from authz.decision.position import Card, CardStatus, Position
from authz.decision.reference import Employer
from authz.decision.refused import (
    CardIssued,
    CardStopped,
    CardUnknown,
    ExpiryMalformed,
    HolderEnrolled,
    HolderUnknown,
    LoadEmpty,
    LotDiffers,
    LotMalformed,
    Refused,
    ZoneUnknown,
)
from ledger.values import Account, Cents, Lot, Purse, Transfer
from tests.decision.world import APETIZ, BISTROT, CARD, HOLDER, NOTHING, TUESDAY, after, position, vintage

ENROLLED = position(vintage(2026, 1000))
ISSUE = IssueCard(HOLDER, CardId("c2"), "apetiz", 2, "2911")
STOP = StopCard(HOLDER, CARD, "stolen")
LOAD = Load(HOLDER, "90", "2026", date(2026, 1, 1), date(2027, 2, 28), Cents(500))


def knowing(at: Position | None) -> Facts:
    return Facts(TUESDAY, NOTHING, at, HOLDER if at else None)


@pytest.mark.parametrize(
    ("command", "passbook"),
    [
        (AdoptProgramme(APETIZ), "programme:apetiz"),
        (RegisterMerchant(BISTROT), "merchant:FR0000000000001"),
        (RegisterEmployer(Employer("E1", "Atelier Durand", "apetiz")), "employer:E1"),
    ],
)
def test_reference_data_stands_in_passbooks_of_its_own(command: Command, passbook: str) -> None:
    outcome = decide(command, knowing(None))
    assert outcome.reply.reason is Reason.APPROVED
    assert outcome.holder == passbook
    assert outcome.state in [getattr(command, name) for name in command.__struct_fields__]
    assert outcome.transfers == ()


def test_a_holder_is_enrolled_with_an_empty_purse() -> None:
    outcome = decide(Enrol(HOLDER, "E2", works_days_off=True), knowing(None))
    assert outcome.holder == HOLDER
    assert outcome.state == Position(Purse(), employer="E2", works_days_off=True, employers=("E2",))


@pytest.mark.parametrize(("active", "status"), [(True, CardStatus.ACTIVE), (False, CardStatus.INACTIVE)])
def test_a_card_is_added_to_those_the_holder_has(active: bool, status: CardStatus) -> None:
    cards = after(decide(replace(ISSUE, active=active), knowing(ENROLLED))).cards
    assert cards == (*ENROLLED.cards, Card("c2", "apetiz", 2, "2911", status))


@pytest.mark.parametrize("because", ["lost", "stolen", "fraud", "replaced"])
def test_a_card_is_stopped_for_good(because: str) -> None:
    stop = replace(STOP, because=because)
    stopped = after(decide(stop, knowing(ENROLLED)))
    assert stopped.cards[0].status == because
    with pytest.raises(CardStopped):
        decide(stop, knowing(stopped))


def test_a_load_comes_from_the_float_into_the_lot_of_its_name() -> None:
    outcome = decide(LOAD, knowing(ENROLLED))
    assert outcome.transfers == (Transfer(Account("issuer:float:90"), Account("holder:h1:90:2026"), Cents(500)),)
    assert after(outcome).purse == Purse((vintage(2026, 1500),))


def test_lots_stand_oldest_expiry_first_however_they_are_loaded() -> None:
    at = ENROLLED
    for year in (2029, 2027, 2028):
        lot = vintage(year, 100)
        at = after(decide(Load(HOLDER, "90", lot.name, lot.valid_from, lot.valid_until, lot.amount), knowing(at)))
    assert [lot.name for lot in at.purse.lots] == ["2026", "2027", "2028", "2029"]


def test_a_product_is_held_once_it_has_been_loaded() -> None:
    empty = position(products=())
    once = after(decide(LOAD, knowing(empty)))
    assert after(decide(LOAD, knowing(once))).products == ("90",)


@pytest.mark.parametrize(
    ("command", "at", "refusal"),
    [
        (Enrol(HOLDER, "E1"), ENROLLED, HolderEnrolled),
        (ISSUE, None, HolderUnknown),
        (STOP, None, HolderUnknown),
        (LOAD, None, HolderUnknown),
        (replace(ISSUE, card=CARD), ENROLLED, CardIssued),
        (replace(ISSUE, expiry="2913"), ENROLLED, ExpiryMalformed),
        (replace(ISSUE, expiry="29-1"), ENROLLED, ExpiryMalformed),
        (replace(STOP, card=CardId("c9")), ENROLLED, CardUnknown),
        (replace(LOAD, amount=Cents(0)), ENROLLED, LoadEmpty),
        (replace(LOAD, amount=Cents(-1)), ENROLLED, LoadEmpty),
        (replace(LOAD, product="00"), ENROLLED, LotMalformed),
        (replace(LOAD, lot=""), ENROLLED, LotMalformed),
        (replace(LOAD, lot="2026:x"), ENROLLED, LotMalformed),
        (replace(LOAD, valid_from=date(2027, 3, 1)), ENROLLED, LotMalformed),
        (replace(LOAD, valid_until=date(2027, 3, 1)), ENROLLED, LotDiffers),
        (RegisterMerchant(replace(BISTROT, time_zone="Europe/Lyon")), None, ZoneUnknown),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_line(
    command: Command, at: Position | None, refusal: type[Refused]
) -> None:
    with pytest.raises(refusal) as caught:
        decide(command, knowing(at))
    assert str(caught.value) == refusal.__doc__
    assert "\n" not in str(caught.value)


def test_lots_of_two_products_may_share_a_name() -> None:
    eco = Load(HOLDER, "92", "2026", date(2026, 5, 12), date(2028, 5, 12), Cents(100))
    lots = after(decide(eco, knowing(ENROLLED))).purse.lots
    assert lots == (vintage(2026, 1000), Lot("92", "2026", eco.valid_from, eco.valid_until, Cents(100)))


def test_a_load_leaves_what_expired_and_waits_to_be_exchanged() -> None:
    waiting = replace(ENROLLED, purse=replace(ENROLLED.purse, expired=(vintage(2025, 700),)))
    assert after(decide(LOAD, knowing(waiting))).purse == Purse((vintage(2026, 1500),), (), (vintage(2025, 700),))
