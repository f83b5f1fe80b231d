"""Ledgers whose ranges are a few records long, and stories to fill them with."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
from hypothesis import strategies as st
from msgspec import Struct

from ledger import schema
from ledger.chain import extend
from ledger.embedded import EmbeddedServer
from ledger.memory import MemoryLedger, MemoryStore
from ledger.postgres import PostgresStore
from ledger.store import Store
from ledger.values import Account, Cents, Entry, HolderId, Identity, Partition, Record, Transfer

RANGE_SIZE = 4
MAIN = Partition(0)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

ACCOUNTS = [Account(f"{kind}:{name}") for kind in ("acquirer", "holder") for name in ("a", "é", "Z")]


class Small(Struct, frozen=True):
    """A ledger with small ranges: its addresses."""

    superuser_url: str
    url: str
    finance_url: str


@asynccontextmanager
async def small_ledger(cluster: EmbeddedServer, partitions: int = 1) -> AsyncIterator[Small]:
    """Make a ledger with small ranges in a database of its own, and drop it afterwards."""
    name = f"small_{uuid4().hex}"
    admin = await asyncpg.connect(cluster.url("postgres", "postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        await schema.create(cluster.url("postgres", name), partitions, RANGE_SIZE)
        yield Small(*(cluster.url(role, name) for role in ("postgres", "authz", "finance")))
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


@asynccontextmanager
async def small_store(kind: str, cluster: EmbeddedServer) -> AsyncIterator[Store]:
    """Open a store over small ranges: in memory, or in PostgreSQL."""
    if kind == "memory":
        yield MemoryStore(MemoryLedger(range_size=RANGE_SIZE))
        return
    async with small_ledger(cluster) as ledger:
        store = PostgresStore(ledger.url)
        yield store
        await store.close()


async def write(store: Store, entries: Sequence[Entry], partition: Partition = MAIN) -> Sequence[Record]:
    """Append entries as a new writer, a few at a time, with room made for them."""
    fence = await store.take(partition, await store.fence(partition))
    head, last, written = fence.head, fence.hash, []
    for begin in range(0, len(entries), RANGE_SIZE):
        batch = list(extend(partition, fence.epoch, head, last, entries[begin : begin + RANGE_SIZE]))
        await store.append(partition, fence.epoch, head, last, batch)
        head, last = batch[-1].seq, batch[-1].hash
        written += batch
        await store.add_range()
    return written


def entry(
    holder: str | None = "h1",
    *transfers: Transfer,
    at: datetime = LONG_AGO,
    position: str = "[]",
    identities: tuple[Identity, ...] = (),
) -> Entry:
    """Make a line in a holder's passbook, or a record without one."""
    name = None if holder is None else HolderId(holder)
    line = None if holder is None else position
    return Entry(at, "purchase", name, "{}", "{}", "APPROVED", line, transfers, identities)


movements = (
    st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(ACCOUNTS), st.integers(1, 3))
    .filter(lambda one: one[0] != one[1])
    .map(lambda one: Transfer(one[0], one[1], Cents(one[2])))
)
"""Few accounts and cents, so that many of them come back to 0."""

stories = st.lists(
    st.tuples(st.sampled_from(["a", "B", "é", "merchant:1", "merchant:2", "n", None]), st.lists(movements, max_size=3)),
    max_size=5 * RANGE_SIZE,
).map(
    lambda lines: [
        entry(holder, *transfers, at=LONG_AGO + timedelta(seconds=number // 2), position=f"[{number}]")
        for number, (holder, transfers) in enumerate(lines)
    ]
)
"""Records, two an instant."""


def refolded(entries: Sequence[Entry]) -> Mapping[Account, int]:
    """Add up transfers: the accounts that don't end at 0."""
    balances: Counter[Account] = Counter()
    for transfer in (one for entry in entries for one in entry.transfers):
        balances[transfer.credit] += transfer.amount
        balances[transfer.debit] -= transfer.amount
    return {account: cents for account, cents in balances.items() if cents}
