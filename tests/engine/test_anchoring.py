"""Anchoring beside payments: when it is due, what a failing disk does, and that it is told."""

import asyncio
import threading
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from authz.config.configuration import AnchorSettings, ConfigInvalid, read
from authz.engine.anchoring import ANCHOR_EVERY_RECORDS, ANCHOR_EVERY_S, FINISH_MAX_S, RETRY_EVERY_S, Anchoring
from ledger.anchors import Anchor, AnchorFile, AnchorsUnwritable
from ledger.anchors import read as read_anchors
from ledger.signing import Signer, public_path
from ledger.store import Fence
from ledger.values import Epoch, Partition, Seq
from tests.engine.world import TUESDAY, House, World

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)))


class Disk:
    """Stands for the file of anchors: keeps what it is given, and fails or hangs while it is told to."""

    def __init__(self) -> None:
        self.written: list[Anchor] = []
        self.attempts = 0
        self.failing = False
        self.reached = threading.Event()

    def append(self, anchors: Iterable[Anchor]) -> list[Anchor]:
        self.attempts += 1
        if self.failing:
            raise AnchorsUnwritable("the disk is full")
        self.written += anchors
        self.reached.set()
        return list(anchors)


class Room:
    """Anchoring over heads and a clock that the test sets."""

    def __init__(self) -> None:
        self.heads: dict[Partition, Fence] = {}
        self.disk = Disk()
        self.seconds = 1_000.0
        self.said: list[str] = []
        self.failures = 0
        file: Any = self.disk
        self.anchoring = Anchoring(
            file, lambda: self.heads, lambda: TUESDAY, self.said.append, self._fail, lambda: self.seconds
        )

    def _fail(self) -> None:
        self.failures += 1

    def move(self, seq: int, partition: int = 0) -> None:
        self.heads[Partition(partition)] = Fence(Epoch(1), Seq(seq), seq.to_bytes(32), seq)

    async def wait(self, seconds: float) -> None:
        self.seconds += seconds
        await self.anchoring.look()

    @property
    def anchored(self) -> list[tuple[int, int]]:
        return [(one.partition, one.seq) for one in self.disk.written]


@pytest.fixture
def room() -> Room:
    return Room()


async def test_the_first_look_anchors_what_is_there_and_then_one_minute_passes(room: Room) -> None:
    room.move(5)
    room.move(7, 1)
    await room.wait(0)
    assert room.anchored == [(0, 5), (1, 7)]
    assert room.disk.written[0] == Anchor(Partition(0), Epoch(1), Seq(5), (5).to_bytes(32).hex(), TUESDAY)
    room.move(6)
    await room.wait(ANCHOR_EVERY_S - 1)
    assert room.anchored == [(0, 5), (1, 7)]
    await room.wait(1)
    assert room.anchored == [(0, 5), (1, 7), (0, 6)]


async def test_ten_thousand_records_do_not_wait_for_the_minute(room: Room) -> None:
    room.move(5)
    await room.wait(0)
    room.move(5 + ANCHOR_EVERY_RECORDS - 1)
    await room.wait(1)
    assert room.anchored == [(0, 5)]
    room.move(5 + ANCHOR_EVERY_RECORDS)
    await room.wait(1)
    assert room.anchored == [(0, 5), (0, 5 + ANCHOR_EVERY_RECORDS)]


async def test_heads_that_stand_still_are_not_written_again_and_do_not_age(room: Room) -> None:
    room.move(5)
    for _ in range(10):
        await room.wait(ANCHOR_EVERY_S)
    assert room.disk.attempts == 1
    assert room.anchoring.age_s() == 0
    room.move(6)
    room.seconds += 3
    assert room.anchoring.age_s() == 3


@given(st.lists(st.tuples(st.integers(1, 90), st.integers(0, 15_000)), min_size=1, max_size=30))
def test_looked_at_every_second_no_record_waits_for_longer_than_a_minute(steps: list[tuple[int, int]]) -> None:
    """Nor are there ever as many as 10,000 behind the newest anchor after a look."""

    async def live() -> None:
        room = Room()
        head = 0
        for seconds, records in steps:
            head += records
            if head:
                room.move(head)
            for _ in range(seconds):
                await room.wait(1)
                assert head - (room.anchored[-1][1] if room.anchored else 0) < ANCHOR_EVERY_RECORDS
                assert room.anchoring.age_s() < ANCHOR_EVERY_S
        assert room.anchored == sorted(set(room.anchored))

    asyncio.run(live())


async def test_a_failing_disk_is_told_once_tried_again_and_told_when_it_is_over(room: Room) -> None:
    room.move(5)
    await room.wait(0)
    room.disk.failing = True
    room.move(6 + ANCHOR_EVERY_RECORDS)
    await room.wait(1)
    assert (room.failures, room.disk.attempts) == (1, 2)
    await room.wait(RETRY_EVERY_S - 1)
    assert (room.failures, room.disk.attempts) == (1, 2)
    await room.wait(1)
    await room.wait(RETRY_EVERY_S)
    assert (room.failures, room.disk.attempts) == (3, 4)
    assert room.said == ["no anchor is written: the disk is full"]
    assert room.anchoring.age_s() == 2 * RETRY_EVERY_S + 1
    room.disk.failing = False
    await room.wait(RETRY_EVERY_S)
    assert room.anchored == [(0, 5), (0, 6 + ANCHOR_EVERY_RECORDS)]
    assert room.said[1:] == ["anchors are written again"]
    assert room.anchoring.age_s() == 0


async def test_a_drain_anchors_what_came_last(room: Room) -> None:
    room.move(5)
    await room.wait(0)
    room.move(6)
    await room.anchoring.finish()
    await room.anchoring.finish()
    assert room.anchored == [(0, 5), (0, 6)]


async def test_a_drain_does_not_fail_with_the_disk(room: Room) -> None:
    room.move(5)
    room.disk.failing = True
    await room.anchoring.finish()
    assert room.failures == 1


async def test_a_drain_does_not_wait_for_a_disk_that_hangs(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    assert FINISH_MAX_S <= 2
    monkeypatch.setattr("authz.engine.anchoring.FINISH_MAX_S", 0.01)
    monkeypatch.setattr(asyncio, "to_thread", hang)
    room.move(5)
    await room.anchoring.finish()
    assert room.anchored == []


async def test_it_runs_until_cancelled(room: Room) -> None:
    room.move(5)
    running = asyncio.create_task(room.anchoring.run())
    assert await asyncio.to_thread(room.disk.reached.wait, 5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert room.anchored == [(0, 5)]


async def test_what_an_engine_wrote_is_anchored_as_the_ledger_has_it(world: World, house: House, alice: str,
                                                                    tmp_path: Path) -> None:  # fmt: skip
    """Over the real file: heads are those of records, and a restarted engine goes on from them."""
    path = tmp_path / "anchors.jsonl"

    def heads() -> dict[Partition, Fence]:
        return {one: shelf.fence for one, shelf in world.ledger.shelves.items()}

    def again() -> Anchoring:
        return Anchoring(AnchorFile(path, SIGNER, pytest.fail), heads, world.clock, pytest.fail, pytest.fail)

    anchoring = again()
    await anchoring.look()
    await house.pay(world.request(alice))
    await anchoring.finish()
    await again().look()  # a start: nothing has moved
    world.clock.wait_at(TUESDAY + timedelta(minutes=5))
    await house.pay(world.request(alice))
    await again().look()
    written = read_anchors(path, SIGNER.verifier)
    assert len(written) == 3
    by_seq = {record.seq: record for record in world.records()}
    for one in written:
        assert (one.hash, one.epoch) == (by_seq[one.seq].hash.hex(), by_seq[one.seq].epoch)
    assert written[-1].at == TUESDAY + timedelta(minutes=5)


CONFIG = """
link = []
[vault]
key = "{key}{key}"
[issuer_keys]
pvk = "{key}"
cvk = "{key}"
imk_ac = "{key}"
bdk = "{key}"
{anchors}
"""
TABLE = '[anchors]\nfile = "a.jsonl"\nkey = "a.pem"'


def configured(folder: Path, anchors: str) -> Path:
    path = folder / "authz.toml"
    path.write_text(CONFIG.format(key="0123456789ABCDEFFEDCBA9876543210", anchors=anchors))
    return path


def test_the_configuration_names_files_beside_it(tmp_path: Path) -> None:
    Signer.make(tmp_path / "a.pem")
    config = read(configured(tmp_path, TABLE), demo=True)
    assert config.anchors == AnchorSettings(tmp_path / "a.jsonl", tmp_path / "a.pem")
    assert read(configured(tmp_path, ""), demo=True).anchors is None


def test_a_key_that_others_can_read_is_refused_at_the_start(tmp_path: Path) -> None:
    """docs/operations.md: the key of the anchors is its owner's alone."""
    Signer.make(tmp_path / "a.pem")
    (tmp_path / "a.pem").chmod(0o644)
    with pytest.raises(ConfigInvalid, match=r"a\.pem can be read by others: chmod 600"):
        read(configured(tmp_path, TABLE), demo=True)
    public_path(tmp_path / "a.pem").replace(tmp_path / "a.pem")
    (tmp_path / "a.pem").chmod(0o600)
    with pytest.raises(ConfigInvalid, match="is no private key"):
        read(configured(tmp_path, TABLE), demo=True)


@pytest.mark.parametrize("table", ['[anchors]\nfile = "a"', '[anchors]\nfile = "a"\nkey = "b"\nevery = 3'])
def test_a_table_of_anchors_is_whole_and_has_nothing_else(tmp_path: Path, table: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"in \[anchors\]"):
        read(configured(tmp_path, table), demo=True)
