"""Message authentication codes: ISO/IEC 9797-1 algorithm 3, padding method 1."""

import psec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.security.mac import RetailMac
from authz.security.module import KeyMissing
from authz.security.software import SoftwareSecurityModule

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

halves = st.binary(min_size=8, max_size=8)


@given(halves, halves, st.binary(max_size=200))
def test_the_mac_of_any_bytes_is_psecs(left: bytes, right: bytes, covered: bytes) -> None:
    expected = psec.mac.generate_retail_mac(left, right, covered, 1).hex().upper()
    assert RetailMac(left + right).of(covered) == expected


@given(covered=st.binary(min_size=1, max_size=64), bit=st.integers(0, 511))
async def test_a_changed_bit_is_seen(module: SoftwareSecurityModule, covered: bytes, bit: int) -> None:
    mac = await module.make_mac("970001", covered)
    changed = (int.from_bytes(covered) ^ 1 << bit % (8 * len(covered))).to_bytes(len(covered))
    assert await module.verify_mac("970001", covered, mac)
    assert not await module.verify_mac("970001", changed, mac)


@pytest.mark.parametrize("alter", [str.lower, lambda mac: mac[:8], lambda mac: mac + " ", lambda _: "", lambda _: "é"])
async def test_a_mac_is_sixteen_upper_case_digits(module: SoftwareSecurityModule, alter) -> None:
    mac = await module.make_mac("970001", b"0800")
    assert mac != alter(mac)
    assert not await module.verify_mac("970001", b"0800", alter(mac))


async def test_a_link_without_keys_is_named(module: SoftwareSecurityModule) -> None:
    with pytest.raises(KeyMissing, match="999999"):
        await module.make_mac("999999", b"")
    with pytest.raises(KeyMissing, match="999999"):
        await module.verify_pin("999999", "0" * 16, "9250100000000014", "0000")
