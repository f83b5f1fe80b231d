"""Decide everything again: a journal refolded through the core must give the same replies, transfers and positions.

`ledger verify` proves that the records are those that were written, and their money; it knows no rules. This proves
that the rules, on the inputs that each record holds, come to what it says. Nothing but the journal is read.
"""

from functools import partial

import msgspec
from msgspec import Struct

from authz.decision.commands import Payment
from authz.decision.decide import decide
from authz.decision.outcomes import State
from authz.decision.reference import merchant_passbook
from authz.decision.refused import Refused
from authz.engine.facts import facts_of, passbooks_read
from authz.engine.passbooks import decode_state, encode_state
from authz.engine.work import decode_inputs, encode_json
from ledger.reading import Progress, chunks, entry_of, partitions, reader
from ledger.store import Line
from ledger.values import Entry, HolderId, Partition, Seq


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


async def replay(url: str, progress: Progress | None = None) -> Difference | Replayed:
    """Decide every record of a ledger again, in order. Memory grows with the passbooks, not with the records.

    Any role that can read the ledger will do. Raises a `ledger.store.LedgerError` where it can't be read.
    """
    records = 0
    async with reader(url) as connection:
        for partition in await partitions(connection):
            head = Seq(await connection.fetchval("SELECT head FROM ledger.fence WHERE partition = $1", partition))
            lines: dict[HolderId, Line] = {}
            async for chunk in chunks(connection, partition, head):
                for row, transfers in chunk:
                    seq = Seq(row["seq"])
                    what = _differs(seq, entry_of(row, transfers), lines)
                    if what is not None:
                        return Difference(partition, seq, what)
                    records += 1
                if progress is not None:
                    progress(partition, seq, head)
    return Replayed(records)


def _differs(seq: Seq, entry: Entry, lines: dict[HolderId, Line]) -> str | None:
    """Say in what a record comes out otherwise; None: in nothing, and its line is the newest of its passbook."""
    try:
        inputs = decode_inputs(entry.request)
    except msgspec.MsgspecError:
        return "its request can't be read"
    payment = inputs.command if isinstance(inputs.command, Payment) else None
    names = passbooks_read(
        entry.holder,
        merchant_passbook(payment.origin.merchant_id) if payment is not None else None,
        payment.card if payment is not None else None,
        partial(_state, lines),
    )
    used = tuple(lines[name].seq if name in lines else 0 for name in names)
    if used != inputs.used:
        return f"it rests on the records {inputs.used}, where {used} were the newest"
    facts = facts_of(entry.at, inputs.evidence, entry.holder, [_state(lines, name) for name in names])
    try:
        outcome = decide(inputs.command, facts)
    except Refused as refused:
        return f"its command is refused: {refused}"
    text = None if outcome.state is None else encode_state(outcome.state).decode()
    for word, again, recorded in (
        ("reply", encode_json(outcome.reply).decode(), entry.reply),
        ("reason", outcome.reply.reason, entry.reason),
        ("holder", outcome.holder, entry.holder),
        ("transfers", outcome.transfers, entry.transfers),
        ("position", text, entry.position),
    ):
        if again != recorded:
            return f"its {word} would be another now"
    if outcome.holder is not None and text is not None:
        lines[outcome.holder] = Line(seq, text)
    return None


def _state(lines: dict[HolderId, Line], holder: HolderId | None) -> State | None:
    line = lines.get(holder) if holder is not None else None
    return None if holder is None or line is None else decode_state(holder, line.position)
