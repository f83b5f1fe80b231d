"""Records as they come from the database, read ahead: what was hashed of each, and the columns that are looked into.

A frame is made by the database of a record's columns and its transfers', and is what `ledger.chain.frame` makes of an
entry: so it is hashed as it comes.
"""

from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any

import asyncpg
from msgspec import Struct
from msgspec.structs import astuple, replace

from ledger.reading import read_ahead
from ledger.values import EURO, Epoch, HolderId, Partition, Seq

CHUNK_SEQS = 1_000
"""In one statement, some 1 MB: as much again is read ahead."""
PIECE_RECORDS_MAX = 250
"""Between two turns of the loop, in which it takes in what is read ahead."""

# One row of arrays: fewer objects to make and to go through than a row for each record, or transfer.
_RECORDS = """
SELECT array_agg(seq), array_agg(epoch), array_agg(hash), array_agg(frame), array_agg(lines){inside}
  FROM (
       SELECT seq, epoch, hash, record.frame || coalesce(moved.frame, '') AS frame, coalesce(lines, 0) AS lines,
              holder, "position", identities
         FROM (
              SELECT *, record_send(ROW(
                         partition, seq, epoch, at, kind, holder, request, reply, reason, "position", identities
                     )) AS frame
                FROM ledger.whole_journal WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4
         ) AS record
         LEFT JOIN (
              SELECT seq, count(*) AS lines,
                     string_agg(record_send(ROW(line, debit, credit, amount, currency)), '' ORDER BY line) AS frame
                FROM ledger.whole_transfer WHERE partition = $1 AND seq > $2 AND seq <= $3 GROUP BY seq
         ) AS moved USING (seq)
        ORDER BY seq
  ) AS whole"""
_CHAIN = _RECORDS.format(inside="")
_INSIDE = _RECORDS.format(inside=', array_agg(holder), array_agg("position"), array_agg(identities)')

# No currency but the euro has a line: it doesn't fit.
_TRANSFERS = """
SELECT array_agg(seq), array_agg(CASE currency WHEN $4 THEN line END),
       array_agg(debit), array_agg(credit), array_agg(amount)
  FROM (
       SELECT seq, line, debit, credit, amount, currency
         FROM ledger.whole_transfer WHERE partition = $1 AND seq >= $2 AND seq <= $3 ORDER BY seq, line
  ) AS transfer"""

Move = tuple[str, str, int]
"""A transfer: debit, credit, amount."""


class Records(Struct, frozen=True):
    """Records in their order, column by column: going through a column costs less than going through as many rows.

    `frames` is what was hashed of each, behind the hash before it; `lines` how many transfers each has.
    """

    seqs: Sequence[Seq]
    epochs: Sequence[Epoch]
    hashes: Sequence[bytes]
    frames: Sequence[bytes]
    lines: Sequence[int]
    holders: Sequence[HolderId | None] = ()
    """These columns are read only where a walk looks inside records."""
    positions: Sequence[str | None] = ()
    identities: Sequence[bytes] = ()
    moves: Sequence[Sequence[Move] | None] = ()
    """The transfers of each, None where they don't fit it."""

    def __len__(self) -> int:
        return len(self.seqs)

    def pieces(self, marks: Collection[int] = ()) -> Iterator["Records"]:
        """Cut them into pieces. One that comes to a record in `marks` ends there."""
        columns = astuple(self)
        ends = {at for at, seq in enumerate(self.seqs, 1) if seq in marks}
        ends.update(range(PIECE_RECORDS_MAX, len(self), PIECE_RECORDS_MAX), (len(self),))
        for begin, end in pairwise(sorted(ends | {0})):
            yield Records(*(column[begin:end] for column in columns))


def chunks(
    connection: asyncpg.Connection, partition: Partition, after: Seq, through: Seq, *, inside: bool
) -> AsyncGenerator[Records, None]:
    """Read the records `after` < seq <= `through` by keyset, as `ledger.reading.read_ahead` does.

    Ends early where as many in a row are missing as a chunk has numbers.
    """

    async def behind(last: Records | None) -> Records | None:
        begin = after if last is None else last.seqs[-1]
        end = min(through, max(begin, 0) + CHUNK_SEQS)
        asked = _INSIDE if inside else _CHAIN
        columns = _arrays(await connection.fetchrow(asked, partition, begin, end, CHUNK_SEQS))
        if not columns:
            return None
        records = Records(*columns)
        if not inside:
            return records
        transfers = _arrays(await connection.fetchrow(_TRANSFERS, partition, records.seqs[0], records.seqs[-1], EURO))
        return replace(records, moves=moves_of(records.seqs, zip(*transfers, strict=True)))

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


def hashes(previous: bytes, records: Records) -> list[bytes]:
    """Hash records as their writer did, each on what is written to be the hash of the one before it."""
    before = (previous, *records.hashes)
    return [sha256(last + frame).digest() for last, frame in zip(before, records.frames, strict=False)]
