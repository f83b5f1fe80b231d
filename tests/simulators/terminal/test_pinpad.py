"""A PIN pad with a key for each transaction (TDES DUKPT, ANSI X9.24-1:2009) against the security module."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from authz.security.dukpt import COUNTER_BITS_SET_MAX, COUNTER_MAX, Dukpt, KeySerial
from authz.security.keys import IssuerKeys, VaultKey
from authz.security.module import PinFinding, PinMethod
from authz.security.software import SoftwareSecurityModule
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Elements, Message
from simulators.terminal.pinpad import DukptPinPad, InitialKeyUnfit, KeysSpent, PinUnfit, counter_after

BDK = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
INITIAL = "6AC292FAA1315B4D858AB3A3D7D5933A"
FIRST = "FFFF9876543210E00001"
PAN = "9250100000000014"

pins = st.text("0123456789", min_size=4, max_size=4)


@pytest.fixture(scope="module")
def module() -> SoftwareSecurityModule:
    issuer = IssuerKeys(pvk=bytes(range(16)), cvk=bytes(16), imk_ac=bytes(16), bdk=BDK)
    return SoftwareSecurityModule(issuer, {}, VaultKey(bytes(32)))


def pad(counter: int = 1) -> DukptPinPad:
    return DukptPinPad(INITIAL, KeySerial(0xFFFF9876543210E00000, counter).text)


def test_what_leaves_it_is_the_standards() -> None:
    """ANSI X9.24-1:2009, A.4: PIN 1234, PAN 4012345678909."""
    device = pad()
    blocks = [device.block("1234", "4012345678909") for _ in range(3)]
    assert [(pin.key_serial, pin.block) for pin in blocks] == [
        ("FFFF9876543210E00001", "1B9C1845EB993A7A"),
        ("FFFF9876543210E00002", "10A01C8D02C69107"),
        ("FFFF9876543210E00003", "18DC07B94797B466"),
    ]


@given(typed=pins, device=st.integers(0, (1 << 59) - 1), start=st.integers(1, 1_000), method=st.sampled_from(PinMethod))
async def test_its_pins_verify_at_any_device_and_counter(
    module: SoftwareSecurityModule, typed, device, start, method
) -> None:
    serial = KeySerial(device << 21, start)
    pin_pad = DukptPinPad(Dukpt(BDK).initial_key(serial).hex(), serial.text)
    check = await module.make_pin_check(method, PAN, typed)
    wrong = f"{(int(typed) + 1) % 10_000:04}"
    right, other = pin_pad.block(typed, PAN), pin_pad.block(wrong, PAN)
    assert await module.verify_pin("", right.block, PAN, check, right.key_serial) is PinFinding.RIGHT
    assert await module.verify_pin("", right.block, PAN, check, other.key_serial) is not PinFinding.RIGHT
    if method is PinMethod.IBM_3624:  # several PINs share a PVV
        assert await module.verify_pin("", other.block, PAN, check, other.key_serial) is PinFinding.WRONG


@given(st.integers(0, COUNTER_MAX))
def test_a_counter_is_followed_by_the_next_of_at_most_ten_bits(counter: int) -> None:
    """A.1: so that no key is more than ten steps from the initial one."""
    following = counter_after(counter)
    assert following > counter
    assert following.bit_count() <= COUNTER_BITS_SET_MAX
    assert all(skipped.bit_count() > COUNTER_BITS_SET_MAX for skipped in range(counter + 1, following))


def test_every_key_is_used_once_and_then_no_more() -> None:
    """2²⁰ - 1 counters of 21 bits have one to ten of them set."""
    last = pad(0b111111111100000000000)
    assert last.block("1234", PAN).key_serial == "FFFF9876543210FFF800"
    for _ in range(2):
        with pytest.raises(KeysSpent):
            last.block("1234", PAN)


def test_an_unfit_pin_uses_no_key() -> None:
    device = pad()
    with pytest.raises(PinUnfit):
        device.block("12a4", PAN)
    assert device.block("1234", PAN).key_serial == FIRST


@pytest.mark.parametrize(
    ("key", "serial"),
    [
        ("", FIRST),
        (INITIAL[2:], FIRST),
        (INITIAL * 2, FIRST),
        ("x" * 32, FIRST),
        (INITIAL, "FFFF9876543210E00000"),
        (INITIAL, FIRST[1:]),
    ],
)
def test_an_unfit_key_or_serial_is_refused_and_not_repeated(key: str, serial: str) -> None:
    with pytest.raises(InitialKeyUnfit) as refused:
        DukptPinPad(key, serial)
    assert str(refused.value) == str(InitialKeyUnfit())


def test_reprs_show_no_secret() -> None:
    device = pad()
    pin = device.block("1234", PAN)
    for thing in (device, pin):
        for shown in (repr(thing), str(thing), pretty_repr(thing)):
            assert not any(secret in shown.upper() for secret in (INITIAL, pin.block, "1234"))


def test_its_serial_number_travels_in_ks_of_de_48() -> None:
    """docs/interface.md: DE 48 `KS`, DE 52."""
    pin = pad().block("1234", PAN)
    codec = Codec(shipped("iso87ascii"))
    request = Message(mti="0200", pin_block=pin.block, elements=Elements(key_serial=pin.key_serial))
    arrived = codec.decode(codec.encode(request))
    assert arrived.elements is not None
    assert (arrived.pin_block, arrived.elements.key_serial) == (pin.block, FIRST)
