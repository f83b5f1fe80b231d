"""The outbox of a partition: it follows the journal, and sends each letter at least once.

Nothing keeps a queue. How far it has come is a record; what was sent behind the last such record is sent again after a
kill, under the same Message-ID, by which receivers can tell. A letter that is refused for good holds nobody up; while
the server can't be reached, all wait.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from authz import logs
from authz.issuing.following import PASSED_A_NOTE, Follower, window
from authz.issuing.issuer import Issuer
from authz.issuing.outbox.letters import Letter, written
from authz.issuing.outbox.occasions import KINDS, LOW, PAYMENTS, Occasions
from authz.issuing.outbox.sending import Line, Post, ServerDown, SmtpPost, Undeliverable, addressed
from authz.issuing.outbox.settings import MailSettings
from authz.issuing.person import Person
from authz.metrics import Metrics
from ledger.store import Event
from ledger.values import Partition, Seq

RECORDS_A_NOTE = 32
"""Records about which letters are sent before it is noted how far: so many are told again after a kill."""
LETTERS_A_CONNECTION_MAX = 50
"""Letters over one connection: servers end those that go on and on."""
LETTERS_A_SECOND_MAX = 20
"""One is sent at a time; of each partition."""
TRIES_MAX = 10
"""How often a letter that is refused for now is tried, a minute apart, before it counts as refused for good."""


Place = tuple[Seq, int]
"""Where a letter stands: its record, and its number among that record's letters."""


class Told(Struct, frozen=True, gc=False):
    """A letter, the record that it is about, and its number among that one's letters, from 0."""

    event: Event
    number: int
    letter: Letter

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.event.seq, self.number


class Outbox:
    """Sends one partition's letters: `send` is a job to do now and then."""

    def __init__(
        self,
        issuer: Issuer,
        partition: Partition,
        settings: MailSettings,
        metrics: Metrics,
        post: Post | None = None,
        letters_a_second_max: float = LETTERS_A_SECOND_MAX,
    ) -> None:
        self._issuer = issuer
        self._partition = partition
        self._settings = settings
        self._post = post or SmtpPost(settings)
        self._pause_s = 1 / letters_a_second_max
        self._letters = metrics.letters
        self._follower = Follower(issuer, partition, f"outbox {partition}")
        self._noted = self._through = Seq(0)
        self._next: Place = (Seq(0), 0)
        self._waiting_since: datetime | None = None
        self._deferred: tuple[Place, int] = (self._next, 0)
        metrics.outbox_age.labels(partition).set_function(self.age_s)

    def age_s(self) -> float:
        """Tell how long the oldest record about which a letter is to be sent has been waiting, 0 where none is."""
        since = self._waiting_since
        return 0 if since is None else max((self._issuer.instant - since).total_seconds(), 0)

    async def send(self) -> None:
        """Send what there is to be told, as far as the journal goes or the server takes it.

        Raises what the store, the lane, the vault and the contacts raise: what was noted until then is done.
        """
        head = self._follower.head()
        noted = await self._follower.noted()
        if noted is None:  # nobody is told of what was before there was an outbox
            return await self._note(head)
        self._noted = noted
        after = max(self._through, noted)
        try:
            while after < head:
                through, events = await self._window(after, head)
                for first in range(0, len(events), RECORDS_A_NOTE):
                    await self._tell(events[first : first + RECORDS_A_NOTE])
                if through - self._noted >= PASSED_A_NOTE:
                    await self._note(through)
                after = self._through = through
        except ServerDown as down:
            logs.warning("letters wait", why=str(down), partition=self._partition)
        return None

    async def _window(self, after: Seq, head: Seq) -> tuple[Seq, Sequence[Event]]:
        """Read which records may call for letters, and how far that goes."""
        async with self._follower.lane.turn():
            through, told = await window(self._issuer, self._partition, KINDS, after, head)
            through, low = await window(self._issuer, self._partition, PAYMENTS, after, through, LOW)
        return through, sorted([one for one in (*told, *low) if one.seq <= through], key=lambda one: one.seq)

    async def _tell(self, events: Sequence[Event]) -> None:
        """Send the letters about some records, and note how far that went."""
        letters = [one for one in await self._called_for(events) if one.place >= self._next]
        people = await self._issuer.contacts.find(list({one.letter.to for one in letters}))
        for first in range(0, len(letters), LETTERS_A_CONNECTION_MAX):
            some = letters[first : first + LETTERS_A_CONNECTION_MAX]
            self._waiting_since = some[0].event.at
            try:
                async with self._post.open() as line:
                    for one in some:
                        self._waiting_since = one.event.at
                        await self._send(line, one, people.get(one.letter.to))
                        self._next = (one.event.seq, one.number + 1)
            except ServerDown:
                waiting = next(one for one in some if one.place >= self._next)
                await self._note(Seq(waiting.event.seq - 1))
                raise
        self._waiting_since = None
        if letters:
            await self._note(letters[-1].event.seq)

    async def _called_for(self, events: Sequence[Event]) -> Sequence[Told]:
        occasions = Occasions(self._issuer, self._partition, self._settings.link)
        return [
            Told(event, number, letter)
            for event in events
            for number, letter in enumerate(await occasions.letters(event))
        ]

    async def _send(self, line: Line, told: Told, person: Person | None) -> None:
        """Send one letter, unless whom it is to was erased. Raises `ServerDown`."""
        if person is None:
            return self._count("gone")
        name = f"<{self._partition}.{told.event.seq}.{told.number}@{self._settings.domain}>"
        text = written(told.letter.content, person, self._settings.link)
        try:
            await line.send(addressed(text, person, self._settings.sender, name, told.event.at))
        except Undeliverable as refused:
            self._refused(refused, told)
        else:
            self._count("sent")
        await asyncio.sleep(self._pause_s)
        return None

    def _refused(self, refused: Undeliverable, told: Told) -> None:
        """Pass over a letter that is refused for good; let it wait while it is refused for now."""
        if not refused.for_good:
            place, tries = self._deferred
            self._deferred = told.place, tries + 1 if place == told.place else 1
            if self._deferred[1] < TRIES_MAX:
                self._count("deferred")
                raise ServerDown
        self._count("refused")
        logs.warning("a letter was refused", code=refused.code, trace=logs.trace(self._partition, told.event.seq))

    def _count(self, outcome: str) -> None:
        self._letters.labels(outcome).inc()

    async def _note(self, through: Seq) -> None:
        """Note how far letters were sent, where that is news."""
        if through > self._noted:
            await self._follower.note(through)
            self._noted = through
