"""Between messages and commands: what a terminal's fields mean to the core, and what the core's answer looks like."""

import contextlib
from datetime import datetime

from authz.decision.commands import Entry, Inquiry, Origin, Payment, Purchase, Refund
from authz.decision.outcomes import Balance, Reason
from authz.engine.requests import Answer, Request, Secrets
from authz.links.codes import RESPONSE_CODES
from authz.wire.amounts import AdditionalAmount, format_amounts
from authz.wire.codec import Malformed
from authz.wire.message import Elements, Message
from authz.wire.rules import INQUIRY_TRANSACTIONS, is_repeat, reply_mti
from ledger.values import EURO, Cents

_ENTRIES = {
    "02": Entry.STRIPE,
    "90": Entry.STRIPE,
    "80": Entry.STRIPE,
    "07": Entry.CONTACTLESS,
    "91": Entry.CONTACTLESS,
    "81": Entry.ONLINE,
    "01": Entry.MANUAL,
}
_PURCHASE, _REFUND = "00", "20"
_AVAILABLE, _LEFT_OF_CAP = "02", "20"
_BALANCES_MAX = 6


def request_of(message: Message, link: str, instant: datetime, deadline: float) -> Request:
    """Read a payment that has all its mandatory fields. `instant` is the engine's, for the year of DE 13.

    Raises `Malformed` where no year has such a day.
    """
    elements = message.elements or Elements()
    pan = message.card_number
    assert pan is not None
    return Request(
        command=_command(message, _origin(message, pan, instant), elements),
        secrets=Secrets(
            pan=pan,
            pin_block=message.pin_block,
            cvv2=elements.cvv2,
            chip=message.chip,
            card_sequence=message.card_sequence or "",
        ),
        link=link,
        deadline=deadline,
        repeat=is_repeat(message.mti),
    )


def reply_of(message: Message, answer: Answer) -> Message:
    """Write the reply to a payment: the fields of the stored command echoed, and the card's number as it came now."""
    assert isinstance(answer.command, Payment)
    origin, reply = answer.command.origin, answer.reply
    return Message(
        mti=reply_mti(message.mti),
        pan=message.pan,
        processing_code=origin.processing_code,
        amount=origin.amount if reply.amount is None else f"{reply.amount:012}",
        transmitted=origin.transmitted,
        trace=origin.trace,
        local_time=origin.local[8:],
        local_date=origin.local[4:8],
        acquirer=origin.acquirer,
        retrieval_reference=origin.retrieval_reference,
        approval=reply.approval,
        response_code=RESPONSE_CODES[reply.reason],
        terminal=origin.terminal,
        merchant=origin.merchant,
        reason=reply.reason.value,
        elements=None if reply.pin_tries_left is None else Elements(tries_left=str(reply.pin_tries_left)),
        currency=origin.currency,
        balances=_amounts(reply.balances),
        chip=reply.response,
    )


def refusal_of(message: Message, reason: Reason) -> Message:
    """Write a reply that no decision stands behind, to any message: what was well-formed of it is echoed."""
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
        response_code=RESPONSE_CODES[reason],
        terminal=message.terminal,
        merchant=message.merchant,
        reason=reason.value,
        currency=message.currency,
        network_code=message.network_code,
    )


def _origin(message: Message, pan: str, instant: datetime) -> Origin:
    return Origin(
        mti=message.mti,
        processing_code=message.processing_code or "",
        transmitted=message.transmitted or "",
        trace=message.trace or "",
        local=_with_year(message, instant),
        acquirer=message.acquirer or "",
        terminal=message.terminal or "",
        merchant=message.merchant or "",
        amount=message.amount,
        currency=message.currency,
        retrieval_reference=message.retrieval_reference,
        pan_sent=message.pan is not None,
        first6=pan[:6],
        last4=pan[-4:],
        unused=message.unused,
    )


def _command(message: Message, origin: Origin, elements: Elements) -> Payment:
    transaction, product, rest = origin.processing_code[:2], origin.processing_code[2:4], origin.processing_code[4:]
    entry = _ENTRIES.get((message.entry_mode or "")[:2], Entry.CHIP)
    amount, currency = Cents(int(message.amount or 0)), int(message.currency or EURO)
    expiry = message.card_expiry
    holds = message.mti[1] == "1"
    if rest == "00" and transaction in INQUIRY_TRANSACTIONS:
        return Inquiry(origin, None, "", product, entry, expiry)
    if rest == "00" and transaction == _REFUND and not holds:
        return Refund(origin, None, "", product, amount, currency, entry, expiry)
    return Purchase(
        origin=origin,
        card=None,
        reference="",
        product=product,
        entry=entry,
        transaction=transaction if rest == "00" else origin.processing_code,
        amount=amount,
        currency=currency,
        expiry=expiry,
        holds=holds,
        takes_partial=elements.takes_partial == "1",
    )


def _with_year(message: Message, instant: datetime) -> str:
    """DE 13 and 12 behind the year that brings them nearest the engine's instant: YYYYMMDDhhmmss."""
    month_to_second = f"{message.local_date}{message.local_time}"
    month, day, hour, minute, second = (int(month_to_second[at : at + 2]) for at in range(0, 10, 2))
    days: list[datetime] = []
    for year in (instant.year - 1, instant.year, instant.year + 1):
        with contextlib.suppress(ValueError):  # 29 February
            days.append(datetime(year, month, day, hour, minute, second, tzinfo=instant.tzinfo))
    if not days:
        raise Malformed(13, "a day of this year, the last or the next expected", message)
    return f"{min(days, key=lambda local: abs(local - instant)).year}{month_to_second}"


def _amounts(balances: tuple[Balance, ...]) -> str | None:
    amounts: list[AdditionalAmount] = []
    for balance in balances[:_BALANCES_MAX]:
        amounts.append(AdditionalAmount(balance.product, _AVAILABLE, str(EURO), balance.available))
        if balance.cap_left is not None:
            amounts.append(AdditionalAmount(balance.product, _LEFT_OF_CAP, str(EURO), balance.cap_left))
    return format_amounts(amounts[:_BALANCES_MAX]) if amounts else None
