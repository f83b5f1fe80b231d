"""TR-31 key blocks and check values: psec as the other end, and every refusal."""

import warnings

import psec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.security.keyblock import check_value, unwrap, wrap
from authz.security.keys import KEY_BYTES, KeyMalformed
from authz.security.module import KeyBlockRefused, ZoneKeyUsage

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

PIN, MAC = ZoneKeyUsage.PIN, ZoneKeyUsage.MAC
TDES_ZMK, AES_ZMK = bytes(range(24)), bytes(range(32))
KEY = bytes.fromhex("0F1E2D3C4B5A69788796A5B4C3D2E1F0")

zmks = st.sampled_from(KEY_BYTES["zmk"]).flatmap(lambda length: st.binary(min_size=length, max_size=length))
changes = st.one_of(
    st.tuples(st.just(PIN), st.binary(min_size=16, max_size=16) | st.binary(min_size=24, max_size=24)),
    st.tuples(st.just(MAC), st.binary(min_size=16, max_size=16)),
)


def versions(zmk: bytes) -> str:
    return "D" if len(zmk) == 32 else "ABC"


def psecs(header: str, key: bytes = KEY) -> str:
    """A key block as psec makes it, under the `zmk` of its version."""
    return psec.tr31.wrap(AES_ZMK if header[0] == "D" else TDES_ZMK, header, key)


def opened(block: str) -> tuple[ZoneKeyUsage, bytes]:
    return unwrap(AES_ZMK if block[0] == "D" else TDES_ZMK, block)


@given(st.sampled_from([16, 24]).flatmap(lambda length: st.binary(min_size=length, max_size=length)))
def test_a_check_value_is_three_bytes_of_encrypted_zeros(key: bytes) -> None:
    """docs/interface.md: `KC` is the key's check value."""
    assert check_value(key) == psec.des.encrypt_tdes_ecb(key, bytes(8))[:3].hex().upper()


@given(zmks, changes, st.data())
def test_what_psec_wraps_opens(zmk: bytes, change: tuple[ZoneKeyUsage, bytes], data: st.DataObject) -> None:
    usage, key = change
    version = data.draw(st.sampled_from(versions(zmk)))
    mode = data.draw(st.sampled_from("BDEN" if usage is PIN else "CGVN"))
    header = psec.tr31.Header(version, usage, "T", mode, "00", data.draw(st.sampled_from("NES")))
    if data.draw(st.booleans()):
        header.blocks["TS"] = "20260512103000Z"
    assert unwrap(zmk, psec.tr31.wrap(zmk, header, key)) == (usage, key)


@given(zmks, changes)
def test_what_is_wrapped_psec_opens(zmk: bytes, change: tuple[ZoneKeyUsage, bytes]) -> None:
    usage, key = change
    header, found = psec.tr31.unwrap(zmk, wrap(zmk, usage, key))
    assert found == key
    assert header.version_id == ("D" if len(zmk) == 32 else "B")
    assert (header.key_usage, header.algorithm, header.exportability) == (usage, "T", "N")


@given(zmks, changes)
def test_what_is_wrapped_opens(zmk: bytes, change: tuple[ZoneKeyUsage, bytes]) -> None:
    assert unwrap(zmk, wrap(zmk, *change)) == change


def test_a_block_does_not_tell_how_long_its_key_is() -> None:
    assert len(wrap(TDES_ZMK, PIN, bytes(16))) == len(wrap(TDES_ZMK, PIN, bytes(24)))


@pytest.mark.parametrize(
    ("header", "length", "why"),
    [
        *((f"B0000{usage}TN00N0000", 16, "usage must be P0 or M3") for usage in ("K0", "B0", "M1", "M6", "D0", "p0")),
        *((f"B0000P0{algorithm}B00N0000", 16, "algorithm must be T") for algorithm in "ADRH"),
        *((f"B0000P0T{mode}00N0000", 16, "mode of use of a zone PIN key") for mode in "CGVXYST"),
        *((f"B0000M3T{mode}00N0000", 16, "mode of use of a MAC key") for mode in "BDEXYST"),
        *((f"B0000P0TB{number}N0000", 16, "component") for number in ("c0", "c1", "cA")),
        *(("B0000P0TB00N0000", length, "must be 16 or 24 bytes") for length in (0, 1, 8, 15, 17, 32)),
        *(("B0000M3TC00N0000", length, "must be 16 bytes") for length in (0, 8, 24)),
        ("D0000M3AC00N0000", 16, "algorithm must be T"),
        ("D0000P0TB00N0000", 32, "must be 16 or 24 bytes"),
    ],
)
def test_a_key_that_a_link_may_not_change_is_refused(header: str, length: int, why: str) -> None:
    with pytest.raises(KeyBlockRefused, match=why):
        opened(psecs(header, bytes(length)))


@pytest.mark.parametrize("length", KEY_BYTES["zmk"])
@pytest.mark.parametrize("version", "ABCDEab0 ")
def test_a_zmk_opens_the_versions_of_its_algorithm(length: int, version: str) -> None:
    """16 bytes could be an AES key to psec, too: but one key serves one algorithm."""
    zmk = bytes(range(length))
    block = version + wrap(zmk, PIN, KEY)[1:]
    if version not in versions(zmk):
        with pytest.raises(KeyBlockRefused, match="version"):
            unwrap(zmk, block)
    elif version != wrap(zmk, PIN, KEY)[0]:
        with pytest.raises(KeyBlockRefused, match="altered"):
            unwrap(zmk, block)


@given(zmks, changes, st.data())
def test_one_character_changed_anywhere_does_not_open(
    zmk: bytes, change: tuple[ZoneKeyUsage, bytes], data: st.DataObject
) -> None:
    """Header and key are authenticated together: a PIN key can't be made a MAC key on its way."""
    version = data.draw(st.sampled_from(versions(zmk)))
    block = psec.tr31.wrap(zmk, f"{version}0000{change[0]}TN00N0000", change[1])
    place = data.draw(st.integers(0, len(block) - 1))
    other = data.draw(st.sampled_from("0123456789ABCDEFGMPTX \0é").filter(lambda letter: letter != block[place]))
    with pytest.raises(KeyBlockRefused):
        unwrap(zmk, block[:place] + other + block[place + 1 :])


@pytest.mark.parametrize("version", "ABCD")
@pytest.mark.parametrize("place", [5, 7, 8, 9, 11, 14, 20, -1])
def test_each_version_is_authenticated(version: str, place: int) -> None:
    block = psecs(f"{version}0000P0TB00N0000")
    place %= len(block)
    with pytest.raises(KeyBlockRefused):
        opened(block[:place] + ("1" if block[place] == "0" else "0") + block[place + 1 :])


@pytest.mark.parametrize("zmk", [TDES_ZMK, AES_ZMK], ids=["triple DES", "AES"])
def test_another_zmk_does_not_open(zmk: bytes) -> None:
    with pytest.raises(KeyBlockRefused, match="zmk"):
        unwrap(zmk[::-1], wrap(zmk, PIN, KEY))


@pytest.mark.parametrize(
    "block",
    [
        "",
        "B",
        "B0016P0TB00N0000",
        "B0024P0TB00N0100PB08\xe9\xe9\xe9\xe9",
        "B0080P0TB00N9900" + "0" * 64,
        "B0080P0TB00NXX00" + "0" * 64,
        "BX080P0TB00N0000" + "0" * 64,
        "B٠٠٨٠P0TB00N0000" + "0" * 64,
        "B0080P0TB00N0000" + "Z" * 64,
        "B0080P0TB00N0000" + "é" * 64,
        "B0032P0TB00N0000" + "0" * 16,
        "B0064M3TC00E000013F1B06566ECAE897A6DF8C7AA651FCEF9480447EEEC9933",
        "B0080P0TB00N0100TT00FF" + "0" * 58,
        "B0080P0TB00N0100TT0001" + "0" * 58,
    ],
)
def test_what_is_no_key_block_is_refused(block: str) -> None:
    with pytest.raises(KeyBlockRefused):
        unwrap(TDES_ZMK, block)


@given(zmks, st.sampled_from("ABCD"), st.text(max_size=40), st.text("0123456789ABCDEF", max_size=120))
def test_random_blocks_are_refused(zmk: bytes, version: str, header: str, rest: str) -> None:
    for block in (version + header + rest, f"{version}{len(rest) + 16:04}P0TB00N0000{rest}"):
        with pytest.raises(KeyBlockRefused):
            unwrap(zmk, block)


@given(st.text(max_size=24))
def test_optional_blocks_of_any_text_never_raise_anything_else(text: str) -> None:
    """A pad block's text is the one part of a block that psec takes as it comes."""
    for name in ("PB", "TT", "é"):
        rest = f"{name}{len(text) + 4:02X}{text}" + "0" * 64
        with pytest.raises(KeyBlockRefused):
            unwrap(TDES_ZMK, f"B{len(rest) + 16:04}P0TB00N0100{rest}")


@pytest.mark.parametrize(
    ("zmk", "usage", "key"),
    [(bytes(8), PIN, KEY), (TDES_ZMK, PIN, bytes(8)), (TDES_ZMK, MAC, bytes(24)), (AES_ZMK, MAC, b"")],
)
def test_keys_of_other_lengths_are_not_wrapped(zmk: bytes, usage: ZoneKeyUsage, key: bytes) -> None:
    with pytest.raises(KeyMalformed):
        wrap(zmk, usage, key)


def test_no_warning_of_the_libraries_escapes() -> None:
    """cryptography warns of the short keys that psec gives it: nothing that an operator could act on."""
    with warnings.catch_warnings(action="error"):
        for zmk in (TDES_ZMK[:16], TDES_ZMK, AES_ZMK):
            assert check_value(unwrap(zmk, wrap(zmk, PIN, KEY))[1]) == check_value(KEY)
