"""Names for PANs, and sealed texts."""

import hashlib
import hmac

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from authz.security.keyblock import KeyKind
from authz.security.keys import KeyMalformed, VaultKey, VaultKeys
from authz.security.module import Malformed, Sealed
from authz.security.sealing import VERSION, key_of
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
    """The vault outlives releases."""
    sealed = "024b7f5ddaa35ba5f2c9f162cbeb072b76a092a28af0715c8223775edee9fdeba91bae00f8e3ad8b517056633801527d"
    assert VAULT.unseal(bytes.fromhex(sealed), b"card c1") == b"9250100000000014"


@pytest.mark.parametrize("pan", ["", "925010000000001x", "٩٢٥", "9250 1000", "person ", "Person x"])
def test_only_digits_and_words_have_a_token(pan: str) -> None:
    with pytest.raises(Malformed):
        VAULT.token(pan)


@given(pans, st.text(min_size=1), st.text(min_size=1))
def test_what_is_named_in_words_has_no_card_s_name_and_no_other_s(pan: str, one: str, other: str) -> None:
    assert len({VAULT.token(pan), VAULT.token(f"person {one}"), VAULT.token(f"user {one}")}) == 3
    assert (VAULT.token(f"person {one}") == VAULT.token(f"person {other}")) == (one == other)


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
    for sealed in (text, VERSION + text, VAULT.newest + text):
        with pytest.raises(Sealed):
            VAULT.unseal(sealed, b"")


def test_another_key_does_not_open() -> None:
    with pytest.raises(Sealed):
        Vault(OTHER).unseal(VAULT.seal(b"9250100000000014", b""), b"")


def test_the_key_of_tokens_is_not_the_key_of_seals() -> None:
    assert len({KEY.master, KEY.token, *KEY.keys}) == 3
    with pytest.raises(Sealed):
        Vault(VaultKeys(KEY.token, (KEY.token,))).unseal(VAULT.seal(b"", b""), b"")


TOKEN, OLD, NEW = (bytes([digit]) * 32 for digit in (10, 1, 2))
BEFORE, DURING, AFTER = (Vault(VaultKeys(TOKEN, keys)) for keys in ((OLD,), (NEW, OLD), (NEW,)))


class TestSeveralKeys:
    """The vault's key is rotated: the newest seals, older ones open until all is sealed again."""

    def test_the_newest_seals(self) -> None:
        assert AFTER.unseal(DURING.seal(b"text", b"c"), b"c") == b"text"

    def test_an_older_one_opens(self) -> None:
        assert DURING.unseal(BEFORE.seal(b"text", b"c"), b"c") == b"text"

    def test_once_it_is_gone_what_it_sealed_is_lost_and_the_line_says_which_key_it_was(self) -> None:
        with pytest.raises(Sealed, match=f"^it was sealed under key {KeyKind.AES.check_value(OLD)}, which isn't"):
            AFTER.unseal(BEFORE.seal(b"text", b"c"), b"c")

    def test_what_is_sealed_names_its_key_by_the_check_value_that_people_see(self) -> None:
        assert key_of(DURING.seal(b"text", b"c")) == key_of(DURING.newest) == KeyKind.AES.check_value(NEW)

    @given(st.binary(min_size=3, max_size=3))
    def test_the_name_of_another_key_does_not_open(self, name: bytes) -> None:
        sealed = DURING.seal(b"text", b"c")
        if name != sealed[1:4]:
            with pytest.raises(Sealed):
                DURING.unseal(sealed[:1] + name + sealed[4:], b"c")

    def test_a_card_has_the_same_name_under_all(self) -> None:
        """Every request in the ledger is known by its card's name: its key is never rotated."""
        pan = "9250100000000014"
        assert BEFORE.token(pan) == DURING.token(pan) == AFTER.token(pan)

    def test_the_derived_key_may_be_followed_by_others(self) -> None:
        vault = Vault(VaultKeys(KEY.token, (NEW, OLD, *KEY.keys)))
        assert vault.unseal(VAULT.seal(b"text", b"c"), b"c") == b"text"

    def test_one_key_twice_is_refused(self) -> None:
        with pytest.raises(KeyMalformed, match="same check value"):
            Vault(VaultKeys(TOKEN, (NEW, NEW)))


class TestALeakedDatabase:
    """What is in it of a number: its keyed hash, six and four digits, and what is sealed."""

    PAN = "9250100000000014"

    @pytest.mark.parametrize("guess", [bytes(32), b"\xff" * 32, OTHER.token, *KEY.keys, KEY.master, b"", b"authz"])
    def test_a_token_matches_no_hash_without_its_own_key(self, guess: bytes) -> None:
        """Six and four digits leave a million numbers to try: only the key's 256 bits stand against that."""
        assert hmac.digest(guess, self.PAN.encode(), "sha256") != VAULT.token(self.PAN)
        assert hmac.digest(KEY.token, self.PAN.encode(), "sha256") == VAULT.token(self.PAN)

    def test_nor_a_plain_one(self) -> None:
        plain = {hashlib.new(name, self.PAN.encode()).digest() for name in ("sha256", "sha3_256", "blake2s")}
        assert VAULT.token(self.PAN) not in plain

    @given(st.binary(min_size=32, max_size=32))
    def test_what_is_sealed_opens_under_no_guessed_key(self, guess: bytes) -> None:
        sealed = VAULT.seal(self.PAN.encode(), b"c1")
        aes = AESGCM(guess)
        with pytest.raises(InvalidTag):
            aes.decrypt(sealed[4:16], sealed[16:], sealed[:4] + b"c1")

    def test_two_cards_of_one_number_are_not_seen_to_be_alike(self) -> None:
        assert len({VAULT.seal(self.PAN.encode(), b"c1")[4:] for _ in range(50)}) == 50
