"""The ledger's value types: money, accounts, transfers, lots, and the records that carry them.

Every value is frozen. Amounts are integer cents of the euro; instants are aware and in UTC.
"""

import struct
from collections.abc import Iterable
from datetime import date, datetime
from typing import NewType

from msgspec import Struct

Cents = NewType("Cents", int)
Partition = NewType("Partition", int)
Seq = NewType("Seq", int)
"""A record's number in its partition: 1, 2, 3 … without gaps."""
Epoch = NewType("Epoch", int)
"""A writer's term of office: only the holder of the newest epoch can append."""
HolderId = NewType("HolderId", str)
"""Whose passbook a record is a line of: a card holder, or a reference such as `merchant:FR0000000000001`."""
Account = NewType("Account", str)
"""A readable account name, such as `holder:h4k2:90:2026` or `acquirer:970001:payable`."""

EURO = 978
"""ISO 4217 numeric code of the only currency."""


class Transfer(Struct, frozen=True, array_like=True, gc=False):
    """One movement of money: `amount` (above 0) leaves `debit` and reaches `credit`."""

    debit: Account
    credit: Account
    amount: Cents


class Identity(Struct, frozen=True, array_like=True, gc=False):
    """A key that may exist once in a partition: the judge of exactly-once.

    `stamp` is the key's own date and time as the integer YYMMDDhhmmss (time first keeps the index hot);
    `digest` is 16 bytes over the key's kind and fields.
    """

    stamp: int
    digest: bytes


def pack_identities(identities: Iterable[Identity]) -> bytes:
    """Join keys into one text of bytes: 24 a key, its stamp big-endian in 8, then its digest.

    >>> pack_identities([Identity(260512123000, bytes(16))]).hex()
    '0000003ca7bb887800000000000000000000000000000000'
    """
    return b"".join(_KEY.pack(one.stamp, one.digest) for one in identities)


def unpack_identities(packed: bytes) -> tuple[Identity, ...]:
    """Undo `pack_identities`."""
    return tuple([Identity(stamp, digest) for stamp, digest in _KEY.iter_unpack(packed)])


_KEY = struct.Struct(">q16s")


class Lot(Struct, frozen=True, array_like=True, gc=False):
    """Vouchers of one product that expire together: a vintage of titres-restaurant, or one load.

    Valid from `valid_from` to `valid_until`, both days included, in the merchant's local date.
    """

    product: str
    name: str
    valid_from: date
    valid_until: date
    amount: Cents


class Part(Struct, frozen=True, array_like=True, gc=False):
    """What was taken of one lot. Keeps the lot's days, for what is given back when the lot is no longer there."""

    lot: str
    valid_from: date
    valid_until: date
    amount: Cents


class Hold(Struct, frozen=True, array_like=True, gc=False):
    """Money set aside by an authorization, until it is captured, released or lapses.

    `id` is the reference of its request, by which completions and reversals name it; `day` the local date whose cap
    it counts on; `approval` its approval code; `until` the last local date on which it holds. `step` counts the
    changes to it so far. One that has lapsed has no parts left: it stays a while, for a late completion to find.
    """

    id: str
    product: str
    day: date
    approval: str
    acquirer: str
    parts: tuple[Part, ...]
    until: date
    step: int = 0


class Purse(Struct, frozen=True, array_like=True, gc=False):
    """A holder's money: lots with something left in them, holds, and what expired unspent and waits to be exchanged.

    Lots, expired ones too, stand oldest expiry first.
    """

    lots: tuple[Lot, ...] = ()
    holds: tuple[Hold, ...] = ()
    expired: tuple[Lot, ...] = ()


class Manifest(Struct, frozen=True, gc=False):
    """What a full range of a partition's journal holds: every record from `first` to `last`, and their transfers.

    `before` is the hash of the record before the first (the genesis hash in range 0), `hash` the last one's: both in
    hexadecimal. With them, the chain before and behind an archived range is known without reading it.
    """

    range: int
    first: Seq
    last: Seq
    records: int
    transfers: int
    before: str
    hash: str


class Entry(Struct, frozen=True, gc=False):
    """What a decision wants remembered, before the writer gives it a place in the chain.

    `request`, `reply` and `position` are JSON texts. `request` is every input of the decision, `position`
    the holder's state after it (None where no holder's state is concerned).
    """

    at: datetime
    kind: str
    holder: HolderId | None
    request: str
    reply: str
    reason: str
    position: str | None
    transfers: tuple[Transfer, ...] = ()
    identities: tuple[Identity, ...] = ()


class Record(Struct, frozen=True, gc=False):
    """An entry in its place: `hash` covers the place, the entry and the previous record's hash."""

    seq: Seq
    epoch: Epoch
    entry: Entry
    hash: bytes
