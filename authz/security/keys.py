"""The keys that a security module in software is given, checked for their form and never shown.

Lengths are checked, parity isn't: no algorithm here reads the parity bits, and real keys come without it.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

from msgspec import Struct

from authz.security.module import SecurityError

KEY_BYTES: Final[Mapping[str, tuple[int, ...]]] = {
    "zpk": (16, 24),
    "zak": (16,),
    "zmk": (16, 24, 32),
    "pvk": (16, 24),
    "cvk": (16,),
    "imk_ac": (16,),
    "bdk": (16,),
    "master": (32,),
}
"""The lengths that a key of that name may have, in bytes."""


class KeyMalformed(SecurityError):
    """A key isn't hexadecimal or hasn't a length that its use allows. The message names it and shows none of it."""


class _Keys(Struct, frozen=True):
    """Keys of one owner: checked when made, masked when shown."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if name in KEY_BYTES:
                require_length(name, getattr(self, name))

    @classmethod
    def from_hex(cls, table: Mapping[str, object]) -> Self:
        """Read keys from a configuration table, where they stand in hexadecimal; other entries are left alone.

        Raises `KeyMalformed`, naming the first key that is missing or ill-formed.

        >>> ZoneKeys.from_hex({"zpk": "00" * 16, "zak": "00" * 16, "zmk": "00" * 5})
        Traceback (most recent call last):
        authz.security.keys.KeyMalformed: zmk must be 32 or 48 or 64 hexadecimal digits
        """
        fields = (name for name in cls.__struct_fields__ if name in KEY_BYTES or name in table)
        return cls(**{name: _value(name, table) for name in fields})

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class ZoneKeys(_Keys, frozen=True):
    """The keys shared with one acquirer link.

    `zpk` encrypts PIN blocks, `zak` makes MACs (the left half, then the right), `zmk` wraps new keys (TR-31).
    """

    zpk: bytes
    zak: bytes
    zmk: bytes


class IssuerKeys(_Keys, frozen=True):
    """The keys behind the cards.

    `pvk` makes PVVs (`pvki` is its index), `cvk` CVV2s; from `imk_ac` derive the chips' keys, from `bdk` DUKPT's.
    """

    pvk: bytes
    cvk: bytes
    imk_ac: bytes
    bdk: bytes
    pvki: int = 1


class VaultKey(_Keys, frozen=True):
    """The master key (32 bytes) from which the keys of the card vault are derived."""

    master: bytes


def require_length(name: str, key: bytes) -> None:
    """Check a key's length by `KEY_BYTES`. Raises `KeyMalformed`."""
    if len(key) not in KEY_BYTES[name]:
        lengths = " or ".join(str(2 * length) for length in KEY_BYTES[name])
        raise KeyMalformed(f"{name} must be {lengths} hexadecimal digits")


def _value(name: str, table: Mapping[str, object]) -> object:
    if name not in KEY_BYTES:
        return table[name]
    try:
        return bytes.fromhex(str(table[name]))
    except KeyError:
        raise KeyMalformed(f"{name} is missing") from None
    except ValueError:
        raise KeyMalformed(f"{name} must be hexadecimal digits") from None
