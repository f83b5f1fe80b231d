"""The hash chain: nothing that a record says can change without its hash, nor its place, nor what came before."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledger.chain import GENESIS, extend, record_hash
from ledger.values import Entry, Epoch, Identity, Partition, Seq, pack_identities, unpack_identities

MAIN, FIRST = Partition(0), Epoch(1)


@pytest.fixture
def entry(entries, identities):
    return entries.payment("h1", next(identities), next(identities))


def test_entries_take_consecutive_places_each_hash_over_the_one_before(entry, entries):
    chain = list(extend(MAIN, FIRST, Seq(7), GENESIS, [entry, entries.refusal(), entry]))
    assert [record.seq for record in chain] == [8, 9, 10]
    last = GENESIS
    for record in chain:
        assert record.hash == record_hash(last, MAIN, record.seq, FIRST, record.entry)
        last = record.hash


def test_a_hash_has_32_bytes_and_is_the_same_for_the_same_record(entry):
    one, two = (record_hash(GENESIS, MAIN, Seq(1), FIRST, entry) for _ in range(2))
    assert one == two
    assert len(one) == len(GENESIS) == 32


def test_the_hash_covers_the_place(entry):
    """`epoch` is inside the hash; so are partition, seq and the hash before."""
    places = [
        (GENESIS, MAIN, Seq(1), FIRST),
        (bytes(31) + b"\1", MAIN, Seq(1), FIRST),
        (GENESIS, Partition(1), Seq(1), FIRST),
        (GENESIS, MAIN, Seq(2), FIRST),
        (GENESIS, MAIN, Seq(1), Epoch(2)),
    ]
    assert len({record_hash(*place, entry) for place in places}) == len(places)


def test_the_hash_covers_every_field_of_an_entry(entry):
    [transfer] = entry.transfers
    changes = {
        "at": entry.at + timedelta(microseconds=1),
        "kind": "purchases",
        "holder": "h2",
        "request": entry.request + " ",
        "reply": entry.reply + " ",
        "reason": "PARTIAL",
        "position": None,
        "transfers": (replace(transfer, amount=transfer.amount + 1),),
        "identities": entry.identities[:1],
    }
    assert set(changes) == set(entry.__struct_fields__)
    changed = [replace(entry, **{field: value}) for field, value in changes.items()]
    assert len({record_hash(GENESIS, MAIN, Seq(1), FIRST, one) for one in [entry, *changed]}) == len(changes) + 1


@given(whole=st.text(max_size=20), cut=st.integers(0, 20), other=st.integers(0, 20))
def test_framing_keeps_fields_apart(whole, cut, other):
    """The same characters, divided differently between two fields, are another record."""
    at_cut, at_other = (whole[:cut], whole[cut:]), (whole[:other], whole[other:])
    hashes = [record_hash(GENESIS, MAIN, Seq(1), FIRST, _entry(*fields)) for fields in (at_cut, at_other)]
    assert (hashes[0] == hashes[1]) is (at_cut == at_other)


def _entry(kind: str, reason: str):
    return Entry(datetime(2026, 5, 12, tzinfo=UTC), kind, None, "{}", "{}", reason, None)


@given(st.lists(st.builds(Identity, st.integers(0, 999999_999999), st.binary(min_size=16, max_size=16)), max_size=5))
def test_packed_identities_come_apart_again(identities):
    packed = pack_identities(identities)
    assert unpack_identities(packed) == tuple(identities)
    assert len(packed) == 24 * len(identities)
