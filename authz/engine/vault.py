"""The card vault in PostgreSQL: table `authz.vault`, mutable and backed up with the ledger."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from authz.decision.commands import CardId
from authz.engine.cards import CARDS_A_QUERY_MAX, Found, SealedCard
from authz.engine.connections import Connections
from ledger.primary import Primary
from ledger.store import Line, require_bound
from ledger.values import HolderId, Seq

_COLUMNS = ", ".join(SealedCard.__struct_fields__)
# One index read for each that is asked for: a plan made while the table was small, and kept, would read all of it.
_FIND = f"""
    SELECT {_COLUMNS}, line.seq, line.position FROM unnest($1::bytea[]) AS asked (name)
     CROSS JOIN LATERAL (SELECT * FROM authz.vault WHERE token = asked.name OFFSET 0) AS found
      LEFT JOIN LATERAL (
           SELECT seq, position FROM ledger.journal
            WHERE journal.partition = found.partition AND journal.holder = found.holder
            ORDER BY seq DESC LIMIT 1) AS line ON true
"""  # noqa: S608  column names, ours
_NAMED = f"""
    SELECT {_COLUMNS} FROM unnest($1::text[]) AS asked (name)
     CROSS JOIN LATERAL (SELECT * FROM authz.vault WHERE card = asked.name OFFSET 0) AS found
"""  # noqa: S608  column names, ours
_ADD = (
    f"INSERT INTO authz.vault ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) "  # noqa: S608  column names, ours
    "ON CONFLICT (token) DO NOTHING"
)
_ADD_MANY = (
    f"INSERT INTO authz.vault ({_COLUMNS}) SELECT * FROM unnest("  # noqa: S608  column names, ours
    "$1::text[], $2::text[], $3::integer[], $4::bytea[], $5::text[], $6::text[], $7::bytea[], $8::bytea[]) "
    "ON CONFLICT DO NOTHING RETURNING card"
)


class PostgresVault:
    """Sealed cards in the application's database; `primary`: where the ledger's writer is."""

    def __init__(self, url: str, primary: Primary | None = None) -> None:
        self._connections = Connections(url, "vault", primary)

    async def find(self, tokens: Sequence[bytes]) -> Found:
        """Return the card of each token that has one, and its holder's newest line. Raises `Unavailable`."""
        cards: dict[bytes, SealedCard] = {}
        lines: dict[HolderId, Line] = {}
        for *columns, seq, position in await self._connections.fetch(_FIND, tokens):
            card = SealedCard(*columns)
            cards[card.token] = card
            if seq is not None:
                lines[card.holder] = Line(Seq(seq), position)
        return Found(cards, lines)

    async def add(self, card: SealedCard) -> SealedCard:
        """Keep a card, or return the one that already has its token. Raises `Unavailable`."""
        await self._connections.fetch(_ADD, *msgspec.structs.astuple(card))
        return (await self.find([card.token])).cards[card.token]

    async def named(self, cards: Sequence[CardId]) -> Mapping[CardId, SealedCard]:
        """Return the card of each id that has one. Raises `Unavailable`."""
        require_bound(len(cards), CARDS_A_QUERY_MAX, "cards")
        rows = await self._connections.fetch(_NAMED, cards)
        return {row["card"]: SealedCard(*row) for row in rows}

    async def add_many(self, cards: Sequence[SealedCard]) -> Collection[CardId]:
        """Keep those whose id and token are both new, and name them. Raises `Unavailable`."""
        require_bound(len(cards), CARDS_A_QUERY_MAX, "cards")
        if not cards:
            return ()
        in_order = sorted(cards, key=lambda one: one.card)  # so that no two who add wait for each other
        columns = [list(column) for column in zip(*map(msgspec.structs.astuple, in_order), strict=True)]
        rows = await self._connections.fetch(_ADD_MANY, *columns)
        return {row["card"] for row in rows}

    async def close(self) -> None:
        """Let go of every connection."""
        await self._connections.close()
