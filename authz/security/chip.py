"""Cryptograms of chip cards: the ARQC in DE 55 verified, the ARPC that answers it made.

Visa's cryptogram versions 10 and 18, which byte 3 of the issuer application data (9F10) tells apart. EMV Book 2,
annex A1: MAC by ISO 9797-1 algorithm 3; card keys by option A (10), from the last 16 digits of PAN and sequence
number, or by option B (18), which for PANs of more than 16 digits takes their SHA-1 instead.
"""

import re
import warnings
from collections.abc import Mapping
from hmac import compare_digest
from typing import Final, NamedTuple

from cryptography.utils import CryptographyDeprecationWarning
from pyemv import ac, kd, tlv

from authz.security.module import ChipFinding

CHIP_DIGITS_MAX = 999
"""What DE 55 can carry."""

_COVERED: Final = {
    "9F02": 6,
    "9F03": 6,
    "9F1A": 2,
    "95": 5,
    "5F2A": 2,
    "9A": 3,
    "9C": 1,
    "9F37": 4,
    "82": 2,
    "9F36": 2,
}
"""Tags in the order in which a cryptogram covers them, with their lengths in bytes.

The cryptogram covers values without their boundaries: only fixed lengths keep one from passing into the next.
"""
_APPLICATION_DATA_BYTES = range(7, 33)
_APPROVED = b"00"
"""ARPC response code: the issuer approves."""
_STATUS_UPDATE = bytes.fromhex("00800000")
"""Card status update: the issuer approves, counters stay as they are (EMV Common Core Definitions)."""
NOT_RIGHT = ChipFinding(right=False, counter=0)
"""Wrong, missing or ill-formed: the finding doesn't say which."""


class _Answer(NamedTuple):
    """The cryptogram that a genuine card would have sent, and tag 91 that answers it."""

    expected: bytes
    authentication: bytes


class ChipVerification:
    """Verifies cryptograms of cards whose keys derive from one issuer master key."""

    __slots__ = ("_master",)

    def __init__(self, imk_ac: bytes) -> None:
        self._master = imk_ac

    def verify(self, pan: str, sequence: str, chip: str, amount: str, currency: str) -> ChipFinding:
        """Verify the ARQC of `chip` (DE 55, hexadecimal) over the amount and currency of the message too.

        `sequence` is DE 23; where it is empty 5F34 counts, else 00. Whatever is missing or ill-formed isn't right.
        """
        tags = _tags(chip)
        if tags is None or not re.fullmatch("[0-9]{12,19}", pan):
            return NOT_RIGHT
        sequence = sequence or tags.get("5F34", b"").hex() or "00"
        if not re.fullmatch("0?[0-9]{1,2}", sequence):
            return NOT_RIGHT
        if (tags["9F02"].hex(), tags["5F2A"].hex()) != (amount.zfill(12), currency.zfill(4)):
            return NOT_RIGHT
        # cryptography announces the end of the short keys that pyemv gives it; its version is pinned until then.
        with warnings.catch_warnings(action="ignore", category=CryptographyDeprecationWarning):
            answer = self._answer(pan, f"{int(sequence):02}", tags)
        if answer is None or not compare_digest(answer.expected, tags["9F26"]):
            return NOT_RIGHT
        response = tlv.encode({"91": answer.authentication}).hex().upper()
        return ChipFinding(right=True, counter=int.from_bytes(tags["9F36"]), response=response)

    def _answer(self, pan: str, sequence: str, tags: Mapping[str, bytes]) -> _Answer | None:
        """Compute both cryptograms; None for a version that isn't known here."""
        covered = b"".join(tags[tag] for tag in _COVERED)
        application_data, arqc = tags["9F10"], tags["9F26"]
        match application_data[2]:
            case 10:
                key = kd.derive_icc_mk_a(self._master, pan, sequence)
                expected = ac.generate_ac(key, covered + application_data[3:7], ac.PaddingType.VISA)
                return _Answer(expected, ac.generate_arpc_1(key, arqc, _APPROVED) + _APPROVED)
            case 18:
                card = kd.derive_icc_mk_b(self._master, pan, sequence)
                key = kd.derive_common_sk(card, tags["9F36"] + bytes(6))
                expected = ac.generate_ac(key, covered + application_data, ac.PaddingType.EMV)
                return _Answer(expected, ac.generate_arpc_2(key, arqc, _STATUS_UPDATE) + _STATUS_UPDATE)
        return None


def _tags(chip: str) -> Mapping[str, bytes] | None:
    """Parse DE 55; None unless every tag that a cryptogram needs is there in its length.

    What isn't the same bytes when it is encoded again could be read in two ways: a tag comes twice or inside another,
    or a length is written longer than it need be.
    """
    if len(chip) > CHIP_DIGITS_MAX:
        return None
    try:
        data = bytes.fromhex(chip)
        tags = tlv.decode(data, flatten=True)
        if tlv.encode(tags) != data:
            return None
    except ValueError:
        return None
    lengths = {tag: len(value) for tag, value in tags.items()}
    if lengths.get("9F10") not in _APPLICATION_DATA_BYTES:
        return None
    return tags if lengths | _COVERED | {"9F26": 8} == lengths else None
