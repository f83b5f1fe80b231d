"""PIN blocks (ISO 9564-1 formats 0 and 3) and Visa PVVs, against psec."""

import psec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.security.module import Malformed, PinCheck, PinFinding, PinMethod
from authz.security.pin import PinBlocks
from authz.security.software import SoftwareSecurityModule
from authz.security.verification import VisaPvv, decimalized

# psec gives cryptography the short keys whose end is announced; its version is pinned.
pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

ZPK = bytes.fromhex("0123456789ABCDEFFEDCBA987654321089ABCDEF01234567")
PAN = "5544332211009966"
FORMAT_0 = bytes.fromhex("041277CDDEEFF669")
"""PIN 1234 for that PAN."""

digits = st.text("0123456789", min_size=4, max_size=4)
pans = st.text("0123456789", min_size=13, max_size=19)
keys = st.sampled_from([16, 24]).flatmap(lambda size: st.binary(min_size=size, max_size=size))
encodings = st.sampled_from([psec.pinblock.encode_pinblock_iso_0, psec.pinblock.encode_pinblock_iso_3])


def under(key: bytes, clear: bytes) -> str:
    return psec.des.encrypt_tdes_ecb(key, clear).hex().upper()


@pytest.fixture(scope="module")
def blocks() -> PinBlocks:
    return PinBlocks(ZPK, 4)


@given(keys, digits, pans, encodings)
def test_what_psec_encodes_opens_under_double_and_triple_length_keys(key, pin, pan, encode) -> None:
    assert PinBlocks(key, 4).open(under(key, encode(pin, pan)), pan) == pin


@given(st.integers(4, 12), st.integers(4, 12), pans, encodings, st.data())
def test_only_the_configured_length_opens(length, other, pan, encode, data) -> None:
    pin = data.draw(st.text("0123456789", min_size=length, max_size=length))
    assert PinBlocks(ZPK, other).open(under(ZPK, encode(pin, pan)), pan) == (pin if length == other else None)


@given(digits, pans, encodings, st.integers(0, 63))
def test_a_flipped_bit_of_the_clear_block_is_seen_or_is_another_pin(pin, pan, encode, bit) -> None:
    """ISO 9564-1, 9.3.2 and 9.3.5: all of control, length, digits and fill counts; format 3's fill is any of A to F."""
    clear = encode(pin, pan)
    flipped = (int.from_bytes(clear) ^ 1 << bit).to_bytes(8)
    opened = PinBlocks(ZPK, 4).open(under(ZPK, flipped), pan)
    in_the_pin, in_format_3s_fill = 40 <= bit < 56, bit < 40 and clear[0] >> 4 == 3
    if in_the_pin:
        assert opened != pin
    elif in_format_3s_fill:
        assert opened in (None, pin)
    else:
        assert opened is None


@given(digits, pans, pans)
def test_a_block_made_for_another_pan_is_garbled(pin, pan, other) -> None:
    """Below the two PAN digits that meet PIN digits, every difference breaks the fill of format 0."""
    assume(pan[-11:-1] != other[-11:-1])
    assert PinBlocks(ZPK, 4).open(under(ZPK, psec.pinblock.encode_pinblock_iso_0(pin, pan)), other) is None


@pytest.mark.parametrize(
    "field",
    [
        "141234FFFFFFFFFF",
        "241234FFFFFFFFFF",
        "031230FFFFFFFFFF",
        "051234FFFFFFFFFF",
        "04123AFFFFFFFFFF",
        "041234FFFFFFFFFE",
        "041234FFFFFFFFF0",
        "341234ABCDEFABC9",
        "34123AABCDEFABCD",
        "041234AAAAAAAAAA",
    ],
)
def test_every_part_of_the_format_is_checked(blocks: PinBlocks, field: str) -> None:
    clear = (int(field, 16) ^ int(PAN[-13:-1], 16)).to_bytes(8)
    assert blocks.open(under(ZPK, clear), PAN) is None


@pytest.mark.parametrize("block", ["", "0" * 15, "0" * 17, "G" * 16, "00 00 00 00 00 0", "٠" * 16])
def test_what_is_no_block_is_garbled(blocks: PinBlocks, block: str) -> None:
    assert blocks.open(block, PAN) is None


@pytest.mark.parametrize("pan", ["", "123456789012", "5544A32211009966", "٥٥٤٤٣٣٢٢١١٠٠٩٩٦٦"])
def test_without_thirteen_pan_digits_there_is_no_format(blocks: PinBlocks, pan: str) -> None:
    assert blocks.open(under(ZPK, FORMAT_0), pan) is None


@pytest.mark.parametrize("length", [3, 13])
def test_a_pin_has_four_to_twelve_digits(length: int) -> None:
    with pytest.raises(Malformed):
        PinBlocks(ZPK, length)


@given(keys, st.integers(0, 9), digits, pans)
def test_the_pvv_is_psecs(key, index, pin, pan) -> None:
    assert VisaPvv(key, index).of(pan, pin) == psec.pin.generate_visa_pvv(key, str(index), pin, pan)


@given(st.binary(min_size=8, max_size=8))
def test_a_block_always_gives_four_digits(block: bytes) -> None:
    """Visa's second pass: where decimal digits run out, A to F follow as 0 to 5."""
    found = decimalized(block, 4)
    own = [digit for digit in block.hex() if digit.isdecimal()][:4]
    assert len(found) == 4
    assert found.isdecimal()
    assert found.startswith("".join(own))


@pytest.mark.parametrize(
    ("pan", "pin"), [("1" * 11, "1234"), ("1" * 20, "1234"), ("1" * 16, "123"), ("1" * 16, "12a4")]
)
def test_a_pvv_of_something_else_is_refused(pan: str, pin: str) -> None:
    with pytest.raises(Malformed):
        VisaPvv(ZPK, 1).of(pan, pin)


@given(pin=digits, pan=pans, encode=encodings)
async def test_the_right_pin_is_right_and_another_is_not(module: SoftwareSecurityModule, pin, pan, encode) -> None:
    pvv = await module.make_pin_check(PinMethod.PVV, pan, pin)
    block = under(ZPK, encode(pin, pan))
    assert await module.verify_pin("970001", block, pan, pvv) is PinFinding.RIGHT
    other_pvv = replace(pvv, value=f"{(int(pvv.value) + 1) % 10000:04}")
    assert await module.verify_pin("970001", block, pan, other_pvv) is PinFinding.WRONG


@given(pin=digits, pan=pans, encode=encodings, bit=st.integers(0, 63))
async def test_a_flipped_bit_on_the_way_never_verifies(module: SoftwareSecurityModule, pin, pan, encode, bit) -> None:
    block = int(under(ZPK, encode(pin, pan)), 16) ^ 1 << bit
    finding = await module.verify_pin(
        "970001", f"{block:016X}", pan, await module.make_pin_check(PinMethod.PVV, pan, pin)
    )
    assert finding in (PinFinding.GARBLED, PinFinding.WRONG)


async def test_a_key_out_of_step_garbles_and_counts_no_try(module: SoftwareSecurityModule) -> None:
    """docs/interface.md: PIN_WRONG without a try counted, since a key out of step must not destroy cards."""
    pvv = await module.make_pin_check(PinMethod.PVV, PAN, "1234")
    block = under(ZPK[::-1], FORMAT_0)
    assert await module.verify_pin("970001", block, PAN, pvv) is PinFinding.GARBLED


@pytest.mark.parametrize("pvv", ["", "12345", "12é4"])
async def test_a_stored_pvv_that_is_none_verifies_nothing(module: SoftwareSecurityModule, pvv: str) -> None:
    check = PinCheck(PinMethod.PVV, pvv)
    assert await module.verify_pin("970001", under(ZPK, FORMAT_0), PAN, check) is PinFinding.WRONG


def test_checking_a_pin_is_fast(benchmark, module: SoftwareSecurityModule) -> None:
    block, pvv = under(ZPK, FORMAT_0), VisaPvv(bytes.fromhex("4CA2161637D0133E5E151AEA45DA2A16"), 1).of(PAN, "1234")

    def check() -> PinFinding:
        try:
            module.verify_pin("970001", block, PAN, PinCheck(PinMethod.PVV, pvv)).send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("a module in software never waits")

    assert benchmark(check) is PinFinding.RIGHT
