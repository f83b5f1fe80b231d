"""PIN pads: they take the PIN that a holder types, and let it out only enciphered."""

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.modes import ECB
from msgspec import Struct
from psec.pinblock import encode_pinblock_iso_0

from authz.security.dukpt import COUNTER_BITS_SET_MAX, COUNTER_MAX, KeySerial, pin_key
from simulators.mistakes import Mistake

PIN_DIGITS_MIN = 4
PIN_DIGITS_MAX = 12
"""ISO 9564-1."""


class PinUnfit(Mistake):
    """A PIN is 4 to 12 digits."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class KeyUnfit(Mistake):
    """A zone PIN key is 32 or 48 hexadecimal digits."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class InitialKeyUnfit(Mistake):
    """A PIN pad's initial key is 32 hexadecimal digits, its key serial number 20 that name a key."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class KeysSpent(Mistake):
    """The PIN pad has used each of its 1,048,575 keys and must be given another initial key."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class EncipheredPin(Struct, frozen=True, gc=False):
    """What leaves a PIN pad that has a key for each transaction: DE 52, and `KS` of DE 48. Its repr shows neither."""

    block: str
    key_serial: str

    def __repr__(self) -> str:
        return "EncipheredPin(…)"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return []


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
        return self._cipher.encryptor().update(_clear(pin, pan)).hex().upper()


class DukptPinPad:
    """Enciphers every PIN under a key of its own (TDES DUKPT, ANSI X9.24-1). Its repr shows none.

    `initial_key` is 32 hexadecimal digits, `key_serial` 20: what its first transaction bears. It keeps the initial
    key, where a real one keeps only keys to come.
    """

    def __init__(self, initial_key: str, key_serial: str) -> None:
        serial = KeySerial.parse(key_serial)
        try:
            self._initial_key = bytes.fromhex(initial_key)
        except ValueError:
            raise InitialKeyUnfit from None
        if len(self._initial_key) != 16 or serial is None:
            raise InitialKeyUnfit
        self._device = serial.device
        self._counter = serial.counter

    def __repr__(self) -> str:
        return "DukptPinPad(…)"

    def block(self, pin: str, pan: str) -> EncipheredPin:
        """Make DE 52, an ISO 9564 format 0 block, and the serial number of its key, used once. Raises `KeysSpent`.

        >>> pad = DukptPinPad("6AC292FAA1315B4D858AB3A3D7D5933A", "FFFF9876543210E00001")
        >>> pin = pad.block("1234", "4012345678909")
        >>> pin.block, pin.key_serial
        ('1B9C1845EB993A7A', 'FFFF9876543210E00001')
        """
        clear = _clear(pin, pan)
        if self._counter > COUNTER_MAX:
            raise KeysSpent
        serial = KeySerial(self._device, self._counter)
        self._counter = counter_after(self._counter)
        key = pin_key(self._initial_key, serial)
        enciphered = Cipher(TripleDES(key + key[:8]), ECB()).encryptor().update(clear)  # noqa: S305 - one block
        return EncipheredPin(enciphered.hex().upper(), serial.text)


def counter_after(counter: int) -> int:
    """The next counter that names a key; above `COUNTER_MAX` where there is none.

    >>> counter_after(1), f"{counter_after(0b111_1111_1110):b}"
    (2, '100000000000')
    """
    counter += 1
    while counter.bit_count() > COUNTER_BITS_SET_MAX:
        counter += counter & -counter
    return counter


def _clear(pin: str, pan: str) -> bytes:
    if not (pin.isascii() and pin.isdigit() and PIN_DIGITS_MIN <= len(pin) <= PIN_DIGITS_MAX):
        raise PinUnfit
    clear: bytes = encode_pinblock_iso_0(pin, pan)
    return clear
