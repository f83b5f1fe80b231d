"""Records as they come from the database, read ahead: what was hashed of each, and the columns that are looked into.

A frame is made by the database of a record's columns and its transfers', and is what `ledger.chain.frame` makes of an
entry: so it is hashed as it comes.
"""

from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import pairwise

import asyncpg
from msgspec import Struct
from msgspec.structs import astuple, replace

from ledger.reading import read_ahead
from ledger.values import EURO, Epoch, HolderId, Partition, Seq

CHUNK_SEQS = 1_000
"""In one statement, some 1 MB: as much again is read ahead."""
PIECE_RECORDS_MAX = 250
"""Between two turns of the loop, in which it takes in what is read ahead."""

# One row of arrays: fewer objects to make and to go through than a row for each record. Most records have one transfer,
# which comes along; of others `debit` is NULL.
_RECORDS = """
SELECT array_agg(seq), array_agg(epoch), array_agg(hash), array_agg(frame), array_agg(lines){inside}
  FROM (
       SELECT seq, epoch, hash, record.frame || coalesce(moved.frame, '') AS frame, coalesce(lines, 0) AS lines,
              identities, holder, "position", debit, credit, amount
         FROM (
              SELECT *, record_send(ROW(
                         partition, seq, epoch, at, kind, holder, request, reply, reason, "position", identities
                     )) AS frame
                FROM ledger.whole_journal WHERE partition = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4
         ) AS record
         LEFT JOIN (
              SELECT seq, count(*) AS lines,
                     string_agg(record_send(ROW(line, debit, credit, amount, currency)), '' ORDER BY line) AS frame,
                     CASE WHEN count(*) = 1 AND max(line) = 1 AND max(currency) = $5 THEN max(debit) END AS debit,
                     max(credit) AS credit, max(amount) AS amount
                FROM ledger.whole_transfer WHERE partition = $1 AND seq > $2 AND seq <= $3 GROUP BY seq
         ) AS moved USING (seq)
        ORDER BY seq
  ) AS whole"""
_CHAIN = _RECORDS.format(inside="")
_INSIDE = _RECORDS.format(
    inside=""", array_agg(identities), array_agg(holder), array_agg("position"),
       array_agg(debit), array_agg(credit), array_agg(amount)"""
)

# No currency but the euro has a line: it doesn't fit.
_TRANSFERS = """
SELECT seq, CASE currency WHEN $3 THEN line END, debit, credit, amount
  FROM ledger.whole_transfer WHERE partition = $1 AND seq = ANY ($2::bigint[]) ORDER BY seq, line"""

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
    identities: Sequence[bytes] = ()
    """This column, and those behind it, are read only where a walk looks inside records."""
    holders: Sequence[HolderId | None] = ()
    positions: Sequence[str | None] = ()
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
        row = await connection.fetchrow(asked, partition, begin, end, CHUNK_SEQS, EURO)
        if row is None or row[0] is None:
            return None
        if not inside:
            return Records(*row)
        *columns, debits, credited, amounts = row
        records = Records(*columns)
        some = [*zip(debits, credited, amounts, strict=True)]
        several = [
            seq for seq, lines, one in zip(records.seqs, records.lines, some, strict=True) if lines and not one[0]
        ]
        rows = await connection.fetch(_TRANSFERS, partition, several, EURO) if several else []
        others = moves_of(several, map(tuple, rows))
        moves = [
            (one,) if one[0] else others[seq] if lines else ()
            for seq, lines, one in zip(records.seqs, records.lines, some, strict=True)
        ]
        return replace(records, moves=moves)

    return read_ahead(behind)


def moves_of(
    seqs: Iterable[Seq], transfers: Iterable[tuple[int, int | None, str, str, int]]
) -> dict[Seq, list[Move] | None]:
    """Give each record its transfers, which come in their order; None where their lines or their currency don't fit."""
    found: dict[Seq, list[Move]] = {seq: [] for seq in seqs}
    misfits = set()
    for seq, line, debit, credit, amount in transfers:
        moves = found[Seq(seq)]
        moves.append((debit, credit, amount))
        if line != len(moves):
            misfits.add(seq)
    return {seq: None if seq in misfits else moves for seq, moves in found.items()}


def hashes(previous: bytes, records: Records) -> list[bytes]:
    """Hash records as their writer did, each on what is written to be the hash of the one before it."""
    before = (previous, *records.hashes)
    return [sha256(last + frame).digest() for last, frame in zip(before, records.frames, strict=False)]
