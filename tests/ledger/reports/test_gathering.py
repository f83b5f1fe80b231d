"""The figures of a report, held against a fold of the same books, record by record, that knows what each means."""

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from ledger import reading, schema
from ledger.reports import month
from ledger.reports.figures import ASIDE, Clearing, Report, Section
from ledger.reports.gathering import gather
from tests.ledger.reports.books import DAYS, FIRST, LAST, LATE, NEVER, PUNCTUAL, Books

BY_DAY = (Section.CLEARING, Section.VOLUME, Section.MESSAGES, Section.VOUCHERS)
PERIODS = [*((day, day) for day in DAYS), (FIRST, LAST), (DAYS[1], DAYS[3])]


@pytest.fixture(scope="module")
def books() -> Books:
    return Books(seed=8, partitions=2, records=500)


@pytest.fixture(scope="module")
def url(cluster: Any, books: Books) -> Iterator[str]:
    """The address of a ledger with these books, in two partitions, whose first ranges are closed."""
    name = f"reports_{uuid4().hex}"

    async def administer(*statements: str) -> None:
        connection = await asyncpg.connect(cluster.url("postgres", "postgres"))
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    async def fill() -> None:
        await administer(f"CREATE DATABASE {name}")
        await schema.create(cluster.url("postgres", name), partitions=2, range_size=150)
        await books.write(cluster.url("authz", name))

    asyncio.run(fill())
    yield cluster.url("finance", name)
    asyncio.run(administer(f"DROP DATABASE {name} WITH (FORCE)"))


def counted(report: Report) -> dict[Any, tuple[int, int]]:
    return {
        (one.section, one.day, one.hour, one.acquirer, one.product, one.name): (one.records or 0, one.cents or 0)
        for one in report.figures
        if one.section in BY_DAY
    }


@pytest.mark.parametrize(("first", "last"), PERIODS, ids=str)
async def test_the_figures_are_those_of_a_fold_record_by_record(
    url: str, books: Books, first: date, last: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the windows: business days by the acquirers' cutovers, all else by the calendar, also in March."""
    monkeypatch.setattr(reading, "WINDOW_SEQS", 151)
    report = await gather(url, first, last)
    assert counted(report) == books.figures(first, last)
    standing = {
        (one.section, one.product, one.name): one.cents
        for one in report.figures
        if one.section in (Section.UNSPENT, Section.WAITING, Section.TRIAL_BALANCE)
    }
    assert standing == books.standing(last)


async def test_days_add_up_to_their_month_in_any_windows(url: str) -> None:
    whole = await gather(url, FIRST, LAST)
    days = [await gather(url, day, day) for day in DAYS]
    figures = [one for day in days for one in day.figures if one.section in BY_DAY]
    assert sorted(map(str, figures)) == sorted(str(one) for one in whole.figures if one.section in BY_DAY)


async def test_what_clears_is_what_the_acquirers_accounts_moved(url: str, books: Books) -> None:
    report = await gather(url, FIRST - timedelta(days=1), LAST + timedelta(days=2))
    owed = dict.fromkeys((PUNCTUAL, LATE, NEVER), 0)
    for one in report.of(Section.CLEARING):
        if one.name not in ASIDE - {Clearing.SETTLEMENT}:
            assert one.acquirer is not None
            owed[one.acquirer] += one.cents or 0
    balances = {one.name: one.cents for one in report.of(Section.TRIAL_BALANCE)}
    assert owed == {name: balances[f"acquirer:{name}:payable"] for name in owed}
    assert sum(filter(None, balances.values())) == 0


async def test_a_day_that_was_not_cut_over_is_still_open(url: str) -> None:
    """The fourth evening had no cutover: what was paid then is of the day before, until the next one."""
    assert (await gather(url, DAYS[2], DAYS[2])).still_open == ()
    assert (await gather(url, LAST, LAST)).still_open == (LATE,)
    after = LAST + timedelta(days=1)
    assert (await gather(url, after, after)).still_open == (PUNCTUAL, LATE)


async def test_the_same_ledger_gives_the_same_report(url: str) -> None:
    assert await gather(url, FIRST, LAST) == await gather(url, FIRST, LAST)


async def test_a_day_without_records_has_only_what_accounts_stand_at(url: str, books: Books) -> None:
    day = FIRST - timedelta(days=30)
    report = await gather(url, day, day)
    assert report.figures == ()
    assert [one.through for one in report.reach] == [0, 0]


@pytest.mark.parametrize(("first", "last"), [(date(2026, 2, 1), 28), (date(2028, 2, 1), 29), (date(2026, 12, 1), 31)])
def test_a_month_ends_on_its_last_day(first: date, last: int) -> None:
    assert month.last_of(first) == first.replace(day=last)
