"""Between messages and commands: what a terminal's fields mean to the core, and what the core's answer looks like."""

import contextlib
from datetime import date, datetime

from msgspec.structs import replace

from authz.decision.commands import (
    Advice,
    Completion,
    Entry,
    Inquiry,
    Origin,
    Payment,
    Purchase,
    Refund,
    Reversal,
    Totals,
)
from authz.decision.outcomes import Balance, Reason
from authz.decision.totals import Sums
from authz.engine.requests import Answer, Named, Request, Secrets, TotalsRequest
from authz.links.codes import RESPONSE_CODES
from authz.wire.amounts import AdditionalAmount, format_amounts
from authz.wire.codec import Malformed
from authz.wire.message import Elements, Message
from authz.wire.original import ORIGINAL_DIGITS, OriginalElements, amount_that_stands
from authz.wire.rules import echoing, is_inquiry, is_repeat, reply_mti
from ledger.values import EURO, Cents

_ENTRIES = {
    "02": Entry.STRIPE,
    "90": Entry.STRIPE,
    "80": Entry.FALLBACK,
    "07": Entry.CONTACTLESS,
    "91": Entry.CONTACTLESS,
    "81": Entry.ONLINE,
    "01": Entry.MANUAL,
}
_REFUND = "20"
_DONE = ("00", "10")
"""Response codes with which a terminal tells that it did what it tells of (DE 39 of an advice)."""
_REVERSAL, _ADVICE = "4", "2"
"""Second digit of a reversal's message type, and third digit of an advice's."""
_SUMS = Sums.__struct_fields__
_AVAILABLE, _LEFT_OF_CAP = "02", "20"
_BALANCES_MAX = 6
_MONTHS_NEAR = 4
"""So many months from an instant, a day is nearest it in the same year."""
_DAY_OF_ANY_MONTH = "28"


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
            key_serial=elements.key_serial,
            cvv2=elements.cvv2,
            chip=message.chip,
            card_sequence=message.card_sequence or "",
        ),
        link=link,
        deadline=deadline,
        repeat=is_repeat(message.mti),
        named=_named(message),
    )


def totals_of(message: Message, link: str, instant: datetime, deadline: float) -> TotalsRequest:
    """Read an acquirer's totals. Raises `Malformed` where DE 7 or 15 is no day of a year near the engine's instant."""
    transmitted = message.transmitted or ""
    year = day_of(transmitted[:4], instant, message, field=7).year
    net = message.net_amount or ""
    return TotalsRequest(
        command=Totals(
            mti=message.mti,
            acquirer=message.acquirer or "",
            transmitted=f"{year}{transmitted}",
            trace=message.trace or "",
            day=day_of(message.settlement_date or "", instant, message, field=15),
            counted=Sums(*(Cents(int(getattr(message, name))) for name in _SUMS)),
            net=Cents(int(net[1:]) if net[0] == "C" else -int(net[1:])),
        ),
        link=link,
        deadline=deadline,
    )


def totals_reply_of(message: Message, answer: Answer) -> Message:
    """Write the reply to an acquirer's totals: whether they agree, and ours."""
    reply = replace(refusal_of(message, answer.reply.reason), settlement_date=message.settlement_date)
    sums = answer.reply.totals
    if sums is None:
        return reply
    numbers = {name: f"{getattr(sums, name):010}" for name in _SUMS if name.endswith("number")}
    amounts = {name: f"{getattr(sums, name):016}" for name in _SUMS if name.endswith("amount")}
    return replace(
        reply,
        settlement_code="1" if answer.reply.agrees else "2",
        net_amount=f"{'C' if sums.net >= 0 else 'D'}{abs(sums.net):016}",
        **numbers,
        **amounts,
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
    """Write a reply that no decision stands behind, to any message."""
    return echoing(message, RESPONSE_CODES[reason], reason.value)


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
        original=None if message.original is None else message.original[:ORIGINAL_DIGITS],
        replacement=None if message.replacement is None else message.replacement[:12],
        pan_sent=message.pan is not None,
        first6=pan[:6],
        last4=pan[-4:],
        unused=message.unused,
    )


def _command(message: Message, origin: Origin, elements: Elements) -> Payment:
    if message.mti[1] == _REVERSAL:
        stands = 0 if message.replacement is None else amount_that_stands(message.replacement)
        return Reversal(origin, None, "", stands=Cents(stands))
    transaction, product, rest = origin.processing_code[:2], origin.processing_code[2:4], origin.processing_code[4:]
    if rest != "00":
        transaction = origin.processing_code
    amount, currency = Cents(int(message.amount or 0)), int(message.currency or EURO)
    holds = message.mti[1] == "1"
    if message.mti[2] == _ADVICE:
        declined = message.response_code is not None and message.response_code not in _DONE
        if message.original is None and message.approval is None:
            return Advice(origin, None, "", transaction, product, amount, currency, holds, declined)
        return Completion(
            origin, None, "", transaction, product, amount, currency, approval=message.approval, declined=declined
        )
    entry, expiry = _ENTRIES.get((message.entry_mode or "")[:2], Entry.CHIP), message.card_expiry
    if is_inquiry(message) and rest == "00":
        return Inquiry(origin, None, "", product, entry, expiry)
    if transaction == _REFUND and not holds:
        return Refund(origin, None, "", product, amount, currency, entry, expiry=expiry)
    return Purchase(
        origin=origin,
        card=None,
        reference="",
        product=product,
        entry=entry,
        transaction=transaction,
        amount=amount,
        currency=currency,
        expiry=expiry,
        holds=holds,
        takes_partial=elements.takes_partial == "1",
    )


def _named(message: Message) -> Named | None:
    """What DE 90 says of the original."""
    if message.original is None:
        return None
    original = OriginalElements.parse(message.original)
    return Named(original.mti, original.trace, original.transmitted, original.acquirer)


def day_of(text: str, instant: datetime, message: Message, field: int) -> date:
    """Read a month and day (MMDD), of the year that brings it nearest an instant.

    Raises `Malformed`, naming the field, where no year near it has such a day.
    """
    return _nearest(f"{text}{instant:%H%M%S}", instant, message, field).date()


def _with_year(message: Message, instant: datetime) -> str:
    """DE 13 and 12 behind the year that brings them nearest the engine's instant: YYYYMMDDhhmmss."""
    month_to_second = f"{message.local_date}{message.local_time}"
    months_apart = int(month_to_second[:2]) - instant.month
    if -_MONTHS_NEAR <= months_apart <= _MONTHS_NEAR and month_to_second[2:4] <= _DAY_OF_ANY_MONTH:
        return f"{instant.year}{month_to_second}"
    return f"{_nearest(month_to_second, instant, message, 13).year}{month_to_second}"


def _nearest(month_to_second: str, instant: datetime, message: Message, field: int) -> datetime:
    """The instant of MMDDhhmmss, read in the instant's own zone, that is nearest it."""
    month, day, hour, minute, second = (int(month_to_second[at : at + 2]) for at in range(0, 10, 2))
    days: list[datetime] = []
    for year in (instant.year - 1, instant.year, instant.year + 1):
        with contextlib.suppress(ValueError):  # 29 February
            days.append(datetime(year, month, day, hour, minute, second, tzinfo=instant.tzinfo))
    if not days:
        raise Malformed(field, "a day of this year, the last or the next expected", message)
    return min(days, key=lambda local: abs(local - instant))


def _amounts(balances: tuple[Balance, ...]) -> str | None:
    amounts: list[AdditionalAmount] = []
    for balance in balances[:_BALANCES_MAX]:
        amounts.append(AdditionalAmount(balance.product, _AVAILABLE, str(EURO), balance.available))
        if balance.cap_left is not None:
            amounts.append(AdditionalAmount(balance.product, _LEFT_OF_CAP, str(EURO), balance.cap_left))
    return format_amounts(amounts[:_BALANCES_MAX]) if amounts else None
