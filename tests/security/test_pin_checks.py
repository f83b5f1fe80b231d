"""What is kept of a PIN: Visa PVV or IBM 3624 offset, each against psec, and verified by its own method only."""

import psec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.pretty import pretty_repr

from authz.security.dukpt import Dukpt, KeySerial
from authz.security.keys import IssuerKeys, OlderKeys, VaultKey, ZoneKeys
from authz.security.module import Malformed, PinCheck, PinFinding, PinMethod, PinUnknown
from authz.security.software import SoftwareSecurityModule
from authz.security.tdes import TripleDes
from authz.security.verification import DECIMALIZATION_TABLE, VALIDATION_DIGITS_MAX, Ibm3624

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

ZPK = bytes.fromhex("0123456789ABCDEFFEDCBA987654321089ABCDEF01234567")
PVK, OTHER_PVK = bytes.fromhex("4CA2161637D0133E5E151AEA45DA2A16"), bytes.fromhex("0F" * 16)
PAN, PIN = "9250100000000014", "1234"

keys = st.sampled_from([16, 24]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
pins = st.text("0123456789", min_size=4, max_size=12)
four = st.text("0123456789", min_size=4, max_size=4)
pans = st.text("0123456789", min_size=13, max_size=19)
methods = st.sampled_from(PinMethod)


def under_the_zone_key(pin: str, pan: str) -> str:
    block: str = psec.des.encrypt_tdes_ecb(ZPK, psec.pinblock.encode_pinblock_iso_0(pin, pan)).hex()
    return block


def validation_data(pan: str) -> tuple[str, int, int, str]:
    """How psec is told where validation data stands in a PAN, and what fills it up."""
    return pan, len(pan) - 1 - VALIDATION_DIGITS_MAX, VALIDATION_DIGITS_MAX, "F"


@given(keys, pins, pans)
def test_the_offset_is_psecs(key: bytes, pin: str, pan: str) -> None:
    expected = psec.pin.generate_ibm3624_offset(key, DECIMALIZATION_TABLE, pin, *validation_data(pan))
    assert Ibm3624(key).of(pan, pin) == expected


@given(keys, pins, pans)
def test_psec_finds_the_pin_again_by_its_offset(key: bytes, pin: str, pan: str) -> None:
    offset = Ibm3624(key).of(pan, pin)
    assert psec.pin.generate_ibm3624_pin(key, DECIMALIZATION_TABLE, offset, *validation_data(pan)) == pin


@given(keys, pans, pins, pins)
def test_an_offset_tells_all_digits_of_a_pin_apart(key: bytes, pan: str, one: str, other: str) -> None:
    """Unlike a PVV, which covers four digits and which several PINs share."""
    assert (Ibm3624(key).of(pan, one) == Ibm3624(key).of(pan, other)) is (one == other)


@pytest.mark.parametrize(
    ("pan", "pin"),
    [("1" * 11, "1234"), ("1" * 20, "1234"), ("1" * 16, "123"), ("1" * 16, "1" * 13), ("1" * 16, "12a4")],
)
@pytest.mark.parametrize("method", PinMethod)
async def test_nothing_is_made_of_what_is_no_pan_or_pin(
    module: SoftwareSecurityModule, method: PinMethod, pan: str, pin: str
) -> None:
    with pytest.raises(Malformed):
        await module.make_pin_check(method, pan, pin)


@given(method=methods, pin=four, pan=pans)
async def test_the_right_pin_is_right_and_another_is_not(module: SoftwareSecurityModule, method, pin, pan) -> None:
    check = await module.make_pin_check(method, pan, pin)
    assert check.method is method
    other = PinCheck(method, f"{(int(check.value) + 1) % 10_000:04}")
    block = under_the_zone_key(pin, pan)
    assert await module.verify_pin("970001", block, pan, check) is PinFinding.RIGHT
    assert await module.verify_pin("970001", block, pan, other) is PinFinding.WRONG


@given(pin=four, pan=pans)
async def test_a_check_verifies_by_its_own_method_only(module: SoftwareSecurityModule, pin, pan) -> None:
    pvv, offset = [(await module.make_pin_check(method, pan, pin)).value for method in PinMethod]
    assume(pvv != offset)
    for swapped in (PinCheck(PinMethod.PVV, offset), PinCheck(PinMethod.IBM_3624, pvv)):
        assert await module.verify_pin("970001", under_the_zone_key(pin, pan), pan, swapped) is PinFinding.WRONG


@given(length=st.integers(4, 12), data=st.data())
async def test_an_offset_verifies_pins_of_four_to_twelve_digits(issuer, zone, length, data) -> None:
    module = SoftwareSecurityModule(issuer, {"970001": zone}, VaultKey(bytes(32)), length)
    pin = data.draw(st.text("0123456789", min_size=length, max_size=length))
    changed = data.draw(st.integers(0, length - 1))
    other = f"{pin[:changed]}{(int(pin[changed]) + 1) % 10}{pin[changed + 1 :]}"
    check = await module.make_pin_check(PinMethod.IBM_3624, PAN, pin)
    assert await module.verify_pin("970001", under_the_zone_key(pin, PAN), PAN, check) is PinFinding.RIGHT
    assert await module.verify_pin("970001", under_the_zone_key(other, PAN), PAN, check) is PinFinding.WRONG


@pytest.mark.parametrize("method", PinMethod)
@pytest.mark.parametrize("value", ["", "123", "12345", "12é4", "١٢٣٤"])
async def test_what_is_kept_and_is_no_check_verifies_nothing(
    module: SoftwareSecurityModule, method: PinMethod, value: str
) -> None:
    check = PinCheck(method, value)
    assert await module.verify_pin("970001", under_the_zone_key(PIN, PAN), PAN, check) is PinFinding.WRONG


@pytest.mark.parametrize("method", PinMethod)
async def test_a_card_made_with_an_older_key_still_verifies_and_new_ones_are_made_with_the_newest(
    issuer: IssuerKeys, zone: ZoneKeys, method: PinMethod
) -> None:
    old = await SoftwareSecurityModule(issuer, {"970001": zone}, VaultKey(bytes(32))).make_pin_check(method, PAN, PIN)
    rotated = IssuerKeys(
        pvk=OTHER_PVK,
        cvk=issuer.cvk,
        imk_ac=issuer.imk_ac,
        bdk=issuer.bdk,
        pvki=2,
        older=OlderKeys(pvk=(PVK,), pvki=(1,)),
    )
    module = SoftwareSecurityModule(rotated, {"970001": zone}, VaultKey(bytes(32)))
    new = await module.make_pin_check(method, PAN, PIN)
    assert new != old
    for check in (old, new):
        assert await module.verify_pin("970001", under_the_zone_key(PIN, PAN), PAN, check) is PinFinding.RIGHT
        assert await module.verify_pin("970001", under_the_zone_key("4321", PAN), PAN, check) is PinFinding.WRONG


def test_a_check_shows_its_method_only() -> None:
    check = PinCheck(PinMethod.IBM_3624, "7391")
    for shown in (repr(check), str(check), pretty_repr(check)):
        assert "ibm3624" in shown
        assert "7391" not in shown


async def test_a_terminal_with_an_older_base_key_is_still_understood(issuer: IssuerKeys, zone: ZoneKeys) -> None:
    """A block that opens to none under the newest key is tried under the older ones."""
    serial = KeySerial(0xFFFF9876543210E00000, 1)
    key = Dukpt(issuer.bdk).pin_key(serial.text)
    assert key is not None
    block = TripleDes(key).encrypt(psec.pinblock.encode_pinblock_iso_0(PIN, PAN)).hex()
    newer = replace(issuer, bdk=bytes(range(16)))
    for keys, finding in (
        (replace(newer, older=OlderKeys(bdk=(issuer.bdk,))), PinFinding.RIGHT),
        (newer, PinFinding.GARBLED),
    ):
        module = SoftwareSecurityModule(keys, {"970001": zone}, VaultKey(bytes(32)))
        check = await module.make_pin_check(PinMethod.PVV, PAN, PIN)
        assert await module.verify_pin("970001", block, PAN, check, serial.text) is finding


class TestNaturalPins:
    """New cards have the PIN that IBM 3624 derives of their number: kept nowhere, and found again to be mailed."""

    @given(keys, pans, st.integers(4, 12))
    def test_it_is_psecs_with_an_offset_of_zeros(self, key: bytes, pan: str, length: int) -> None:
        expected = psec.pin.generate_ibm3624_pin(key, DECIMALIZATION_TABLE, "0" * length, *validation_data(pan))
        assert Ibm3624(key).natural(pan, length) == expected
        assert Ibm3624(key).of(pan, expected) == "0" * length

    @given(method=methods, pan=pans)
    async def test_what_is_mailed_is_the_pin_that_the_card_takes(
        self, module: SoftwareSecurityModule, method: PinMethod, pan: str
    ) -> None:
        check = await module.make_natural_check(method, pan)
        pin = await module.pin_mailer(pan, check)
        assert (len(pin), check.method) == (4, method)
        assert check == await module.make_pin_check(method, pan, pin)
        assert await module.verify_pin("970001", under_the_zone_key(pin, pan), pan, check) is PinFinding.RIGHT

    @given(pin=four, pan=pans, method=methods)
    async def test_a_pin_that_was_chosen_isn_t_found_again(
        self, module: SoftwareSecurityModule, pin: str, pan: str, method: PinMethod
    ) -> None:
        check = await module.make_pin_check(method, pan, pin)
        assume(check != await module.make_natural_check(method, pan))
        with pytest.raises(PinUnknown, match=r"^The PIN isn't the card's natural one, and can't be found again from"):
            await module.pin_mailer(pan, check)

    @pytest.mark.parametrize("method", PinMethod)
    async def test_it_is_mailed_again_when_new_cards_are_made_with_another_key(
        self, issuer: IssuerKeys, zone: ZoneKeys, method: PinMethod
    ) -> None:
        """A PVV says which key the PIN came of. An offset of zeros doesn't: then each key's natural PIN is right."""
        rotated = replace(issuer, pvk=OTHER_PVK, pvki=2, older=OlderKeys(pvk=(PVK,), pvki=(1,)))
        before, after = (
            SoftwareSecurityModule(each, {"970001": zone}, VaultKey(bytes(32))) for each in (issuer, rotated)
        )
        check = await before.make_natural_check(method, PAN)
        first, again = await before.pin_mailer(PAN, check), await after.pin_mailer(PAN, check)
        assert (first == again) is (method is PinMethod.PVV)
        for pin in (first, again):
            assert await after.verify_pin("970001", under_the_zone_key(pin, PAN), PAN, check) is PinFinding.RIGHT

    @pytest.mark.parametrize("pan", ["1" * 11, "1" * 20, "12345678901x"])
    async def test_what_is_no_pan_has_none(self, module: SoftwareSecurityModule, pan: str) -> None:
        for attempt in (
            module.make_natural_check(PinMethod.PVV, pan),
            module.pin_mailer(pan, PinCheck(PinMethod.PVV, "1234")),
        ):
            with pytest.raises(Malformed):
                await attempt
