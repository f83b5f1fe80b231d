"""A key for each transaction: the PIN keys of terminals that share none with an acquirer (TDES DUKPT).

ANSI X9.24-1:2009, annex A. From the issuer's base derivation key follows a device's initial key, and from that and
the transaction counter the key of one transaction, which tells nothing of those before it. The key serial number
that comes with a PIN block names all three: 80 bits, of which the last 21 are the counter.
"""

import re
from typing import Self

from msgspec import Struct

from authz.security.tdes import TripleDes, encrypt_once

COUNTER_BITS = 21
COUNTER_MAX = (1 << COUNTER_BITS) - 1
COUNTER_BITS_SET_MAX = 10
"""A device passes over the counters with more: so ten steps lead from its initial key to any other key."""

_SERIAL = re.compile("[0-9A-Fa-f]{20}")
_INITIAL_KEY_BYTES = 8
"""So many of a serial number's ten bytes tell devices apart, its counter cleared."""
_RIGHT_HALF = bytes.fromhex("C0C0C0C000000000")
"""Mixed with each half of a key, it gives the key that makes the right half of the next."""
_PIN_VARIANT = bytes.fromhex("00000000000000FF" * 2)


class KeySerial(Struct, frozen=True, gc=False):
    """A key serial number: who the device is (an integer of 80 bits whose last 21 are zero), and its counter."""

    device: int
    counter: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read 20 hexadecimal digits. None: it isn't of that form, or names a key that no device ever uses.

        >>> serial = KeySerial.parse("FFFF9876543210E00008")
        >>> serial.counter, serial.text
        (8, 'FFFF9876543210E00008')
        >>> KeySerial.parse("FFFF9876543210E00000") is None
        True
        """
        if not _SERIAL.fullmatch(text):
            return None
        number = int(text, 16)
        counter = number & COUNTER_MAX
        return cls(number - counter, counter) if 0 < counter.bit_count() <= COUNTER_BITS_SET_MAX else None

    @property
    def text(self) -> str:
        """The number as it is sent, 20 hexadecimal digits."""
        return f"{self.device | self.counter:020X}"


class Dukpt:
    """Derives the PIN keys of all devices whose initial keys were made from one base derivation key (16 bytes)."""

    __slots__ = ("_left", "_right")

    def __init__(self, bdk: bytes) -> None:
        self._left = TripleDes(bdk)
        self._right = TripleDes(_mixed(bdk, _RIGHT_HALF * 2))

    def initial_key(self, serial: KeySerial) -> bytes:
        """Derive the key (16 bytes) that a device leaves the key injection room with; its counter doesn't matter."""
        name = serial.device.to_bytes(10)[:_INITIAL_KEY_BYTES]
        return self._left.encrypt(name) + self._right.encrypt(name)

    def pin_key(self, serial: str) -> bytes | None:
        """Derive the PIN key (16 bytes) that a serial number names, None where it names none."""
        parsed = KeySerial.parse(serial)
        return None if parsed is None else pin_key(self.initial_key(parsed), parsed)


def pin_key(initial_key: bytes, serial: KeySerial) -> bytes:
    """Derive a transaction's PIN key (16 bytes) from its device's initial key.

    >>> initial = bytes.fromhex("6AC292FAA1315B4D858AB3A3D7D5933A")
    >>> pin_key(initial, KeySerial.parse("FFFF9876543210E00001")).hex().upper()
    '042666B49184CF5C68DE9628D0397B36'
    """
    key = initial_key
    register = serial.device
    for bit in reversed(range(COUNTER_BITS)):
        if serial.counter >> bit & 1:
            register |= 1 << bit
            key = _next(key, (register & (1 << 64) - 1).to_bytes(8))
    return _mixed(key, _PIN_VARIANT)


def _next(key: bytes, register: bytes) -> bytes:
    """One step down the tree of keys: the key that follows under this register (A.2, non-reversible generation)."""
    return _half(_mixed(key, _RIGHT_HALF * 2), register) + _half(key, register)


def _half(key: bytes, register: bytes) -> bytes:
    left, right = key[:8], key[8:]
    return _mixed(encrypt_once(left, _mixed(register, right)), right)


def _mixed(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))
