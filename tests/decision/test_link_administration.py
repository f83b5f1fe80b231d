"""What an acquirer's host tells about its link, and what is due by the date: cutover, new keys, the sweep."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.decision.administration import BUSINESS_DAYS_AHEAD_MAX, business_date, day_closed_at
from authz.decision.commands import ChangeKey, CutOver, LapseHolds, NoteSweep
from authz.decision.decide import decide
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome, Reason, Reply
from authz.decision.reference import SWEEP_PASSBOOK, BusinessDay, LinkKeys, Swept, link_passbook
from authz.decision.refused import BusinessDayTooFar, HolderUnknown, NothingDue
from ledger.values import Seq
from tests.decision.history import History
from tests.decision.world import HOLDER, NOTHING, TUESDAY, paris, purchase, vintage


def cut_over(instant: datetime, opened: date | None = None, begins: date | None = None) -> date:
    """The day that begins, for an acquirer that has `opened` one (None: that never cut over)."""
    known = Facts(instant, NOTHING, own=None if opened is None else BusinessDay(opened))
    outcome = decide(CutOver("970001", begins), known)
    assert (outcome.holder, outcome.transfers, outcome.reply) == ("acquirer:970001", (), Reply(Reason.APPROVED))
    assert isinstance(outcome.state, BusinessDay)
    return outcome.state.open


def may(day: int) -> date:
    return date(2026, 5, day)


# The business day


@pytest.mark.parametrize(
    ("instant", "day"),
    [("2026-05-12T23:59:59", may(12)), ("2026-05-13T00:00:00", may(13)), ("2026-01-01T00:30:00", date(2026, 1, 1))],
)
def test_before_its_first_cutover_an_acquirers_day_is_the_calendars_in_paris(instant: str, day: date) -> None:
    assert business_date(paris(instant)) == day


@pytest.mark.parametrize(
    ("instant", "closes"),
    [
        ("2026-05-12T06:00:00", may(12)),
        ("2026-05-12T23:59:59", may(12)),
        ("2026-05-13T00:00:00", may(12)),
        ("2026-05-13T05:59:59", may(12)),
        ("2026-01-01T00:30:00", date(2025, 12, 31)),
    ],
)
def test_a_first_cutover_in_the_small_hours_closes_the_day_before(instant: str, closes: date) -> None:
    assert cut_over(paris(instant)) == closes + timedelta(days=1)
    assert cut_over(paris(instant), begins=closes + timedelta(days=1)) == closes + timedelta(days=1)


@pytest.mark.parametrize("instant", ["2026-05-12T22:45:00", "2026-05-12T23:59:59", "2026-05-13T00:30:00"])
def test_a_cutover_around_midnight_closes_the_day_that_is_open(instant: str) -> None:
    assert cut_over(paris(instant), opened=may(12)) == may(13)


def test_a_cutover_an_evening_makes_a_day_a_date() -> None:
    day = may(12)
    for evening in range(12, 22):
        day = cut_over(paris(f"2026-05-{evening}T22:45:00"), opened=day)
        assert day == may(evening + 1)


@pytest.mark.parametrize(("instant", "begins"), [("2026-05-15T22:45:00", may(16)), ("2026-05-16T00:30:00", may(16))])
def test_after_cutovers_that_were_missed_the_next_day_of_the_calendar_begins(instant: str, begins: date) -> None:
    assert cut_over(paris(instant), opened=may(12)) == begins


@pytest.mark.parametrize("opened", [None, may(12)])
def test_an_acquirer_may_say_which_day_begins(opened: date | None) -> None:
    assert cut_over(TUESDAY, opened, begins=may(13)) == may(13)
    assert cut_over(TUESDAY, opened, begins=may(15)) == may(15)


@pytest.mark.parametrize("begins", [may(13), may(12), date(2025, 5, 13)])
def test_a_day_that_has_begun_or_is_over_doesnt_begin_again(begins: date) -> None:
    assert cut_over(TUESDAY, opened=may(13), begins=begins) == may(13)


def test_no_day_begins_too_far_ahead_of_the_calendar_named_or_not() -> None:
    last = may(12) + timedelta(days=BUSINESS_DAYS_AHEAD_MAX)
    assert cut_over(TUESDAY, begins=last) == last
    with pytest.raises(BusinessDayTooFar):
        cut_over(TUESDAY, begins=last + timedelta(days=1))
    assert cut_over(TUESDAY, opened=last - timedelta(days=1)) == last
    with pytest.raises(BusinessDayTooFar):
        cut_over(TUESDAY, opened=last)


@given(
    st.lists(st.tuples(st.integers(0, 4000), st.none() | st.integers(-5, 12)), max_size=20),
    st.sampled_from([TUESDAY, paris("2026-03-28T23:30:00"), paris("2026-10-25T02:30:00")]),
)
def test_business_days_never_go_back_nor_far_ahead(cutovers: list[tuple[int, int | None]], instant: datetime) -> None:
    opened: date | None = None
    for minutes, ahead in cutovers:
        instant += timedelta(minutes=minutes)
        today = business_date(instant)
        before = opened if opened is not None else day_closed_at(instant)
        try:
            opened = cut_over(instant, opened, None if ahead is None else today + timedelta(days=ahead))
        except BusinessDayTooFar:
            continue
        assert before <= opened <= today + timedelta(days=BUSINESS_DAYS_AHEAD_MAX)
        assert ahead is not None or opened > before


# Keys


def test_a_key_change_records_the_check_value_of_the_key_and_leaves_the_others() -> None:
    known = LinkKeys({"P0": "AAAAAA", "M3": "BBBBBB"})
    change = ChangeKey("970001", "P0", "CCCCCC")
    passbook = link_passbook("970001")
    first = decide(change, Facts(TUESDAY, NOTHING))
    assert first == Outcome(Reply(Reason.APPROVED), passbook, LinkKeys({"P0": "CCCCCC"}))
    then = decide(change, Facts(TUESDAY, NOTHING, own=known))
    assert then == Outcome(Reply(Reason.APPROVED), passbook, LinkKeys({"M3": "BBBBBB", "P0": "CCCCCC"}))


def test_keys_are_recorded_in_one_order_however_they_came() -> None:
    keys = LinkKeys({})
    for usage in ("P0", "M3"):
        outcome = decide(ChangeKey("970001", usage, "AAAAAA"), Facts(TUESDAY, NOTHING, own=keys))
        assert isinstance(outcome.state, LinkKeys)
        keys = outcome.state
    assert list(keys.check_values) == ["M3", "P0"]


# The sweep


def test_the_sweep_notes_how_far_it_has_come() -> None:
    outcome = decide(NoteSweep(Seq(1234)), Facts(TUESDAY, NOTHING))
    assert outcome == Outcome(Reply(Reason.APPROVED), SWEEP_PASSBOOK, Swept(Seq(1234)))


def test_the_sweep_releases_what_is_over_and_leaves_what_isnt() -> None:
    history = History(vintage(2026, 5000))
    for reference in ("over", "not over"):
        history.do(purchase(500, reference=reference, holds=True))
        history.later(days=1)
    history.instant = paris("2026-05-20T14:00:00")
    outcome = history.do(LapseHolds(HOLDER))
    assert (outcome.reply, [one.amount for one in outcome.transfers]) == (Reply(Reason.APPROVED), [500])
    assert [len(hold.parts) for hold in history.position.purse.holds] == [0, 1]


def test_there_must_be_something_to_release_and_somebody_to_release_it_for() -> None:
    with pytest.raises(NothingDue):
        History(vintage(2026, 5000)).do(LapseHolds(HOLDER))
    with pytest.raises(HolderUnknown):
        decide(LapseHolds(HOLDER), Facts(TUESDAY, NOTHING))
