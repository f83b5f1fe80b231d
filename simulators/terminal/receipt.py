"""What a terminal tells its customer: a reply read as an outcome, and that outcome as a slip of 40 columns."""

import textwrap
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from authz.wire.amounts import parse_amounts
from authz.wire.message import Message
from simulators.terminal import wording
from simulators.terminal.messages import Site
from simulators.terminal.wording import Language, Words

COLUMNS = 40
REVERSED = "00"
"""The response code to a reversal that found its original."""


class Decision(StrEnum):
    """How a request ended, to the customer."""

    APPROVED = "approved"
    PARTIAL = "partial"
    REFUSED = "refused"


class Left(Struct, frozen=True):
    """What DE 54 says is left of one product, in cents: `today` is what its daily cap still allows (None: no cap)."""

    product: str
    available: int
    today: int | None = None


class Slip(Struct, frozen=True, kw_only=True):
    """What goes on a receipt. Amounts are cents; `asked` and `approved` are None for a balance inquiry.

    `rest` is what the customer still owes after a partial approval. `printed_at` is in the terminal's zone.
    `reversal` is the response code to the payment's reversal; None: it wasn't taken back.
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
    """Write an amount: the French way, or the English one.

    >>> euros(123456, Language.BOTH), euros(5, Language.ENGLISH), euros(-250, Language.FRENCH)
    ('1 234,56 €', '€0.05', '-2,50 €')
    """
    sign = "-" if cents < 0 else ""
    whole, part = divmod(abs(cents), 100)
    if language is Language.ENGLISH:
        return f"{sign}€{whole:,}.{part:02d}"
    thousands = f"{whole:,}".replace(",", " ")
    return f"{sign}{thousands},{part:02d} €"


def render(slip: Slip, language: Language) -> str:
    """Print a slip: lines of at most 40 columns, the last one without a line end."""
    lines = [
        "",
        *_centred(slip.site.name.upper()),
        *_centred(slip.site.merchant),
        "",
        *_row(Words("Terminal", "Terminal"), slip.site.terminal, language),
        *_row(Words("Date", "Date"), _date(slip.printed_at, language), language),
        *_row(Words("Carte", "Card"), f"{slip.card[:6]}……{slip.card[-4:]}", language),
        *_row(Words("Numéro", "Trace number"), slip.trace, language),
        _rule(),
        *(_payment(slip, language) if slip.asked is not None else _inquiry(slip, language)),
        *_what_is_left(slip, language),
        *_reversal(slip, language),
        _rule(),
        *_centred(*Words("Ticket à conserver", "Please keep this receipt").spoken(language)),
        "",
    ]
    return "\n".join(lines)


def _payment(slip: Slip, language: Language) -> list[str]:
    assert slip.asked is not None
    lines = _row(Words("Montant", "Amount"), euros(slip.asked, language), language)
    lines.append("")
    if slip.decision is Decision.APPROVED:
        lines += _headline(wording.APPROVED, language)
    elif slip.decision is Decision.PARTIAL and slip.approved is not None:
        lines += _headline(wording.PARTIAL, language)
        lines.append("")
        lines += _row(Words("Accepté", "Approved"), euros(slip.approved, language), language)
        lines += _row(Words("Reste à payer", "Left to pay"), euros(slip.rest, language), language)
    else:
        lines += _refusal(slip, language)
    if slip.approval:
        lines += ["", *_row(Words("Autorisation", "Approval"), slip.approval, language)]
    return lines


def _inquiry(slip: Slip, language: Language) -> list[str]:
    if slip.decision is Decision.REFUSED:
        return _refusal(slip, language)
    return _headline(Words("Solde", "Balance"), language)


def _refusal(slip: Slip, language: Language) -> list[str]:
    lines = _headline(wording.REFUSED, language)
    for sentence in wording.reason_in_words(slip.reason, slip.response_code).spoken(language):
        lines += _centred(sentence)
    if slip.tries_left is not None:
        tries = str(slip.tries_left)
        lines += ["", *_row(Words("Essais restants", "Tries left"), tries, language)]
    return lines


def _reversal(slip: Slip, language: Language) -> list[str]:
    """What is left stands above it, as it was before the reversal."""
    if slip.reversal is None:
        return []
    return ["", *_headline(wording.REVERSED if slip.reversal == REVERSED else wording.NOT_REVERSED, language)]


def _what_is_left(slip: Slip, language: Language) -> list[str]:
    lines: list[str] = []
    for left in slip.left:
        lines += ["", *_wrapped(" / ".join(wording.product_in_words(left.product).spoken(language)))]
        lines += _row(Words("Solde", "Balance"), euros(left.available, language), language, indent=2)
        if left.today is not None:
            lines += _row(Words("Encore ce jour", "Left today"), euros(left.today, language), language, indent=2)
    return lines


def _date(instant: datetime, language: Language) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}" if language is Language.ENGLISH else f"{instant:%d/%m/%Y %H:%M:%S}"


def _headline(words: Words, language: Language) -> list[str]:
    return _centred(f"*** {' / '.join(words.spoken(language)).upper()} ***")


def _row(label: Words, value: str, language: Language, *, indent: int = 0) -> list[str]:
    """A label at the left and its value at the right; the value goes below where both don't fit on a line."""
    name = " " * indent + " / ".join(label.spoken(language))
    if len(name) + 2 + len(value) <= COLUMNS:
        return [f"{name}{value:>{COLUMNS - len(name)}}"]
    return [name, f"{value:>{COLUMNS}}"]


def _centred(*texts: str) -> list[str]:
    return [line.center(COLUMNS).rstrip() for text in texts for line in _wrapped(text)]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS)


def _rule() -> str:
    return "-" * COLUMNS
