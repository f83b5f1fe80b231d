"""Track 2 of a card (DE 35), as ISO/IEC 7813 lays it out."""

import re
from typing import Any, Self

from msgspec import Struct

_TRACK2 = re.compile("([0-9]{12,19})[=D]([0-9]{2}(?:0[1-9]|1[0-2]))[0-9=D]*")


class Track2(Struct, frozen=True):
    """What is read of a track 2: the PAN (12 to 19 digits) and the expiry (YYMM). Its repr shows neither."""

    pan: str
    expiry: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a track whose separator is `=` or `D`. None where the PAN or a real expiry isn't there.

        >>> Track2.parse("9250100000000014D2806101123400000").expiry
        '2806'
        >>> Track2.parse("9250100000000014=2813") is None
        True
        """
        found = _TRACK2.fullmatch(text)
        return None if found is None else cls(found[1], found[2])

    def __repr__(self) -> str:
        return "Track2(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []
