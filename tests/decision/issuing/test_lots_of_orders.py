"""Which lot an order's vouchers are of: a vintage follows the month that they are for, others the day of the credit."""

from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authz.decision.issuing.lots_of_orders import LotOfOrder, lot_of
from authz.decision.programme import Product, months_later, vintage_dates
from authz.programmes import shipped

DAYS = st.dates(date(2020, 1, 1), date(2060, 12, 31))
MONTHS = DAYS.map(lambda day: day.replace(day=1))
VALID_MONTHS = {"91": 12, "92": 24, "93": 12, "94": 15, "95": 12}
"""I: how long each Belgian voucher is valid from the credit on."""


def product(code: str) -> Product:
    found = shipped("apetiz" if code == "90" else "pluxee-be").product(code)
    assert found is not None
    return found


@given(MONTHS, DAYS)
def test_titres_restaurant_are_of_the_vintage_of_their_month_whenever_they_are_loaded(month: date, day: date) -> None:
    """R3262-5."""
    assert lot_of(product("90"), month, day) == LotOfOrder(str(month.year), *vintage_dates(month.year))


def test_a_december_order_for_january_cannot_be_spent_before() -> None:
    lot = lot_of(product("90"), date(2027, 1, 1), date(2026, 12, 10))
    assert lot == LotOfOrder("2027", date(2027, 1, 1), date(2028, 2, 29))


@pytest.mark.parametrize("code", sorted(VALID_MONTHS))
@given(MONTHS, DAYS)
def test_other_vouchers_live_so_many_months_from_the_credit_whatever_month_they_are_for(
    code: str, month: date, day: date
) -> None:
    last = months_later(day, VALID_MONTHS[code])
    assert lot_of(product(code), month, day) == LotOfOrder(day.isoformat(), day, last)


@pytest.mark.parametrize("code", sorted({"90", *VALID_MONTHS}))
@given(MONTHS, DAYS, DAYS)
@example(date(2026, 11, 1), date(2026, 11, 29), date(2026, 11, 30))
def test_lots_of_one_name_are_valid_on_the_same_days(code: str, month: date, day: date, other: date) -> None:
    """Else the second load would be refused. 15 months from 29 and from 30 November both end on 29 February 2028."""
    one, two = (lot_of(product(code), month, at) for at in (day, other))
    assert (one.name == two.name) is (one == two)
