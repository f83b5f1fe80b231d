"""Two sets of identities have one fingerprint if and only if they are one set (docs/proofs.md, "Identities")."""

import random
import struct
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from ledger.fingerprints import PRIME, SECRETS, Fingerprint
from ledger.values import Identity, Seq, pack_identities

WITNESSES = 40
identities = st.builds(Identity, st.integers(-(2**63), 2**63 - 1), st.binary(min_size=16, max_size=16))
keys = st.tuples(identities, st.integers(1, 2**62))
secret = st.integers(0, SECRETS - 1)


def _of(key: int, identities: list[tuple[Identity, int]]) -> Fingerprint:
    fingerprint = Fingerprint(key)
    for one, seq in identities:
        fingerprint.add([pack_identities([one])], [Seq(seq)])
    return fingerprint


@given(secret, st.lists(keys, max_size=8), st.randoms())
def test_the_order_does_not_count(key: int, identities: list[tuple[Identity, int]], chance: random.Random) -> None:
    shuffled = identities[:]
    chance.shuffle(shuffled)
    assert _of(key, identities) == _of(key, shuffled)


@given(secret, st.lists(keys, max_size=6), st.lists(keys, max_size=6))
def test_other_sets_have_another_one(
    key: int, some: list[tuple[Identity, int]], others: list[tuple[Identity, int]]
) -> None:
    assert (_of(key, some) == _of(key, others)) == (sorted(some, key=repr) == sorted(others, key=repr))


@given(secret, st.lists(keys, max_size=4), st.lists(keys, max_size=4))
def test_it_can_be_carried_on_from_where_it_stood(
    key: int, some: list[tuple[Identity, int]], more: list[tuple[Identity, int]]
) -> None:
    before = _of(key, some)
    resumed = Fingerprint(key, before.product, before.count)
    for one, seq in more:
        resumed.add([pack_identities([one])], [Seq(seq)])
    assert resumed == _of(key, some + more)


@given(secret, st.lists(st.tuples(st.lists(identities, max_size=3), st.integers(1, 2**62)), max_size=20))
def test_many_records_at_once_make_the_same_number(key: int, records: list[tuple[list[Identity], int]]) -> None:
    fingerprint = Fingerprint(key)
    fingerprint.add([pack_identities(some) for some, _ in records], [Seq(seq) for _, seq in records])
    assert fingerprint == _of(key, [(one, seq) for some, seq in records for one in some])


@given(secret, st.lists(keys, max_size=40))
def test_both_sides_make_the_same_number(key: int, identities: list[tuple[Identity, int]]) -> None:
    """The records' side takes packed keys and a number, the table's rows that have both."""
    table = Fingerprint(key)
    table.add_rows(b"".join(struct.pack(">q", seq) + pack_identities([one]) for one, seq in identities))
    assert table == _of(key, identities)
    product = prod((key + (seq << 192) + int.from_bytes(pack_identities([one])) for one, seq in identities))
    assert table.product == product % PRIME


def test_the_number_does_not_grow_with_the_keys() -> None:
    """Whatever the secret: what is carried along stays of the prime's size."""
    fingerprint = Fingerprint(SECRETS - 1)
    fingerprint.add_rows(bytes([255]) * 32 * 5_000)
    assert fingerprint._product < 2 * PRIME
    assert fingerprint.product == pow(2 * SECRETS - 2, 5_000, PRIME)


def test_the_modulus_is_a_prime_above_any_key() -> None:
    """Miller and Rabin: each witness that a composite passes has a chance of at most a quarter."""
    chance, odd, twos = random.Random(1), PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(WITNESSES):
        power = pow(chance.randrange(2, PRIME - 1), odd, PRIME)
        assert power == 1 or any(pow(power, 2**step, PRIME) == PRIME - 1 for step in range(twos))
    assert PRIME > 2**256
    assert pow(2, 266, PRIME) == 3
