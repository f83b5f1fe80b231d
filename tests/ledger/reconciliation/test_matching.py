"""Which lines and which movements are found to be the same, and at which stage (docs/reconciliation.md, "Stages")."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from ledger.reconciliation.reconciling import breaks, reconcile
from ledger.reconciliation.values import Cause, ClearingLine, Stage
from ledger.values import Cents
from tests.ledger.reconciliation.books import (
    DAY,
    Book,
    Paid,
    acquirer_terms,
    line_of,
    lines_of,
    reconciler,
    take_in,
    terms_of,
    write,
)

NAMELESS: dict[str, Any] = {"trace": None, "transmitted": None, "retrieval": None}
"""What a line lacks that names no message."""
LOOSE = terms_of(acquirer_terms(tolerance_cents=2, window_s=30))


async def _found(database: Any, book: Book, lines: Sequence[ClearingLine]) -> tuple[dict[Stage, int], list[Cause]]:
    """Reconcile one day; return how many matches each stage found, and the causes of what is left."""
    await write(database.url, book.entries)
    await take_in(reconciler(database.url), lines)
    run = await reconcile(reconciler(database.url), DAY, LOOSE)
    _, listed = await breaks(database.finance_url)
    return {stage: one.number for stage, one in run.summary.matched.items()}, [one.one.cause for one in listed]


async def test_each_stage_finds_what_none_before_it_does(database: Any) -> None:
    book = Book()
    exact, tolerated, retrieval, window, split = (book.pay(1_000 + 10 * n) for n in range(5))
    given_back = book.reverse(exact, 250)
    till = [book.pay(cents, terminal="PAR00002") for cents in (300, 400, 500)]
    shop = [book.pay(cents, merchant="FR0000000000002", terminal=f"PAR1000{cents}") for cents in (1, 2, 3)]
    lines = [
        *lines_of([exact, given_back]),
        line_of(tolerated, 3, cents=Cents(tolerated.cents + 2)),
        line_of(retrieval, 4, trace="999999"),
        line_of(window, 5, **NAMELESS, local=window.local + timedelta(seconds=30)),
        line_of(split, 6, cents=Cents(1_000)),
        line_of(split, 7, cents=Cents(40)),
        line_of(till[0], 8, **NAMELESS, local=None, cents=Cents(1_200), payments=3),
        line_of(shop[0], 9, **NAMELESS, local=None, terminal=None, cents=Cents(6), payments=3),
    ]
    assert await _found(database, book, lines) == (
        {
            Stage.EXACT: 2,
            Stage.TOLERATED: 1,
            Stage.RETRIEVAL: 1,
            Stage.WINDOW: 1,
            Stage.SEVERAL_PAYMENTS: 2,
            Stage.SEVERAL_LINES: 1,
        },
        [],
    )


async def test_what_could_be_two_is_neither(database: Any) -> None:
    """Two payments of the same cents at one till within the window, and one line that tells no more."""
    book = Book()
    first = book.pay(1_000)
    book.now -= timedelta(seconds=50)
    book.pay(1_000)
    line = line_of(first, 1, **NAMELESS, local=first.local + timedelta(seconds=5))
    missing = [Cause.MISSING_IN_CLEARING, Cause.MISSING_IN_CLEARING, Cause.MISSING_IN_LEDGER]
    assert await _found(database, book, [line]) == ({}, missing)


async def test_a_line_that_sums_up_other_cents_is_one_break_for_all_of_them(database: Any) -> None:
    book = Book()
    till = [book.pay(cents) for cents in (300, 400, 500)]
    line = line_of(till[0], 1, **NAMELESS, local=None, cents=Cents(900), payments=2)
    assert await _found(database, book, [line]) == ({}, [Cause.AMOUNT_DIFFERS])
    [listed] = (await breaks(database.finance_url))[1]
    assert (listed.one.expected, listed.one.found, listed.one.line, listed.one.seq) == (1_200, 900, 1, None)


@pytest.mark.parametrize(("cents", "breaks_left"), [(50, []), (49, [Cause.AMOUNT_DIFFERS])])
@pytest.mark.parametrize("by_line", [False, True])
async def test_an_adjustment_resolves_a_break_that_it_comes_to(
    database: Any, cents: int, breaks_left: list[Cause], by_line: bool
) -> None:
    book, role = Book(), reconciler(database.url)
    paid = book.pay(1_000)
    await write(database.url, book.entries)
    sha = await take_in(role, [line_of(paid, 1, cents=Cents(1_050))])
    before = await reconcile(role, DAY, terms_of())
    assert list(before.summary.breaks) == [Cause.AMOUNT_DIFFERS]
    later = Book(book.now)
    later.adjust("correction", cents, **({"line": (sha, 1)} if by_line else {"record": 1}))
    await write(database.url, later.entries)
    run = await reconcile(role, DAY, terms_of())
    assert list(run.summary.breaks) == breaks_left
    assert (Stage.ADJUSTMENT in run.summary.matched) == (not breaks_left)


async def test_a_shortfall_is_open_until_it_is_given_back_or_written_off(database: Any) -> None:
    book, role = Book(), reconciler(database.url)
    paid: Paid = book.pay(1_000, shortfall=600, mti="0220")
    given_back = book.reverse(paid, 200, shortfall=200)
    await write(database.url, book.entries)
    await take_in(role, lines_of([paid, given_back]))
    await reconcile(role, DAY, terms_of())
    [listed] = (await breaks(database.finance_url))[1]
    assert (listed.one.cause, listed.one.expected, listed.one.found) == (Cause.ADVICE_SHORTFALL, 600, 1_000)
    for cents, left in ((300, 100), (100, None)):
        later = Book(book.now)
        later.adjust("write-off", cents, record=1)
        await write(database.url, later.entries)
        run = await reconcile(role, DAY, terms_of())
        sums = run.summary.breaks.get(Cause.ADVICE_SHORTFALL)
        assert (None if sums is None else sums.cents) == left
