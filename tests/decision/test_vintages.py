"""What becomes of a lot after its last day, by example: each rule by its name and source (docs/vintages.md)."""

from datetime import date, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision import vintages
from authz.decision.commands import ExchangeLot, ExpireLots, ForfeitLots, Load, ReactivateLot
from authz.decision.decide import decide
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome, Reason
from authz.decision.position import Position
from authz.decision.programme import DAYS_MAX, Forfeit, Product, vintage_dates
from authz.decision.refused import (
    ExchangeOver,
    HolderUnknown,
    LotDiffers,
    NotExchanged,
    NothingDue,
    NothingWaits,
    NotReactivated,
    ProgrammeUnknown,
    ReactivatedBefore,
    ReactivationOver,
    Refused,
)
from ledger.values import Cents, Lot, Part
from tests.decision.history import REFUNDING, History, done, moved, told
from tests.decision.world import (
    APETIZ,
    BISTROT,
    GUADELOUPE,
    HOLDER,
    NOTHING,
    PLUXEE,
    REUNION,
    SNACK,
    advice,
    after,
    completion,
    inquiry,
    locally,
    months,
    paris,
    position,
    purchase,
    reversal,
    vintage,
)

NEVER_CLOSED = replace(REFUNDING, days_off=())
EXPIRE, FORFEIT = ExpireLots(HOLDER), ForfeitLots(HOLDER, date(2026, 12, 31))
"""The walk before it was through on a day before any lot here falls."""
EXCHANGE = ExchangeLot(HOLDER, "90", "2026")
LUNCH = months("91", 1000)
"""Belgian lunch vouchers whose last day is 12 May 2027."""
REACTIVATE = ReactivateLot(HOLDER, "91", LUNCH.name)
PRODUCTS: tuple[Product, ...] = (*APETIZ.products, *PLUXEE.products)
FIRST_OF_MARCH = paris("2027-03-01T00:00:00")


def french(*loaded: Lot, at: str = "2027-03-01T00:30:00") -> History:
    return History(*loaded, at=paris(at), programme=NEVER_CLOSED)


def belgian(*loaded: Lot, at: str = "2027-05-13T00:30:00") -> History:
    return History(*loaded, at=paris(at), programme=PLUXEE, merchant=SNACK)


def expired(*loaded: Lot, at: str = "2027-03-01T00:30:00") -> History:
    """A holder whose lots of 2026 expired, and were swept."""
    history = french(*loaded or (vintage(2026, 700), vintage(2027, 5000)), at=at)
    history.do(EXPIRE)
    return history


def ids(outcome: Outcome) -> list[tuple[str, str, int]]:
    return [(one.debit, one.credit, one.amount) for one in outcome.transfers]


# Expiry


@pytest.mark.parametrize("amount", [1, 700])
def test_a_lot_expires_at_the_programmes_midnight_after_its_last_day_r3262_5(amount: int) -> None:
    history = french(vintage(2026, amount), vintage(2027, 5000), at="2027-02-28T23:59:59")
    with pytest.raises(NothingDue):
        history.do(EXPIRE)
    history.later(seconds=1)
    assert ids(history.do(EXPIRE)) == [("holder:h1:90:2026", "expired:h1:90:2026", amount)]
    assert history.position.purse.expired == (vintage(2026, amount),)
    assert history.position.purse.lots == (vintage(2027, 5000),)


def test_in_a_leap_year_a_vintage_is_spent_on_29_february_too_r3262_5() -> None:
    history = french(vintage(2027, 1000), at="2028-02-29T23:59:59")
    with pytest.raises(NothingDue):
        history.do(EXPIRE)
    assert told(history.do(purchase(300, reference="lunch"))) == done(holder_to_payable=300)
    history.later(seconds=1)
    assert moved(history.do(EXPIRE)) == {"holder to expired": 700}


@pytest.mark.parametrize("command", [EXPIRE, FORFEIT], ids=["expire", "forfeit"])
def test_what_was_done_is_not_due_again(command: ExpireLots | ForfeitLots) -> None:
    history = french(vintage(2026, 700), at="2027-04-01T00:30:00")
    history.do(command)
    with pytest.raises(NothingDue):
        history.do(command)


def test_belgian_lots_expire_at_the_midnight_of_brussels() -> None:
    history = belgian(LUNCH, at="2027-05-12T23:59:59")
    with pytest.raises(NothingDue):
        history.do(EXPIRE)
    history.later(seconds=1)
    assert moved(history.do(EXPIRE)) == {"holder to expired": 1000}


@pytest.mark.parametrize("command", [EXPIRE, FORFEIT, EXCHANGE, REACTIVATE], ids=lambda one: type(one).__name__)
def test_lots_do_not_age_by_rules_that_nobody_knows(
    command: ExpireLots | ForfeitLots | ExchangeLot | ReactivateLot,
) -> None:
    at = position(vintage(2026, 700))
    with pytest.raises(ProgrammeUnknown):
        decide(command, Facts(FIRST_OF_MARCH, NOTHING, at, HOLDER))
    with pytest.raises(HolderUnknown):
        decide(command, Facts(FIRST_OF_MARCH, NOTHING, None, None, programme=APETIZ))


# What is due is posted first, in the same record


def test_a_load_posts_what_is_due_first() -> None:
    history = french(vintage(2026, 700))
    outcome = history.do(Load(HOLDER, "90", "2027", *vintage_dates(2027), Cents(5000)))
    assert ids(outcome) == [
        ("holder:h1:90:2026", "expired:h1:90:2026", 700),
        ("issuer:float:90", "holder:h1:90:2027", 5000),
    ]


def test_a_reversal_posts_what_is_due_first() -> None:
    history = french(vintage(2026, 700), vintage(2027, 5000), at="2027-02-28T20:00:00")
    history.do(purchase(900, reference="lunch"))
    history.do(Load(HOLDER, "90", "2026", *vintage_dates(2026), Cents(300)))
    history.later(hours=5)
    assert ids(history.do(reversal("lunch")))[0] == ("holder:h1:90:2026", "expired:h1:90:2026", 300)
    assert history.position.purse.expired == (vintage(2026, 1000),)
    assert history.position.purse.lots == (vintage(2027, 5000),)


def test_an_exchange_posts_what_is_due_first() -> None:
    history = french(vintage(2026, 700), vintage(2027, 5000))
    assert ids(history.do(EXCHANGE)) == [
        ("holder:h1:90:2026", "expired:h1:90:2026", 700),
        ("expired:h1:90:2026", "holder:h1:90:2027", 700),
    ]


def test_a_reactivation_posts_what_is_due_first() -> None:
    history = belgian(LUNCH)
    assert ids(history.do(REACTIVATE)) == [
        ("holder:h1:91:2026-05-12", "expired:h1:91:2026-05-12", 1000),
        ("expired:h1:91:2026-05-12", "holder:h1:91:2026-05-12-reactivated", 1000),
    ]


def test_a_forfeit_posts_what_is_due_first_so_that_late_sweeps_may_come_in_any_order() -> None:
    swept, late = (
        french(vintage(2026, 700), at="2027-03-31T00:00:00"),
        french(vintage(2026, 700), at="2027-03-31T00:00:00"),
    )
    swept.do(EXPIRE)
    swept.do(FORFEIT)
    assert moved(late.do(FORFEIT)) == {"holder to expired": 700, "expired to pool": 700}
    assert (late.position, +late.balances) == (swept.position, +swept.balances)


def test_the_money_of_a_hold_that_lapsed_is_exchanged_with_the_rest() -> None:
    history = french(vintage(2026, 700), at="2027-02-27T12:00:00")
    history.do(purchase(500, reference="table", holds=True))
    history.later(days=9)
    outcome = history.do(EXCHANGE)
    assert moved(outcome) == {"hold to holder": 500, "holder to expired": 700, "expired to holder": 700}
    assert history.position.purse.lots == (vintage(2027, 700),)


# A day isn't over everywhere at the programme's midnight


@pytest.mark.parametrize("command", [EXPIRE, Load(HOLDER, "90", "2027", *vintage_dates(2027), Cents(1))])
def test_no_hold_is_released_while_its_last_day_goes_on_somewhere(command: ExpireLots | Load) -> None:
    history = french(vintage(2026, 1900), vintage(2027, 1000), at="2027-02-21T12:00:00")
    history.do(purchase(500, reference="table", holds=True), merchant=GUADELOUPE)
    history.instant = paris("2027-03-01T00:30:00")
    history.do(command)
    outcome = history.do(completion(600, "table"), merchant=GUADELOUPE)
    assert moved(outcome) == {"hold to payable": 500, "exceptions to payable": 100}


def test_a_lot_that_the_sweep_moved_is_spent_where_its_last_day_is_not_over() -> None:
    history = expired()
    outcome = history.do(purchase(500, reference="lunch"), merchant=GUADELOUPE)
    assert ids(outcome) == [
        ("expired:h1:90:2026", "holder:h1:90:2026", 700),
        ("holder:h1:90:2026", "acquirer:970001:payable", 500),
    ]
    assert history.position.purse.lots == (vintage(2026, 200), vintage(2027, 5000))
    assert moved(history.do(EXPIRE)) == {"holder to expired": 200}


def test_a_balance_counts_it_there_and_moves_nothing() -> None:
    history = expired()
    there = history.do(inquiry(reference="there"), merchant=GUADELOUPE)
    here = history.do(inquiry(reference="here"))
    assert (there.reply.balances[0].available, here.reply.balances[0].available) == (5700, 5000)
    assert there.transfers == here.transfers == ()


def test_it_is_set_aside_there_too() -> None:
    history = expired(vintage(2026, 700))
    outcome = history.do(purchase(700, reference="table", holds=True), merchant=GUADELOUPE)
    assert moved(outcome) == {"expired to holder": 700, "holder to hold": 700}


def test_a_lot_that_is_over_at_the_merchant_is_not_spent_though_the_programmes_day_is_not() -> None:
    history = french(vintage(2026, 700), at="2027-02-28T23:00:00")
    assert history.do(purchase(700, reference="there"), merchant=REUNION).reply.reason is Reason.VINTAGE_EXPIRED
    assert history.do(purchase(700, reference="here")).reply.reason is Reason.APPROVED


@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize("merchant", [BISTROT, REUNION], ids=["Paris", "Reunion"])
def test_a_lot_that_is_over_at_both_places_is_never_spent(swept: bool, merchant: object) -> None:
    history = expired(vintage(2026, 700)) if swept else french(vintage(2026, 700))
    outcome = history.do(purchase(1, reference="lunch"), merchant=merchant)
    assert (outcome.reply.reason, outcome.transfers) == (Reason.VINTAGE_EXPIRED, ())


@pytest.mark.parametrize("swept", [True, False])
@pytest.mark.parametrize(("amount", "reason"), [(1200, Reason.VINTAGE_EXPIRED), (1201, Reason.NO_FUNDS)])
def test_vintage_expired_says_that_it_would_do_together_with_what_waits(
    swept: bool, amount: int, reason: Reason
) -> None:
    loaded = (vintage(2026, 700), vintage(2027, 500))
    history = expired(*loaded) if swept else french(*loaded)
    assert history.do(purchase(amount, reference="lunch")).reply.reason is reason


@pytest.mark.parametrize("days_late", [1, 3])
def test_an_offline_advice_takes_what_was_valid_on_its_own_day(days_late: int) -> None:
    history = expired(vintage(2026, 700))
    history.later(days=days_late - 1)
    outcome = history.do(advice(500, origin=locally("2027-02-28T20:00:00")))
    assert (outcome.reply.redated, moved(outcome)) == (False, {"expired to holder": 700, "holder to payable": 500})


def test_an_advice_that_comes_too_late_for_its_day_takes_nothing_that_expired() -> None:
    history = expired(vintage(2026, 700))
    history.later(days=3)
    outcome = history.do(advice(500, origin=locally("2027-02-28T20:00:00")))
    assert (outcome.reply.redated, moved(outcome)) == (True, {"exceptions to payable": 500})


def test_a_hold_made_offline_sets_aside_what_was_valid_on_its_own_day_and_is_captured_after_it() -> None:
    history = expired(vintage(2026, 700))
    told_late = history.do(advice(700, reference="table", holds=True, origin=locally("2027-02-28T20:00:00")))
    assert moved(told_late) == {"expired to holder": 700, "holder to hold": 700}
    history.later(days=2)
    assert told(history.do(completion(700, "table"))) == done(hold_to_payable=700)


def test_the_completion_of_a_hold_that_lapsed_takes_what_was_valid_on_its_own_day() -> None:
    history = french(vintage(2026, 700), at="2027-02-20T12:00:00")
    history.do(purchase(700, reference="table", holds=True))
    history.later(days=9)
    history.do(EXPIRE)
    assert history.position.purse.expired == (vintage(2026, 700),)
    outcome = history.do(completion(700, "table", origin=locally("2027-02-27T21:00:00")))
    assert moved(outcome) == {"expired to holder": 700, "holder to payable": 700}


# Exchange


@pytest.mark.parametrize("day", ["2027-03-01T00:00:00", "2027-03-15T23:59:59"])
def test_an_expired_vintage_is_exchanged_free_for_the_next_until_15_march_r3262_5(day: str) -> None:
    history = french(vintage(2026, 700), at=day)
    assert moved(history.do(EXCHANGE)) == {"holder to expired": 700, "expired to holder": 700}
    assert history.position.purse.lots == (vintage(2027, 700),)
    assert history.position.purse.expired == ()


@pytest.mark.parametrize(
    ("lot", "day"), [(vintage(2026, 700), "2027-03-16T00:00:00"), (vintage(2027, 700), "2028-03-16T00:00:00")]
)
def test_from_16_march_on_it_is_too_late_to_ask_r3262_5(lot: Lot, day: str) -> None:
    with pytest.raises(ExchangeOver):
        french(lot, at=day).do(ExchangeLot(HOLDER, "90", lot.name))


def test_in_a_leap_year_the_fortnight_ends_on_15_march_too_r3262_5() -> None:
    history = french(vintage(2027, 700), at="2028-03-15T23:59:59")
    history.do(ExchangeLot(HOLDER, "90", "2027"))
    assert history.position.purse.lots == (vintage(2028, 700),)


@pytest.mark.parametrize(
    ("day", "lot", "refusal"),
    [
        ("2027-02-28T23:59:59", "2026", NothingWaits),
        ("2027-03-01T00:00:00", "2025", NothingWaits),
        ("2027-03-01T00:00:00", "2027", NothingWaits),
    ],
    ids=["valid still", "not there", "valid"],
)
def test_only_what_waits_is_exchanged(day: str, lot: str, refusal: type[Refused]) -> None:
    history = french(vintage(2026, 700), vintage(2027, 500), at=day)
    with pytest.raises(refusal):
        history.do(ExchangeLot(HOLDER, "90", lot))


def test_it_is_exchanged_once() -> None:
    history = expired()
    history.do(EXCHANGE)
    with pytest.raises(NothingWaits):
        history.do(EXCHANGE)


def test_what_is_exchanged_joins_the_lot_that_the_employer_loaded() -> None:
    history = expired()
    history.do(EXCHANGE)
    assert history.position.purse.lots == (vintage(2027, 5700),)


def test_what_is_exchanged_lives_as_long_as_the_lot_that_it_joins_and_the_employers_loads_go_on() -> None:
    other = Lot("90", "2027", date(2027, 1, 1), date(2027, 12, 31), Cents(5000))
    history = expired(vintage(2026, 700), other)
    history.do(EXCHANGE)
    assert history.position.purse.lots == (replace(other, amount=Cents(5700)),)
    history.do(Load(HOLDER, "90", "2027", other.valid_from, other.valid_until, Cents(100)))
    with pytest.raises(LotDiffers):
        history.do(Load(HOLDER, "90", "2027", *vintage_dates(2027), Cents(100)))


def test_a_vintage_that_the_employer_ended_early_is_exchanged_for_the_one_after_its_name() -> None:
    early = Lot("90", "2026", date(2026, 1, 1), date(2026, 12, 31), Cents(700))
    history = french(early, at="2027-01-15T12:00:00")
    history.do(EXCHANGE)
    assert history.position.purse.lots == (vintage(2027, 700),)


@pytest.mark.parametrize("name", ["bonus", "9999", "2019", "²026"])
def test_a_lot_whose_name_is_no_vintage_of_its_days_is_not_exchanged(name: str) -> None:
    history = french(replace(vintage(2026, 700), name=name))
    with pytest.raises(NotExchanged):
        history.do(ExchangeLot(HOLDER, "90", name))


def test_belgian_vouchers_are_not_exchanged() -> None:
    with pytest.raises(NotExchanged):
        belgian(LUNCH).do(ExchangeLot(HOLDER, "91", LUNCH.name))


def test_money_that_comes_back_to_a_vintage_that_was_exchanged_can_be_exchanged_too() -> None:
    history = french(vintage(2026, 700), at="2027-02-27T12:00:00")
    history.do(purchase(300, reference="lunch"))
    history.later(days=5)
    history.do(EXCHANGE)
    history.do(reversal("lunch"))
    history.do(EXCHANGE)
    assert history.position.purse.lots == (vintage(2027, 700),)


# Forfeit


@pytest.mark.parametrize(("lot", "last"), [(vintage(2026, 700), "2027-03-30"), (vintage(2027, 700), "2028-03-30")])
def test_what_nobody_exchanged_falls_to_the_issuers_pool_on_31_march_r3262_13_14(lot: Lot, last: str) -> None:
    history = french(lot, at=f"{last}T23:59:59")
    history.do(EXPIRE)
    with pytest.raises(NothingDue):
        history.do(FORFEIT)
    history.later(seconds=1)
    assert ids(history.do(FORFEIT)) == [(f"expired:h1:90:{lot.name}", "issuer:pool:90", 700)]
    assert history.position.purse == replace(history.position.purse, lots=(), expired=())
    assert history.balance("issuer:pool:90") == 700


@pytest.mark.parametrize(
    ("until", "last"),
    [(date(2027, 5, 12), "2027-08-12"), (date(2026, 11, 30), "2027-02-28"), (date(2027, 11, 30), "2028-02-29")],
)
@pytest.mark.parametrize("product", ["91", "93"], ids=["lunch", "gift"])
def test_belgian_vouchers_fall_the_day_after_nobody_can_ask_any_more(product: str, until: date, last: str) -> None:
    history = belgian(months(product, 1000, until), at=f"{last}T23:59:59")
    history.do(EXPIRE)
    with pytest.raises(NothingDue):
        history.do(FORFEIT)
    history.later(seconds=1)
    assert moved(history.do(FORFEIT)) == {"expired to pool": 1000}


def test_money_that_comes_back_after_the_fall_waits_for_the_same_day_of_the_next_year() -> None:
    history = french(vintage(2026, 700), at="2027-02-27T12:00:00")
    history.do(purchase(300, reference="lunch"))
    history.instant = paris("2027-03-31T00:00:00")
    assert moved(history.do(FORFEIT)) == {"holder to expired": 400, "expired to pool": 400}
    history.later(hours=9)
    history.do(reversal("lunch"))
    history.instant = paris("2028-03-30T23:59:59")
    with pytest.raises(NothingDue):
        history.do(ForfeitLots(HOLDER, date(2027, 3, 31)))
    assert history.position.purse.expired == (vintage(2026, 300),)
    history.later(seconds=1)
    assert moved(history.do(ForfeitLots(HOLDER, date(2028, 3, 30)))) == {"expired to pool": 300}
    assert history.balance("issuer:pool:90") == 700


@pytest.mark.parametrize(("since", "falls"), [(date(2027, 3, 30), True), (date(2027, 3, 31), False)])
def test_a_late_walk_lets_fall_what_had_its_day_since_the_walk_before_it(since: date, falls: bool) -> None:
    history = french(vintage(2026, 700), at="2027-04-15T12:00:00")
    history.do(EXPIRE)
    due = vintages.due(history.position, since, date(2027, 4, 15), PRODUCTS)
    assert due == ((ForfeitLots,) if falls else ())
    if falls:
        assert moved(history.do(ForfeitLots(HOLDER, since))) == {"expired to pool": 700}
    else:
        with pytest.raises(NothingDue):
            history.do(ForfeitLots(HOLDER, since))


def test_what_enters_a_ledger_after_its_day_has_passed_is_there_to_be_told_of() -> None:
    """Vouchers of the year before, entered in May: the answer is that they expired, not that there were none."""
    history = french(vintage(2025, 3000), at="2026-05-12T12:30:00")
    history.do(EXPIRE)
    with pytest.raises(NothingDue):
        history.do(ForfeitLots(HOLDER, date(2026, 5, 12)))
    assert history.do(purchase(1000, reference="lunch")).reply.reason is Reason.VINTAGE_EXPIRED


@pytest.mark.parametrize(
    ("last", "days"),
    [
        (date(2027, 5, 12), ["2027-08-13", "2028-08-13", "2029-08-13"]),
        (date(2027, 11, 28), ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]),
    ],
    ids=["lunch", "of 29 February"],
)
def test_a_lot_has_one_day_a_year_to_fall_on(last: date, days: list[str]) -> None:
    [row] = PLUXEE.products[0].forfeits
    every = (last + timedelta(days=number) for number in range(int(365.25 * len(days)) + 60))
    falls = [f"{day}" for day in every if row.falls_within(last, day - timedelta(days=1), day)]
    assert falls == days


rows = st.sampled_from([row for product in PRODUCTS for row in product.forfeits])
last_days = st.dates(date(2024, 1, 1), date(2030, 12, 31))
spans = st.lists(st.dates(date(2024, 1, 1), date(2040, 12, 31)), min_size=3, max_size=3).map(sorted)


@given(rows, last_days, spans)
def test_what_has_a_day_to_fall_on_in_a_span_has_it_in_one_of_its_parts(
    row: Forfeit, last: date, span: list[date]
) -> None:
    """However walks divide the time, no day is left out, and none is counted twice."""
    begins, between, ends = span
    parts = row.falls_within(last, begins, between), row.falls_within(last, between, ends)
    assert row.falls_within(last, begins, ends) == any(parts)
    assert not row.falls_within(last, begins, begins)
    assert not row.falls_within(last, begins, min(ends, row.falls(last) - timedelta(days=1)))
    if (ends - max(begins, row.falls(last))).days > DAYS_MAX:
        assert row.falls_within(last, begins, ends), "each year has its day"


def test_a_product_without_a_row_waits_for_ever() -> None:
    silent = replace(APETIZ, products=(replace(APETIZ.products[0], forfeits=()),))
    history = History(vintage(2026, 700), at=paris("2036-03-31T00:00:00"), programme=silent)
    history.do(EXPIRE)
    with pytest.raises(NothingDue):
        history.do(FORFEIT)


# Reactivation (Belgium)


@pytest.mark.parametrize("day", ["2027-05-13T00:00:00", "2027-08-12T23:59:59"])
def test_an_expired_voucher_is_reactivated_for_three_months_if_asked_within_three_ar_22_nov_2022(day: str) -> None:
    history = belgian(LUNCH, at=day)
    history.do(REACTIVATE)
    today = date.fromisoformat(day[:10])
    [lot] = history.position.purse.lots
    assert (lot.name, lot.amount, lot.valid_from) == ("2026-05-12-reactivated", 1000, today)
    assert (lot.valid_until.month - today.month) % 12 == 3
    assert lot.valid_until.day == today.day


def test_after_three_months_it_is_too_late_ar_22_nov_2022() -> None:
    history = belgian(LUNCH, at="2027-08-13T00:00:00")
    with pytest.raises(ReactivationOver):
        history.do(REACTIVATE)


def test_a_voucher_is_reactivated_once_ar_22_nov_2022() -> None:
    history = belgian(LUNCH)
    history.do(REACTIVATE)
    history.later(days=95)
    with pytest.raises(ReactivatedBefore):
        history.do(ReactivateLot(HOLDER, "91", "2026-05-12-reactivated"))


def test_what_comes_back_to_a_voucher_while_it_is_reactivated_is_not_reactivated_beside_it() -> None:
    history = belgian(LUNCH, at="2027-05-12T12:00:00")
    history.do(purchase(300, product="91", reference="lunch"))
    history.later(days=1)
    history.do(REACTIVATE)
    history.do(reversal("lunch"))
    with pytest.raises(ReactivatedBefore):
        history.do(REACTIVATE)


@pytest.mark.parametrize(("holds", "fee"), [(1200, 500), (500, 500), (300, 300)])
def test_the_first_request_is_free_and_later_ones_cost_5_euros_at_most_ar_22_nov_2022(holds: int, fee: int) -> None:
    eco = Lot("92", "eco", date(2025, 5, 12), date(2027, 5, 12), Cents(holds))
    history = belgian(LUNCH, eco)
    assert history.do(REACTIVATE).transfers[-1].credit == "holder:h1:91:2026-05-12-reactivated"
    assert history.balance("issuer:fees") == 0
    history.do(ReactivateLot(HOLDER, "92", "eco"))
    assert history.balance("issuer:fees:92") == fee
    assert history.balance("holder:h1:92:eco-reactivated") == holds - fee
    assert history.position.reactivations == 2


def test_a_request_that_is_refused_does_not_count() -> None:
    history = belgian(LUNCH, at="2027-08-13T00:00:00")
    with pytest.raises(ReactivationOver):
        history.do(REACTIVATE)
    assert history.position.reactivations == 0


def test_gifts_are_not_reactivated_ar_22_nov_2022() -> None:
    with pytest.raises(NotReactivated):
        belgian(months("93", 1000)).do(ReactivateLot(HOLDER, "93", LUNCH.name))


def test_titres_restaurant_are_not_reactivated() -> None:
    with pytest.raises(NotReactivated):
        french(vintage(2026, 700)).do(ReactivateLot(HOLDER, "90", "2026"))


def test_what_is_reactivated_is_spent_and_expires_again() -> None:
    history = belgian(LUNCH)
    history.do(REACTIVATE)
    assert history.do(purchase(300, product="91", reference="lunch")).reply.reason is Reason.APPROVED
    history.later(days=93)
    assert history.do(purchase(300, product="91", reference="late")).reply.reason is Reason.VINTAGE_EXPIRED
    assert moved(history.do(EXPIRE)) == {"holder to expired": 700}


# Lots that become valid later


def test_what_is_loaded_in_december_for_january_is_spent_from_the_merchants_1_january_on() -> None:
    history = french(at="2026-12-28T12:00:00")
    history.do(Load(HOLDER, "90", "2027", *vintage_dates(2027), Cents(1000)))
    assert history.do(purchase(100, reference="early")).reply.reason is Reason.NO_FUNDS
    history.instant = paris("2026-12-31T22:00:00")  # in Reunion it is 1 January
    assert history.do(purchase(100, reference="there"), merchant=REUNION).reply.reason is Reason.APPROVED
    assert history.do(purchase(100, reference="here")).reply.reason is Reason.NO_FUNDS
    history.later(hours=2)
    assert history.do(purchase(100, reference="now")).reply.reason is Reason.APPROVED


def test_nothing_of_a_vintage_is_spent_while_the_one_before_is_valid_and_not_used_up_r3262_5() -> None:
    history = french(vintage(2027, 1000), at="2027-02-10T12:00:00")
    history.do(Load(HOLDER, "90", "2026", *vintage_dates(2026), Cents(300)))
    assert history.do(purchase(200, reference="first")).transfers[0].debit == "holder:h1:90:2026"
    assert history.stands("first").parts == (Part("2026", *vintage_dates(2026), Cents(200)),)
    history.do(purchase(200, reference="second"))
    assert [(part.lot, part.amount) for part in history.stands("second").parts] == [("2026", 100), ("2027", 100)]


def test_what_the_sweep_moved_and_is_valid_here_is_spent_before_the_next_vintage_r3262_5() -> None:
    history = expired(vintage(2026, 300), vintage(2027, 1000))
    history.do(purchase(400, reference="lunch"), merchant=GUADELOUPE)
    assert [(part.lot, part.amount) for part in history.stands("lunch").parts] == [("2026", 300), ("2027", 100)]


# What is due, for the walk


@pytest.mark.parametrize(
    ("day", "due"),
    [
        (date(2027, 2, 28), ()),
        (date(2027, 3, 1), (ExpireLots,)),
        (date(2027, 3, 30), (ExpireLots,)),
        (date(2027, 3, 31), (ExpireLots, ForfeitLots)),
    ],
)
def test_the_walk_is_told_what_is_due(day: date, due: tuple[type, ...]) -> None:
    at = position(vintage(2026, 700), Lot("92", "for ever", day, date.max, Cents(1)))
    assert vintages.due(at, day - timedelta(days=1), day, PRODUCTS) == due
    assert vintages.due(position(), day - timedelta(days=1), day, PRODUCTS) == ()


def test_nothing_is_due_again_before_what_waits_falls() -> None:
    history, first = expired(), date(2027, 3, 1)
    days = (first + timedelta(days=number) for number in range(30))
    assert {vintages.due(history.position, first, day, PRODUCTS) for day in days} == {()}
    assert vintages.due(history.position, first, date(2027, 3, 31), PRODUCTS) == (ForfeitLots,)


def test_a_position_written_before_reactivations_were_counted_is_read_still() -> None:
    old = msgspec.json.encode(position(vintage(2026, 700)))
    fields = msgspec.json.decode(old)
    assert msgspec.json.decode(msgspec.json.encode(fields[:-1]), type=Position) == position(vintage(2026, 700))


def test_a_record_is_approved_and_the_holders() -> None:
    outcome = decide(EXPIRE, Facts(FIRST_OF_MARCH, NOTHING, position(vintage(2026, 1)), HOLDER, programme=APETIZ))
    assert (outcome.reply.reason, outcome.holder) == (Reason.APPROVED, HOLDER)
    assert after(outcome).purse.expired == (vintage(2026, 1),)
