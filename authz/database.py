"""Where the ledger is: a PostgreSQL of one's own below a data folder, or one that somebody else runs."""

import asyncio
from pathlib import Path

import asyncpg

from authz.engine import schema
from ledger.embedded import DATABASE, SUPERUSER, EmbeddedServer
from ledger.schema import APPLICATION_ROLE

SUPERUSER_FILE = "superuser.url"


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
        """Stop the server, unless another process started it and somebody still uses it."""
        if self.server.started_here or not await self.server.is_used():
            await asyncio.to_thread(self.server.stop)
