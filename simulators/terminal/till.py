"""A till at work: it asks, and what it gets no answer to it takes back, until that is acknowledged.

Whoever asks for money over a line that can fail can't know whether silence means no. So a request without an answer
is reversed, and only an acknowledged reversal says what became of it; an answer that comes after the reversal was
begun is too late. What has happened already (a completion, an offline sale) can't be taken back by silence: it is
told again until it is heard. Everything is in the till's journal before it is done, so a till that is switched off at
any moment goes on where it was (`resume`).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date
from pathlib import Path

from msgspec import Struct

from authz.wire.codec import Unsendable
from authz.wire.message import Message
from simulators import clearing
from simulators.clearing import Clearing
from simulators.link import Authorizer, LinkError, NoConnection
from simulators.mistakes import Mistake
from simulators.terminal.book import ACKNOWLEDGEMENTS, REVERSALS, Book, Reference, reference_of
from simulators.terminal.journal import Happening, Journal, Place
from simulators.terminal.messages import Terminal, following, repeat
from simulators.terminal.standing import Standing

ANSWER_WITHIN_S = 8.0
"""Above the 5 s within which a host answers or declines to."""
AGAIN_EVERY_S = 10.0
REPEATS_MAX = 0
REVERSALS_MAX_TRIES = 1_000
"""At one every 10 s: close to three hours."""
UNDECIDED = ("91", "96")
"""Response codes by which nothing was recorded: a copy of the same request may still be decided otherwise."""
DAMAGED = ("30", "63")
"""Response codes to a copy that came damaged, as its form or its MAC tells: they say nothing of another copy."""


class NotAcknowledged(Mistake):
    """A message that must be told was not acknowledged, as often as it was sent."""

    def __init__(self, mti: str, tries: int, response_code: str | None) -> None:
        last = "no answer" if response_code is None else f"response code {response_code}"
        super().__init__(f"a {mti} was sent {tries} times and not acknowledged: {last} to the last")


class DayOpen(Mistake):
    """A day can't be closed while something is still to be told."""

    def __init__(self, to_tell: int) -> None:
        super().__init__(f"the day stays open: {to_tell} messages that nobody has acknowledged are to be told first")
        self.to_tell = to_tell


class BatchUnwritable(Mistake):
    """The batch file can't be written; the day stays open."""


class Patience(Struct, frozen=True, kw_only=True):
    """How long a till waits, and how often it tries.

    `repeats_max` is how often a request is sent again before it is taken back; `reversals_max_tries` how often a
    stored message, a reversal or an advice, is sent in all.
    """

    answer_within_s: float = ANSWER_WITHIN_S
    again_every_s: float = AGAIN_EVERY_S
    repeats_max: int = REPEATS_MAX
    reversals_max_tries: int = REVERSALS_MAX_TRIES


class Resumed(Struct, frozen=True):
    """What a till found left of an earlier run: requests that were in doubt, and messages that were still to tell."""

    in_doubt: int = 0
    to_tell: int = 0


class DayClosed(Struct, frozen=True, kw_only=True):
    """The end of a till's day: the batch, where it was written (None: nowhere), and the book that was closed."""

    batch: Clearing
    path: Path | None
    book: Book


Exchanged = Callable[[Message, Message | None], None]
"""Told of every exchange: the request as it was sent, and its reply where one came."""


class Till:
    """One terminal with its line and its journal. It serves one customer at a time.

    `terminal.book` is its view of its money. Without a journal it keeps one in memory. A journal that holds events of
    this place is gone on with: its trace numbers, its book, its queue. `linked` tells whether the last exchange found
    the host; None: there was none yet.
    """

    def __init__(
        self,
        terminal: Terminal,
        authorizer: Authorizer,
        patience: Patience = Patience(),  # noqa: B008, frozen
        journal: Journal | None = None,
        *,
        watch: Exchanged | None = None,
    ) -> None:
        self.terminal = terminal
        self.place = Place(terminal.site.merchant.rstrip(), terminal.site.terminal.rstrip())
        self.journal = Journal() if journal is None else journal
        self.linked: bool | None = None
        self._authorizer = authorizer
        self.patience = patience
        self._watch = watch
        self._sent: set[Reference] = set()
        self._telling = asyncio.Lock()
        self._standing = Standing(terminal.book)
        for event in self.journal.events(self.place):
            self._standing.take(event)
        terminal.book = self._standing.book
        if self._standing.trace:
            terminal.next_trace = following(self._standing.trace)
        self._sent.update(self._standing.to_tell)

    def __repr__(self) -> str:
        return f"Till({self.terminal.site.terminal})"

    @property
    def standing(self) -> Standing:
        """Where it stands, as its journal has it. To be read."""
        return self._standing

    @property
    def stored(self) -> list[Message]:
        """What must still be told, oldest first: more than nothing while it is telling, or while nobody listens."""
        return list(self._standing.to_tell.values())

    async def pay(self, request: Message) -> Message | None:
        """Ask for a payment, a hold, a refund or a balance.

        None: there was no answer, and the request is taken back; or it never left, for there was no connection.
        Raises `NotAcknowledged` where taking it back didn't succeed either.
        """
        reply = await self.ask(request)
        if reply is None and self.doubts(request):
            await self.take_back(request)
        return reply

    async def ask(self, request: Message) -> Message | None:
        """Ask, and leave what has no answer in doubt (`doubts`), for the caller, or `resume`, to take back."""
        self._enter(Happening.ASKED, request)
        patience, sent = self.patience, False
        undecided: tuple[str, ...] = UNDECIDED
        for sending in (request, *[repeat(request)] * patience.repeats_max):
            try:
                reply = await self._exchange(sending, patience.answer_within_s)
            except NoConnection:
                continue
            except LinkError:
                reply = None
            except Unsendable:
                self._enter(Happening.UNSENT, request)
                raise
            sent = True
            if reply is not None and reply.response_code not in undecided:
                self._enter(Happening.ANSWERED, request, reply)
                return reply
            undecided = (*UNDECIDED, *DAMAGED)
        if not sent:
            self._enter(Happening.UNSENT, request)
        return None

    def doubts(self, request: Message) -> bool:
        """Whether a request may have been decided, and nobody knows how."""
        return reference_of(request) in self._standing.in_doubt

    async def take_back(self, request: Message, *, stands: int | None = None) -> Message:
        """Reverse a request, in full or down to the cents that `stands`. Raises `NotAcknowledged`."""
        return await self.tell(self.terminal.reversal(request, stands=stands))

    async def tell(self, message: Message) -> Message:
        """Send an advice, a completion or a reversal until it is acknowledged. Raises `NotAcknowledged`.

        Not while `forward` is at work.
        """
        self.store(message)
        return await self._tell_stored(reference_of(message))

    def store(self, message: Message) -> None:
        """Enter what must be told, before it is: from here on it isn't forgotten."""
        self._enter(Happening.TO_TELL, message)

    def store_doubts(self) -> int:
        """Enter a reversal of every request in doubt. Returns how many there were."""
        doubts = list(self._standing.in_doubt.values())
        for request in doubts:
            self.store(self.terminal.reversal(request))
        return len(doubts)

    async def forward(self) -> int:
        """Send once what is stored, oldest first, while there is a connection. Returns how much is left."""
        async with self._telling:
            for reference in list(self._standing.to_tell):
                with suppress(Unsendable):  # it stays stored, and those behind it are told
                    await self._attempt(reference)
                if self.linked is False:
                    break
        return len(self._standing.to_tell)

    async def resume(self) -> Resumed:
        """Finish what an earlier run left: take back what is in doubt, tell what is to be told.

        Returns what it found. Raises `NotAcknowledged`.
        """
        found = Resumed(len(self._standing.in_doubt), len(self._standing.to_tell))
        self.store_doubts()
        for reference in list(self._standing.to_tell):
            await self._tell_stored(reference)
        return found

    async def close_day(self) -> DayClosed:
        """Tell what is left to tell, write the batch file, and begin a new day.

        The file is in `batches` in the journal's folder. Raises `DayOpen`, `BatchUnwritable`; then the day goes on.
        """
        self.store_doubts()
        if left := await self.forward():
            raise DayOpen(left)
        now = self.terminal.now()
        day = now.astimezone(self.terminal.site.zone).date()
        batch = Clearing(
            acquirer=self.terminal.acquirer,
            day=day,
            created=now.astimezone(UTC).replace(microsecond=0),
            file_id=f"{self.place.terminal}-{self._standing.days_closed + 1:06}",
            details=self._standing.details,
        )
        closed = DayClosed(batch=batch, path=self._write(batch), book=self.terminal.book)
        self._close(day)
        return closed

    def _write(self, batch: Clearing) -> Path | None:
        """The file is whole before the day is closed; one that was written and not entered is written again."""
        if self.journal.folder is None:
            return None
        path = self.journal.folder / "batches" / f"{batch.file_id}.csv"
        try:
            path.parent.mkdir(exist_ok=True)
            clearing.save(batch, path)
        except OSError as failed:
            raise BatchUnwritable(f"{path}: {failed.strerror}; the day stays open") from None
        return path

    async def _tell_stored(self, reference: Reference) -> Message:
        clock = asyncio.get_running_loop().time
        patience, reply = self.patience, None
        mti = self._standing.to_tell[reference].mti
        for _ in range(patience.reversals_max_tries):
            due = clock() + patience.again_every_s
            reply = await self._attempt(reference)
            if reference not in self._standing.to_tell and reply is not None:
                return reply
            await asyncio.sleep(max(0.0, due - clock()))
        raise NotAcknowledged(mti, patience.reversals_max_tries, None if reply is None else reply.response_code)

    async def _attempt(self, reference: Reference) -> Message | None:
        """Send a stored message once; that it was acknowledged is entered."""
        message = self._standing.to_tell[reference]
        sending = repeat(message) if reference in self._sent else message
        self._sent.add(reference)
        try:
            reply = await self._exchange(sending, self.patience.again_every_s)
        except LinkError:
            return None
        if _acknowledges(message, reply):
            self._enter(Happening.ACKNOWLEDGED, message, reply)
            self._sent.discard(reference)
        return reply

    async def _exchange(self, sending: Message, within_s: float) -> Message:
        reply = None
        try:
            reply = await self._authorizer.exchange(sending, within_s)
        except NoConnection:
            self.linked = False
            raise
        finally:
            if self._watch is not None:
                self._watch(sending, reply)
        self.linked = True
        return reply

    def _enter(self, happening: Happening, request: Message, reply: Message | None = None) -> None:
        self._standing.take(self.journal.append(happening, self.terminal.now(), request, reply))

    def _close(self, day: date) -> None:
        self._standing.take(self.journal.close_day(self.place, self.terminal.now(), day))
        self.terminal.book = self._standing.book


def _acknowledges(message: Message, reply: Message) -> bool:
    if message.mti in REVERSALS:
        return reply.response_code in ACKNOWLEDGEMENTS
    return reply.response_code not in (*UNDECIDED, *DAMAGED)
