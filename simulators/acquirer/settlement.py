"""What an acquirer is to be paid: a pure fold of requests and the replies that decided them.

Every reply that moved money becomes a line of the clearing file, in the order in which the replies came: sales,
captures, advices and refunds as they were approved, reversals by what they gave back. Holds move nothing here.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import NamedTuple, Self

from msgspec import Struct
from msgspec.structs import replace

from authz.wire.message import Message
from authz.wire.original import OriginalElements, amount_that_stands
from authz.wire.rules import first_mti, is_inquiry
from simulators.acquirer.totals import Totals
from simulators.clearing import CURRENCY, Detail, Kind, masked

APPROVALS = ("00", "10")
DONE = "00"
PARTIAL = "10"
UNDECIDED = ("91", "96")
"""Response codes by which a host records nothing: the request may come again and be decided otherwise."""
REFUND = "20"
"""In DE 3: the money goes back to the card."""
ORIGINAL_DIGITS = 20
"""Of DE 90, those that name the original: its MTI, trace number and transmission time."""
KEPT_DAYS_MAX = 8
"""Business days after which what stands of a payment is forgotten: a later reversal is taken at its word."""
REVERSAL, AUTHORIZATION, ADVICE = "4", "1", "2"
"""Second digits of message types, and the third of an advice's."""


class Reference(NamedTuple):
    """What names a request to those that come after it: where it was made, its class, trace number and time (DE 7)."""

    merchant: str
    terminal: str
    kind: str
    trace: str
    transmitted: str

    @classmethod
    def of(cls, request: Message) -> Self:
        """The name of a request, also of its repeat."""
        return cls(
            (request.merchant or "").rstrip(),
            (request.terminal or "").rstrip(),
            request.mti[1],
            request.trace or "",
            request.transmitted or "",
        )

    @classmethod
    def named_by(cls, request: Message) -> Self | None:
        """The name that a request's DE 90 gives; None: it has no DE 90."""
        if request.original is None:
            return None
        named = OriginalElements.parse(request.original)
        own = cls.of(request)
        return cls(own.merchant, own.terminal, named.mti[1], named.trace, named.transmitted)


class Standing(Struct, frozen=True):
    """What stands of a request, in cents; of a hold that is nothing, since a capture is what moves the money.

    `declined`: it was refused. `credits`: it is a refund, and `of` the payment that it gave back.
    """

    cents: int
    day: date
    declined: bool = False
    credits: bool = False
    of: Reference | None = None


class Settlement:
    """What stands between an acquirer and its authorizer. `day` is the business day that is open, `details` its lines.

    What stands of a payment is known for `KEPT_DAYS_MAX` days, for later reversals.
    """

    def __init__(self, day: date) -> None:
        self.day = day
        self.details: list[Detail] = []
        self._standing: dict[Reference, Standing] = {}
        self._captures: dict[Reference, Reference] = {}
        self._approvals: dict[tuple[str, str | None], Reference] = {}
        self._early: dict[Reference, list[Message]] = {}

    @property
    def totals(self) -> Totals:
        """The open day's totals, as a 0500 has them."""
        return totals_of(self.details)

    def open(self, day: date) -> list[Detail]:
        """Begin another business day; returns the lines of the one before."""
        closed, self.details, self.day = self.details, [], day
        self._standing = {name: one for name, one in self._standing.items() if (day - one.day).days <= KEPT_DAYS_MAX}
        kept = self._standing
        self._captures = {hold: capture for hold, capture in self._captures.items() if capture in kept}
        self._approvals = {approval: hold for approval, hold in self._approvals.items() if hold in kept}
        return closed

    def decided(self, request: Message, reply: Message, at: datetime, *, in_doubt: Callable[[Reference], bool]) -> None:
        """Enter what a reply says of a request. `in_doubt` tells of a request whose own reply is still to come.

        `at` is when, for the year of DE 13. A second reply to a request changes nothing.
        """
        if request.mti[1] == REVERSAL:
            self._reverse(request, reply, at, in_doubt)
        elif not is_inquiry(request):
            self._enter(request, reply, at)

    def _enter(self, request: Message, reply: Message, at: datetime) -> None:
        name = Reference.of(request)
        early = self._early.pop(name, ())
        if name in self._standing and not self._standing[name].declined:
            return
        if reply.response_code not in APPROVALS:
            self._standing[name] = Standing(0, self.day, declined=True)
            return
        kind = kind_of(request)
        if kind is None:
            self._hold(name, request, reply)
            return
        cents = approved(request, reply)
        of = Reference.named_by(request) if kind is Kind.REFUND else None
        hold = self._hold_of(request) if kind is Kind.CAPTURE else None
        self._standing[name] = Standing(cents, self.day, credits=kind is Kind.REFUND, of=of)
        if hold is not None:
            self._captures[hold] = name
        if of is not None:
            self._raise(of, -cents)
        if cents:
            self.details.append(detail(kind, request, reply, cents, at))
        for reversal in early:
            self._lower(name, reversal, at)

    def _hold(self, name: Reference, request: Message, reply: Message) -> None:
        self._standing[name] = Standing(0, self.day)
        if reply.approval is not None:
            self._approvals[reply.approval, request.card_number] = name

    def _reverse(self, request: Message, reply: Message, at: datetime, in_doubt: Callable[[Reference], bool]) -> None:
        named = Reference.named_by(request)
        if reply.response_code != DONE or named is None:
            return
        name = self._captures.get(named, named)
        if name in self._standing:
            self._lower(name, request, at)
        elif in_doubt(named):
            self._early.setdefault(named, []).append(request)
        elif named.kind != AUTHORIZATION:  # of a time that nothing here remembers: it is taken at its word
            was = replace(Standing(int(request.amount or 0), self.day), credits=_refunds(request))
            self._standing[name] = was
            self._lower(name, request, at)

    def _lower(self, name: Reference, reversal: Message, at: datetime) -> None:
        was = self._standing[name]
        stands = 0 if reversal.replacement is None else amount_that_stands(reversal.replacement)
        given_back = was.cents - stands
        if given_back <= 0:
            return
        self._raise(name, -given_back)
        if was.of is not None:
            self._raise(was.of, given_back)
        kind = Kind.REFUND_REVERSAL if was.credits else Kind.REVERSAL
        self.details.append(detail(kind, reversal, None, given_back, at))

    def _raise(self, name: Reference, cents: int) -> None:
        """Let so much more stand of a payment, or less, if it is known: of a hold, of what was captured."""
        name = self._captures.get(name, name)
        was = self._standing.get(name)
        if was is not None:
            self._standing[name] = replace(was, cents=was.cents + cents)

    def _hold_of(self, request: Message) -> Reference | None:
        return Reference.named_by(request) or self._approvals.get((request.approval or "", request.card_number))


def kind_of(request: Message) -> Kind | None:
    """What an approved request other than a reversal does to the money; None: it moves none."""
    advises = request.mti[2] == ADVICE
    if advises and request.response_code not in (None, *APPROVALS):
        return None
    if advises and (request.original is not None or request.approval is not None):
        return Kind.CAPTURE
    if request.mti[1] == AUTHORIZATION:
        return None
    if _refunds(request):
        return Kind.REFUND
    return Kind.ADVICE if advises else Kind.SALE


def approved(request: Message, reply: Message) -> int:
    """How many cents an approval approves of a request: part of them, or all."""
    partly = reply.response_code == PARTIAL and reply.amount is not None
    return int((reply.amount if partly else request.amount) or 0)


def detail(kind: Kind, request: Message, reply: Message | None, cents: int, at: datetime) -> Detail:
    """Write a line of the clearing file: a request under its own name, and what it moved."""
    local_date, local_time = request.local_date or "", request.local_time or ""
    local = _nearest(local_date, local_time, at)
    return Detail(
        kind=kind,
        mti=first_mti(request.mti),
        terminal=(request.terminal or "").strip(),
        merchant=(request.merchant or "").strip(),
        trace=request.trace or "",
        transmitted=request.transmitted or "",
        retrieval=request.retrieval_reference,
        approval=None if reply is None else reply.approval,
        card=masked(request.card_number or ""),
        product=(request.processing_code or "")[2:4],
        cents=cents,
        currency=request.currency or CURRENCY,
        day=local.date(),
        at=local.time(),
        original=None if request.original is None else request.original[:ORIGINAL_DIGITS],
    )


def totals_of(details: list[Detail]) -> Totals:
    """Add up a day's lines."""

    def sums(*kinds: Kind) -> tuple[int, int]:
        cents = [one.cents for one in details if one.kind in kinds]
        return len(cents), sum(cents)

    debits, debits_back = sums(Kind.SALE, Kind.CAPTURE, Kind.ADVICE), sums(Kind.REVERSAL)
    refunds, refunds_back = sums(Kind.REFUND), sums(Kind.REFUND_REVERSAL)
    return Totals(
        credits_number=refunds[0],
        credits_reversal_number=refunds_back[0],
        debits_number=debits[0],
        debits_reversal_number=debits_back[0],
        credits_amount=refunds[1],
        credits_reversal_amount=refunds_back[1],
        debits_amount=debits[1],
        debits_reversal_amount=debits_back[1],
    )


def _refunds(request: Message) -> bool:
    return (request.processing_code or "")[:2] == REFUND


def _nearest(local_date: str, local_time: str, at: datetime) -> datetime:
    """DE 13 and 12, in the year that brings them nearest an instant; naive, as a clock on the spot shows it."""
    there = at.replace(tzinfo=None)
    days = []
    for year in (there.year - 1, there.year, there.year + 1):
        try:
            days.append(datetime.strptime(f"{year}{local_date}{local_time}", "%Y%m%d%H%M%S"))  # noqa: DTZ007
        except ValueError:  # 29 February
            continue
    return min(days, key=lambda day: abs(day - there))
