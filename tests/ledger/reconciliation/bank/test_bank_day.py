"""From the statement to the payout and back: two days of a ledger, its acquirer and its bank, all of it for real."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import asyncpg
import msgspec
from msgspec.structs import replace

from ledger import accounts
from ledger.reconciliation.bank.payouts import payouts
from ledger.reconciliation.importing import Kind, import_file
from ledger.reconciliation.reconciling import breaks, reconcile
from ledger.reconciliation.runs import Listed
from ledger.reconciliation.terms import Tariff
from ledger.reconciliation.values import Cause, Stage
from ledger.values import Cents, Entry, HolderId, Transfer
from tests.conftest import Database
from tests.ledger.reconciliation.bank.banks import ACQUIRER, DAY, OPERATING, VOUCHER, camt053, entry, tomorrow
from tests.ledger.reconciliation.books import Book, acquirer_terms, head, lines_of, reconciler, take_in, terms_of, write


def order_paid(book: Book, reference: str, cents: int) -> None:
    """Record what a client paid in, as the authorizer writes it."""
    book.now += timedelta(seconds=1)
    command = {"type": "payment", "client": "c1", "order": reference, "reference": reference, "amount": cents}
    moved = Transfer(accounts.issuer_float("90"), accounts.client_funds("c1", "90"), Cents(cents))
    request = msgspec.json.encode({"command": command}).decode()
    passbook = HolderId(f"order:{reference}")
    book.entries.append(Entry(book.now, "payment", passbook, request, "{}", "APPROVED", "{}", (moved,)))


async def open_breaks(url: str) -> Sequence[Listed]:
    _, found = await breaks(url)
    return found


async def test_money_comes_in_and_goes_out(database: Database, tmp_path: Path) -> None:
    url = reconciler(database.url)
    agreed = replace(acquirer_terms(), iban=ACQUIRER, tariff=(Tariff(DAY, basis_points=100),))
    terms = terms_of(agreed)
    terms = replace(terms, accounts=replace(terms.accounts, voucher=VOUCHER, operating=OPERATING))
    book = Book()
    order_paid(book, "RF18", 33_400)
    order_paid(book, "LOST", 500)
    paid = [book.pay(1_250), book.pay(2_000)]
    book.cut_over(tomorrow())
    await write(database.url, book.entries)
    await take_in(url, lines_of(paid))

    async def take_statement(name: str, text: str) -> None:
        (tmp_path / name).write_text(text, encoding="utf-8")
        await import_file(url, tmp_path / name, terms, None, kind=Kind.STATEMENT, layout=None)

    await take_statement("first.xml", camt053([entry(33_400, "RF18"), entry(77, "?")]))
    run = await reconcile(url, DAY, terms)
    assert {stage: one.number for stage, one in run.summary.matched.items()} == {Stage.EXACT: 2, Stage.FUNDING: 1}
    assert [(one.one.cause, one.one.expected, one.one.found) for one in await open_breaks(url)] == [
        (Cause.MISSING_IN_BANK, 500, None),
        (Cause.UNEXPLAINED_ENTRY, None, 77),
    ]

    made = await payouts(url, DAY, terms)
    (payout,) = made.payouts
    assert (payout.end_to_end, payout.gross, payout.fee, payout.net) == ("970001-20260512", 3_250, 33, 3_217)
    going = camt053(
        [entry(-3_217, payout.end_to_end, day=tomorrow()), entry(500, "lost", day=tomorrow())],
        33_477,
        begins=tomorrow(),
        ends=tomorrow(),
    )
    await take_statement("second.xml", going)
    run = await reconcile(url, tomorrow(), terms)
    assert {stage: one.number for stage, one in run.summary.matched.items()} == {Stage.PAYOUT: 1, Stage.FUNDING: 1}
    assert [(one.one.cause, one.one.found, one.one.since) for one in await open_breaks(url)] == [
        (Cause.UNEXPLAINED_ENTRY, 77, DAY)
    ]
    assert await payouts(url, DAY, terms) == replace(made, carried=())
    assert await head(database.url) == len(book.entries)
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT sum(net) FROM reconciliation.payout") == 3_217
    await connection.close()
