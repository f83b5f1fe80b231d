"""What acquirers advised and no balance could cover (docs/interface.md, "Shortfalls"), by their exceptions accounts."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger import accounts, reading, shortfalls
from ledger.shortfalls import EVER, Period, Shortfall, Totals, summed
from ledger.store import Store, Unavailable
from ledger.values import Account, Cents, Entry, HolderId, Partition, Seq, Transfer

NOON = datetime(2026, 5, 12, 10, 30, 0, 123456, tzinfo=UTC)
HOURS = [NOON + timedelta(hours=number) for number in range(6)]
MAIN = Partition(0)

periods = st.builds(Period, st.sampled_from([None, *HOURS]), st.sampled_from([None, *HOURS]))
movements = st.builds(
    Shortfall,
    partition=st.integers(0, 2),
    seq=st.integers(1, 9),
    at=st.sampled_from(HOURS),
    kind=st.just("advice"),
    holder=st.just("h1"),
    acquirer=st.sampled_from(["970001", "970002"]),
    cents=st.integers(-500, 500).filter(bool),
)


# Adding up


@given(st.lists(movements), periods)
def test_what_was_advised_less_what_was_given_back_is_what_the_movements_of_the_period_add_up_to(
    ever: list[Shortfall], period: Period
) -> None:
    found = summed(ever, period)
    total = found.total
    assert total.movements == len(found.movements)
    assert total.advised - total.given_back == sum(one.cents for one in found.movements)
    assert min(total.advised, total.given_back) >= 0
    assert [one.at for one in found.movements] == sorted(one.at for one in ever if one.at in period)


@given(st.lists(movements), periods)
def test_what_is_outstanding_does_not_depend_on_the_period(ever: list[Shortfall], period: Period) -> None:
    found = summed(ever, period)
    assert found.total.outstanding == sum(one.cents for one in ever)
    for acquirer, totals in found.acquirers.items():
        assert totals.outstanding == sum(one.cents for one in ever if one.acquirer == acquirer)


@given(st.lists(movements), periods)
def test_the_total_is_the_sum_of_the_acquirers(ever: list[Shortfall], period: Period) -> None:
    """Who has neither a movement in the period nor anything outstanding adds nothing, and isn't there."""
    found = summed(ever, period)
    for name in Totals.__struct_fields__:
        assert getattr(found.total, name) == sum(getattr(totals, name) for totals in found.acquirers.values())
    assert all(totals.movements or totals.outstanding for totals in found.acquirers.values())


@given(st.lists(movements), st.sampled_from(HOURS))
def test_adjacent_periods_share_no_movement_and_lose_none(ever: list[Shortfall], cut: datetime) -> None:
    before, after = summed(ever, Period(None, cut)), summed(ever, Period(cut, None))
    assert [*before.movements, *after.movements] == list(summed(ever, EVER).movements)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))])
def test_a_period_has_its_first_instant_and_not_its_last(zone: timezone) -> None:
    period = Period(NOON.astimezone(zone), HOURS[1].astimezone(zone))
    assert NOON in period
    assert HOURS[1] - timedelta(microseconds=1) in period
    assert NOON - timedelta(microseconds=1) not in period
    assert HOURS[1] not in period
    assert NOON in EVER


# Reading


def _advice(entries: Any, at: datetime, *transfers: tuple[Account, Account, int], holder: str = "h1") -> Entry:
    moved = tuple(Transfer(debit, credit, Cents(cents)) for debit, credit, cents in transfers)
    entry: Entry = replace(entries.payment(holder), at=at, kind="advice", transfers=moved)
    return entry


def _story(entries: Any) -> list[Entry]:
    """Two shortfalls of one acquirer, of which one is given back, and one of another; and payments in full."""
    lot = accounts.of_holder(HolderId("h1"), "90", "2026")
    one, other = "970001", "970002"
    return [
        _advice(entries, HOURS[0], (lot, accounts.payable(one), 900)),
        _advice(
            entries,
            HOURS[1],
            (lot, accounts.payable(one), 100),
            (accounts.exceptions(one), accounts.payable(one), 250),
        ),
        _advice(entries, HOURS[2], (accounts.exceptions(other), accounts.payable(other), 40), holder="h2"),
        _advice(entries, HOURS[3], (accounts.exceptions(one), accounts.payable(one), 7)),
        replace(
            _advice(entries, HOURS[4], (accounts.payable(one), accounts.exceptions(one), 250)),
            kind="reversal",
        ),
    ]


EXPECTED = (
    Shortfall(MAIN, Seq(2), HOURS[1], "advice", HolderId("h1"), "970001", Cents(250)),
    Shortfall(MAIN, Seq(3), HOURS[2], "advice", HolderId("h2"), "970002", Cents(40)),
    Shortfall(MAIN, Seq(4), HOURS[3], "advice", HolderId("h1"), "970001", Cents(7)),
    Shortfall(MAIN, Seq(5), HOURS[4], "reversal", HolderId("h1"), "970001", Cents(-250)),
)


@pytest.fixture
async def written(postgres: Store, begin: Callable[[Store], Awaitable[Any]], entries: Any) -> Any:
    writer = await begin(postgres)
    await writer.append(*_story(entries))
    return writer


@pytest.mark.parametrize("window", [1, 2, 100_000])
async def test_every_movement_of_an_exceptions_account_is_reported_whatever_the_windows(
    database: Any, written: Any, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(reading, "WINDOW_SEQS", window)
    found = await shortfalls.shortfalls(database.finance_url)
    assert found.movements == EXPECTED
    assert found.acquirers == {
        "970001": Totals(3, Cents(257), Cents(250), Cents(7)),
        "970002": Totals(1, Cents(40), Cents(0), Cents(40)),
    }
    assert found.total == Totals(4, Cents(297), Cents(250), Cents(47))


async def test_what_is_outstanding_is_what_the_exceptions_accounts_say(
    database: Any, written: Any, superuser: asyncpg.Connection
) -> None:
    rows = await superuser.fetch("SELECT account, balance FROM ledger.balance WHERE account LIKE '%:exceptions'")
    balances = {row["account"]: row["balance"] for row in rows}
    found = await shortfalls.shortfalls(database.finance_url)
    assert balances == {accounts.exceptions(name): -one.outstanding for name, one in found.acquirers.items()}


async def test_a_period_chooses_movements_and_leaves_what_is_outstanding_now(database: Any, written: Any) -> None:
    found = await shortfalls.shortfalls(database.finance_url, Period(HOURS[3], HOURS[4]))
    assert found.movements == EXPECTED[2:3]
    assert found.total == Totals(1, Cents(7), Cents(0), Cents(47))
    assert list(found.acquirers) == ["970001", "970002"]


async def test_one_acquirers_shortfalls(database: Any, written: Any) -> None:
    found = await shortfalls.shortfalls(database.finance_url, acquirer="970002")
    assert found.movements == EXPECTED[1:2]
    assert found.acquirers == {"970002": found.total}
    nobodys = await shortfalls.shortfalls(database.finance_url, acquirer="9700")
    assert (nobodys.movements, nobodys.acquirers) == ((), {})


async def test_partitions_are_read_together_by_instant(
    database: Any, written: Any, superuser: asyncpg.Connection
) -> None:
    """A transfer never crosses partitions: an acquirer has an exceptions account in each, and the report adds them."""
    await superuser.execute(
        "INSERT INTO ledger.fence (partition, head) VALUES (7, 1);"
        "INSERT INTO ledger.journal SELECT 7, seq, epoch, at + interval '30 minutes', kind, NULL, request, reply,"
        " reason, NULL, identities, hash FROM ledger.journal WHERE seq = 1;"
        "INSERT INTO ledger.transfer VALUES (7, 1, 1, 'acquirer:970001:exceptions', 'acquirer:970001:payable', 3)"
    )
    found = await shortfalls.shortfalls(database.finance_url)
    extra = Shortfall(Partition(7), Seq(1), HOURS[0] + timedelta(minutes=30), "advice", None, "970001", Cents(3))
    assert found.movements == (extra, *EXPECTED)
    assert found.acquirers["970001"].outstanding == 7 + 3


async def test_records_that_are_written_meanwhile_are_left_for_the_next_time(
    database: Any, written: Any, entries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads are noted at the start: what is outstanding is of one moment."""

    async def note_then_write(connection: asyncpg.Connection) -> Any:
        noted = await reading.heads(connection)
        await written.append(*_story(entries))
        return noted

    monkeypatch.setattr(shortfalls, "heads", note_then_write)
    assert (await shortfalls.shortfalls(database.finance_url)).movements == EXPECTED


async def test_a_ledger_that_cannot_be_read_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await shortfalls.shortfalls("postgresql://finance@/x?host=/nowhere")
