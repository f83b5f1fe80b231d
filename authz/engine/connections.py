"""A few connections to the application's database, for what is mutable there and seldom asked for."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from ledger.primary import Primary
from ledger.store import Unavailable

CONNECTIONS_MAX = 2
CONNECT_TIMEOUT_S = 2
QUERY_TIMEOUT_S = 2

T = TypeVar("T")


class Connections:
    """Connections to what is kept in one place, made when they are first needed. `place` is its name to people.

    They lead to where `primary` says that the ledger's writer is; without it, to the first host that takes writes.
    """

    def __init__(self, url: str, place: str, primary: Primary | None = None) -> None:
        self._url = url
        self._place = place
        self._primary = primary or Primary(url)
        self._pool: asyncpg.Pool | None = None
        self._pool_at: str | None = None

    async def run(self, query: Callable[[asyncpg.Pool], Awaitable[T]]) -> T:
        """Run a query. Raises `Unavailable`; whether a statement that was lost in it took effect isn't known."""
        try:
            if self._pool is None or self._pool_at != self._primary.writer_at:
                self.close()  # the writer has moved, and where it was is the primary no longer
                self._pool_at = self._primary.writer_at
                self._pool = await self._connect()
            return await query(self._pool)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            raise Unavailable(f"the {self._place} can't be reached") from None

    def close(self) -> None:
        """Let go of every connection."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None

    async def _connect(self) -> asyncpg.Pool:
        return await asyncpg.create_pool(
            self._url,
            connect=self._primary.connect,
            min_size=0,
            max_size=CONNECTIONS_MAX,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=QUERY_TIMEOUT_S,
            server_settings={"application_name": f"authz {self._place}"},
        )
