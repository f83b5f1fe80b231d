"""The newest reconciliation of a day or of one before it, and what it found open."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from ledger.reports.figures import Figure, OpenBreak, Run, Section
from ledger.values import Cents

BREAKS_LISTED_MAX = 500
"""Breaks that a report lists one by one; it counts all of them."""

_RUN = """
SELECT id, encode(key, 'hex') AS key, day, summary FROM reconciliation.run
 WHERE day <= $1 ORDER BY day DESC, id DESC LIMIT 1"""

_BREAKS = """
SELECT number, cause, since, source, detail, expected, found, partition, seq FROM reconciliation.break
 WHERE run = $1 ORDER BY number LIMIT $2"""

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
    summary = dict(_words("", msgspec.json.decode(row["summary"])))
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
    )


def _words(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Write out whatever a summary holds, each of its values under its path.

    >>> dict(_words("", {"matched": {"exact": 3}, "days": ["2026-05-12"]}))
    {'matched.exact': '3', 'days.1': '2026-05-12'}
    """
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _words(f"{name}.{key}" if name else str(key), one)
    elif isinstance(value, list):
        for number, one in enumerate(value, 1):
            yield from _words(f"{name}.{number}" if name else str(number), one)
    else:
        yield name, "–" if value is None else str(value)
