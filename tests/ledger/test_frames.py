"""A record's hash made from its rows is the one that its writer made (docs/ledger.md, "The chain")."""

import struct
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ledger.chain import record_hash
from ledger.frames import paired, row_hash
from ledger.values import (
    Account,
    Cents,
    Entry,
    Epoch,
    HolderId,
    Identity,
    Partition,
    Seq,
    Transfer,
    pack_identities,
)

YEAR_1970, YEAR_2000 = datetime(1970, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC)
numbers = st.integers(-(2**63), 2**63 - 1)
seconds = st.integers(-(2**33), 2**35) | st.integers(-100, 2**32 + 100) | st.integers(2**34 - 9, 2**34 + 9)
instants = st.builds(
    lambda whole, micros: YEAR_1970 + timedelta(seconds=whole, microseconds=micros),
    seconds,
    st.just(0) | st.integers(0, 999_999),
)
"""On both sides of where MessagePack's three forms of an instant meet."""
texts = st.text(st.characters(codec="utf-8"), max_size=40)
entries = st.builds(
    Entry,
    at=instants,
    kind=texts,
    holder=st.none() | texts.map(HolderId),
    request=texts,
    reply=texts,
    reason=texts,
    position=st.none() | texts,
    transfers=st.lists(st.builds(Transfer, texts.map(Account), texts.map(Account), numbers.map(Cents)), max_size=3).map(
        tuple
    ),
    identities=st.lists(st.builds(Identity, numbers, st.binary(min_size=16, max_size=16)), max_size=3).map(tuple),
)


@given(entries, st.binary(min_size=32, max_size=32), numbers.map(Seq), numbers.map(Epoch))
def test_the_hash_of_the_rows_is_the_hash_of_the_entry(entry: Entry, last: bytes, seq: Seq, epoch: Epoch) -> None:
    at = struct.pack(">q", (entry.at - YEAR_2000) // timedelta(microseconds=1))
    row = (
        seq,
        epoch,
        at,
        entry.kind,
        entry.holder,
        entry.request,
        entry.reply,
        entry.reason,
        entry.position,
        pack_identities(entry.identities),
        b"",
    )
    moves = [(str(one.debit), str(one.credit), int(one.amount)) for one in entry.transfers]
    assert row_hash(last, Partition(3), row, moves) == record_hash(last, Partition(3), seq, epoch, entry)  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 3), max_size=8), st.data())
def test_transfers_come_with_their_record_and_lines_that_do_not_fit_are_told(
    counts: list[int], data: st.DataObject
) -> None:
    rows = [(seq, *[None] * 10) for seq in range(1, len(counts) + 1)]
    transfers = [
        (seq, line, f"d{seq}", f"c{line}", 1) for seq, count in enumerate(counts, 1) for line in range(1, count + 1)
    ]
    spoilt = data.draw(st.sampled_from([None, *range(len(transfers))]))
    if spoilt is not None:
        seq, line, *move = transfers[spoilt]
        transfers[spoilt] = (seq, data.draw(st.sampled_from([None, line + 1])), *move)
    found = [moves for _, moves in paired((rows, transfers))]  # type: ignore[arg-type]
    for seq, (count, moves) in enumerate(zip(counts, found, strict=True), 1):
        if spoilt is not None and transfers[spoilt][0] == seq:
            assert moves is None
        else:
            assert moves == [(f"d{seq}", f"c{line}", 1) for line in range(1, count + 1)]
