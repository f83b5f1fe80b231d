"""Runs: the same inputs are the same run, half a run doesn't exist, and what is open is carried on."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from ledger.reconciliation.movements import AcquirerWithoutTerms
from ledger.reconciliation.reconciling import breaks, reconcile
from ledger.reconciliation.runs import DayPassed, NeverReconciled, Run
from ledger.reconciliation.values import Cause, Stage
from ledger.store import Unavailable
from ledger.values import Cents
from tests.ledger.reconciliation.books import (
    DAY,
    OTHER,
    Book,
    acquirer_terms,
    line_of,
    lines_of,
    reconciler,
    take_in,
    terms_of,
    write,
)

LONG = [
    pytest.mark.soak,
    pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`"),
]
NEXT = DAY + timedelta(days=1)
LATE = terms_of(acquirer_terms(days_late=1))


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Iterator[list[int]]:
    """Cut the session at so manieth statement, before the server has heard of it; count those that were said."""
    said = [0]
    with monkeypatch.context() as patched:
        for name in ("execute", "fetch", "fetchval", "fetchrow", "executemany"):
            patched.setattr(asyncpg.Connection, name, _counted(getattr(asyncpg.Connection, name), said, number))
        yield said


def _counted(say: Any, said: list[int], number: int) -> Any:
    async def counted(self: asyncpg.Connection, *args: Any, **named: Any) -> Any:
        said[0] += 1
        if said[0] == number:
            self.terminate()
        return await say(self, *args, **named)

    return counted


WRITTEN = ("run", "matched_movement", "matched_line", "matched_entry", "break")


async def _published(url: str) -> list[Any]:
    """All that runs have ever written, table by table."""
    connection = await asyncpg.connect(url)
    try:
        return [
            [
                tuple(row.values())[:-1] if table == "run" else tuple(row.values())
                for row in await connection.fetch(f"SELECT * FROM reconciliation.{table} ORDER BY 1, 2")
            ]
            for table in WRITTEN
        ]
    finally:
        await connection.close()


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=LONG)])
async def test_killed_at_any_statement_and_run_again_the_run_is_the_same(
    database: Any, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    book, role = Book(), reconciler(database.url)
    paid = [book.pay(1_000 + n) for n in range(4)]
    await write(database.url, book.entries)
    lines = lines_of(paid[:2])
    await take_in(role, [*lines, line_of(paid[2], 3, cents=Cents(1))])
    number, run = 1, None
    while run is None:
        with killed_at(monkeypatch, number):
            try:
                run = await reconcile(role, DAY, terms_of())
            except (Unavailable, asyncpg.InterfaceError):
                assert await _published(database.superuser_url) == [[] for _ in WRITTEN], number
        number += step
    assert number > 50
    published = await _published(database.superuser_url)
    assert (await reconcile(role, DAY, terms_of())) == run
    assert await _published(database.superuser_url) == published


async def test_the_same_again_is_the_same_run_however_far_the_journal_has_come(database: Any) -> None:
    book, role = Book(), reconciler(database.url)
    paid = book.pay(1_000)
    book.cut_over(NEXT)
    await write(database.url, book.entries)
    await take_in(role, lines_of([paid]))
    run = await reconcile(role, DAY, terms_of())
    tomorrow = Book(book.now)
    tomorrow.pay(500)
    await write(database.url, tomorrow.entries)
    assert await reconcile(role, DAY, terms_of()) == run
    following = await reconcile(role, NEXT, LATE)
    assert (following.inputs.previous, list(following.summary.breaks)) == (run.key.hex(), [])
    assert await reconcile(role, DAY, LATE) == run


async def test_what_comes_late_is_matched_by_the_next_run_and_a_break_ages(database: Any) -> None:
    book, role = Book(), reconciler(database.url)
    paid, lost = book.pay(1_000), book.pay(2_000)
    await write(database.url, book.entries)
    await reconcile(role, DAY, terms_of())
    _, listed = await breaks(database.finance_url)
    assert [(one.one.cause, one.one.seq) for one in listed] == [(Cause.MISSING_IN_CLEARING, n) for n in (1, 2)]
    await take_in(role, lines_of([paid]))
    run = await reconcile(role, DAY, terms_of())
    assert run.summary.matched[Stage.EXACT].number == 1
    following = await reconcile(role, NEXT, terms_of())
    [left] = (await breaks(database.finance_url, NEXT))[1]
    assert (left.one.seq, left.one.since, left.one.age(following.day), left.one.expected) == (2, DAY, 1, lost.cents)


async def test_what_may_still_come_is_no_break(database: Any) -> None:
    book, role = Book(), reconciler(database.url)
    paid = book.pay(1_000)
    await write(database.url, book.entries)
    run: Run = await reconcile(role, DAY, LATE)
    assert (run.summary.found, run.summary.pending) == (0, (DAY,))
    await take_in(role, lines_of([paid], NEXT), NEXT)
    following = await reconcile(role, NEXT, LATE)
    [listed] = (await breaks(database.finance_url))[1]
    assert (listed.one.cause, listed.one.seq, listed.one.line) == (Cause.WRONG_DAY, 1, 1)
    assert following.summary.pending == ()
    assert (await reconcile(role, NEXT + timedelta(days=1), LATE)).summary.found == 0


async def test_days_are_reconciled_in_their_order(database: Any) -> None:
    with pytest.raises(NeverReconciled, match="no day is reconciled"):
        await breaks(database.finance_url)
    await reconcile(reconciler(database.url), NEXT, terms_of())
    with pytest.raises(DayPassed, match=f"{NEXT} is reconciled already, and {DAY}"):
        await reconcile(reconciler(database.url), DAY, terms_of())


async def test_no_acquirer_is_left_out(database: Any) -> None:
    book = Book()
    book.pay(1_000, acquirer=OTHER)
    await write(database.url, book.entries)
    with pytest.raises(AcquirerWithoutTerms, match=f"don't name acquirer {OTHER}, which record 0:1 pays"):
        await reconcile(reconciler(database.url), DAY, terms_of())
