"""Card verification values, against psec."""

import psec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from authz.security.keys import IssuerKeys, OlderKeys, VaultKey
from authz.security.module import CardDigits, Malformed
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


@given(pan=st.text("0123456789", min_size=12, max_size=19), expiry=st.text("0123456789", min_size=4, max_size=4))
async def test_stripe_chip_and_print_bear_psecs_each_with_its_own_service_code(
    module: SoftwareSecurityModule, pan: str, expiry: str
) -> None:
    """What is read off one of them can't be written on another."""
    expected = [psec.cvv.generate_cvv(DEMO_CVK, pan, expiry, code) for code in ("221", "999", "000")]
    assume(all(len(one) == 3 for one in expected))  # psec leaves out the second pass over the letters
    digits = await module.card_verification(pan, expiry)
    assert digits == CardDigits("221", *expected)
    assert digits.cvv2 == await module.make_cvv2(pan, expiry)


@pytest.mark.parametrize(("pan", "expiry"), [("925010000000001x", "2806"), ("9250100000000014", "286")])
async def test_digits_of_something_else_are_refused(module: SoftwareSecurityModule, pan: str, expiry: str) -> None:
    with pytest.raises(Malformed):
        await module.card_verification(pan, expiry)


def test_a_card_s_digits_show_nothing() -> None:
    digits = CardDigits("221", "123", "456", "789")
    for shown in (repr(digits), str(digits), pretty_repr(digits)):
        assert not any(part in shown for part in ("221", "123", "456", "789"))
