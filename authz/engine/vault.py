"""The card vault in PostgreSQL: table `authz.vault`, the one mutable table, backed up with the ledger."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import asyncpg
import msgspec

from authz.engine.cards import SealedCard
from ledger.store import Unavailable

CONNECTIONS_MAX = 2
CONNECT_TIMEOUT_S = 2
QUERY_TIMEOUT_S = 2

_COLUMNS = ", ".join(SealedCard.__struct_fields__)
_FIND = f"SELECT {_COLUMNS} FROM authz.vault WHERE token = ANY ($1::bytea[])"  # noqa: S608  column names, ours
_ADD = (
    f"INSERT INTO authz.vault ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "  # noqa: S608  column names, ours
    "ON CONFLICT (token) DO NOTHING"
)
T = TypeVar("T")


class PostgresVault:
    """Sealed cards in the application's database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool | None = None

    async def find(self, tokens: Sequence[bytes]) -> Mapping[bytes, SealedCard]:
        """Return the card of each token that has one. Raises `Unavailable`."""
        rows = await self._run(lambda pool: pool.fetch(_FIND, tokens))
        return {row["token"]: SealedCard(**dict(row)) for row in rows}

    async def add(self, card: SealedCard) -> SealedCard:
        """Keep a card, or return the one that already has its token. Raises `Unavailable`."""
        await self._run(lambda pool: pool.execute(_ADD, *msgspec.structs.astuple(card)))
        return (await self.find([card.token]))[card.token]

    async def close(self) -> None:
        """Let go of every connection."""
        if self._pool is not None:
            self._pool.terminate()

    async def _run(self, query: Callable[[asyncpg.Pool], Awaitable[T]]) -> T:
        try:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=0,
                    max_size=CONNECTIONS_MAX,
                    timeout=CONNECT_TIMEOUT_S,
                    command_timeout=QUERY_TIMEOUT_S,
                    server_settings={"application_name": "authz vault"},
                )
            return await query(self._pool)
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            raise Unavailable("the card vault can't be reached") from None
