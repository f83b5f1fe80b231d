"""The hash chain: each record's hash covers its place, its content and the hash before it."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import msgspec

from ledger.values import Entry, Epoch, Partition, Record, Seq

GENESIS = bytes(32)
"""The hash before the first record of a partition."""

_frame = msgspec.msgpack.Encoder().encode


def record_hash(previous: bytes, partition: Partition, seq: Seq, epoch: Epoch, entry: Entry) -> bytes:
    """BLAKE2b-256 over the previous hash and the record's fields, framed by MessagePack so that no two differ alike."""
    fields = (
        partition,
        seq,
        epoch,
        entry.at,
        entry.kind,
        entry.holder,
        entry.request,
        entry.reply,
        entry.reason,
        entry.position,
        entry.transfers,
        entry.identities,
    )
    return blake2b(previous + _frame(fields), digest_size=32).digest()


def extend(partition: Partition, epoch: Epoch, head: Seq, last: bytes, entries: Iterable[Entry]) -> Iterator[Record]:
    """Give entries their places behind `head`, whose hash is `last`."""
    for seq, entry in enumerate(entries, head + 1):
        last = record_hash(last, partition, Seq(seq), epoch, entry)
        yield Record(Seq(seq), epoch, entry, last)
