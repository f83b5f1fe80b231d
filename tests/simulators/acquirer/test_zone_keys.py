"""The keys at the acquirer's end of a link, held against the authorizer's end of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.security.keyblock import check_value, unwrap
from authz.security.mac import RetailMac
from authz.security.module import OLD_KEY_HONOURED_S, ZoneKeyUsage
from authz.security.pin import PinBlocks
from simulators.acquirer import parameters
from simulators.acquirer.zone_keys import GivenKeys, KeyBlockUnfit, KeyNotHeld, KeyRing, KeyUnfit, NewKey
from simulators.terminal.pinpad import PinPad

TERMINALS, ZONE, MAC, ZMK = "89ABCDEF0123456776543210FEDCBA98", "0123456789ABCDEF" * 3, "1A" * 8 + "2B" * 8, "8F3C" * 12
GIVEN = GivenKeys(terminal_pin_key=TERMINALS, zone_pin_key=ZONE, mac_key=MAC, zmk=ZMK)


class Time:
    at = 0.0

    def __call__(self) -> float:
        return self.at


@given(st.from_regex("[0-9]{4}", fullmatch=True), st.from_regex("[0-9]{16}", fullmatch=True))
def test_a_translated_pin_block_is_the_one_that_a_pin_pad_of_the_link_would_make(pin, pan):
    assert KeyRing(GIVEN).translate(PinPad(TERMINALS).block(pin, pan)) == PinPad(ZONE).block(pin, pan)


def test_a_new_key_travels_under_the_zmk_and_is_in_use_once_it_is_adopted():
    ring = KeyRing(GIVEN)
    new = ring.propose(ZoneKeyUsage.PIN)
    usage, key = unwrap(bytes.fromhex(ZMK), new.block)
    assert (usage, check_value(key)) == (ZoneKeyUsage.PIN, new.check_value)
    block = PinPad(TERMINALS).block("1234", "9250100000000014")
    assert ring.translate(block) == PinPad(ZONE).block("1234", "9250100000000014")
    ring.adopt(new)
    assert PinBlocks(key, 4).open(ring.translate(block), "9250100000000014") == "1234"


def test_replies_under_the_mac_key_before_are_taken_for_a_while_and_requests_bear_the_newest():
    time = Time()
    ring = KeyRing(GIVEN, time)
    old, new = RetailMac(bytes.fromhex(MAC)), ring.propose(ZoneKeyUsage.MAC)
    fresh = RetailMac(unwrap(bytes.fromhex(ZMK), new.block)[1])
    assert not ring.are_right(fresh.of(b"reply"), b"reply")
    ring.await_answer(new)
    assert ring.are_right(fresh.of(b"reply"), b"reply")
    assert ring.of(b"request") == old.of(b"request")
    ring.adopt(new)
    assert ring.of(b"request") == fresh.of(b"request")
    assert ring.are_right(old.of(b"reply").lower(), b"reply")
    time.at = OLD_KEY_HONOURED_S
    assert not ring.are_right(old.of(b"reply"), b"reply")
    assert not ring.are_right(fresh.of(b"another"), b"reply")


def test_keys_are_changed_only_by_who_has_the_key_they_travel_under():
    without = KeyRing(msgspec.structs.replace(GIVEN, zmk=None, mac_key=None))
    assert not without.makes_macs
    with pytest.raises(KeyNotHeld, match="zmk"):
        without.propose(ZoneKeyUsage.PIN)
    with pytest.raises(KeyNotHeld, match="MAC"):
        KeyRing(msgspec.structs.replace(GIVEN, mac_key=None)).propose(ZoneKeyUsage.MAC)
    new = KeyRing(GIVEN).propose(ZoneKeyUsage.PIN)
    for another in ("9" * 32, None):
        with pytest.raises(KeyBlockUnfit):
            KeyRing(msgspec.structs.replace(GIVEN, zmk=another)).adopt(new)


@pytest.mark.parametrize("name", ["terminal_pin_key", "zone_pin_key", "mac_key", "zmk"])
@pytest.mark.parametrize("wrong", ["12", "not hexadecimal", "AB" * 15])
def test_a_key_that_cannot_be_used_is_named_and_not_shown(name, wrong):
    with pytest.raises(KeyUnfit, match=name) as refused:
        KeyRing(msgspec.structs.replace(GIVEN, **{name: wrong}))
    assert wrong not in str(refused.value)
    assert refused.value.__context__ is None or refused.value.__suppress_context__


def test_no_repr_shows_a_key():
    shown = f"{GIVEN!r} {KeyRing(GIVEN)!r} {parameters.demo()!r} {NewKey(ZoneKeyUsage.PIN, 'B0080P0T', '08D7B4')!r}"
    for secret in (TERMINALS, ZONE, MAC, ZMK, parameters.demo().zone_pin_key, "B0080P0T"):
        assert secret not in shown
    assert "08D7B4" in shown
