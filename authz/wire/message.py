"""An ISO 8583 message as a typed value: content-checked texts, one attribute a field that this project uses."""

import re
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import astuple

from authz.wire.track2 import Track2


class Elements(Struct, frozen=True, kw_only=True, gc=False):
    """The elements of DE 48 (tag, three-digit length, value). Holds secrets: its repr shows none."""

    cvv2: str | None = None
    """`CV`"""
    takes_partial: str | None = None
    """`PA`, 1: the terminal takes partial approvals."""
    key_block: str | None = None
    """`KB`, a TR-31 key block."""
    key_check: str | None = None
    """`KC`, a key check value."""
    key_serial: str | None = None
    """`KS`, a DUKPT key serial number."""
    tries_left: str | None = None
    """`TR`, in replies: PIN tries left."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read DE 48; unknown tags are passed over. None: a length or value is wrong, or a tag comes twice.

        >>> elements = Elements.parse("PA0011" "XY004word")
        >>> elements.takes_partial, elements.cvv2
        ('1', None)
        >>> Elements.parse("CV00212") is None
        True
        """
        values: dict[str, str] = {}
        start = 0
        while start < len(text):
            head = _ELEMENT_HEAD.match(text, start)
            if head is None or head[1] in values:
                return None
            start = head.end() + int(head[2])
            values[head[1]] = text[head.end() : start]
        if start > len(text):
            return None
        known = {name: values[tag] for tag, name in _TAGS.items() if tag in values}
        return cls(**known) if all(_VALUES[tag](value) for tag, value in values.items() if tag in _VALUES) else None

    @property
    def text(self) -> str:
        """DE 48, as it is sent.

        >>> Elements(takes_partial="1", tries_left="2").text
        'PA0011TR0012'
        """
        values = zip(_TAGS, astuple(self), strict=True)
        return "".join([f"{tag}{len(value):03}{value}" for tag, value in values if value is not None])

    def __repr__(self) -> str:
        return "Elements(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


_ELEMENT_HEAD = re.compile("([A-Za-z]{2})([0-9]{3})")
_TAGS = {
    "CV": "cvv2",
    "PA": "takes_partial",
    "KB": "key_block",
    "KC": "key_check",
    "KS": "key_serial",
    "TR": "tries_left",
}
_VALUES = {
    "CV": re.compile("[0-9]{3}").fullmatch,
    "PA": re.compile("[ -~]").fullmatch,
    "KB": re.compile("[ -~]+").fullmatch,
    "KC": re.compile("[0-9A-Fa-f]+").fullmatch,
    "KS": re.compile("[0-9A-Fa-f]+").fullmatch,
    "TR": re.compile("[0-9]+").fullmatch,
}


class Message(Struct, frozen=True, kw_only=True, gc=False):
    """One message. Texts are as received, fixed-length ones with their padding; None: the field is absent.

    Attributes stand in the order in which a frame has them.
    Its repr names the fields that are there and shows the content of none.
    """

    header: str | None = None
    """The TPDU in front of the MTI, 10 hexadecimal digits; None in dialects without one."""
    mti: str
    pan: str | None = None
    processing_code: str | None = None
    amount: str | None = None
    transmitted: str | None = None
    trace: str | None = None
    local_time: str | None = None
    local_date: str | None = None
    expiry: str | None = None
    settlement_date: str | None = None
    entry_mode: str | None = None
    card_sequence: str | None = None
    acquirer: str | None = None
    track2: str | None = None
    retrieval_reference: str | None = None
    approval: str | None = None
    response_code: str | None = None
    terminal: str | None = None
    merchant: str | None = None
    reason: str | None = None
    elements: Elements | None = None
    currency: str | None = None
    pin_block: str | None = None
    balances: str | None = None
    chip: str | None = None
    settlement_code: str | None = None
    network_code: str | None = None
    credits_number: str | None = None
    credits_reversal_number: str | None = None
    debits_number: str | None = None
    debits_reversal_number: str | None = None
    credits_amount: str | None = None
    credits_reversal_amount: str | None = None
    debits_amount: str | None = None
    debits_reversal_amount: str | None = None
    original: str | None = None
    replacement: str | None = None
    net_amount: str | None = None
    mac: str | None = None
    unused: tuple[tuple[int, int], ...] = ()
    """Known fields that came and that nothing reads: number and length."""

    @property
    def card_number(self) -> str | None:
        """The PAN: DE 2, or track 2's."""
        if self.pan is not None or self.track2 is None:
            return self.pan
        track2 = Track2.parse(self.track2)
        return None if track2 is None else track2.pan

    @property
    def card_expiry(self) -> str | None:
        """The card's expiry, YYMM: DE 14, or track 2's."""
        if self.expiry is not None or self.track2 is None:
            return self.expiry
        track2 = Track2.parse(self.track2)
        return None if track2 is None else track2.expiry

    def __repr__(self) -> str:
        return f"Message({self.mti}: {', '.join(self._present)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("mti", self.mti), *((name, ...) for name in self._present)]

    @property
    def _present(self) -> list[str]:
        return [name for name in self.__struct_fields__ if name != "mti" and getattr(self, name)]


ATTRIBUTES = {
    2: "pan",
    3: "processing_code",
    4: "amount",
    7: "transmitted",
    11: "trace",
    12: "local_time",
    13: "local_date",
    14: "expiry",
    15: "settlement_date",
    22: "entry_mode",
    23: "card_sequence",
    32: "acquirer",
    35: "track2",
    37: "retrieval_reference",
    38: "approval",
    39: "response_code",
    41: "terminal",
    42: "merchant",
    44: "reason",
    48: "elements",
    49: "currency",
    52: "pin_block",
    54: "balances",
    55: "chip",
    64: "mac",
    66: "settlement_code",
    70: "network_code",
    74: "credits_number",
    75: "credits_reversal_number",
    76: "debits_number",
    77: "debits_reversal_number",
    86: "credits_amount",
    87: "credits_reversal_amount",
    88: "debits_amount",
    89: "debits_reversal_amount",
    90: "original",
    95: "replacement",
    97: "net_amount",
    128: "mac",
}
"""Field numbers of a message's attributes. The MAC is DE 64, or DE 128 where there are fields above 64."""
