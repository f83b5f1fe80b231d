"""The hash chain: each record's hash covers its place, its content, its transfers and the hash before it.

What is hashed is what PostgreSQL itself sends of a row (`record_send`): how many fields, then of each its type, its
length and its bytes, so that no two rows are alike. First the record's row, then its transfers' in their order. So
whoever reads a ledger needs to put nothing together again, and an auditor needs nothing but psql (docs/ledger.md).
"""

import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from ledger.values import EURO, Entry, Epoch, Partition, Record, Seq, pack_identities

GENESIS = bytes(32)
"""The hash before the first record of a partition."""

INT2, INT4, INT8, BYTEA, TEXT, JSON, TIMESTAMPTZ = 21, 23, 20, 17, 25, 114, 1184
"""Types, by PostgreSQL's numbers for them."""
NULL = -1
"""The length of what isn't there."""

_PLACE = struct.Struct(">i 2ii 2iq 2iq 2iq")
"""Eleven fields, of which partition, seq, epoch and instant come first."""
_LINE = struct.Struct(">i 2ih 2i")
_AMOUNT = struct.Struct(">2iq 2ih")
"""Of a transfer its line, debit, credit, amount and currency: what stands before the debit, and behind the credit."""
_FIELD = struct.Struct(">2i")

_YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def record_hash(previous: bytes, partition: Partition, seq: Seq, epoch: Epoch, entry: Entry) -> bytes:
    """SHA-256 over the hash before, the row of table `journal` up to its own hash, and the rows of its transfers."""
    return sha256(previous + frame(partition, seq, epoch, entry)).digest()


def extend(partition: Partition, epoch: Epoch, head: Seq, last: bytes, entries: Iterable[Entry]) -> Iterator[Record]:
    """Give entries their places behind `head`, whose hash is `last`."""
    for seq, entry in enumerate(entries, head + 1):
        last = record_hash(last, partition, Seq(seq), epoch, entry)
        yield Record(Seq(seq), epoch, entry, last)


def frame(partition: Partition, seq: Seq, epoch: Epoch, entry: Entry) -> bytes:
    """Make what PostgreSQL sends of a record's row, but for its hash, and of its transfers' rows."""
    at = (entry.at - _YEAR_2000) // _MICROSECOND
    parts = [_PLACE.pack(11, INT4, 4, partition, INT8, 8, seq, INT8, 8, epoch, TIMESTAMPTZ, 8, at)]
    for kind, text in (
        (TEXT, entry.kind),
        (TEXT, entry.holder),
        (JSON, entry.request),
        (JSON, entry.reply),
        (TEXT, entry.reason),
        (JSON, entry.position),
    ):
        if text is None:
            parts.append(_FIELD.pack(kind, NULL))
        else:
            content = text.encode()
            parts += _FIELD.pack(kind, len(content)), content
    identities = pack_identities(entry.identities)
    parts += _FIELD.pack(BYTEA, len(identities)), identities
    for line, transfer in enumerate(entry.transfers, 1):
        debit, credit = transfer.debit.encode(), transfer.credit.encode()
        parts += _LINE.pack(5, INT2, 2, line, TEXT, len(debit)), debit, _FIELD.pack(TEXT, len(credit)), credit
        parts.append(_AMOUNT.pack(INT8, 8, transfer.amount, INT2, 2, EURO))
    return b"".join(parts)
