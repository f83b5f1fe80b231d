"""A few connections to one database, for statements that are complete in themselves.

The driver's own pool makes a task for each acquire and for each release, which take as long as a read by key does.
"""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg

from ledger.postgres_errors import LOST
from ledger.primary import CONNECT_TIMEOUT_S, Primary

CLOSE_TIMEOUT_S = 2.0

_BY_KEY = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
"""Every read here is by key. To plan one for each array that is asked for takes longer than to carry it out, and
a plan that is kept must not read a whole table because that was small when it was made."""


class Connections:
    """At most `connections_max` connections to where the ledger's writer is, made when they are first needed.

    `begin` is done once in each, and each of its statements may take `timeout_s` too. A connection in which something
    went wrong is cut, and so is each that was made before the writer was somewhere else. All raises what the driver
    raises.
    """

    def __init__(
        self,
        primary: Primary,
        name: str,
        *,
        connections_max: int,
        timeout_s: float,
        begin: Callable[[asyncpg.Connection], Awaitable[None]] | None = None,
    ) -> None:
        self._primary = primary
        self._settings = _BY_KEY | {"application_name": name}
        self._timeout_s = timeout_s
        self._begin = begin
        self._turns = asyncio.Semaphore(connections_max)
        self._idle: list[asyncpg.Connection] = []
        self._moves = primary.moves

    async def fetch(self, query: str, *arguments: object, timeout_s: float | None = None) -> list[asyncpg.Record]:
        """Carry out a statement, in a transaction of its own: `timeout_s` at most, and as long until its turn comes.

        Whether a statement that was given up or lost took effect isn't known.
        """
        within_s = self._timeout_s if timeout_s is None else timeout_s
        await self._turn(within_s)
        try:
            connection, moves = self._last_used(), self._moves
            if connection is None:
                connection = await self._connect()
            try:
                rows: list[asyncpg.Record] = await connection.fetch(query, *arguments, timeout=within_s)
            except BaseException:
                connection.terminate()
                raise
            if moves == self._moves:
                self._idle.append(connection)
            else:
                connection.terminate()
            return rows
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Say goodbye on every connection; one that is in use is cut when its statement ends."""
        self._moves = -1
        idle, self._idle = self._idle, []
        for connection in idle:
            try:
                await connection.close(timeout=CLOSE_TIMEOUT_S)
            except LOST:
                connection.terminate()

    async def _turn(self, within_s: float) -> None:
        if self._turns.locked():
            async with asyncio.timeout(within_s):
                await self._turns.acquire()
        else:
            await self._turns.acquire()

    def _last_used(self) -> asyncpg.Connection | None:
        """Take the connection that was used last, if there is one that still leads to where the writer is."""
        if self._moves != self._primary.moves:
            self._moves = self._primary.moves
            idle, self._idle = self._idle, []
            for connection in idle:
                connection.terminate()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None

    async def _connect(self) -> asyncpg.Connection:
        connection = await self._primary.connect(
            timeout=CONNECT_TIMEOUT_S, command_timeout=self._timeout_s, server_settings=self._settings
        )
        if self._begin is not None:
            try:
                await self._begin(connection)
            except BaseException:
                connection.terminate()
                raise
        return connection
