"""What a writer needs of a ledger's storage, and everything that can go wrong with it.

Two implementations stand behind it: `ledger.memory` and `ledger.postgres`. One test suite holds both.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from ledger.values import Account, Cents, Epoch, HolderId, Identity, Manifest, Partition, Record, Seq

RANGE_SIZE = 2_000_000
"""Seqs in a range: range 3 is the records from 6,000,000 to 7,999,999. Fixed when a ledger is created."""

HOLDERS_A_CALL_MAX = 64
"""Cold holders that one read looks up: small chunks, since each may cost 0.1 ms of disk."""

IDENTITIES_A_CALL_MAX = 1_024
"""Identities that one read looks up: those of two full batches."""

HISTORY_LINES_MAX = 512
"""Lines of one passbook that one read returns: half a megabyte of positions."""

HOLDERS_WINDOW_SEQS_MAX = 10_000
"""Seqs in which one read looks for holders."""

PASSBOOKS_A_CALL_MAX = 256
"""Passbooks that one read walks over."""

EVENTS_A_CALL_MAX = 512
"""Records that one read returns with their requests and replies: half a megabyte."""


class LedgerError(Exception):
    """The ledger could not do what was asked."""


class Fenced(LedgerError):
    """Another writer has taken the partition: stand by, and never take an epoch in reply."""


class IdentityTaken(LedgerError):
    """A record with one of these identities exists: the batch was rolled back, and is not in."""


class OutcomeUnknown(LedgerError):
    """The connection was lost in an append: whether the batch is in is settled by `take`."""


class Unavailable(LedgerError):
    """The database can't be reached, or refuses: nothing was written."""


class AccessRefused(Unavailable):
    """The server is there and lets this role in no further: its name, password or rights, or the database's name."""


class Misplaced(LedgerError):
    """A record does not follow the one before it, or is of another epoch: nothing was sent."""


class RangeNotFull(LedgerError):
    """The range isn't full yet, so that nothing can be said of all of it."""


class Fence(Struct, frozen=True, gc=False):
    """Who writes a partition, and how far they have come.

    `head` and `hash` are the newest record's (0 and the genesis hash in an empty partition); `beat` moves
    with every append and every heartbeat.
    """

    epoch: Epoch
    head: Seq
    hash: bytes
    beat: int


class Line(Struct, frozen=True, gc=False):
    """A line in a holder's passbook. `position` is JSON text."""

    seq: Seq
    position: str


class Answer(Struct, frozen=True, gc=False):
    """A stored request and its reply, as JSON texts, found again by an identity."""

    seq: Seq
    request: str
    reply: str


class Event(Struct, frozen=True, gc=False):
    """A record as it is read by those who follow the journal. `request` and `reply` are JSON texts."""

    seq: Seq
    at: datetime
    kind: str
    holder: HolderId | None
    request: str
    reply: str


class FullRange(Struct, frozen=True, gc=False):
    """A range of a partition's journal in which every seq is taken: `newest` is its last record's instant.

    `closed`: its closing balances are written. `archived`: it lies in the archive, where nothing is appended.
    """

    number: int
    newest: datetime
    closed: bool
    archived: bool


class Turnover(Struct, frozen=True, gc=False):
    """What records of one kind put into an account (`credited` cents) and took out of it (`debited`).

    `credits` and `debits` count records, not transfers; one that does both counts as both.
    """

    kind: str
    credits: int
    credited: Cents
    debits: int
    debited: Cents


class Store(Protocol):
    """One ledger's storage. Every method raises `Unavailable` when the database can't be reached."""

    async def partitions(self) -> Sequence[Partition]:
        """List the ledger's partitions, ascending."""

    async def fence(self, partition: Partition) -> Fence:
        """Read the fence as it stands. A hint only: what decides is what `take` returns."""

    def watch(self, partition: Partition) -> AbstractAsyncContextManager[Callable[[], Awaitable[Fence]]]:
        """Look at a fence again and again over one connection, which is never replaced by another.

        Where it breaks, `Unavailable` is raised: what was seen so far may have been another server.
        """

    async def writer_lives(self, partition: Partition, epoch: Epoch) -> bool:
        """Tell whether the session that took this epoch is still connected. Frozen counts as connected."""

    async def take(self, partition: Partition, seen: Fence) -> Fence:
        """Begin a new epoch, if epoch, head and beat are still as seen. Raises `Fenced` if not.

        To settle an unknown outcome, a writer takes from its own epoch by `retake`.
        """

    async def retake(self, partition: Partition, epoch: Epoch) -> Fence:
        """Begin a new epoch, if `epoch`, one's own, is still the newest. Raises `Fenced` if not."""

    async def beat(self, partition: Partition, epoch: Epoch) -> None:
        """Show that the writer of this epoch lives. Raises `Fenced` if it no longer writes."""

    async def append(
        self, partition: Partition, epoch: Epoch, head: Seq, last: bytes, records: Sequence[Record]
    ) -> None:
        """Make records durable, all or none, behind `head` with hash `last`. An empty batch moves the beat only.

        Waits as long as it takes: after a silence that is too long, `abandon`. Raises `Fenced`, `IdentityTaken`,
        `OutcomeUnknown`, `Unavailable` (known: not in), or `Misplaced`.
        """

    async def abandon(self, partition: Partition) -> None:
        """Cut the writer's session: an append that waits raises `OutcomeUnknown`. `retake` begins another."""

    async def hash_at(self, partition: Partition, seq: Seq) -> bytes | None:
        """Return the hash of the record at `seq`, None where there is none."""

    async def instant_of(self, partition: Partition, seq: Seq) -> datetime | None:
        """Return when the record at `seq` was decided, in UTC; None where there is none."""

    async def newest(self, partition: Partition, holders: Sequence[HolderId]) -> Mapping[HolderId, Line]:
        """Return the newest line of each holder who has one: at most `HOLDERS_A_CALL_MAX` holders."""

    async def history(self, partition: Partition, holder: HolderId, lines_max: int) -> Sequence[Line]:
        """Return a passbook's lines, newest first: at most `lines_max`, itself at most `HISTORY_LINES_MAX`."""

    async def find(self, partition: Partition, identities: Sequence[Identity]) -> Mapping[Identity, Answer]:
        """Return what is stored under each identity that exists: at most `IDENTITIES_A_CALL_MAX`."""

    async def turnover(self, partition: Partition, account: Account, after: Seq, through: Seq) -> Sequence[Turnover]:
        """Add up what went through an account in the records `after` < seq <= `through`, by kind, in kinds' order.

        The two may be millions apart: no statement runs long, and what is read is consistent where `through` is no
        later than the head.
        """

    async def holders_of(
        self, partition: Partition, kinds: Sequence[str], after: Seq, through: Seq
    ) -> Sequence[HolderId]:
        """Return who the records of these kinds are about, `after` < seq <= `through`, by each one's first record.

        Records without a holder don't count. The two are at most `HOLDERS_WINDOW_SEQS_MAX` apart.
        """

    async def passbooks(self, partition: Partition, after: str, passbooks_max: int) -> Sequence[tuple[HolderId, Line]]:
        """Walk over the holders in the order of their names, behind `after`: each with their newest line.

        References (`merchant:…`) are passed over. At most `passbooks_max`, itself at most `PASSBOOKS_A_CALL_MAX`:
        where fewer come, the walk is over.
        """

    async def references(
        self, partition: Partition, prefix: str, after: str, passbooks_max: int
    ) -> Sequence[tuple[HolderId, Line]]:
        """Walk over the passbooks whose names begin with `prefix`, in the order of their names, behind `after`.

        Each comes with its newest line. At most `passbooks_max`, itself at most `PASSBOOKS_A_CALL_MAX`: where fewer
        come, the walk is over.
        """

    async def events(
        self,
        partition: Partition,
        kinds: Sequence[str],
        after: Seq,
        through: Seq,
        events_max: int,
        mentioning: str = "",
    ) -> Sequence[Event]:
        """Return the records of these kinds with `mentioning` in their replies, `after` < seq <= `through`, in order.

        It is looked for in the JSON's text. The two seqs are at most `HOLDERS_WINDOW_SEQS_MAX` apart; at most
        `events_max`, itself at most `EVENTS_A_CALL_MAX`: where so many come, there may be more behind the last.
        """

    async def events_about(
        self, partition: Partition, holder: HolderId, before: Seq, events_max: int
    ) -> Sequence[Event]:
        """Return a passbook's records with a seq below `before`, newest first: at most `events_max`, see `events`."""

    async def full_ranges(self, partition: Partition) -> Sequence[FullRange]:
        """List the ranges of a partition that are full, oldest first."""

    async def close_range(self, partition: Partition) -> int | None:
        """Write the closing balances of the oldest full range that has none; return its number. None: all have."""

    async def last_written_in(
        self, partition: Partition, number: int, after: str, passbooks_max: int
    ) -> Sequence[HolderId]:
        """Walk over the passbooks, of holders and of references, whose newest line lies in a range, behind `after`.

        At most `passbooks_max`, itself at most `PASSBOOKS_A_CALL_MAX`; fewer: the walk is over.
        """

    async def manifest(self, partition: Partition, number: int) -> Manifest:
        """Sum up a full range, in the archive or not. Raises `RangeNotFull`.

        `records` and `transfers` are counted: fewer records than from `first` to `last` means that some are missing.
        """

    async def add_range(self) -> int:
        """Keep at least two empty ranges of seqs ahead of the newest record; return how many there are."""

    async def close(self) -> None:
        """Let go of every connection."""


def by_kind(parts: Iterable[Turnover]) -> Sequence[Turnover]:
    """Add turnovers of one account up to one for each kind, in the order of the kinds' names."""
    totals: dict[str, Turnover] = {}
    for part in parts:
        so_far = totals.get(part.kind, Turnover(part.kind, 0, Cents(0), 0, Cents(0)))
        totals[part.kind] = Turnover(
            part.kind,
            so_far.credits + part.credits,
            Cents(so_far.credited + part.credited),
            so_far.debits + part.debits,
            Cents(so_far.debited + part.debited),
        )
    return [totals[kind] for kind in sorted(totals)]


def require_bound(asked: int, most: int, what: str) -> None:
    """Raise ValueError where more is asked for at once than one read may return."""
    if asked > most:
        raise ValueError(f"{asked} {what} asked for at once, at most {most}")


def require_sequence(epoch: Epoch, head: Seq, records: Sequence[Record]) -> None:
    """Raise `Misplaced` unless the records follow `head` without a gap, are of this epoch and are whole.

    A record is a line in a passbook, with a holder and a position, or neither.
    """
    for seq, record in enumerate(records, head + 1):
        if record.seq != seq or record.epoch != epoch:
            raise Misplaced(f"record {record.seq} of epoch {record.epoch} stands where {seq} of {epoch} should")
        if (record.entry.holder is None) != (record.entry.position is None):
            raise Misplaced(f"record {record.seq} has one of holder and position")
