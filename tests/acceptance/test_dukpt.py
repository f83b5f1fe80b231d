"""PIN pads with a key for each transaction (TDES DUKPT, ANSI X9.24-1:2009) at a real authorizer: `KS` in DE 48."""

import msgspec
import pytest

from authz.wire.message import Elements, Message
from simulators.terminal.card import Card
from simulators.terminal.pinpad import DukptPinPad, EncipheredPin
from tests.acceptance.counter import DEMO
from tests.acceptance.shop import STOCK, Money, Shop, said

APPROVED = ("00", "APPROVED")
PIN_WRONG = ("55", "PIN_WRONG")
INITIAL_KEY, KEY_SERIAL = "6AC292FAA1315B4D858AB3A3D7D5933A", "FFFF9876543210E00001"
"""ANSI X9.24-1:2009, annex A: the initial key of this device under the base derivation key that the demo has too."""
TRIES = 5
"""Second generation."""


@pytest.fixture
def pad() -> DukptPinPad:
    assert DEMO.issuer_keys["bdk"] == "0123456789ABCDEFFEDCBA9876543210"
    return DukptPinPad(INITIAL_KEY, KEY_SERIAL)


def paying(shop: Shop, customer: Card, pin: EncipheredPin, serial: str | None = None) -> Message:
    """A purchase with a PIN as the pad let it out; `serial` in the place of its own."""
    return msgspec.structs.replace(
        shop.till.purchase(customer.without_pin(), 100),
        pin_block=pin.block,
        elements=Elements(key_serial=serial or pin.key_serial),
    )


def typed(pad: DukptPinPad, customer: Card, *, wrong: bool = False) -> EncipheredPin:
    assert customer.pin is not None
    mistyped = "0000" if customer.pin != "0000" else "1111"
    return pad.block(mistyped if wrong else customer.pin, customer.pan)


def tries_left(reply: Message) -> str | None:
    """`TR` in DE 48; None: no try was counted."""
    return None if reply.elements is None else reply.elements.tries_left


def test_each_of_a_pads_keys_opens_its_own_block(shop: Shop, pad: DukptPinPad) -> None:
    customer = shop.customer()
    pins = [typed(pad, customer) for _ in range(12)]
    assert len({pin.key_serial for pin in pins}) == len({pin.block for pin in pins}) == 12
    for pin in pins:
        assert said(shop.ask(paying(shop, customer, pin))) == APPROVED
    assert shop.money(customer) == Money(STOCK - 1_200, payable=1_200)


def test_counters_far_ahead_and_any_order_are_no_matter(shop: Shop) -> None:
    customer = shop.customer()
    far = DukptPinPad(INITIAL_KEY, "FFFF9876543210EFF800")
    for pin in [typed(far, customer) for _ in range(3)][::-1]:
        assert said(shop.ask(paying(shop, customer, pin))) == APPROVED


def test_wrong_pins_are_counted_and_a_right_one_resets_them(shop: Shop, pad: DukptPinPad) -> None:
    customer = shop.customer()
    for left in ("4", "3"):
        reply = shop.ask(paying(shop, customer, typed(pad, customer, wrong=True)))
        assert (said(reply), tries_left(reply)) == (PIN_WRONG, left)
    assert said(shop.ask(paying(shop, customer, typed(pad, customer)))) == APPROVED
    reply = shop.ask(paying(shop, customer, typed(pad, customer, wrong=True)))
    assert (said(reply), tries_left(reply)) == (PIN_WRONG, "4")


def test_the_last_wrong_one_locks_the_card(shop: Shop, pad: DukptPinPad) -> None:
    customer = shop.customer()
    wrong = [said(shop.ask(paying(shop, customer, typed(pad, customer, wrong=True)))) for _ in range(TRIES)]
    assert wrong == [PIN_WRONG] * (TRIES - 1) + [("75", "PIN_LOCKED")]
    assert said(shop.ask(paying(shop, customer, typed(pad, customer)))) == ("75", "PIN_LOCKED")


def test_a_garbled_serial_number_costs_no_try(shop: Shop, pad: DukptPinPad) -> None:
    """docs/interface.md: a block that decrypts to no valid format is 55 too, but a key out of step locks no card."""
    customer = shop.customer()
    before = shop.authorizer.counted("authz_pin_blocks_garbled_total")
    serials = [
        "FFFF9876543210E00002",  # the next transaction's
        "FFFF9876543211000001",  # another device's
        "FFFF9876543210E00000",  # counter 0 names no key
        "FFFF9876543210FFFFFF",  # nor does one with more than ten bits set
        KEY_SERIAL[:-2],
        f"00{KEY_SERIAL}",
    ]
    assert len(serials) > TRIES
    pin = typed(pad, customer)
    for serial in serials:
        reply = shop.ask(paying(shop, customer, pin, serial))
        assert (said(reply), tries_left(reply)) == (PIN_WRONG, None), serial
    assert shop.authorizer.counted("authz_pin_blocks_garbled_total") == before + len(serials)
    assert said(shop.ask(paying(shop, customer, pin))) == APPROVED
    reply = shop.ask(paying(shop, customer, typed(pad, customer, wrong=True)))
    assert (said(reply), tries_left(reply)) == (PIN_WRONG, str(TRIES - 1))


def test_one_that_is_not_hexadecimal_is_ill_formed(shop: Shop, pad: DukptPinPad) -> None:
    customer = shop.customer()
    assert said(shop.ask(paying(shop, customer, typed(pad, customer), "no serial number at all")))[0] == "30"


def test_the_zones_key_and_a_transactions_are_never_taken_for_each_other(shop: Shop, pad: DukptPinPad) -> None:
    customer = shop.customer()
    pin = typed(pad, customer)
    without_serial = msgspec.structs.replace(paying(shop, customer, pin), elements=None)
    under_zone_key = msgspec.structs.replace(
        shop.till.purchase(customer, 100), elements=Elements(key_serial=pin.key_serial)
    )
    for request in (without_serial, under_zone_key):
        reply = shop.ask(request)
        assert (said(reply), tries_left(reply)) == (PIN_WRONG, None)
    assert said(shop.ask(paying(shop, customer, pin))) == APPROVED
    assert said(shop.ask(shop.till.purchase(customer, 100))) == APPROVED
