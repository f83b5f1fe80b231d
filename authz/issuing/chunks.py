"""The lines of an order, as they stand: in chunks, each of one partition's holders, each in a passbook of its own.

They are written in their partition alone, in the lane for bulk work: a large order's are megabytes.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TypeVar

from msgspec import Struct

from authz.decision.issuing.commands import EnterLines
from authz.decision.issuing.states import (
    LINES_A_CHUNK,
    Chunk,
    ClientId,
    Lines,
    Order,
    OrderId,
    OrderLine,
    lines_passbook,
)
from authz.engine.bulk import BRISK, Errand
from authz.engine.passbooks import decode_state
from authz.issuing.issuer import Issuer
from ledger.store import Line
from ledger.values import Cents, HolderId, Partition, Seq

T = TypeVar("T")

CHUNKS_A_READ = 8
"""Chunks that one read returns: some 160 KB."""
LINES_A_TURN = 50
"""Lines that are worked on before payments have the loop again: half a millisecond."""


class Filled(Struct, frozen=True, gc=False):
    """A chunk with its lines."""

    chunk: Chunk
    lines: tuple[OrderLine, ...]


async def in_turns(things: Iterable[T]) -> AsyncIterator[T]:
    """Go through many things, a few in a turn of the loop."""
    for number, thing in enumerate(things, 1):
        yield thing
        if number % LINES_A_TURN == 0:
            await asyncio.sleep(0)


async def divide(lines: Iterable[OrderLine], partition_of: Callable[[HolderId], Partition]) -> Sequence[Filled]:
    """Divide lines into chunks: partition by partition, and in each in their order."""
    places = defaultdict[Partition, list[OrderLine]](list)
    async for line in in_turns(lines):
        places[partition_of(line.holder)].append(line)
    return [
        _filled(partition, tuple(places[partition][first : first + LINES_A_CHUNK]))
        for partition in sorted(places)
        for first in range(0, len(places[partition]), LINES_A_CHUNK)
    ]


def _filled(partition: Partition, lines: tuple[OrderLine, ...]) -> Filled:
    return Filled(Chunk(partition, len(lines), Cents(sum(line.amount for line in lines))), lines)


async def enter(
    issuer: Issuer, client: ClientId, order: OrderId, revision: int, chunks: Sequence[Filled], by: str
) -> None:
    """Put the chunks of a revision down, before the draft that names it. Raises a `Refused` and `LedgerError`.

    What somebody who was cut off left there is written over: a command's key names the line that it is to follow.
    """
    for number, filled in enumerate(chunks):
        partition = Partition(filled.chunk.partition)
        passbook = lines_passbook(client, order, revision, number)
        line = (await issuer.store.newest(partition, [passbook])).get(passbook)
        if line is not None and decode_state(passbook, line.position) == Lines(filled.lines):
            continue
        seq = Seq(0) if line is None else line.seq
        command = EnterLines(client, order, revision, number, filled.lines)
        errand = Errand(command, f"{passbook} after {seq}", issuer.instant.date(), by)
        for refusal in await issuer.engine.lane(partition).carry_out([errand], BRISK):
            raise refusal.why


async def read(
    issuer: Issuer, order: Order, numbers: Sequence[int]
) -> AsyncIterator[tuple[int, tuple[OrderLine, ...]]]:
    """Read chunks of an order, by their numbers. Raises `LedgerError`."""
    for first in range(0, len(numbers), CHUNKS_A_READ):
        names = {
            number: lines_passbook(order.client, order.id, order.revision, number)
            for number in numbers[first : first + CHUNKS_A_READ]
        }
        found = dict[HolderId, Line]()
        for partition in {Partition(order.chunks[number].partition) for number in names}:
            found.update(await issuer.store.newest(partition, list(names.values())))
        for number, name in names.items():
            yield number, _lines_in(name, found[name].position)
            await asyncio.sleep(0)


async def each(issuer: Issuer, order: Order) -> AsyncIterator[OrderLine]:
    """Read an order's lines one by one, a few in a turn of the loop. Raises `LedgerError`."""
    async for _, lines in read(issuer, order, range(len(order.chunks))):
        async for line in in_turns(lines):
            yield line


def _lines_in(passbook: HolderId, position: str) -> tuple[OrderLine, ...]:
    state = decode_state(passbook, position)
    assert isinstance(state, Lines), "the name says what stands there"
    return state.lines
