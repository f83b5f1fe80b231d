"""What is hashed of a record is what the database sends of its rows (docs/ledger.md, "The chain")."""

from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import json

from ledger.chain import frame, record_hash
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

numbers = st.integers(-(2**63), 2**63 - 1)
instants = st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
jsons = texts.map(lambda text: json.encode(text).decode())
entries = st.builds(
    Entry,
    at=instants,
    kind=texts,
    holder=st.none() | texts.map(HolderId),
    request=jsons,
    reply=jsons,
    reason=texts,
    position=st.none() | jsons,
    transfers=st.lists(st.builds(Transfer, texts.map(Account), texts.map(Account), numbers.map(Cents)), max_size=3).map(
        tuple
    ),
    identities=st.lists(st.builds(Identity, numbers, st.binary(min_size=16, max_size=16)), max_size=3).map(tuple),
)
hashes_before = st.binary(min_size=32, max_size=32)

SENT = """
SELECT record_send(ROW($1::int, $2::bigint, $3::bigint, $4::timestamptz, $5::text, $6::text, $7::json, $8::json,
                       $9::text, $10::json, $11::bytea))
       || coalesce((
              SELECT string_agg(record_send(ROW(line::smallint, debit, credit, amount, 978::int2)), '' ORDER BY line)
                FROM unnest($12::text[], $13::text[], $14::bigint[]) WITH ORDINALITY AS t (debit, credit, amount, line)
          ), '')"""


@given(entries, st.integers(0, 2**31 - 1), numbers, numbers)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_frame_is_what_the_database_sends_of_the_rows(
    superuser: asyncpg.Connection, entry: Entry, partition: int, seq: int, epoch: int
) -> None:
    sent = await superuser.fetchval(
        SENT,
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
        pack_identities(entry.identities),
        [one.debit for one in entry.transfers],
        [one.credit for one in entry.transfers],
        [one.amount for one in entry.transfers],
    )
    assert frame(Partition(partition), Seq(seq), Epoch(epoch), entry) == sent


def _records(frames: Sequence[bytes], written: Sequence[bytes], first: int = 1) -> Records:
    """Records whose insides aren't looked into."""
    count = len(frames)
    seqs = [Seq(seq) for seq in range(first, first + count)]
    return Records(seqs, [Epoch(1)] * count, written, frames, [0] * count)


@given(st.lists(st.tuples(entries, hashes_before), max_size=3), hashes_before)
def test_each_hash_is_made_on_what_is_written_to_be_the_one_before(
    some: list[tuple[Entry, bytes]], first: bytes
) -> None:
    """So that one bad record doesn't spoil the others."""
    framed = [frame(Partition(3), Seq(seq), Epoch(1), entry) for seq, (entry, _) in enumerate(some, 1)]
    records = _records(framed, [written for _, written in some])
    assert hashes(first, records) == [
        record_hash(last, Partition(3), Seq(seq), Epoch(1), entry)
        for seq, (last, (entry, _)) in enumerate(zip([first, *records.hashes], some, strict=False), 1)
    ]


@given(st.integers(1, 700), st.sets(st.integers(0, 800), max_size=5))
def test_records_are_cut_behind_each_mark_and_nothing_is_lost(count: int, marks: set[int]) -> None:
    seqs = range(1, count + 1)
    records = _records([b""] * count, [bytes(32)] * count)
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
    for seq, count, moves in zip(seqs, counts, moves_of(seqs, transfers).values(), strict=True):
        if spoilt is not None and transfers[spoilt][0] == seq:
            assert moves is None
        else:
            assert moves == [(f"d{seq}", f"c{line}", 1) for line in range(1, count + 1)]
