"""The keys that a security module in software is given, checked for their form and never shown.

Lengths are checked, parity isn't: no algorithm here reads the parity bits, and real keys come without it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Self, TypeAlias

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct, structs

from authz.security.module import SecurityError

KEY_BYTES: Final[Mapping[str, tuple[int, ...]]] = {
    "zpk": (16, 24),
    "zak": (16,),
    "zmk": (16, 24, 32),
    "pvk": (16, 24),
    "cvk": (16,),
    "imk_ac": (16,),
    "bdk": (16,),
    "token": (32,),
    "keys": (32,),
    "master": (32,),
}
"""The lengths that a key of that name may have, in bytes. The first is the one that every partner takes."""

_MAYBE_A_KEY = re.compile("[0-9A-Fa-f]{16,}")

KeyOpener: TypeAlias = Callable[[str, str], bytes]
"""Makes a key of its name and of the text that stands for it in a configuration. Raises `SecurityError`."""


class KeyMalformed(SecurityError):
    """A key isn't hexadecimal or hasn't a length that its use allows. The message names it and shows none of it."""


class _Keys(Struct, frozen=True):
    """Keys of one owner: checked when made, masked when shown."""

    def __post_init__(self) -> None:
        for name, key in self.each():
            require_length(name, key)

    @classmethod
    def from_hex(cls, table: Mapping[str, Any]) -> Self:
        """Read keys from a configuration table, where they stand in hexadecimal; other entries are left alone.

        Raises `KeyMalformed`, naming the first key that is missing or ill-formed.

        >>> ZoneKeys.from_hex({"zpk": "00" * 16, "zak": "00" * 16, "zmk": "00" * 5})
        Traceback (most recent call last):
        authz.security.keys.KeyMalformed: zmk must be 32 or 48 or 64 hexadecimal digits
        """
        return cls.from_table(table, hexadecimal)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], opened: KeyOpener) -> Self:
        """Read keys from a configuration table, whose texts `opened` makes keys of; other entries are left alone.

        Raises `KeyMalformed` where one is missing or ill-formed, and what `opened` raises.
        """
        fields = (name for name in cls.__struct_fields__ if name in KEY_BYTES or name in table)
        return cls(**{name: _value(name, table, opened) for name in fields})

    def each(self) -> Iterator[tuple[str, bytes]]:
        """Go through the keys, by name; of those with one name, the newest first."""
        for name in self.__struct_fields__:
            if name in KEY_BYTES:
                value = getattr(self, name)
                yield from ((name, key) for key in (value if isinstance(value, tuple) else (value,)))

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


class OlderKeys(_Keys, frozen=True):
    """Keys behind cards and terminals that are still in use, though new ones have newer keys: the newest of them first.

    `pvki` are the indexes of the `pvk`, one each.
    """

    pvk: tuple[bytes, ...] = ()
    cvk: tuple[bytes, ...] = ()
    imk_ac: tuple[bytes, ...] = ()
    bdk: tuple[bytes, ...] = ()
    pvki: tuple[int, ...] = ()


class IssuerKeys(_Keys, frozen=True):
    """The keys behind the cards.

    `pvk` makes PVVs (`pvki` is its index), `cvk` CVV2s; from `imk_ac` derive the chips' keys, from `bdk` DUKPT's.
    These are the newest, with which new cards are made; a card or a terminal may also have one of the `older`.
    """

    pvk: bytes
    cvk: bytes
    imk_ac: bytes
    bdk: bytes
    pvki: int = 1
    older: OlderKeys = OlderKeys()

    @classmethod
    def from_table(cls, table: Mapping[str, Any], opened: KeyOpener) -> Self:
        """Read keys, of which some may be lists: the newest first, older ones after it.

        >>> keys = IssuerKeys.from_hex(dict.fromkeys(("cvk", "imk_ac", "bdk"), "00" * 16) | {
        ...     "pvk": ["02" * 16, "01" * 16], "pvki": [2, 1]})
        >>> keys.pvki, keys.older.pvk == (bytes.fromhex("01" * 16),), keys.older.pvki
        (2, True, (1,))
        """
        lists = {
            name: table[name] for name in OlderKeys.__struct_fields__ if isinstance(table.get(name), (list, tuple))
        }
        for name, values in lists.items():
            _require_one(name, values)
        keys = super().from_table({**table, **{name: values[0] for name, values in lists.items()}}, opened)
        older = {name: tuple(_value(name, {name: one}, opened) for one in values[1:]) for name, values in lists.items()}
        older.setdefault("pvki", (keys.pvki,) * len(older.get("pvk", ())))
        if len(older["pvki"]) != len(older.get("pvk", ())):
            raise KeyMalformed("pvki must be one index, or as many as there are pvk")
        return structs.replace(keys, older=OlderKeys(**older))

    def each(self) -> Iterator[tuple[str, bytes]]:
        """Go through the keys, by name; of those with one name, the newest first."""
        for name, key in super().each():
            yield name, key
            yield from ((name, one) for one in getattr(self.older, name, ()))


class VaultKeys(_Keys, frozen=True):
    """The keys of the card vault.

    `token` names cards by a keyed hash and is never changed: every card is found by that name, and every request in
    the ledger is known by it. `keys` seal: the newest does, each of them opens.
    """

    token: bytes
    keys: tuple[bytes, ...]

    @classmethod
    def from_table(cls, table: Mapping[str, Any], opened: KeyOpener) -> Self:
        """Read the key of tokens, and the keys that seal: the newest first, older ones after it."""
        _require_one("keys", table.get("keys", ()))
        token = _value("token", table, opened)
        return cls(token, tuple(_value("keys", {"keys": one}, opened) for one in table["keys"]))


class VaultKey(_Keys, frozen=True):
    """One key (32 bytes) from which those of a card vault are derived."""

    master: bytes

    def __post_init__(self) -> None:
        require_length("master", self.master)

    def each(self) -> Iterator[tuple[str, bytes]]:
        """Go through the keys that are derived, by name."""
        return VaultKeys(self.token, self.keys).each()

    @property
    def token(self) -> bytes:
        """The key that names cards."""
        return self._derived(b"authz vault: PAN token")

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The key that seals, alone."""
        return (self._derived(b"authz vault: sealing"),)

    def _derived(self, purpose: bytes) -> bytes:
        """Derive 32 bytes for one purpose (HKDF, RFC 5869)."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(self.master)


def require_length(name: str, key: bytes) -> None:
    """Check a key's length by `KEY_BYTES`. Raises `KeyMalformed`."""
    if len(key) not in KEY_BYTES[name]:
        lengths = " or ".join(str(2 * length) for length in KEY_BYTES[name])
        raise KeyMalformed(f"{name} must be {lengths} hexadecimal digits")


def hexadecimal(name: str, text: str) -> bytes:
    """Read a key from its hexadecimal digits. Raises `KeyMalformed`, which names it and shows none of it."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise KeyMalformed(f"{name} must be hexadecimal digits") from None


def masked(text: str) -> str:
    """Leave out what may be a key, or a card's number, where somebody else's message quotes what was written wrongly.

    >>> masked("unknown option 0123456789ABCDEF")
    'unknown option …'
    """
    return _MAYBE_A_KEY.sub("…", text)


def _require_one(name: str, values: Sequence[object]) -> None:
    if not values:
        raise KeyMalformed(f"{name} is an empty list: it must have a key")


def _value(name: str, table: Mapping[str, Any], opened: KeyOpener) -> Any:
    if name not in KEY_BYTES:
        return table[name]
    if name not in table:
        raise KeyMalformed(f"{name} is missing")
    return opened(name, str(table[name]))
