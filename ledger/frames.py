"""Records as they come from the database, read ahead, and their hashes made straight from the columns.

The bytes that are hashed are those of `ledger.chain.record_hash`: MessagePack has one form for a struct that is like
an array and for a tuple. Instants come as the database keeps them, microseconds since 2000, since making datetimes of
them costs as much as hashing the record.
"""

import struct
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import pairwise, repeat
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from ledger.reading import read_ahead
from ledger.values import EURO, Epoch, HolderId, Partition, Seq

CHUNK_RECORDS_MAX = 1_000
"""In one statement, some 1 MB: as much again is read ahead."""
PIECE_RECORDS_MAX = 250
"""Between two turns of the loop, in which it takes in what is read ahead."""

# One row of arrays: fewer objects to make and to go through than a row for each record, or transfer.
_RECORDS = """
SELECT array_agg(seq), array_agg(epoch), array_agg(timestamptz_send(at)), array_agg(kind), array_agg(holder),
       array_agg(request), array_agg(reply), array_agg(reason), array_agg("position"), array_agg(identities),
       array_agg(hash)
  FROM (
       SELECT seq, epoch, at, kind, holder, request, reply, reason, "position", identities, hash
         FROM ledger.whole_journal WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4
  ) AS record"""

# No currency but the euro has a line: it doesn't fit.
_TRANSFERS = """
SELECT array_agg(seq), array_agg(CASE currency WHEN $4 THEN line END),
       array_agg(debit), array_agg(credit), array_agg(amount)
  FROM (
       SELECT seq, line, debit, credit, amount, currency
         FROM ledger.whole_transfer WHERE partition = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq, line
  ) AS transfer"""

_MICROSECONDS = 1_000_000
_YEAR_2000 = 946_684_800 * _MICROSECONDS
_TIMESTAMP = -1
"""The MessagePack extension of instants."""

_KEY = struct.Struct(">q16s")
_frame = msgspec.msgpack.Encoder().encode
_Ext = msgspec.msgpack.Ext

Move = tuple[str, str, int]
"""A transfer: debit, credit, amount."""


class Records(Struct, frozen=True):
    """Records in their order, column by column: going through a column costs less than going through as many rows.

    `instants` are microseconds since 2000, in 8 bytes; `moves` the transfers of each, None where they don't fit it.
    """

    seqs: Sequence[Seq]
    epochs: Sequence[Epoch]
    instants: Sequence[bytes]
    kinds: Sequence[str]
    holders: Sequence[HolderId | None]
    requests: Sequence[str]
    replies: Sequence[str]
    reasons: Sequence[str]
    positions: Sequence[str | None]
    identities: Sequence[bytes]
    hashes: Sequence[bytes]
    moves: Sequence[Sequence[Move] | None]

    def __len__(self) -> int:
        return len(self.seqs)

    def pieces(self, marks: Collection[int] = ()) -> Iterator["Records"]:
        """Cut them into pieces. One that comes to a record in `marks` ends there."""
        columns = msgspec.structs.astuple(self)
        ends = {at for at, seq in enumerate(self.seqs, 1) if seq in marks}
        ends.update(range(PIECE_RECORDS_MAX, len(self), PIECE_RECORDS_MAX), (len(self),))
        for begin, end in pairwise(sorted(ends | {0})):
            yield Records(*(column[begin:end] for column in columns))


def chunks(
    connection: asyncpg.Connection, partition: Partition, after: Seq, through: Seq
) -> AsyncGenerator[Records, None]:
    """Read the records `after` < seq <= `through` by keyset, as `ledger.reading.read_ahead` does."""

    async def behind(last: Records | None) -> Records | None:
        begin = after if last is None else last.seqs[-1]
        columns = _arrays(await connection.fetchrow(_RECORDS, partition, begin, through, CHUNK_RECORDS_MAX))
        if not columns:
            return None
        seqs = columns[0]
        transfers = _arrays(await connection.fetchrow(_TRANSFERS, partition, seqs[0], seqs[-1], EURO))
        return Records(*[*columns, moves_of(seqs, zip(*transfers, strict=True))])

    return read_ahead(behind)


def _arrays(row: asyncpg.Record | None) -> Sequence[Sequence[Any]]:
    """The arrays of a row; none at all where nothing was aggregated into them."""
    return () if row is None or row[0] is None else tuple(row)


def moves_of(
    seqs: Sequence[Seq], transfers: Iterable[tuple[int, int | None, str, str, int]]
) -> list[list[Move] | None]:
    """Give each record its transfers, which come in their order; None where their lines or their currency don't fit."""
    found: dict[int, list[Move]] = {seq: [] for seq in seqs}
    misfits = set()
    for seq, line, debit, credit, amount in transfers:
        if (moves := found.get(seq)) is not None:  # else its record is missing, which the walk finds
            moves.append((debit, credit, amount))
            if line != len(moves):
                misfits.add(seq)
    return [None if seq in misfits else found[seq] for seq in seqs]


def hashes(previous: bytes, partition: Partition, records: Records) -> list[bytes]:
    """Hash records as their writer did, each on what is written to be the hash of the one before it."""
    fields = zip(
        repeat(partition, len(records)),
        records.seqs,
        records.epochs,
        _instants(records.instants),
        records.kinds,
        records.holders,
        records.requests,
        records.replies,
        records.reasons,
        records.positions,
        records.moves,
        map(_keys_of, records.identities),
        strict=True,
    )
    made = []
    for last, frame in zip((previous, *records.hashes), map(_frame, fields), strict=False):
        digest = blake2b(last, digest_size=32)
        digest.update(frame)
        made.append(digest.digest())
    return made


def _keys_of(packed: bytes) -> list[tuple[int, bytes]] | bytes:
    """Packed identities, as they were written; what can't be those is left as it is, and hashed so."""
    return packed if len(packed) % _KEY.size else list(_KEY.iter_unpack(packed))


def _instants(stored: Sequence[bytes]) -> Iterator[msgspec.msgpack.Ext]:
    """Instants as MessagePack has them, each in the shortest of its three forms."""
    for microseconds in struct.unpack(f">{len(stored)}q", b"".join(stored)):
        seconds, rest = divmod(microseconds + _YEAR_2000, _MICROSECONDS)
        if not 0 <= seconds < 1 << 34:
            data = struct.pack(">Iq", rest * 1_000, seconds)
        elif rest or seconds >= 1 << 32:
            data = (rest * 1_000 << 34 | seconds).to_bytes(8)
        else:
            data = seconds.to_bytes(4)
        yield _Ext(_TIMESTAMP, data)
