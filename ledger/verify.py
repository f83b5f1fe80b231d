"""Prove a ledger from its own records: chain, transfers, identities, and the money in every position.

Reads the fence first and goes to that head, chunk by chunk, each chunk a statement of its own: a ledger that is being
written can be verified, and append-only makes what is read consistent. What somebody who can rewrite the database
whole can hide is said in docs/ledger.md, "What verify can and can't know".
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import asyncpg
from msgspec import Struct

from ledger.chain import GENESIS, record_hash
from ledger.reading import BEFORE_ALL, Progress, chunks, entry_of, partitions, reader
from ledger.refold import Refold
from ledger.values import (
    EURO,
    Epoch,
    Partition,
    Seq,
    unpack_identities,
)

CHUNK_IDENTITIES_MAX = 10_000

_FENCE = """
SELECT f.epoch, f.head, f.hash, (
           SELECT j.seq FROM ledger.journal AS j WHERE j.partition = f.partition ORDER BY j.seq DESC LIMIT 1
       ) AS newest
  FROM ledger.fence AS f WHERE f.partition = $1"""

# Transfers between 1 and the head stand under records there, or a record is missing, which the walk finds.
_STRAY_TRANSFER = """
SELECT t.seq FROM ledger.transfer AS t
 WHERE t.partition = $1 AND (t.seq < 1 OR t.seq > $2)
   AND NOT EXISTS (SELECT FROM ledger.journal AS j WHERE j.partition = t.partition AND j.seq = t.seq)
 ORDER BY t.seq LIMIT 1"""

# LATERAL and LIMIT keep both of these reads by key, whatever the planner believes of the tables' sizes.
_MISSING_IDENTITY = """
SELECT asked.seq FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) AS asked (seq, stamp, digest)
  LEFT JOIN LATERAL (
       SELECT i.seq FROM ledger.identity AS i
        WHERE i.partition = $1 AND i.stamp = asked.stamp AND i.digest = asked.digest LIMIT 1
  ) AS found ON true
 WHERE found.seq IS DISTINCT FROM asked.seq ORDER BY asked.seq LIMIT 1"""

_IDENTITIES = """
SELECT i.stamp, i.digest, i.seq,
       coalesce(position(int8send(i.stamp) || i.digest IN record.identities) % 24 = 1, false) AS recorded
  FROM (
       SELECT stamp, digest, seq FROM ledger.identity
        WHERE partition = $1 AND (stamp, digest) > ($2, $3) ORDER BY stamp, digest LIMIT $4
  ) AS i
  LEFT JOIN LATERAL (
       SELECT j.identities FROM ledger.journal AS j WHERE j.partition = $1 AND j.seq = i.seq LIMIT 1
  ) AS record ON true
 ORDER BY i.stamp, i.digest"""


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


class Finding(Struct, frozen=True):
    """The first bad record, and what is wrong with it."""

    partition: Partition
    seq: Seq
    flaw: Flaw
    what: str

    def __str__(self) -> str:
        return f"partition {self.partition}, record {self.seq}: {self.what}"


class Verified(Struct, frozen=True):
    """One partition in which nothing is wrong, up to and with its record `head`, and what was held against what.

    `hash` is the head's, in hexadecimal; `accounts` counts those that stand at other than 0.
    """

    partition: Partition
    epoch: Epoch
    head: Seq
    hash: str
    transfers: int
    identities: int
    accounts: int


class Report(Struct, frozen=True):
    """A ledger, or a partition of it, in which nothing is wrong."""

    partitions: tuple[Verified, ...]

    @property
    def records(self) -> int:
        """How many records were read."""
        return sum(partition.head for partition in self.partitions)


async def verify(url: str, *, partition: Partition | None = None, progress: Progress | None = None) -> Finding | Report:
    """Read a ledger from its first record to its head, and return the first thing wrong with it, or that it is sound.

    Any role that can read the ledger will do. Memory grows with the accounts, not with the records.
    Raises a `LedgerError` where the ledger can't be read.
    """
    sound: list[Verified] = []
    async with reader(url) as connection:
        for one in await partitions(connection, partition):
            outcome = await _Walk(connection, one, progress).run()
            if isinstance(outcome, Finding):
                return outcome
            sound.append(outcome)
    return Report(tuple(sound))


class _Walk:
    """One pass over a partition. It stands behind the last record found sound."""

    def __init__(self, connection: asyncpg.Connection, partition: Partition, progress: Progress | None) -> None:
        self.connection = connection
        self.partition = partition
        self.progress = progress
        self.seq = Seq(0)
        self.epoch = Epoch(0)
        self.hash = GENESIS
        self.money = Refold()
        self.transfers = 0

    async def run(self) -> Finding | Verified:
        fence = await self.connection.fetchrow(_FENCE, self.partition)
        assert fence is not None, "the partition was read from the fence"
        head = Seq(fence["head"])
        flawed = await self._records(head) or self._end(fence) or await self._strays(head)
        if flawed:
            return flawed
        identities = await self._identities()
        if isinstance(identities, Finding):
            return identities
        return Verified(
            self.partition,
            Epoch(fence["epoch"]),
            head,
            self.hash.hex(),
            self.transfers,
            identities,
            self.money.accounts,
        )

    async def _records(self, head: Seq) -> Finding | None:
        async for chunk in chunks(self.connection, self.partition, head):
            sound: list[asyncpg.Record] = []
            flawed = None
            for row, transfers in chunk:
                if flawed := self._check(row, transfers):
                    break
                sound.append(row)
            if flawed := await self._missing_identity(sound) or flawed:
                return flawed
            if self.progress:
                self.progress(self.partition, self.seq, head)
        return None

    def _check(self, row: asyncpg.Record, transfers: Sequence[asyncpg.Record]) -> Finding | None:
        """Hold one record against the one before it, and step behind it."""
        seq, epoch = Seq(row["seq"]), Epoch(row["epoch"])
        if seq < 1:
            return self._finding(seq, Flaw.MISSING, "numbers begin at 1")
        if seq != self.seq + 1:
            return self._finding(Seq(self.seq + 1), Flaw.MISSING, f"it is missing, the next is {seq}")
        if epoch < self.epoch:
            return self._finding(seq, Flaw.EPOCH, f"its epoch {epoch} is older than {self.epoch} of the record before")
        for line, transfer in enumerate(transfers, 1):
            if transfer["line"] != line or transfer["currency"] != EURO:
                return self._finding(seq, Flaw.TRANSFER, f"its transfer {transfer['line']} was not written with it")
        entry = entry_of(row, transfers)
        if record_hash(self.hash, self.partition, seq, epoch, entry) != row["hash"]:
            return self._finding(
                seq, Flaw.HASH, "it isn't what was written: its hash doesn't cover its content and the record before"
            )
        if wrong := self.money.fold(entry):
            return self._finding(seq, Flaw.MONEY, wrong)
        self.seq, self.epoch, self.hash = seq, epoch, row["hash"]
        self.transfers += len(transfers)
        return None

    def _end(self, fence: asyncpg.Record) -> Finding | None:
        """Hold the record that the walk came to against the fence."""
        head, newest = Seq(fence["head"]), fence["newest"]
        if self.seq < head:
            return self._finding(Seq(self.seq + 1), Flaw.MISSING, f"it is missing, the fence counts {head} records")
        if newest is not None and newest > head:
            return self._finding(
                Seq(head + 1), Flaw.BEYOND_FENCE, f"the fence counts {head} records, the newest is {newest}"
            )
        if self.hash != fence["hash"]:
            return self._finding(head, Flaw.FENCE, "its hash isn't the fence's")
        if self.epoch > fence["epoch"]:
            return self._finding(
                head, Flaw.FENCE, f"its epoch {self.epoch} is newer than the fence's, {fence['epoch']}"
            )
        if self.money.total:
            return self._finding(
                head, Flaw.MONEY, f"after it, all balances add up to {self.money.total} cents, not to 0"
            )
        return None

    async def _strays(self, head: Seq) -> Finding | None:
        seq = await self.connection.fetchval(_STRAY_TRANSFER, self.partition, head)
        return None if seq is None else self._finding(Seq(seq), Flaw.TRANSFER, "transfers bear a number of no record")

    async def _missing_identity(self, records: Iterable[asyncpg.Record]) -> Finding | None:
        """Look up every identity that records say they have."""
        asked = [(row["seq"], one) for row in records for one in unpack_identities(row["identities"])]
        if not asked:
            return None
        seqs, stamps, digests = zip(*((seq, one.stamp, one.digest) for seq, one in asked), strict=True)
        seq = await self.connection.fetchval(_MISSING_IDENTITY, self.partition, seqs, stamps, digests)
        if seq is None:
            return None
        return self._finding(
            Seq(seq),
            Flaw.IDENTITY,
            "an identity of it is missing or names another record: a repeat would be paid twice",
        )

    async def _identities(self) -> Finding | int:
        """Hold every identity against the record that it names, in one ordered pass; return how many there are."""
        count, stamp, digest = 0, BEFORE_ALL, b""
        while rows := await self.connection.fetch(_IDENTITIES, self.partition, stamp, digest, CHUNK_IDENTITIES_MAX):
            for row in rows:
                if not row["recorded"]:
                    return self._finding(Seq(row["seq"]), Flaw.IDENTITY, "an identity names it that it doesn't have")
            count += len(rows)
            stamp, digest = rows[-1]["stamp"], rows[-1]["digest"]
        return count

    def _finding(self, seq: Seq, flaw: Flaw, what: str) -> Finding:
        return Finding(self.partition, seq, flaw, what)
