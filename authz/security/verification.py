"""The digits that verify a PIN or a card, made from the issuer's keys: Visa's PVV and CVVs, IBM 3624's PINs."""

import re
from hmac import compare_digest

from authz.security.module import Malformed
from authz.security.tdes import TripleDes

CVV2_SERVICE_CODE = "000"
"""Stands where a stripe's service code would, so that what is printed can't be computed from what is read."""
ICVV_SERVICE_CODE = "999"
"""Stands there in the track data of a chip, so that a stripe made of it isn't taken for the card's."""
STRIPE_SERVICE_CODE = "221"
"""What new cards' stripes bear (ISO/IEC 7813): a chip is to be used, the issuer is asked, no other restriction."""

DECIMALIZATION_TABLE = "0123456789012345"
"""The decimal digit that stands for each hexadecimal one in a natural PIN (IBM 3624): the customary table."""
VALIDATION_DIGITS_MAX = 12
"""IBM 3624 validation data: the PAN's last digits without the check digit, as in a PIN block, filled up with F."""

_PAN = re.compile("[0-9]{12,19}")
_PIN = re.compile("[0-9]{4,12}")
_INDEX = re.compile("[0-9]")
_EXPIRY = re.compile("[0-9]{4}")
_SERVICE_CODE = re.compile("[0-9]{3}")

_DIGITS_ALONE = str.maketrans("", "", "abcdef")
_NATURAL = str.maketrans("0123456789abcdef", DECIMALIZATION_TABLE)
_LETTERS_AS_DIGITS = str.maketrans("abcdef", "012345", "0123456789")


class VisaPvv:
    """Makes PIN verification values: four digits for a PAN and the first four digits of its PIN.

    A longer PIN is verified by its first four digits only: that is the algorithm's limit.
    """

    __slots__ = ("_cipher", "_index")

    def __init__(self, pvk: bytes, index: int) -> None:
        self._cipher = TripleDes(pvk)
        self._index = _shaped("PVKI", _INDEX, str(index))

    def of(self, pan: str, pin: str) -> str:
        """Make the PVV. Raises `Malformed` for a PAN below 12 digits or a PIN outside 4 to 12."""
        account = _shaped("PAN", _PAN, pan)[-12:-1]
        digits = _shaped("PIN", _PIN, pin)[:4]
        return decimalized(self._cipher.encrypt(bytes.fromhex(account + self._index + digits)), 4)


class Ibm3624:
    """Makes IBM 3624 offsets: what must be added to a card's natural PIN, digit by digit without carry, for its PIN.

    The natural PIN is the start of the encrypted validation data, decimalized. No input of a PVV under the same key
    is ever validation data, for the fill isn't decimal.
    """

    __slots__ = ("_cipher",)

    def __init__(self, pvk: bytes) -> None:
        self._cipher = TripleDes(pvk)

    def of(self, pan: str, pin: str) -> str:
        """Make the offset, as long as the PIN. Raises `Malformed`: a PAN has 12 to 19 digits, a PIN 4 to 12."""
        digits, natural = _shaped("PIN", _PIN, pin), self._natural(pan)
        return "".join(str((int(own) - int(given)) % 10) for own, given in zip(digits, natural, strict=False))

    def natural(self, pan: str, length: int) -> str:
        """Make the natural PIN: the one whose offset is zeros, for cards whose holders don't choose theirs.

        Raises `Malformed` where the PAN isn't 12 to 19 digits.
        """
        return self._natural(pan)[:length]

    def _natural(self, pan: str) -> str:
        account = _shaped("PAN", _PAN, pan)[:-1][-VALIDATION_DIGITS_MAX:]
        return self._cipher.encrypt(bytes.fromhex(account.ljust(16, "F"))).hex().translate(_NATURAL)


class Cvv2:
    """Makes the three digits that are printed on a card, and those that stand in its stripe and in its chip."""

    __slots__ = ("_left", "_whole")

    def __init__(self, cvk: bytes) -> None:
        self._left = TripleDes(cvk[:8])
        self._whole = TripleDes(cvk)

    def of(self, pan: str, expiry: str, service_code: str = CVV2_SERVICE_CODE) -> str:
        """Make the CVV2 of a card whose expiry is YYMM, or a CVV by its service code.

        Raises `Malformed` where an argument isn't digits.
        """
        account = _shaped("PAN", _PAN, pan)
        validity = _shaped("expiry", _EXPIRY, expiry) + _shaped("service code", _SERVICE_CODE, service_code)
        data = bytes.fromhex((account + validity).ljust(32, "0"))
        first = int.from_bytes(self._left.encrypt(data[:8])) ^ int.from_bytes(data[8:])
        return decimalized(self._whole.encrypt(first.to_bytes(8)), 3)


def decimalized(block: bytes, count: int) -> str:
    """Read digits off a block: its own from left to right, then its letters as 0 to 5.

    >>> decimalized(bytes.fromhex("abcdef1abcdef2ab"), 4)
    '1201'
    """
    text = block.hex()
    return (text.translate(_DIGITS_ALONE) + text.translate(_LETTERS_AS_DIGITS))[:count]


def same(expected: str, given: str) -> bool:
    """Compare in a time that doesn't tell how much of it is right."""
    return given.isascii() and compare_digest(expected, given)


def _shaped(name: str, form: re.Pattern[str], text: str) -> str:
    if not form.fullmatch(text):
        raise Malformed(f"{name} must be of the form {form.pattern}")
    return text
