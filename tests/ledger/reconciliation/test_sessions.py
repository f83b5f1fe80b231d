"""The sessions of a run share its acquirers, and what comes of it doesn't tell how many there were."""

from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.reconciliation import sessions
from ledger.reconciliation.movements import AcquirerWithoutTerms
from ledger.reconciliation.reconciling import breaks, reconcile
from ledger.reconciliation.sessions import shares
from tests.ledger.reconciliation.books import (
    ACQUIRER,
    DAY,
    OTHER,
    Book,
    acquirer_terms,
    lines_of,
    reconciler,
    take_in,
    terms_of,
    write,
)

BOTH = terms_of(acquirer_terms(), acquirer_terms(OTHER))


@given(acquirers=st.lists(st.text("0123456789", min_size=1), unique=True, max_size=6), stranger=st.just("x"))
def test_every_acquirer_is_of_one_share_and_a_stranger_of_the_first(acquirers: list[str], stranger: str) -> None:
    dealt = shares(sorted(acquirers))
    assert len(dealt) <= sessions.SESSIONS_MAX
    for acquirer in acquirers:
        assert [share.has(acquirer) for share in dealt].count(True) == 1
    assert [share.has(stranger) for share in dealt] == [True] + [False] * (len(dealt) - 1)


@pytest.mark.parametrize("number", [1, 2])
async def test_a_run_is_the_same_in_one_session_and_in_two(
    database: Any, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_MAX", number)
    book, role = Book(), reconciler(database.url)
    paid = [book.pay(1_000 + n, acquirer=acquirer) for n in range(4) for acquirer in (ACQUIRER, OTHER)]
    await write(database.url, book.entries)
    first, second = paid[::2], paid[1::2]
    await take_in(role, lines_of(second[:3]))
    await take_in(role, lines_of(first[:2]))
    run = await reconcile(role, DAY, BOTH)
    _, listed = await breaks(database.finance_url)
    assert [(one.one.source, one.one.seq) for one in listed] == [(ACQUIRER, 5), (ACQUIRER, 7), (OTHER, 8)]
    assert {acquirer: side.matched for acquirer, side in run.summary.acquirers.items()} == {
        ACQUIRER: 2_001,
        OTHER: 3_003,
    }
    connection = await asyncpg.connect(database.finance_url)
    try:
        rows = await connection.fetch(
            "SELECT m.seq, m.number, l.file, l.line FROM reconciliation.matched_movement AS m"
            " JOIN reconciliation.matched_line AS l USING (run, number) ORDER BY m.number"
        )
    finally:
        await connection.close()
    assert [tuple(row) for row in rows] == [(2, 1, 1, 1), (4, 2, 1, 2), (6, 3, 1, 3), (1, 4, 2, 1), (3, 5, 2, 2)]


async def test_an_acquirer_whom_the_terms_leave_out_is_noticed_beside_two_that_they_name(database: Any) -> None:
    book = Book()
    book.pay(1_000)
    book.pay(1_000, acquirer="970009")
    await write(database.url, book.entries)
    with pytest.raises(AcquirerWithoutTerms, match=r"970009, which record 0:2 pays"):
        await reconcile(reconciler(database.url), DAY, BOTH)
