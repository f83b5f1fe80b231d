"""Where a till stands, read off its journal: its book and its batch, what is in doubt and what must be told."""

from datetime import datetime

from msgspec import Struct

from authz.wire.message import Message
from authz.wire.rules import is_inquiry
from simulators.clearing import Detail
from simulators.terminal import batch
from simulators.terminal.book import APPROVALS, REVERSALS, Book, Kind, Reference, kind_of, named_by, reference_of
from simulators.terminal.journal import Event, Happening


class Decided(Struct, frozen=True):
    """A request, its reply (None: accepted offline), and when that came."""

    request: Message
    reply: Message | None
    at: datetime


class Standing:
    """The fold of one till's events; `take` them in their order.

    `in_doubt` are requests that may have been decided and have no answer; `to_tell` what must be told, oldest first;
    both by their reference. `trace` is the trace number last entered, 0 where there is none; `days_closed` counts.
    `decided` is the last request that was; `last_sale` the day's last that was approved, unless it was taken back.
    """

    def __init__(self, book: Book) -> None:
        self.book = book
        self.in_doubt: dict[Reference, Message] = {}
        self.to_tell: dict[Reference, Message] = {}
        self._moved: list[tuple[Message, Message, datetime, int]] = []
        self.trace = 0
        self.days_closed = 0
        self.decided: Decided | None = None
        self.last_sale: Decided | None = None

    def take(self, event: Event) -> None:
        """Let an event have happened."""
        request, reply = event.request, event.reply
        if request is None:
            self.book = self.book.closed()
            self._moved = []
            self.last_sale = None
            self.days_closed += 1
            return
        reference = reference_of(request)
        match event.happening:
            case Happening.ASKED:
                self._name(request)
                self.in_doubt[reference] = request
            case Happening.UNSENT:
                self.in_doubt.pop(reference, None)
            case Happening.ANSWERED if reply is not None:
                self.in_doubt.pop(reference, None)
                self.decided = Decided(request, reply, event.at)
                if reply.response_code in APPROVALS and _sells(request):
                    self.last_sale = self.decided
                self._note(request, reply, event.at)
            case Happening.TO_TELL:
                self._name(request)
                self.to_tell[reference] = request
                if request.original is not None and request.mti in REVERSALS:
                    self._take_back(named_by(request.original))
                elif _sells(request):
                    self.decided = self.last_sale = Decided(request, None, event.at)
            case Happening.ACKNOWLEDGED if reply is not None:
                self.to_tell.pop(reference, None)
                self._note(request, reply, event.at)

    @property
    def details(self) -> tuple[Detail, ...]:
        """The day's batch so far. Raises `ClearingInvalid` where the host approved what has no name."""
        details = (batch.detail(*moved) for moved in self._moved)
        return tuple(detail for detail in details if detail is not None)

    def _name(self, request: Message) -> None:
        self.trace = int(request.trace or 0)

    def _take_back(self, named: Reference) -> None:
        self.in_doubt.pop(named, None)
        if self.last_sale is not None and reference_of(self.last_sale.request) == named:
            self.last_sale = None

    def _note(self, request: Message, reply: Message, at: datetime) -> None:
        self._moved.append((request, reply, at, self.book.note(request, reply)))


def _sells(request: Message) -> bool:
    return request.mti[1] == "2" and not is_inquiry(request) and kind_of(request) in (Kind.SALE, Kind.ADVICE)
