"""Delivery dates, by hand: cards 3 to 5 working days (7 to 10 overseas), their PINs 48 hours after them (S)."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.decision.calendar import holidays
from authz.decision.issuing.delivery import Expected, expected, mailed, working_days_later

TERRITORIES = ("FR-75", "FR-67", "FR-971", "FR-974", "FR-987", "BE")
days = st.dates(date(2020, 1, 1), date(2040, 1, 1))


def on(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("sent", "territory", "cards", "pins"),
    [
        # A Monday in June with no holiday near: Thursday to Monday; 48 hours later, Saturday on to Monday.
        ("2026-06-08", "FR-75", ("2026-06-11", "2026-06-15"), ("2026-06-15", "2026-06-17")),
        # A Friday: the week-end doesn't count.
        ("2026-06-05", "FR-75", ("2026-06-10", "2026-06-12"), ("2026-06-12", "2026-06-15")),
        # Tuesday 12 May 2026: Ascension Day is the 14th.
        ("2026-05-12", "FR-75", ("2026-05-18", "2026-05-20"), ("2026-05-20", "2026-05-22")),
        # The same Tuesday to Belgium, whose holidays aren't known here.
        ("2026-05-12", "BE", ("2026-05-15", "2026-05-19"), ("2026-05-18", "2026-05-21")),
        # Thursday before Easter 2026 (5 April): Good Friday is a holiday in Alsace only, Easter Monday in both.
        ("2026-04-02", "FR-75", ("2026-04-08", "2026-04-10"), ("2026-04-10", "2026-04-13")),
        ("2026-04-02", "FR-67", ("2026-04-09", "2026-04-13"), ("2026-04-13", "2026-04-15")),
        # Overseas: 7 to 10 working days.
        ("2026-06-08", "FR-974", ("2026-06-17", "2026-06-22"), ("2026-06-19", "2026-06-24")),
        ("2026-06-08", "FR-987", ("2026-06-17", "2026-06-22"), ("2026-06-19", "2026-06-24")),
        # Abolition day in Guadeloupe, 27 May, and Whit Monday, 25 May, don't count.
        ("2026-05-19", "FR-971", ("2026-06-01", "2026-06-04"), ("2026-06-03", "2026-06-08")),
        # Over the year's end: Christmas is a Friday, New Year a Friday.
        ("2026-12-23", "FR-75", ("2026-12-29", "2026-12-31"), ("2026-12-31", "2027-01-04")),
    ],
)
def test_when_cards_and_pins_arrive(sent: str, territory: str, cards: tuple[str, str], pins: tuple[str, str]) -> None:
    assert expected(on(sent), territory) == Expected(*map(on, (*cards, *pins)))


def test_a_pin_that_is_sent_again_takes_as_long_as_a_card() -> None:
    """S: PIN mailed 3–5 working days later, 7–10 overseas."""
    assert mailed(on("2026-06-08"), "FR-75") == (on("2026-06-11"), on("2026-06-15"))
    assert mailed(on("2026-06-08"), "FR-972") == (on("2026-06-17"), on("2026-06-22"))


@given(days, st.sampled_from(TERRITORIES), st.integers(1, 20))
def test_working_days_are_counted_one_by_one(day: date, territory: str, number: int) -> None:
    last = working_days_later(day, number, territory)
    between = [day + timedelta(days=one) for one in range(1, (last - day).days + 1)]
    working = [one for one in between if one.weekday() < 5 and one not in holidays(one.year, territory)]
    assert (len(working), working[-1]) == (number, last)


@given(days, st.sampled_from(TERRITORIES))
def test_no_pin_arrives_within_48_hours_of_its_card_and_nothing_on_a_day_off(day: date, territory: str) -> None:
    when = expected(day, territory)
    assert when.pin_from - when.cards_from >= timedelta(days=2)
    assert when.pin_until - when.cards_until >= timedelta(days=2)
    assert day < when.cards_from < when.cards_until <= when.pin_until
    for one in (when.cards_from, when.cards_until, when.pin_from, when.pin_until):
        assert one.weekday() < 5
        assert one not in holidays(one.year, territory)
