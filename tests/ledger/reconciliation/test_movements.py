"""What is read of the ledger: movements, each of the business day that the authorizer says too."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.engine.business_days import BusinessDays
from ledger import reading
from ledger.postgres import PostgresStore
from ledger.reading import heads
from ledger.reconciliation.movements import Opening, Wanted, find_spans, overdue, read_days, read_movements
from ledger.reconciliation.statements import statements
from ledger.reconciliation.terms import Terms
from ledger.values import Seq
from tests.ledger.reconciliation.books import (
    DAY,
    MAIN,
    NOON,
    Book,
    acquirer_terms,
    head,
    reconciler,
    terms_of,
    write,
)

DAYS = 8
_stories: Counter[str] = Counter()
"""How many a database has seen: each has an acquirer and days of its own."""


async def _read(url: str, terms: Terms, wanted: Wanted) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET timezone = 'UTC'")
        await connection.execute(";".join(statements("work").values()))
        days = await read_days(connection, await heads(connection), terms, wanted.day)
        await read_movements(connection, await find_spans(days, wanted), terms)
        return list(await connection.fetch("SELECT * FROM movement ORDER BY partition, seq"))
    finally:
        await connection.close()


@given(
    hours=st.lists(
        st.tuples(st.integers(0, 20), st.sampled_from(["pay", "pay", "pay", "cut over", "skip a day", "say it again"])),
        max_size=25,
    )
)
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
async def test_business_days_are_the_authorizers(
    database: Any, monkeypatch: pytest.MonkeyPatch, hours: list[tuple[int, str]]
) -> None:
    """Also before the first cutover, after midnight, and where one says again what is open."""
    monkeypatch.setattr(reading, "WINDOW_SEQS", 5)
    number = _stories[database.name]
    _stories[database.name] += 1
    first = DAY + timedelta(days=30 * number)
    acquirer = str(970_001 + number)
    book, begins = Book(NOON + timedelta(days=30 * number)), first
    for passed, what in hours:
        book.now += timedelta(hours=passed)
        if what == "pay":
            book.pay(100, acquirer=acquirer)
            continue
        open_now = max(begins, (book.now - timedelta(hours=4)).date())
        begins = open_now + timedelta(days={"cut over": 1, "skip a day": 2, "say it again": 0}[what])
        book.cut_over(begins, acquirer)
    before = await head(database.url)
    await write(database.url, book.entries)
    last = first + timedelta(days=29)
    terms = terms_of(*(acquirer_terms(str(970_001 + one)) for one in range(number + 1)))
    rows = await _read(reconciler(database.url), terms, Wanted(last, first - timedelta(days=1)))
    found = {row["seq"]: row["day"] for row in rows}
    assert len(found) == sum(what == "pay" for _, what in hours)
    store = PostgresStore(database.url)
    days = BusinessDays(store, [MAIN])
    expected: dict[int, date] = {}
    for ahead in range(30):
        [window] = await days.windows(acquirer, first + timedelta(days=ahead))
        expected |= {seq: first + timedelta(days=ahead) for seq in found if window.after < seq <= window.through}
    await store.close()
    assert found == {seq: day for seq, day in expected.items() if seq > before}


async def test_a_movement_is_what_the_request_says_and_what_its_transfers_do(database: Any) -> None:
    book = Book()
    paid = book.pay(1_000, shortfall=400, mti="0220", product="91")
    book.reverse(paid, 300, shortfall=300)
    book.adjust("correction", 50, record=1)
    await write(database.url, book.entries)
    first, second = await _read(reconciler(database.url), terms_of(), Wanted(DAY, DAY - timedelta(days=1)))
    assert (first["cents"], first["shortfall"], first["class"], first["product"]) == (1_000, 400, "022", "91")
    assert (first["merchant"], first["terminal"], first["retrieval"]) == (paid.merchant, paid.terminal, paid.retrieval)
    assert (first["local"], first["transmitted"]) == (paid.local, paid.transmitted)
    assert (second["cents"], second["shortfall"], second["class"]) == (-300, -300, "040")
    assert second["original"] == f"0220{paid.trace}{paid.transmitted}"


async def test_a_clock_that_shows_no_time_is_none(database: Any) -> None:
    book = Book()
    paid = book.pay(1_000)
    told = book.entries[0]
    odd = told.request.replace(f"{paid.local:%Y%m%d%H%M%S}", "20260230250000")
    assert odd != told.request
    await write(database.url, [replace(told, request=odd)])
    [row] = await _read(reconciler(database.url), terms_of(), Wanted(DAY, DAY - timedelta(days=1)))
    assert row["local"] is None


@pytest.mark.parametrize(
    ("cut_over", "days_late", "through"),
    [
        ([], 0, 12),
        ([], 2, 10),
        ([9, 10, 11, 12, 13], 1, 11),
        ([9, 12, 15], 1, 9),
        ([9], 1, 8),
        ([9, 15], 3, 6),
        ([15], 1, 11),
    ],
)
def test_days_late_are_the_acquirers_business_days(cut_over: list[int], days_late: int, through: int) -> None:
    openings = [Opening(Seq(number), date(2026, 5, day)) for number, day in enumerate(cut_over)]
    assert overdue(openings, date(2026, 5, 12), days_late) == date(2026, 5, through)
