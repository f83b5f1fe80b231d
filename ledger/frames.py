"""Records as they come from the database, read ahead, and their hashes made straight from the rows.

The bytes that are hashed are those of `ledger.chain.record_hash`: MessagePack has one form for a struct that is like
an array and for a tuple. Instants come as the database keeps them, microseconds since 2000, since making datetimes of
them costs as much as hashing the record.
"""

import struct
from collections.abc import AsyncGenerator, Iterator, Sequence
from hashlib import blake2b

import asyncpg
import msgspec

from ledger.reading import read_ahead
from ledger.values import EURO, Partition, Seq

CHUNK_RECORDS_MAX = 1_000
"""In one statement, some 1 MB: as much again is read ahead."""

_RECORDS = """
SELECT seq, epoch, timestamptz_send(at), kind, holder, request, reply, reason, "position", identities, hash
  FROM ledger.whole_journal WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"""

# No currency but the euro has a line: it doesn't fit.
_TRANSFERS = """
SELECT seq, CASE currency WHEN $4 THEN line END, debit, credit, amount
  FROM ledger.whole_transfer WHERE partition = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq, line"""

SEQ, EPOCH, _AT, _KIND, HOLDER, _REQUEST, _REPLY, _REASON, POSITION, IDENTITIES, HASH = range(11)
"""The places of a record's columns in its row."""

_MICROSECONDS = 1_000_000
_YEAR_2000_S = 946_684_800
_TIMESTAMP = -1
"""The MessagePack extension of instants."""
_BEHIND_ALL = (2**63, 0, "", "", 0)
"""Stands behind the last transfer: no record bears that number."""

_KEY = struct.Struct(">q16s")
_frame = msgspec.msgpack.Encoder().encode

Row = asyncpg.Record
"""A record's columns, in the order of `_RECORDS`, or a transfer's, in that of `_TRANSFERS`."""
Chunk = tuple[Sequence[asyncpg.Record], Sequence[asyncpg.Record]]
"""Records in their order, and their transfers in theirs."""
Move = tuple[str, str, int]
"""A transfer: debit, credit, amount."""


def chunks(
    connection: asyncpg.Connection, partition: Partition, after: Seq, through: Seq
) -> AsyncGenerator[Chunk, None]:
    """Read the records `after` < seq <= `through` by keyset, as `ledger.reading.read_ahead` does."""

    async def behind(last: Chunk | None) -> Chunk | None:
        begin = after if last is None else last[0][-1][SEQ]
        rows = await connection.fetch(_RECORDS, partition, begin, through, CHUNK_RECORDS_MAX)
        if not rows:
            return None
        return rows, await connection.fetch(_TRANSFERS, partition, rows[0][SEQ], rows[-1][SEQ], EURO)

    return read_ahead(behind)


def paired(chunk: Chunk) -> Iterator[tuple[Row, list[Move] | None]]:
    """Go through a chunk's records, each with its transfers: None where their lines or their currency don't fit."""
    rows, transfers = chunk
    left = iter(transfers)
    transfer = next(left, _BEHIND_ALL)
    for row in rows:
        seq = row[SEQ]
        moves: list[Move] = []
        fits = True
        while transfer[0] <= seq:
            moves.append(transfer[2:])
            if transfer[1] != len(moves):
                fits = False
            transfer = next(left, _BEHIND_ALL)
        yield row, moves if fits else None


def row_hash(previous: bytes, partition: Partition, row: Row, moves: Sequence[Move]) -> bytes:
    """Hash a record as the writer did, from its columns and its transfers."""
    seq, epoch, at, kind, holder, request, reply, reason, position, identities, _ = row
    keys = [*_KEY.iter_unpack(identities)]
    fields = (partition, seq, epoch, _instant(at), kind, holder, request, reply, reason, position, moves, keys)
    return blake2b(previous + _frame(fields), digest_size=32).digest()


def _instant(at: bytes) -> msgspec.msgpack.Ext:
    """An instant as MessagePack has it, in the shortest of its three forms."""
    seconds, microseconds = divmod(int.from_bytes(at, "big", signed=True), _MICROSECONDS)
    seconds, nanoseconds = seconds + _YEAR_2000_S, microseconds * 1_000
    if not 0 <= seconds < 1 << 34:
        data = struct.pack(">Iq", nanoseconds, seconds)
    elif nanoseconds or seconds >= 1 << 32:
        data = (nanoseconds << 34 | seconds).to_bytes(8)
    else:
        data = seconds.to_bytes(4)
    return msgspec.msgpack.Ext(_TIMESTAMP, data)
