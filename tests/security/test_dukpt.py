"""TDES DUKPT (ANSI X9.24-1:2009, annex A): which serial numbers name a key, and PIN blocks under those keys.

The standard's own values are in test_published_vectors.py.
"""

import psec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.security.dukpt import COUNTER_BITS, COUNTER_BITS_SET_MAX, COUNTER_MAX, Dukpt, KeySerial, pin_key
from authz.security.module import KeyMissing, PinCheck, PinFinding, PinMethod
from authz.security.software import SoftwareSecurityModule

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

BDK = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
DEVICE = 0xFFFF9876543210E00000
PAN, PIN = "4012345678909", "1234"
SERIAL, BLOCK = "FFFF9876543210E00001", "1B9C1845EB993A7A"
ZPK = bytes.fromhex("0123456789ABCDEFFEDCBA987654321089ABCDEF01234567")

bits = st.integers(0, COUNTER_BITS - 1)
counters = st.sets(bits, min_size=1, max_size=COUNTER_BITS_SET_MAX).map(lambda found: sum(1 << bit for bit in found))
devices = st.integers(0, (1 << 80 - COUNTER_BITS) - 1).map(lambda name: name << COUNTER_BITS)
pins = st.text("0123456789", min_size=4, max_size=4)
pans = st.text("0123456789", min_size=13, max_size=19)
encodings = st.sampled_from([psec.pinblock.encode_pinblock_iso_0, psec.pinblock.encode_pinblock_iso_3])


def under_the_zone_key() -> str:
    block: str = psec.des.encrypt_tdes_ecb(ZPK, psec.pinblock.encode_pinblock_iso_0(PIN, PAN)).hex()
    return block


@given(devices, counters)
def test_a_serial_number_is_read_as_it_is_written(device: int, counter: int) -> None:
    serial = KeySerial(device, counter)
    assert KeySerial.parse(serial.text) == KeySerial.parse(serial.text.lower()) == serial


@given(devices, st.integers(0, COUNTER_MAX))
def test_only_counters_of_one_to_ten_bits_name_a_key(device: int, counter: int) -> None:
    """A.1: a device passes over the others, so what bears one was not made by a device."""
    named = KeySerial.parse(f"{device | counter:020X}") is not None
    assert named is (1 <= f"{counter:b}".count("1") <= 10)


@pytest.mark.parametrize("counter", ["E00000", "E007FF", "FFFFFF", "EFFFC0"])
async def test_a_counter_that_no_device_uses_is_garbled(module: SoftwareSecurityModule, counter: str) -> None:
    check = await module.make_pin_check(PinMethod.PVV, PAN, PIN)
    for block in (BLOCK, under_the_zone_key()):
        finding = await module.verify_pin("970001", block, PAN, check, f"FFFF9876543210{counter}")
        assert finding is PinFinding.GARBLED


@pytest.mark.parametrize(
    "serial",
    ["", SERIAL[4:], SERIAL + "0", "G" + SERIAL[1:], " " + SERIAL[1:], SERIAL + "\n", "٠" * 20, "0x" + SERIAL[2:]],
)
async def test_an_ill_formed_serial_number_is_garbled(module: SoftwareSecurityModule, serial: str) -> None:
    """docs/interface.md, PIN_WRONG: no try is counted, since nothing was said of the PIN."""
    check = await module.make_pin_check(PinMethod.PVV, PAN, PIN)
    for block in (BLOCK, under_the_zone_key()):
        assert await module.verify_pin("970001", block, PAN, check, serial) is PinFinding.GARBLED


@given(device=devices, counter=counters, pin=pins, pan=pans, encode=encodings, method=st.sampled_from(PinMethod))
async def test_a_block_under_a_transactions_key_is_verified_by_its_serial_number(
    module: SoftwareSecurityModule, device, counter, pin, pan, encode, method
) -> None:
    serial = KeySerial(device, counter)
    key = pin_key(Dukpt(BDK).initial_key(serial), serial)
    block = psec.des.encrypt_tdes_ecb(key, encode(pin, pan)).hex()
    check = await module.make_pin_check(method, pan, pin)
    other = PinCheck(method, f"{(int(check.value) + 1) % 10_000:04}")
    assert await module.verify_pin("970001", block, pan, check, serial.text) is PinFinding.RIGHT
    assert await module.verify_pin("970001", block, pan, other, serial.text) is PinFinding.WRONG


@given(device=devices, counter=counters, bit=st.integers(0, 79))
async def test_no_other_serial_number_opens_a_block(module: SoftwareSecurityModule, device, counter, bit) -> None:
    """Another counter is another key, and so is another device; a garbled block tells nothing of the PIN."""
    serial = KeySerial(device, counter)
    key = pin_key(Dukpt(BDK).initial_key(serial), serial)
    block = psec.des.encrypt_tdes_ecb(key, psec.pinblock.encode_pinblock_iso_0(PIN, PAN)).hex()
    check = await module.make_pin_check(PinMethod.IBM_3624, PAN, PIN)
    flipped = f"{int(serial.text, 16) ^ 1 << bit:020X}"
    assert await module.verify_pin("970001", block, PAN, check, flipped) is not PinFinding.RIGHT


async def test_a_block_is_under_one_key_only(module: SoftwareSecurityModule) -> None:
    """With a serial number the zone key isn't tried, and without one DUKPT isn't."""
    check = await module.make_pin_check(PinMethod.PVV, PAN, PIN)
    zone_block = under_the_zone_key()
    assert await module.verify_pin("970001", zone_block, PAN, check) is PinFinding.RIGHT
    assert await module.verify_pin("970001", zone_block, PAN, check, SERIAL) is PinFinding.GARBLED
    assert await module.verify_pin("970001", BLOCK, PAN, check, SERIAL) is PinFinding.RIGHT
    assert await module.verify_pin("970001", BLOCK, PAN, check) is PinFinding.GARBLED
    with pytest.raises(KeyMissing):
        await module.verify_pin("999999", zone_block, PAN, check)


@given(devices, counters)
def test_the_initial_key_is_the_devices_whatever_its_counter(device: int, counter: int) -> None:
    """A.6: the key that is loaded once, from the first eight bytes of the serial number, the counter cleared."""
    dukpt = Dukpt(BDK)
    left = psec.des.encrypt_tdes_ecb(BDK, device.to_bytes(10)[:8])
    masked = psec.tools.xor(BDK, bytes.fromhex("C0C0C0C000000000" * 2))
    right = psec.des.encrypt_tdes_ecb(masked, device.to_bytes(10)[:8])
    assert dukpt.initial_key(KeySerial(device, counter)) == left + right
