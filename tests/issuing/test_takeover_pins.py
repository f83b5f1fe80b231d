"""A PIN that comes enciphered: what is kept of it is what would be of the PIN itself, and nobody ever sees it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psec.pinblock import encode_pinblock_iso_3

from authz.security.keyblock import check_value
from authz.security.keys import IssuerKeys, VaultKey, ZoneKeys
from authz.security.module import (
    OLD_KEY_HONOURED_S,
    ImportedKey,
    KeyMissing,
    PinFinding,
    PinGarbled,
    PinMethod,
    SecurityError,
    ZoneKeyUsage,
)
from authz.security.software import SoftwareSecurityModule
from authz.security.tdes import TripleDes
from authz.security.vault import Vault, zone_key_context
from simulators.terminal.pinpad import PinPad

LINK = "970001"
OLD_KEY, NEW_KEY = bytes(range(1, 25)), bytes(range(101, 125))
VAULT_KEY = VaultKey(bytes(32))

pans = st.text("0123456789", min_size=13, max_size=19)
pins = st.text("0123456789", min_size=4, max_size=4)
methods = st.sampled_from(PinMethod)


class Watch:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def module(watch: Watch | None = None) -> SoftwareSecurityModule:
    keys = IssuerKeys(pvk=bytes(range(16)), cvk=bytes(range(16)), imk_ac=bytes(range(16)), bdk=bytes(range(16)))
    zone = ZoneKeys(OLD_KEY, bytes(range(16)), bytes(range(16)))
    return SoftwareSecurityModule(keys, {LINK: zone}, VAULT_KEY, clock=watch or Watch())


def block_3(pin: str, pan: str) -> str:
    return TripleDes(OLD_KEY).encrypt(encode_pinblock_iso_3(pin, pan)).hex()


@given(methods, pans, pins)
async def test_what_is_kept_is_what_would_be_of_the_pin_itself(method: PinMethod, pan: str, pin: str) -> None:
    security = module()
    for block in (PinPad(OLD_KEY.hex()).block(pin, pan), block_3(pin, pan)):
        check = await security.make_block_check(method, LINK, block, pan)
        assert check == await security.make_pin_check(method, pan, pin)
        assert await security.verify_pin(LINK, block, pan, check) is PinFinding.RIGHT


@given(methods, st.text(max_size=20), st.text(max_size=20))
async def test_whatever_comes_nothing_of_it_is_told(method: PinMethod, block: str, pan: str) -> None:
    with pytest.raises(SecurityError) as raised:
        await module().make_block_check(method, LINK, block, pan)
    assert str(raised.value) == PinGarbled.__doc__
    assert raised.value.__cause__ is None


@given(pans, pins)
async def test_a_pin_for_another_number_or_of_another_length_is_garbled(pan: str, pin: str) -> None:
    other = f"{pan[:-2]}{(int(pan[-2]) + 1) % 10}{pan[-1]}"
    pad = PinPad(OLD_KEY.hex())
    for block in (pad.block(pin + "5", pan), PinPad(NEW_KEY.hex()).block(pin, pan)):
        with pytest.raises(PinGarbled):
            await module().make_block_check(PinMethod.PVV, LINK, block, pan)
    try:
        check = await module().make_block_check(PinMethod.PVV, LINK, pad.block(pin, other), pan)
    except PinGarbled:
        return
    assert check != await module().make_pin_check(PinMethod.PVV, pan, pin), "it may be another PIN, never this one"


async def test_a_link_that_isnt_there_has_no_key() -> None:
    with pytest.raises(KeyMissing):
        await module().make_block_check(PinMethod.PVV, "999999", "00" * 8, "9250100000000014")


async def test_after_a_key_change_the_key_before_is_honoured_for_a_while() -> None:
    watch = Watch()
    security, pan = module(watch), "9250100000000014"
    sealed = Vault(VAULT_KEY).seal(NEW_KEY, zone_key_context(LINK, ZoneKeyUsage.PIN))
    await security.use_key(LINK, ImportedKey(ZoneKeyUsage.PIN, check_value(NEW_KEY), sealed))
    before, after = PinPad(OLD_KEY.hex()).block("2468", pan), PinPad(NEW_KEY.hex()).block("2468", pan)
    kept = await security.make_pin_check(PinMethod.PVV, pan, "2468")
    for block in (before, after):
        assert await security.make_block_check(PinMethod.PVV, LINK, block, pan) == kept
    watch.now += OLD_KEY_HONOURED_S
    assert await security.make_block_check(PinMethod.PVV, LINK, after, pan) == kept
    with pytest.raises(PinGarbled):
        await security.make_block_check(PinMethod.PVV, LINK, before, pan)
