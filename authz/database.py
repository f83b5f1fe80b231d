"""Where the ledger is: a PostgreSQL of one's own below a data folder, or one that somebody else runs."""

import asyncio
from pathlib import Path

import asyncpg

from authz.config.configuration import AnchorSettings
from authz.engine import schema
from ledger.embedded import DATABASE, SUPERUSER, DataFolderUnusable, EmbeddedError, EmbeddedServer
from ledger.schema import APPLICATION_ROLE
from ledger.signing import Signer, public_path

SUPERUSER_FILE = "superuser.url"
ANCHORS_FILE, ANCHORS_KEY_FILE = "anchors.jsonl", "anchors.pem"
"""Beside the cluster, where nothing else was said: what is in them is the same elsewhere."""
MAKE_LOCK = 0x6D616B65
"""Advisory lock, in database `postgres`: one program at a time makes the database."""
GOODBYES, GOODBYE_S = 10, 0.05
ENGINES = "ledger w%"
"""How sessions that only engines have are called: those of writers, and those of who stands by."""


class DatabaseNotMade(EmbeddedError):
    """The server runs, and its database can't be made or brought up to date."""


def anchors_in(data: Path) -> AnchorSettings:
    """Find the anchors of a data folder, and make the key that signs them where there is none.

    Raises `KeyUnusable` and `DataFolderUnusable`; a key that isn't whole is never left behind.
    """
    settings = AnchorSettings(data / ANCHORS_FILE, data / ANCHORS_KEY_FILE)
    if not settings.key.exists():
        try:
            Signer.make(settings.key)
        except OSError as error:
            for half in (settings.key, public_path(settings.key)):
                half.unlink(missing_ok=True)
            raise DataFolderUnusable(f"{settings.key} can't be written: {error.strerror}") from None
    return settings


class Embedded:
    """An embedded server with the ledger's database in it."""

    def __init__(self, server: EmbeddedServer) -> None:
        self.server = server
        self.url = server.url(APPLICATION_ROLE, DATABASE)
        self.superuser_url = server.url(SUPERUSER, DATABASE)

    @classmethod
    async def start(cls, data: Path, pg_bin: Path | None = None) -> "Embedded":
        """Start the server of a data folder, or find it running, and make its database where there is none.

        Raises `ledger.embedded.EmbeddedError`, and what `ledger.schema.create` raises. A server that was started for
        nothing is stopped again.
        """
        server = await asyncio.to_thread(EmbeddedServer.start, data, pg_bin=pg_bin)
        embedded = cls(server)
        try:
            await embedded._make()
        except BaseException:
            if server.started_here:
                await embedded.stop()
            raise
        return embedded

    def tell_superuser_url(self, data: Path) -> None:
        """Write the superuser's address to a file that only its owner reads. Raises `DataFolderUnusable`."""
        file = data / SUPERUSER_FILE
        try:
            file.touch(mode=0o600)
            file.chmod(0o600)
            file.write_text(f"{self.superuser_url}\n")
        except OSError as error:
            raise DataFolderUnusable(f"{file} can't be written: {error.strerror}") from None

    async def stop(self) -> None:
        """Stop the server, unless another engine uses it; or somebody does, and another process started it."""
        by = ENGINES if self.server.started_here else "%"
        for _ in range(GOODBYES):
            if not await self.server.is_used(by):
                await asyncio.to_thread(self.server.stop)
                return
            await asyncio.sleep(GOODBYE_S)  # sessions of one's own may be about to end

    async def _make(self) -> None:
        """Make the database where there is none, and its schemas. Raises `DatabaseNotMade`."""
        try:
            connection = await asyncpg.connect(self.server.url(SUPERUSER, "postgres"))
            try:
                await connection.execute("SELECT pg_advisory_lock($1)", MAKE_LOCK)
                if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                    await connection.execute(f"CREATE DATABASE {DATABASE}")
            finally:
                await connection.close()
            await schema.create(self.superuser_url)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise DatabaseNotMade(f"the database in {self.server.data} can't be made ready: {error}") from None
