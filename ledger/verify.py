"""Prove a ledger from its own records: chain, transfers, identities, and the money in every position.

Reads the fence first and goes to that head, chunk by chunk, each chunk a statement of its own: a ledger that is being
written can be verified, and append-only makes what is read consistent. Memory doesn't grow with the records. What
somebody who can rewrite the database whole can hide is said in docs/proofs.md.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC
from enum import StrEnum

import asyncpg
from msgspec import Struct

from ledger import frames
from ledger.anchors import Anchor
from ledger.chain import GENESIS
from ledger.checkpoint import CHECKPOINT_EVERY_RECORDS, CheckpointFile, CheckpointForeign, Place
from ledger.closings import Closings
from ledger.fingerprints import PRIME, Fingerprint, Identities
from ledger.frames import Move, Row, row_hash
from ledger.money import Money
from ledger.reading import BEFORE_ALL, Progress, partitions, reader
from ledger.store import LedgerError
from ledger.values import Epoch, HolderId, Partition, Seq

TURN_EVERY_RECORDS = 50
"""How often the loop gets a turn, to take in what is read ahead."""

KEY_BYTES = 32

_FENCE = """
SELECT f.epoch, f.head, f.hash, (
           SELECT j.seq FROM ledger.journal AS j WHERE j.partition = f.partition ORDER BY j.seq DESC LIMIT 1
       ) AS newest
  FROM ledger.fence AS f WHERE f.partition = $1"""

_PLACE = "SELECT epoch, hash FROM ledger.whole_journal WHERE partition = $1 AND seq = $2"

# Transfers between 1 and the head stand under records there, or a record is missing, which the walk finds.
_STRAY_TRANSFER = """
SELECT t.seq FROM ledger.transfer AS t
 WHERE t.partition = $1 AND (t.seq < 1 OR t.seq > $2)
   AND NOT EXISTS (SELECT FROM ledger.journal AS j WHERE j.partition = t.partition AND j.seq = t.seq)
 ORDER BY t.seq LIMIT 1"""

_LINES_BEFORE = """
SELECT asked.holder, line."position" FROM unnest($2::text[]) AS asked (holder)
  LEFT JOIN LATERAL (
       SELECT j."position" FROM ledger.whole_journal AS j
        WHERE j.partition = $1 AND j.holder = asked.holder COLLATE "C" AND j.seq < $3 ORDER BY j.seq DESC LIMIT 1
  ) AS line ON true"""


class WindowInvalid(LedgerError):
    """The options name no records of the ledger."""


class Flaw(StrEnum):
    """What can be wrong with a record."""

    MISSING = "missing"
    BEYOND_FENCE = "beyond fence"
    EPOCH = "epoch"
    HASH = "hash"
    FENCE = "fence"
    TRANSFER = "transfer"
    IDENTITY = "identity"
    MONEY = "money"
    CLOSING = "closing"
    ANCHOR = "anchor"


class Finding(Struct, frozen=True):
    """The first bad record, and what is wrong with it."""

    partition: Partition
    seq: Seq
    flaw: Flaw
    what: str

    def __str__(self) -> str:
        return f"partition {self.partition}, record {self.seq}: {self.what}"


class Verified(Struct, frozen=True):
    """The records `first` to `head` of one partition, in which nothing is wrong, and what was held against what.

    `hash` is the last one's, in hexadecimal. `resumed` is the record behind which this run began, the ones before it
    having been proved by an earlier one; 0: there was none. Where only the chain was proved, `identities` is None and
    so is `holders`, which counts those whose money was looked at.
    """

    partition: Partition
    epoch: Epoch
    first: Seq
    head: Seq
    hash: str
    transfers: int
    identities: int | None
    holders: int | None
    anchors: int
    resumed: Seq = Seq(0)


class Report(Struct, frozen=True):
    """A ledger, or a part of it, in which nothing is wrong."""

    partitions: tuple[Verified, ...]

    @property
    def records(self) -> int:
        """How many records were found sound."""
        return sum(one.head - one.first + 1 for one in self.partitions)


class Scope(Struct, frozen=True):
    """What is to be proved: of `partition` (None: of each) the records `first` to `last` (None: to the head).

    Before a `first` above 1 everything is believed; without a `last`, the head is held against the fence.
    """

    partition: Partition | None = None
    first: Seq = Seq(1)
    last: Seq | None = None
    chain_only: bool = False

    @property
    def is_whole(self) -> bool:
        """Tell whether all that can be proved of a partition is."""
        return self.first == 1 and self.last is None and not self.chain_only


EVERYTHING = Scope()


async def verify(
    url: str,
    scope: Scope = EVERYTHING,
    *,
    anchors: Sequence[Anchor] = (),
    checkpoint: CheckpointFile | None = None,
    progress: Progress | None = None,
) -> Finding | Report:
    """Read a ledger from its first record to its head, and return the first thing wrong with it, or that it is sound.

    Any role that can read the ledger will do. With a checkpoint, what an earlier run has proved is not read again.
    Raises `WindowInvalid`, what `checkpoint` raises, and a `LedgerError` where the ledger can't be read.
    """
    if scope.first < 1 or (scope.last is not None and scope.last < scope.first):
        raise WindowInvalid("records are numbered from 1: --from is the first of them, --to the last, and no earlier")
    if checkpoint is not None and not scope.is_whole:
        raise WindowInvalid("a checkpoint is of whole partitions: leave out --from, --to and --chain-only")
    sound: list[Verified] = []
    async with AsyncExitStack() as stack:
        connection, aside = [await stack.enter_async_context(reader(url)) for _ in range(2)]
        known = await partitions(connection, scope.partition)
        for one in known:
            mine = [anchor for anchor in anchors if anchor.partition == one]
            walk = _Walk(connection, aside, one, scope, mine, checkpoint, progress)
            outcome = await walk.run()
            if isinstance(outcome, Finding):
                return outcome
            sound.append(outcome)
    for anchor in anchors:
        if scope.partition is None and anchor.partition not in known:
            return Finding(anchor.partition, Seq(1), Flaw.ANCHOR, _cut_off(anchor))
    return Report(tuple(sound))


class _Walk:
    """One pass over a partition. It stands behind the last record found sound."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        aside: asyncpg.Connection,
        partition: Partition,
        scope: Scope,
        anchors: Sequence[Anchor],
        checkpoint: CheckpointFile | None,
        progress: Progress | None,
    ) -> None:
        self.connection = connection
        self.aside = aside
        """For what is asked while the next chunk is read ahead."""
        self.partition = partition
        self.scope = scope
        self.anchors = deque(sorted(anchors, key=lambda anchor: anchor.seq))
        self.agreed = Seq(0)
        self.anchored = 0
        self.checkpoint = checkpoint
        self.progress = progress
        self.seq = Seq(scope.first - 1)
        self.epoch = Epoch(0)
        self.hash = GENESIS
        self.transfers = 0
        self.resumed = Seq(0)
        self.key = secrets.randbelow(PRIME) if checkpoint is None else checkpoint.key
        self.identities = Fingerprint(self.key)
        self.money = Money(secrets.token_bytes(KEY_BYTES), {} if scope.first == 1 else None)
        self.closings = Closings(aside, partition)
        self.closed: dict[Seq, int] = {}
        """The closed ranges, by their last record: only where every holder's money is known."""
        self.head = Seq(0)
        self.first_hash = b""

    @property
    def begun(self) -> bool:
        """Tell whether there are records before the first that the walk comes to."""
        return self.scope.first > 1 or self.resumed > 0

    async def run(self) -> Finding | Verified:
        fence = await self.connection.fetchrow(_FENCE, self.partition)
        assert fence is not None, "the partition was read from the fence"
        self.head = Seq(fence["head"])
        to_head = self.scope.last is None
        last = self.scope.last or self.head
        if last > self.head or self.scope.first > self.head + 1:
            raise WindowInvalid(f"partition {self.partition} has {self.head} records: --from and --to lie among them")
        flawed = await self._begin() or await self._anchors_before() or await self._records(last)
        if flawed is None and to_head:
            flawed = self._end(fence) or await self._strays()
        if not self.scope.chain_only:
            # A record that was walked over and lacks an identity comes before the bad one.
            flawed = await self._identities(to_head=to_head and flawed is None) or flawed
        if flawed is not None:
            return flawed
        self._keep_place()
        return self._verified()

    def _verified(self) -> Verified:
        return Verified(
            partition=self.partition,
            epoch=self.epoch,
            first=self.scope.first,
            head=self.seq,
            hash=self.hash.hex(),
            transfers=self.transfers,
            identities=None if self.scope.chain_only else self.identities.count,
            holders=None if self.scope.chain_only else self.money.holders,
            anchors=self.anchored,
            resumed=self.resumed,
        )

    async def _begin(self) -> Finding | None:
        """Stand behind the checkpoint, or where the window begins."""
        place = None if self.checkpoint is None else self.checkpoint.place(self.partition)
        if place is not None:
            first = await self.connection.fetchrow(_PLACE, self.partition, 1)
            if first is None or first["hash"].hex() != place.first:
                raise CheckpointForeign("the checkpoint is of another ledger: name another file")
            self.first_hash = first["hash"]
            self.seq = self.resumed = place.seq
            self.transfers = place.transfers
            self.identities = Fingerprint(self.key, int(place.product, 16), place.identities)
            self.money = Money(secrets.token_bytes(KEY_BYTES), place.balances)
        if self.seq:
            before = await self.connection.fetchrow(_PLACE, self.partition, self.seq)
            if before is None:
                return self._finding(self.seq, Flaw.MISSING, "it is missing")
            if place is not None and before["hash"].hex() != place.hash:
                return self._finding(self.seq, Flaw.HASH, "it isn't what the checkpoint was made of")
            self.epoch, self.hash = Epoch(before["epoch"]), before["hash"]
        elif not self.scope.chain_only:
            self.closed = await self.closings.ends()
        return None

    async def _records(self, last: Seq) -> Finding | None:
        """Walk to the record `last`, or to the first bad one."""
        after, kept = self.seq or Seq(BEFORE_ALL), self.seq
        async for chunk in frames.chunks(self.connection, self.partition, after, last):
            if self.begun and not self.scope.chain_only:
                await self._know(chunk)
            for number, (row, moves) in enumerate(frames.paired(chunk)):
                if flawed := await self._record(row, moves):
                    return flawed
                if not number % TURN_EVERY_RECORDS:
                    await asyncio.sleep(0)
            if self.seq - kept >= CHECKPOINT_EVERY_RECORDS:
                self._keep_place()
                kept = self.seq
            if self.progress:
                self.progress(self.partition, self.seq, last)
        if self.seq < last:
            return self._finding(
                Seq(self.seq + 1), Flaw.MISSING, f"it is missing, the fence counts {self.head} records"
            )
        return None

    async def _record(self, row: Row, moves: Sequence[Move] | None) -> Finding | None:
        """Hold one record against the one before it, and step behind it. `moves` are None where lines don't fit."""
        seq, epoch = row[frames.SEQ], row[frames.EPOCH]
        if seq != self.seq + 1:
            return self._out_of_place(seq)
        if epoch < self.epoch:
            return self._finding(seq, Flaw.EPOCH, f"its epoch {epoch} is older than {self.epoch} of the record before")
        if moves is None:
            return self._finding(seq, Flaw.TRANSFER, "its transfers were not written with it")
        if row_hash(self.hash, self.partition, row, moves) != row[frames.HASH]:
            return self._finding(
                seq, Flaw.HASH, "it isn't what was written: its hash doesn't cover its content and the record before"
            )
        if not self.scope.chain_only:
            holder, position, identities = row[frames.HOLDER], row[frames.POSITION], row[frames.IDENTITIES]
            if not self.money.fold(holder, position, moves, identities):
                before = await self._line_before(holder, seq)
                return self._finding(seq, Flaw.MONEY, self.money.what(holder, before, position, moves, identities))
            self.identities.add(identities, seq)
        self.seq, self.epoch, self.hash = seq, epoch, row[frames.HASH]
        self.transfers += len(moves)
        if seq == 1:
            self.first_hash = self.hash
        if self.anchors and self.anchors[0].seq == seq and (flawed := self._anchor()):
            return flawed
        return await self._closing(self.closed[seq]) if seq in self.closed else None

    async def _closing(self, number: int) -> Finding | None:
        """Hold the closing balances of the range that ends here against what was folded."""
        wrong = await self.closings.wrong(number, self.seq, self.money)
        return None if wrong is None else self._finding(self.seq, Flaw.CLOSING, wrong)

    def _out_of_place(self, seq: Seq) -> Finding:
        if seq < 1:
            return self._finding(seq, Flaw.MISSING, "numbers begin at 1")
        return self._finding(Seq(self.seq + 1), Flaw.MISSING, f"it is missing, the next is {seq}")

    async def _know(self, chunk: frames.Chunk) -> None:
        """Read the last line before this chunk of every holder in it who wasn't seen since the walk began."""
        holders = self.money.unknown(row[frames.HOLDER] for row in chunk[0])
        if holders:
            rows = await self.aside.fetch(_LINES_BEFORE, self.partition, holders, chunk[0][0][frames.SEQ])
            for row in rows:
                self.money.know(row["holder"], row["position"])

    async def _line_before(self, holder: HolderId | None, seq: Seq) -> str | None:
        rows = await self.aside.fetch(_LINES_BEFORE, self.partition, [] if holder is None else [holder], seq)
        return rows[0]["position"] if rows else None

    def _anchor(self) -> Finding | None:
        """Hold the record that the walk came to against the anchors of it."""
        while self.anchors and self.anchors[0].seq == self.seq:
            if flawed := self._differs(self.anchors.popleft(), self.hash):
                return flawed
        return None

    async def _anchors_before(self) -> Finding | None:
        """Hold what stands where the walk begins, and before, against the anchors of it."""
        while self.anchors and self.anchors[0].seq <= self.seq:
            anchor = self.anchors.popleft()
            row = await self.connection.fetchrow(_PLACE, self.partition, anchor.seq)
            if flawed := self._differs(anchor, None if row is None else row["hash"]):
                return flawed
        return None

    def _differs(self, anchor: Anchor, found: bytes | None) -> Finding | None:
        if found is not None and found.hex() == anchor.hash:
            self.agreed = anchor.seq
            self.anchored += 1
            return None
        behind = f", behind record {self.agreed}" if self.agreed else ""
        return self._finding(
            anchor.seq,
            Flaw.ANCHOR,
            f"it isn't what was anchored at {_at(anchor)}: the ledger was rewritten at or before it{behind}",
        )

    def _end(self, fence: asyncpg.Record) -> Finding | None:
        """Hold the record that the walk came to against the fence, and what is anchored behind it against nothing."""
        newest = fence["newest"]
        if newest is not None and newest > self.head:
            return self._finding(
                Seq(self.head + 1), Flaw.BEYOND_FENCE, f"the fence counts {self.head} records, the newest is {newest}"
            )
        if self.anchors:
            return self._finding(Seq(self.head + 1), Flaw.ANCHOR, _cut_off(self.anchors[-1]))
        if self.hash != fence["hash"]:
            return self._finding(self.head, Flaw.FENCE, "its hash isn't the fence's")
        if self.epoch > fence["epoch"]:
            return self._finding(
                self.head, Flaw.FENCE, f"its epoch {self.epoch} is newer than the fence's, {fence['epoch']}"
            )
        return None

    async def _strays(self) -> Finding | None:
        """Look for what bears the number of no record."""
        seq = await self.connection.fetchval(_STRAY_TRANSFER, self.partition, self.head)
        return None if seq is None else self._finding(Seq(seq), Flaw.TRANSFER, "transfers bear a number of no record")

    async def _identities(self, *, to_head: bool) -> Finding | None:
        """Hold the identities of all records that were walked over against the table."""
        table = Identities(self.aside, self.partition, Seq(0 if self.resumed else self.scope.first - 1), self.seq)
        if not await table.agree(self.identities, self.key):
            missing = await table.first_without()
            if missing is not None:
                return self._finding(
                    missing,
                    Flaw.IDENTITY,
                    "an identity of it is missing or names another record: a repeat would be paid twice",
                )
            unrecorded = await table.first_unrecorded()
            if unrecorded is not None:
                return self._finding(unrecorded, Flaw.IDENTITY, "an identity names it that it doesn't have")
            return self._finding(self.seq, Flaw.IDENTITY, "up to it, records have other identities than were proved")
        stray = await table.first_stray() if to_head else None
        return (
            None if stray is None else self._finding(stray, Flaw.IDENTITY, "an identity names it that it doesn't have")
        )

    def _keep_place(self) -> None:
        """Write down where the walk is, where there is a checkpoint."""
        if self.checkpoint is not None and self.seq:
            place = Place(
                partition=self.partition,
                first=self.first_hash.hex(),
                seq=self.seq,
                epoch=self.epoch,
                hash=self.hash.hex(),
                transfers=self.transfers,
                identities=self.identities.count,
                product=f"{self.identities.product:x}",
                balances=self.money.others,
            )
            self.checkpoint.put(place)

    def _finding(self, seq: Seq, flaw: Flaw, what: str) -> Finding:
        return Finding(self.partition, seq, flaw, what)


def _cut_off(anchor: Anchor) -> str:
    return f"it is missing: an anchor of {_at(anchor)} has record {anchor.seq}"


def _at(anchor: Anchor) -> str:
    return f"{anchor.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
