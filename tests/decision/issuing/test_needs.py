"""Who needs a card (S: an order finds which holders have none, or one about to expire, and charges only for those)."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.issuing.needs import ENDS_SOON_MONTHS, months_left, needs_card
from authz.decision.position import Card, CardStatus, Position
from authz.decision.programme import MONTHS_A_YEAR
from authz.programmes import shipped
from ledger.values import Purse

MAY_12 = date(2026, 5, 12)
APETIZ = shipped("apetiz")
GOOD = Card("c1", "apetiz", 2, "3005", CardStatus.ACTIVE)
USELESS = [
    *(replace(GOOD, status=one) for one in CardStatus if one not in (CardStatus.ACTIVE, CardStatus.INACTIVE)),
    replace(GOOD, programme="pluxee-be"),
    replace(GOOD, pin_wrong=5),
    replace(GOOD, generation=1, pin_wrong=3),
    replace(GOOD, expiry="2606"),
    replace(GOOD, expiry="2604"),
]
USEFUL = [
    GOOD,
    replace(GOOD, status=CardStatus.INACTIVE),
    replace(GOOD, pin_wrong=4),
    replace(GOOD, generation=1, pin_wrong=2),
    replace(GOOD, expiry="2607"),
    replace(GOOD, cvv2_wrong=5),
]


def holder(*cards: Card) -> Position:
    return Position(Purse(), cards)


def test_who_is_new_or_has_no_card_needs_one() -> None:
    assert needs_card(None, APETIZ, MAY_12)
    assert needs_card(holder(), APETIZ, MAY_12)


@pytest.mark.parametrize("card", USEFUL)
def test_a_card_that_serves_is_enough(card: Card) -> None:
    assert not needs_card(holder(card), APETIZ, MAY_12)


@pytest.mark.parametrize("card", USELESS)
def test_a_card_that_is_stopped_locked_anothers_or_ends_soon_counts_as_none(card: Card) -> None:
    assert needs_card(holder(card), APETIZ, MAY_12)


@given(st.lists(st.sampled_from(USEFUL + USELESS)))
def test_one_card_that_serves_is_enough_whatever_else_there_is(cards: list[Card]) -> None:
    assert needs_card(holder(*cards), APETIZ, MAY_12) is not any(one in USEFUL for one in cards)


@given(st.dates(date(2020, 1, 1), date(2095, 12, 31)), st.integers(0, 47))
def test_months_are_counted_by_the_calendar_and_not_by_days(day: date, ahead: int) -> None:
    years, month = divmod(day.month - 1 + ahead, MONTHS_A_YEAR)
    expiry = f"{(day.year + years) % 100:02}{month + 1:02}"
    assert months_left(expiry, day) == ahead
    assert needs_card(holder(replace(GOOD, expiry=expiry)), APETIZ, day) is (ahead < ENDS_SOON_MONTHS)
