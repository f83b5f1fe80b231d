"""Names for PANs, and sealed texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.security.keys import VaultKey
from authz.security.module import Malformed, Sealed
from authz.security.vault import Vault

KEY = VaultKey(bytes(range(32)))
OTHER = VaultKey(bytes(range(1, 33)))
VAULT = Vault(KEY)

pans = st.text("0123456789", min_size=1, max_size=19)


@given(pans, pans)
def test_a_token_names_one_pan(pan: str, other: str) -> None:
    assert len(VAULT.token(pan)) == 32
    assert (VAULT.token(pan) == Vault(KEY).token(other)) == (pan == other)


@given(pans)
def test_a_token_is_useless_without_the_key(pan: str) -> None:
    assert VAULT.token(pan) != Vault(OTHER).token(pan)


def test_tokens_hold_still() -> None:
    """The vault finds cards by their token: this value may never change, or no card would be found again."""
    assert VAULT.token("9250100000000014").hex() == "8417d3746b0a3b16a715716ef5b2c5aaddfb4037a85ce83365b54451a746d9e1"


def test_what_was_sealed_once_still_opens() -> None:
    """The vault outlives releases: what version 1 sealed, opens."""
    assert (
        VAULT.unseal(
            bytes.fromhex("01c2c85f299f677d62060eaa33726082f5a3f7b3c8b69969455493dceb8b67267956cbb4cbceca2fe03f66498b"),
            b"card c1",
        )
        == b"9250100000000014"
    )


@pytest.mark.parametrize("pan", ["", "925010000000001x", "٩٢٥", "9250 1000"])
def test_only_digits_have_a_token(pan: str) -> None:
    with pytest.raises(Malformed):
        VAULT.token(pan)


@given(st.binary(max_size=200), st.binary(max_size=40))
def test_what_is_sealed_opens(plain: bytes, context: bytes) -> None:
    assert Vault(KEY).unseal(VAULT.seal(plain, context), context) == plain


@given(st.binary(max_size=40))
def test_the_same_text_never_seals_alike(plain: bytes) -> None:
    assert VAULT.seal(plain, b"") != VAULT.seal(plain, b"")


@given(st.binary(max_size=40), st.binary(max_size=10), st.binary(max_size=10))
def test_another_context_does_not_open(plain: bytes, context: bytes, other: bytes) -> None:
    sealed = VAULT.seal(plain, context)
    if context != other:
        with pytest.raises(Sealed):
            VAULT.unseal(sealed, other)


@given(st.binary(max_size=40), st.integers(0))
def test_one_bit_changed_anywhere_does_not_open(plain: bytes, bit: int) -> None:
    sealed = VAULT.seal(plain, b"card c1")
    changed = (int.from_bytes(sealed) ^ 1 << bit % (8 * len(sealed))).to_bytes(len(sealed))
    with pytest.raises(Sealed):
        VAULT.unseal(changed, b"card c1")


@given(st.binary(max_size=60))
def test_what_was_never_sealed_does_not_open(text: bytes) -> None:
    for sealed in (text, b"\x01" + text):
        with pytest.raises(Sealed):
            VAULT.unseal(sealed, b"")


def test_another_key_does_not_open() -> None:
    with pytest.raises(Sealed):
        Vault(OTHER).unseal(VAULT.seal(b"9250100000000014", b""), b"")


def test_the_key_of_tokens_is_not_the_key_of_seals() -> None:
    assert VAULT._token_key != KEY.master
    with pytest.raises(Sealed):
        Vault(VaultKey(VAULT._token_key)).unseal(VAULT.seal(b"", b""), b"")
