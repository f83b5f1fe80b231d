"""The part of a reconciliation that is most of its work, in sessions side by side: reading, and the exact stage.

Acquirers have no movement and no line in common that could be an exact match: so each session takes some of them, into
work tables of its own. What it matched, and what it left, is then handed over to the session that publishes the run.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import date
from typing import Any

import asyncpg
from msgspec import Struct

from ledger.reading import Progress
from ledger.reconciliation import matching, runs
from ledger.reconciliation.movements import Share, Span, read_lines, read_movements
from ledger.reconciliation.register import writer
from ledger.reconciliation.runs import Run
from ledger.reconciliation.statements import statements
from ledger.reconciliation.terms import Terms
from ledger.values import Partition

SESSIONS_MAX = 2
"""Of one run: the one that publishes it is one of them. A session keeps a processor busy."""
WORK_MEMORY_MB = 64
"""What a sort or a hash of a session may take; a day's work tables fit into as much again."""
CHUNKS_MAX = 8
"""Chunks of a table on their way from one session to another."""

SETTINGS = f"""
SET timezone = 'UTC';
SET client_min_messages = 'warning';
SET work_mem = '{WORK_MEMORY_MB}MB';
SET temp_buffers = '{WORK_MEMORY_MB}MB';
SET max_parallel_workers_per_gather = 0;
SET default_statistics_target = 10"""
WORK_TABLES = statements("work")

_GIVEN = ("agreed", "opening", "carried")
_BROUGHT = ("joined", "open_movement", "open_line", "candidate", "strayed", "short", "side")


class Reading(Struct, frozen=True):
    """What a run of a day reads: stretches of the journal by partition and acquirer, and new clearing files by id."""

    day: date
    spans: Mapping[Partition, Mapping[str, Sequence[Span]]]
    files: Sequence[int]
    terms: Terms


def shares(acquirers: Sequence[str]) -> Sequence[Share]:
    """Deal acquirers out to sessions: the first, which publishes, has all whom no other one has.

    >>> shares(["1", "2", "3"])[1].acquirers
    ('2',)
    """
    others = [tuple(acquirers[number::SESSIONS_MAX]) for number in range(1, SESSIONS_MAX)]
    dealt = [one for one in others if one]
    return [Share(tuple(acquirer for one in dealt for acquirer in one)), *(Share(one, named=True) for one in dealt)]


async def match_exactly(
    connection: asyncpg.Connection, url: str, reading: Reading, before: Run | None, progress: Progress | None = None
) -> None:
    """Read what a run may match, and match what is the same; what is left stands in the connection's work tables.

    `before` is the run that left something open. Raises a `LedgerError`, among them `AcquirerWithoutTerms`.
    """
    first, *others = shares(reading.terms.ids)
    async with AsyncExitStack() as stack:
        _, beside = await _all(
            _begin(connection, before), _all(*(stack.enter_async_context(_session(url)) for _ in others))
        )
        for other in beside:
            await _hand_over(connection, other, _GIVEN)
        await _all(
            _match(connection, reading, first, progress),
            *(_match(other, reading, share) for other, share in zip(beside, others, strict=True)),
        )
        for other in beside:
            await _hand_over(other, connection, _BROUGHT)


async def _all(*work: Any) -> Sequence[Any]:
    """Wait until all of it is done, also what goes on beside something that fails; then raise what failed first."""
    done = await asyncio.gather(*work, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return done


async def _begin(connection: asyncpg.Connection, before: Run | None) -> None:
    """Make the work tables of the session that publishes."""
    await connection.execute(f"{WORK_TABLES['reading']}; {WORK_TABLES['matching']}")
    if before is not None:
        await runs.carry(connection, before)


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect with work tables to read into."""
    async with writer(url) as connection:
        await connection.execute(f"{SETTINGS}; {WORK_TABLES['inputs']}; {WORK_TABLES['reading']}")
        yield connection


async def _match(
    connection: asyncpg.Connection, reading: Reading, share: Share, progress: Progress | None = None
) -> None:
    await read_movements(connection, reading.spans, reading.terms, share, progress)
    await read_lines(connection, reading.files, share)
    await matching.match_exactly(connection, reading.day)


async def _hand_over(source: asyncpg.Connection, target: asyncpg.Connection, tables: Sequence[str]) -> None:
    """Add the rows of one session's work tables to another's."""
    for table in tables:
        await _pour(source, target, table)


async def _pour(source: asyncpg.Connection, target: asyncpg.Connection, table: str) -> None:
    """Copy a table's rows as PostgreSQL writes them, only a few chunks at once."""
    chunks: asyncio.Queue[bytes] = asyncio.Queue(CHUNKS_MAX)

    async def out() -> None:
        await source.copy_from_table(table, output=chunks.put, format="binary")
        await chunks.put(b"")

    async def back() -> AsyncIterator[bytes]:
        while chunk := await chunks.get():
            yield chunk

    await asyncio.gather(out(), target.copy_to_table(table, source=back(), format="binary"))
