"""The end-of-day batch (télécollecte): the messages of a day that moved money, as lines of a clearing file.

Also for an acquirer's host, which keeps the same journal of many tills: a `Book` for each place says what a message
moved.
"""

from datetime import date, datetime, time

from authz.wire.message import Message
from authz.wire.rules import first_mti
from simulators import clearing
from simulators.clearing import Detail
from simulators.terminal import book
from simulators.terminal.book import REVERSALS

ORIGINAL_DIGITS = 20
"""Of DE 90: message type, trace number and transmission time."""
YEARS_NEAR = (-1, 0, 1)


def detail(request: Message, reply: Message, at: datetime, moved: int) -> Detail | None:
    """The line of a message that moved money, by as many cents as `Book.note` says; None where it moved none.

    `at` is when it was answered: the year of DE 13 is the one nearest to it. Raises `ClearingInvalid` for a message
    without the fields that name it.
    """
    if not moved:
        return None
    return Detail(
        kind=_kind(request, moved),
        mti=first_mti(request.mti),
        terminal=(request.terminal or "").rstrip(),
        merchant=(request.merchant or "").rstrip(),
        trace=request.trace or "",
        transmitted=request.transmitted or "",
        retrieval=_word(reply.retrieval_reference) or _word(request.retrieval_reference),
        approval=_word(reply.approval) or _word(request.approval),
        card=clearing.masked(request.card_number or ""),
        product=(request.processing_code or "")[2:4],
        cents=abs(moved),
        currency=request.currency or clearing.CURRENCY,
        day=local_day(request.local_date or "", at),
        at=time.fromisoformat(request.local_time or ""),
        original=None if request.original is None else request.original[:ORIGINAL_DIGITS],
    )


def local_day(month_and_day: str, at: datetime) -> date:
    """DE 13 (MMDD) with its year, the one nearest to an instant.

    >>> local_day("1231", datetime.fromisoformat("2026-01-01T00:30+00:00"))
    datetime.date(2025, 12, 31)
    """
    days = (_day(at.year + years, month_and_day) for years in YEARS_NEAR)
    return min((day for day in days if day is not None), key=lambda day: abs(day - at.date()))


def _day(year: int, month_and_day: str) -> date | None:
    try:
        return date(year, int(month_and_day[:2]), int(month_and_day[2:]))
    except ValueError:
        return None  # 29 February of another year


def _kind(request: Message, moved: int) -> clearing.Kind:
    if first_mti(request.mti) in REVERSALS:
        return clearing.Kind.REVERSAL if moved < 0 else clearing.Kind.REFUND_REVERSAL
    return clearing.Kind(book.kind_of(request))


def _word(text: str | None) -> str | None:
    return (text or "").strip() or None
