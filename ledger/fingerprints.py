"""Identities on two sides, in the journal's records and in the table that judges exactly-once, by a number each.

A fingerprint of a set of keys is the product, over its keys x, of r + x, modulo a prime above any x; r is secret and
random. Two different sets of n keys have the same one with a chance of at most n in 2²⁵⁶, in whatever order they come.
"""

import struct
from collections.abc import AsyncGenerator, Iterable
from operator import mul

import asyncpg

from ledger.reading import BEFORE_ALL, read_ahead
from ledger.values import Partition, Seq, unpack_identities

CHUNK_IDENTITIES_MAX = 10_000
CHUNK_RECORDS_MAX = 2_000

_PRIME_BITS = 266
PRIME: int = 2**_PRIME_BITS - 3
"""Modulo it, 2²⁶⁶ is 3: to reduce is to add. x is a record's number in 8 bytes and a key in 24, r is below `SECRETS`:
one addition brings a product of two such sums back to some 266 bits."""
SECRETS: int = 2**256
_LOW_BITS: int = 2**_PRIME_BITS - 1
_ROUNDS = 4
"""Of multiplying two by two, which lets few bits more through each time: 12 at the last. Then comes a division."""

# One value a chunk: to make rows of them would cost more than all the rest.
_TABLE = """
SELECT string_agg(int8send(i.seq) || int8send(i.stamp) || i.digest, ''::bytea ORDER BY i.stamp, i.digest),
       bool_and(i.seq > $5 AND i.seq <= $6)
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

_KEYS = struct.Struct(">24s")
_KEY_BITS = 8 * _KEYS.size
_ROW = struct.Struct(">32s")
_COLUMNS = struct.Struct(">q24s")
_LAST = struct.Struct(">q16s")
"""A key, with which the last row of a chunk ends."""
_UNKNOWN = "an identity names it that it doesn't have"


class Fingerprint:
    """A fingerprint of identities, each with its record, and how many there are. `key` is random, below `SECRETS`."""

    def __init__(self, key: int, product: int = 1, count: int = 0) -> None:
        self._key = key
        self._product = product
        self.count = count

    @property
    def product(self) -> int:
        """The number, below `PRIME`."""
        return self._product % PRIME

    def add(self, packed: Iterable[bytes], seqs: Iterable[Seq]) -> None:
        """Take in the packed identities of records."""
        key, number = self._key, int.from_bytes
        self._take(
            [
                base + number(one)
                for keys, seq in zip(packed, seqs, strict=True)
                for base in [key + (seq << _KEY_BITS)]
                for (one,) in _KEYS.iter_unpack(keys)
            ]
        )

    def add_rows(self, joined: bytes) -> None:
        """Take in joined rows of the table."""
        key, number = self._key, int.from_bytes
        self._take([key + number(row) for (row,) in _ROW.iter_unpack(joined)])

    def _take(self, factors: list[int]) -> None:
        self.count += len(factors)
        for _ in range(_ROUNDS):
            if len(factors) % 2:
                factors.append(1)
            pairs = iter(factors)
            factors = [(two & _LOW_BITS) + 3 * (two >> _PRIME_BITS) for two in map(mul, pairs, pairs)]
        product = self._product
        for factor in factors:
            product = product * factor % PRIME
        self._product = product

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fingerprint):
            return NotImplemented
        return (self._key, self.count, self.product) == (other._key, other.count, other.product)

    __hash__ = None  # type: ignore[assignment]


class Identities:
    """A partition's table of identities: one ordered pass over it, and slower ones that name what is wrong.

    What is asked about are identities of the records `after` < seq <= `through`. One connection reads ahead, `aside`
    looks up meanwhile.
    """

    def __init__(
        self, connection: asyncpg.Connection, aside: asyncpg.Connection, partition: Partition, after: Seq, through: Seq
    ) -> None:
        self._connection = connection
        self._aside = aside
        self._partition = partition
        self._after = after
        self._through = through

    async def wrong(self, recorded: Fingerprint, key: int, *, to_head: bool) -> tuple[Seq, str] | None:
        """Name the first record whose identities aren't those of the table, and say how; None: there is none.

        `recorded` is what the records say they have. `to_head`: the others of the table are held against their records.
        """
        table, stray = Fingerprint(key), None
        async for joined, is_asked in self._table():
            if is_asked:
                table.add_rows(joined)
                continue
            asked, others = self._parted(joined)
            table.add_rows(asked)
            if to_head and stray is None:
                stray = await self._unrecorded(others)
        if table != recorded:
            return await self._culprit()
        return None if stray is None else (stray, _UNKNOWN)

    async def _culprit(self) -> tuple[Seq, str]:
        missing = await self._first_without()
        if missing is not None:
            return missing, "an identity of it is missing or names another record: a repeat would be paid twice"
        async for joined, _ in self._table():
            asked, _ = self._parted(joined)
            unrecorded = await self._unrecorded(asked)
            if unrecorded is not None:
                return unrecorded, _UNKNOWN
        return self._through, "up to it, records have other identities than were proved"

    def _table(self) -> AsyncGenerator[tuple[bytes, bool], None]:
        """Read joined rows, each a record's number and its packed key, and whether all of them are asked about."""

        async def behind(last: tuple[bytes, bool] | None) -> tuple[bytes, bool] | None:
            stamp, digest = (BEFORE_ALL, b"") if last is None else _LAST.unpack(last[0][-_LAST.size :])
            row = await self._connection.fetchrow(
                _TABLE, self._partition, stamp, digest, CHUNK_IDENTITIES_MAX, self._after, self._through
            )
            return None if row is None or row[0] is None else (row[0], row[1])

        return read_ahead(behind)

    def _parted(self, joined: bytes) -> tuple[bytes, bytes]:
        """Part rows into those that are asked about, and the others."""
        asked, others = bytearray(), bytearray()
        for seq, key in _COLUMNS.iter_unpack(joined):
            (asked if self._after < seq <= self._through else others).extend(_COLUMNS.pack(seq, key))
        return bytes(asked), bytes(others)

    async def _first_without(self) -> Seq | None:
        """Find the first record that has an identity which the table lacks, or has under another record."""
        after = self._after
        while rows := await self._aside.fetch(_RECORDS, self._partition, after, self._through, CHUNK_RECORDS_MAX):
            asked = [(row["seq"], one) for row in rows for one in unpack_identities(row["identities"])]
            found = await self._aside.fetchval(
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

    async def _unrecorded(self, joined: bytes) -> Seq | None:
        """Find a record that one of these rows names and that doesn't have its key."""
        rows = [*_COLUMNS.iter_unpack(joined)]
        found = await self._aside.fetchval(
            _UNRECORDED, self._partition, [seq for seq, _ in rows], [key for _, key in rows]
        )
        return None if found is None else Seq(found)
