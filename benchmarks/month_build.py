"""Builds the month: its ledger in a database, its files in a folder, and the list of what is wrong with them."""

from collections.abc import Sequence
from datetime import date
from itertools import islice
from pathlib import Path

from msgspec import Struct

from benchmarks.month_bank import Bank
from benchmarks.month_claims import Claims, Injected, Plan
from benchmarks.month_files import MAPPING, MAPPING_FILE, TERMS, TERMS_FILE, write_clearing
from benchmarks.month_ledger import MAIN, Closed, Journal
from benchmarks.month_payouts import Owed
from benchmarks.month_world import LOADED, Shape
from ledger.chain import extend
from ledger.postgres import PostgresStore
from ledger.values import Cents

BATCH_RECORDS_MAX = 2_000


class Month(Struct):
    """A built month. `clearing` are each day's files, `lines` how many all of them have.

    `bank` books its days, `owed` adds up what acquirers are to be paid. What is wrong with the clearing files, `claims`
    knows; what is wrong at the bank, the bank.
    """

    shape: Shape
    folder: Path
    clearing: dict[date, list[Path]]
    bank: Bank
    journal: Journal
    claims: Claims
    owed: Owed
    records: int = 0
    movements: int = 0
    lines: int = 0

    @property
    def terms(self) -> Path:
        """The terms' file; the mapping lies beside it."""
        return self.folder / TERMS_FILE

    @property
    def injected(self) -> Sequence[Injected]:
        """All that is wrong, as far as the files are written."""
        return [*self.claims.injected, *self.bank.injected]


async def build(url: str, folder: Path, shape: Shape) -> Month:
    """Fill an empty ledger, whose application's URL this is, and a folder."""
    plan = Plan(shape)
    month: Month

    def closed(over: Closed) -> None:
        claims = month.claims.of(over)
        month.movements += len(over.movements)
        month.lines += len(claims)
        month.owed.add(over.house, over.day, claims)
        path = write_clearing(folder, over.house, over.day, claims)
        month.clearing.setdefault(over.day, []).append(path)

    journal = Journal(shape, closed, plan.short)
    opening = Cents(shape.holders * LOADED + 1)
    month = Month(shape, folder, {}, Bank(shape, opening), journal, Claims(shape, plan, journal.shops), Owed())
    month.terms.write_text(TERMS, encoding="utf-8")
    (folder / MAPPING_FILE).write_text(MAPPING, encoding="utf-8")
    month.records = await _append(url, journal)
    return month


async def _append(url: str, journal: Journal) -> int:
    entries = journal.entries()
    store = PostgresStore(url)
    try:
        fence = await store.take(MAIN, await store.fence(MAIN))
        head, last = fence.head, fence.hash
        while batch := list(extend(MAIN, fence.epoch, head, last, islice(entries, BATCH_RECORDS_MAX))):
            await store.append(MAIN, fence.epoch, head, last, batch)
            head, last = batch[-1].seq, batch[-1].hash
    finally:
        await store.close()
    return head
