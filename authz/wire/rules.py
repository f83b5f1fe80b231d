"""Which requests there are, and which fields each must have: the messages table, as data."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from msgspec import Struct

from authz.wire.codec import WHOLE, Malformed
from authz.wire.message import ATTRIBUTES, Message

Alternatives = tuple[int, ...]
"""Fields of which one must be there."""


class Rule(Struct, frozen=True):
    """A row of the table: what the request means, and its mandatory fields.

    `alone` takes the values of those without an alternative off a message, and `others` are the rest.
    """

    meaning: str
    mandatory: tuple[Alternatives, ...]
    alone: Callable[[Message], tuple[Any, ...]]
    others: tuple[Alternatives, ...]


def _rule(meaning: str, mandatory: tuple[Alternatives, ...]) -> Rule:
    alone = attrgetter(*(ATTRIBUTES[fields[0]] for fields in mandatory if len(fields) == 1))
    return Rule(meaning, mandatory, alone, tuple(fields for fields in mandatory if len(fields) > 1))


_CARD: Alternatives = (2, 35)
_IDENTITY: tuple[Alternatives, ...] = ((7,), (11,), (12,), (13,))
_PLACE: tuple[Alternatives, ...] = ((32,), (41,), (42,))
_PAYMENT: tuple[Alternatives, ...] = (_CARD, (3,), (4,), *_IDENTITY, (22,), *_PLACE, (49,))
_ADVICE = tuple(field for field in _PAYMENT if field != (22,))
_REVERSAL: tuple[Alternatives, ...] = (*_ADVICE, (90,))
_TOTALS: tuple[Alternatives, ...] = tuple((field,) for field in (7, 11, 15, 32, *range(74, 78), *range(86, 90), 97))
_NETWORK: tuple[Alternatives, ...] = ((7,), (11,), (70,))

RULES = {
    "0100": _rule("authorization", _PAYMENT),
    "0120": _rule("completion or offline advice of an authorization", _ADVICE),
    "0200": _rule("financial request", _PAYMENT),
    "0220": _rule("completion or offline advice of a purchase", _ADVICE),
    "0400": _rule("reversal", _REVERSAL),
    "0420": _rule("reversal advice", _REVERSAL),
    "0500": _rule("acquirer totals", _TOTALS),
    "0520": _rule("acquirer totals advice", _TOTALS),
    "0800": _rule("network management", _NETWORK),
}
"""By the MTI of the first sending; a repeat is held to the same."""
INQUIRY = _rule("balance inquiry", tuple(field for field in _PAYMENT if field not in ((4,), (49,))))
INQUIRY_TRANSACTIONS = ("30", "31")
"""First two digits of a processing code that make a 0100 or 0200 an inquiry."""

PRESENTED = ("0100", "0200")
"""Requests for which a card is presented; the others tell of one that was."""
TYPED_ENTRIES = ("81", "01")
"""First two digits of an entry mode (DE 22) in which somebody typed the card's number: e-commerce, manual."""


def is_response(mti: str) -> bool:
    """Tell whether a message answers another (third digit odd).

    >>> is_response("0210"), is_response("0220")
    (True, False)
    """
    return int(mti[2]) % 2 == 1


def is_repeat(mti: str) -> bool:
    """Tell whether a request is sent again: its last digit is 1."""
    return mti[3] == "1"


def first_mti(mti: str) -> str:
    """The MTI that a request, or its repeat, bore when it was first sent.

    >>> first_mti("0421")
    '0420'
    """
    return f"{mti[:3]}0" if is_repeat(mti) else mti


def reply_mti(mti: str) -> str:
    """The MTI of the reply to a request: the third digit one higher, the last 0.

    >>> reply_mti("0200"), reply_mti("0421")
    ('0210', '0430')
    """
    assert not is_response(mti)
    return f"{mti[:2]}{int(mti[2]) + 1}0"


def echoing(message: Message, response_code: str, reason: str | None = None) -> Message:
    """Make a reply that no decision stands behind, to any message: what was well-formed of it is echoed."""
    return Message(
        mti=reply_mti(message.mti),
        pan=message.pan,
        processing_code=message.processing_code,
        amount=message.amount,
        transmitted=message.transmitted,
        trace=message.trace,
        local_time=message.local_time,
        local_date=message.local_date,
        acquirer=message.acquirer,
        retrieval_reference=message.retrieval_reference,
        response_code=response_code,
        terminal=message.terminal,
        merchant=message.merchant,
        reason=reason,
        currency=message.currency,
        network_code=message.network_code,
    )


def is_inquiry(message: Message) -> bool:
    """Tell whether a 0100 or 0200 asks for a balance."""
    code = message.processing_code
    return first_mti(message.mti) in ("0100", "0200") and code is not None and code[:2] in INQUIRY_TRANSACTIONS


def check_mandatory(message: Message) -> None:
    """Test a request against its row of the table.

    Raises `Malformed`, with the message as its `partial`, for a request type that has no row (field 0), for the
    first field that is missing (DE 14 too, where the number was typed), and for an inquiry with an amount.
    """
    inquiry = is_inquiry(message)
    rule = INQUIRY if inquiry else RULES.get(first_mti(message.mti))
    if rule is None:
        raise Malformed(WHOLE, "a known request type expected", message)
    if None in rule.alone(message) or not all(_has_one(message, fields) for fields in rule.others):
        missing = next(fields[0] for fields in rule.mandatory if not _has_one(message, fields))
        raise Malformed(missing, f"mandatory in a request of this type ({rule.meaning})", message)
    if first_mti(message.mti) in PRESENTED and _is_typed(message) and message.card_expiry is None:
        raise Malformed(14, "mandatory where the card's number was typed", message)
    if inquiry and message.amount is not None and int(message.amount):
        raise Malformed(4, "absent or zero expected in a balance inquiry", message)


def _is_typed(message: Message) -> bool:
    return message.entry_mode is not None and message.entry_mode[:2] in TYPED_ENTRIES


def _has_one(message: Message, fields: Alternatives) -> bool:
    return any(getattr(message, ATTRIBUTES[field]) is not None for field in fields)
