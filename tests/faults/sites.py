"""A real engine over a real PostgreSQL, with a line between them that fails on demand."""

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

from authz.decision.outcomes import Reason, Reply
from authz.engine.identities import keys_of
from authz.engine.inputs import decode_reply
from authz.engine.requests import Answer, NoAnswer, Request
from authz.engine.vault import PostgresVault
from ledger.postgres import PostgresStore
from ledger.values import (
    Account,
    Cents,
    Entry,
    Epoch,
    HolderId,
    Record,
    Seq,
    Transfer,
    unpack_identities,
)
from tests.engine.world import MAIN, House, World, audit
from tests.faults.proxy import Proxy

CALM = {"beat_every_ms": 60_000}
"""No beat comes between a test and the append that it means to break."""


class Site:
    """A world whose ledger and vault are in PostgreSQL."""

    def __init__(self, proxy: Proxy, direct: asyncpg.Connection) -> None:
        self.proxy = proxy
        self.direct = direct
        self.world = World()
        self._vaults: list[PostgresVault] = []

    async def open(self, **limits: int) -> House:
        vault: Any = PostgresVault(self.proxy.url)
        self._vaults.append(vault)
        self.world.vault = vault
        return await self.world.open(PostgresStore(self.proxy.url), **limits)

    async def close(self) -> None:
        self.proxy.thaw()
        for house in self.world._open:
            await house.crash()
            await house.store.close()
        for vault in self._vaults:
            await vault.close()

    async def stored(self, request: Request) -> Reply | None:
        """What the ledger has as the reply to a request."""
        key = keys_of(request.command.origin, self.world.security.token(request.secrets.pan)).identity
        found = await self.direct.fetch(
            "SELECT reply FROM ledger.identity JOIN ledger.journal USING (partition, seq)"
            " WHERE partition = 0 AND stamp = $1 AND digest = $2",
            key.stamp,
            key.digest,
        )
        return decode_reply(found[0]["reply"]) if found else None

    async def check(self, request: Request, answer: Answer | NoAnswer) -> None:
        """Each request is answered as it stands in the ledger, or 91 where it isn't in, never both."""
        stored = await self.stored(request)
        if isinstance(answer, Answer) and answer.reply.reason is Reason.UNAVAILABLE:
            assert stored is None, f"answered 91, and in the ledger as {stored}"
        elif isinstance(answer, Answer):
            assert stored == answer.reply

    async def records(self) -> Sequence[Record]:
        """The whole journal, read past the product's own code."""
        moved: dict[int, list[Transfer]] = {}
        for row in await self.direct.fetch("SELECT * FROM ledger.transfer WHERE partition = 0 ORDER BY seq, line"):
            transfer = Transfer(Account(row["debit"]), Account(row["credit"]), Cents(row["amount"]))
            moved.setdefault(row["seq"], []).append(transfer)
        return [
            Record(
                Seq(row["seq"]),
                Epoch(row["epoch"]),
                Entry(
                    at=row["at"],
                    kind=row["kind"],
                    holder=None if row["holder"] is None else HolderId(row["holder"]),
                    request=row["request"],
                    reply=row["reply"],
                    reason=row["reason"],
                    position=row["position"],
                    transfers=tuple(moved.get(row["seq"], ())),
                    identities=unpack_identities(row["identities"]),
                ),
                row["hash"],
            )
            for row in await self.direct.fetch("SELECT * FROM ledger.journal WHERE partition = 0 ORDER BY seq")
        ]

    async def audit(self) -> None:
        """Recompute the chain, and hold the fence and the positions to it."""
        records = await self.records()
        audit(MAIN, records)
        fence = await self.direct.fetchrow("SELECT head, hash FROM ledger.fence WHERE partition = 0")
        assert (fence["head"], fence["hash"]) == (records[-1].seq, records[-1].hash)
        keys = sum(len(record.entry.identities) for record in records)
        assert keys == await self.direct.fetchval("SELECT count(*) FROM ledger.identity")


async def furnished(house: House, holders: int = 1) -> list[str]:
    await house.furnish()
    return list(await asyncio.gather(*(house.enrol(number) for number in range(1, holders + 1))))
