"""The security module: everything that touches a key, behind one interface that a hardware module could stand behind.

Methods are asynchronous, for a hardware module is reached over a network. What goes in may be secret; what comes
out never is, but for what makes a card (`card_verification`, `pin_mailer`), and no error of a module holds any of it.
"""

from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

OLD_KEY_HONOURED_S = 60
"""How long a key of a link is still honoured after another has taken its place."""


class SecurityError(Exception):
    """The security module could not do what was asked."""


class SecurityUnavailable(SecurityError):
    """The security module doesn't answer: nothing was verified, and nothing may be decided."""


class KeyMissing(SecurityError):
    """No such key is loaded."""


class Sealed(SecurityError):
    """What was sealed can't be opened: another key, another context, or altered."""


class Malformed(SecurityError):
    """An argument isn't of the form that the interface asks for. The message names it and shows none of it."""


class PinUnknown(SecurityError):
    """The PIN isn't the card's natural one, and can't be found again from what is kept of it: make a new card."""


class PinGarbled(SecurityError):
    """A PIN block holds no PIN of that card: another key, another number, or a PIN of another form or length."""


class KeyBlockRefused(SecurityError):
    """A key block doesn't open, or what is in it isn't a key that a link may change. The message says which."""


class PinFinding(StrEnum):
    """What a PIN block turned out to hold."""

    RIGHT = "right"
    WRONG = "wrong"
    GARBLED = "garbled"
    """No valid format for this PAN, or a PIN of another length than the card's."""


class PinMethod(StrEnum):
    """How what an issuer keeps of a PIN is made."""

    PVV = "pvv"
    """Visa's PIN verification value: four digits, made of the PIN's first four."""
    IBM_3624 = "ibm3624"
    """The IBM 3624 offset: as many digits as the PIN has, all of which it covers."""


class PinCheck(Struct, frozen=True, gc=False):
    """What an issuer keeps to verify a PIN: digits, and how they were made. Its repr shows no digit."""

    method: PinMethod
    value: str

    def __repr__(self) -> str:
        return f"PinCheck({self.method}, …)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("method", self.method)]


class CardDigits(Struct, frozen=True, gc=False):
    """What a card bears to be verified by: in its stripe, in its chip, and printed on it. Its repr shows no digit."""

    service_code: str
    cvv: str
    icvv: str
    cvv2: str

    def __repr__(self) -> str:
        return "CardDigits(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class ChipFinding(Struct, frozen=True, gc=False):
    """What a chip's cryptogram turned out to be.

    `counter` is its ATC, 0 where the cryptogram isn't right: then nothing vouches for it. `response` is DE 55 for
    the reply (hexadecimal): it tells the card that the issuer approves, so a reply that declines leaves it out.
    """

    right: bool
    counter: int
    response: str | None = None


class ZoneKeyUsage(StrEnum):
    """What a key is for that a link may change, by its name in TR-31."""

    PIN = "P0"
    """The zone PIN key: encrypts PIN blocks."""
    MAC = "M3"
    """The MAC key, for ISO/IEC 9797-1 algorithm 3."""


class ImportedKey(Struct, frozen=True, gc=False):
    """A link's new key, as it may be kept: only the module that imported it can open it. Its repr shows no key.

    `check_value` is six upper-case hexadecimal digits, by which both ends compare the key without showing it;
    `sealed` opens for its link and usage alone.
    """

    usage: ZoneKeyUsage
    check_value: str
    sealed: bytes

    def __repr__(self) -> str:
        return f"ImportedKey({self.usage}, {self.check_value})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("usage", self.usage), ("check_value", self.check_value)]


class SecurityModule(Protocol):
    """What an authorizer asks of its security module. `zone` names the link whose keys are meant: its acquirer id.

    Requests are asked about side by side, so a module across a network may gather them. One that doesn't answer in its
    own patience raises `SecurityUnavailable` from any of its methods: the request is then answered 91.
    """

    async def verify_pin(
        self, zone: str, pin_block: str, pan: str, check: PinCheck, key_serial: str | None = None
    ) -> PinFinding:
        """Verify a PIN block (16 hexadecimal digits, ISO format 0 or 3) against what is kept of the PIN.

        It is under the zone PIN key or, where a `key_serial` (20 hexadecimal digits) came with it, under that key of
        a terminal with a key for each transaction (TDES DUKPT). Raises `KeyMissing`.
        """

    async def verify_cvv2(self, pan: str, expiry: str, cvv2: str) -> bool:
        """Verify the three digits printed on a card whose expiry is YYMM."""

    async def verify_cryptogram(self, pan: str, sequence: str, chip: str, amount: str, currency: str) -> ChipFinding:
        """Verify the ARQC in DE 55 (hexadecimal), over the amount and currency of the message too; make the ARPC.

        `sequence` is DE 23, or empty: then the chip's own counts (5F34), else 00.
        """

    async def verify_mac(self, zone: str, covered: bytes, mac: str) -> bool:
        """Verify a MAC (16 upper-case hexadecimal digits) over the bytes it covers. Raises `KeyMissing`."""

    async def make_mac(self, zone: str, covered: bytes) -> str:
        """Make a MAC over these bytes, under the link's newest MAC key. Raises `KeyMissing`."""

    async def import_key(self, zone: str, block: str) -> ImportedKey:
        """Open a TR-31 key block under the link's `zmk`. The key doesn't come into use: first it is kept.

        Raises `KeyBlockRefused` and `KeyMissing`.
        """

    async def use_key(self, zone: str, key: ImportedKey) -> None:
        """Change a key of a link: from now on this is it, and the one before is honoured for `OLD_KEY_HONOURED_S`.

        While it is, a PIN block that is garbled under the new key is tried under the old one, and so is a MAC that
        is wrong. The key before that isn't honoured any longer. The key in use, imported again, changes nothing.
        Raises `KeyMissing` and `Sealed`.
        """

    async def restore_key(self, zone: str, key: ImportedKey) -> None:
        """Put a kept key back into use, at the start: no other is honoured beside it.

        What it replaces is the configuration's key, which may have been given up years ago and for a reason, and
        what was in use before a restart can't be told from it: so the restart ends an old key's time. The key in
        use, restored again, changes nothing. Raises `KeyMissing` and `Sealed`.
        """

    async def make_pin_check(self, method: PinMethod, pan: str, pin: str) -> PinCheck:
        """Make what is to be kept of a PIN. Raises `Malformed`."""

    async def make_block_check(self, method: PinMethod, zone: str, pin_block: str, pan: str) -> PinCheck:
        """Make what is to be kept of the PIN in a block (16 hexadecimal digits, ISO format 0 or 3), unseen by anybody.

        It is under the link's zone PIN key: how cards with their holders' PINs come from another issuer's processor.
        Raises `KeyMissing`, `PinGarbled` and `Malformed`.
        """

    async def make_natural_check(self, method: PinMethod, pan: str) -> PinCheck:
        """Make what is to be kept of a new card's PIN, its natural one (IBM 3624), which doesn't leave the module.

        Raises `Malformed`.
        """

    async def pin_mailer(self, pan: str, check: PinCheck) -> str:
        """Find the PIN of a card made with its natural one, to be mailed: nowhere is it kept.

        Raises `PinUnknown` where `check` is of another PIN, and `Malformed`.
        """

    async def make_cvv2(self, pan: str, expiry: str) -> str:
        """Make the three digits for a card whose expiry is YYMM."""

    async def card_verification(self, pan: str, expiry: str) -> CardDigits:
        """Make all digits that a card with this expiry (YYMM) is to bear. Raises `Malformed`."""

    def token(self, named: str) -> bytes:
        """Name a PAN by a keyed hash (32 bytes): the same for the same PAN, useless without the key.

        Anything else is named in words: the kind in lower-case letters, a space, and what it is (`person …`). Raises
        `Malformed`.
        """

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt and authenticate; `context` must be the same at opening."""

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """Open what `seal` made. Raises `Sealed` where it doesn't open."""
