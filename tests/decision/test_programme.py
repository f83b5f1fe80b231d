"""Programme files: dated rows with sources, read strictly, kept losslessly."""

from datetime import date, timedelta
from importlib.resources import files

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.programme import Caps, DayOff, Programme, months_later, on_day, vintage_dates
from authz.programmes import SHIPPED, ProgrammeInvalid, parse, shipped
from tests.decision.world import APETIZ, PLUXEE

RESTAURANT, SUPERMARKET = "5812", "5411"
LAW = replace(APETIZ, cap="law")
TEXT = (files("authz.programmes") / "apetiz.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_programme_survives_the_journal(name: str) -> None:
    programme = shipped(name)
    assert msgspec.json.decode(msgspec.json.encode(programme), type=Programme) == programme


def test_only_shipped_programmes_have_a_name() -> None:
    with pytest.raises(KeyError):
        shipped("../apetiz")


@pytest.mark.parametrize(
    ("found", "put", "error"),
    [
        pytest.param("amount = 2500", "amount = 0", r"\$\.caps\.law\[1\]\.amount", id="no amount"),
        pytest.param("amount = 2500", "amount = 25.5", r"\$\.caps\.law\[1\]\.amount", id="a fraction of a cent"),
        pytest.param("amount = 2500", "amount = 2500\nuntil_ = 2030-01-01", "until_", id="unknown field"),
        pytest.param("until = 2022-09-30", "", r"caps\.law\[0\] and caps\.law\[1\] both hold on 2022", id="overlap"),
        pytest.param("until = 2021-08-31", "until = 2021-12-31", r"caps\.law\[3\] and caps\.law\[4\]", id="same place"),
        pytest.param("until = 2020-12-31", "until = 2020-01-01", r"\$\.caps\.law\[2\]", id="ends before it begins"),
        pytest.param('source = "décret 2022-1266 (R3262-10)"', "", r"source.*\$\.caps\.law\[1\]", id="no source"),
        pytest.param('source = "décret 2022-1266 (R3262-10)"', 'source = ""', r"caps\.law\[1\]\.source", id="empty"),
        pytest.param('"5411"', '"541"', r"\$\.products\[0\]\.eligible\[0\]\.mccs\[0\]", id="no category"),
        pytest.param('zone = "Europe/Paris"', 'zone = "Europe/Lyon"', "Europe/Lyon", id="no zone"),
        pytest.param('code = "90"', 'code = "80"', "product 80", id="a code that DE 3 doesn't have"),
        pytest.param("number = 2", "number = 1", r"generations\[1\]: 1 stands there already", id="twice"),
        pytest.param("days = 15", "days = 0", r"\$\.products\[0\]\.exchanges\[0\]\.days", id="no time to ask"),
        pytest.param("days = 31", "months = 1", r"days.*\$\.products\[0\]\.forfeits\[0\]", id="falls on its last day"),
    ],
)  # fmt: skip
def test_an_error_names_the_row(found: str, put: str, error: str) -> None:
    with pytest.raises(ProgrammeInvalid, match=error):
        parse(TEXT.replace(found, put, 1))


def test_two_rows_for_one_last_day_are_refused() -> None:
    row = APETIZ.products[0].exchanges[0]
    with pytest.raises(ValueError, match=r"product 90: exchanges\[0\] and product 90: exchanges\[1\] both hold on"):
        replace(APETIZ, products=(replace(APETIZ.products[0], exchanges=(row, replace(row, days=30))),))


def test_only_vintages_have_a_next_one_to_be_exchanged_for() -> None:
    lunch = replace(PLUXEE.products[0], exchanges=APETIZ.products[0].exchanges)
    with pytest.raises(ValueError, match="product 91 is exchanged, and not all of its lots are vintages"):
        replace(PLUXEE, products=(lunch,))


def test_a_lot_falls_only_when_nobody_can_ask_for_it_any_more() -> None:
    last_days = [date(2027, 2, 28) + timedelta(days=number) for number in range(370)]
    for product in (*APETIZ.products, *PLUXEE.products):
        [forfeit] = product.forfeits
        for ends in (*(row.ends for row in product.exchanges), *(row.ends for row in product.reactivations)):
            assert all(ends(last) < forfeit.falls(last) for last in last_days)


def test_what_becomes_of_a_lot_goes_by_the_row_in_force_on_its_last_day() -> None:
    old, new = date(2027, 2, 28), date(2028, 2, 29)
    row = APETIZ.products[0].exchanges[0]
    rows = (replace(row, until=old), replace(row, since=new, days=30))
    assert [found.days for day in (old, new) if (found := on_day(rows, day)) is not None] == [15, 30]
    assert on_day(rows, date(2027, 12, 31)) is None


def test_a_programme_written_before_lots_aged_by_rows_is_read_still() -> None:
    fields = msgspec.json.decode(msgspec.json.encode(APETIZ))
    for name in ("exchanges", "reactivations", "forfeits"):
        del fields["products"][0][name]
    old = msgspec.json.decode(msgspec.json.encode(fields), type=Programme)
    assert old.products[0] == replace(APETIZ.products[0], exchanges=(), forfeits=())


def test_a_capped_product_needs_a_cap() -> None:
    with pytest.raises(ValueError, match=r"product 90 is capped, and caps\.default has no row"):
        replace(APETIZ, caps=Caps(law=APETIZ.caps.law))


@pytest.mark.parametrize("day", [date(2014, 4, 2), date(2021, 6, 1), date(2026, 5, 12)])
def test_the_programmes_own_cap_is_19_euros_as_asked(day: date) -> None:
    assert APETIZ.cap_on(day, RESTAURANT) == 1900


@pytest.mark.parametrize(
    ("day", "restaurant", "elsewhere"),
    [
        ("2014-04-01", 0, 0),
        ("2014-04-02", 1900, 1900),
        ("2020-06-11", 1900, 1900),
        ("2020-06-12", 3800, 1900),
        ("2020-12-31", 3800, 1900),
        ("2021-01-01", 1900, 1900),
        ("2021-02-03", 3800, 1900),
        ("2021-08-31", 3800, 1900),
        ("2021-09-01", 1900, 1900),
        ("2021-10-22", 3800, 1900),
        ("2022-06-30", 3800, 1900),
        ("2022-07-01", 1900, 1900),
        ("2022-09-30", 1900, 1900),
        ("2022-10-01", 2500, 2500),
        ("2026-05-12", 2500, 2500),
    ],
)
def test_the_laws_caps_by_date_decrets_2014_294_2021_104_2021_1368_2022_1266(
    day: str, restaurant: int, elsewhere: int
) -> None:
    assert LAW.cap_on(date.fromisoformat(day), RESTAURANT) == restaurant
    assert LAW.cap_on(date.fromisoformat(day), SUPERMARKET) == elsewhere


@pytest.mark.parametrize(
    ("day", "mcc", "refused"),
    [
        ("2019-06-01", RESTAURANT, (DayOff.SUNDAY, DayOff.HOLIDAY)),
        ("2021-02-03", RESTAURANT, ()),
        ("2021-02-03", SUPERMARKET, (DayOff.SUNDAY, DayOff.HOLIDAY)),
        ("2022-07-01", RESTAURANT, (DayOff.SUNDAY, DayOff.HOLIDAY)),
    ],
)
def test_days_off_are_refused_r3262_8_but_for_restaurants_in_the_rows_of_2020_to_2022(
    day: str, mcc: str, refused: tuple[DayOff, ...]
) -> None:
    assert APETIZ.refused_on(date.fromisoformat(day), mcc) == refused


def test_belgian_vouchers_know_no_days_off_no_cap_and_no_categories() -> None:
    assert PLUXEE.refused_on(date(2026, 5, 17), RESTAURANT) == ()
    assert not any(product.capped for product in PLUXEE.products)
    assert all(product.takes("5732", date(2026, 5, 12)) for product in PLUXEE.products)


@pytest.mark.parametrize(
    ("year", "last"), [(2026, date(2027, 2, 28)), (2027, date(2028, 2, 29)), (2099, date(2100, 2, 28))]
)
def test_a_vintage_lasts_to_the_end_of_the_next_february_r3262_5(year: int, last: date) -> None:
    assert vintage_dates(year) == (date(year, 1, 1), last)


def test_a_load_belongs_to_the_vintage_of_its_year_or_the_one_named() -> None:
    meal = APETIZ.products[0]
    assert meal.lot_dates(date(2026, 12, 31)) == vintage_dates(2026)
    assert meal.lot_dates(date(2026, 12, 31), 2027) == vintage_dates(2027)


@pytest.mark.parametrize(
    ("code", "credited", "last"),
    [
        ("91", date(2026, 5, 12), date(2027, 5, 12)),
        ("92", date(2024, 2, 29), date(2026, 2, 28)),
        ("94", date(2026, 11, 30), date(2028, 2, 29)),
    ],
)
def test_belgian_loads_last_their_products_months_from_the_credit(code: str, credited: date, last: date) -> None:
    product = PLUXEE.product(code)
    assert product is not None
    assert product.lot_dates(credited) == (credited, last)


@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.integers(1, 60))
def test_months_later_keeps_the_day_or_takes_the_months_last(day: date, months: int) -> None:
    later = months_later(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)
