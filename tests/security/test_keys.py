"""Keys: read from hexadecimal, checked for their length, named and never shown in errors."""

import msgspec
import pytest

from authz.security.keys import IssuerKeys, KeyMalformed, VaultKey, ZoneKeys

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
