"""`ledger balances`: what every account stands at, now or at an instant that is past."""

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import balances as balances_module
from ledger import reading
from ledger.balances import balances
from ledger.cli_balances import balances as command
from ledger.postgres import PostgresStore
from ledger.report import PeriodInvalid, instant_of
from ledger.source import Source
from ledger.values import Cents, Partition, Transfer
from tests.ledger.small import ACCOUNTS, LONG_AGO, MAIN, entry, refolded, small_ledger, stories, write

grown = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@given(
    story=stories,
    closings=st.integers(0, 5),
    seconds=st.one_of(st.none(), st.integers(-1, 12)),
    prefix=st.sampled_from(["", "acquirer:", "holder:é", "h", "holder:%"]),
)
@grown
async def test_balances_at_an_instant_are_what_all_transfers_up_to_it_make(
    cluster: Any, monkeypatch: Any, story: Any, closings: int, seconds: int | None, prefix: str
) -> None:
    """From whichever closing they start, in whatever windows they are read; records of one instant count together."""
    monkeypatch.setattr(reading, "WINDOW_SEQS", 3)
    monkeypatch.setattr(balances_module, "CLOSING_LINES_MAX", 2)
    at = None if seconds is None else LONG_AGO + timedelta(seconds=seconds)
    async with small_ledger(cluster) as small:
        store = PostgresStore(small.url)
        await write(store, story)
        for _ in range(closings):
            await store.close_range(MAIN)
        found = await balances(small.finance_url, prefix, at)
        await store.close()
    expected = refolded([one for one in story if at is None or one.at <= at])
    assert {one.account: one.balance for one in found if one.balance} == {
        account: cents for account, cents in expected.items() if account.startswith(prefix)
    }
    assert [one.account for one in found] == sorted({one.account for one in found})


async def test_partitions_are_added_up_each_at_its_own_record(cluster: Any) -> None:
    later = LONG_AGO + timedelta(hours=1)
    async with small_ledger(cluster, partitions=2) as small:
        store = PostgresStore(small.url)
        for number, minutes in ((0, 10), (1, 90)):
            early, late = (entry("h1", _pay(5), at=at) for at in (LONG_AGO, LONG_AGO + timedelta(minutes=minutes)))
            await write(store, [early, late, late, late, late], Partition(number))
            await store.close_range(Partition(number))
        found = await balances(small.finance_url, at=later)
        await store.close()
    assert {one.account: one.balance for one in found} == {ACCOUNTS[0]: -30, ACCOUNTS[1]: 30}


def test_the_command_prints_the_balances_of_an_instant(database: Any, capsys: pytest.CaptureFixture[str]) -> None:
    async def happen() -> None:
        store = PostgresStore(database.url)
        early, late = (entry("h1", _pay(5), at=LONG_AGO + timedelta(hours=hours)) for hours in (0, 2))
        await write(store, [early, late])
        await store.close()

    asyncio.run(happen())
    for at, cents in (("2019-12-31T23:59:59Z", 0), ("2020-01-01T01:00:00+01:00", 5), ("2020-01-01T02:00Z", 10)):
        command(source=Source(database=database.finance_url), at=at, as_json=True)
        found = {one["account"]: one["balance"] for one in msgspec.json.decode(capsys.readouterr().out)}
        assert found.get(ACCOUNTS[1], 0) == cents
    command(source=Source(database=database.finance_url), at="2020-01-01T01:00Z")
    assert "0.05" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "why"), [("yesterday", "is no instant"), ("2026-05-12T12:30:00", "has no zone")])
def test_an_instant_has_a_zone(text: str, why: str) -> None:
    with pytest.raises(PeriodInvalid, match=f"--at .*{why}: write it as 2026-05-12T"):
        instant_of("--at", text)


def _pay(cents: int) -> Transfer:
    return Transfer(ACCOUNTS[0], ACCOUNTS[1], Cents(cents))
