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
    """Connections to what is kept in one place, made when they are first needed. `place` is its name to people."""

    def __init__(self, url: str, place: str) -> None:
        self._url = url
        self._place = place
        self._pool: asyncpg.Pool | None = None

    async def run(self, query: Callable[[asyncpg.Pool], Awaitable[T]]) -> T:
        """Run a query. Raises `Unavailable`; whether a statement that was lost in it took effect isn't known."""
        try:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    connect=Primary(self._url).connect,
                    min_size=0,
                    max_size=CONNECTIONS_MAX,
                    timeout=CONNECT_TIMEOUT_S,
                    command_timeout=QUERY_TIMEOUT_S,
                    server_settings={"application_name": f"authz {self._place}"},
                )
            return await query(self._pool)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            raise Unavailable(f"the {self._place} can't be reached") from None

    def close(self) -> None:
        """Let go of every connection."""
        if self._pool is not None:
            self._pool.terminate()
