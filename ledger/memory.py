"""The store in memory: the same rules as in PostgreSQL, without durability, and with faults on demand.

A `MemoryLedger` stands for a database; each `MemoryStore` is one process's connection to it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from enum import Enum, auto
from itertools import islice

import msgspec

from ledger.chain import GENESIS
from ledger.store import (
    EVENTS_A_CALL_MAX,
    HISTORY_LINES_MAX,
    HOLDERS_A_CALL_MAX,
    HOLDERS_WINDOW_SEQS_MAX,
    IDENTITIES_A_CALL_MAX,
    PASSBOOKS_A_CALL_MAX,
    RANGE_SIZE,
    Answer,
    Event,
    Fence,
    Fenced,
    FullRange,
    IdentityTaken,
    Line,
    OutcomeUnknown,
    RangeNotFull,
    Turnover,
    Unavailable,
    by_kind,
    require_bound,
    require_sequence,
)
from ledger.values import Account, Cents, Entry, Epoch, HolderId, Identity, Manifest, Partition, Record, Seq


class Fault(Enum):
    """What can happen to an append."""

    REFUSED = auto()
    """The database says no: `Unavailable`, not in."""
    LOST_BEFORE = auto()
    """The socket is cut on the way there: `OutcomeUnknown`, not in."""
    LOST_AFTER = auto()
    """The socket is cut on the way back: `OutcomeUnknown`, and in."""


class Shelf:
    """One partition: its fence, and its records with what finds them."""

    def __init__(self) -> None:
        self.fence = Fence(Epoch(0), Seq(0), GENESIS, 0)
        self.records: list[Record] = []
        self.identities: dict[Identity, Seq] = {}
        self.newest: dict[HolderId, Line] = {}
        self.closed = 0
        """How many ranges are closed: the oldest so many."""

    def move(self, epoch: Epoch, head: Seq, last: bytes) -> Fence:
        """Move the fence; its beat moves with it."""
        self.fence = Fence(epoch, head, last, self.fence.beat + 1)
        return self.fence

    def append(self, epoch: Epoch, head: Seq, last: bytes, records: Sequence[Record]) -> None:
        """Add records, all or none."""
        if (self.fence.epoch, self.fence.head, self.fence.hash) != (epoch, head, last):
            raise Fenced("another writer has the partition")
        keys = {one: record.seq for record in records for one in record.entry.identities}
        if len(keys) < sum(len(record.entry.identities) for record in records) or keys.keys() & self.identities.keys():
            raise IdentityTaken("a record with one of these identities exists")
        if not all(map(_fits, records)):
            raise Unavailable("the database refuses")
        self.identities.update(keys)
        self.records.extend(records)
        for record in records:
            if record.entry.holder is not None and record.entry.position is not None:
                self.newest[record.entry.holder] = Line(record.seq, record.entry.position)
        self.move(epoch, Seq(head + len(records)), records[-1].hash if records else last)


class MemoryLedger:
    """What several stores share: the partitions, and which epochs' sessions are connected.

    A range is `range_size` seqs, and nothing is ever archived.
    """

    def __init__(self, partitions: int = 1, range_size: int = RANGE_SIZE) -> None:
        self.shelves = {Partition(number): Shelf() for number in range(partitions)}
        self.range_size = range_size
        self.connected: set[tuple[Partition, Epoch]] = set()


class MemoryStore:
    """The `Store` over a `MemoryLedger`.

    `reachable` set to False makes every call raise `Unavailable` and cuts writers' and watchers' sessions. `faults`
    are met by the next appends, one each; None lets one through. `before_append` is awaited in each append before it
    is in, so that a test can hold one in flight.
    """

    def __init__(self, ledger: MemoryLedger | None = None) -> None:
        self.ledger = ledger or MemoryLedger()
        self.faults: deque[Fault | None] = deque()
        self.before_append: Callable[[], Awaitable[None]] | None = None
        self._reachable = True
        self._sessions: dict[Partition, tuple[Epoch, asyncio.Event]] = {}
        self._outages = 0

    @property
    def reachable(self) -> bool:
        """Tell whether the database answers."""
        return self._reachable

    @reachable.setter
    def reachable(self, reachable: bool) -> None:
        self._reachable = reachable
        if not reachable:
            self._outages += 1
            self._cut_all()

    def records(self, partition: Partition) -> Sequence[Record]:
        """Show what is stored, for a test to look at."""
        return tuple(self.ledger.shelves[partition].records)

    async def partitions(self) -> Sequence[Partition]:
        """List the ledger's partitions, ascending."""
        self._reach()
        return sorted(self.ledger.shelves)

    async def fence(self, partition: Partition) -> Fence:
        """Read the fence as it stands."""
        return self._shelf(partition).fence

    @asynccontextmanager
    async def watch(self, partition: Partition) -> AsyncIterator[Callable[[], Awaitable[Fence]]]:
        """Look at a fence again and again, until the first outage."""
        self._reach()
        outages = self._outages

        async def look() -> Fence:
            if self._outages > outages:
                raise Unavailable("the connection was lost")
            return self._shelf(partition).fence

        yield look

    async def writer_lives(self, partition: Partition, epoch: Epoch) -> bool:
        """Tell whether the store that took this epoch still has its session."""
        self._reach()
        return (partition, epoch) in self.ledger.connected

    async def take(self, partition: Partition, seen: Fence) -> Fence:
        """Begin a new epoch, if epoch, head and beat are still as seen."""
        self._cut(partition)
        fence = self._shelf(partition).fence
        if (fence.epoch, fence.head, fence.beat) != (seen.epoch, seen.head, seen.beat):
            raise Fenced("another writer has the partition")
        return self._begin_epoch(partition)

    async def retake(self, partition: Partition, epoch: Epoch) -> Fence:
        """Begin a new epoch, if one's own is still the newest."""
        self._cut(partition)
        if self._shelf(partition).fence.epoch != epoch:
            raise Fenced("another writer has the partition")
        return self._begin_epoch(partition)

    async def beat(self, partition: Partition, epoch: Epoch) -> None:
        """Show that the writer of this epoch lives."""
        self._session(partition)
        shelf = self._shelf(partition)
        if shelf.fence.epoch != epoch:
            raise Fenced("another writer has the partition")
        shelf.move(epoch, shelf.fence.head, shelf.fence.hash)

    async def append(
        self, partition: Partition, epoch: Epoch, head: Seq, last: bytes, records: Sequence[Record]
    ) -> None:
        """Add records, all or none, or meet the next fault."""
        require_sequence(epoch, head, records)
        lost = self._session(partition)
        if self.before_append is not None:
            await _first_of(self.before_append(), lost.wait())
        fault = self.faults.popleft() if self.faults else None
        if fault is Fault.REFUSED:
            raise Unavailable("the database refuses")
        if fault is Fault.LOST_BEFORE:
            self._cut(partition)
        if lost.is_set():
            raise OutcomeUnknown("the connection was lost in an append")
        self._shelf(partition).append(epoch, head, last, records)
        if fault is Fault.LOST_AFTER:
            self._cut(partition)
            raise OutcomeUnknown("the connection was lost in an append")

    async def abandon(self, partition: Partition) -> None:
        """Cut the writer's session: an append that `before_append` holds raises `OutcomeUnknown`, and is not in."""
        self._cut(partition)

    async def hash_at(self, partition: Partition, seq: Seq) -> bytes | None:
        """Return the hash of the record at `seq`, None where there is none."""
        records = self._shelf(partition).records
        return records[seq - 1].hash if 1 <= seq <= len(records) else None

    async def instant_of(self, partition: Partition, seq: Seq) -> datetime | None:
        """Return when the record at `seq` was decided, in UTC; None where there is none."""
        records = self._shelf(partition).records
        return records[seq - 1].entry.at if 1 <= seq <= len(records) else None

    async def newest(self, partition: Partition, holders: Sequence[HolderId]) -> Mapping[HolderId, Line]:
        """Return the newest line of each holder who has one."""
        require_bound(len(holders), HOLDERS_A_CALL_MAX, "holders")
        newest = self._shelf(partition).newest
        return {holder: newest[holder] for holder in holders if holder in newest}

    async def history(self, partition: Partition, holder: HolderId, lines_max: int) -> Sequence[Line]:
        """Return a passbook's lines, newest first."""
        require_bound(lines_max, HISTORY_LINES_MAX, "lines")
        newest_first = ((record.seq, record.entry) for record in reversed(self._shelf(partition).records))
        lines = (
            Line(seq, entry.position)
            for seq, entry in newest_first
            if entry.holder == holder and entry.position is not None
        )
        return list(islice(lines, lines_max))

    async def find(self, partition: Partition, identities: Sequence[Identity]) -> Mapping[Identity, Answer]:
        """Return what is stored under each identity that exists."""
        require_bound(len(identities), IDENTITIES_A_CALL_MAX, "identities")
        shelf = self._shelf(partition)
        seqs = {one: shelf.identities[one] for one in identities if one in shelf.identities}
        entries = {one: shelf.records[seq - 1].entry for one, seq in seqs.items()}
        return {one: Answer(seqs[one], entry.request, entry.reply) for one, entry in entries.items()}

    async def turnover(self, partition: Partition, account: Account, after: Seq, through: Seq) -> Sequence[Turnover]:
        """Add up what went through an account, by kind."""
        entries = (record.entry for record in self._shelf(partition).records[after:through])
        turnovers = (_turnover(account, entry) for entry in entries)
        return by_kind(one for one in turnovers if one.credits or one.debits)

    async def holders_of(
        self, partition: Partition, kinds: Sequence[str], after: Seq, through: Seq
    ) -> Sequence[HolderId]:
        """Return who the records of these kinds are about, by each one's first record."""
        require_bound(through - after, HOLDERS_WINDOW_SEQS_MAX, "seqs")
        entries = (record.entry for record in self._shelf(partition).records[after:through])
        return list(dict.fromkeys(one.holder for one in entries if one.kind in kinds and one.holder is not None))

    async def passbooks(self, partition: Partition, after: str, passbooks_max: int) -> Sequence[tuple[HolderId, Line]]:
        """Walk over the holders in the order of their names: each with their newest line."""
        require_bound(passbooks_max, PASSBOOKS_A_CALL_MAX, "passbooks")
        newest = self._shelf(partition).newest
        behind = sorted(holder for holder in newest if holder > after and ":" not in holder)
        return [(holder, newest[holder]) for holder in behind[:passbooks_max]]

    async def references(
        self, partition: Partition, prefix: str, after: str, passbooks_max: int
    ) -> Sequence[tuple[HolderId, Line]]:
        """Walk over the passbooks whose names begin with `prefix`: each with its newest line."""
        require_bound(passbooks_max, PASSBOOKS_A_CALL_MAX, "passbooks")
        newest = self._shelf(partition).newest
        behind = sorted(holder for holder in newest if holder > after and holder.startswith(prefix))
        return [(holder, newest[holder]) for holder in behind[:passbooks_max]]

    async def events(
        self,
        partition: Partition,
        kinds: Sequence[str],
        after: Seq,
        through: Seq,
        events_max: int,
        mentioning: str = "",
    ) -> Sequence[Event]:
        """Return the records of these kinds in a window."""
        require_bound(through - after, HOLDERS_WINDOW_SEQS_MAX, "seqs")
        require_bound(events_max, EVENTS_A_CALL_MAX, "events")
        window = self._shelf(partition).records[after:through]
        found = (one for one in window if one.entry.kind in kinds and mentioning in one.entry.reply)
        return [_event(record) for record in islice(found, events_max)]

    async def events_about(
        self, partition: Partition, holder: HolderId, before: Seq, events_max: int
    ) -> Sequence[Event]:
        """Return a passbook's records below a seq, newest first."""
        require_bound(events_max, EVENTS_A_CALL_MAX, "events")
        earlier = reversed(self._shelf(partition).records[: max(before - 1, 0)])
        return [_event(record) for record in earlier if record.entry.holder == holder][:events_max]

    async def full_ranges(self, partition: Partition) -> Sequence[FullRange]:
        """List the ranges of a partition that are full, oldest first."""
        shelf, size = self._shelf(partition), self.ledger.range_size
        return [
            FullRange(number, shelf.records[end - 2].entry.at, number < shelf.closed, archived=False)
            for number, end in enumerate(range(size, len(shelf.records) + 2, size))
        ]

    async def close_range(self, partition: Partition) -> int | None:
        """Count the oldest full range that isn't closed as closed."""
        shelf = self._shelf(partition)
        if shelf.closed == len(await self.full_ranges(partition)):
            return None
        shelf.closed += 1
        return shelf.closed - 1

    async def last_written_in(
        self, partition: Partition, number: int, after: str, passbooks_max: int
    ) -> Sequence[HolderId]:
        """Walk over the passbooks whose newest line lies in a range, in the order of their names."""
        require_bound(passbooks_max, PASSBOOKS_A_CALL_MAX, "passbooks")
        newest = self._shelf(partition).newest.items()
        size = self.ledger.range_size
        return sorted(name for name, line in newest if name > after and line.seq // size == number)[:passbooks_max]

    async def manifest(self, partition: Partition, number: int) -> Manifest:
        """Sum up a full range."""
        shelf, size = self._shelf(partition), self.ledger.range_size
        first, last = Seq(max(number * size, 1)), Seq((number + 1) * size - 1)
        if last > shelf.fence.head:
            raise RangeNotFull(f"range {number} of partition {partition} isn't full")
        records = shelf.records[first - 1 : last]
        return Manifest(
            range=number,
            first=first,
            last=last,
            records=len(records),
            transfers=sum(len(record.entry.transfers) for record in records),
            before=(shelf.records[first - 2].hash if first > 1 else GENESIS).hex(),
            hash=records[-1].hash.hex(),
        )

    async def add_range(self) -> int:
        """Memory makes no tables of ranges: there is always room for two."""
        self._reach()
        return 2

    async def close(self) -> None:
        """End the sessions of this store's writers."""
        self._cut_all()

    def _reach(self) -> None:
        if not self._reachable:
            raise Unavailable("the database can't be reached")

    def _shelf(self, partition: Partition) -> Shelf:
        self._reach()
        if partition not in self.ledger.shelves:
            raise Unavailable(f"the ledger has no partition {partition}")
        return self.ledger.shelves[partition]

    def _session(self, partition: Partition) -> asyncio.Event:
        """What is set when the writer's session is lost."""
        self._reach()
        if partition not in self._sessions:
            raise Unavailable(f"partition {partition} has no writer's session: take or retake it")
        return self._sessions[partition][1]

    def _begin_epoch(self, partition: Partition) -> Fence:
        shelf = self._shelf(partition)
        fence = shelf.move(Epoch(shelf.fence.epoch + 1), shelf.fence.head, shelf.fence.hash)
        self._sessions[partition] = (fence.epoch, asyncio.Event())
        self.ledger.connected.add((partition, fence.epoch))
        return fence

    def _cut(self, partition: Partition) -> None:
        if session := self._sessions.pop(partition, None):
            epoch, lost = session
            lost.set()
            self.ledger.connected.discard((partition, epoch))

    def _cut_all(self) -> None:
        for partition in list(self._sessions):
            self._cut(partition)


def _fits(record: Record) -> bool:
    """Tell whether the database's constraints would let a record in."""
    entry = record.entry
    try:
        for text in (entry.request, entry.reply, entry.position):
            msgspec.json.decode("null" if text is None else text)
    except msgspec.DecodeError:
        return False
    return all(one.amount > 0 and one.debit != one.credit for one in entry.transfers)


def _turnover(account: Account, entry: Entry) -> Turnover:
    """What one record put into an account and took out of it."""
    credited = Cents(sum(one.amount for one in entry.transfers if one.credit == account))
    debited = Cents(sum(one.amount for one in entry.transfers if one.debit == account))
    return Turnover(entry.kind, int(credited > 0), credited, int(debited > 0), debited)


async def _first_of(*waiting: Awaitable[object]) -> None:
    """Wait until one of these is done, and stop the others."""
    tasks = [asyncio.ensure_future(one) for one in waiting]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _event(record: Record) -> Event:
    entry = record.entry
    return Event(record.seq, entry.at, entry.kind, entry.holder, entry.request, entry.reply)
