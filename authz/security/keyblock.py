"""Key blocks: the keys of a link on their way from one end to the other (ASC X9 TR-31), and their check values.

A key block holds one key, encrypted under the link's `zmk`, and a header in clear that says what the key is for. Both
are authenticated together, so that no key can be given another purpose on its way.
"""

import warnings
from collections.abc import Mapping
from enum import StrEnum
from hmac import digest
from secrets import token_bytes
from typing import Final

from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.utils import CryptographyDeprecationWarning
from msgspec import Struct
from psec import tr31

from authz.security.keys import KEY_BYTES, require_length
from authz.security.module import KeyBlockRefused, ZoneKeyUsage
from authz.security.tdes import BLOCK_BYTES, TripleDes

TRIPLE_DES: Final = "T"
AES_BYTES: Final = 32
"""The length of a `zmk` that is an AES key; shorter ones are triple DES. No key serves both."""
COMPONENT: Final = "c"
"""First character of the key version where the block holds only a part of a key."""
CHECK_BYTES: Final = 3
"""The length of a check value: enough to tell keys apart, too little to tell anything of one."""


class KeyKind(StrEnum):
    """What a key is a key of, which says how its check value is made."""

    TDES = "TDES"
    """Triple DES: zeros, encrypted (ASC X9.24-1, legacy check value)."""
    AES = "AES"
    """The CMAC of a block of zeros (ASC X9.24-1-2017, annex A)."""
    HMAC = "HMAC"
    """The HMAC-SHA256 of a block of zeros."""

    @classmethod
    def of(cls, name: str, key: bytes) -> "KeyKind":
        """Tell the kind of a key of that name in `KEY_BYTES`."""
        if name == "token":
            return cls.HMAC
        return cls.AES if len(key) == AES_BYTES else cls.TDES

    def check_value(self, key: bytes) -> str:
        """Make a key's check value, in hexadecimal: three bytes by which people compare keys without seeing them.

        >>> KeyKind.AES.check_value(bytes(32)), KeyKind.HMAC.check_value(bytes(32))
        ('921105', '853C74')
        """
        match self:
            case KeyKind.TDES:
                return check_value(key)
            case KeyKind.AES:
                mac = CMAC(AES(key))
                mac.update(bytes(16))
                return mac.finalize()[:CHECK_BYTES].hex().upper()
            case KeyKind.HMAC:
                return digest(key, bytes(16), "sha256")[:CHECK_BYTES].hex().upper()


class _Purpose(Struct, frozen=True, gc=False):
    """A usage: the key's name and lengths in `KEY_BYTES`, and the modes of use that the standard allows with it."""

    name: str
    noun: str
    modes: str


_PURPOSES: Final[Mapping[str, _Purpose]] = {
    ZoneKeyUsage.PIN: _Purpose("zpk", "a zone PIN key", "BDEN"),
    ZoneKeyUsage.MAC: _Purpose("zak", "a MAC key", "CGVN"),
}
"""Every mode of a usage is taken: senders state it from their own end (E: "I encrypt") as often as from the other.

The mode that stands first is the one for both directions.
"""


def generate(name: str, length: int | None = None) -> bytes:
    """Make a random key of a name and length (bytes) in `KEY_BYTES`; that of a triple DES key has odd parity.

    Raises `KeyMalformed`.
    """
    key = token_bytes(length or KEY_BYTES[name][0])
    require_length(name, key)
    if KeyKind.of(name, key) is KeyKind.TDES:
        return bytes(byte & 0xFE | (byte >> 1).bit_count() % 2 ^ 1 for byte in key)
    return key


def wrap(zmk: bytes, usage: ZoneKeyUsage, key: bytes) -> str:
    """Wrap a triple DES key under a `zmk`: version B under triple DES, version D under AES.

    Raises `KeyMalformed` where either key hasn't a length that its use allows.

    >>> wrap(bytes(range(16)), ZoneKeyUsage.PIN, bytes(16))[:16]
    'B0096P0TB00N0000'
    >>> wrap(bytes(range(32)), ZoneKeyUsage.MAC, bytes(16))[:16]
    'D0112M3TC00N0000'
    """
    purpose = _PURPOSES[usage]
    require_length("zmk", zmk)
    require_length(purpose.name, key)
    version = "D" if len(zmk) == AES_BYTES else "B"
    with warnings.catch_warnings(action="ignore", category=CryptographyDeprecationWarning):
        block: str = tr31.wrap(zmk, tr31.Header(version, usage, TRIPLE_DES, purpose.modes[0]), key)
    return block


def unwrap(zmk: bytes, block: str) -> tuple[ZoneKeyUsage, bytes]:
    """Open a key block: what its key is for, and the key. Versions A, B and C under triple DES, D under AES.

    Raises `KeyBlockRefused` where it doesn't open, and where it holds anything but a whole triple DES key for PIN
    blocks (P0) or MACs (M3).

    >>> zmk = bytes.fromhex("DD7515F2BFC17F85CE48F3CA25CB21F6")
    >>> block = "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E"
    >>> usage, key = unwrap(zmk, block)
    >>> usage.name, check_value(key)
    ('PIN', '57C409')
    >>> unwrap(zmk[::-1], block)
    Traceback (most recent call last):
    authz.security.module.KeyBlockRefused: it isn't a key block under this link's zmk, or it was altered
    """
    versions = "D" if len(zmk) == AES_BYTES else "ABC"
    if not block.startswith(tuple(versions)):
        raise KeyBlockRefused(f"this link's zmk opens key blocks of version {' or '.join(versions)}")
    opened = _opened(zmk, block)
    if opened is None:
        raise KeyBlockRefused("it isn't a key block under this link's zmk, or it was altered")
    header, key = opened
    purpose = _PURPOSES.get(header.key_usage)
    if purpose is None:
        raise KeyBlockRefused(f"its key usage must be {' or '.join(_PURPOSES)}")
    if header.algorithm != TRIPLE_DES:
        raise KeyBlockRefused(f"its algorithm must be {TRIPLE_DES}")
    if header.mode_of_use not in purpose.modes:
        raise KeyBlockRefused(f"the mode of use of {purpose.noun} must be {' or '.join(purpose.modes)}")
    if header.version_num.startswith(COMPONENT):
        raise KeyBlockRefused("it holds a component, not a key")
    if len(key) not in KEY_BYTES[purpose.name]:
        raise KeyBlockRefused(f"{purpose.noun} must be {' or '.join(map(str, KEY_BYTES[purpose.name]))} bytes")
    return ZoneKeyUsage(header.key_usage), key


def check_value(key: bytes) -> str:
    """Make the check value of a triple DES key: the first three bytes of encrypted zeros, in hexadecimal.

    >>> check_value(bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"))
    '08D7B4'
    """
    return TripleDes(key).encrypt(bytes(BLOCK_BYTES))[:CHECK_BYTES].hex().upper()


def _opened(zmk: bytes, block: str) -> tuple[tr31.Header, bytes] | None:
    """Open a key block, or return None. psec's errors hold the block: none may stay as another error's context."""
    try:
        with warnings.catch_warnings(action="ignore", category=CryptographyDeprecationWarning):
            opened: tuple[tr31.Header, bytes] = tr31.unwrap(zmk, block)
    except ValueError:
        return None
    return opened
