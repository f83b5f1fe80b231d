"""The row-lock authorizer is right: what is slow because it is wrong would be no contender."""

import asyncio
from datetime import date

import asyncpg
import pytest

from benchmarks import pgbench
from benchmarks.costs import metering

DAY = date(2026, 5, 12)
HOLDERS = 4
BALANCE = 22_000


@pytest.fixture
async def authorizers(database):
    """Sessions on a row-lock authorizer of a few holders."""
    sessions = [await asyncpg.connect(database.superuser_url) for _ in range(8)]
    await sessions[0].execute(pgbench.sql("rowlock.sql"))
    await sessions[0].execute(pgbench.sql("fill_rowlock.sql").format(holders=HOLDERS))
    yield sessions
    for session in sessions:
        await session.close()


def authorize(session, reference, cents=100, card=1, merchant=1, day=DAY):
    return session.fetchval("SELECT rowlock.authorize($1, $2, $3, $4, $5)", card, merchant, cents, reference, day)


async def books(session, holder=1):
    return await session.fetchrow(
        """SELECT (SELECT cents FROM rowlock.balance WHERE holder = $1) AS left,
                  (SELECT coalesce(sum(cents), 0)::bigint FROM rowlock.spend WHERE holder = $1) AS spent,
                  (SELECT coalesce(sum(cents), 0)::bigint FROM rowlock.entry WHERE holder = $1 AND code = '00'),
                  (SELECT count(*) FROM rowlock.entry)""",
        holder,
    )


async def test_a_payment_leaves_the_balance_counts_for_the_day_and_is_entered(authorizers):
    assert await authorize(authorizers[0], 1) == "00"
    assert tuple(await books(authorizers[0])) == (BALANCE - 100, 100, 100, 1)


async def test_the_same_reference_gets_the_same_answer_and_has_no_second_effect(authorizers):
    first = await authorize(authorizers[0], 1), await authorize(authorizers[0], 2, cents=1_850)
    again = await authorize(authorizers[0], 1), await authorize(authorizers[0], 2, cents=1_850)
    assert first == again == ("00", "61")
    assert tuple(await books(authorizers[0])) == (BALANCE - 100, 100, 100, 2)


async def test_the_cap_is_nineteen_euros_a_day(authorizers):
    session = authorizers[0]
    assert await authorize(session, 1, cents=1_900) == "00"
    assert await authorize(session, 2, cents=1) == "61"
    assert await authorize(session, 3, cents=1, day=date(2026, 5, 13)) == "00"


async def test_what_is_not_there_is_declined(authorizers):
    session = authorizers[0]
    await session.execute("UPDATE rowlock.card SET active = false WHERE card = 2")
    await session.execute("UPDATE rowlock.balance SET cents = 99 WHERE holder = 3")
    assert await authorize(session, 1, card=HOLDERS + 1) == "14"
    assert await authorize(session, 2, card=2) == "62"
    assert await authorize(session, 3, merchant=999) == "03"
    assert await authorize(session, 4, card=3) == "51"
    assert (await books(session))["left"] == BALANCE


async def test_at_once_by_many_nobody_spends_more_than_there_is_and_every_reference_counts_once(authorizers):
    await authorizers[0].execute("UPDATE rowlock.balance SET cents = 1000 WHERE holder = 1")

    async def spend(session):
        return [await authorize(session, reference, cents=100) for reference in range(1, 26)]

    answers = await asyncio.gather(*map(spend, authorizers))
    assert all(one == answers[0] for one in answers)
    assert sorted(answers[0]) == ["00"] * 10 + ["51"] * 15
    assert tuple(await books(authorizers[0])) == (0, 1_000, 1_000, 25)


async def test_pgbench_drives_it_and_its_log_tells_as_many_as_were_entered(cluster, database, authorizers, monkeypatch):
    monkeypatch.setattr(pgbench, "ROWLOCK_DATABASE", database.name)
    monkeypatch.setattr(pgbench, "WARM_UP_TRANSACTIONS", 20)
    async with metering(cluster, settle_seconds=0) as meter:
        measured = await pgbench.rowlock(cluster, meter, HOLDERS, 2, seconds=1)
    entered = await authorizers[0].fetchval("SELECT count(*) FROM rowlock.entry")
    assert measured.count == entered - 20
    assert measured.errors == 0
    assert 0 < measured.p50_ms <= measured.p99_ms <= measured.p99_9_ms
    assert measured.held > 0


async def test_where_pgbench_cannot_measure_it_says_why(cluster, database):
    async with metering(cluster, settle_seconds=0) as meter:
        with pytest.raises(pgbench.PgbenchFailed, match=r"^pgbench could not measure: .*no-such-script"):
            await pgbench._measured("", cluster, database.name, meter, (("--file=no-such-script",),) * 2, 1, 1)
