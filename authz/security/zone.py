"""The keys of one link in use: each may be changed while messages under the old one are still on their way."""

from collections.abc import Callable
from hmac import compare_digest
from typing import Generic, TypeVar

from authz.security.keys import ZoneKeys
from authz.security.mac import RetailMac
from authz.security.module import OLD_KEY_HONOURED_S, ZoneKeyUsage
from authz.security.pin import PinBlocks

T = TypeVar("T")


class Succession(Generic[T]):
    """What is made of a key of a link: of the newest and, for `OLD_KEY_HONOURED_S`, of the one before it.

    `make` makes it, `clock` counts seconds.
    """

    __slots__ = ("_clock", "_honoured", "_key", "_make", "_until")

    def __init__(self, key: bytes, make: Callable[[bytes], T], clock: Callable[[], float]) -> None:
        self._key = key
        self._make = make
        self._clock = clock
        self._honoured: tuple[T, ...] = (make(key),)
        self._until = 0.0

    @property
    def newest(self) -> T:
        """What is made of the newest key."""
        return self._honoured[0]

    def honoured(self) -> tuple[T, ...]:
        """What is made of every key that is honoured now, the newest first."""
        if len(self._honoured) > 1 and self._clock() >= self._until:
            self._honoured = self._honoured[:1]
        return self._honoured

    def change(self, key: bytes) -> None:
        """Let another key follow; the key in use changes nothing."""
        self._follow(key, (self.newest,))

    def restore(self, key: bytes) -> None:
        """Let another key stand alone; the key in use changes nothing."""
        self._follow(key, ())

    def _follow(self, key: bytes, before: tuple[T, ...]) -> None:
        if compare_digest(key, self._key):
            return
        self._key = key
        self._honoured = (self._make(key), *before)
        self._until = self._clock() + OLD_KEY_HONOURED_S


class Zone:
    """One link's keys, each for what it is for."""

    __slots__ = ("macs", "pin_blocks", "zmk")

    def __init__(self, keys: ZoneKeys, pin_length: int, clock: Callable[[], float]) -> None:
        self.pin_blocks = Succession(keys.zpk, lambda zpk: PinBlocks(zpk, pin_length), clock)
        self.macs = Succession(keys.zak, RetailMac, clock)
        self.zmk = keys.zmk

    def succession(self, usage: ZoneKeyUsage) -> Succession[PinBlocks] | Succession[RetailMac]:
        """Find what a key of that usage changes."""
        return self.pin_blocks if usage is ZoneKeyUsage.PIN else self.macs
