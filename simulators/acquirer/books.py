"""An acquirer's books: its open business day, what is in doubt, and its keys, all read off the journal.

A request is in doubt from before it is sent until its reply is known, across restarts. Nothing of a day is lost with
the process: whoever opens the books again finds the same day, with the same lines.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime

from msgspec import Struct
from msgspec.structs import replace

from authz.security.module import ZoneKeyUsage
from authz.wire.message import Message
from authz.wire.rules import is_inquiry
from simulators.acquirer.journal import (
    Asked,
    Closed,
    Closing,
    Decided,
    Event,
    Filed,
    Journal,
    KeyOffered,
    KeyRefused,
    KeyTaken,
    NotClosed,
    Opened,
    Unsent,
    kept,
)
from simulators.acquirer.settlement import REVERSAL, UNDECIDED, Reference, Settlement, totals_of
from simulators.acquirer.totals import Totals
from simulators.acquirer.zone_keys import NewKey
from simulators.clearing import Detail

Clock = Callable[[], datetime]
"""Says what time it is, as an aware datetime."""


class Doubt(Struct, frozen=True):
    """A request that may or may not have been decided. `at` is when it was first sent, `sent` how often it was."""

    request: Message
    at: datetime
    sent: int = 1


class ClosedDay(Struct, frozen=True):
    """A business day that was closed, and its lines."""

    day: date
    at: datetime
    details: tuple[Detail, ...]

    @property
    def totals(self) -> Totals:
        """Its totals, as a 0500 has them."""
        return totals_of(list(self.details))


class Books:
    """Made by `open`. Each method returns when what it enters is durable; it raises `JournalUnusable`.

    `in_doubt` are the requests without a reply, the oldest first. `taken_back` are payments that the host reversed
    itself, by a reversal with their own trace number: their repeats mustn't hear that they were approved. `closing` is
    the day that was about to begin when the authorizer's answer to the cutover wasn't known yet; `unfiled` are closed
    days without a clearing file. `offered` is a key that the authorizer may have by now, `taken` those that it has.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._settlement: Settlement | None = None
        self.in_doubt: dict[Reference, Doubt] = {}
        self.taken_back: set[Reference] = set()
        self.closing: date | None = None
        self.unfiled: list[ClosedDay] = []
        self.offered: NewKey | None = None
        self.taken: dict[ZoneKeyUsage, NewKey] = {}

    @classmethod
    async def open(cls, journal: Journal, clock: Clock, first_day: date) -> "Books":
        """Read the journal; where it is empty, `first_day` is the business day. Raises `JournalUnusable`."""
        books = cls(journal, clock)
        for event in journal.events():
            books._apply(event)
        if books._settlement is None:
            await books._enter(Opened(first_day))
        return books

    @property
    def day(self) -> date:
        """The business day that is open."""
        return self._open.day

    @property
    def totals(self) -> Totals:
        """The open day's totals."""
        return self._open.totals

    @property
    def details(self) -> tuple[Detail, ...]:
        """The open day's lines."""
        return tuple(self._open.details)

    def totals_at(self, merchant: str, terminal: str) -> Totals:
        """The open day's totals of one terminal."""
        return totals_of([one for one in self._open.details if (one.merchant, one.terminal) == (merchant, terminal)])

    async def asked(self, request: Message) -> None:
        """Enter a request that is about to be sent. An inquiry moves nothing, and isn't entered."""
        if not is_inquiry(request):
            await self._enter(Asked(kept(request), self._now()))

    async def unsent(self, request: Message) -> None:
        """Enter that a request never left."""
        if not is_inquiry(request):
            await self._enter(Unsent(kept(request)))

    async def decided(self, request: Message, reply: Message) -> None:
        """Enter a reply."""
        if not is_inquiry(request):
            await self._enter(Decided(kept(request), kept(reply), self._now()))

    async def closes(self, begins: date) -> None:
        """Enter that a cutover is about to be sent, and the day that it begins."""
        await self._enter(Closing(begins))

    async def closed(self, begins: date) -> None:
        """Enter that the authorizer took the cutover."""
        await self._enter(Closed(begins, self._now()))

    async def not_closed(self) -> None:
        """Enter that the authorizer refused the cutover."""
        await self._enter(NotClosed())

    async def filed(self, day: date) -> None:
        """Enter that a closed day's clearing file is written."""
        await self._enter(Filed(day))

    async def key_offered(self, key: NewKey) -> None:
        """Enter that a new key is about to be given."""
        await self._enter(KeyOffered(key))

    async def key_taken(self, key: NewKey) -> None:
        """Enter that the authorizer has it."""
        await self._enter(KeyTaken(key))

    async def key_refused(self, key: NewKey) -> None:
        """Enter that the authorizer refused it."""
        await self._enter(KeyRefused(key))

    async def close(self) -> None:
        """Make durable what isn't yet, and close the journal."""
        await self._journal.close()

    @property
    def _open(self) -> Settlement:
        assert self._settlement is not None
        return self._settlement

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)

    async def _enter(self, event: Event) -> None:
        self._apply(event)
        await self._journal.append(event)

    def _apply(self, event: Event) -> None:
        match event:
            case Asked(request, at):
                self._doubt(request, at)
            case Unsent(request):
                self._unsend(Reference.of(request))
            case Decided(request, reply, at):
                self._decide(request, reply, at)
            case Opened(day):
                self._settlement = Settlement(day)
            case Closing(begins):
                self.closing = begins
            case NotClosed():
                self.closing = None
            case Closed(begins, at):
                day = self.day
                self.closing = None
                self.unfiled.append(ClosedDay(day, at, tuple(self._open.open(begins))))
                self.taken_back &= set(self.in_doubt)
            case Filed(day):
                self.unfiled = [one for one in self.unfiled if one.day != day]
            case KeyOffered(key):
                self.offered = key
            case KeyTaken(key):
                self.offered = None
                self.taken[key.usage] = key
            case KeyRefused():
                self.offered = None

    def _doubt(self, request: Message, at: datetime) -> None:
        name = Reference.of(request)
        before = self.in_doubt.get(name)
        named = Reference.named_by(request)
        if named is not None and request.mti[1] == REVERSAL and named.trace == name.trace:
            self.taken_back.add(named)
        self.in_doubt[name] = Doubt(request, at) if before is None else replace(before, sent=before.sent + 1)

    def _unsend(self, name: Reference) -> None:
        """Whatever says that one sending came to nothing says nothing of another."""
        doubt = self.in_doubt.get(name)
        if doubt is not None and doubt.sent > 1:
            self.in_doubt[name] = replace(doubt, sent=doubt.sent - 1)
        else:
            self.in_doubt.pop(name, None)

    def _decide(self, request: Message, reply: Message, at: datetime) -> None:
        name = Reference.of(request)
        if reply.response_code in UNDECIDED:
            self._unsend(name)
            return
        self.in_doubt.pop(name, None)
        self._open.decided(request, reply, at, in_doubt=self.in_doubt.__contains__)
