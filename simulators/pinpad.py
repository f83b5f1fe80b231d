"""A PIN pad: takes the PIN that a holder types, and lets it out only enciphered."""

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB
from psec.pinblock import encode_pinblock_iso_0

PIN_DIGITS_MIN = 4
PIN_DIGITS_MAX = 12
"""ISO 9564-1."""


class PinUnfit(Exception):
    """A PIN is 4 to 12 digits."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class KeyUnfit(Exception):
    """A zone PIN key is 32 or 48 hexadecimal digits."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class PinPad:
    """Enciphers PINs under one zone PIN key, given as 32 or 48 hexadecimal digits. Its repr shows none of it."""

    def __init__(self, zone_pin_key: str) -> None:
        try:
            key = bytes.fromhex(zone_pin_key)
        except ValueError:
            raise KeyUnfit from None
        if len(key) not in (16, 24):
            raise KeyUnfit
        self._cipher = Cipher(TripleDES((key + key)[:24]), ECB())  # noqa: S305 - one block: ISO 9564-1 has no chaining

    def __repr__(self) -> str:
        return "PinPad(…)"

    def block(self, pin: str, pan: str) -> str:
        """Make DE 52: an ISO 9564 format 0 block under the zone key, 16 upper-case hexadecimal digits.

        >>> PinPad("0123456789ABCDEFFEDCBA987654321089ABCDEF01234567").block("1234", "9250100000000014")
        '3E40023C3049D265'
        """
        if not (pin.isascii() and pin.isdigit() and PIN_DIGITS_MIN <= len(pin) <= PIN_DIGITS_MAX):
            raise PinUnfit
        clear: bytes = encode_pinblock_iso_0(pin, pan)
        enciphered = self._cipher.encryptor().update(clear)
        return enciphered.hex().upper()
