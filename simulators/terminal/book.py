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

EARLIER_LINES_MAX = 100_000
"""What stands from closed days is known of so many requests; the oldest are forgotten first."""

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
    """An approved request: its kind, and what was approved of it. `earlier`: on a day that is closed."""

    kind: Kind
    cents: int
    earlier: bool = False


class Book:
    """One terminal's money of a business day, in cents.

    What is noted twice counts once, and what was reversed never stands again. A reversal may be noted before its
    original: a reply that comes later than that changes nothing. What stood when an earlier day was closed is still
    known (`closed`): it can be taken back, or captured, and then counts today.
    """

    def __init__(self) -> None:
        self._lines: dict[Reference, Line] = {}
        self._ceilings: dict[Reference, int] = {}
        self._approvals: dict[str, Reference] = {}
        self._captured_by: dict[Reference, Reference] = {}

    def note(self, request: Message, reply: Message) -> int:
        """Enter what a reply says of a request, or of the one that the request reverses.

        Returns by how many cents it changes what is `owed`.
        """
        if first_mti(request.mti) in REVERSALS:
            return self._lower(request, reply) if reply.response_code in ACKNOWLEDGEMENTS else 0
        if reply.response_code in APPROVALS and _moves_money(request):
            return self._enter(request, reply)
        return 0

    def stands(self, request: Message) -> int:
        """What stands of a request: approved and not reversed; of a hold, what is still set aside."""
        reference = reference_of(request)
        return 0 if reference not in self._lines else self._stands(reference)

    def tally(self, kind: Kind) -> Tally:
        """What was approved today, whether or not it was reversed since. A completion of 0 counts for nothing."""
        lines = self._lines.values()
        cents = [line.cents for line in lines if line.kind is kind and line.cents and not line.earlier]
        return Tally(len(cents), sum(cents))

    def standing(self, kind: Kind) -> int:
        """What stands of all requests of a kind, those of earlier days included."""
        return sum(self._stands(reference) for reference, line in self._lines.items() if line.kind is kind)

    @property
    def given_back(self) -> int:
        """What today's reversals took off sales, captures and advices."""
        lines = self._lines.items()
        return sum(line.cents - self._stands(reference) for reference, line in lines if line.kind in _OWED)

    @property
    def owed(self) -> int:
        """What the terminal is to be paid for the day.

        Sales, captures and advices that stand, less refunds that do, less what the day took back of earlier ones.
        """
        return sum(map(self._owed, self._lines))

    def closed(self) -> "Book":
        """The next day's book: empty, but it knows what stands from before."""
        book = Book()
        for reference, line in self._lines.items():
            stands = self._stands(reference)
            if stands:
                book._lines[reference] = Line(line.kind, stands, earlier=True)
        book._approvals = {approval: named for approval, named in self._approvals.items() if named in book._lines}
        book._captured_by = {hold: capture for hold, capture in self._captured_by.items() if capture in book._lines}
        while len(book._lines) > EARLIER_LINES_MAX:
            del book._lines[next(iter(book._lines))]
        return book

    def _stands(self, reference: Reference) -> int:
        if reference in self._captured_by:
            return 0
        approved = self._lines[reference].cents
        return min(approved, self._ceilings.get(reference, approved))

    def _owed(self, reference: Reference) -> int:
        """What a line adds to what is owed for the day."""
        line = self._lines.get(reference)
        if line is None or line.kind is Kind.HOLD:
            return 0
        cents = self._stands(reference) - (line.cents if line.earlier else 0)
        return -cents if line.kind is Kind.REFUND else cents

    def _enter(self, request: Message, reply: Message) -> int:
        reference, kind = reference_of(request), kind_of(request)
        before = self._owed(reference)
        if reference not in self._lines or not self._lines[reference].earlier:
            cents = reply.amount if reply.response_code == "10" else request.amount
            self._lines[reference] = Line(kind, int(cents or 0))
        if kind is Kind.HOLD and reply.approval is not None:
            self._approvals[reply.approval] = reference
        if kind is Kind.CAPTURE:
            hold = self._hold_named(request)
            if hold is not None:
                self._captured_by[hold] = reference
        return self._owed(reference) - before

    def _hold_named(self, request: Message) -> Reference | None:
        if request.original is not None:
            return named_by(request.original)
        return self._approvals.get(request.approval or "")

    def _lower(self, request: Message, reply: Message) -> int:
        """A hold that was completed stands no more: what its reversal lowers is what was captured."""
        stands = 0
        if request.replacement is not None and reply.response_code != NO_ORIGINAL:
            stands = amount_that_stands(request.replacement)
        named = named_by(request.original or "")
        lowered = self._captured_by.get(named, named)
        before = self._owed(lowered)
        self._ceilings[lowered] = min(stands, self._ceilings.get(lowered, stands))
        return self._owed(lowered) - before


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


def kind_of(request: Message) -> Kind:
    """What a request does, where it is approved."""
    holds, advises = request.mti[1] == "1", request.mti[2] == "2"
    if advises and (request.original is not None or request.approval is not None):
        return Kind.CAPTURE
    if holds:
        return Kind.HOLD
    if (request.processing_code or "")[:2] == REFUND:
        return Kind.REFUND
    return Kind.ADVICE if advises else Kind.SALE
