"""A card and a PIN pad let nothing out in the clear."""

import pytest
import rich.pretty
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given
from hypothesis import strategies as st
from psec.pinblock import decode_pinblock_iso_0

from simulators.terminal import parameters
from simulators.terminal.card import Card, CardInvalid
from simulators.terminal.pinpad import KeyUnfit, PinPad, PinUnfit

PAN = "9250100000000014"
ZPK = "0123456789ABCDEFFEDCBA987654321089ABCDEF01234567"
SECRETS = Card(pan=PAN, expiry="2806", pin="1234", cvv2="987", generation=1)


def test_reprs_show_no_secret():
    known = parameters.demo()
    for thing in (SECRETS, PinPad(ZPK), known, known.card[0]):
        for shown in (repr(thing), str(thing), rich.pretty.pretty_repr(thing)):
            for secret in (PAN, "1234", "987", "2806", ZPK):
                assert secret not in shown


def test_a_tap_without_pin_is_the_same_card_otherwise():
    assert SECRETS.without_pin() == Card(pan=PAN, expiry="2806", cvv2="987", generation=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pan", "92501"),
        ("pan", "9250100000x00014"),
        ("expiry", "2813"),
        ("expiry", "286"),
        ("cvv2", "12"),
        ("cvv2", "١٢٣"),
    ],
)
def test_ill_formed_card_data_is_refused_and_not_repeated(field, value):
    with pytest.raises(CardInvalid) as refused:
        Card(**{"pan": PAN, field: value})
    assert value not in str(refused.value)


def test_track_2_holds_pan_expiry_and_service_code_iso_7813():
    assert SECRETS.track2 == f"{PAN}=2806625"


def test_a_stripe_without_expiry_cannot_be_sent():
    with pytest.raises(CardInvalid):
        _ = Card(pan=PAN).track2


@given(pin=st.text("0123456789", min_size=4, max_size=12))
def test_the_pin_comes_out_only_as_iso_9564_format_0_under_the_zone_key(pin):
    block = PinPad(ZPK).block(pin, PAN)
    cipher = Cipher(TripleDES(bytes.fromhex(ZPK)), ECB())  # noqa: S305 - one block
    clear = cipher.decryptor().update(bytes.fromhex(block))
    assert decode_pinblock_iso_0(clear, PAN) == pin
    assert len(block) == 16


def test_a_double_length_key_is_its_first_half_again_as_the_third():
    assert PinPad(ZPK[:32]).block("1234", PAN) == PinPad(ZPK[:32] + ZPK[:16]).block("1234", PAN)


@pytest.mark.parametrize("pin", ["123", "1234567890123", "12a4", "", "١٢٣٤"])
def test_an_unfit_pin_is_refused_and_not_repeated(pin):
    with pytest.raises(PinUnfit) as refused:
        PinPad(ZPK).block(pin, PAN)
    assert str(refused.value) == "A PIN is 4 to 12 digits."


@pytest.mark.parametrize("key", ["", "0123", ZPK[:16], "x" * 32])
def test_an_unfit_key_is_refused(key):
    with pytest.raises(KeyUnfit):
        PinPad(key)
