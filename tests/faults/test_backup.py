"""Backups of a ledger, taken under load and restored (docs/backup.md), and heads anchored behind a standby.

Every server here is the test's own: its settings are what is tested.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from msgspec import Struct

from ledger import cli_anchor, schema
from ledger.anchors import AnchorFile, anchor_of, read, restorations
from ledger.chain import extend
from ledger.cli_anchor import acknowledged, anchor, keypair
from ledger.embedded import DATABASE, SUPERUSER, EmbeddedServer
from ledger.postgres import PostgresStore
from ledger.signing import Signer, Verifier, public_path
from ledger.source import Source
from ledger.store import Fence, Unavailable
from ledger.values import Entry, Partition
from ledger.verify import Finding, Report, verify
from tests.engine.world import TUESDAY

Heads = Mapping[Partition, Fence]
MAIN = Partition(0)
SMALL = {"shared_buffers": "16MB", "max_connections": "20"}
FAST = SMALL | {"fsync": "off"}
RECOVERING = FAST | {"hot_standby": "off", "recovery_target_action": "promote"}
"""Without hot_standby nobody is let in before all of it is there."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that an unprivileged account can be given a place in."""
    folder = Path(tempfile.mkdtemp(prefix="authz-backup-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def machine(folder: Path) -> "Machine":
    machine = Machine(folder)
    asyncio.run(machine.live())
    return machine


@contextmanager
def served(data: Path, settings: Mapping[str, str]) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer.start(data, settings=settings)
    try:
        yield server
    finally:
        server.stop()


async def create(server: EmbeddedServer) -> None:
    async with connected(server, SUPERUSER) as connection:
        await connection.execute(f"CREATE DATABASE {DATABASE}")
    await schema.create(server.url(SUPERUSER, DATABASE))


@asynccontextmanager
async def connected(server: EmbeddedServer, database: str = DATABASE) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url(SUPERUSER, database))
    try:
        yield connection
    finally:
        await connection.close()


async def is_open(server: EmbeddedServer) -> None:
    """Wait for the end of recovery."""
    async with asyncio.timeout(30):
        while True:
            with suppress(asyncpg.CannotConnectNowError):
                async with connected(server):
                    return


async def ask(server: EmbeddedServer, question: str) -> str:
    async with connected(server) as connection:
        return str(await connection.fetchval(question))


class Writer:
    """An authorizer's hand: appends batches, and knows the head that was acknowledged."""

    def __init__(self, store: PostgresStore, fence: Fence) -> None:
        self.store = store
        self.fence = fence

    @classmethod
    async def begin(cls, server: EmbeddedServer) -> "Writer":
        store = PostgresStore(server.url("authz", DATABASE))
        return cls(store, await store.take(MAIN, await store.fence(MAIN)))

    async def append(self, records: int = 4) -> None:
        entries = [Entry(TUESDAY, "purchase", None, "{}", "{}", "CARD_UNKNOWN", None)] * records
        placed = list(extend(MAIN, self.fence.epoch, self.fence.head, self.fence.hash, entries))
        await self.store.append(MAIN, self.fence.epoch, self.fence.head, self.fence.hash, placed)
        self.fence = Fence(self.fence.epoch, placed[-1].seq, placed[-1].hash, 0)


class Machine:
    """A server whose log is archived, with a ledger, a base backup taken under load, and anchors outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive, self.backup = folder / "archive", folder / "backup"
        self.anchors, self.key = folder / "anchors.jsonl", folder / "anchors.pem"
        self.moment = ""
        self.head_then = 0
        self.head = 0

    async def live(self) -> None:
        """Write, back up meanwhile, write on, and end."""
        archiving = {
            "archive_mode": "on",
            "archive_command": f'test ! -f "{self.archive}/%f" && cp %p "{self.archive}/%f"',
        }
        with served(self.folder / "first", FAST | archiving) as server:
            for place in (self.archive, self.backup):
                place.mkdir(mode=0o700)
                server.account.own(place)
            await create(server)
            file = AnchorFile(self.anchors, Signer.make(self.key), pytest.fail)
            writer = await Writer.begin(server)
            await writer.append()
            file.append([anchor_of(MAIN, writer.fence, TUESDAY)])
            backing_up = asyncio.create_task(asyncio.to_thread(self._back_up, server))
            while not backing_up.done():
                await writer.append()
            await backing_up
            file.append([anchor_of(MAIN, writer.fence, TUESDAY)])
            await writer.append()
            self.head_then = writer.fence.head
            self.moment = await ask(server, "SELECT pg_current_wal_flush_lsn()::text")
            await writer.append()
            file.append([anchor_of(MAIN, writer.fence, TUESDAY)])
            self.head = writer.fence.head
            await writer.store.close()
            await ask(server, "SELECT pg_switch_wal()")
        # A server that is stopped in order archives what is left first.

    def _back_up(self, server: EmbeddedServer) -> None:
        where = ["-h", str(server.socket_folder), "-p", "5432", "-U", SUPERUSER]
        how = ["--checkpoint=fast", "--wal-method=none", "--manifest-checksums=SHA256", "-D", str(self.backup)]
        run(server, "pg_basebackup", *where, *how)

    @contextmanager
    def restored(self, name: str, signal: str = "recovery.signal", **target: str) -> Iterator[EmbeddedServer]:
        """Another machine's server, with what the backup and the archive hold, up to `target`."""
        data = self.folder / name
        data.mkdir(mode=0o711)
        owner = self.backup.stat()
        shutil.copytree(self.backup, data / "postgresql")
        (data / "postgresql" / signal).touch()
        for path in (data / "postgresql", *(data / "postgresql").rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        restoring = {"restore_command": f'cp "{self.archive}/%f" %p'}
        with served(data, RECOVERING | restoring | target) as server:
            asyncio.run(is_open(server))
            yield server


def run(server: EmbeddedServer, program: str, *words: str) -> str:
    done = server.account.run([server.bin / program, *words], timeout_s=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


class Manifest(Struct, rename={"files": "Files", "checksum": "Manifest-Checksum"}):
    files: list[dict[str, Any]]
    checksum: str


def proved(server: EmbeddedServer, machine: Machine, anchors: Path) -> Finding | Report:
    found = read(anchors, Verifier.load(public_path(machine.key)))
    return asyncio.run(verify(server.url("finance", DATABASE), anchors=found))


def head_of(server: EmbeddedServer) -> int:
    return int(asyncio.run(ask(server, "SELECT head FROM ledger.fence")))


def test_the_backup_is_whole_by_its_own_manifest(machine: Machine) -> None:
    """What `pg_verifybackup` looks at (PostgreSQL, "Backup Manifest Format"): every file, and the manifest itself."""
    text = (machine.backup / "backup_manifest").read_bytes()
    manifest = msgspec.json.decode(text, type=Manifest)
    signed = text[: text.rindex(b"\n", 0, text.rindex(b'"Manifest-Checksum"')) + 1]
    assert sha256(signed).hexdigest() == manifest.checksum
    listed = {one["Path"]: one["Checksum"] for one in manifest.files}
    there = [path for path in machine.backup.rglob("*") if path.is_file() and path.name != "backup_manifest"]
    assert {str(path.relative_to(machine.backup)): sha256(path.read_bytes()).hexdigest() for path in there} == listed


def test_restored_to_the_end_every_acknowledged_record_is_there_and_every_anchor_holds(machine: Machine) -> None:
    with machine.restored("to the end") as server:
        assert head_of(server) == machine.head
        outcome = proved(server, machine, machine.anchors)
        assert isinstance(outcome, Report), outcome


def test_restored_to_a_moment_before_an_anchor_is_found_and_holds_once_it_is_declared(machine: Machine) -> None:
    anchors = machine.folder / "declared.jsonl"
    shutil.copyfile(machine.anchors, anchors)
    key, verifier = machine.key, Verifier.load(public_path(machine.key))
    with machine.restored("to a moment", recovery_target_lsn=machine.moment) as server:
        assert head_of(server) == machine.head_then < machine.head
        lost = proved(server, machine, anchors)
        assert isinstance(lost, Finding)
        assert (lost.partition, lost.seq) == (MAIN, machine.head_then + 1)
        source = Source(database=server.url("finance", DATABASE))
        assert anchor(source=source, file=anchors, key=key) == 1
        assert anchor(source=source, file=anchors, key=key, restored="the disk failed") == 0
        outcome = proved(server, machine, anchors)
        assert isinstance(outcome, Report), outcome
        [declared] = restorations(anchors, verifier)
        assert (declared.to.seq, declared.why) == (machine.head_then, "the disk failed")
        asyncio.run(_write_on(server))
        assert anchor(source=source, file=anchors, key=key) == 0
        assert read(anchors, verifier)[-1].seq == head_of(server) > machine.head_then
        assert isinstance(proved(server, machine, anchors), Report)


async def _write_on(server: EmbeddedServer) -> None:
    writer = await Writer.begin(server)
    await writer.append()
    await writer.store.close()


def test_a_standby_acknowledges_nothing(machine: Machine) -> None:
    """It has no commits of its own: what it shows may not be what the primary answered."""
    with machine.restored("standby", "standby.signal", hot_standby="on") as server:
        assert head_of(server) > 0
        with pytest.raises(Unavailable):
            asyncio.run(acknowledged(server.url("finance", DATABASE)))


@pytest.fixture(scope="module")
def lonely(folder: Path) -> Iterator[EmbeddedServer]:
    """A server with a ledger, whose synchronous standby is gone."""

    async def begin(server: EmbeddedServer) -> None:
        await create(server)
        writer = await Writer.begin(server)
        await writer.append()
        await writer.store.close()
        async with connected(server) as connection:
            await connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
            await connection.execute("SELECT pg_reload_conf()")

    with served(folder / "lonely", FAST) as server:
        asyncio.run(begin(server))
        yield server


async def test_a_head_that_no_standby_acknowledges_is_not_anchored(
    lonely: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A plain read sees it: what was never acknowledged may be lost with the primary, and no anchor may say it was."""
    monkeypatch.setattr(cli_anchor, "ACKNOWLEDGE_TIMEOUT_S", 0.3)
    key, file = tmp_path / "a.pem", tmp_path / "a.jsonl"
    keypair(key)
    source = Source(database=lonely.url("finance", DATABASE))
    with pytest.raises(Unavailable, match="no synchronous standby acknowledged"):
        await asyncio.to_thread(anchor, source=source, file=file, key=key)
    assert not file.exists()


@asynccontextmanager
async def waiting_for_a_standby(
    server: EmbeddedServer,
) -> AsyncIterator[tuple[asyncpg.Connection, int, Awaitable[Heads]]]:
    """A superuser's session, that of somebody who waits, and what they wait for."""
    waiters = "SELECT array_agg(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = 'finance'"
    async with connected(server) as connection:
        before = set(await connection.fetchval(waiters) or ())
        waiting = asyncio.create_task(acknowledged(server.url("finance", DATABASE)))
        found: set[int] = set()
        async with asyncio.timeout(10):
            while not found:
                found = set(await connection.fetchval(waiters) or ()) - before
        yield connection, found.pop(), waiting


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
async def test_a_wait_that_somebody_ends_acknowledges_nothing(lonely: EmbeddedServer, how: str) -> None:
    """PostgreSQL answers a cancelled wait for a standby as a commit, with a warning."""
    async with waiting_for_a_standby(lonely) as (connection, process, waiting):
        await connection.execute(f"SELECT {how}({process})")
        with pytest.raises(Unavailable):
            await waiting


async def test_a_head_that_a_commit_of_finance_follows_is_acknowledged(lonely: EmbeddedServer) -> None:
    """Finance can write what nothing reads, and nothing else: enough to wait as an append does."""
    async with waiting_for_a_standby(lonely) as (connection, _, waiting):
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        await connection.execute("SELECT pg_reload_conf()")
        try:
            fences = await waiting
        finally:
            await connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'gone'")
            await connection.execute("SELECT pg_reload_conf()")
        row = await connection.fetchrow("SELECT epoch, head, hash, beat FROM ledger.fence")
    assert row is not None
    assert fences == {MAIN: Fence(row["epoch"], row["head"], row["hash"], row["beat"])}
    assert fences[MAIN].head == 4
