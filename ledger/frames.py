"""Records as they come from the database, read ahead, and their hashes made straight from the rows.

The bytes that are hashed are those of `ledger.chain.record_hash`: MessagePack has one form for a struct that is like
an array and for a tuple. Instants come as the database keeps them, microseconds since 2000, since making datetimes of
them costs as much as hashing the record.
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator, Sequence
from hashlib import blake2b

import asyncpg
import msgspec

from ledger.values import EURO, Partition, Seq

CHUNK_RECORDS_MAX = 1_000
"""In one statement, some 1 MB: as much again is read ahead."""

_RECORDS = """
SELECT seq, epoch, timestamptz_send(at), kind, holder, request, reply, reason, "position", identities, hash
  FROM ledger.whole_journal WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"""

_TRANSFERS = """
SELECT seq, line, currency, debit, credit, amount
  FROM ledger.whole_transfer WHERE partition = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq, line"""

SEQ, EPOCH, _AT, _KIND, HOLDER, _REQUEST, _REPLY, _REASON, POSITION, IDENTITIES, HASH = range(11)
"""The places of a record's columns in its row."""

_MICROSECONDS = 1_000_000
_YEAR_2000_S = 946_684_800
_TIMESTAMP = -1
"""The MessagePack extension of instants."""

_KEY = struct.Struct(">q16s")
_frame = msgspec.msgpack.Encoder().encode

Row = asyncpg.Record
"""A record's columns, in the order of `_RECORDS`, or a transfer's, in that of `_TRANSFERS`."""
Chunk = tuple[Sequence[asyncpg.Record], Sequence[asyncpg.Record]]
"""Records in their order, and their transfers in theirs."""
Move = tuple[str, str, int]
"""A transfer: debit, credit, amount."""


async def chunks(
    connection: asyncpg.Connection, partition: Partition, after: Seq, through: Seq
) -> AsyncIterator[Chunk]:
    """Read the records `after` < seq <= `through` by keyset. While one chunk is looked at, the next is fetched.

    The loop must be given turns meanwhile. Only for this may the connection be used until the last chunk was yielded.
    """
    ahead = asyncio.create_task(_chunk(connection, partition, after, through))
    try:
        while (chunk := await ahead)[0]:
            ahead = asyncio.create_task(_chunk(connection, partition, chunk[0][-1][0], through))
            yield chunk
    finally:
        ahead.cancel()
        await asyncio.wait({ahead})


async def _chunk(connection: asyncpg.Connection, partition: Partition, after: Seq, through: Seq) -> Chunk:
    rows = await connection.fetch(_RECORDS, partition, after, through, CHUNK_RECORDS_MAX)
    if not rows:
        return (), ()
    return rows, await connection.fetch(_TRANSFERS, partition, rows[0][0], rows[-1][0])


def paired(chunk: Chunk) -> Iterator[tuple[Row, list[Move] | None]]:
    """Go through a chunk's records, each with its transfers: None where their lines or their currency don't fit."""
    rows, transfers = chunk
    left = iter(transfers)
    transfer = next(left, None)
    for row in rows:
        seq = row[SEQ]
        moves: list[Move] = []
        fits = True
        while transfer is not None and transfer[0] <= seq:
            _, line, currency, debit, credit, amount = transfer
            moves.append((debit, credit, amount))
            if line != len(moves) or currency != EURO:
                fits = False
            transfer = next(left, None)
        yield row, moves if fits else None


def row_hash(previous: bytes, partition: Partition, row: Row, moves: Sequence[Move]) -> bytes:
    """Hash a record as the writer did, from its columns and its transfers."""
    seq, epoch, at, kind, holder, request, reply, reason, position, identities, _ = row
    frame = _frame(
        (
            partition,
            seq,
            epoch,
            _instant(at),
            kind,
            holder,
            request,
            reply,
            reason,
            position,
            moves,
            [*_KEY.iter_unpack(identities)],
        )
    )
    return blake2b(previous + frame, digest_size=32).digest()


def _instant(at: bytes) -> msgspec.msgpack.Ext:
    """An instant as MessagePack has it, in the shortest of its three forms."""
    seconds, microseconds = divmod(int.from_bytes(at, signed=True), _MICROSECONDS)
    seconds, nanoseconds = seconds + _YEAR_2000_S, microseconds * 1_000
    if not 0 <= seconds < 1 << 34:
        data = struct.pack(">Iq", nanoseconds, seconds)
    elif nanoseconds or seconds >= 1 << 32:
        data = (nanoseconds << 34 | seconds).to_bytes(8)
    else:
        data = seconds.to_bytes(4)
    return msgspec.msgpack.Ext(_TIMESTAMP, data)
