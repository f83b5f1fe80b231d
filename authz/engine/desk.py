"""A partition's memory, and the synchronous decision over it. No I/O and no await: what it needs is there, or named."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from authz.clock import Now
from authz.decision.commands import Reversal
from authz.decision.decide import decide
from authz.decision.outcomes import Reason, Reply
from authz.engine.facts import books_read, facts_of
from authz.engine.identities import content_of
from authz.engine.originals import Sight, follow, named_by
from authz.engine.passbooks import Passbooks
from authz.engine.recent import Known, Recent
from authz.engine.requests import Answer
from authz.engine.work import Batch, Books, Decided, Work
from ledger.store import Line
from ledger.values import HolderId, Identity


class Desk:
    """What one writer knows of its partition. It is dropped whole when an append's outcome is unknown."""

    def __init__(self, now: Now, passbooks: Passbooks, recent: Recent) -> None:
        self._now = now
        self._passbooks = passbooks
        self._recent = recent
        self.instant = now()
        """The engine's: the clock's, or the newest record's where that is later."""
        self.term = 0
        """Rises whenever memory is dropped: what was read before is not to be kept."""

    def drop(self) -> None:
        """Forget everything."""
        self.term += 1
        self._passbooks.clear()
        self._recent.clear()

    def open(self, newest: datetime | None) -> None:
        """Begin afresh behind a record made at `newest`: the engine's time never runs backward."""
        self.drop()
        self.instant = max(self._now(), newest or self._now())

    def present(self) -> datetime:
        """Tell the engine's time now."""
        return max(self._now(), self.instant)

    def lag(self) -> float:
        """How far the clock is behind the newest record's instant, in seconds."""
        return max(0.0, (self.instant - self._now()).total_seconds())

    @property
    def departures(self) -> int:
        """How many passbooks have left memory: to be noted before one is read."""
        return self._passbooks.departures

    def keep(self, holder: HolderId, line: Line | None, departures: int) -> bool:
        """Take in what was read of a passbook when so many had left. False: it has left since, so read it again."""
        if self._passbooks.has_left(holder, departures):
            return False
        self._passbooks.put(holder, line)
        return True

    def has(self, holder: HolderId) -> bool:
        """Whether a passbook is in memory."""
        return self._passbooks.get(holder) is not None

    @contextmanager
    def guests(self, holders: Iterable[HolderId]) -> Iterator[None]:
        """While the block runs, take these passbooks in for bulk work: they don't stay, unless somebody pays."""
        self._passbooks.invite(holders)
        try:
            yield
        finally:
            self._passbooks.dismiss()

    def missing(self, work: Work) -> tuple[HolderId, ...]:
        """Name the passbooks that must be loaded before `work` can be decided; none: it can be."""
        return self._books(work).missing

    def unsought(self, work: Work) -> list[Identity]:
        """Name the keys that must be looked for in the ledger before `work` can be decided; none: it can be."""
        originals = named_by(work.command)
        if not work.look_up and not originals:
            return []
        sight = self._sight(work)
        if work.look_up and work.keys is not None:
            sight.see([*work.keys.answering(), work.keys.reference])
        if originals:
            follow(originals, sight)
        return sight.unsought

    def decide(self, work: Work) -> Decided | Answer | None:
        """Decide: a record to append, or the answer that another record has, or is about to have.

        None: not all that it rests on is in memory. Raises `authz.decision.Refused` for an administrative command that
        makes no sense.
        """
        if self.unsought(work):
            return None
        if work.keys is None:
            return self._decide_anew(work)
        for key in work.keys.answering():
            same = self._seen(work, key)
            if same is None:
                continue
            answer = same.answer
            if content_of(answer.command) == content_of(work.command):
                return answer
            if key == work.keys.identity:
                return _reused(work)
        bearer = self._seen(work, work.keys.reference)
        return self._decide_anew(work) if bearer is None else _reused(work, bearer)

    def acknowledge(self, batch: Batch) -> None:
        """The batch is in the ledger: what it wrote may leave memory."""
        for one in batch.decided:
            if one.books.holder is not None:
                one.books.holder.pins -= 1
            if one.known is not None and one.work.bulk:
                self._recent.forget(one.known)
            elif one.known is not None:
                self._recent.acknowledge(one.known)

    def roll_back(self, batch: Batch) -> None:
        """The batch is not in: forget what it wrote here. Its holders are loaded again when they are needed."""
        for one in batch.decided:
            if one.books.holder is not None:
                self._passbooks.forget(one.books.holder.holder)
            if one.known is not None:
                self._recent.forget(one.known)

    def _seen(self, work: Work, key: Identity) -> Known | None:
        return self._recent.get(key) or work.found.get(key)

    def _sight(self, work: Work) -> Sight:
        return Sight(self._recent.get, work.found)

    def _books(self, work: Work) -> Books:
        return books_read(work.holder, work.merchant, work.card, self._passbooks.get)

    def _decide_anew(self, work: Work) -> Decided | None:
        books = self._books(work)
        if books.missing:
            return None
        self.instant = self.present()
        if work.holder is not None and not work.bulk:
            self._passbooks.keep(work.holder)
        originals = named_by(work.command)
        trail = follow(originals, self._sight(work)) if originals else None
        original = trail.original if trail is not None else None
        outcome = decide(work.command, facts_of(self.instant, work.evidence, work.holder, books, original))
        if outcome.holder is None:
            books = Books(merchant=books.merchant)
        elif books.holder is not None:
            books.holder.state = outcome.state
            books.holder.pins += 1
        known = None
        if work.keys is not None:
            known = Known(Answer(work.command, outcome.reply), work.keys.all(outcome))
            self._recent.add(known)
        return Decided(work, outcome, books, self.instant, trail, known)


def _reused(work: Work, bearer: Known | None = None) -> Answer:
    """Refuse a request whose name is taken: by a reversal that came before it, or by another request."""
    reversed_before = bearer is not None and isinstance(bearer.answer.command, Reversal)
    own = isinstance(work.command, Reversal)
    return Answer(
        work.command, Reply(Reason.REVERSED_BEFORE if reversed_before and not own else Reason.IDENTITY_REUSED)
    )
