"""What `authz show` reads of a ledger: one record and all that its decision rested on, by keys, as any reader can."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import msgspec
from msgspec import Struct

from authz.decision.commands import Payment
from authz.decision.evidence import Original
from authz.decision.outcomes import Reply, State
from authz.engine.identities import key_of, step_key
from authz.engine.inputs import Inputs, decode_inputs, decode_reply
from authz.engine.lookup import read_answer
from authz.engine.originals import STEPS_A_LOOK, Sight, follow, named_by
from authz.engine.passbooks import decode_state
from authz.engine.recent import Known
from ledger.postgres import PostgresStore
from ledger.reading import heads, reader, windows
from ledger.values import HolderId, Identity, Partition, Seq, Transfer

READ_CONNECTIONS_MAX = 2
FOUND_RECORDS_MAX = 20
"""How many records of one retrieval reference, or of one holder, are listed: the newest."""
BESIDE_RECORDS = 3
"""How many records of the holder are shown before a record, and behind it."""
STEPS_MAX = 64
"""How many changes to one payment are looked for."""

LAST = Seq(2**63 - 1)
"""Behind every record."""

_RECORDS = """
SELECT seq, at, kind, holder, request, reply, reason, epoch, position FROM ledger.whole_journal
 WHERE partition = $1 AND seq = ANY ($2::bigint[]) ORDER BY seq"""
_TRANSFERS = """
SELECT debit, credit, amount FROM ledger.whole_transfer WHERE partition = $1 AND seq = $2 ORDER BY line"""
_BEFORE = """
SELECT seq FROM ledger.whole_journal WHERE partition = $1 AND holder = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4"""
_BEHIND = """
SELECT seq FROM ledger.whole_journal WHERE partition = $1 AND holder = $2 AND seq > $3 ORDER BY seq LIMIT $4"""
_OF_REFERENCE = """
SELECT seq FROM ledger.whole_journal
 WHERE partition = $1 AND seq > $2 AND seq <= $3 AND strpos(request::text, $4) > 0
   AND rtrim(request -> 'command' -> 'origin' ->> 'retrieval_reference') = $4
 ORDER BY seq DESC LIMIT $5"""
"""No index has the reference: a window is read in one go, where the text is looked for before the JSON is parsed."""


class Head(Struct, frozen=True):
    """A record without its position and transfers."""

    partition: Partition
    seq: Seq
    at: datetime
    kind: str
    holder: HolderId | None
    inputs: Inputs
    reply: Reply
    reason: str


class Read(Struct, frozen=True):
    """A record, and all that its decision rested on.

    `states` are the lines that it used, by the places of `Inputs.used`: the holder's, the merchant's (or what is beside
    it), the employer's, the programme's. `after` is what stands in its passbook since. `beside` are other records that
    belong to it, with what they are to it, in their order.
    """

    head: Head
    epoch: int
    transfers: tuple[Transfer, ...]
    after: State | None
    states: tuple[State | None, ...]
    original: Original | None
    beside: tuple[tuple[Head, str], ...]


class Unreadable(Exception):
    """A record's request or reply isn't what this version writes."""


class Reading:
    """One ledger, open for reading."""

    def __init__(self, connection: asyncpg.Connection, store: PostgresStore) -> None:
        self._connection = connection
        self._store = store

    async def record(self, partition: Partition, seq: Seq) -> Read | None:
        """Read one record, and what belongs to it. None: there is no such record. Raises `Unreadable`."""
        rows = await self._connection.fetch(_RECORDS, partition, [seq])
        if not rows:
            return None
        head, [row] = _head(partition, rows[0]), rows
        moved = await self._connection.fetch(_TRANSFERS, partition, seq)
        lines = await self._connection.fetch(_RECORDS, partition, list(head.inputs.used))
        states = {line["seq"]: _state(line) for line in lines}
        return Read(
            head=head,
            epoch=row["epoch"],
            transfers=tuple([Transfer(one["debit"], one["credit"], one["amount"]) for one in moved]),
            after=_state(row),
            states=tuple([states.get(used) for used in head.inputs.used]),
            original=await self._original(head),
            beside=await self._beside(head),
        )

    async def of_reference(self, reference: str) -> Sequence[Head]:
        """Find the newest records of payments that bear a retrieval reference (DE 37), the newest first."""
        found: list[Head] = []
        for partition, newest in (await heads(self._connection)).items():
            for after, through in reversed(list(windows(Seq(0), newest))):
                found += await self._heads(_OF_REFERENCE, partition, after, through, reference, FOUND_RECORDS_MAX)
                if len(found) >= FOUND_RECORDS_MAX:
                    break
        return sorted(found, key=lambda one: one.at, reverse=True)[:FOUND_RECORDS_MAX]

    async def of_holder(self, holder: HolderId) -> Sequence[Head]:
        """List the newest records of a passbook, the newest first."""
        found: list[Head] = []
        for partition in await heads(self._connection):
            found += await self._heads(_BEFORE, partition, holder, LAST, FOUND_RECORDS_MAX)
        return found[::-1]

    async def _heads(self, query: str, partition: Partition, *arguments: object) -> list[Head]:
        """Read the records whose seqs a query finds, in their order."""
        seqs = [row["seq"] for row in await self._connection.fetch(query, partition, *arguments)]
        return [_head(partition, row) for row in await self._connection.fetch(_RECORDS, partition, seqs)]

    async def _original(self, head: Head) -> Original | None:
        """Read what stood, before a record, of the request that it names."""
        originals = named_by(head.inputs.command)
        if not originals:
            return None
        found: dict[Identity, Known | None] = {}
        while True:
            sight = Sight(lambda _: None, found)
            trail = follow(originals, sight)
            if not sight.unsought:
                return None if trail is None else trail.original
            found |= await self._find(head.partition, sight.unsought, before=head.seq)

    async def _find(
        self, partition: Partition, keys: Sequence[Identity], before: Seq | None = None
    ) -> Mapping[Identity, Known | None]:
        found: dict[Identity, Known | None] = dict.fromkeys(keys)
        for key, answer in (await self._store.find(partition, keys)).items():
            if before is None or answer.seq < before:
                found[key] = read_answer(answer)
        return found

    async def _beside(self, head: Head) -> tuple[tuple[Head, str], ...]:
        """Find what belongs to a record: its original, what changed it since, and the holder's records around it."""
        relations: dict[Seq, str] = {}
        if head.holder is not None:
            for query in (_BEFORE, _BEHIND):
                rows = await self._connection.fetch(query, head.partition, head.holder, head.seq, BESIDE_RECORDS)
                relations |= {Seq(row["seq"]): "" for row in rows}
        own, originals = _names(head)
        first = await self._find(head.partition, [key_of(one) for one in originals])
        relations |= {known.seq: "its original" for known in first.values() if known is not None}
        for name in (*own, *originals):
            async for seq in self._steps(head.partition, name):
                relations[seq] = "changes this one" if name in own and seq > head.seq else "same original"
        relations.pop(head.seq, None)
        rows = await self._connection.fetch(_RECORDS, head.partition, list(relations))
        return tuple([(_head(head.partition, row), relations[Seq(row["seq"])]) for row in rows])

    async def _steps(self, partition: Partition, name: str) -> AsyncIterator[Seq]:
        """The records that changed what stands of a request."""
        for first in range(1, STEPS_MAX, STEPS_A_LOOK):
            keys = [step_key(name, step) for step in range(first, first + STEPS_A_LOOK)]
            found = await self._find(partition, keys)
            for key in keys:
                known = found[key]
                if known is None:
                    return
                yield known.seq


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Reading]:
    """Open a ledger for reading, as any role that can. Raises a `ledger.store.LedgerError` where it can't be read."""
    store = PostgresStore(url, connections_max=READ_CONNECTIONS_MAX)
    try:
        async with reader(url) as connection:
            yield Reading(connection, store)
    finally:
        await store.close()


def _names(head: Head) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A record's own reference, and those of the requests that it is about."""
    command = head.inputs.command
    if not isinstance(command, Payment):
        return (), ()
    about = [*(one.original for one in head.reply.standings), *getattr(command, "originals", ())]
    others = tuple(dict.fromkeys(one for one in about if one != command.reference))
    return (command.reference,), others


def _head(partition: Partition, row: asyncpg.Record) -> Head:
    try:
        inputs, reply = decode_inputs(row["request"]), decode_reply(row["reply"])
    except msgspec.MsgspecError:
        raise Unreadable(f"record {partition}/{row['seq']} can't be read by this version") from None
    holder = None if row["holder"] is None else HolderId(row["holder"])
    return Head(partition, Seq(row["seq"]), row["at"], row["kind"], holder, inputs, reply, row["reason"])


def _state(row: asyncpg.Record) -> State | None:
    """What stands in a passbook since a record. None: it is in none."""
    if row["holder"] is None or row["position"] is None:
        return None
    try:
        return decode_state(HolderId(row["holder"]), row["position"])
    except (msgspec.MsgspecError, KeyError):
        raise Unreadable(f"what record {row['seq']} leaves can't be read by this version") from None
