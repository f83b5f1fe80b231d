"""A few connections to the application's database, for what is mutable there."""

import asyncpg

from ledger import connections
from ledger.postgres_errors import LOST
from ledger.primary import Primary
from ledger.store import Unavailable

CONNECTIONS_MAX = 2
STATEMENT_TIMEOUT_S = 2.0


class Connections:
    """Connections to what is kept in one place, made when they are first needed. `place` is its name to people.

    They lead to where `primary` says that the ledger's writer is; without it, to the first host that takes writes.
    """

    def __init__(self, url: str, place: str, primary: Primary | None = None) -> None:
        self._place = place
        self._connections = connections.Connections(
            primary or Primary(url),
            f"authz {place}",
            connections_max=CONNECTIONS_MAX,
            timeout_s=STATEMENT_TIMEOUT_S,
        )

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Carry out a statement. Raises `Unavailable`; whether one that was lost took effect isn't known."""
        try:
            return await self._connections.fetch(query, *arguments)
        except (*LOST, asyncpg.PostgresError):
            raise Unavailable(f"the {self._place} can't be reached") from None

    async def close(self) -> None:
        """Let go of every connection."""
        await self._connections.close()
