"""The card vault in PostgreSQL: table `authz.vault`, mutable and backed up with the ledger."""

from collections.abc import Mapping, Sequence

import msgspec

from authz.engine.cards import SealedCard
from authz.engine.connections import Connections
from ledger.primary import Primary

_COLUMNS = ", ".join(SealedCard.__struct_fields__)
_FIND = f"SELECT {_COLUMNS} FROM authz.vault WHERE token = ANY ($1::bytea[])"  # noqa: S608  column names, ours
_ADD = (
    f"INSERT INTO authz.vault ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "  # noqa: S608  column names, ours
    "ON CONFLICT (token) DO NOTHING"
)


class PostgresVault:
    """Sealed cards in the application's database; `primary`: where the ledger's writer is."""

    def __init__(self, url: str, primary: Primary | None = None) -> None:
        self._connections = Connections(url, "vault", primary)

    async def find(self, tokens: Sequence[bytes]) -> Mapping[bytes, SealedCard]:
        """Return the card of each token that has one. Raises `Unavailable`."""
        rows = await self._connections.run(lambda pool: pool.fetch(_FIND, tokens))
        return {row["token"]: SealedCard(**dict(row)) for row in rows}

    async def add(self, card: SealedCard) -> SealedCard:
        """Keep a card, or return the one that already has its token. Raises `Unavailable`."""
        await self._connections.run(lambda pool: pool.execute(_ADD, *msgspec.structs.astuple(card)))
        return (await self.find([card.token]))[card.token]

    async def close(self) -> None:
        """Let go of every connection."""
        self._connections.close()
