"""Identities on two sides, in the journal's records and in the table that judges exactly-once, by a number each.

A fingerprint of a set of keys is the product, over its keys x, of r + x, modulo a prime above any x; r is secret and
random. Two different sets of n keys have the same one with a chance of at most n in 2²⁵⁶, in whatever order they come.
"""

import struct
from collections.abc import AsyncIterator, Callable

import asyncpg

from ledger.reading import BEFORE_ALL
from ledger.values import Partition, Seq, unpack_identities

CHUNK_IDENTITIES_MAX = 10_000
CHUNK_RECORDS_MAX = 2_000

PRIME = 2**256 + 297
"""The first above 2²⁵⁶: a key's 24 bytes and its record's number in 8 are one number below it."""

# One value a chunk: to make rows of them would cost more than all the rest.
_TABLE = """
SELECT string_agg(int8send(i.stamp) || i.digest || int8send(i.seq), ''::bytea ORDER BY i.stamp, i.digest)
  FROM (
       SELECT stamp, digest, seq FROM ledger.identity
        WHERE partition = $1 AND (stamp, digest) > ($2, $3) ORDER BY stamp, digest LIMIT $4
  ) AS i"""

_RECORDS = """
SELECT seq, identities FROM ledger.whole_journal
 WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"""

# LATERAL and LIMIT keep both of these reads by key, whatever the planner believes of the tables' sizes.
_MISSING = """
SELECT min(asked.seq) FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) AS asked (seq, stamp, digest)
  LEFT JOIN LATERAL (
       SELECT i.seq FROM ledger.identity AS i
        WHERE i.partition = $1 AND i.stamp = asked.stamp AND i.digest = asked.digest LIMIT 1
  ) AS found ON true
 WHERE found.seq IS DISTINCT FROM asked.seq"""

_UNRECORDED = """
SELECT min(asked.seq) FROM unnest($2::bigint[], $3::bytea[]) AS asked (seq, key)
  LEFT JOIN LATERAL (
       SELECT j.identities FROM ledger.whole_journal AS j WHERE j.partition = $1 AND j.seq = asked.seq LIMIT 1
  ) AS record ON true
 WHERE NOT coalesce(position(asked.key IN record.identities) % 24 = 1, false)"""

_KEY_BYTES = 24
_SEQ_BITS = 64
_SEQ_MASK = (1 << _SEQ_BITS) - 1
_ROW = struct.Struct(">32s")
_COLUMNS = struct.Struct(">24sq")
_LAST = struct.Struct(">q16sq")


class Fingerprint:
    """A fingerprint of identities, each with its record, and how many there are. `key` is random, below `PRIME`."""

    def __init__(self, key: int, product: int = 1, count: int = 0) -> None:
        self._key = key
        self.product = product
        self.count = count

    def add(self, packed: bytes, seq: Seq) -> None:
        """Take in the packed identities of a record."""
        base, product = self._key + seq, self.product
        for at in range(0, len(packed), _KEY_BYTES):
            one = int.from_bytes(packed[at : at + _KEY_BYTES]) << _SEQ_BITS
            product = product * (base + one) % PRIME
        self.product = product
        self.count += len(packed) // _KEY_BYTES

    def add_rows(self, joined: bytes, after: Seq, through: Seq) -> None:
        """Take in joined rows of the table, each a packed key and its record's number, if `after` < it <= `through`."""
        key, product, count = self._key, self.product, 0
        for (row,) in _ROW.iter_unpack(joined):
            one = int.from_bytes(row)
            if after < one & _SEQ_MASK <= through:
                product = product * (key + one) % PRIME
                count += 1
        self.product = product
        self.count += count

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fingerprint):
            return NotImplemented
        return (self._key, self.count, self.product) == (other._key, other.count, other.product)

    __hash__ = None  # type: ignore[assignment]


class Identities:
    """A partition's table of identities: one ordered pass over it, and slower ones that name what is wrong.

    What is asked about are identities of the records `after` < seq <= `through`.
    """

    def __init__(self, connection: asyncpg.Connection, partition: Partition, after: Seq, through: Seq) -> None:
        self._connection = connection
        self._partition = partition
        self._after = after
        self._through = through

    async def agree(self, recorded: Fingerprint, key: int) -> bool:
        """Tell whether the table has exactly the identities that the records say they have."""
        table = Fingerprint(key)
        async for joined in self._table():
            table.add_rows(joined, self._after, self._through)
        return table == recorded

    async def _table(self) -> AsyncIterator[bytes]:
        stamp, digest = BEFORE_ALL, b""
        while joined := await self._connection.fetchval(_TABLE, self._partition, stamp, digest, CHUNK_IDENTITIES_MAX):
            yield joined
            stamp, digest, _ = _LAST.unpack_from(joined, len(joined) - _LAST.size)

    async def first_without(self) -> Seq | None:
        """Find the first record that has an identity which the table lacks, or has under another record."""
        after = self._after
        while rows := await self._connection.fetch(_RECORDS, self._partition, after, self._through, CHUNK_RECORDS_MAX):
            asked = [(row["seq"], one) for row in rows for one in unpack_identities(row["identities"])]
            found = await self._connection.fetchval(
                _MISSING,
                self._partition,
                [seq for seq, _ in asked],
                [one.stamp for _, one in asked],
                [one.digest for _, one in asked],
            )
            if found is not None:
                return Seq(found)
            after = rows[-1]["seq"]
        return None

    async def first_unrecorded(self) -> Seq | None:
        """Find a record that an identity names and that doesn't have it."""
        return await self._unrecorded(lambda seq: self._after < seq <= self._through)

    async def first_stray(self) -> Seq | None:
        """Find the same among the records that aren't asked about: what no record bears the number of, above all."""
        return await self._unrecorded(lambda seq: not self._after < seq <= self._through)

    async def _unrecorded(self, is_asked: Callable[[int], bool]) -> Seq | None:
        async for joined in self._table():
            asked = [(seq, key) for key, seq in _COLUMNS.iter_unpack(joined) if is_asked(seq)]
            if asked:
                seqs, keys = zip(*asked, strict=True)
                found = await self._connection.fetchval(_UNRECORDED, self._partition, seqs, keys)
                if found is not None:
                    return Seq(found)
        return None
