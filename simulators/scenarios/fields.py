"""Where in a message something stands, as scenarios write it: `39`, `48.TR`, `54.90.02`, `mti`, `mac`, `arpc`.

| address      | what it is                                                                             |
|--------------|----------------------------------------------------------------------------------------|
| `39`         | a field, by its number, as it was received                                             |
| `48.TR`      | an element of DE 48, by its tag                                                        |
| `54.90.02`   | an amount of DE 54 in cents, by product and kind: `02` available, `20` left of the cap |
| `mti`        | the message type                                                                       |
| `mac`        | `right` or `wrong`: whether the reply's MAC is the link's                              |
| `arpc`       | `right` or `wrong`: whether the chip takes the reply's DE 55 for its issuer's approval |
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from authz.wire.amounts import parse_amounts
from authz.wire.message import ATTRIBUTES, Elements, Message
from simulators.decoded import ELEMENTS, MASK, NAMES, SECRET_ELEMENTS, shown
from simulators.mistakes import Mistake

MTI, MAC, ARPC = "mti", "mac", "arpc"
PROOFS = (MAC, ARPC)
"""Addresses of what has to be worked out, and doesn't stand in the message."""
_ELEMENTS_FIELD, _AMOUNTS_FIELD = 48, 54
_AMOUNT = re.compile("([0-9]{2})[.]([0-9A-Z]{2})", re.ASCII)
_ATTRIBUTES_BY_TAG = {tag: attribute for attribute, (tag, _) in ELEMENTS.items()}

Proofs = Mapping[str, str]
"""What was worked out of a reply, by address."""


class AddressInvalid(Mistake):
    """A field's address can't be understood: it is one such as 39, 48.TR, 54.90.02, mti, mac or arpc."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address!r}: an address of a field is one such as 39, 48.TR, 54.90.02, mti, mac or arpc")


class Address(Struct, frozen=True):
    """A field (0: none of the message's), and the part of it that is meant; `""`: all of it."""

    field: int
    part: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read an address. Raises `AddressInvalid`.

        >>> Address.parse("54.90.02")
        Address(field=54, part='90.02')
        """
        if text in (MTI, *PROOFS):
            return cls(0, text)
        number, _, part = text.partition(".")
        field = int(number) if number.isascii() and number.isdigit() and number == str(int(number)) else 0
        parts = {
            _ELEMENTS_FIELD: part in _ATTRIBUTES_BY_TAG,
            _AMOUNTS_FIELD: _AMOUNT.fullmatch(part) is not None,
        }
        if field not in ATTRIBUTES or (("." in text) and not parts.get(field, False)):
            raise AddressInvalid(text)
        return cls(field, part)

    def __str__(self) -> str:
        return ".".join(filter(None, (str(self.field or ""), self.part)))

    @property
    def name(self) -> str:
        """What the field is called.

        >>> Address.parse("39").name, Address.parse("48.TR").name
        ('Response Code', 'PIN tries left')
        """
        if self.field == _ELEMENTS_FIELD and self.part:
            return ELEMENTS[_ATTRIBUTES_BY_TAG[self.part]][1]
        return _WORKED_OUT.get(self.part) or NAMES[self.field]

    def masked(self, text: str | None) -> str:
        """What may be seen of a text that stands there, or was expected to.

        >>> Address.parse("48.CV").masked("123"), Address.parse("54.90.02").masked("18100")
        ('••••', '18100')
        """
        if text is None:
            return "nothing"
        if self.part:
            secret = self.field == _ELEMENTS_FIELD and _ATTRIBUTES_BY_TAG[self.part] in SECRET_ELEMENTS
            return MASK if secret else text
        return shown(self.field, text)


def look(message: Message, address: Address, proofs: Proofs) -> str | None:
    """What stands at an address. None: nothing does."""
    if not address.field:
        return message.mti if address.part == MTI else proofs.get(address.part)
    content: str | Elements | None = getattr(message, ATTRIBUTES[address.field])
    if isinstance(content, Elements):
        return getattr(content, _ATTRIBUTES_BY_TAG[address.part]) if address.part else content.text
    if content is None or not address.part:
        return content
    product, kind = address.part.split(".")
    found = (
        one.amount for one in parse_amounts(content) or () if (one.account_type, one.amount_type) == (product, kind)
    )
    return next((str(amount) for amount in found), None)


def put(message: Message, address: Address, text: str | None) -> Message:
    """The message with another text at an address; None takes the field out. Raises `AddressInvalid`.

    The message type can be another, but not taken out; amounts of DE 54, and what is worked out, can't be put.
    """
    if (address.field == _AMOUNTS_FIELD and address.part) or (not address.field and address.part != MTI):
        raise AddressInvalid(str(address))
    if not address.field:
        if text is None:
            raise AddressInvalid(MTI)
        return msgspec.structs.replace(message, mti=text)
    attribute = ATTRIBUTES[address.field]
    if address.field != _ELEMENTS_FIELD:
        return msgspec.structs.replace(message, **{attribute: text})
    elements: Any = None
    if address.part:
        held = message.elements or Elements()
        elements = msgspec.structs.replace(held, **{_ATTRIBUTES_BY_TAG[address.part]: text})
    elif text is not None:
        elements = Elements.parse(text)
        if elements is None:
            raise AddressInvalid("48")
    return msgspec.structs.replace(message, elements=elements if elements and elements.text else None)


_WORKED_OUT = {
    MTI: "Message type",
    MAC: "MAC, verified",
    ARPC: "Issuer's answer, verified by the chip",
    **{f"{product}.02": f"Available of product {product}" for product in map(str, range(90, 100))},
    **{f"{product}.20": f"Left of the day's cap of product {product}" for product in map(str, range(90, 100))},
}
