"""The trial balance: what every class of accounts stands at, debits beside credits, at the end of a day or now.

A class is all holders' accounts of one product, all clients' of one, or an account of its own. Accounts are added up in
PostgreSQL: the last closing, and the transfers after it, window by window; memory holds a line for each lot.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg
from msgspec import Struct

from ledger.balances import last_record
from ledger.reading import heads, reader, windows
from ledger.values import Cents, Partition, Seq

CLOSING_LINES_MAX = 100_000
"""Lines of a closing that one statement adds up, in some 0.2 s."""

OWNED = ("holder", "hold", "expired", "client")
"""The first word of accounts of which each holder, or client, has their own."""

# What is left of an account's name when nobody's own name stands in it: holder:*:90:2026.
_NAME = r"regexp_replace(account, '^(holder|hold|expired|client):[^:]*:', '\1:*:')"

_LAST_CLOSED = """
SELECT c.range, (c.range + 1) * s.range_size - 1 AS through
  FROM ledger.closed AS c CROSS JOIN ledger.setting AS s
 WHERE c.partition = $1 AND c.slice = 0 AND (c.range + 1) * s.range_size - 1 <= $2
 ORDER BY c.range DESC LIMIT 1"""

_CLOSING = f"""
SELECT {_NAME} AS name, sum(balance)::bigint AS cents, max(account) AS last
  FROM (
       SELECT account, balance FROM ledger.closing
        WHERE partition = $1 AND range = $2 AND account > $3
        ORDER BY account LIMIT $4
  ) AS line
 GROUP BY 1"""  # noqa: S608  the name's form is a constant

_MOVED = f"""
SELECT {_NAME} AS name, sum(cents)::bigint AS cents
  FROM (
       SELECT account, sum(amount) AS cents
         FROM (
              SELECT credit AS account, amount FROM ledger.whole_transfer
               WHERE partition = $1 AND seq > $2 AND seq <= $3
               UNION ALL
              SELECT debit, -amount FROM ledger.whole_transfer
               WHERE partition = $1 AND seq > $2 AND seq <= $3
         ) AS movement
        GROUP BY account
  ) AS moved
 GROUP BY 1"""  # noqa: S608  the name's form is a constant

Ends = Mapping[Partition, Seq]
"""How far each partition is read: up to its last record of a period."""
Standing = Mapping[str, Cents]
"""Credits less debits, by account; `*` stands for whoever owns one: `holder:*:90:2026`. Those at 0 are left out."""


class Class(Struct, frozen=True, gc=False):
    """A class of accounts, such as `holder:*:90`: what it stands at, on one side."""

    account: str
    debit: Cents
    credit: Cents


class TrialBalance(Struct, frozen=True):
    """Every class that doesn't stand at 0, in the order of their names. `debit` equals `credit`: else books are wrong.

    `day` is the one at whose end they stand so; None: as they stand now, or did at an instant.
    """

    day: date | None
    classes: tuple[Class, ...]
    debit: Cents
    credit: Cents

    @property
    def is_even(self) -> bool:
        """Tell whether the books balance."""
        return self.debit == self.credit


def day_end(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a day is over: what was recorded before it is of that day, or of one before."""
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)


async def ends(connection: asyncpg.Connection, before: datetime | None = None) -> Ends:
    """Find each partition's last record made before an instant; 0 where there is none. None: its head."""
    noted = await heads(connection)
    if before is None:
        return noted
    return {one: await last_record(connection, one, head, lambda at: at < before) for one, head in noted.items()}


async def standing(connection: asyncpg.Connection, upto: Ends) -> Standing:
    """Add up what all accounts stand at behind these records, in the order of their names."""
    totals: Counter[str] = Counter()
    for partition, through in upto.items():
        after = await _closing(connection, partition, through, totals)
        for begin, end in windows(after, through):
            for row in await connection.fetch(_MOVED, partition, begin, end):
                totals[row["name"]] += row["cents"]
    return {name: Cents(cents) for name, cents in sorted(totals.items()) if cents}


async def trial_balance(url: str, day: date | None, before: datetime | None) -> TrialBalance:
    """Draw up the trial balance of all records made before an instant (None: of all there are). Raises a `LedgerError`.

    `day` is only what it is called by.
    """
    async with reader(url) as connection:
        return of_standing(day, await standing(connection, await ends(connection, before)))


def of_standing(day: date | None, accounts: Standing) -> TrialBalance:
    """Put accounts into classes, and each class on its side."""
    totals: Counter[str] = Counter()
    for name, cents in accounts.items():
        totals[class_of(name)] += cents
    classes = [
        Class(name, Cents(max(-cents, 0)), Cents(max(cents, 0))) for name, cents in sorted(totals.items()) if cents
    ]
    return TrialBalance(
        day=day,
        classes=tuple(classes),
        debit=Cents(sum(one.debit for one in classes)),
        credit=Cents(sum(one.credit for one in classes)),
    )


def class_of(name: str) -> str:
    """Leave the lot out of an account's name.

    >>> class_of("holder:*:90:2026"), class_of("client:*:funds:90"), class_of("acquirer:970001:payable")
    ('holder:*:90', 'client:*:funds:90', 'acquirer:970001:payable')
    """
    words = name.split(":")
    return ":".join(words[:3]) if words[0] in OWNED[:3] else name


async def _closing(connection: asyncpg.Connection, partition: Partition, through: Seq, totals: Counter[str]) -> Seq:
    """Add the last closing up to a record; return the record that it goes to, 0 where there is none."""
    closed = await connection.fetchrow(_LAST_CLOSED, partition, through)
    if closed is None:
        return Seq(0)
    behind = ""
    while rows := await _lines(connection, partition, closed["range"], behind):
        for row in rows:
            totals[row["name"]] += row["cents"]
        behind = max(row["last"] for row in rows)
    return Seq(closed["through"])


async def _lines(
    connection: asyncpg.Connection, partition: Partition, number: int, behind: str
) -> Sequence[asyncpg.Record]:
    rows: Sequence[asyncpg.Record] = await connection.fetch(_CLOSING, partition, number, behind, CLOSING_LINES_MAX)
    return rows
