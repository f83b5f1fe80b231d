"""What reconciling found, read back from the database, and held against what was put in.

A discrepancy is found where a break of its cause names it: its record, its line or its entry, and nothing else. Every
run lists what is open, so the same break comes again and again: it counts once, when it was first listed.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

import asyncpg
from msgspec import Struct

from benchmarks.month_claims import Injected
from ledger.reconciliation.values import Cause
from ledger.values import Seq

_BREAKS = """
SELECT min(r.day) AS day, b.cause, b.seq, f.sha256, b.line, b.entry, min(b.detail) AS detail
  FROM reconciliation.break AS b
  JOIN reconciliation.run AS r ON r.id = b.run
  LEFT JOIN reconciliation.file AS f ON f.id = b.file
 GROUP BY b.cause, b.seq, f.sha256, b.line, b.entry
 ORDER BY 1, 2, 3, 4, 5, 6"""

_STAGES = """
SELECT m.stage, count(*) AS matches
  FROM (
       SELECT run, number, stage FROM reconciliation.matched_movement
        UNION
       SELECT run, number, stage FROM reconciliation.matched_line
        UNION
       SELECT run, number, stage FROM reconciliation.matched_entry
  ) AS m
 GROUP BY m.stage ORDER BY m.stage"""

# Everything that a run says, under names that are the same in any database: a file's is its hash.
_RUN = "SELECT id, key, heads::text, inputs::text, summary::text FROM reconciliation.run WHERE day = $1 ORDER BY id"
_PARTS = (
    "SELECT partition, seq, number, stage FROM reconciliation.matched_movement WHERE run = $1 ORDER BY partition, seq",
    """SELECT f.sha256, m.line, m.number, m.stage FROM reconciliation.matched_line AS m JOIN reconciliation.file AS f
           ON f.id = m.file WHERE run = $1 ORDER BY f.sha256, m.line""",
    """SELECT f.sha256, m.entry, m.number, m.stage FROM reconciliation.matched_entry AS m JOIN reconciliation.file AS f
           ON f.id = m.file WHERE run = $1 ORDER BY f.sha256, m.entry""",
    """SELECT b.number, b.cause, b.since, b.source, b.merchant, b.terminal, b.expected, b.found, b.partition, b.seq,
              f.sha256, b.line, b.entry, b.detail
         FROM reconciliation.break AS b LEFT JOIN reconciliation.file AS f ON f.id = b.file
        WHERE run = $1 ORDER BY b.number""",
)


class Listed(Struct, frozen=True):
    """A break as runs list it, and the day of the first that did."""

    day: date
    cause: Cause
    seq: int | None
    file: str | None
    line: int | None
    entry: int | None
    detail: str

    def names(self, one: Injected) -> bool:
        """Tell whether it names a discrepancy by something, and nothing that isn't its."""
        told = (self.seq, None if self.file is None else (self.file, self.line, self.entry))
        meant = (one.seq, None if one.file is None else (one.file, one.line, one.entry))
        return told != (None, None) and all(a is None or a == b for a, b in zip(told, meant, strict=True))


class Verdict(Struct, frozen=True):
    """What was put in and found, by cause; what wasn't found; and what was listed that nobody put in."""

    found: Mapping[str, int]
    missed: Sequence[Injected]
    more: Sequence[Listed]

    @property
    def exact(self) -> bool:
        """All of it, and not one more."""
        return not self.missed and not self.more


async def verdict(url: str, injected: Iterable[Injected], folder: Path) -> Verdict:
    """Hold what runs list of the files in a folder against what was put in."""
    names = _names(folder)
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(_BREAKS)
    finally:
        await connection.close()
    return judged(
        [
            Listed(day, Cause(cause), seq, None if file is None else names[file], line, entry, detail)
            for day, cause, seq, file, line, entry, detail in rows
        ],
        injected,
    )


def judged(listed: Iterable[Listed], injected: Iterable[Injected]) -> Verdict:
    """Pair each break with the discrepancy that it names. One that is named a second time is one too many."""
    by_place: dict[object, Injected] = {}
    everything = list(injected)
    for one in everything:
        by_place |= dict.fromkeys(_places(one), one)
    found, more, seen = Counter({cause.value: 0 for cause in Cause}), [], set()
    for entry in listed:
        meant = next((by_place[place] for place in _places(entry) if place in by_place), None)
        if meant is None or id(meant) in seen or not entry.names(meant):
            more.append(entry)
        else:
            seen.add(id(meant))
            found[meant.cause.value] += 1
    return Verdict(dict(found), [one for one in everything if id(one) not in seen], more)


async def stages(url: str) -> Mapping[str, int]:
    """How many matches each stage found."""
    connection = await asyncpg.connect(url)
    try:
        return {row["stage"]: row["matches"] for row in await connection.fetch(_STAGES)}
    finally:
        await connection.close()


async def digest(url: str, days: Iterable[date]) -> str:
    """Digest all that was published for these days: the same in any database that came by the same."""
    connection = await asyncpg.connect(url)
    sha256 = hashlib.sha256()
    try:
        for day in days:
            for run, *told in await connection.fetch(_RUN, day):
                sha256.update(repr((day, told)).encode())
                for part in _PARTS:
                    for row in await connection.fetch(part, run):
                        sha256.update(repr(tuple(row)).encode())
    finally:
        await connection.close()
    return sha256.hexdigest()


def _names(folder: Path) -> Mapping[bytes, str]:
    return {hashlib.sha256(path.read_bytes()).digest(): path.name for path in folder.iterdir()}


def _places(one: Injected | Listed) -> Iterable[tuple[object, ...]]:
    """Under what a discrepancy may be named: with its cause, since one record may be short and missing too."""
    if one.seq is not None:
        yield one.cause, Seq(one.seq)
    if one.file is not None:
        yield one.cause, one.file, one.line, one.entry
