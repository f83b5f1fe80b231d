"""The balance of every account, now or at an instant that is past.

The last closing before that record is read, and the transfers after it are added up, window by window: no statement
runs long, and no closed range is read again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

import asyncpg
from msgspec import Struct

from ledger.reading import heads, reader, windows
from ledger.values import Account, Cents, Partition, Seq

CLOSING_LINES_MAX = 100_000
"""Lines of a closing that one statement reads, in some 0.1 s."""

# Instants never run backward: those that are early enough are before all others.
_INSTANT = "SELECT at FROM ledger.whole_journal WHERE partition = $1 AND seq = $2"

_LAST_CLOSED = """
SELECT c.range, (c.range + 1) * s.range_size - 1 AS through
  FROM ledger.closed AS c CROSS JOIN ledger.setting AS s
 WHERE c.partition = $1 AND c.slice = 0 AND (c.range + 1) * s.range_size - 1 <= $2
 ORDER BY c.range DESC LIMIT 1"""

_CLOSING = """
SELECT account, currency, balance FROM ledger.closing
 WHERE partition = $1 AND range = $2 AND account >= $3 AND (account, currency) > ($3, $4) AND account ^@ $5
 ORDER BY account, currency LIMIT $6"""

_SUMS = """
SELECT account, currency, sum(amount)::bigint AS balance
  FROM (
       SELECT credit AS account, currency, amount FROM ledger.whole_transfer
        WHERE partition = $1 AND seq > $2 AND seq <= $3 AND credit ^@ $4
        UNION ALL
       SELECT debit, currency, -amount FROM ledger.whole_transfer
        WHERE partition = $1 AND seq > $2 AND seq <= $3 AND debit ^@ $4
  ) AS movement
 GROUP BY account, currency"""


class Balance(Struct, frozen=True):
    """Credits less debits of an account, in cents; `currency` is ISO 4217's number."""

    account: Account
    currency: int
    balance: Cents


Totals = Counter[tuple[Account, int]]
"""Cents by account and currency, credits less debits."""


async def balances(url: str, prefix: str = "", at: datetime | None = None) -> Sequence[Balance]:
    """Return the balances of all accounts whose name begins with `prefix`, in the order of their names.

    They are those after the last record made at `at` or before; without `at`, after the newest: what view
    `ledger.balance` says, without its one long statement. An account at 0 is there if it has moved since the last
    closing. Raises a `LedgerError`.
    """
    totals: Totals = Counter()
    async with reader(url) as connection:
        for partition, head in (await heads(connection)).items():
            through = head if at is None else await last_record(connection, partition, head, lambda made: made <= at)
            totals.update(await standing(connection, partition, through, prefix))
    return [Balance(account, currency, Cents(totals[account, currency])) for account, currency in sorted(totals)]


async def last_record(
    connection: asyncpg.Connection, partition: Partition, head: Seq, is_early: Callable[[datetime], bool]
) -> Seq:
    """Find the last record up to `head` whose instant is early enough, by halving; 0 where there is none."""
    known, beyond = 0, head + 1
    while beyond - known > 1:
        middle = (known + beyond) // 2
        made = await connection.fetchval(_INSTANT, partition, middle)
        if made is not None and is_early(made):
            known = middle
        else:
            beyond = middle
    return Seq(known)


async def standing(connection: asyncpg.Connection, partition: Partition, through: Seq, prefix: str = "") -> Totals:
    """Add up what one partition's accounts stand at behind a record: the last closing, and what came after it."""
    totals: Totals = Counter()
    after = await _closing(connection, partition, through, prefix, totals)
    for begin, end in windows(after, through):
        for row in await connection.fetch(_SUMS, partition, begin, end, prefix):
            totals[Account(row["account"]), row["currency"]] += row["balance"]
    return totals


async def _closing(
    connection: asyncpg.Connection, partition: Partition, through: Seq, prefix: str, totals: Totals
) -> Seq:
    """Add the last closing up to a record; return the record that it goes to, 0 where there is none."""
    closed = await connection.fetchrow(_LAST_CLOSED, partition, through)
    if closed is None:
        return Seq(0)
    behind = ("", 0)
    while rows := await connection.fetch(_CLOSING, partition, closed["range"], *behind, prefix, CLOSING_LINES_MAX):
        for row in rows:
            totals[Account(row["account"]), row["currency"]] += row["balance"]
        behind = rows[-1]["account"], rows[-1]["currency"]
    return Seq(closed["through"])
