"""What a run may match, copied into its work tables: the ledger's movements by business day, and the acquirers' lines.

An acquirer's business days are those that its cutovers begin: a cutover's place in the journal is where one day ends
and the next begins. Before the first one they are the calendar's, and end where the instants of records pass midnight.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import asyncpg
from msgspec import Struct
from msgspec.structs import astuple

from ledger.balances import last_record
from ledger.reading import Progress, windows
from ledger.reconciliation.statements import statements
from ledger.reconciliation.terms import Terms
from ledger.store import LedgerError
from ledger.values import Partition, Seq

SMALL_HOURS = timedelta(hours=6)
"""After midnight: a cutover then closes the day before."""
CARRIED_RECORDS_MAX = 20_000
"""Records of the run before that one statement reads, by their keys."""

_sql = statements("movements")


class AcquirerWithoutTerms(LedgerError):
    """The ledger owes an acquirer money, and the terms don't name it."""


class Opening(Struct, frozen=True, gc=False):
    """A business day, and the record that began it; seq 0: nothing did, it is the day before the first cutover's."""

    seq: Seq
    day: date


class Span(Struct, frozen=True, gc=False):
    """Where a business day lies in a partition's journal: `after` < seq <= `through`."""

    after: Seq
    through: Seq
    day: date


class Share(Struct, frozen=True):
    """Whose movements and lines a session reads: those of the acquirers that are `named`, or of all but those."""

    acquirers: tuple[str, ...] = ()
    named: bool = False

    def has(self, acquirer: str) -> bool:
        """Tell whether an acquirer is of this share."""
        return (acquirer in self.acquirers) is self.named


EVERYBODY = Share()


class Wanted(Struct, frozen=True):
    """Which days a run of `day` reads: those behind `after` are new.

    So is whatever was recorded behind `heads` for a day that was reconciled already.
    """

    day: date
    after: date
    heads: Mapping[Partition, Seq] = {}

    def __iter__(self) -> Iterator[date]:
        yield from (self.after + timedelta(days=n + 1) for n in range((self.day - self.after).days))


class Days:
    """One acquirer's business days in one partition, up to a head."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        partition: Partition,
        head: Seq,
        zone: ZoneInfo,
        openings: Sequence[Opening],
        acquirer: str,
    ) -> None:
        self.acquirer = acquirer
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

    async def spans(self, wanted: Wanted) -> Sequence[Span]:
        """Find where the wanted days lie, and what was recorded for earlier ones since they were reconciled."""
        found = [Span(await self.begin(day), await self.end(day), day) for day in wanted]
        behind, day = wanted.heads.get(self._partition, self._head), wanted.after
        while (through := await self.end(day)) > behind:
            found.append(Span(max(await self.begin(day), behind), through, day))
            day -= timedelta(days=1)
        return [one for one in found if one.after < one.through]

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
            found[partition].append(Days(connection, partition, head, zone, openings, acquirer))
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
    spans: Mapping[Partition, Mapping[str, Sequence[Span]]],
    terms: Terms,
    share: Share = EVERYBODY,
    progress: Progress | None = None,
) -> None:
    """Copy a share's movements of the wanted days, window by window, and those that the run before left open.

    Raises `AcquirerWithoutTerms`, where the share is of all but some.
    """
    for partition, seq in await connection.fetch(_sql["batches"], CARRIED_RECORDS_MAX):
        carried = (partition, seq, CARRIED_RECORDS_MAX, list(share.acquirers), share.named)
        await connection.execute(_sql["effect_of_carried"] + _sql["move"], terms.zone, *carried)
    async with planned(connection):
        for partition, of_acquirers in spans.items():
            theirs = {acquirer: found for acquirer, found in of_acquirers.items() if share.has(acquirer)}
            rows = [
                (partition, acquirer, f"acquirer:{acquirer}:payable", *astuple(one))
                for acquirer, found in theirs.items()
                for one in found
            ]
            await connection.executemany("INSERT INTO span VALUES ($1, $2, $3, $4, $5, $6)", rows)
            stretches = _united(theirs.values() if share.named else of_acquirers.values())
            for begin, end in (window for stretch in stretches for window in windows(*stretch)):
                if not share.named:
                    await _refuse_strangers(connection, terms, partition, begin, end)
                await connection.execute(_sql["effect_of_window"] + _sql["move"], terms.zone, partition, begin, end)
                if progress is not None:
                    progress(partition, end, stretches[-1][1])


@asynccontextmanager
async def planned(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Have large tables joined by hash for as long as the block runs: the planner knows nothing of work tables."""
    await connection.execute("SET enable_nestloop = off; SET enable_mergejoin = off")
    yield
    await connection.execute("RESET enable_nestloop; RESET enable_mergejoin")


async def _refuse_strangers(
    connection: asyncpg.Connection, terms: Terms, partition: Partition, begin: Seq, end: Seq
) -> None:
    accounts = [f"acquirer:{one}:payable" for one in terms.ids]
    if stranger := await connection.fetchrow(_sql["strangers"], accounts, partition, begin, end):
        acquirer, seq = stranger
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


async def read_lines(connection: asyncpg.Connection, new: Sequence[int], share: Share = EVERYBODY) -> None:
    """Copy a share's lines of new files, and those that the run before left open."""
    await connection.execute(_sql["take_lines"], list(new), list(share.acquirers), share.named)


async def find_spans(
    days: Mapping[Partition, Sequence[Days]], wanted: Wanted
) -> Mapping[Partition, Mapping[str, Sequence[Span]]]:
    """Find where every acquirer's wanted days lie, partition by partition."""
    return {
        partition: {one.acquirer: await one.spans(wanted) for one in calendars} for partition, calendars in days.items()
    }


def _united(found: Iterable[Sequence[Span]]) -> Sequence[tuple[Seq, Seq]]:
    """Find the stretches of a partition's journal in which spans lie: ascending, none twice."""
    united: list[tuple[Seq, Seq]] = []
    for after, through in sorted((one.after, one.through) for spans in found for one in spans):
        if united and after <= united[-1][1]:
            united[-1] = united[-1][0], max(united[-1][1], through)
        else:
            united.append((after, through))
    return united
