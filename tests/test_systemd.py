"""What systemd is told (sd_notify(3)), over a real datagram socket."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from authz.lifesigns import BEAT_MISSING_MAX_S, BeatingStore, tell
from authz.systemd import STATUS_CHARACTERS_MAX, Systemd
from ledger.values import Partition
from tests.conftest import Database

WAIT_S = 5


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """Systemd's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify") if request.param == "path" else f"\0authz-tests-{os.getpid()}-{id(one)}")
        one.settimeout(WAIT_S)
        yield one


def named(manager: socket.socket) -> str:
    """Its address, as NOTIFY_SOCKET has it."""
    address = manager.getsockname()
    return address if isinstance(address, str) else address.decode().replace("\0", "@", 1)


def test_each_message_is_a_datagram(manager: socket.socket) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": named(manager)})
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
    systemd.ready()
    systemd.reloading()
    systemd.status("authorizing\nover links")
    systemd.lives()
    systemd.stopping()
    heard = [manager.recv(4_096).decode() for _ in range(5)]
    reloading, monotonic = heard.pop(1).splitlines()
    assert heard == ["READY=1", "STATUS=authorizing over links", "WATCHDOG=1", "STOPPING=1"]
    assert reloading == "RELOADING=1"
    assert before <= int(monotonic.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def test_a_status_is_told_when_it_changes(manager: socket.socket) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": named(manager)})
    for text in ("a", "a", "b", "b" * (STATUS_CHARACTERS_MAX + 1)):
        systemd.status(text)
    systemd.stopping()
    assert [manager.recv(4_096).decode() for _ in range(4)] == [
        "STATUS=a",
        "STATUS=b",
        f"STATUS={'b' * STATUS_CHARACTERS_MAX}",
        "STOPPING=1",
    ]


def test_without_a_manager_nothing_happens() -> None:
    systemd = Systemd({"WATCHDOG_USEC": "1000000"})
    systemd.ready()
    systemd.status("anything")
    assert systemd.watchdog_s is None


def test_a_manager_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()


def test_one_that_has_fallen_behind_is_not_waited_for(manager: socket.socket) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": named(manager)})
    manager.setblocking(False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filling, suppress(BlockingIOError):
        filling.setblocking(False)
        while True:
            filling.sendto(b"x", manager.getsockname())
    systemd.lives()


def test_its_variables_are_taken_out_so_that_no_child_process_speaks_to_it(manager: socket.socket) -> None:
    environment = {"NOTIFY_SOCKET": named(manager), "WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}
    assert Systemd(environment).watchdog_s == 0.5
    assert environment == {}


@pytest.mark.parametrize("environment", [{"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}])
def test_a_watchdog_over_another_process_is_not_fed(tmp_path: Path, environment: dict[str, str]) -> None:
    named = {"NOTIFY_SOCKET": str(tmp_path / "x"), "WATCHDOG_USEC": "500000"}
    assert Systemd(named | environment).watchdog_s is None


async def test_the_watchdog_is_fed_while_writers_live_and_not_longer(manager: socket.socket) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": named(manager), "WATCHDOG_USEC": "40000"})
    lives = [True, True, False, False, True]
    asked = asyncio.Event()

    def is_alive() -> bool:
        if len(lives) == 1:
            asked.set()
            return lives[0]
        return lives.pop(0)

    telling = asyncio.create_task(tell(systemd, is_alive, lambda: f"{len(lives)} left"))
    await asked.wait()
    telling.cancel()
    manager.setblocking(False)
    heard: list[str] = []
    with suppress(BlockingIOError):
        while True:
            heard.append(manager.recv(4_096).decode())
    assert heard[:8] == [
        *("STATUS=5 left", "WATCHDOG=1", "STATUS=4 left", "WATCHDOG=1"),
        *("STATUS=3 left", "STATUS=2 left", "STATUS=1 left", "WATCHDOG=1"),
    ]


async def test_a_frozen_loop_feeds_nothing(manager: socket.socket) -> None:
    systemd = Systemd({"NOTIFY_SOCKET": named(manager), "WATCHDOG_USEC": "40000"})
    telling = asyncio.create_task(tell(systemd, lambda: True, lambda: ""))
    await asyncio.get_running_loop().run_in_executor(None, manager.recv, 4_096)
    manager.setblocking(False)
    frozen_until = time.monotonic() + 0.1
    while time.monotonic() < frozen_until:
        pass
    with pytest.raises(BlockingIOError):
        manager.recv(4_096)
    telling.cancel()


async def test_a_beat_that_reached_the_ledger_is_a_sign_of_life(database: Database) -> None:
    store, partition = BeatingStore(database.url), Partition(0)
    try:
        assert store.hears([]), "who writes nothing has nothing to hear"
        assert not store.hears([partition])
        fence = await store.take(partition, await store.fence(partition))
        assert store.hears([partition])
        store._heard_at[partition] -= BEAT_MISSING_MAX_S
        assert not store.hears([partition])
        await store.beat(partition, fence.epoch)
        assert store.hears([partition])
    finally:
        await store.close()
