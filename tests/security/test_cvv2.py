"""Card verification values, against published vectors and against psec."""

import psec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from authz.security.module import Malformed
from authz.security.software import SoftwareSecurityModule
from authz.security.verification import Cvv2

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

DEMO_CVK = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")


@pytest.mark.parametrize(
    ("cvk", "pan", "expiry", "service_code", "cvv"),
    [
        pytest.param("0123456789ABCDEFFEDCBA9876543210", "1234567890123456", "9912", "220", "170", id="psec"),
        # With every step between: 24E1A05574051BBF before decimalization, hence CVC 241.
        pytest.param("D676DCF3AFB7350532EAF00EA253D875", "4123450990122129", "0721", "202", "241", id="worked example"),
    ],
)
def test_published_values(cvk: str, pan: str, expiry: str, service_code: str, cvv: str) -> None:
    assert Cvv2(bytes.fromhex(cvk)).of(pan, expiry, service_code) == cvv


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


@pytest.mark.parametrize("cvv2", ["", "1", "1234", "12é", "١٢٣"])
async def test_what_is_no_cvv2_is_wrong(module: SoftwareSecurityModule, cvv2: str) -> None:
    assert not await module.verify_cvv2("9250100000000014", "2806", cvv2)


@pytest.mark.parametrize(("pan", "expiry"), [("925010000000001x", "2806"), ("9250100000000014", "286")])
async def test_a_cvv2_of_something_else_is_refused(module: SoftwareSecurityModule, pan: str, expiry: str) -> None:
    with pytest.raises(Malformed):
        await module.make_cvv2(pan, expiry)
