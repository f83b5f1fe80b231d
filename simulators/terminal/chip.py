"""A chip in software: what is on a personalised card to prove that the card is there, and to know its issuer's answer.

Visa's cryptogram versions 10 and 18 (EMV Book 2, 8): the card's key derives from the issuer's master key by option A
for 10 and option B for 18; every cryptogram covers a counter that only rises.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from enum import IntEnum
from hmac import compare_digest

from cryptography.utils import CryptographyDeprecationWarning
from msgspec import Struct
from pyemv import tlv
from pyemv.cvn import VisaCVN10, VisaCVN18

from simulators.mistakes import Mistake

COUNTER_MAX = 0xFFFF
"""The counter (ATC) has two bytes: a chip that has reached this is dead."""
MASTER_KEY_BYTES = 16
PROFILE = bytes.fromhex("1800")
"""Tag 82, application interchange profile: holder verification, terminal risk management."""
RESULTS = bytes.fromhex("03A0B800")
"""Card verification results, in 9F10."""
ARQC = bytes.fromhex("80")
"""Tag 9F27: the cryptogram asks the issuer to decide."""
TC = bytes.fromhex("40")
"""Tag 9F27: the chip approves."""
OFFLINE_IN_A_ROW_MAX = 3
"""The chip's upper consecutive offline limit (EMV tag 9F23): then it wants its issuer's answer first."""
PIN_TRIES_MAX = 3
"""Offline, in a row (EMV tag 9F17). The issuer counts its own."""
APPROVED = b"00"
"""Response code under an ARPC of CVN 10."""
APPROVES_BIT = 0x80
"""In byte 2 of the card status update under an ARPC of CVN 18: the issuer approves."""


class MasterKeyUnfit(Mistake):
    """An issuer's master key is 32 hexadecimal digits."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class ChipSpent(Mistake):
    """The chip has counted its 65,535 transactions and makes no cryptogram any more."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class PinBlocked(Mistake):
    """The chip verifies no PIN any more."""

    def __init__(self) -> None:
        super().__init__(type(self).__doc__)


class Version(IntEnum):
    """Which of Visa's cryptograms the chip makes: its cryptogram version number."""

    CVN_10 = 10
    CVN_18 = 18


class Asked(Struct, frozen=True, kw_only=True):
    """What a terminal tells a chip of a transaction. `cents` may be 0; `kind` is DE 3's first two digits.

    `currency` and `country` (the terminal's) are three digits, `unpredictable` four random bytes, `results` the five
    of what the terminal verified.
    """

    cents: int
    currency: str
    day: date
    kind: str
    country: str
    unpredictable: bytes
    results: bytes = bytes(5)

    @property
    def tags(self) -> dict[str, bytes]:
        """The same as EMV's data objects."""
        return {
            "9F02": bytes.fromhex(f"{self.cents:012}"),
            "9F03": bytes(6),
            "9F1A": bytes.fromhex(f"{self.country:0>4}"),
            "95": self.results,
            "5F2A": bytes.fromhex(f"{self.currency:0>4}"),
            "9A": bytes.fromhex(f"{self.day:%y%m%d}"),
            "9C": bytes.fromhex(self.kind),
            "9F37": self.unpredictable,
        }


class Chip:
    """One card's chip, personalised from an issuer's master key (32 hexadecimal digits). Its repr shows none of it.

    `issuer_key` None: a chip whose keys nobody here knows. It makes no cryptograms (DE 55 stays empty), and does all
    else. `sequence` is the card's number among those with the same PAN, 0 to 99. `counter` is its transaction counter:
    how many cryptograms it has made. `pin` is what it verifies offline; `products` are the vouchers that it lists.
    """

    def __init__(
        self,
        issuer_key: str | None,
        pan: str,
        *,
        sequence: int = 1,
        version: Version = Version.CVN_18,
        counter: int = 0,
        pin: str | None = None,
        products: tuple[str, ...] = (),
    ) -> None:
        self.sequence = sequence
        self.counter = counter
        self.products = products
        self.pin_tries_left = PIN_TRIES_MAX
        self._version = version
        self._pin = pin
        self._offline_in_a_row = 0
        self._open: bytes | None = None
        self._keys = None if issuer_key is None else _personalised(issuer_key, pan, sequence, version)

    def __repr__(self) -> str:
        return f"Chip({self._version.name}, {self.counter})"

    def answer(self, asked: Asked) -> str | None:
        """Ask the issuer to decide (an ARQC): DE 55, upper-case hexadecimal. Raises `ChipSpent`."""
        return self._cryptogram(asked, ARQC)

    @property
    def may_approve(self) -> bool:
        """Whether it would approve offline: not too often in a row without a word from its issuer."""
        return self._offline_in_a_row < OFFLINE_IN_A_ROW_MAX

    def approve(self, asked: Asked) -> str | None:
        """Approve offline (a TC): DE 55, upper-case hexadecimal. Raises `ChipSpent`."""
        self._offline_in_a_row += 1
        return self._cryptogram(asked, TC)

    def verify(self, pin: str) -> bool:
        """Compare a PIN typed at the terminal with the chip's own (EMV Book 3, 6.5.12). Raises `PinBlocked`."""
        if self._pin is None or not self.pin_tries_left:
            raise PinBlocked
        right = compare_digest(pin.encode(), self._pin.encode())
        self.pin_tries_left = PIN_TRIES_MAX if right else self.pin_tries_left - 1
        return right

    def heard(self) -> None:
        """Learn that its issuer answered: it may approve offline again."""
        self._offline_in_a_row = 0

    def _cryptogram(self, asked: Asked, kind: bytes) -> str | None:
        if self._keys is None:
            return None
        if self.counter >= COUNTER_MAX:
            raise ChipSpent
        self.counter += 1
        application_data = bytes([6, 1, self._version]) + RESULTS
        covered = asked.tags | {"82": PROFILE, "9F36": self.counter.to_bytes(2)}
        arguments = {f"tag_{tag.lower()}": value for tag, value in covered.items()}
        with _short_keys():
            if isinstance(self._keys, VisaCVN10):
                self._open = self._keys.generate_ac(**arguments, cvr=RESULTS)
            else:
                self._open = self._keys.generate_ac(**arguments, tag_9f10=application_data)
        own = {"9F26": self._open, "9F27": kind, "9F10": application_data, "5F34": bytes.fromhex(f"{self.sequence:02}")}
        return tlv.encode(own | covered).hex().upper()

    def accepts(self, response: str | None) -> bool:
        """Tell whether DE 55 of a reply proves that the issuer approves; of one cryptogram, the latest, and once."""
        arqc, self._open = self._open, None
        if arqc is None or response is None or self._keys is None:
            return False
        try:
            authentication = tlv.decode(bytes.fromhex(response), flatten=True).get("91", b"")
        except ValueError:
            return False
        with _short_keys():
            if isinstance(self._keys, VisaCVN10):
                arpc, approves = authentication[:8], authentication[8:] == APPROVED
                expected = self._keys.generate_arpc(arqc, APPROVED)
            else:
                arpc, status = authentication[:4], authentication[4:]
                approves = len(status) == 4 and bool(status[1] & APPROVES_BIT)
                expected = self._keys.generate_arpc(arqc, self.counter.to_bytes(2), status) if approves else b""
        return approves and compare_digest(arpc, expected)


def _personalised(issuer_key: str, pan: str, sequence: int, version: Version) -> VisaCVN10 | VisaCVN18:
    try:
        key = bytes.fromhex(issuer_key)
    except ValueError:
        raise MasterKeyUnfit from None
    if len(key) != MASTER_KEY_BYTES:
        raise MasterKeyUnfit
    keys = VisaCVN10 if version is Version.CVN_10 else VisaCVN18
    with _short_keys():
        return keys(key, key, key, pan, f"{sequence:02}")


@contextmanager
def _short_keys() -> Iterator[None]:
    """Cryptography announces the end of the short keys that pyemv gives it; its version is pinned until then."""
    with warnings.catch_warnings(action="ignore", category=CryptographyDeprecationWarning):
        yield
