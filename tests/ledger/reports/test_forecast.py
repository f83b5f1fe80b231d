"""The forecast says of every lot what is left in it, and who has it, as the newest lines of all passbooks do."""

from collections import defaultdict
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import reading
from ledger.postgres import PostgresStore
from ledger.reports import forecast as module
from ledger.reports.forecast import Unspent, forecast
from ledger.reports.trial_balance import day_end
from ledger.values import Cents, Entry, HolderId
from tests.ledger.reports.money_stories import BEGIN, FIRST, LOTS, PRODUCTS, Story, folded, steps
from tests.ledger.small import small_ledger, write

PARIS = ZoneInfo("Europe/Paris")
A, B = HolderId("a"), HolderId("b")


@given(told=steps, days=st.integers(-1, 5))
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
async def test_what_is_left_is_what_the_accounts_hold(cluster: Any, monkeypatch: Any, told: Any, days: int) -> None:
    monkeypatch.setattr(module, "HOLDERS_A_STATEMENT_MAX", 2)
    monkeypatch.setattr(reading, "WINDOW_SEQS", 3)
    entries = Story().play(told)
    day = FIRST + timedelta(days)
    merchant = Entry(BEGIN, "merchant", HolderId("merchant:b"), "{}", "{}", "APPROVED", '["not a purse"]')
    async with small_ledger(cluster) as small:
        store = PostgresStore(small.url)
        await write(store, [merchant, *entries])
        await store.close()
        found = await forecast(small.finance_url, day, day_end(day, PARIS))
    sums: defaultdict[str, dict[str, int]] = defaultdict(lambda: {"holder": 0, "hold": 0, "expired": 0})
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for account, cents in folded([one for one in entries if one.at.astimezone(PARIS).date() <= day]).items():
        kind, owner, _, lot = (account.split(":") + [""] * 3)[:4]
        if kind in ("holder", "hold", "expired") and cents:
            sums[lot][kind] += cents
            owners[lot].add(owner)
    assert [msgspec.to_builtins(one) for one in found.expiries] == [
        {
            "until": LOTS[lot].isoformat(),
            "product": PRODUCTS[lot],
            "lot": lot,
            "spendable": sums[lot]["holder"],
            "held": sums[lot]["hold"],
            "waiting": sums[lot]["expired"],
            "holders": len(owners[lot]),
        }
        for lot in LOTS
        if lot in sums
    ]


async def test_what_of_a_vintage_was_never_spent_is_told_from_history(cluster: Any) -> None:
    """100 cents came in, 60 were spent, 40 expired; 10 came back into it for a late payment, which took them."""
    story = Story()
    told = [("load", A, 70), ("load", B, 30), ("pay", A, 60), ("expire", A, 10), ("expire", B, 30), ("back", B, 10)]
    for what, holder, cents in told:
        story.happen(what, holder, "2025", cents)
    story.happen("pay", B, "2025", 10)
    story.happen("load", A, "2026", 5)
    async with small_ledger(cluster) as small:
        store = PostgresStore(small.url)
        await write(store, story.entries)
        await store.close()
        with_history = await forecast(small.finance_url, None, None, with_history=True)
        without = await forecast(small.finance_url, None, None, until=LOTS["2025"])
    assert with_history.unspent == (Unspent("90", "2025", Cents(100), Cents(30), 3_000),)
    assert without.unspent == ()
    assert [(one.lot, one.waiting, one.holders) for one in without.expiries] == [("2025", 30, 2)]
