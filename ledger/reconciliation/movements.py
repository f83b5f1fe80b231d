"""What a run may match, copied into its work tables: the ledger's movements by business day, and the acquirers' lines.

An acquirer's business days are those that its cutovers begin: a cutover's place in the journal is where one day ends
and the next begins. Before the first one they are the calendar's, and end where the instants of records pass midnight.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg
from msgspec import Struct

from ledger.balances import last_record
from ledger.reading import WINDOW_SEQS, Progress, windows
from ledger.reconciliation.statements import statements
from ledger.reconciliation.terms import Terms
from ledger.store import LedgerError
from ledger.values import Partition, Seq

SMALL_HOURS = timedelta(hours=6)
"""After midnight: a cutover then closes the day before."""

_sql = statements("movements")


class AcquirerWithoutTerms(LedgerError):
    """The ledger owes an acquirer money, and the terms don't name it."""


class Opening(Struct, frozen=True, gc=False):
    """A business day, and the record that began it; seq 0: nothing did, it is the day before the first cutover's."""

    seq: Seq
    day: date


class Wanted(Struct, frozen=True):
    """Which days a run of `day` reads.

    `days`: earlier ones of which something is waited for. Those behind `after` are new, and so is whatever was
    recorded behind `heads` for a day that was reconciled already.
    """

    day: date
    after: date
    days: tuple[date, ...] = ()
    heads: Mapping[Partition, Seq] = {}

    def __iter__(self) -> Iterator[date]:
        yield from sorted(
            {*self.days, *(self.after + timedelta(days=n + 1) for n in range((self.day - self.after).days))}
        )


class Days:
    """One acquirer's business days in one partition, up to a head."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        partition: Partition,
        head: Seq,
        zone: ZoneInfo,
        openings: Sequence[Opening],
    ) -> None:
        self._connection = connection
        self._partition = partition
        self._head = head
        self._zone = zone
        self.openings = openings
        self._first_end = openings[1].seq if len(openings) > 1 else head

    async def begin(self, day: date) -> Seq:
        """Find the record behind which a day begins."""
        if self.openings and day > self.openings[0].day:
            return next((one.seq for one in self.openings if one.day >= day), self._head)
        before = await self._before_midnight(day)
        return min(before, self._first_end)

    async def end(self, day: date) -> Seq:
        """Find the last record that may be of a day or an earlier one."""
        if self.openings and day >= self.openings[0].day:
            return next((one.seq for one in self.openings if one.day > day), self._head)
        before = await self._before_midnight(day + timedelta(days=1))
        return min(before, self._first_end)

    async def _before_midnight(self, day: date) -> Seq:
        midnight = datetime.combine(day, time(), tzinfo=self._zone)
        return await last_record(self._connection, self._partition, self._head, lambda made: made < midnight)


def overdue(openings: Sequence[Opening], day: date, days_late: int) -> date:
    """Tell the last business day for which nothing is waited for any more, when `day` is reconciled.

    Counts the days that the acquirer had; before its first cutover, and where it has none, the calendar's.
    """
    known = sorted({one.day for one in openings if one.day <= day})
    if days_late < len(known):
        return known[-1 - days_late]
    return (known[0] if known else day) - timedelta(days=days_late - max(len(known) - 1, 0))


async def read_days(
    connection: asyncpg.Connection, heads: Mapping[Partition, Seq], terms: Terms, day: date
) -> Mapping[Partition, Sequence[Days]]:
    """Find every acquirer's business days, and write them and what is agreed into the work tables."""
    zone = ZoneInfo(terms.zone)
    found: dict[Partition, list[Days]] = {partition: [] for partition in heads}
    for acquirer in terms.ids:
        agreed = terms.of(acquirer)
        assert agreed is not None, "it is of these terms"
        ever: list[Opening] = []
        for partition, head in heads.items():
            openings = opened(await connection.fetch(_sql["cutovers"], partition, acquirer, head), zone)
            rows = [(partition, acquirer, one.seq, one.day) for one in openings]
            await connection.executemany("INSERT INTO opening VALUES ($1, $2, $3, $4)", rows)
            found[partition].append(Days(connection, partition, head, zone, openings))
            ever += openings
        through = overdue(ever, day, agreed.days_late)
        row = (acquirer, agreed.tolerance_cents, agreed.window_s, through)
        await connection.execute("INSERT INTO agreed VALUES ($1, $2, $3, $4)", *row)
    return found


def opened(cutovers: Sequence[asyncpg.Record], zone: ZoneInfo) -> Sequence[Opening]:
    """Make openings of an acquirer's passbook: one that says a day again begins none. None at all: no cutover yet."""
    openings: list[Opening] = []
    for seq, at, day in cutovers:
        if not openings:
            openings.append(Opening(Seq(0), (at - SMALL_HOURS).astimezone(zone).date()))
        if day != openings[-1].day:
            openings.append(Opening(Seq(seq), day))
    return openings


async def read_movements(
    connection: asyncpg.Connection,
    days: Mapping[Partition, Sequence[Days]],
    wanted: Wanted,
    terms: Terms,
    progress: Progress | None = None,
) -> None:
    """Copy the movements of the wanted days, and those that the run before named, window by window.

    Raises `AcquirerWithoutTerms`.
    """
    await connection.execute(_sql["touch_carried"])
    for partition, calendars in days.items():
        spans = await _spans(calendars, wanted, wanted.heads.get(partition))
        for after, through in spans:
            for begin, end in windows(after, through):
                await connection.execute(_sql["touch"], partition, begin, end)
                if progress is not None:
                    progress(partition, end, spans[-1][1])
    await connection.execute("ANALYZE touched")
    for partition, after in await connection.fetch(_sql["stretches"], WINDOW_SEQS):
        behind = wanted.heads.get(partition, after + WINDOW_SEQS)
        rest = (list(wanted.days), wanted.after, wanted.day, behind, terms.zone)
        await connection.execute(_sql["move"], partition, after, after + WINDOW_SEQS, *rest)
    await connection.execute("TRUNCATE touched")
    if stranger := await connection.fetchrow(_sql["strangers"]):
        acquirer, partition, seq = stranger
        raise AcquirerWithoutTerms(
            f"the terms don't name acquirer {acquirer}, which record {partition}:{seq} pays: add its [[acquirer]]"
        )


async def read_adjustments(
    connection: asyncpg.Connection, partitions: Sequence[Partition], known: Sequence[str]
) -> tuple[str, ...]:
    """Copy the adjustments that name a record or a line; return those that are new, as partition:seq."""
    for partition in partitions:
        await connection.execute(_sql["adjustments"], partition, list(known))
    rows = await connection.fetch("SELECT partition, seq FROM adjustment WHERE fresh ORDER BY partition, seq")
    return tuple(f"{partition}:{seq}" for partition, seq in rows)


async def read_lines(
    connection: asyncpg.Connection, new: Sequence[int], considered: Sequence[int], wanted: Wanted
) -> None:
    """Copy the lines of new files, and what earlier ones left open."""
    await connection.execute(_sql["take_lines"], list(new), list(wanted.days), list(considered))
    await connection.execute(_sql["measure"])


async def _spans(calendars: Sequence[Days], wanted: Wanted, behind: Seq | None) -> Sequence[tuple[Seq, Seq]]:
    """Find the stretches of a partition's journal in which the wanted days lie: ascending, none twice."""
    stretches = []
    for one in calendars:
        stretches += [(await one.begin(day), await one.end(day)) for day in wanted]
        if behind is not None:
            stretches.append((behind, await one.end(wanted.day)))
    spans: list[tuple[Seq, Seq]] = []
    for after, through in sorted(stretches):
        if spans and after <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], through)
        elif after < through:
            spans.append((after, through))
    return spans
