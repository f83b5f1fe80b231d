"""When cards and PINs arrive: working days, by the holidays of the place they are sent to.

Working days are Monday to Friday but holidays (`authz.decision.calendar`, which knows none outside France).
"""

from datetime import date, timedelta

from msgspec import Struct

from authz.decision.calendar import holidays

SATURDAY = 5
MAINLAND_DAYS = 3, 5
OVERSEAS_DAYS = 7, 10
"""Working days that the post takes: at least, and at most."""
PIN_DAYS = 2
"""48 hours: so long after a card its PIN arrives."""
OVERSEAS = ("FR-97", "FR-98")
"""How the codes of overseas territories begin."""


class Expected(Struct, frozen=True, gc=False):
    """The days between which cards, and then their PINs, arrive: both included."""

    cards_from: date
    cards_until: date
    pin_from: date
    pin_until: date


def expected(sent: date, territory: str) -> Expected:
    """Tell when cards that are ordered from the maker on a day arrive, and their PINs, 48 hours after them.

    >>> expected(date(2026, 5, 11), "FR-75").cards_from  # a Monday; the 14th is Ascension Day
    datetime.date(2026, 5, 15)
    """
    first, last = mailed(sent, territory)
    pin_first, pin_last = (_working(day + timedelta(days=PIN_DAYS), territory) for day in (first, last))
    return Expected(first, last, pin_first, pin_last)


def mailed(asked: date, territory: str) -> tuple[date, date]:
    """Give the first and last day on which what is asked for on a day arrives: a card, or a PIN alone."""
    least, most = OVERSEAS_DAYS if territory.startswith(OVERSEAS) else MAINLAND_DAYS
    return working_days_later(asked, least, territory), working_days_later(asked, most, territory)


def working_days_later(day: date, number: int, territory: str) -> date:
    """Give the working day that is so many behind a day, itself not counted."""
    for _ in range(number):
        day = _working(day + timedelta(days=1), territory)
    return day


def _working(day: date, territory: str) -> date:
    """Give the first working day from a day on."""
    while day.weekday() >= SATURDAY or day in holidays(day.year, territory):
        day += timedelta(days=1)
    return day
