"""The life of a lot is one table: each of its cells is what the core does, and what isn't there does nothing."""

import contextlib
from collections.abc import Callable
from datetime import date, datetime
from itertools import product
from pathlib import Path

import pytest
from msgspec.structs import replace

from authz.decision.commands import ExchangeLot, ExpireLots, ForfeitLots, ReactivateLot
from authz.decision.programme import Product, Reactivation, vintage_dates
from authz.decision.refused import NothingDue, Refused
from authz.decision.vintages import LIFE, REACTIVATED, STANDS, Event, State
from ledger.values import Cents
from tests.decision.drawing import dates_of_lots, drawing_of_a_lot, table_of_a_lot
from tests.decision.history import REFUNDING, History
from tests.decision.world import APETIZ, GUADELOUPE, HOLDER, PLUXEE, paris, purchase, reversal, vintage

PAGE = (Path(__file__).parents[2] / "docs" / "vintages.md").read_text()
TWICE_ALIVE = replace(
    APETIZ.products[0],
    reactivations=(Reactivation(within_months=3, months=3, fee=Cents(500), source="both ways in one"),),
)
RULES = replace(REFUNDING, days_off=(), products=(TWICE_ALIVE,))
DECEMBER, FEBRUARY = paris("2025-12-15T12:00:00"), paris("2027-02-20T12:00:00")
FIRST_OF_MARCH, LAST_OF_MARCH = paris("2027-03-01T00:30:00"), paris("2027-03-31T00:00:00")
EXCHANGE, REACTIVATE = ExchangeLot(HOLDER, "90", "2026"), ReactivateLot(HOLDER, "90", "2026")
NOT_YET = {(State.LATER, Event.LAST_DAY_OVER), (State.LATER, Event.NOT_ASKED), (State.VALID, Event.NOT_ASKED)}
"""What happens only after something else has."""


def living(state: State) -> History:
    """A lot of 2026 in this state, of which a payment took a part where it could."""
    history = History(vintage(2026, 1000), at=DECEMBER if state is State.LATER else FEBRUARY, programme=RULES)
    if state is State.LATER:
        return history
    history.do(purchase(300, reference="lunch"))
    match state:
        case State.USED_UP:
            history.do(purchase(700, reference="dinner"))
        case State.EXPIRED:
            happen(Event.LAST_DAY_OVER, history)
        case State.EXCHANGED | State.REACTIVATED:
            history.instant = FIRST_OF_MARCH
            history.do(EXCHANGE if state is State.EXCHANGED else REACTIVATE)
        case State.FORFEITED:
            happen(Event.NOT_ASKED, history)
    return history


def happen(event: Event, history: History) -> None:
    """Let something happen to the lot; where it can't, nothing does."""
    with contextlib.suppress(Refused):
        HAPPENS[event](history)


def _until(history: History, instant: datetime) -> None:
    history.instant = max(history.instant, instant)


def _expire(history: History) -> None:
    _until(history, FIRST_OF_MARCH)
    history.do(ExpireLots(HOLDER))


def _forfeit(history: History) -> None:
    _until(history, LAST_OF_MARCH)
    history.do(ForfeitLots(HOLDER, date(2027, 3, 30)))


def _spend_all(history: History) -> None:
    for lot in history.position.purse.lots:
        if lot.name == "2026":
            history.do(purchase(lot.amount))


HAPPENS: dict[Event, Callable[[History], object]] = {
    Event.FIRST_DAY: lambda history: _until(history, paris("2026-01-01T00:00:00")),
    Event.LAST_CENT: _spend_all,
    Event.LAST_DAY_OVER: _expire,
    Event.PAID_IN_TIME: lambda history: history.do(purchase(100), merchant=GUADELOUPE),
    Event.GIVEN_BACK: lambda history: history.do(reversal("lunch")),
    Event.EXCHANGE: lambda history: history.do(EXCHANGE),
    Event.REACTIVATION: lambda history: history.do(REACTIVATE),
    Event.NOT_ASKED: _forfeit,
}


def state_of(history: History) -> State:
    """The state in which the lot of 2026 is, by the purse and the accounts."""
    purse = history.position.purse
    if any(lot.name == "2026" for lot in purse.expired):
        return State.EXPIRED
    lot = next((lot for lot in purse.lots if lot.name == "2026"), None)
    if lot is not None:
        return State.VALID if paris(f"{lot.valid_from}T00:00:00") <= history.instant else State.LATER
    gone = (State.EXCHANGED, State.REACTIVATED, State.FORFEITED)
    return next((state for state in gone if history.balance(account(state))), State.USED_UP)


def account(state: State) -> str:
    """Where the lot's money stands in a state."""
    name = STANDS[state].replace("HOLDER", HOLDER).replace("PRODUCT", "90").replace("ACQUIRER", "970001")
    return name.replace("LOT", "2026").replace("NEXT", "2027")


@pytest.mark.parametrize(("state", "event"), [cell for cell in product(State, Event) if cell not in NOT_YET])
def test_a_lot_lives_as_the_table_says(state: State, event: Event) -> None:
    history = living(state)
    assert state_of(history) is state
    happen(event, history)
    following = LIFE[state].get(event, state)
    assert state_of(history) is following
    assert history.balance(account(following)) > 0


def test_the_table_has_every_state_and_every_event() -> None:
    assert set(LIFE) == set(STANDS) == set(State)
    assert {event for events in LIFE.values() for event in events} == set(Event) == set(HAPPENS)
    assert STANDS[State.REACTIVATED].endswith(REACTIVATED)


def test_docs_vintages_md_shows_the_table_and_draws_it() -> None:
    assert drawing_of_a_lot() in PAGE
    assert table_of_a_lot() in PAGE


def test_docs_vintages_md_tells_of_money_that_comes_back_after_the_fall() -> None:
    """Walked on each of its days, by what the walk before it had let fall."""
    history = History(vintage(2026, 700), at=FEBRUARY, programme=replace(REFUNDING, days_off=()))
    history.do(purchase(300, reference="lunch"))
    days = ("2027-03-30", "2027-03-31", "2027-04-12, a reversal gives 3.00 back", "2028-03-30", "2028-03-31")
    lines, since = [], FEBRUARY.date()
    for told in days:
        today = date.fromisoformat(told[:10])
        history.instant = paris(f"{today}T00:00:00")
        for command in (ExpireLots(HOLDER), ForfeitLots(HOLDER, since)):
            with contextlib.suppress(NothingDue):
                history.do(command)
        if "reversal" in told:
            history.do(reversal("lunch"))
        expired, pool = (history.balance(name) for name in ("expired:", "issuer:pool:"))
        lines.append(f"| {told} | {expired / 100:.2f} | {pool / 100:.2f} |\n")
        since = today
    assert "".join(lines) in PAGE


def test_docs_vintages_md_works_out_the_dates_leap_years_included() -> None:
    def lot(what: str, of: Product, credited: date) -> tuple[str, Product, date, date]:
        return what, of, *of.lot_dates(credited)

    lunch, sport, gift = (PLUXEE.product(code) for code in ("91", "94", "93"))
    assert lunch is not None
    assert sport is not None
    assert gift is not None
    lots = [
        ("titre-restaurant 2026", APETIZ.products[0], *vintage_dates(2026)),
        ("titre-restaurant 2027", APETIZ.products[0], *vintage_dates(2027)),
        ("titre-restaurant 2028", APETIZ.products[0], *vintage_dates(2028)),
        lot("lunch of 12 May 2026", lunch, date(2026, 5, 12)),
        lot("lunch of 30 November 2026", lunch, date(2026, 11, 30)),
        lot("sport-culture of 30 November 2026", sport, date(2026, 11, 30)),
        lot("gift of 1 December 2026", gift, date(2026, 12, 1)),
    ]
    assert dates_of_lots(lots) in PAGE
