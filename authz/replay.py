"""Decide everything again: a journal refolded through the core must give the same replies, transfers and positions.

`ledger verify` proves that the records are those that were written, and their money; it knows no rules. This proves
that the rules, on the inputs that each record holds, come to what it says. Nothing but the ledger is read, and of it,
for each record, only what stood before it.
"""

import asyncio
from collections import ChainMap
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial

import asyncpg
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from authz.decision.commands import UNDOING, Payment, Totals
from authz.decision.decide import decide
from authz.decision.outcomes import Outcome
from authz.decision.refused import Refused
from authz.engine.business_days import BusinessDays
from authz.engine.facts import books_read, facts_of
from authz.engine.identities import effects_of, names
from authz.engine.inputs import Inputs, decode_inputs, encode_json
from authz.engine.kinds import beside_of, kind_of
from authz.engine.lookup import read_answer
from authz.engine.originals import Sight, Trail, follow, named_by
from authz.engine.passbooks import Passbooks, encode_state
from authz.engine.recent import Known
from ledger.postgres import PostgresStore
from ledger.reading import Progress, chunks, entry_of, heads, reader
from ledger.store import IDENTITIES_A_CALL_MAX, Line, Store
from ledger.values import Entry, HolderId, Identity, Partition, Seq

ASIDE_CONNECTIONS_MAX = 2
TURN_EVERY_RECORDS = 100
"""How often the loop gets a turn, to take in what is read ahead."""
PASSBOOKS_MAX = 20_000
"""Passbooks in memory: more than a chunk of records can rest on. The rest are read again when they are needed."""

UNDOING_KINDS = frozenset(str(command.__struct_config__.tag) for command in UNDOING)

_LINES_AT = """
SELECT seq, holder, position FROM ledger.whole_journal
 WHERE partition = $1 AND seq = ANY ($2::bigint[]) AND holder IS NOT NULL"""

LinesAt = Callable[[Sequence[Seq]], Awaitable[Mapping[HolderId, Line]]]
"""Reads the lines that stand at these records."""


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
    """Decide every record of a ledger again, in order. Memory grows with the passbooks: by a number for each.

    Any role that can read the ledger will do. Raises a `ledger.store.LedgerError` where it can't be read.
    """
    records = 0
    store = PostgresStore(url, connections_max=ASIDE_CONNECTIONS_MAX)
    try:
        async with reader(url) as connection, reader(url) as aside:
            for partition, head in (await heads(connection)).items():
                again = Rereading(store, partition, partial(_lines_at, aside, partition))
                async with aclosing(chunks(connection, partition, head)) as read:
                    async for chunk in read:
                        entries = [(Seq(row["seq"]), entry_of(row, transfers)) for row, transfers in chunk]
                        if differing := await _first_that_differs(again, entries):
                            return Difference(partition, *differing)
                        records += len(entries)
                        if progress is not None:
                            progress(partition, entries[-1][0], head)
    finally:
        await store.close()
    return Replayed(records)


async def _lines_at(
    connection: asyncpg.Connection, partition: Partition, seqs: Sequence[Seq]
) -> Mapping[HolderId, Line]:
    rows = await connection.fetch(_LINES_AT, partition, seqs)
    return {HolderId(row["holder"]): Line(Seq(row["seq"]), row["position"]) for row in rows}


async def _first_that_differs(again: "Rereading", entries: Sequence[tuple[Seq, Entry]]) -> tuple[Seq, str] | None:
    """Name the first of some records that comes out otherwise, and in what; None: none does."""
    await again.prepare(entries)
    for number, (seq, recorded) in enumerate(entries):
        try:
            entry = await again.decide(seq, recorded)
        except Undecidable as error:
            return seq, str(error)
        if entry != recorded:
            return seq, f"its {_differing(entry, recorded)} would be another now"
        if not number % TURN_EVERY_RECORDS:
            await asyncio.sleep(0)
    return None


def _differing(entry: Entry, recorded: Entry) -> str:
    """Name the field, of those that differ, that says most."""
    fields = ("kind", "reply", "reason", "holder", "transfers", "position", "identities", "request")
    return next(name for name in fields if getattr(entry, name) != getattr(recorded, name))


class Rereading:
    """One partition's journal, decided again record by record. `store` is asked what a record's keys find.

    It knows which record is the newest of every passbook, and what stands in those used last; `lines_at` brings back
    the others.
    """

    def __init__(
        self,
        store: Store,
        partition: Partition,
        lines_at: LinesAt | None = None,
        passbooks_max: int = PASSBOOKS_MAX,
    ) -> None:
        self._store = store
        self._partition = partition
        self._lines_at = lines_at
        self._newest: dict[HolderId, Seq] = {}
        self._books = Passbooks(passbooks_max)
        self._found: dict[Identity, Known | None] = {}

    async def prepare(self, entries: Sequence[tuple[Seq, Entry]]) -> None:
        """Read what deciding these records needs in few queries. Without it, each reads for itself."""
        await self._recall(entry.holder for _, entry in entries)
        self._found.clear()
        naming = [(seq, _named_in(entry)) for seq, entry in entries if entry.kind in UNDOING_KINDS]
        while True:
            sights = [Sight(_nothing_recent, _Before(self._found, seq)) for seq, _ in naming]
            for (_, originals), sight in zip(naming, sights, strict=True):
                follow(originals, sight)
            unsought = list({key for sight in sights for key in sight.unsought})
            if not unsought:
                return
            self._found.update(await self._find(unsought))

    async def _recall(self, names: Iterable[HolderId | None]) -> None:
        """Bring back the newest lines of passbooks that aren't in memory: at most a chunk's."""
        if missing := self._missing(names):
            assert self._lines_at is not None, "more passbooks than memory holds, and no way to read them again"
            for name, line in (await self._lines_at(missing)).items():
                self._books.put(name, line)

    async def decide(self, seq: Seq, recorded: Entry) -> Entry:
        """Make the entry that the inputs of a recorded one come to now. Raises `Undecidable`."""
        inputs = _inputs(recorded)
        command = inputs.command
        beside, card = beside_of(command), command.card if isinstance(command, Payment) else None
        books = books_read(recorded.holder, beside, card, self._books.get)
        while books.missing and self._missing(books.missing):
            await self._recall(books.missing)
            books = books_read(recorded.holder, beside, card, self._books.get)
        used = books.used()
        if used != inputs.used:
            raise Undecidable(f"it rests on the records {inputs.used}, where {used} were the newest")
        if isinstance(command, Totals):
            sums = await BusinessDays(self._store, ()).sums(command.acquirer, command.windows)
            if sums != command.recorded:
                raise Undecidable("its totals aren't what the records before it add up to")
        originals = named_by(command)
        trail = await self._trail(seq, originals) if originals else None
        original = None if trail is None else trail.original
        try:
            outcome = decide(command, facts_of(recorded.at, inputs.evidence, recorded.holder, books, original))
        except Refused as refused:
            raise Undecidable(f"its command is refused: {refused}") from None
        return self._entry(seq, recorded, inputs, outcome, trail)

    def _missing(self, names: Iterable[HolderId | None]) -> list[Seq]:
        """The newest records of those passbooks that aren't in memory."""
        known = self._newest
        if len(known) == len(self._books):
            return []
        return [known[name] for name in names if name is not None and name in known and self._books.get(name) is None]

    def _entry(self, seq: Seq, recorded: Entry, inputs: Inputs, outcome: Outcome, trail: Trail | None) -> Entry:
        """Write the record, and turn its passbook to that line."""
        position = None
        if outcome.holder is not None and outcome.state is not None:
            position = encode_state(outcome.state).decode()
            self._newest[outcome.holder] = seq
            book = self._books.put(outcome.holder, None)
            book.seq, book.state = seq, outcome.state
        seqs = () if trail is None else tuple([known.seq for known in trail.records])
        return Entry(
            at=recorded.at,
            kind=kind_of(inputs.command),
            holder=outcome.holder,
            request=recorded.request if seqs == inputs.trail else encode_json(replace(inputs, trail=seqs)).decode(),
            reply=encode_json(outcome.reply).decode(),
            reason=outcome.reply.reason,
            position=position,
            transfers=outcome.transfers,
            identities=_identities(recorded, inputs, outcome),
        )

    async def _trail(self, seq: Seq, originals: tuple[str, ...]) -> Trail | None:
        """Find what stood of an original before this record."""
        found: dict[Identity, Known | None] = {}
        while True:
            sight = Sight(_nothing_recent, _Before(ChainMap(found, self._found), seq))
            trail = follow(originals, sight)
            if not sight.unsought:
                return trail
            found |= await self._find(sight.unsought)

    async def _find(self, keys: Sequence[Identity]) -> dict[Identity, Known | None]:
        found: dict[Identity, Known | None] = dict.fromkeys(keys)
        for start in range(0, len(keys), IDENTITIES_A_CALL_MAX):
            answers = await self._store.find(self._partition, keys[start : start + IDENTITIES_A_CALL_MAX])
            found |= {key: read_answer(answer) for key, answer in answers.items()}
        return found


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


def _nothing_recent(_: Identity) -> None:
    """A journal is all there is."""


def _named_in(recorded: Entry) -> tuple[str, ...]:
    """The references that a record's command names; none where it can't be read."""
    try:
        return named_by(_inputs(recorded).command)
    except Undecidable:
        return ()


def _inputs(recorded: Entry) -> Inputs:
    try:
        return decode_inputs(recorded.request)
    except msgspec.MsgspecError:
        raise Undecidable("its request can't be read") from None


def _identities(recorded: Entry, inputs: Inputs, outcome: Outcome) -> tuple[Identity, ...]:
    """The keys of a record. Its own can't be made again without the card's number, those of its effects can."""
    effects = effects_of(outcome)
    own = recorded.identities[: len(recorded.identities) - len(effects)]
    if isinstance(inputs.command, Payment) and not (len(own) == 2 and names(inputs.command.reference, own[1])):
        return effects
    return own + effects
