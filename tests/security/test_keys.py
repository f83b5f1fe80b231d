"""Keys: read from hexadecimal, checked for their length, named and never shown in errors."""

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st

from authz.security.keyblock import KeyKind, generate
from authz.security.keys import KEY_BYTES, IssuerKeys, KeyMalformed, OlderKeys, VaultKey, VaultKeys, ZoneKeys

LINK = {
    "acquirer": "970001",
    "zpk": "0123456789ABCDEF" * 3,
    "zak": "1A2B3C4D5E6F7081" * 2,
    "zmk": "8F3C1D5A7B9E2046" * 3,
}
ISSUER = {
    "pvk": "4CA2161637D0133E" * 2,
    "cvk": "0123456789ABCDEF" * 2,
    "imk_ac": "2315208C9110AD40" * 2,
    "bdk": "89" * 16,
}


def test_keys_are_read_from_a_configuration_table() -> None:
    keys = ZoneKeys.from_hex(LINK)
    assert (keys.zpk.hex().upper(), keys.zak.hex().upper()) == (LINK["zpk"], LINK["zak"])


def test_the_index_of_the_pvv_key_is_1_unless_told() -> None:
    assert IssuerKeys.from_hex(ISSUER).pvki == 1
    assert IssuerKeys.from_hex(ISSUER | {"pvki": 4}).pvki == 4


@pytest.mark.parametrize("name", ["zpk", "zak", "zmk"])
@pytest.mark.parametrize("text", ["", "01", "0123456789ABCDEF", "XY" * 16, "0" * 33, "01" * 33])
def test_an_ill_formed_key_is_named_and_not_shown(name: str, text: str) -> None:
    with pytest.raises(KeyMalformed) as caught:
        ZoneKeys.from_hex(LINK | {name: text})
    assert str(caught.value).startswith(f"{name} must be")
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("name", ISSUER)
def test_a_missing_key_is_named(name: str) -> None:
    with pytest.raises(KeyMalformed, match=f"^{name} is missing$"):
        IssuerKeys.from_hex({other: text for other, text in ISSUER.items() if other != name})


def test_parity_does_not_count() -> None:
    """DES ignores each byte's lowest bit."""
    assert ZoneKeys.from_hex(LINK | {"zak": "00" * 16}).zak == bytes(16)
    assert ZoneKeys.from_hex(LINK | {"zak": "01" * 16}).zak == b"\x01" * 16


def test_a_changed_key_is_checked_too() -> None:
    with pytest.raises(KeyMalformed, match="zpk"):
        msgspec.structs.replace(ZoneKeys.from_hex(LINK), zpk=b"short")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_the_vaults_key_has_32_bytes(length: int) -> None:
    with pytest.raises(KeyMalformed, match="master must be 64 hexadecimal digits"):
        VaultKey(bytes(length))


class TestSeveralKeysOfOneName:
    """New cards are made with the newest; cards made with an older one are honoured until they expire."""

    def test_the_newest_stands_first(self) -> None:
        keys = IssuerKeys.from_hex(ISSUER | {"cvk": ["02" * 16, "01" * 16, "00" * 16], "imk_ac": ("0A" * 16,)})
        assert (keys.cvk, keys.older.cvk) == (b"\2" * 16, (b"\1" * 16, b"\0" * 16))
        assert (keys.imk_ac, keys.older.imk_ac) == (b"\x0a" * 16, ())

    def test_one_key_has_no_older_one(self) -> None:
        assert IssuerKeys.from_hex(ISSUER).older == OlderKeys()

    def test_each_pvv_key_may_have_an_index_of_its_own(self) -> None:
        keys = IssuerKeys.from_hex(ISSUER | {"pvk": ["02" * 16, "01" * 16], "pvki": [4, 3]})
        assert (keys.pvki, keys.older.pvki) == (4, (3,))

    def test_or_they_share_one(self) -> None:
        keys = IssuerKeys.from_hex(ISSUER | {"pvk": ["02" * 16, "01" * 16], "pvki": 5})
        assert (keys.pvki, keys.older.pvki) == (5, (5,))

    @pytest.mark.parametrize(
        ("table", "says"),
        [
            ({"cvk": []}, "cvk is an empty list"),
            ({"cvk": ["02" * 16, "01" * 15]}, "cvk must be 32 hexadecimal digits"),
            ({"cvk": ["02" * 16, "01" * 15 + "0x"]}, "cvk must be hexadecimal digits"),
            ({"pvk": ["02" * 16, "01" * 16], "pvki": [1]}, "pvki must be one index, or as many as there are pvk"),
            ({"pvki": [1, 2]}, "pvki must be one index, or as many as there are pvk"),
        ],
    )
    def test_ill_formed_they_are_named(self, table: dict[str, Any], says: str) -> None:
        with pytest.raises(KeyMalformed, match=f"^{says}"):
            IssuerKeys.from_hex(ISSUER | table)

    def test_all_are_gone_through_the_newest_first(self) -> None:
        keys = IssuerKeys.from_hex(ISSUER | {"cvk": ["02" * 16, "01" * 16]})
        assert [name for name, _ in keys.each()] == ["pvk", "cvk", "cvk", "imk_ac", "bdk"]
        assert [key for name, key in keys.each() if name == "cvk"] == [b"\2" * 16, b"\1" * 16]


class TestTheVaultsKeys:
    def test_one_names_and_several_seal(self) -> None:
        keys = VaultKeys.from_hex({"token": "0A" * 32, "keys": ["02" * 32, "01" * 32]})
        assert keys == VaultKeys(b"\x0a" * 32, (b"\2" * 32, b"\1" * 32))

    @pytest.mark.parametrize(
        ("table", "says"),
        [
            ({"keys": ["00" * 32]}, "token is missing"),
            ({"token": "00" * 32}, "keys is an empty list"),
            ({"token": "00" * 32, "keys": []}, "keys is an empty list"),
            ({"token": "00" * 31, "keys": ["00" * 32]}, "token must be 64 hexadecimal digits"),
            ({"token": "00" * 32, "keys": ["00" * 32, "00" * 16]}, "keys must be 64 hexadecimal digits"),
        ],
    )
    def test_ill_formed_they_are_named(self, table: dict[str, Any], says: str) -> None:
        with pytest.raises(KeyMalformed, match=f"^{says}"):
            VaultKeys.from_hex(table)

    def test_all_of_them_derive_from_one_in_the_demo(self) -> None:
        derived = VaultKey(bytes(range(32)))
        assert [name for name, _ in derived.each()] == ["token", "keys"]
        assert len({derived.master, *(key for _, key in derived.each())}) == 3


class TestCheckValues:
    @given(st.binary(min_size=32, max_size=32))
    def test_an_aes_keys_is_the_cmac_of_zeros(self, key: bytes) -> None:
        """ASC X9.24-1-2017, annex A; NIST SP 800-38B, 6.1: the whole block's subkey is E(0) doubled."""
        encrypt = Cipher(AES(key), ECB()).encryptor().update  # noqa: S305  single blocks
        doubled = int.from_bytes(encrypt(bytes(16))) << 1
        subkey = doubled ^ (1 << 128 | 0x87) if doubled >> 128 else doubled
        assert KeyKind.AES.check_value(key) == encrypt(subkey.to_bytes(16))[:3].hex().upper()

    @pytest.mark.parametrize(
        ("name", "length", "kind"),
        [("zpk", 16, KeyKind.TDES), ("zmk", 24, KeyKind.TDES), ("zmk", 32, KeyKind.AES), ("token", 32, KeyKind.HMAC)],
    )
    def test_the_kind_says_how_it_is_made(self, name: str, length: int, kind: KeyKind) -> None:
        assert KeyKind.of(name, bytes(length)) is kind


class TestFreshKeys:
    @pytest.mark.parametrize(("name", "length"), [(name, length) for name in KEY_BYTES for length in KEY_BYTES[name]])
    def test_are_random_and_of_a_length_that_their_use_allows(self, name: str, length: int) -> None:
        assert len({generate(name, length) for _ in range(20)}) == 20
        assert {len(generate(name, length)), len(generate(name))} == {length, KEY_BYTES[name][0]}

    @pytest.mark.parametrize("name", ["zpk", "pvk", "bdk"])
    def test_have_odd_parity_where_others_may_look_at_it(self, name: str) -> None:
        assert all(byte.bit_count() % 2 for byte in generate(name))

    def test_are_of_no_other_length(self) -> None:
        with pytest.raises(KeyMalformed, match=r"^zak must be 32 hexadecimal digits$"):
            generate("zak", 24)
