"""The trial balance holds every class of accounts on its side, and the two sides are equal."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import reading
from ledger.postgres import PostgresStore
from ledger.reports import trial_balance as module
from ledger.reports.trial_balance import Class, day_end, of_standing, trial_balance
from ledger.values import Cents
from tests.ledger.reports.money_stories import FIRST, Story, folded, steps
from tests.ledger.small import MAIN, small_ledger, write

PARIS = ZoneInfo("Europe/Paris")


def _classes(totals: Mapping[str, int]) -> dict[str, int]:
    """Naively: the owner's name and the lot are left out."""
    classes: Counter[str] = Counter()
    for account, cents in totals.items():
        words = account.split(":")
        if words[0] in ("holder", "hold", "expired"):
            words = [words[0], "*", words[2]]
        elif words[0] == "client":
            words[1] = "*"
        classes[":".join(words)] += cents
    return {name: cents for name, cents in classes.items() if cents}


@given(told=steps, closings=st.integers(0, 5), days=st.integers(-1, 5))
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
async def test_each_class_is_what_all_transfers_up_to_the_days_end_make(
    cluster: Any, monkeypatch: Any, told: Any, closings: int, days: int
) -> None:
    """From whichever closing it starts, in whatever windows it is read."""
    monkeypatch.setattr(reading, "WINDOW_SEQS", 3)
    monkeypatch.setattr(module, "CLOSING_LINES_MAX", 2)
    entries = Story().play(told)
    day = FIRST + timedelta(days)
    async with small_ledger(cluster) as small:
        store = PostgresStore(small.url)
        await write(store, entries)
        for _ in range(closings):
            await store.close_range(MAIN)
        await store.close()
        found = await trial_balance(small.finance_url, day, day_end(day, PARIS))
    expected = _classes(folded([one for one in entries if one.at.astimezone(PARIS).date() <= day]))
    assert {one.account: one.credit - one.debit for one in found.classes} == expected
    assert [one.account for one in found.classes] == sorted(expected)
    assert found.is_even
    assert found.debit == sum(-cents for cents in expected.values() if cents < 0)


def test_a_class_stands_on_one_side() -> None:
    found = of_standing(
        None, {"holder:*:90:2026": Cents(5), "holder:*:90:2027": Cents(2), "issuer:float:90": Cents(-7)}
    )
    assert found.classes == (
        Class("holder:*:90", debit=Cents(0), credit=Cents(7)),
        Class("issuer:float:90", debit=Cents(7), credit=Cents(0)),
    )
    assert found.is_even


def test_books_that_dont_balance_are_told() -> None:
    assert not of_standing(None, {"issuer:vat": Cents(1)}).is_even


def test_a_day_of_23_hours_ends_at_midnight() -> None:
    summer = FIRST.replace(month=3, day=29)
    assert day_end(summer, PARIS).isoformat() == "2026-03-30T00:00:00+02:00"
