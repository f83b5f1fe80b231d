"""What a reversal or completion says of its original: DE 90 and DE 95."""

from typing import Self

from msgspec import Struct

ORIGINAL_DIGITS = 31
"""Of the 42 digits of DE 90, those before the original's DE 33."""


class OriginalElements(Struct, frozen=True):
    """DE 90: the original's MTI, trace number (DE 11), transmission time (DE 7) and acquirer (DE 32).

    The acquirer is 11 digits, right-justified, zero-filled: compare it with `DE 32.zfill(11)`.
    The original's DE 33, which stands behind, isn't compared and isn't kept.
    """

    mti: str
    trace: str
    transmitted: str
    acquirer: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the 42 digits of a message's `original`.

        >>> OriginalElements.parse("0200" "000042" "0512103000" "00000970001" "00000000000").acquirer
        '00000970001'
        """
        return cls(text[:4], text[4:10], text[10:20], text[20:31])

    @property
    def text(self) -> str:
        """DE 90, as it is sent, without a DE 33.

        >>> len(OriginalElements("0200", "000042", "0512103000", "970001").text)
        42
        """
        return f"{self.mti}{self.trace}{self.transmitted}{self.acquirer:>011}{'':011}"


def amount_that_stands(replacement: str) -> int:
    """Read the amount (cents) that a partial reversal lets stand: the first 12 digits of a message's `replacement`.

    >>> amount_that_stands("000000001250" + "0" * 30)
    1250
    """
    return int(replacement[:12])
