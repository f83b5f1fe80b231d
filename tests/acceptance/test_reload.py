"""SIGHUP: links come, change and go while payments flow over another; a file that can't be used changes nothing."""

import asyncio
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec
import pytest

from authz.replay import Replayed, replay
from authz.wire.message import Message
from tests.acceptance.authorizer import eventually, rows
from tests.acceptance.conftest import Start
from tests.acceptance.counter import CODEC, DEMO, REPLY_MAX_S, SIMULATED, Closed, Line, ask, purchase, signed
from tests.acceptance.shop import said
from tests.conftest import Database

OWN, OTHER = SIMULATED.acquirer, "970002"
READ, NOT_READ = "keys read again", "keys not read again"

_LINKS = """
SELECT position ->> 'port', position ->> 'mac_required', position ->> 'open'
  FROM ledger.journal WHERE kind = 'link' AND holder = $1 ORDER BY seq
"""


class House:
    """An authorizer with one link, its configuration, and what it tells systemd."""

    def __init__(self, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch, manager: "Manager") -> None:
        self.told = manager.told
        self.config = folder / "authz.toml"
        self.configure({"acquirer": OWN})
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        self.authorizer = start("--config", str(self.config))
        monkeypatch.undo()

    def configure(self, *links: dict[str, Any], more: str = "") -> None:
        """Write the file."""
        keys = {"zpk": DEMO.link.zpk, "zak": DEMO.link.zak, "zmk": DEMO.link.zmk}
        tables = [("[vault]", {"key": DEMO.vault.key}), ("[issuer_keys]", dict(DEMO.issuer_keys))]
        tables += [("[[link]]", keys | link) for link in links]
        lines = [
            line
            for head, table in tables
            for line in (head, *(f"{name} = {msgspec.json.encode(value).decode()}" for name, value in table.items()))
        ]
        self.config.write_text("\n".join([*lines, more]))

    def reload(self, says: str = READ) -> str:
        """Send SIGHUP; returns the line in the log that says what came of it."""
        before = len(self.authorizer.errors)
        self.authorizer.signal(signal.SIGHUP)
        reloading = self.told("RELOADING=1")
        assert reloading.splitlines()[1].removeprefix("MONOTONIC_USEC=").isdecimal()
        self.told("READY=1")
        [line] = [one for one in self.authorizer.errors[before:].splitlines() if "read again" in one]
        assert says in line
        return line


class Manager:
    """In systemd's place: hears what its service says."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._heard: SimpleQueue[str] = SimpleQueue()
        self._thread = threading.Thread(target=self._hear)

    def __enter__(self) -> "Manager":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def told(self, line: str) -> str:
        """Wait until it is told this; returns the message."""
        while line not in (message := self._heard.get(timeout=REPLY_MAX_S)).splitlines():
            pass
        return message

    def _hear(self) -> None:
        while message := self._socket.recv(4_096):
            self._heard.put(message.decode())


class Till:
    """Pays over one connection, one payment after the other, until it is stopped; `wrong` is what went wrong."""

    def __init__(self, port: int) -> None:
        self.paid = 0
        self.wrong: list[object] = []
        self._over = threading.Event()
        self._line = Line(port)
        self._thread = threading.Thread(target=self._pay)

    def __enter__(self) -> "Till":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._line.close()

    def _pay(self) -> None:
        while not self._over.is_set() and not self.wrong:
            try:
                reply = self._line.ask(purchase("0014", 1))
            except (Closed, OSError) as error:
                self.wrong.append(error)
            else:
                self.paid += 1
                if reply.reason != "APPROVED":
                    self.wrong.append(said(reply))


@pytest.fixture
def house(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with Manager(tmp_path / "notify") as manager:
        yield House(tmp_path, start, monkeypatch, manager)


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def of_the_other(last4: str, cents: int) -> Message:
    return msgspec.structs.replace(purchase(last4, cents), acquirer=OTHER)


def test_a_link_comes_changes_moves_and_goes_and_nobody_on_another_sees_it(
    house: House, own_database: Database
) -> None:
    authorizer, first, second = house.authorizer, free(), free()
    house.told("READY=1")
    with Till(authorizer.port) as till:
        line = house.reload()
        assert "added" not in line

        house.configure({"acquirer": OWN}, {"acquirer": OTHER, "port": first})
        assert f"added={OTHER}" in house.reload()
        with Line(first) as other:
            assert said(other.ask(of_the_other("0014", 1))) == ("00", "APPROVED")

            house.configure({"acquirer": OWN}, {"acquirer": OTHER, "port": first, "mac_required": True})
            assert f"changed={OTHER}" in house.reload()
            assert said(other.ask(of_the_other("0014", 1))) == ("63", "MAC_WRONG"), "on the connection that was there"
            assert CODEC.decode(other.ask_bytes(signed(of_the_other("0014", 1)))).reason == "APPROVED"

            house.configure({"acquirer": OWN}, {"acquirer": OTHER, "port": second})
            assert f"replaced={OTHER}" in house.reload()
            assert other.is_closed()
        with pytest.raises(ConnectionRefusedError):
            Line(first)
        assert said(ask(second, of_the_other("0014", 1))) == ("00", "APPROVED")

        house.configure({"acquirer": OWN})
        assert f"removed={OTHER}" in house.reload()
        with pytest.raises(ConnectionRefusedError):
            Line(second)

        paid = till.paid
        eventually(lambda: till.paid > paid or till.wrong)
    assert till.wrong == []
    assert [tuple(row) for row in rows(own_database.url, _LINKS, f"terms:{OTHER}")] == [
        (str(first), "false", "true"),
        (str(first), "true", "true"),
        (str(second), "false", "true"),
        (str(second), "false", "false"),
    ]
    house.told("WATCHDOG=1")
    assert authorizer.terminate() == 0
    house.told("STOPPING=1")
    assert isinstance(asyncio.run(replay(own_database.url)), Replayed)


def test_a_file_that_cannot_be_used_changes_nothing(house: House) -> None:
    authorizer, first = house.authorizer, free()
    with Till(authorizer.port) as till, socket.create_server(("127.0.0.1", 0)) as taken:
        for link, why in (
            ({"acquirer": OTHER, "port": first, "idle_prob_s": 5}, "did you mean idle_probe_s?"),
            ({"acquirer": OTHER, "port": first, "zpk": "00"}, "zpk must be"),
            ({"acquirer": OTHER, "port": taken.getsockname()[1]}, "can't be used"),
        ):
            house.configure({"acquirer": OWN, "mac_required": True}, link)
            assert why in house.reload(NOT_READ)
            with pytest.raises(ConnectionRefusedError):
                Line(first)
        paid = till.paid
        eventually(lambda: till.paid > paid or till.wrong)
    assert till.wrong == []


def test_a_programme_is_adopted_when_it_changes(house: House, own_database: Database, tmp_path: Path) -> None:
    """docs/configuration.md: a file stands in place of the programme of that id that comes along."""
    authorizer = house.authorizer
    assert said(ask(authorizer.port, purchase("0014", 1_901))) == ("61", "DAILY_CAP")
    text = (Path(__file__).parents[2] / "authz" / "programmes" / "apetiz.toml").read_text()
    (tmp_path / "ours.toml").write_text(text.replace("amount = 1900", "amount = 1950", 1))
    more = '[[programme]]\nfile = "ours.toml"\n'
    house.configure({"acquirer": OWN}, more=more)
    house.reload()
    assert said(ask(authorizer.port, purchase("0014", 1_901))) == ("00", "APPROVED")
    adopted = "SELECT count(*) FROM ledger.journal WHERE kind = 'programme' AND holder = 'programme:apetiz'"
    before = rows(own_database.url, adopted)
    house.reload()
    assert rows(own_database.url, adopted) == before == [(2,)], "once for each change"
