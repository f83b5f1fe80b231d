"""A record's hash made from its columns is the one that its writer made (docs/ledger.md, "The chain")."""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain import record_hash
from ledger.frames import PIECE_RECORDS_MAX, Records, hashes, moves_of
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


hashes_before = st.binary(min_size=32, max_size=32)


def _columns(entries: Sequence[Entry], epochs: Sequence[int], seqs: Sequence[int], written: Sequence[bytes]) -> Records:
    """Entries as they come from the database."""
    return Records(
        [Seq(seq) for seq in seqs],
        [Epoch(epoch) for epoch in epochs],
        [struct.pack(">q", (one.at - YEAR_2000) // timedelta(microseconds=1)) for one in entries],
        [one.kind for one in entries],
        [one.holder for one in entries],
        [one.request for one in entries],
        [one.reply for one in entries],
        [one.reason for one in entries],
        [one.position for one in entries],
        [pack_identities(one.identities) for one in entries],
        written,
        [[(str(move.debit), str(move.credit), int(move.amount)) for move in one.transfers] for one in entries],
    )


@given(st.lists(st.tuples(entries, numbers, numbers, hashes_before), max_size=3), hashes_before)
def test_the_hash_of_the_columns_is_the_hash_of_the_entry(
    some: list[tuple[Entry, int, int, bytes]], first: bytes
) -> None:
    """Each is made on what is written to be the one before it, so that one bad record doesn't spoil the others."""
    records = _columns(
        [entry for entry, *_ in some], [one[1] for one in some], [one[2] for one in some], [one[3] for one in some]
    )
    before = [first, *records.hashes]
    assert hashes(first, Partition(3), records) == [
        record_hash(last, Partition(3), Seq(seq), Epoch(epoch), entry)
        for last, (entry, epoch, seq, _) in zip(before, some, strict=False)
    ]


@given(st.integers(1, 700), st.sets(st.integers(0, 800), max_size=5))
def test_records_are_cut_behind_each_mark_and_nothing_is_lost(count: int, marks: set[int]) -> None:
    entry = Entry(YEAR_2000, "load", None, "{}", "{}", "APPROVED", None)
    seqs = range(1, count + 1)
    records = _columns([entry] * count, [1] * count, seqs, [bytes(32)] * count)
    pieces = [*records.pieces(marks)]
    assert [seq for piece in pieces for seq in piece.seqs] == [*seqs]
    assert marks.intersection(seqs) <= {piece.seqs[-1] for piece in pieces}
    assert all(0 < len(piece) <= PIECE_RECORDS_MAX for piece in pieces)


@given(st.lists(st.integers(0, 3), max_size=8), st.data())
def test_transfers_come_with_their_record_and_lines_that_do_not_fit_are_told(
    counts: list[int], data: st.DataObject
) -> None:
    seqs = [Seq(seq) for seq in range(1, len(counts) + 1)]
    transfers: list[tuple[int, int | None, str, str, int]] = [
        (seq, line, f"d{seq}", f"c{line}", 1) for seq, count in enumerate(counts, 1) for line in range(1, count + 1)
    ]
    spoilt = data.draw(st.sampled_from([None, *range(len(transfers))]))
    if spoilt is not None:
        seq, line, *move = transfers[spoilt]
        assert line is not None
        transfers[spoilt] = (seq, data.draw(st.sampled_from([None, line + 1])), *move)
    for seq, count, moves in zip(seqs, counts, moves_of(seqs, transfers), strict=True):
        if spoilt is not None and transfers[spoilt][0] == seq:
            assert moves is None
        else:
            assert moves == [(f"d{seq}", f"c{line}", 1) for line in range(1, count + 1)]


@given(entries, hashes_before, st.binary(max_size=80).filter(lambda packed: len(packed) % 24))
def test_identities_of_an_impossible_length_hash_to_something_else(entry, before, packed):
    """They are a finding, whatever a superuser put there, and end no run."""
    records = msgspec.structs.replace(_columns([entry], [1], [1], [before]), identities=[packed])
    assert hashes(before, Partition(0), records) != [record_hash(before, Partition(0), Seq(1), Epoch(1), entry)]
