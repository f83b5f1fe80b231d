"""What limits loads of Belgian vouchers, and which balances are low: rows of the programme."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.outcomes import Reason
from authz.decision.programme import LoadLimit, Product, Validity, limits_on
from authz.programmes import shipped
from ledger.values import Cents
from tests.decision.world import APETIZ, PLUXEE, SNACK, after, card, months, pay, position, vintage


def product(code: str) -> Product:
    found = PLUXEE.product(code)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("code", "day", "face", "year"),
    [
        ("91", date(2025, 12, 31), 800, None),
        ("91", date(2026, 1, 1), 1_000, None),
        ("92", date(2026, 5, 12), 1_000, 25_000),
        ("93", date(2026, 5, 12), 4_000, None),
        ("94", date(2026, 5, 12), None, 10_000),
    ],
)
def test_what_may_be_loaded_at_most(code: str, day: date, face: int | None, year: int | None) -> None:
    limit = limits_on(product(code), day)
    assert limit is not None
    assert (limit.face, limit.year) == (face, year)


def test_what_has_no_row_has_no_limit() -> None:
    assert limits_on(product("95"), date(2026, 5, 12)) is None
    assert [limits_on(one, date(2026, 5, 12)) for one in APETIZ.products] == [None]


def test_the_limits_are_on_loads_and_never_on_payments() -> None:
    at = position(months("91", 20_000), of=card(programme="pluxee-be"), products=("91",))
    outcome = pay(at, 15_000, {"product": "91"}, programme=PLUXEE, merchant=SNACK)
    assert outcome.reply.reason is Reason.APPROVED


def test_a_row_that_limits_nothing_is_no_row() -> None:
    with pytest.raises(ValueError, match="limits neither"):
        LoadLimit(source="a test")


def test_two_rows_for_a_day_are_refused() -> None:
    row = LoadLimit(face=Cents(800), source="a test")
    with pytest.raises(ValueError, match="loads"):
        replace(PLUXEE, products=(replace(product("91"), loads=(row, row)),))


@pytest.mark.parametrize(("programme", "code"), [("apetiz", "90"), ("pluxee-be", "91")])
def test_the_balances_that_are_low_below_20_euros(programme: str, code: str) -> None:
    low = {one.code: one.low_balance for one in shipped(programme).products if one.low_balance is not None}
    assert low == {code: 2_000}


@pytest.mark.parametrize(
    ("before", "amount", "low"),
    [(3_000, 1_000, False), (3_000, 1_001, True), (2_000, 1, True), (1_999, 1, False), (1_000, 1_000, False)],
)
def test_only_the_payment_that_takes_a_balance_below_the_limit_says_so(before: int, amount: int, low: bool) -> None:
    outcome = pay(position(vintage(2026, before)), amount)
    assert (outcome.reply.reason, outcome.reply.low) == (Reason.APPROVED, low)
    assert not pay(position(vintage(2026, before)), 10_000).reply.low


@given(st.integers(2_000, 9_000), st.lists(st.integers(1, 1_900), max_size=10))
def test_a_holder_is_told_once_on_the_way_down(loaded: int, amounts: list[int]) -> None:
    at, told = position(vintage(2026, loaded)), 0
    for amount in amounts:
        outcome = pay(replace(at, spent=()), amount)
        at, told = after(outcome), told + outcome.reply.low
    left = sum(lot.amount for lot in at.purse.lots)
    assert told == (left < 2_000)


def test_a_product_without_the_row_is_never_low() -> None:
    plain = Product(code="95", name="x", source="a test", validity=(Validity(months=1, source="a test"),))
    assert not plain.gets_low(Cents(5_000), Cents(5_000))
