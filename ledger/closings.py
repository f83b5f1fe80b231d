"""The closing balances of full ranges, held against what a walk has folded up to their last record.

Holders' balances are held against the fingerprints of their purses, by one number for all of them; only where it
differs is the account looked for, line by line.
"""

from collections.abc import AsyncIterator, Sequence

import asyncpg

from ledger.money import Money, balances_of, owner_of
from ledger.values import Account, Cents, HolderId, Partition, Seq

CHUNK_ACCOUNTS_MAX = 2_000
CHUNK_HOLDERS_MAX = 200

# Slice 0 of a range is the last one to be written.
_CLOSED = """
SELECT c.range, (c.range + 1) * s.range_size - 1 AS last FROM ledger.closed AS c, ledger.setting AS s
 WHERE c.partition = $1 AND c.slice = 0 ORDER BY c.range"""

_BALANCES = """
SELECT account, balance FROM ledger.closing
 WHERE partition = $1 AND range = $2 AND account > $3 ORDER BY account LIMIT $4"""

_BALANCES_OF = "SELECT account, balance FROM ledger.closing WHERE partition = $1 AND range = $2 AND account = ANY ($3)"

_LINES = """
SELECT asked.holder, line."position" FROM unnest($2::text[]) AS asked (holder)
 CROSS JOIN LATERAL (
       SELECT j."position" FROM ledger.whole_journal AS j
        WHERE j.partition = $1 AND j.holder = asked.holder COLLATE "C" AND j.seq <= $3 ORDER BY j.seq DESC LIMIT 1
  ) AS line"""


class Closings:
    """The closings of one partition."""

    def __init__(self, connection: asyncpg.Connection, partition: Partition) -> None:
        self._connection = connection
        self._partition = partition

    async def ends(self) -> dict[Seq, int]:
        """Give the last seqs of the ranges that are closed, each with its range."""
        rows = await self._connection.fetch(_CLOSED, self._partition)
        return {Seq(row["last"]): row["range"] for row in rows}

    async def wrong(self, number: int, end: Seq, money: Money) -> str | None:
        """Say which closing balance of range `number` isn't what the records up to `end` make; None: all are."""
        others: dict[str, int] = {}
        total = 0
        async for rows in self._balances(number):
            for account, balance in rows:
                if owner_of(Account(account)) is None:
                    others[account] = balance
                else:
                    total += money.weigh(account, balance)
        made = {account: balance for account, balance in money.others.items() if balance}
        for account in sorted(others.keys() | made.keys()):
            if others.get(account, 0) != made.get(account, 0):
                return _differs(account, others.get(account, 0), made.get(account, 0))
        return None if money.is_worth(total) else await self._culprit(number, end, money)

    async def _balances(self, number: int) -> AsyncIterator[Sequence[asyncpg.Record]]:
        after = ""
        while rows := await self._connection.fetch(_BALANCES, self._partition, number, after, CHUNK_ACCOUNTS_MAX):
            yield rows
            after = rows[-1]["account"]

    async def _culprit(self, number: int, end: Seq, money: Money) -> str:
        """Look at every account on both sides."""
        async for rows in self._balances(number):
            owned = {row["account"]: owner for row in rows if (owner := owner_of(Account(row["account"]))) is not None}
            made = await self._made(sorted(set(owned.values())), end)
            for account, balance in rows:
                if account in owned and made.get(account, 0) != balance:
                    return _differs(account, balance, made.get(account, 0))
        holders = sorted(money.known)
        for begin in range(0, len(holders), CHUNK_HOLDERS_MAX):
            made = await self._made(holders[begin : begin + CHUNK_HOLDERS_MAX], end)
            rows = await self._connection.fetch(_BALANCES_OF, self._partition, number, list(made))
            closed = {row["account"]: row["balance"] for row in rows}
            for account, cents in made.items():
                if account not in closed:
                    return _differs(account, 0, cents)
        return "the closing balances aren't what the records up to it make"

    async def _made(self, holders: Sequence[HolderId], end: Seq) -> dict[str, Cents]:
        rows = await self._connection.fetch(_LINES, self._partition, holders, end)
        return {
            account: cents for row in rows for account, cents in balances_of(row["holder"], row["position"]).items()
        }


def _differs(account: str, closed: int, made: int) -> str:
    return f"the closing balances after it say {closed} cents in {account}, the records up to it make {made}"
