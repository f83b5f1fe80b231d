"""The newest reconciliation of a day or of one before it, and what it found open."""

from collections.abc import Sequence
from datetime import date

import asyncpg
import msgspec
from msgspec import Struct

from ledger.reconciliation.runs import Summary
from ledger.reports.figures import Figure, OpenBreak, Run, Section
from ledger.values import Cents

BREAKS_LISTED_MAX = 500
"""Breaks that a report lists one by one; it counts all of them."""

_RUN = """
SELECT id, encode(key, 'hex') AS key, day, summary FROM reconciliation.run
 WHERE day <= $1 ORDER BY day DESC, id DESC LIMIT 1"""

_BREAKS = """
SELECT b.number, b.cause, b.since, b.source, b.detail, b.expected, b.found, b.partition, b.seq,
       f.name AS file, coalesce(b.entry, b.line) AS line
  FROM reconciliation.break AS b LEFT JOIN reconciliation.file AS f ON f.id = b.file
 WHERE b.run = $1 ORDER BY b.number LIMIT $2"""

_BY_CAUSE = """
SELECT cause, since, count(*) AS breaks, sum(coalesce(found, 0) - coalesce(expected, 0))::bigint AS cents
  FROM reconciliation.break WHERE run = $1 GROUP BY cause, since"""


class Found(Struct, frozen=True):
    """A run, and the number by which the database knows it: no two databases need give it the same."""

    id: int
    run: Run


async def read(connection: asyncpg.Connection, last: date) -> Found | None:
    """Read the newest run; None: there is none yet."""
    row = await connection.fetchrow(_RUN, last)
    if row is None:
        return None
    breaks = [_break(one) for one in await connection.fetch(_BREAKS, row["id"], BREAKS_LISTED_MAX)]
    count = await connection.fetchval("SELECT count(*) FROM reconciliation.break WHERE run = $1", row["id"])
    summary = msgspec.json.decode(row["summary"], type=Summary)
    return Found(row["id"], Run(row["key"], row["day"], summary, count, tuple(breaks)))


async def by_cause(connection: asyncpg.Connection, found: Found) -> Sequence[Figure]:
    """Count a run's breaks."""
    return [
        Figure(Section.BREAKS, day=row["since"], name=row["cause"], records=row["breaks"], cents=Cents(row["cents"]))
        for row in await connection.fetch(_BY_CAUSE, found.id)
    ]


def _break(row: asyncpg.Record) -> OpenBreak:
    return OpenBreak(
        number=row["number"],
        cause=row["cause"],
        since=row["since"],
        source=row["source"],
        detail=row["detail"],
        expected=row["expected"],
        found=row["found"],
        record=None if row["seq"] is None else f"{row['partition']}:{row['seq']}",
        line=None if row["file"] is None else f"{row['file']}:{row['line']}",
    )
