"""What a terminal prints: a reply read as an outcome, that outcome as a slip of 40 columns, and the day's totals."""

import textwrap
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from authz.wire.amounts import parse_amounts
from authz.wire.message import Message
from simulators.terminal import wording
from simulators.terminal.book import Book, Kind, Tally
from simulators.terminal.messages import ANY_PRODUCT, Site
from simulators.terminal.wording import Language, Words

COLUMNS = 40
REVERSED = "00"
"""The response code to a reversal that found its original."""
OFFLINE, UNREACHED, UNANSWERED = "Y3", "Z3", "68"
"""What a terminal says where no host did: accepted offline, refused for want of a link (both EMV's), taken back."""


class Decision(StrEnum):
    """How a request ended, to the customer."""

    APPROVED = "approved"
    PARTIAL = "partial"
    OFFLINE = "offline"
    """Accepted by the terminal and the chip; the host is told later."""
    REFUSED = "refused"


class Copy(StrEnum):
    """Whose a receipt is. The merchant's says nothing of what is left on the card."""

    HOLDER = "holder"
    MERCHANT = "merchant"


class Left(Struct, frozen=True):
    """What DE 54 says is left of one product, in cents: `today` is what its daily cap still allows (None: no cap)."""

    product: str
    available: int
    today: int | None = None


class Slip(Struct, frozen=True, kw_only=True):
    """What goes on a receipt. Amounts are cents; `asked` and `approved` are None for a balance inquiry.

    `rest` is what the customer still owes after a partial approval. `printed_at` is in the terminal's zone.
    `reversal` is the response code to the payment's reversal; None: it wasn't taken back. `product` is the one that was
    chosen; None: the card's only one.
    """

    site: Site
    printed_at: datetime
    card: str
    trace: str
    decision: Decision
    response_code: str
    reason: str | None
    asked: int | None = None
    approved: int | None = None
    approval: str | None = None
    left: tuple[Left, ...] = ()
    tries_left: int | None = None
    reversal: str | None = None
    product: str | None = None

    @property
    def rest(self) -> int:
        """What is still to pay by other means after a partial approval, else 0."""
        if self.decision is not Decision.PARTIAL or self.asked is None or self.approved is None:
            return 0
        return self.asked - self.approved


def read(site: Site, printed_at: datetime, card: str, request: Message, reply: Message) -> Slip:
    """Read a reply. `card` is the masked PAN; a reply that gives no response code is a refusal."""
    code = reply.response_code or ""
    decision = {"00": Decision.APPROVED, "10": Decision.PARTIAL}.get(code, Decision.REFUSED)
    asked = None if request.amount is None else int(request.amount)
    approved = None
    if decision is Decision.APPROVED:
        approved = asked
    elif decision is Decision.PARTIAL:
        approved = int(reply.amount or "0")
    tries = reply.elements.tries_left if reply.elements is not None else None
    return Slip(
        site=site,
        printed_at=printed_at.astimezone(site.zone),
        card=card,
        trace=request.trace or "",
        decision=decision,
        response_code=code,
        reason=reply.reason.rstrip() if reply.reason else None,
        asked=asked,
        approved=approved,
        approval=reply.approval,
        left=balances(reply.balances or ""),
        tries_left=int(tries) if tries else None,
        product=_product(request),
    )


def unheard(site: Site, printed_at: datetime, card: str, request: Message, response_code: str) -> Slip:
    """Write down how a request ended that no host decided: `OFFLINE`, `UNREACHED` or `UNANSWERED`."""
    asked = None if request.amount is None else int(request.amount)
    accepted = response_code == OFFLINE
    return Slip(
        site=site,
        printed_at=printed_at.astimezone(site.zone),
        card=card,
        trace=request.trace or "",
        decision=Decision.OFFLINE if accepted else Decision.REFUSED,
        response_code=response_code,
        reason=None,
        asked=asked,
        approved=asked if accepted else None,
        product=_product(request),
    )


class DaySlip(Struct, frozen=True, kw_only=True):
    """A terminal's totals since its day began. Amounts are cents; `owed` is what it is to be paid.

    `given_back` is what reversals took off. `printed_at` is in the terminal's zone.
    """

    site: Site
    printed_at: datetime
    tallies: tuple[tuple[Kind, Tally], ...]
    given_back: int
    owed: int

    @classmethod
    def of(cls, book: Book, site: Site, printed_at: datetime) -> "DaySlip":
        """Add up a book. Kinds of which there is nothing are left out."""
        tallies = tuple((kind, book.tally(kind)) for kind in Kind)
        return cls(
            site=site,
            printed_at=printed_at.astimezone(site.zone),
            tallies=tuple((kind, tally) for kind, tally in tallies if tally.count),
            given_back=book.given_back,
            owed=book.owed,
        )


def balances(field: str) -> tuple[Left, ...]:
    """Read DE 54: type 02 is what is available, 20 what is left of the day's cap. An ill-formed field says nothing.

    >>> balances("9002978C0000000181009020978C000000000000")
    (Left(product='90', available=18100, today=0),)
    """
    available: dict[str, int] = {}
    today: dict[str, int] = {}
    for entry in parse_amounts(field) or ():
        if entry.amount_type == "02":
            available[entry.account_type] = entry.amount
        elif entry.amount_type == "20":
            today[entry.account_type] = entry.amount
    return tuple(Left(product, cents, today.get(product)) for product, cents in available.items())


def euros(cents: int, language: Language) -> str:
    """Write an amount: the French way, the Dutch or the English one.

    >>> euros(123456, Language.BOTH), euros(123456, Language.DUTCH), euros(-5, Language.ENGLISH)
    ('1 234,56 €', '€ 1.234,56', '-€0.05')
    """
    sign = "-" if cents < 0 else ""
    whole, part = divmod(abs(cents), 100)
    match language:
        case Language.ENGLISH:
            return f"{sign}€{whole:,}.{part:02d}"
        case Language.DUTCH:
            return f"{sign}€ {whole:,}".replace(",", ".") + f",{part:02d}"
        case _:
            return f"{sign}{whole:,}".replace(",", " ") + f",{part:02d} €"


def render(slip: Slip, language: Language, copy: Copy = Copy.HOLDER, *, duplicate: bool = False) -> str:
    """Print a slip: lines of at most 40 columns, the last one without a line end. A `duplicate` says that it is one."""
    holders = copy is Copy.HOLDER
    lines = [
        *_head(slip.site, slip.printed_at, language),
        *_row(wording.CARD, f"{slip.card[:6]}……{slip.card[-4:]}", language),
        *_row(wording.TRACE, slip.trace, language),
        _rule(),
        *(_headline(wording.DUPLICATE, language) if duplicate else ()),
        *(_payment(slip, language) if slip.asked is not None else _inquiry(slip, language)),
        *(_what_is_left(slip, language) if holders else _product_used(slip, language)),
        *_reversal(slip, language),
        _rule(),
        *_centred(*(wording.KEEP if holders else wording.MERCHANT_COPY).spoken(language)),
        "",
    ]
    return "\n".join(lines)


def render_day(slip: DaySlip, language: Language) -> str:
    """Print a day's totals, as `render` does."""
    lines = [
        *_head(slip.site, slip.printed_at, language),
        _rule(),
        *_headline(wording.DAY_CLOSED, language),
        "",
    ]
    for kind, tally in slip.tallies:
        lines += _row(wording.KINDS[kind], f"{tally.count} x", language)
        lines.append(f"{euros(tally.cents, language):>{COLUMNS}}")
    if slip.given_back:
        lines += _row(wording.GIVEN_BACK, euros(-slip.given_back, language), language)
    lines += ["", *_row(wording.OWED, euros(slip.owed, language), language), _rule()]
    lines += [*_centred(*wording.MERCHANT_COPY.spoken(language)), ""]
    return "\n".join(lines)


def _head(site: Site, printed_at: datetime, language: Language) -> list[str]:
    return [
        "",
        *_centred(site.name.upper()),
        *_centred(site.merchant),
        "",
        *_row(wording.TERMINAL, site.terminal, language),
        *_row(wording.DATE, _date(printed_at, language), language),
    ]


def _payment(slip: Slip, language: Language) -> list[str]:
    assert slip.asked is not None
    lines = _row(wording.AMOUNT, euros(slip.asked, language), language)
    lines.append("")
    if slip.decision is Decision.APPROVED:
        lines += _headline(wording.APPROVED, language)
    elif slip.decision is Decision.OFFLINE:
        lines += _headline(wording.OFFLINE, language)
    elif slip.decision is Decision.PARTIAL and slip.approved is not None:
        lines += _headline(wording.PARTIAL, language)
        lines.append("")
        lines += _row(wording.ACCEPTED, euros(slip.approved, language), language)
        lines += _row(wording.REST, euros(slip.rest, language), language)
    else:
        lines += _refusal(slip, language)
    if slip.approval:
        lines += ["", *_row(wording.APPROVAL, slip.approval, language)]
    return lines


def _inquiry(slip: Slip, language: Language) -> list[str]:
    if slip.decision is Decision.REFUSED:
        return _refusal(slip, language)
    return _headline(wording.BALANCE, language)


def _refusal(slip: Slip, language: Language) -> list[str]:
    lines = _headline(wording.REFUSED, language)
    for sentence in wording.reason_in_words(slip.reason, slip.response_code).spoken(language):
        lines += _centred(sentence)
    if slip.tries_left is not None:
        tries = str(slip.tries_left)
        lines += ["", *_row(wording.TRIES_LEFT, tries, language)]
    return lines


def _reversal(slip: Slip, language: Language) -> list[str]:
    """What is left stands above it, as it was before the reversal."""
    if slip.reversal is None:
        return []
    return ["", *_headline(wording.REVERSED if slip.reversal == REVERSED else wording.NOT_REVERSED, language)]


def _what_is_left(slip: Slip, language: Language) -> list[str]:
    lines: list[str] = []
    for left in slip.left:
        lines += ["", *_wrapped(wording.product_in_words(left.product).said(language))]
        lines += _row(wording.BALANCE, euros(left.available, language), language, indent=2)
        if left.today is not None:
            lines += _row(wording.LEFT_TODAY, euros(left.today, language), language, indent=2)
    return lines


def _product_used(slip: Slip, language: Language) -> list[str]:
    """What was paid with, as far as it is known: what was chosen, else the only one that the reply speaks of."""
    if slip.asked is None:
        return []
    product = slip.product or (slip.left[0].product if len(slip.left) == 1 else None)
    return [] if product is None else ["", *_wrapped(wording.product_in_words(product).said(language))]


def _product(request: Message) -> str | None:
    product = (request.processing_code or "")[2:4]
    return None if product in ("", ANY_PRODUCT) else product


def _date(instant: datetime, language: Language) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}" if language is Language.ENGLISH else f"{instant:%d/%m/%Y %H:%M:%S}"


def _headline(words: Words, language: Language) -> list[str]:
    return _centred(f"*** {words.said(language).upper()} ***")


def _row(label: Words, value: str, language: Language, *, indent: int = 0) -> list[str]:
    """A label at the left and its value at the right; the value goes below where both don't fit on a line."""
    name = " " * indent + label.said(language)
    if len(name) + 2 + len(value) <= COLUMNS:
        return [f"{name}{value:>{COLUMNS - len(name)}}"]
    return [name, f"{value:>{COLUMNS}}"]


def _centred(*texts: str) -> list[str]:
    return [line.center(COLUMNS).rstrip() for text in texts for line in _wrapped(text)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS)


def _rule() -> str:
    return "-" * COLUMNS
