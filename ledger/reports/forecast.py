"""What expires when: of every lot its last day, what is left in it, and how many holders have it.

It is read from the newest line of each holder's passbook, so many holders a statement, and added up in PostgreSQL;
memory holds a line for each lot. What share of the lots that are over was never spent is read from the transfers.

Passbooks are read from live ranges, in which each has its newest line (docs/growth.md): so this looks back no further
than the archive does.
"""

from collections import defaultdict
from datetime import date, datetime

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from ledger.reading import reader, windows
from ledger.reports.trial_balance import Ends, ends
from ledger.values import Cents, Partition, Seq

HOLDERS_A_STATEMENT_MAX = 1_000
"""Passbooks that one statement steps over and opens, in some 0.1 s."""
SHARE_OF = 10_000

# A loose index scan, as the ledger's own of passbooks, up to a record: one step to each next name; a reference
# (`merchant:…`) is stepped over with all of its kind, for `;` follows `:`.
_LOTS = """
WITH RECURSIVE walk (holder, seq, step, found) AS (
    SELECT NULL::text COLLATE "C", NULL::bigint, $2::text COLLATE "C" || chr(1), 0
     UNION ALL
    SELECT next.holder, next.seq,
           CASE WHEN next.holder LIKE '%:%' THEN split_part(next.holder, ':', 1) || ';' ELSE next.holder || chr(1) END,
           CASE WHEN next.holder LIKE '%:%' THEN walk.found ELSE walk.found + 1 END
      FROM walk
     CROSS JOIN LATERAL (
           SELECT j.holder, j.seq FROM ledger.journal AS j
            WHERE j.partition = $1 AND j.holder >= walk.step AND j.seq <= $3
            ORDER BY j.holder, j.seq DESC LIMIT 1
     ) AS next
     WHERE walk.found < $4
),
purse AS MATERIALIZED (
    SELECT walk.holder, line."position" -> 0 AS purse
      FROM walk
     CROSS JOIN LATERAL (
           SELECT j."position" FROM ledger.journal AS j WHERE j.partition = $1 AND j.seq = walk.seq LIMIT 1
     ) AS line
     WHERE walk.holder NOT LIKE '%:%'
),
lot AS (
    SELECT purse.holder, lot ->> 0 AS product, lot ->> 1 AS name, lot ->> 3 AS until,
           (lot ->> 4)::bigint AS spendable, 0 AS held, 0 AS waiting
      FROM purse, json_array_elements(purse.purse -> 0) AS lot
     UNION ALL
    SELECT purse.holder, hold ->> 1, part ->> 0, part ->> 2, 0, (part ->> 3)::bigint, 0
      FROM purse, json_array_elements(purse.purse -> 1) AS hold, json_array_elements(hold -> 5) AS part
     UNION ALL
    SELECT purse.holder, lot ->> 0, lot ->> 1, lot ->> 3, 0, 0, (lot ->> 4)::bigint
      FROM purse, json_array_elements(purse.purse -> 2) AS lot
)
SELECT (SELECT max(holder) FROM purse) AS last, lot.product, lot.name, lot.until::date AS until,
       sum(spendable)::bigint AS spendable, sum(held)::bigint AS held, sum(waiting)::bigint AS waiting,
       count(DISTINCT holder) AS holders
  FROM (SELECT 1) AS always LEFT JOIN lot ON true
 GROUP BY lot.product, lot.name, lot.until"""

# What came into a lot, and what of it went to where expired vouchers wait, less what came back into it from there.
_LIVES = """
SELECT product, name, sum(loaded)::bigint AS loaded, sum(expired)::bigint AS expired
  FROM (
       SELECT split_part(credit, ':', 3) AS product, split_part(credit, ':', 4) AS name, amount AS loaded, 0 AS expired
         FROM ledger.whole_transfer
        WHERE partition = $1 AND seq > $2 AND seq <= $3 AND credit ^@ 'holder:' AND (
              debit ^@ 'issuer:' OR debit ^@ 'client:'
              OR debit ^@ 'expired:' AND split_part(debit, ':', 4) <> split_part(credit, ':', 4))
        UNION ALL
       SELECT split_part(credit, ':', 3), split_part(credit, ':', 4), 0, amount
         FROM ledger.whole_transfer
        WHERE partition = $1 AND seq > $2 AND seq <= $3 AND credit ^@ 'expired:'
        UNION ALL
       SELECT split_part(debit, ':', 3), split_part(debit, ':', 4), 0, -amount
         FROM ledger.whole_transfer
        WHERE partition = $1 AND seq > $2 AND seq <= $3 AND debit ^@ 'expired:' AND credit ^@ 'holder:'
          AND split_part(debit, ':', 4) = split_part(credit, ':', 4)
  ) AS moved
 GROUP BY product, name"""


class Expiry(Struct, frozen=True, gc=False):
    """What is left in one lot, of all who have it; its last day is `until`.

    `spendable` and `held` (set aside by authorizations) expire then. `waiting` has expired, and waits to be exchanged
    or reactivated.
    """

    until: date
    product: str
    lot: str
    spendable: Cents
    held: Cents
    waiting: Cents
    holders: int


class Unspent(Struct, frozen=True, gc=False):
    """What came into a lot that is over, and what of it expired: `share` in parts per 10,000, rounded half up."""

    product: str
    lot: str
    loaded: Cents
    expired: Cents
    share: int


class Forecast(Struct, frozen=True):
    """What expires, by last day, product and lot; and what of those that are over was never spent.

    `day` is the one at whose end passbooks are read; None: as they stand now. `unspent` is empty unless asked for.
    """

    day: date | None
    expiries: tuple[Expiry, ...]
    unspent: tuple[Unspent, ...]


async def forecast(
    url: str, day: date | None, before: datetime | None, until: date | None = None, *, with_history: bool = False
) -> Forecast:
    """Forecast from all records made before an instant (None: all there are) what expires up to `until`.

    With history every transfer there ever was is read. Raises a `LedgerError`.
    """
    async with reader(url) as connection:
        upto = await ends(connection, before)
        expiries = await _expiries(connection, upto)
        unspent = await _unspent(connection, upto) if with_history else ()
    return Forecast(day, tuple(one for one in expiries if until is None or one.until <= until), unspent)


async def _expiries(connection: asyncpg.Connection, upto: Ends) -> list[Expiry]:
    """A holder is in one partition, and in one window of it: so counts of holders can be added."""
    found: dict[tuple[date, str, str], Expiry] = {}
    for partition, through in upto.items():
        last: str | None = ""
        while last is not None:
            rows = await connection.fetch(_LOTS, partition, last, through, HOLDERS_A_STATEMENT_MAX)
            last = rows[0]["last"]
            for row in rows:
                if row["product"] is not None:
                    key = row["until"], row["product"], row["name"]
                    found[key] = _added(found.get(key, Expiry(*key, Cents(0), Cents(0), Cents(0), 0)), row)
    return [found[key] for key in sorted(found)]


def _added(to: Expiry, row: asyncpg.Record) -> Expiry:
    return replace(
        to,
        spendable=Cents(to.spendable + row["spendable"]),
        held=Cents(to.held + row["held"]),
        waiting=Cents(to.waiting + row["waiting"]),
        holders=to.holders + row["holders"],
    )


async def _unspent(connection: asyncpg.Connection, upto: Ends) -> tuple[Unspent, ...]:
    totals: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for partition, through in upto.items():
        for row in await _lives(connection, partition, through):
            total = totals[row["product"], row["name"]]
            total[0] += row["loaded"]
            total[1] += row["expired"]
    return tuple(
        Unspent(product, lot, Cents(loaded), Cents(expired), (2 * SHARE_OF * expired + loaded) // (2 * loaded))
        for (product, lot), (loaded, expired) in sorted(totals.items())
        if expired > 0 and loaded > 0
    )


async def _lives(connection: asyncpg.Connection, partition: Partition, through: Seq) -> list[asyncpg.Record]:
    return [
        row for begin, end in windows(Seq(0), through) for row in await connection.fetch(_LIVES, partition, begin, end)
    ]
