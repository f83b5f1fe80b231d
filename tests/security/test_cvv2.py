"""Card verification values, against psec."""

import psec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from authz.security.keys import IssuerKeys, OlderKeys, VaultKey
from authz.security.module import Malformed
from authz.security.software import SoftwareSecurityModule
from authz.security.verification import Cvv2

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

DEMO_CVK = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")


@given(
    st.binary(min_size=16, max_size=16),
    st.text("0123456789", min_size=12, max_size=19),
    st.text("0123456789", min_size=4, max_size=4),
)
def test_the_cvv2_is_psecs_with_service_code_000(cvk: bytes, pan: str, expiry: str) -> None:
    expected = psec.cvv.generate_cvv(cvk, pan, expiry, "000")
    assume(len(expected) == 3)  # psec leaves out the second pass over the letters
    assert Cvv2(cvk).of(pan, expiry) == expected


async def test_only_the_cards_own_cvv2_verifies(module: SoftwareSecurityModule) -> None:
    pan, expiry = "9250100000000014", "2806"
    cvv2 = psec.cvv.generate_cvv(DEMO_CVK, pan, expiry, "000")
    assert await module.make_cvv2(pan, expiry) == cvv2
    right = [f"{n:03}" for n in range(1000) if await module.verify_cvv2(pan, expiry, f"{n:03}")]
    assert right == [cvv2]


async def test_a_card_made_with_an_older_key_still_verifies_and_new_ones_are_made_with_the_newest() -> None:
    pan, expiry, newest = "9250100000000014", "2806", bytes.fromhex("0F" * 16)
    keys = IssuerKeys(pvk=DEMO_CVK, cvk=newest, imk_ac=DEMO_CVK, bdk=DEMO_CVK, older=OlderKeys(cvk=(DEMO_CVK,)))
    module = SoftwareSecurityModule(keys, {}, VaultKey(bytes(32)))
    assert await module.make_cvv2(pan, expiry) == Cvv2(newest).of(pan, expiry)
    right = {f"{n:03}" for n in range(1000) if await module.verify_cvv2(pan, expiry, f"{n:03}")}
    assert right == {Cvv2(key).of(pan, expiry) for key in (newest, DEMO_CVK)}


@pytest.mark.parametrize("cvv2", ["", "1", "1234", "12é", "١٢٣"])
async def test_what_is_no_cvv2_is_wrong(module: SoftwareSecurityModule, cvv2: str) -> None:
    assert not await module.verify_cvv2("9250100000000014", "2806", cvv2)


@pytest.mark.parametrize(("pan", "expiry"), [("925010000000001x", "2806"), ("9250100000000014", "286")])
async def test_a_cvv2_of_something_else_is_refused(module: SoftwareSecurityModule, pan: str, expiry: str) -> None:
    with pytest.raises(Malformed):
        await module.make_cvv2(pan, expiry)
