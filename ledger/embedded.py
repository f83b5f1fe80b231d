"""A PostgreSQL server of one's own: made, started and found again by its data folder.

The cluster is `DATA/postgresql`. It listens on a unix socket only, in a folder of mode 0700, and believes the operating
system about who is asking (peer): the account that started it and the account it runs under may be `postgres` (the
superuser), `authz`, `finance` and `reconciler`, nobody else may be anything. It outlives the process that started it;
a server found running is used as it is.

As root, the server runs under an unprivileged account (`ledger.account`, `ledger.cluster`).
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

import asyncpg

from ledger.account import NoSuchAccount, ServerAccount
from ledger.binaries import BinariesMissing, binaries, major_of
from ledger.cluster import NAME, POLL_S, SUPERUSER, DataFolderUnusable, EmbeddedError, existing, last_line, locked, make

__all__ = ["DATABASE", "SUPERUSER", "DataFolderUnusable", "EmbeddedError", "EmbeddedServer"]

DATABASE = "authz"
"""The database of an authorizer in its embedded server."""
ROLES = (SUPERUSER, "authz", "finance", "reconciler")
"""The roles that can log in."""

START_TIMEOUT_S = 60
"""Recovery after a crash included."""
STOP_TIMEOUT_S = 5
ENDING_TIMEOUT_S = 10
"""How long the processes of a killed server may take to end, before a new one gives up."""
SOCKET_PATH_BYTES_MAX = 100
PORT = 5432
"""Part of the socket's file name; nothing listens on TCP."""

LOCKS = ("postmaster.pid", f".s.PGSQL.{PORT}.lock")
"""What a server keeps others off its cluster and its socket by."""

_INCOMPATIBLE = "incompatible with server"
_ENDING = re.compile(r'lock file ".*" already exists|pre-existing shared memory block')

TUNING = {
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
"""What `settings` may overrule."""

FIXED = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    # No value of any statement may reach the log: errors of statements stay with their client.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


ACCESS = ("local all all peer map=embedded", f"local replication {SUPERUSER} peer map=embedded")
"""`all` databases are all but the stream of changes, which standbys and backups read."""


class ProgramsUnusable(EmbeddedError):
    """PostgreSQL's programs, or an account to run them, are missing."""


class ServerNotStarted(EmbeddedError):
    """The server doesn't start: the message ends with the last line of its log."""


class ServerForeign(EmbeddedError):
    """A server that isn't the data folder's own runs on its cluster."""


class ServerOfAnotherMajor(EmbeddedError):
    """The cluster is of another major version of PostgreSQL than the programs."""


class ServerNotStopped(EmbeddedError):
    """The server doesn't stop."""


class EmbeddedServer:
    """A running server. As a context manager it stops at the end if it was started here."""

    def __init__(self, data: Path, cluster: Path, bin_folder: Path, account: ServerAccount) -> None:
        self.data = data
        self.bin = bin_folder
        self.account = account
        self.started_here = False
        self.socket_folder = cluster
        self._cluster = cluster

    @classmethod
    def start(cls, data: Path, *, pg_bin: Path | None = None, settings: Mapping[str, str] | None = None) -> Self:
        """Start the server of a data folder, making its cluster first if there is none; or find it running.

        `settings` are PostgreSQL's, for this start. Raises an `EmbeddedError`.
        """
        settings = settings or {}
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            data = data.resolve()
            with locked(data):
                account = ServerAccount.for_folder(existing(data) or data)
                bin_folder = binaries(account, pg_bin)
                cluster = existing(data) or make(data, account, bin_folder, sync=settings.get("fsync") != "off")
                server = cls(data, cluster, bin_folder, account)
                server._run(settings)
        except (BinariesMissing, NoSuchAccount) as error:
            raise ProgramsUnusable(str(error)) from None
        except subprocess.TimeoutExpired as error:
            raise ServerNotStarted(
                f"{error.cmd[0]} takes longer than {error.timeout} s: is the machine busy?"
            ) from None
        except OSError as error:
            raise DataFolderUnusable(f"{data} can't be used: {error.strerror or error}") from None
        return server

    def url(self, role: str, database: str) -> str:
        """Return the address of a database for a role."""
        return f"postgresql://{quote(role)}@/{quote(database)}?host={quote(str(self.socket_folder))}&port={PORT}"

    async def is_used(self, by: str = "%") -> bool:
        """Tell whether a client is connected whose application's name is LIKE this."""
        try:
            connection = await asyncpg.connect(self.url(SUPERUSER, SUPERUSER))
        except (OSError, asyncpg.CannotConnectNowError):  # it has ended, or is about to
            return False
        try:
            return bool(
                await connection.fetchval(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'client backend'"
                    " AND application_name LIKE $1 AND pid <> pg_backend_pid())",
                    by,
                )
            )
        finally:
            await connection.close()

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop the server, whoever started it; within twice `STOP_TIMEOUT_S`. Raises `ServerNotStopped`."""
        self._bury()
        for how in (mode, "immediate"):
            done = self._pg_ctl("stop", "-m", how, "-w", "-t", str(STOP_TIMEOUT_S))
            if done.returncode == 0 or self._pg_ctl("status").returncode != 0:
                break
        else:
            raise ServerNotStopped(f"the server of {self.data} doesn't stop: {last_line(done.stderr)}")
        if self.socket_folder != self._cluster:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    def remove(self) -> None:
        """Stop the server and delete its cluster with all that is in it."""
        self.stop("immediate")
        shutil.rmtree(self._cluster, ignore_errors=True)
        link = self.data / NAME
        if link.is_symlink():
            link.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.started_here:
            self.stop()

    def _run(self, settings: Mapping[str, str]) -> None:
        if running := self._running():
            self.socket_folder = running
            return
        self.socket_folder = self._new_socket_folder()
        self._configure(settings)
        log = self._cluster / "server.log"
        deadline = time.monotonic() + ENDING_TIMEOUT_S
        while not self.started_here:
            self._bury()
            self.account.run(["mv", "-f", log, f"{log}.old"], timeout_s=10)
            done = self._pg_ctl("start", "-w", "-t", str(START_TIMEOUT_S), "-l", str(log))
            self.started_here = done.returncode == 0
            if not self.started_here:
                if running := self._running():  # an engine was killed while its server was about to start
                    self.socket_folder = running
                    return
                why = log.read_text(errors="replace") if log.exists() else done.stderr
                if time.monotonic() > deadline or not _ENDING.search(why):
                    raise self._refusal(why)
                time.sleep(POLL_S)

    def _refusal(self, why: str) -> EmbeddedError:
        """Say why the server doesn't start, by the words that it left."""
        if _INCOMPATIBLE in why:
            made_by = (self._cluster / "PG_VERSION").read_text().strip()
            ours = major_of(self.account, self.bin)
            return ServerOfAnotherMajor(
                f"{self._cluster} was made by PostgreSQL {made_by}, the programs are of {ours}:"
                f" name those of {made_by} by --pg-bin, or upgrade it by pg_upgrade (docs/upgrading.md)"
            )
        if _ENDING.search(why):
            return ServerForeign(
                f"another server runs on {self._cluster} ({last_line(why)}): stop it, or use it by --database"
            )
        return ServerNotStarted(f"the server of {self.data} doesn't start: {last_line(why)}")

    def _running(self) -> Path | None:
        """Find the socket folder of the server that runs on the cluster, waiting while it is starting up."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while folder := self._announced():
            state = self._run_program("pg_isready", "-h", str(folder), "-p", str(PORT), "-t", "1").returncode
            if state == 0:
                return folder
            if state != 1:
                return None
            if time.monotonic() > deadline:
                raise ServerNotStarted(f"the server of {self.data} is still starting up: try again later")
            time.sleep(POLL_S)
        return None

    def _bury(self) -> None:
        """Remove the lock files of a server that was killed and never reaped: PostgreSQL takes a zombie for alive.

        Containers often run without an init that reaps. That no process of the old server still works on the cluster,
        PostgreSQL makes sure of by its shared memory, whose key is the cluster's inode.
        """
        for name in LOCKS:
            try:
                status = Path("/proc", (self._cluster / name).read_text().split()[0], "stat").read_text()
            except (OSError, IndexError):
                continue
            if status.rpartition(")")[2].split()[0] == "Z":
                self._unlock(name)
        # The first is made first and goes last: alone, the second came along in a copy of another server's files.
        if not (self._cluster / LOCKS[0]).exists() and (self._cluster / LOCKS[1]).exists():
            self._unlock(LOCKS[1])

    def _unlock(self, name: str) -> None:
        self.account.run(["rm", "-f", self._cluster / name], timeout_s=10)

    def _announced(self) -> Path | None:
        """Read from `postmaster.pid` where a server listens, or listened before it was killed."""
        try:
            folder = Path((self._cluster / "postmaster.pid").read_text().splitlines()[4])
            found = folder.stat()
        except (OSError, IndexError):
            return None
        # After a reboot, a folder of that name below /tmp could be anybody's.
        return folder if found.st_uid == self.account.uid and not found.st_mode & 0o077 else None

    def _new_socket_folder(self) -> Path:
        path = str(self._cluster / f".s.PGSQL.{PORT}")
        if len(path) <= SOCKET_PATH_BYTES_MAX and re.fullmatch(r"[\w./-]+", path, re.ASCII):
            return self._cluster
        folder = Path(tempfile.mkdtemp(prefix="authz-"))
        self.account.own(folder)
        if not self.account.reaches(folder):
            folder.rmdir()
            folder = Path(tempfile.mkdtemp(prefix="authz-", dir="/tmp"))
            self.account.own(folder)
        return folder

    def _configure(self, settings: Mapping[str, str]) -> None:
        """Write the server's configuration anew: all of it, and who may be whom."""
        chosen = TUNING | dict(settings) | FIXED | {"unix_socket_directories": str(self.socket_folder)}
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in chosen.items()]
        accounts = dict.fromkeys([self.account.name, ServerAccount.of_uid(os.geteuid()).name])
        ident = [f'embedded "{account}" {role}' for account in accounts for role in ROLES]
        for name, content in (
            ("postgresql.conf", lines),
            ("pg_hba.conf", ACCESS),
            ("pg_ident.conf", ident),
        ):
            self.account.write(self._cluster / name, "\n".join(content) + "\n")

    def _pg_ctl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._run_program("pg_ctl", *words, "-D", str(self._cluster))

    def _run_program(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.account.run([self.bin / name, *words], timeout_s=START_TIMEOUT_S + STOP_TIMEOUT_S)
