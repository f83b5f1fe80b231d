"""What a close tells of what was published: a run's breaks, lines that were left out, and a day's payment files."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import asyncpg
import msgspec

from ledger.printing import euros
from ledger.reconciliation.runs import Head, Listed
from ledger.reconciliation.values import Break
from ledger.values import Cents, Partition

_HEADS_BEFORE = "SELECT heads FROM reconciliation.run WHERE day < $1 ORDER BY day DESC, id DESC LIMIT 1"

_LEFT_OUT = """
SELECT f.source, f.name, count(*) AS lines, (array_agg(q.line ORDER BY q.line))[1] AS line,
       (array_agg(q.reason ORDER BY q.line))[1] AS reason
  FROM reconciliation.quarantined AS q JOIN reconciliation.file AS f ON f.id = q.file
 WHERE encode(f.sha256, 'hex') IN (
       SELECT json_array_elements_text(inputs -> 'files') FROM reconciliation.run WHERE day = $1)
 GROUP BY f.source, f.name, f.sha256 ORDER BY f.source, f.name, f.sha256"""

_PAYMENT_FILES = "SELECT message, content FROM reconciliation.payment_file WHERE day = $1 ORDER BY id"

BREAK_COLUMNS = (
    "number", "cause", "since", "source", "merchant", "terminal", "expected", "found", "partition", "seq", "line",
    "entry", "detail",
)  # fmt: skip
"""A break's own; its file is named by its name and its SHA-256, behind them."""


def as_csv(found: Sequence[Listed]) -> bytes:
    """Write breaks for spreadsheets, in cents (RFC 4180; lines end in a line feed)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*BREAK_COLUMNS, "file", "sha256"))
    for one in found:
        writer.writerow((*(getattr(one.one, name) for name in BREAK_COLUMNS), one.file_name, one.sha256))
    return text.getvalue().encode()


def summed(found: Sequence[Listed]) -> Iterator[str]:
    """Say in a line for each source and cause how many breaks there are, of how much, and since when."""
    by: defaultdict[tuple[str, str], list[Break]] = defaultdict(list)
    for listed in found:
        by[listed.one.source, listed.one.cause].append(listed.one)
    for (source, cause), same in sorted(by.items()):
        cents = Cents(sum((one.found or 0) - (one.expected or 0) for one in same))
        yield f"{source}: {len(same):,} {cause}, {euros(cents)} €, the oldest of {min(one.since for one in same)}"


async def heads_before(connection: asyncpg.Connection, day: date) -> Mapping[Partition, Head]:
    """How far the newest run of an earlier day read each partition; empty where there is none."""
    text = await connection.fetchval(_HEADS_BEFORE, day)
    return {} if text is None else msgspec.json.decode(text, type=dict[Partition, Head])


async def left_out(connection: asyncpg.Connection, day: date) -> Sequence[str]:
    """Say in a line for each file that a day's reconciliations took up how many of its lines couldn't be read."""
    return [
        f"{source}: {name}, {lines:,} lines left out, the first of them line {line}: {reason}"
        for source, name, lines, line, reason in await connection.fetch(_LEFT_OUT, day)
    ]


async def payment_files(connection: asyncpg.Connection, day: date) -> Sequence[tuple[str, bytes]]:
    """The payment files of a day, in the order in which they were made: each one's name, and its content."""
    return [(row["message"], row["content"]) for row in await connection.fetch(_PAYMENT_FILES, day)]
