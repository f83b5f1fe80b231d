"""PIN blocks: from 16 hexadecimal digits under a zone PIN key to the PIN, or to nothing.

ISO 9564-1 formats 0 and 3: control nibble, PIN length, PIN, fill up to 16 nibbles (format 0: F; format 3:
A to F at random), mixed by exclusive or with the twelve PAN digits before the check digit.
"""

import re

from authz.security.module import Malformed
from authz.security.tdes import TripleDes

PIN_DIGITS_MIN = 4
PIN_DIGITS_MAX = 12

_BLOCK = re.compile("[0-9A-Fa-f]{16}")
_PAN = re.compile("[0-9]{13,19}")


class PinBlocks:
    """Opens the PIN blocks of one link. `length` is the only number of digits that a PIN may have."""

    __slots__ = ("_cipher", "_format")

    def __init__(self, zpk: bytes, length: int) -> None:
        if not PIN_DIGITS_MIN <= length <= PIN_DIGITS_MAX:
            raise Malformed(f"a PIN has {PIN_DIGITS_MIN} to {PIN_DIGITS_MAX} digits")
        fill = 14 - length
        pin = f"{length:x}([0-9]{{{length}}})"
        self._cipher = TripleDes(zpk)
        self._format = re.compile(f"0{pin}f{{{fill}}}|3{pin}[a-f]{{{fill}}}")

    def open(self, pin_block: str, pan: str) -> str | None:
        """Return the PIN, or None where the block holds none for this PAN: a wrong key or PAN, or no valid format."""
        if not (_BLOCK.fullmatch(pin_block) and _PAN.fullmatch(pan)):
            return None
        mixed = int.from_bytes(self._cipher.decrypt(bytes.fromhex(pin_block)))
        clear = self._format.fullmatch(f"{mixed ^ int(pan[-13:-1], 16):016x}")
        return clear and (clear[1] or clear[2])
