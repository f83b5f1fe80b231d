"""Prove a ledger from its own records: chain, transfers, identities, and the money in every position.

Reads the fence first and goes to that head, chunk by chunk, each chunk a statement of its own: a ledger that is being
written can be verified, and append-only makes what is read consistent. Memory doesn't grow with the records. What
somebody who can rewrite the database whole can hide is said in docs/proofs.md.
"""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from itertools import pairwise
from operator import itemgetter

import asyncpg

from ledger import frames
from ledger.anchored import Anchored
from ledger.anchors import Anchor
from ledger.chain import GENESIS
from ledger.checkpoint import CHECKPOINT_EVERY_RECORDS, CheckpointFile, CheckpointForeign, Place
from ledger.closings import Closings
from ledger.findings import EVERYTHING, Finding, Flaw, Report, Scope, Verified
from ledger.fingerprints import SECRETS, Fingerprint, Identities
from ledger.frames import Records
from ledger.money import Money
from ledger.reading import BEFORE_ALL, Pace, Progress, partitions, reader
from ledger.store import LedgerError
from ledger.values import Epoch, HolderId, Partition, Seq

__all__ = ["EVERYTHING", "Finding", "Flaw", "Report", "Scope", "Verified", "WindowInvalid", "verify"]

KEY_BYTES = 32

_FENCE = """
SELECT f.epoch, f.head, f.hash, (
           SELECT j.seq FROM ledger.journal AS j WHERE j.partition = f.partition ORDER BY j.seq DESC LIMIT 1
       ) AS newest
  FROM ledger.fence AS f WHERE f.partition = $1"""

_PLACE = "SELECT epoch, hash FROM ledger.whole_journal WHERE partition = $1 AND seq = $2"

# Transfers between 1 and the head stand under records there, or a record is missing, which the walk finds.
_STRAY_TRANSFER = """
SELECT t.seq FROM ledger.whole_transfer AS t
  LEFT JOIN LATERAL (
       SELECT j.seq FROM ledger.whole_journal AS j WHERE j.partition = t.partition AND j.seq = t.seq LIMIT 1
  ) AS record ON true
 WHERE t.partition = $1 AND (t.seq < 1 OR t.seq > $2) AND record.seq IS NULL
 ORDER BY t.seq LIMIT 1"""

_LINES_BEFORE = """
SELECT asked.holder, line."position" FROM unnest($2::text[]) AS asked (holder)
  LEFT JOIN LATERAL (
       SELECT j."position" FROM ledger.whole_journal AS j
        WHERE j.partition = $1 AND j.holder = asked.holder COLLATE "C" AND j.seq < $3 ORDER BY j.seq DESC LIMIT 1
  ) AS line ON true"""


class WindowInvalid(LedgerError):
    """The options name no records of the ledger."""


async def verify(
    url: str,
    scope: Scope = EVERYTHING,
    *,
    anchors: Sequence[Anchor] = (),
    checkpoint: CheckpointFile | None = None,
    rate: int | None = None,
    progress: Progress | None = None,
) -> Finding | Report:
    """Read a ledger from its first record to its head, and return the first thing wrong with it, or that it is sound.

    Any role that can read the ledger will do. With a checkpoint, what an earlier run has proved is not read again. At
    most `rate` records a second are read.
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
            walk = _Walk(connection, aside, one, scope, Anchored(anchors, one), checkpoint, Pace(rate), progress)
            outcome = await walk.run()
            if isinstance(outcome, Finding):
                return outcome
            sound.append(outcome)
    if scope.partition is None:
        for lost in sorted({anchor.partition for anchor in anchors}.difference(known)):
            if missing := Anchored(anchors, lost).cut_off():
                return Finding(lost, Seq(1), Flaw.ANCHOR, missing)
    return Report(tuple(sound))


class _Walk:
    """One pass over a partition. It stands behind the last record found sound."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        aside: asyncpg.Connection,
        partition: Partition,
        scope: Scope,
        anchors: Anchored,
        checkpoint: CheckpointFile | None,
        pace: Pace,
        progress: Progress | None,
    ) -> None:
        self.connection = connection
        self.aside = aside
        """For what is asked while the next chunk is read ahead."""
        self.partition = partition
        self.scope = scope
        self.anchors = anchors
        self.looks_inside = not scope.chain_only
        self.checkpoint = checkpoint
        self.pace = pace
        self.progress = progress
        self.seq = Seq(scope.first - 1)
        self.epoch = Epoch(0)
        self.hash = GENESIS
        self.transfers = 0
        self.resumed = Seq(0)
        self.key = secrets.randbelow(SECRETS) if checkpoint is None else checkpoint.key
        self.identities = Fingerprint(self.key)
        self.money = Money(secrets.token_bytes(KEY_BYTES), {} if scope.first == 1 else None)
        self.closings = Closings(aside, partition)
        self.closed: dict[Seq, int] = {}
        """The closed ranges, by their last record: only where every holder's money is known."""
        self.marks: set[Seq] = set()
        """Records at which something else is held against what was walked over."""
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
        if self.looks_inside:
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
            identities=self.identities.count if self.looks_inside else None,
            holders=self.money.holders if self.looks_inside else None,
            anchors=self.anchors.agreed,
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
        elif self.looks_inside:
            self.closed = await self.closings.ends()
        return None

    async def _records(self, last: Seq) -> Finding | None:
        """Walk to the record `last`, or to the first bad one."""
        kept = self.seq
        self.marks = {Seq(1), *self.anchors.seqs, *self.closed}
        async with aclosing(
            frames.chunks(self.connection, self.partition, self.seq or Seq(BEFORE_ALL), last, inside=self.looks_inside)
        ) as chunks:
            async for chunk in chunks:
                if flawed := await self._chunk(chunk):
                    return flawed
                await self.pace.after(len(chunk))
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

    async def _chunk(self, chunk: Records) -> Finding | None:
        """Walk over a chunk, or to the first bad record in it."""
        if self.begun and self.looks_inside:
            await self._know(chunk)
        for piece in chunk.pieces(self.marks):
            sound, flaw = self._step(piece)
            if flaw is not None:
                return await self._told(flaw, piece, sound)
            if self.seq in self.marks and (flawed := await self._mark()):
                return flawed
            await asyncio.sleep(0)
        return None

    def _step(self, piece: Records) -> tuple[int, Flaw | None]:
        """Step behind the records that are sound, and say how many they are, and what is wrong with the next."""
        sound, flaw = self._chained(piece)
        if self.looks_inside:
            moves = (one or () for one in piece.moves[:sound])
            right = self.money.fold(zip(piece.holders, piece.positions, moves, piece.identities, strict=False))
            if right < sound:
                sound, flaw = right, Flaw.MONEY
            self.identities.add(piece.identities[:sound], piece.seqs[:sound])
        if sound:
            self.seq, self.epoch, self.hash = piece.seqs[sound - 1], piece.epochs[sound - 1], piece.hashes[sound - 1]
            self.transfers += sum(piece.lines[:sound])
        return sound, flaw

    def _chained(self, piece: Records) -> tuple[int, Flaw | None]:
        """Count the records that stand in the chain, up to the first that doesn't, and say why it doesn't."""
        made = frames.hashes(self.hash, piece)
        return min(
            (len(piece), None),
            (_same(piece.seqs, range(self.seq + 1, self.seq + 1 + len(piece))), Flaw.MISSING),
            (_rising((self.epoch, *piece.epochs)), Flaw.EPOCH),
            (piece.moves.index(None) if None in piece.moves else len(piece), Flaw.TRANSFER),
            (_same(piece.hashes, made), Flaw.HASH),
            key=itemgetter(0),
        )

    async def _told(self, flaw: Flaw, piece: Records, at: int) -> Finding:
        """Say what is wrong with a record that the walk didn't step over."""
        seq, epoch = piece.seqs[at], piece.epochs[at]
        match flaw:
            case Flaw.MISSING if seq < 1:
                return self._finding(seq, flaw, "numbers begin at 1")
            case Flaw.MISSING:
                return self._finding(Seq(self.seq + 1), flaw, f"it is missing, the next is {seq}")
            case Flaw.EPOCH:
                what = f"its epoch {epoch} is older than {self.epoch} of the record before"
            case Flaw.TRANSFER:
                what = "its transfers were not written with it"
            case Flaw.HASH:
                what = "it isn't what was written: its hash doesn't cover its content and the record before"
            case _:
                holder, moves = piece.holders[at], piece.moves[at]
                before = await self._line_before(holder, seq)
                what = self.money.what(holder, before, piece.positions[at], moves or (), piece.identities[at])
        return self._finding(seq, flaw, what)

    async def _mark(self) -> Finding | None:
        """Hold the record that the walk came to against anchors of it, and the closing balances of a range it ends."""
        if self.seq == 1:
            self.first_hash = self.hash
        if what := self.anchors.wrong(self.seq, self.hash):
            return self._finding(self.seq, Flaw.ANCHOR, what)
        if self.seq in self.closed and (what := await self.closings.wrong(self.closed[self.seq], self.seq, self.money)):
            return self._finding(self.seq, Flaw.CLOSING, what)
        return None

    async def _know(self, chunk: Records) -> None:
        """Read the last line before this chunk of every holder in it who wasn't seen since the walk began."""
        holders = self.money.unknown(chunk.holders)
        if holders:
            rows = await self.aside.fetch(_LINES_BEFORE, self.partition, holders, chunk.seqs[0])
            for row in rows:
                self.money.know(row["holder"], row["position"])

    async def _line_before(self, holder: HolderId | None, seq: Seq) -> str | None:
        rows = await self.aside.fetch(_LINES_BEFORE, self.partition, [] if holder is None else [holder], seq)
        return rows[0]["position"] if rows else None

    async def _anchors_before(self) -> Finding | None:
        """Hold what stands where the walk begins, and before, against the anchors of it."""
        while (seq := self.anchors.next) is not None and seq <= self.seq:
            row = await self.connection.fetchrow(_PLACE, self.partition, seq)
            if what := self.anchors.wrong(seq, None if row is None else row["hash"]):
                return self._finding(seq, Flaw.ANCHOR, what)
        return None

    def _end(self, fence: asyncpg.Record) -> Finding | None:
        """Hold the record that the walk came to against the fence, and what is anchored behind it against nothing."""
        newest = fence["newest"]
        if newest is not None and newest > self.head:
            return self._finding(
                Seq(self.head + 1), Flaw.BEYOND_FENCE, f"the fence counts {self.head} records, the newest is {newest}"
            )
        if missing := self.anchors.cut_off():
            return self._finding(Seq(self.head + 1), Flaw.ANCHOR, missing)
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
        first = Seq(0 if self.resumed else self.scope.first - 1)
        table = Identities(self.connection, self.aside, self.partition, first, self.seq)
        wrong = await table.wrong(self.identities, self.key, to_head=to_head)
        return None if wrong is None else self._finding(wrong[0], Flaw.IDENTITY, wrong[1])

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


def _same(some: Sequence[object], others: Sequence[object]) -> int:
    """Count up to where two columns differ."""
    pairs = enumerate(zip(some, others, strict=True))
    return next((at for at, (one, other) in pairs if one != other), len(some))


def _rising(epochs: Sequence[int]) -> int:
    """Count, behind the first, up to where one is lower than the one before it."""
    return next((at for at, (one, then) in enumerate(pairwise(epochs)) if then < one), len(epochs) - 1)
