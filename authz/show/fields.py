"""A request and its reply as fields of ISO 8583, as far as the record has them: what it hasn't is said, not made up."""

from collections.abc import Iterator

from msgspec import Struct

from authz.decision.commands import Completion, Inquiry, Origin, Payment, Purchase, Refund, Totals
from authz.decision.evidence import Check, Evidence
from authz.decision.outcomes import Reply
from authz.engine.requests import Answer
from authz.links.translation import reply_of, totals_reply_of
from authz.show.seen import printable
from authz.wire.amounts import parse_amounts
from authz.wire.message import ATTRIBUTES, Message
from ledger.printing import euros
from ledger.values import Cents

NAMES = {
    0: "message type",
    2: "card",
    3: "processing code",
    4: "amount",
    7: "transmitted, UTC",
    11: "trace number",
    12: "local time",
    13: "local date",
    14: "expiry",
    15: "business day",
    22: "entry mode",
    32: "acquirer",
    37: "retrieval reference",
    38: "approval code",
    39: "response code",
    41: "terminal",
    42: "merchant",
    44: "reason",
    48: "elements",
    49: "currency",
    52: "PIN block",
    54: "balances",
    55: "chip",
    66: "settlement code",
    90: "original",
    95: "amount that stands",
    97: "net amount",
}
_BALANCE_KINDS = {"02": "available", "20": "left of the day's cap"}


class Field(Struct, frozen=True):
    """A field: its number (0: the message type), its name, what it holds, and what that means."""

    number: int
    name: str
    value: str
    meaning: str = ""


def masked_card(origin: Origin) -> str:
    """The first six and the last four digits of a card's number.

    >>> masked_card(Origin("0200", "000000", "", "", "", "", "", "", first6="925010", last4="0014"))
    '925010…0014'
    """
    return f"{origin.first6}…{origin.last4}"


def request_fields(command: Payment, evidence: Evidence) -> tuple[Field, ...]:
    """Write a payment's fields. Secrets were never recorded: of a PIN block or a cryptogram, only what it came to."""
    return tuple(_request(command, evidence))


def totals_fields(command: Totals) -> tuple[Field, ...]:
    """Write an acquirer's totals."""
    return (
        _field(0, command.mti),
        _field(7, command.transmitted),
        _field(11, command.trace),
        _field(15, str(command.day)),
        _field(32, command.acquirer),
        _field(97, euros(command.net)),
    )


def reply_fields(command: Payment | Totals, reply: Reply) -> tuple[Field, ...]:
    """Write the reply that left, by the translation that the link uses. A MAC, if it bore one, is not recorded."""
    answer = Answer(command, reply)
    if isinstance(command, Totals):
        message = totals_reply_of(
            Message(mti=command.mti, acquirer=command.acquirer, trace=command.trace, settlement_date=None), answer
        )
    else:
        message = reply_of(Message(mti=command.origin.mti), answer)
    return (_field(0, message.mti), *_set_fields(command, message))


def _set_fields(command: Payment | Totals, message: Message) -> Iterator[Field]:
    if isinstance(command, Payment) and command.origin.pan_sent:
        yield _field(2, masked_card(command.origin))
    for number, attribute in ATTRIBUTES.items():
        value = getattr(message, attribute)
        if value is None:
            continue
        match number:
            case 48:
                yield _field(48, value.text, f"{value.tries_left} PIN tries left")
            case 54:
                yield _field(54, value, _balances(value))
            case 55:
                yield _field(55, "…", "the cryptogram for the chip")
            case 4:
                yield _field(4, value, euros(Cents(int(value))))
            case _:
                yield _field(number, value)


def _request(command: Payment, evidence: Evidence) -> Iterator[Field]:
    origin = command.origin
    yield _field(0, origin.mti)
    yield _field(2, masked_card(origin), "" if origin.pan_sent else "by track 2, which is not recorded")
    yield _field(3, origin.processing_code)
    if origin.amount is not None:
        yield _field(4, origin.amount, euros(Cents(int(origin.amount))))
    yield _field(7, origin.transmitted)
    yield _field(11, origin.trace)
    yield _field(12, origin.local[8:], f"{origin.local[8:10]}:{origin.local[10:12]}:{origin.local[12:]}")
    yield _field(13, origin.local[4:8], f"{origin.local[:4]}-{origin.local[4:6]}-{origin.local[6:8]}")
    if isinstance(command, Purchase | Inquiry | Refund):
        if command.expiry is not None:
            yield _field(14, command.expiry)
        yield _field(22, str(command.entry), "in words: its digits are not recorded")
    yield _field(32, origin.acquirer)
    if origin.retrieval_reference is not None:
        yield _field(37, origin.retrieval_reference)
    if isinstance(command, Completion) and command.approval is not None:
        yield _field(38, command.approval)
    yield _field(41, origin.terminal)
    yield _field(42, origin.merchant)
    if isinstance(command, Purchase) and command.takes_partial:
        yield _field(48, "PA0011", "takes partial approvals")
    if origin.currency is not None:
        yield _field(49, origin.currency)
    yield from _verified(evidence)
    if origin.original is not None:
        yield _field(90, origin.original)
    if origin.replacement is not None:
        yield _field(95, origin.replacement, euros(Cents(int(origin.replacement))))
    for number, length in origin.unused:
        yield _field(number, "…", f"{length} characters that nothing reads: not recorded")


def _verified(evidence: Evidence) -> Iterator[Field]:
    """What was verified: findings, never the secrets."""
    if evidence.cvv2 is not Check.ABSENT:
        yield _field(48, "…", f"CVV2: {evidence.cvv2}")
    if evidence.pin is not Check.ABSENT:
        yield _field(52, "…", f"PIN: {evidence.pin}")
    if evidence.arqc is not Check.ABSENT:
        yield _field(55, "…", f"cryptogram: {evidence.arqc}")


def _balances(text: str) -> str:
    amounts = parse_amounts(text) or ()
    return ", ".join(
        f"{one.account_type} {_BALANCE_KINDS.get(one.amount_type, one.amount_type)} {euros(Cents(one.amount))}"
        for one in amounts
    )


def _field(number: int, value: str, meaning: str = "") -> Field:
    return Field(number, NAMES.get(number, "field"), printable(value.rstrip()), printable(meaning))
