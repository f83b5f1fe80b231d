"""Holidays by law (Code du travail L3133-1, L3134-13, L3422-2), against the `holidays` package; days by zone."""

from datetime import UTC, date, datetime, timedelta

import holidays as package
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.decision.calendar import HOLIDAYS, easter, holidays, local_day, zone

YEARS = range(2015, 2036)
METROPOLITAN = [f"FR-{number:02}" for number in range(1, 96) if number != 20] + ["FR-2A", "FR-2B"]
ALSACE_MOSELLE = {"FR-57": "57", "FR-67": "6AE", "FR-68": "6AE"}
OVERSEAS = {"FR-971": "971", "FR-972": "972", "FR-973": "973", "FR-974": "974", "FR-976": "976", "FR-977": "BL"}
OVERSEAS |= {"FR-978": "MF", "FR-975": "PM"}
SUBDIVISIONS = ALSACE_MOSELLE | OVERSEAS

NOT_IN_THE_CODE = {
    "FR-971": {"Mi-Careme", "Good Friday", "Victor Schoelcher Day"},
    "FR-972": {"Victor Schoelcher Day"},
    "FR-978": {"Victor Schoelcher Day"},
}
"""What the package adds by custom, and the Code du travail doesn't have (docs/rules.md)."""


def by_package(year: int, territory: str) -> set[date]:
    days = package.country_holidays("FR", subdiv=SUBDIVISIONS.get(territory), years=year, language="en_US")
    return {day for day, name in days.items() if not set(name.split("; ")) <= NOT_IN_THE_CODE.get(territory, set())}


def known_to_differ(year: int, territory: str) -> set[date]:
    """Saint-Martin had Guadeloupe's 27 May until 2017 in the code; the package says 28 from the start."""
    return {date(year, 5, 27), date(year, 5, 28)} if territory == "FR-978" and year < 2018 else set()


@pytest.mark.parametrize("territory", [*METROPOLITAN, *OVERSEAS])
def test_holidays_are_the_laws_and_the_packages_less_its_customs(territory: str) -> None:
    for year in YEARS:
        differ = set(holidays(year, territory)) ^ by_package(year, territory)
        assert differ <= known_to_differ(year, territory)


def test_the_eleven_days_of_l3133_1() -> None:
    assert list(holidays(2026, "FR-75")) == [
        date(2026, 1, 1),
        date(2026, 4, 6),
        date(2026, 5, 1),
        date(2026, 5, 8),
        date(2026, 5, 14),
        date(2026, 5, 25),
        date(2026, 7, 14),
        date(2026, 8, 15),
        date(2026, 11, 1),
        date(2026, 11, 11),
        date(2026, 12, 25),
    ]


@pytest.mark.parametrize("territory", ["FR-57", "FR-67", "FR-68"])
def test_alsace_and_moselle_rest_on_good_friday_and_26_december_l3134_13(territory: str) -> None:
    added = set(holidays(2026, territory)) - set(holidays(2026, "FR-75"))
    assert added == {date(2026, 4, 3), date(2026, 12, 26)}


@pytest.mark.parametrize(
    ("territory", "month", "day"),
    [("976", 4, 27), ("972", 5, 22), ("971", 5, 27), ("973", 6, 10), ("974", 12, 20), ("977", 10, 9), ("978", 5, 28)],
)
def test_the_abolition_of_slavery_is_commemorated_on_each_territorys_day_l3422_2(
    territory: str, month: int, day: int
) -> None:
    assert set(holidays(2026, f"FR-{territory}")) - set(holidays(2026, "FR-75")) == {date(2026, month, day)}


def test_saint_martin_moved_its_day_in_2018() -> None:
    assert date(2017, 5, 27) in holidays(2017, "FR-978")
    assert date(2018, 5, 27) not in holidays(2018, "FR-978")


def test_two_holidays_on_one_day_are_one_day() -> None:
    assert easter(2008) + timedelta(days=39) == date(2008, 5, 1)
    assert len(holidays(2008, "FR-75")) == 10


@pytest.mark.parametrize("territory", ["BE", "LU", ""])
def test_no_holiday_rule_is_known_elsewhere(territory: str) -> None:
    assert not holidays(2026, territory)


def test_every_line_names_its_article() -> None:
    assert all(line.article.startswith("L3") for line in HOLIDAYS)


@given(st.integers(1583, 4099))
def test_easter_is_a_sunday_from_22_march_to_25_april(year: int) -> None:
    assert easter(year).weekday() == 6
    assert date(year, 3, 22) <= easter(year) <= date(year, 4, 25)


@pytest.mark.parametrize(
    ("instant", "paris", "reunion"),
    [
        pytest.param("2026-05-16T19:59:59", 16, 16, id="the last second of Saturday in Réunion"),
        pytest.param("2026-05-16T20:00:00", 16, 17, id="Sunday in Réunion, Saturday in Paris"),
        pytest.param("2026-05-16T21:59:59", 16, 17, id="the last second of Saturday in Paris"),
        pytest.param("2026-05-16T22:00:00", 17, 17, id="Sunday in both"),
    ],
)
def test_a_day_is_the_merchants_local_day(instant: str, paris: int, reunion: int) -> None:
    at = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert local_day(at, "Europe/Paris").day == paris
    assert local_day(at, "Indian/Reunion").day == reunion


@pytest.mark.parametrize(
    ("last_second", "hours"),
    [
        pytest.param("2026-03-29T21:59:59", 23, id="clocks go forward"),
        pytest.param("2026-10-25T22:59:59", 25, id="clocks go back"),
    ],
)
def test_days_of_23_and_25_hours_begin_and_end_at_local_midnight(last_second: str, hours: int) -> None:
    end = datetime.fromisoformat(last_second).replace(tzinfo=UTC)
    day = local_day(end, "Europe/Paris")
    assert local_day(end + timedelta(seconds=1), "Europe/Paris") == day + timedelta(days=1)
    start = end + timedelta(seconds=1) - timedelta(hours=hours)
    assert local_day(start, "Europe/Paris") == day
    assert local_day(start - timedelta(seconds=1), "Europe/Paris") == day - timedelta(days=1)


@pytest.mark.parametrize("name", ["Europe/Lyon", "", "../etc/passwd", "Europe"])
def test_an_unknown_zone_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone is named"):
        zone(name)
