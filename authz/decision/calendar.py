"""Days, places and the law's holidays: which local date it is, and whether it is one of rest there.

A territory is `FR-` and the code of its département or collectivity (`FR-75`, `FR-2A`, `FR-974`), or the code of
another country, for which no rule is known. Wallis-et-Futuna, French Polynesia and New Caledonia have labour
codes of their own, which aren't here: they get the eleven days of the Code du travail.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

SUNDAY = 6
ZONES_KEPT = 512
CALENDARS_KEPT = 1024


class Holiday(Struct, frozen=True):
    """One line of the law: a day that returns each year, where and in which years.

    `when` is a month and a day, or a number of days from Easter Sunday. No territories: every French one.
    """

    name: str
    when: tuple[int, int] | int
    article: str
    territories: frozenset[str] = frozenset()
    since: int = 0
    until: int = 9999


ALSACE_MOSELLE = frozenset({"FR-57", "FR-67", "FR-68"})

HOLIDAYS = (
    Holiday("1er janvier", (1, 1), "L3133-1"),
    Holiday("Lundi de Pâques", 1, "L3133-1"),
    Holiday("1er mai", (5, 1), "L3133-1"),
    Holiday("8 mai", (5, 8), "L3133-1, loi 81-893", since=1982),
    Holiday("Ascension", 39, "L3133-1"),
    Holiday("Lundi de Pentecôte", 50, "L3133-1"),
    Holiday("14 juillet", (7, 14), "L3133-1"),
    Holiday("Assomption", (8, 15), "L3133-1"),
    Holiday("Toussaint", (11, 1), "L3133-1"),
    Holiday("11 novembre", (11, 11), "L3133-1"),
    Holiday("Noël", (12, 25), "L3133-1"),
    Holiday("Vendredi saint", -2, "L3134-13", ALSACE_MOSELLE),
    Holiday("Second jour de Noël", (12, 26), "L3134-13", ALSACE_MOSELLE),
    Holiday("Abolition de l'esclavage", (5, 27), "L3422-2", frozenset({"FR-971"}), since=1984),
    Holiday("Abolition de l'esclavage", (5, 22), "L3422-2", frozenset({"FR-972"}), since=1984),
    Holiday("Abolition de l'esclavage", (6, 10), "L3422-2", frozenset({"FR-973"}), since=1984),
    Holiday("Abolition de l'esclavage", (12, 20), "L3422-2", frozenset({"FR-974"}), since=1983),
    Holiday("Abolition de l'esclavage", (4, 27), "L3422-2", frozenset({"FR-976"}), since=1984),
    Holiday("Abolition de l'esclavage", (10, 9), "L3422-2", frozenset({"FR-977"}), since=1984),
    Holiday("Abolition de l'esclavage", (5, 27), "L3422-2", frozenset({"FR-978"}), since=1984, until=2017),
    Holiday("Abolition de l'esclavage", (5, 28), "L3422-2 (circular)", frozenset({"FR-978"}), since=2018),
)
"""Every public holiday, with its article of the Code du travail. Years before 1984 aren't complete."""


def easter(year: int) -> date:
    """Easter Sunday by the anonymous Gregorian algorithm (Meeus/Jones/Butcher).

    >>> easter(2026)
    datetime.date(2026, 4, 5)
    """
    a = year % 19
    b, c = divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=CALENDARS_KEPT)
def holidays(year: int, territory: str) -> Mapping[date, str]:
    """Name the public holidays of a year in a territory; none where no rule is known.

    >>> holidays(2026, "FR-67")[date(2026, 4, 3)]
    'Vendredi saint'
    """
    if not territory.startswith("FR-"):
        return MappingProxyType({})
    sunday = easter(year)
    return MappingProxyType(
        {
            sunday + timedelta(days=line.when) if isinstance(line.when, int) else date(year, *line.when): line.name
            for line in HOLIDAYS
            if line.since <= year <= line.until and (not line.territories or territory in line.territories)
        }
    )


@lru_cache(maxsize=ZONES_KEPT)
def zone(name: str) -> ZoneInfo:
    """Find a time zone by its IANA name. Raises `ValueError` where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError(f"no time zone is named {name!r}: use an IANA name such as Europe/Paris") from None


def local_day(instant: datetime, zone_name: str) -> date:
    """Tell which date an aware instant falls on in a zone."""
    return instant.astimezone(zone(zone_name)).date()
