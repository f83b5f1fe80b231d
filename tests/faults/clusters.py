"""Primaries and standbys, of PostgreSQL's own programs: made, killed, frozen and promoted at chosen moments."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import asyncpg

from authz.engine import schema
from ledger.account import ServerAccount
from ledger.embedded import DATABASE, PORT, SUPERUSER, EmbeddedServer

SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB", "max_connections": "60"}
"""Servers are killed here, the machine is not: what they wrote, they wrote."""

RECEIVED = "SELECT pg_last_wal_receive_lsn() - '0/0'"
PROGRAM_TIMEOUT_S = 60
ENDING_TIMEOUT_S = 10
POLL_S = 0.01


class Node:
    """One server, primary or standby. Its name is what `synchronous_standby_names` calls it."""

    def __init__(self, name: str, data: Path) -> None:
        self.name = name
        self.data = data
        self._settings: dict[str, str] = {}
        self._server: EmbeddedServer | None = None

    @property
    def server(self) -> EmbeddedServer:
        assert self._server is not None, f"{self.name} isn't started"
        return self._server

    @property
    def superuser_url(self) -> str:
        return self.server.url(SUPERUSER, DATABASE)

    def start(self, **settings: str) -> None:
        """Start it, as primary or standby as its files have it; without settings, with those that it had."""
        self._settings = settings or self._settings
        self._server = EmbeddedServer.start(self.data, settings=SETTINGS | {"cluster_name": self.name} | self._settings)

    def stop(self) -> None:
        self.server.stop("immediate")

    def follow(self, primary: "Node", **settings: str) -> None:
        """Make it a standby: a copy of the primary, which follows it from now on."""
        options = ["-h", str(primary.server.socket_folder), "-p", str(PORT), "-U", SUPERUSER]
        target = ["-D", str(self.data / "postgresql"), "-R", "--checkpoint=fast", "--no-sync"]
        self._run(primary.server, "pg_basebackup", *options, *target)
        self.start(**settings)

    def promote(self) -> None:
        """Make a standby a primary, which goes on from what it has received."""
        self._run(self.server, "pg_ctl", "promote", "-w", "-D", str(self.data / "postgresql"))

    def kill(self) -> None:
        """End every process of it at once, as a failing machine does."""
        processes = self._processes()
        for process in processes:
            _signal(process, signal.SIGSTOP)
        for process in processes | self._processes():
            _signal(process, signal.SIGKILL)
        deadline = time.monotonic() + ENDING_TIMEOUT_S
        while any(_lives(process) for process in processes):
            assert time.monotonic() < deadline, f"{self.name} doesn't end"
            time.sleep(POLL_S)

    def freeze(self, process: str = "") -> None:
        """Stop its processes where they are: all, or those whose title holds a word."""
        for one in self._processes():
            if process in _title(one):
                _signal(one, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let what was stopped go on."""
        for one in self._processes():
            _signal(one, signal.SIGCONT)

    def received(self) -> int:
        """How much of the stream a standby has, in bytes: what decides which one is promoted."""
        words = ["-h", str(self.server.socket_folder), "-p", str(PORT), "-U", SUPERUSER, "-Atc", RECEIVED]
        return int(self._run(self.server, "psql", *words, SUPERUSER))

    def _processes(self) -> set[int]:
        """The postmaster and its children."""
        try:
            postmaster = int((self.data / "postgresql" / "postmaster.pid").read_text().split()[0])
        except (OSError, IndexError):
            return set()
        return {postmaster, *(one for one in _all_processes() if _parent(one) == postmaster)}

    def _run(self, server: EmbeddedServer, program: str, *words: str) -> str:
        done = server.account.run([server.bin / program, *words], timeout_s=PROGRAM_TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        return done.stdout


class Fleet:
    """The servers of one ledger, each in a folder of its own."""

    def __init__(self, seed: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="authz-fleet-"))
        self.folder.chmod(0o711)
        self.nodes: dict[str, Node] = {}
        self._seed = seed

    def primary(self, name: str, **settings: str) -> Node:
        """Start a server with an empty ledger."""
        node = self._new(name)
        ServerAccount.for_folder(node.data).run(
            ["cp", "-a", self._seed / "postgresql", node.data], timeout_s=PROGRAM_TIMEOUT_S
        )
        node.start(**settings)
        return node

    def standby(self, name: str, primary: Node, **settings: str) -> Node:
        """Start a server that follows another."""
        node = self._new(name)
        node.follow(primary, **settings)
        return node

    def url(self, *names: str, role: str = "authz") -> str:
        """The address of the ledger, wherever its primary is: with several hosts, in this order."""
        folders = ",".join(str(self.nodes[name].server.socket_folder) for name in names)
        return f"postgresql://{role}@/{DATABASE}?host={quote(folders)}&port={PORT}&target_session_attrs=read-write"

    def remove(self) -> None:
        for node in self.nodes.values():
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _new(self, name: str) -> Node:
        data = self.folder / name
        data.mkdir(mode=0o700)
        ServerAccount.for_folder(data).own(data)
        self.nodes[name] = Node(name, data)
        return self.nodes[name]


async def make_seed(data: Path) -> None:
    """Make a cluster with an empty ledger, stopped, which primaries are copies of."""
    with EmbeddedServer.start(data, settings=SETTINGS) as server:
        connection = await asyncpg.connect(server.url(SUPERUSER, "postgres"))
        await connection.execute(f"CREATE DATABASE {DATABASE}")
        await connection.close()
        await schema.create(server.url(SUPERUSER, DATABASE))


def _all_processes() -> Iterator[int]:
    return (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit())


def _stat(process: int) -> list[str]:
    """What `/proc` says of a process behind its name: state, parent …; nothing where there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _parent(process: int) -> int:
    stat = _stat(process)
    return int(stat[1]) if stat else 0


def _lives(process: int) -> bool:
    return bool(stat := _stat(process)) and stat[0] != "Z"


def _title(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def _signal(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)
