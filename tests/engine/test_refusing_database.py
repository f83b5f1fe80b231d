"""A database that refuses appends, as one whose disk is full does: it is left alone, and terminals are told at once."""

import asyncio
from collections.abc import Sequence

import pytest

from authz.decision.outcomes import Reason
from authz.engine import writer
from authz.engine.requests import Answer
from ledger.memory import MemoryLedger, MemoryStore
from ledger.store import Unavailable
from ledger.values import Epoch, Partition, Record, Seq
from tests.engine.world import World

FULL = "the database refuses: no space is left on its disk"


class FullDisk(MemoryStore):
    """Refuses every append while it is full, and counts the epochs that are begun."""

    def __init__(self, ledger: MemoryLedger) -> None:
        super().__init__(ledger)
        self.full = False
        self.refused = 0

    async def append(
        self, partition: Partition, epoch: Epoch, head: Seq, last: bytes, records: Sequence[Record]
    ) -> None:
        if self.full:
            self.refused += 1
            raise Unavailable(FULL)
        await super().append(partition, epoch, head, last, records)


async def test_it_is_left_alone_between_two_tries_and_taken_again_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer, "REST_MS", 50)
    world = World()
    store = FullDisk(world.ledger)
    try:
        house = await world.open(store)
        await house.furnish()
        pan = "9250100000000014"  # nobody knows it: that is recorded too
        store.full = True
        async with asyncio.timeout(10):
            while FULL not in "".join(house.engine.unready()):
                answer = await house.engine.pay(world.request(pan))
                assert isinstance(answer, Answer)
                assert answer.reply.reason is Reason.UNAVAILABLE
            refused = store.refused
            answer = await house.engine.pay(world.request(pan))
            assert isinstance(answer, Answer)
            assert (answer.reply.reason, store.refused) == (Reason.UNAVAILABLE, refused)
            store.full = False
            await house.engine.is_ready()
            answer = await house.engine.pay(world.request(pan))
        assert isinstance(answer, Answer)
        assert answer.reply.reason is not Reason.UNAVAILABLE
        assert any(FULL in line for line in world.said)
    finally:
        await world.close()
