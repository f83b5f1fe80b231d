"""Where the ledger is: a PostgreSQL of one's own below a data folder, or one that somebody else runs."""

import asyncio
from pathlib import Path

import asyncpg

from authz.config import AnchorSettings
from authz.engine import schema
from ledger.embedded import DATABASE, SUPERUSER, EmbeddedServer
from ledger.schema import APPLICATION_ROLE
from ledger.signing import Signer

SUPERUSER_FILE = "superuser.url"
ANCHORS_FILE, ANCHORS_KEY_FILE = "anchors.jsonl", "anchors.pem"
"""Beside the cluster, where nothing else was said: what is in them is the same elsewhere."""
GOODBYES, GOODBYE_S = 10, 0.05
ENGINES = "ledger w%"
"""How sessions that only engines have are called: those of writers, and those of who stands by."""


def anchors_in(data: Path) -> AnchorSettings:
    """Find the anchors of a data folder, and make the key that signs them where there is none. Raises `KeyUnusable`."""
    settings = AnchorSettings(data / ANCHORS_FILE, data / ANCHORS_KEY_FILE)
    if not settings.key.exists():
        Signer.make(settings.key)
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

        Raises `ledger.embedded.EmbeddedError`, and what `ledger.schema.create` raises.
        """
        server = await asyncio.to_thread(EmbeddedServer.start, data, pg_bin=pg_bin)
        connection = await asyncpg.connect(server.url(SUPERUSER, "postgres"))
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()
        embedded = cls(server)
        await schema.create(embedded.superuser_url)
        return embedded

    def tell_superuser_url(self, data: Path) -> None:
        """Write the superuser's address to a file that only its owner reads."""
        file = data / SUPERUSER_FILE
        file.touch(mode=0o600)
        file.chmod(0o600)
        file.write_text(f"{self.superuser_url}\n")

    async def stop(self) -> None:
        """Stop the server, unless another engine uses it; or somebody does, and another process started it."""
        by = ENGINES if self.server.started_here else "%"
        for _ in range(GOODBYES):
            if not await self.server.is_used(by):
                await asyncio.to_thread(self.server.stop)
                return
            await asyncio.sleep(GOODBYE_S)  # sessions of one's own may be about to end
