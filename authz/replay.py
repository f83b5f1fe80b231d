"""Decide everything again: a journal refolded through the core must give the same replies, transfers and positions.

`ledger verify` proves that the records are those that were written, and their money; it knows no rules. This proves
that the rules, on the inputs that each record holds, come to what it says. Nothing but the ledger is read, and of it,
for each record, only what stood before it.
"""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from authz.decision.commands import Payment, Totals
from authz.decision.decide import decide
from authz.decision.outcomes import Outcome, State
from authz.decision.reference import merchant_passbook
from authz.decision.refused import Refused
from authz.engine.business_days import BusinessDays
from authz.engine.facts import facts_of, passbooks_read
from authz.engine.identities import effects_of, key_of
from authz.engine.kinds import kind_of
from authz.engine.lookup import read_answer
from authz.engine.originals import Sight, Trail, follow, named_by
from authz.engine.passbooks import decode_state, encode_state
from authz.engine.recent import Known
from authz.engine.work import Inputs, decode_inputs, encode_json
from ledger.postgres import PostgresStore
from ledger.reading import Progress, chunks, entry_of, heads, reader
from ledger.store import Line, Store
from ledger.values import Entry, HolderId, Identity, Partition, Seq

ASIDE_CONNECTIONS_MAX = 2


class Difference(Struct, frozen=True):
    """The first record that comes out otherwise, and in what."""

    partition: Partition
    seq: Seq
    what: str

    def __str__(self) -> str:
        return f"partition {self.partition}, record {self.seq}: {self.what}"


class Replayed(Struct, frozen=True):
    """A journal in which every decision came out as it is recorded."""

    records: int


class Undecidable(Exception):
    """A record's inputs can't be those of a decision: the message says why."""


async def replay(url: str, progress: Progress | None = None) -> Difference | Replayed:
    """Decide every record of a ledger again, in order. Memory grows with the passbooks, not with the records.

    Any role that can read the ledger will do. Raises a `ledger.store.LedgerError` where it can't be read.
    """
    records = 0
    store = await PostgresStore.open(url, read_connections_max=ASIDE_CONNECTIONS_MAX)
    try:
        async with reader(url) as connection:
            for partition, head in (await heads(connection)).items():
                again = Rereading(store, partition)
                async for chunk in chunks(connection, partition, head):
                    for row, transfers in chunk:
                        seq, recorded = Seq(row["seq"]), entry_of(row, transfers)
                        what = await _differs(again, seq, recorded)
                        if what is not None:
                            return Difference(partition, seq, what)
                        records += 1
                    if progress is not None:
                        progress(partition, seq, head)
    finally:
        await store.close()
    return Replayed(records)


async def _differs(again: "Rereading", seq: Seq, recorded: Entry) -> str | None:
    """Say in what a record comes out otherwise; None: in nothing."""
    try:
        entry = await again.decide(seq, recorded)
    except Undecidable as error:
        return str(error)
    for name in ("kind", "reply", "reason", "holder", "transfers", "position", "identities", "request"):
        if getattr(entry, name) != getattr(recorded, name):
            return f"its {name} would be another now"
    return None


class Rereading:
    """One partition's journal, decided again record by record. `store` is asked what a record's keys find."""

    def __init__(self, store: Store, partition: Partition) -> None:
        self._store = store
        self._partition = partition
        self._lines: dict[HolderId, Line] = {}

    async def decide(self, seq: Seq, recorded: Entry) -> Entry:
        """Make the entry that the inputs of a recorded one come to now. Raises `Undecidable`."""
        try:
            inputs = decode_inputs(recorded.request)
        except msgspec.MsgspecError:
            raise Undecidable("its request can't be read") from None
        command = inputs.command
        payment = command if isinstance(command, Payment) else None
        names = passbooks_read(
            recorded.holder,
            merchant_passbook(payment.origin.merchant_id) if payment is not None else None,
            payment.card if payment is not None else None,
            self._state,
        )
        used = tuple(self._lines[name].seq if name in self._lines else 0 for name in names)
        if used != inputs.used:
            raise Undecidable(f"it rests on the records {inputs.used}, where {used} were the newest")
        if isinstance(command, Totals):
            sums = await BusinessDays(self._store, ()).sums(command.acquirer, command.windows)
            if sums != command.recorded:
                raise Undecidable("its totals aren't what the records before it add up to")
        originals = named_by(command)
        trail = await self._trail(seq, originals) if originals else None
        states = [self._state(name) for name in names]
        original = None if trail is None else trail.original
        try:
            outcome = decide(command, facts_of(recorded.at, inputs.evidence, recorded.holder, states, original))
        except Refused as refused:
            raise Undecidable(f"its command is refused: {refused}") from None
        return self._entry(seq, recorded, inputs, outcome, trail)

    def _entry(self, seq: Seq, recorded: Entry, inputs: Inputs, outcome: Outcome, trail: Trail | None) -> Entry:
        """Write the record, and turn its passbook to that line."""
        position = None if outcome.state is None else encode_state(outcome.state).decode()
        if outcome.holder is not None and position is not None:
            self._lines[outcome.holder] = Line(seq, position)
        seqs = () if trail is None else tuple(known.seq for known in trail.records)
        return Entry(
            at=recorded.at,
            kind=kind_of(inputs.command),
            holder=outcome.holder,
            request=encode_json(Inputs(inputs.command, inputs.evidence, inputs.used, seqs)).decode(),
            reply=encode_json(outcome.reply).decode(),
            reason=outcome.reply.reason,
            position=position,
            transfers=outcome.transfers,
            identities=_identities(recorded, inputs, outcome),
        )

    def _state(self, holder: HolderId | None) -> State | None:
        line = self._lines.get(holder) if holder is not None else None
        return None if holder is None or line is None else decode_state(holder, line.position)

    async def _trail(self, seq: Seq, originals: tuple[str, ...]) -> Trail | None:
        """Find what stood of an original before this record."""
        found: dict[Identity, Known | None] = {}
        while True:
            sight = Sight(lambda _: None, _Before(found, seq))
            trail = follow(originals, sight)
            if not sight.unsought:
                return trail
            answers = await self._store.find(self._partition, sight.unsought)
            for key in sight.unsought:
                answer = answers.get(key)
                found[key] = None if answer is None else read_answer(answer)


class _Before(Mapping[Identity, Known | None]):
    """What keys find, as it was before a record was written."""

    def __init__(self, found: Mapping[Identity, Known | None], seq: Seq) -> None:
        self._found = found
        self._seq = seq

    def __getitem__(self, key: Identity) -> Known | None:
        known = self._found[key]
        return known if known is not None and known.seq < self._seq else None

    def __iter__(self) -> Iterator[Identity]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _identities(recorded: Entry, inputs: Inputs, outcome: Outcome) -> tuple[Identity, ...]:
    """The keys of a record. Its own can't be made again without the card's number, those of its effects can."""
    effects = effects_of(outcome)
    own = tuple(key for key in recorded.identities if key not in effects)
    if isinstance(inputs.command, Payment) and own[1:] != (key_of(inputs.command.reference),):
        return effects
    return (*own, *effects)
