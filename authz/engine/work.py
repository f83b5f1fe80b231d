"""One request on its way through a writer, and the batches it travels in."""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from authz.decision.commands import CardId, Command
from authz.decision.evidence import Evidence
from authz.decision.outcomes import Outcome
from authz.decision.programme import PRODUCT_CODES
from authz.engine.identities import Keys
from authz.engine.inputs import Inputs, encode_json
from authz.engine.originals import Trail
from authz.engine.passbooks import Passbook, encode_state
from authz.engine.recent import Known
from authz.engine.requests import Answer, Waiter
from ledger.store import Answer as StoredAnswer
from ledger.values import Entry, HolderId, Identity, Seq


class Work(Struct, kw_only=True):
    """A request with all that its decision needs beside the passbooks.

    `holder` is None for a card that nobody knows, `merchant` where no merchant is concerned. `look_up`: its keys
    are looked for in the ledger before it is decided; so is what it may name. `found` is what was looked for, and what
    is there. `bulk`: it is bookkeeping, or one of many, of which memory keeps nothing. `by`: whose access it came by.

    For the metrics: it was `asked_at` (0: by no link) and `admitted_at` to its writer, by `time.monotonic`; the newest
    decision of it took `decide_s`, in seconds (0: there is none).
    """

    command: Command
    kind: str
    holder: HolderId | None
    deadline: float
    waiter: Waiter | None = None
    evidence: Evidence = Evidence()
    card: CardId | None = None
    merchant: HolderId | None = None
    keys: Keys | None = None
    link: str = ""
    look_up: bool = False
    bulk: bool = False
    by: str = ""
    found: dict[Identity, Known | None] = {}
    asked_at: float = 0.0
    admitted_at: float = 0.0
    decide_s: float = 0.0


class Books(Struct, frozen=True, gc=False):
    """The passbooks that a decision reads, and the names of those that aren't in memory.

    Its holder's is also the one it writes.
    """

    holder: Passbook | None = None
    merchant: Passbook | None = None
    employer: Passbook | None = None
    programme: Passbook | None = None
    missing: tuple[HolderId, ...] = ()

    def used(self) -> tuple[int, ...]:
        """The records that stand in them now, by seq; 0 where there is none."""
        return (
            0 if self.holder is None else self.holder.seq,
            0 if self.merchant is None else self.merchant.seq,
            0 if self.employer is None else self.employer.seq,
            0 if self.programme is None else self.programme.seq,
        )


class Decided(Struct):
    """A decision on its way to the ledger, made at the instant `at`."""

    work: Work
    outcome: Outcome
    books: Books
    at: datetime
    trail: Trail | None = None
    known: Known | None = None

    @property
    def product(self) -> str:
        """The code of the product that was decided on; empty: none, or several."""
        named: str = getattr(self.work.command, "product", "")
        if named in PRODUCT_CODES:
            return named
        reply = self.outcome.reply
        if len(reply.balances) == 1:
            return reply.balances[0].product
        return reply.standings[0].product if reply.standings else ""

    def entry(self, seq: Seq) -> Entry:
        """Write the record that is to stand at `seq`, and turn its passbook to that line."""
        trail = () if self.trail is None else tuple([known.seq for known in self.trail.records])
        inputs = Inputs(self.work.command, self.work.evidence, self.books.used(), trail, self.work.by)
        request, reply = encode_json(inputs).decode(), encode_json(self.outcome.reply).decode()
        state = None
        if self.books.holder is not None and self.outcome.state is not None:
            self.books.holder.seq = seq
            state = encode_state(self.outcome.state).decode()
        if self.known is not None:
            self.known.sent(StoredAnswer(seq, request, reply))
        return Entry(
            at=self.at,
            kind=self.work.kind,
            holder=self.outcome.holder,
            request=request,
            reply=reply,
            reason=self.outcome.reply.reason,
            position=state,
            transfers=self.outcome.transfers,
            identities=() if self.known is None else self.known.keys,
        )


class Batch(Struct):
    """What is sent in one append, and the repeats that are answered with it."""

    decided: list[Decided] = []
    riders: list[tuple[Work, Answer]] = []

    def __bool__(self) -> bool:
        return bool(self.decided or self.riders)

    def works(self) -> Iterator[Work]:
        """Each request in it."""
        for one in self.decided:
            yield one.work
        for work, _ in self.riders:
            yield work
