"""What a field's text must mean where its characters and its length don't say it, and which fields must agree."""

from collections.abc import Callable, Mapping
from typing import Any

from authz.wire.message import Elements
from authz.wire.track2 import Track2

Flaw = tuple[int, str]
"""The number of a field, and what is expected of it."""
Reader = Callable[[str], str | Elements | None]
"""Gives the value of a text that has the field's characters and length; None: it has none."""


def _track2(text: str) -> str | None:
    return text if Track2.parse(text) else None


def _replacement(text: str) -> str | None:
    return text if text[:12].isdigit() else None


MEANINGS: Mapping[int, tuple[Reader, str]] = {
    35: (_track2, ": PAN, separator, expiry"),
    48: (Elements.parse, ": elements of two letters, three digits of length, and a value of the tag's kind"),
    95: (_replacement, ", the first 12 of them digits"),
}
"""By number: the reader, and what is to be said of it after the characters that are expected."""


def contradiction(values: dict[str, Any]) -> Flaw | None:
    """Find what track 2 contradicts among a message's values. The field that is to blame leaves them."""
    track2 = Track2.parse(values.get("track2", ""))
    if track2 is None:
        return None
    if values.get("pan", track2.pan) != track2.pan:
        del values["track2"]
        return 35, "the PAN of DE 2 expected"
    if values.get("expiry", track2.expiry) != track2.expiry:
        del values["expiry"]
        return 14, "the expiry of track 2 expected"
    return None
