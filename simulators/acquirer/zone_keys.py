"""The keys of a link at the acquirer's end: PIN blocks are translated, MACs made and checked, keys changed.

No PIN is ever opened here: its block, the same in both zones, is deciphered under one key and enciphered under another.
A key of the link leaves this module only as a TR-31 key block under the `zmk`, on the wire as on disk.
"""

import time
from collections.abc import Callable
from hmac import compare_digest
from typing import Any

from msgspec import Struct

from authz.security import keyblock
from authz.security.keys import KEY_BYTES, KeyMalformed, hexadecimal, require_length
from authz.security.mac import RetailMac
from authz.security.module import KeyBlockRefused, ZoneKeyUsage
from authz.security.tdes import TripleDes
from authz.security.zone import Succession
from simulators.mistakes import Mistake

_LENGTHS_OF = {"terminal_pin_key": "zpk", "zone_pin_key": "zpk", "mac_key": "zak", "zmk": "zmk"}
"""The name in `KEY_BYTES` under which the lengths of a configured key stand."""


class KeyUnfit(Mistake):
    """A key of the configuration isn't hexadecimal, or hasn't a length that its use allows."""


class KeyNotHeld(Mistake):
    """A key is to be changed that the link doesn't have, or without the zmk that new keys travel under."""


class KeyBlockUnfit(Mistake):
    """A key block on disk doesn't open under the configured zmk: give the zmk that it was made under."""


class GivenKeys(Struct, frozen=True, kw_only=True):
    """The keys that a host begins with, in hexadecimal, as its configuration has them. Its repr shows none.

    `terminal_pin_key` enciphers the PIN blocks of terminals, `zone_pin_key` those of the link, `mac_key` makes the
    link's MACs (None: messages bear none), and new keys travel under the `zmk` (None: keys can't be changed).
    """

    terminal_pin_key: str
    zone_pin_key: str
    mac_key: str | None = None
    zmk: str | None = None

    def key(self, name: str) -> bytes | None:
        """Read one of them by its name here. Raises `KeyUnfit`, which names it and shows none of it."""
        text = getattr(self, name)
        if text is None:
            return None
        like = _LENGTHS_OF[name]
        try:
            key = hexadecimal(name, text)
            require_length(like, key)
        except KeyMalformed:
            digits = " or ".join(str(2 * length) for length in KEY_BYTES[like])
            raise KeyUnfit(f"{name}: {digits} hexadecimal digits expected") from None
        return key

    def __repr__(self) -> str:
        return "GivenKeys(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class NewKey(Struct, frozen=True):
    """A new key on its way: what it is for, its TR-31 block under the link's `zmk`, and its check value."""

    usage: ZoneKeyUsage
    block: str
    check_value: str

    def __repr__(self) -> str:
        return f"NewKey({self.usage.name}, {self.check_value})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        return [("usage", self.usage.name), ("check_value", self.check_value)]


class KeyRing:
    """One link's keys in use. `clock` counts seconds: replies under the key before are taken for 60 s.

    Raises `KeyUnfit` where a given key can't be used.
    """

    def __init__(self, given: GivenKeys, clock: Callable[[], float] = time.monotonic) -> None:
        terminals, zone = given.key("terminal_pin_key"), given.key("zone_pin_key")
        assert terminals is not None
        assert zone is not None
        self._terminals = TripleDes(terminals)
        self._zone = TripleDes(zone)
        mac_key = given.key("mac_key")
        self._macs = None if mac_key is None else Succession(mac_key, RetailMac, clock)
        self._zmk = given.key("zmk")
        self._proposed: RetailMac | None = None

    def __repr__(self) -> str:
        return "KeyRing(…)"

    @property
    def makes_macs(self) -> bool:
        """Whether the messages of this link bear MACs."""
        return self._macs is not None

    @property
    def changes_keys(self) -> bool:
        """Whether new keys can be given: there is a key that they travel under."""
        return self._zmk is not None

    def translate(self, pin_block: str) -> str:
        """Take a PIN block (16 hexadecimal digits) from the terminals' zone to the link's, its PIN unopened."""
        return self._zone.encrypt(self._terminals.decrypt(bytes.fromhex(pin_block))).hex().upper()

    def of(self, covered: bytes) -> str:
        """Make the MAC of a request, under the newest key."""
        assert self._macs is not None
        return self._macs.newest.of(covered)

    def are_right(self, mac: str, covered: bytes) -> bool:
        """Tell whether a MAC is right under a key that is honoured now, or under one that is being given."""
        assert self._macs is not None
        honoured = (*self._macs.honoured(), *(() if self._proposed is None else (self._proposed,)))
        return any(compare_digest(macs.of(covered), mac.upper()) for macs in honoured)

    def propose(self, usage: ZoneKeyUsage) -> NewKey:
        """Make a new key to be given to the other end; it isn't in use yet. Raises `KeyNotHeld`."""
        if self._zmk is None:
            raise KeyNotHeld("keys can't be changed without a zmk: put it in the configuration")
        if usage is ZoneKeyUsage.MAC and self._macs is None:
            raise KeyNotHeld("this link's messages bear no MAC: it has no MAC key to change")
        name = "zpk" if usage is ZoneKeyUsage.PIN else "zak"
        key = keyblock.generate(name)
        return NewKey(usage, keyblock.wrap(self._zmk, usage, key), keyblock.check_value(key))

    def await_answer(self, new: NewKey) -> None:
        """Take replies under a MAC key that the other end may have by now. Raises `KeyBlockUnfit`."""
        if new.usage is ZoneKeyUsage.MAC:
            self._proposed = RetailMac(self._opened(new.block))

    def adopt(self, new: NewKey) -> None:
        """Use a key that the other end has taken. Raises `KeyBlockUnfit`."""
        key = self._opened(new.block)
        if new.usage is ZoneKeyUsage.PIN:
            self._zone = TripleDes(key)
        elif self._macs is not None:
            self._proposed = None
            self._macs.change(key)

    def _opened(self, block: str) -> bytes:
        if self._zmk is None:
            raise KeyBlockUnfit(KeyBlockUnfit.__doc__)
        try:
            _, key = keyblock.unwrap(self._zmk, block)
        except KeyBlockRefused:
            raise KeyBlockUnfit(KeyBlockUnfit.__doc__) from None
        return key
