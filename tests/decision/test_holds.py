"""The life of a hold: each cell of the table in `authz.decision.holds`, reached and left by real requests."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from authz.decision.commands import LapseHolds
from authz.decision.holds import LAPSED_KEPT_DAYS, LAPSED_KEPT_MAX, LIFE, Act, Event, State
from authz.decision.outcomes import Balance, Outcome, Reason
from authz.decision.programme import Holds
from authz.decision.refused import NothingDue
from ledger.values import Cents
from tests.decision.drawing import drawing, table
from tests.decision.history import REFUNDING, History, moved
from tests.decision.world import (
    HOLDER,
    REUNION,
    advice,
    completion,
    inquiry,
    paris,
    purchase,
    reversal,
    vintage,
)

HELD, WANTED, LEFT = 1000, 600, 300
"""What is set aside, what a completion wants of it, what a partial reversal lets stand: in cents."""
PAST_ITS_DAYS = {"days": 8, "hours": 2}
"""From Tuesday noon in Paris to where the seventh day after it is over on all the earth."""


def opened() -> History:
    history = History(vintage(2026, 5000))
    history.do(purchase(HELD, reference="table", holds=True))
    return history


def opened_offline() -> History:
    history = History(vintage(2026, 5000))
    history.do(advice(HELD, reference="table", holds=True))
    return history


def captured() -> History:
    history = opened()
    history.do(completion(WANTED, "table", reference="earlier"))
    return history


def captured_late() -> History:
    history = lapsed()
    history.do(completion(WANTED, "table", reference="earlier"))
    return history


def released_by_a_completion() -> History:
    history = opened()
    history.do(completion(0, "table", reference="earlier"))
    return history


def released_by_a_reversal() -> History:
    history = opened()
    history.do(reversal("table"))
    return history


def released_when_it_had_lapsed() -> History:
    history = lapsed()
    history.do(reversal("table"))
    return history


def forgotten() -> History:
    history = lapsed()
    history.later(days=LAPSED_KEPT_DAYS)
    return history


def lapsed() -> History:
    history = opened()
    history.later(**PAST_ITS_DAYS)
    history.do(LapseHolds(HOLDER))
    return history


WAYS: dict[State, tuple[Callable[[], History], ...]] = {
    State.OPEN: (opened, opened_offline),
    State.CAPTURED: (captured, captured_late),
    State.RELEASED: (released_by_a_completion, released_by_a_reversal, released_when_it_had_lapsed, forgotten),
    State.LAPSED: (lapsed,),
}
EVERY_CELL = [(way, state, event) for state, ways in WAYS.items() for way in ways for event in Event]


class Seen(NamedTuple):
    """What an act shows: transfers, by how much the days' spending changes, and steps of the hold."""

    moved: dict[str, int]
    spent: int = 0
    steps: int = 0


SEEN = {
    (Act.CAPTURE, Event.COMPLETION): Seen({"hold to payable": 600, "hold to holder": 400}, -400, 1),
    (Act.RELEASE, Event.COMPLETION_OF_ZERO): Seen({"hold to holder": 1000}, -1000, 1),
    (Act.RELEASE, Event.REVERSAL): Seen({"hold to holder": 1000}, -1000, 1),
    (Act.RELEASE, Event.DAYS_OVER): Seen({"hold to holder": 1000}, -1000),
    (Act.REDUCE, Event.PARTIAL_REVERSAL): Seen({"hold to holder": 700}, -700, 1),
    (Act.ADVISE, Event.COMPLETION): Seen({"holder to payable": 600}, 600, 1),
    (Act.GIVE_BACK, Event.REVERSAL): Seen({"payable to holder": 600}, -600, 1),
    (Act.GIVE_BACK, Event.PARTIAL_REVERSAL): Seen({"payable to holder": 300}, -300, 1),
    (Act.NOTHING, Event.COMPLETION_OF_ZERO): Seen({}, 0, 1),
    (Act.NOTHING, Event.REVERSAL): Seen({}),
    (Act.NOTHING, Event.PARTIAL_REVERSAL): Seen({}),
}


def happen(event: Event, history: History) -> Outcome:
    """Let it happen by a real request; once the days are over, by the sweep."""
    match event:
        case Event.COMPLETION:
            return history.do(completion(WANTED, "table"))
        case Event.COMPLETION_OF_ZERO:
            return history.do(completion(0, "table"))
        case Event.REVERSAL:
            return history.do(reversal("table"))
        case Event.PARTIAL_REVERSAL:
            return history.do(reversal("table", stands=LEFT))
        case Event.DAYS_OVER:
            history.later(**PAST_ITS_DAYS)
            return history.do(LapseHolds(HOLDER))


def test_the_table_says_what_every_event_does_in_every_state() -> None:
    assert {state: set(row) for state, row in LIFE.items()} == {state: set(Event) for state in State}
    assert set(WAYS) == set(State)


@pytest.mark.parametrize("way", [way for ways in WAYS.values() for way in ways])
def test_a_hold_is_where_the_requests_before_have_brought_it(way: Callable[[], History]) -> None:
    assert way in WAYS[way().hold("table").state]


@pytest.mark.parametrize(("way", "state", "event"), EVERY_CELL)
def test_each_cell_of_the_table_is_what_happens(way: Callable[[], History], state: State, event: Event) -> None:
    act, following = LIFE[state][event]
    history = way()
    before, spent, step = history.position, history.spent, history.stands("table").step
    if (act, event) == (Act.NOTHING, Event.DAYS_OVER):
        with pytest.raises(NothingDue):
            happen(event, history)
    elif act is Act.NO_ORIGINAL:
        outcome = happen(event, history)
        assert (outcome.reply.reason, moved(outcome), history.position) == (Reason.NO_ORIGINAL, {}, before)
        assert (outcome.reply.standings, outcome.reply.approval) == ((), None)
    else:
        outcome, seen = happen(event, history), SEEN[act, event]
        assert (outcome.reply.reason, moved(outcome)) == (Reason.APPROVED, seen.moved)
        assert (history.spent - spent, history.stands("table").step - step) == (seen.spent, seen.steps)
    assert history.hold("table").state is following


@pytest.mark.parametrize("event", [event for event in Event if event is not Event.DAYS_OVER])
def test_whether_the_sweep_has_come_by_changes_nothing_but_who_posts_the_lapse(event: Event) -> None:
    swept, alone = lapsed(), opened()
    alone.later(**PAST_ITS_DAYS)
    first, second = happen(event, swept), happen(event, alone)
    assert first.reply == second.reply
    posted = first.reply.standings or swept.position != lapsed().position
    assert moved(second) == {**({"hold to holder": HELD} if posted else {}), **moved(first)}
    assert swept.available == alone.available


# The days


@pytest.mark.parametrize("days", [1, 7, 30])
def test_a_hold_lasts_its_day_and_so_many_more_the_last_included(days: int) -> None:
    history = History(vintage(2026, 5000), programme=replace(REFUNDING, holds=Holds(days=days, source="a test")))
    history.do(purchase(HELD, reference="table", holds=True))
    hold = history.hold("table").hold
    assert hold is not None
    assert (hold.until - hold.day).days == days
    history.later(days=days, hours=11, minutes=29)
    assert (history.hold("table").state, history.available) == (State.OPEN, 4000)
    history.later(minutes=1)
    assert (history.hold("table").state, history.available) == (State.LAPSED, 5000)


def test_what_has_lapsed_can_be_spent_at_once_and_the_purchase_posts_the_lapse_first() -> None:
    history = History(vintage(2026, HELD))
    history.do(purchase(HELD, reference="table", holds=True))
    history.later(days=8)
    assert history.do(inquiry(reference="what is left")).reply.balances == (Balance("90", Cents(HELD), Cents(1900)),)
    outcome = history.do(purchase(HELD, reference="lunch"))
    assert outcome.reply.reason is Reason.APPROVED
    assert [f"{one.debit.split(':')[0]} to {one.credit.split(':')[-1]}" for one in outcome.transfers] == [
        "hold to 2026",
        "holder to payable",
    ]


def test_a_refusal_posts_no_lapse_and_tells_the_balance_with_it() -> None:
    history = opened()
    history.later(days=8)
    outcome = history.do(purchase(1901))
    assert (outcome.reply.reason, outcome.transfers) == (Reason.DAILY_CAP, ())
    assert outcome.reply.balances == (Balance("90", Cents(5000), Cents(1900)),)


def test_a_hold_does_not_lapse_where_its_last_day_is_over_sooner() -> None:
    """At 22:30 of its last day in Paris it is the next day in Réunion: it lapses when it is that in Paris too."""
    history = opened()
    history.instant = paris("2026-05-19T22:30:00")
    history.do(purchase(100), merchant=REUNION)
    assert history.hold("table").state is State.OPEN
    history.instant = paris("2026-05-20T00:00:00")
    history.do(purchase(100, reference="a day later"), merchant=REUNION)
    assert history.hold("table").state is State.LAPSED


@pytest.mark.parametrize(("hours", "due"), [(23, False), (24, True)])
def test_the_sweep_waits_until_the_last_day_is_over_on_all_the_earth(hours: int, due: bool) -> None:
    history = opened()
    history.instant = paris("2026-05-19T14:00:00")  # noon in UTC; a day later the 19th ends at UTC-12
    history.later(hours=hours)
    if due:
        assert moved(history.do(LapseHolds(HOLDER))) == {"hold to holder": HELD}
    with pytest.raises(NothingDue):
        history.do(LapseHolds(HOLDER))


@pytest.mark.parametrize("swept", [True, False])
def test_one_that_has_lapsed_is_found_for_so_many_days_and_then_names_nothing(swept: bool) -> None:
    for extra, reason in ((0, Reason.APPROVED), (1, Reason.NO_ORIGINAL)):
        history = opened()
        if swept:
            history.later(**PAST_ITS_DAYS)
            history.do(LapseHolds(HOLDER))
        history.instant = paris("2026-05-19T12:00:00")
        history.later(days=LAPSED_KEPT_DAYS + extra)
        assert history.do(completion(WANTED, "table")).reply.reason is reason


@pytest.mark.parametrize("funded", [True, False])
def test_so_many_that_have_lapsed_are_kept_the_newest(funded: bool) -> None:
    history = History(*([vintage(2026, 5000)] if funded else []))
    for number in range(LAPSED_KEPT_MAX + 3):
        history.do(advice(10, reference=f"table {number}", holds=True))
    history.later(days=8)
    history.do(advice(10, reference="another"))
    kept = [hold.id for hold in history.position.purse.holds]
    assert kept == [f"table {number}" for number in range(3, LAPSED_KEPT_MAX + 3)]
    assert history.do(completion(10, "table 2")).reply.reason is Reason.NO_ORIGINAL


# The day's cap


def test_the_cap_counts_what_is_held_and_captured_on_the_holds_day_and_not_what_was_released() -> None:
    history = History(vintage(2026, 5000))
    history.do(purchase(1500, reference="table", holds=True))
    assert history.do(purchase(401, reference="too much")).reply.reason is Reason.DAILY_CAP
    history.later(days=1)
    history.do(completion(900, "table"))
    assert history.position.spent_on(date(2026, 5, 12), "90") == 900
    assert history.do(purchase(1900, reference="the next day's")).reply.reason is Reason.APPROVED


def test_what_is_released_can_be_spent_the_same_day() -> None:
    history = History(vintage(2026, 5000))
    history.do(purchase(1900, reference="table", holds=True))
    history.do(reversal("table", stands=1000))
    assert history.do(purchase(901, reference="too much")).reply.reason is Reason.DAILY_CAP
    assert history.do(purchase(900)).reply.reason is Reason.APPROVED


# Lots that expire meanwhile


def test_lots_that_expired_since_the_hold_stay_capturable() -> None:
    history = History(vintage(2025, 700), vintage(2026, 5000), at=paris("2026-02-27T12:30:00"))
    history.do(purchase(HELD, reference="table", holds=True))
    history.later(days=4)
    outcome = history.do(completion(HELD, "table"))
    assert moved(outcome) == {"hold to payable": HELD}
    assert history.balance("holder:h1:90:2026") == 4700


@pytest.mark.parametrize("event", [Event.COMPLETION_OF_ZERO, Event.REVERSAL, Event.DAYS_OVER])
def test_what_is_released_of_a_lot_that_expired_goes_on_to_where_it_waits_to_be_exchanged(event: Event) -> None:
    history = History(vintage(2025, 700), vintage(2026, 5000), at=paris("2026-02-27T12:30:00"))
    history.do(purchase(HELD, reference="table", holds=True))
    history.later(days=4)
    assert moved(happen(event, history)) == {"hold to holder": 1000, "holder to expired": 700}
    assert (history.balance("expired:h1:90:2025"), history.balance("holder:h1:90:2026")) == (700, 5000)


# The page


def test_docs_holds_md_shows_the_table_and_draws_it() -> None:
    page = (Path(__file__).parents[2] / "docs" / "holds.md").read_text()
    assert drawing() in page
    assert table() in page
    assert f"for {LAPSED_KEPT_DAYS} days" in page
    assert f"newest\n{LAPSED_KEPT_MAX}" in page
