"""What a terminal believes of its money: kept from its requests, their replies, and its acknowledged reversals."""

from enum import StrEnum

from msgspec import Struct

from authz.wire.message import Message
from authz.wire.original import OriginalElements, amount_that_stands
from authz.wire.rules import first_mti, is_inquiry

APPROVALS = ("00", "10")
NO_ORIGINAL = "25"
"""To a reversal: its original is unknown, and will be refused should it come later."""
ACKNOWLEDGEMENTS = ("00", NO_ORIGINAL)
"""Response codes that end a reversal."""
REVERSALS = ("0400", "0420")
REFUND = "20"
"""In DE 3: the money goes back to the card."""

Reference = tuple[str, str]
"""A terminal's own name for a request, the one that DE 90 bears: its trace number and its transmission time."""


class Kind(StrEnum):
    """What a request does to the terminal's money, where it is approved."""

    SALE = "sale"
    HOLD = "hold"
    CAPTURE = "capture"
    ADVICE = "advice"
    """A sale made offline."""
    REFUND = "refund"


class Tally(Struct, frozen=True):
    """How many requests of a kind a terminal saw approved, and what they come to."""

    count: int = 0
    cents: int = 0


class Line(Struct, frozen=True):
    """An approved request: its kind, and what was approved of it."""

    kind: Kind
    cents: int


class Book:
    """One terminal's money, in cents. What is noted twice counts once, and what was reversed never stands again.

    A reversal may be noted before its original: a reply that comes later than that changes nothing.
    """

    def __init__(self) -> None:
        self._lines: dict[Reference, Line] = {}
        self._ceilings: dict[Reference, int] = {}
        self._approvals: dict[str, Reference] = {}
        self._captured_by: dict[Reference, Reference] = {}

    def note(self, request: Message, reply: Message) -> None:
        """Enter what a reply says of a request, or of the one that the request reverses."""
        if first_mti(request.mti) in REVERSALS:
            if reply.response_code in ACKNOWLEDGEMENTS:
                self._lower(request, reply)
        elif reply.response_code in APPROVALS and _moves_money(request):
            self._enter(request, reply)

    def stands(self, request: Message) -> int:
        """What stands of a request: approved and not reversed; of a hold, what is still set aside."""
        reference = reference_of(request)
        return 0 if reference not in self._lines else self._stands(reference)

    def tally(self, kind: Kind) -> Tally:
        """What was approved, whether or not it was reversed since. A completion of 0 counts for nothing."""
        cents = [line.cents for line in self._lines.values() if line.kind is kind and line.cents]
        return Tally(len(cents), sum(cents))

    def standing(self, kind: Kind) -> int:
        """What stands of all requests of a kind."""
        return sum(self._stands(reference) for reference, line in self._lines.items() if line.kind is kind)

    @property
    def given_back(self) -> int:
        """What reversals took off sales, captures and advices."""
        return sum(self.tally(kind).cents - self.standing(kind) for kind in _OWED)

    @property
    def owed(self) -> int:
        """What the terminal is to be paid: sales, captures and advices that stand, less refunds that stand."""
        return sum(self.standing(kind) for kind in _OWED) - self.standing(Kind.REFUND)

    def _stands(self, reference: Reference) -> int:
        if reference in self._captured_by:
            return 0
        approved = self._lines[reference].cents
        return min(approved, self._ceilings.get(reference, approved))

    def _enter(self, request: Message, reply: Message) -> None:
        reference, kind = reference_of(request), _kind(request)
        cents = reply.amount if reply.response_code == "10" else request.amount
        self._lines[reference] = Line(kind, int(cents or 0))
        if kind is Kind.HOLD and reply.approval is not None:
            self._approvals[reply.approval] = reference
        if kind is Kind.CAPTURE:
            hold = self._hold_named(request)
            if hold is not None:
                self._captured_by[hold] = reference

    def _hold_named(self, request: Message) -> Reference | None:
        if request.original is not None:
            return named_by(request.original)
        return self._approvals.get(request.approval or "")

    def _lower(self, request: Message, reply: Message) -> None:
        """A hold that was completed stands no more: what its reversal lowers is what was captured."""
        stands = 0
        if request.replacement is not None and reply.response_code != NO_ORIGINAL:
            stands = amount_that_stands(request.replacement)
        named = named_by(request.original or "")
        lowered = self._captured_by.get(named, named)
        self._ceilings[lowered] = min(stands, self._ceilings.get(lowered, stands))


def reference_of(request: Message) -> Reference:
    """The name of a request, also of a repeat."""
    return request.trace or "", request.transmitted or ""


def named_by(original: str) -> Reference:
    """The name that a DE 90 gives."""
    elements = OriginalElements.parse(original)
    return elements.trace, elements.transmitted


_OWED = (Kind.SALE, Kind.CAPTURE, Kind.ADVICE)


def _moves_money(request: Message) -> bool:
    """An advice may tell of what was declined offline: then it moves nothing."""
    return not is_inquiry(request) and request.response_code in (None, *APPROVALS) and request.mti[1] in "12"


def _kind(request: Message) -> Kind:
    holds, advises = request.mti[1] == "1", request.mti[2] == "2"
    if advises and (request.original is not None or request.approval is not None):
        return Kind.CAPTURE
    if holds:
        return Kind.HOLD
    if (request.processing_code or "")[:2] == REFUND:
        return Kind.REFUND
    return Kind.ADVICE if advises else Kind.SALE
