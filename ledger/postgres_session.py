"""A writer's session in PostgreSQL: its connection, what it prepared, and a batch as `ledger.append` takes it."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, Self

import asyncpg

from ledger import schema
from ledger.primary import CONNECT_TIMEOUT_S, Primary
from ledger.store import OutcomeUnknown
from ledger.values import Epoch, Partition, Record, pack_identities

ANSWER_TIMEOUT_MS = 3_000
"""A writer's session that doesn't answer a take or a beat for so long is cut."""


class WriterSession:
    """One connection for one epoch, with what it prepared. It ends with its epoch. `address` is its server's."""

    def __init__(self, address: str, connection: asyncpg.Connection, append: Any, beat: Any) -> None:
        self.address = address
        self.connection = connection
        self.append = append
        self.beat = beat
        self.turn = asyncio.Lock()
        self._warned = False
        connection.add_log_listener(self._hear)

    @classmethod
    async def begin(cls, primary: Primary, partition: Partition, epoch: Epoch) -> Self:
        """Connect, and hold the lock that shows that this epoch's writer lives."""
        address, connection = await primary.find(
            timeout=CONNECT_TIMEOUT_S,
            server_settings={
                "application_name": f"ledger writer, partition {partition}, epoch {epoch}",
                "statement_timeout": "0",
                "synchronous_commit": "on",
                "jit": "off",
            },
        )
        queries = schema.queries()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                schema.require_server(connection)
                await schema.require_admitted(connection)
                # Frees the fence from a session that is half dead.
                await connection.execute("SET transaction_timeout = '2s'")
                await connection.execute(queries["hold_epoch"], partition, lock_of(epoch))
                append = await connection.prepare(queries["append"])
                beat = await connection.prepare(queries["beat"])
        except BaseException:
            connection.terminate()
            raise
        return cls(address, connection, append, beat)

    async def answer(self, call: Awaitable[Any]) -> Any:
        """Wait for the server's answer; after too long a silence, cut the session."""
        running = uncancelled(call)
        await asyncio.wait({running}, timeout=ANSWER_TIMEOUT_MS / 1_000)
        if not running.done():
            self.connection.terminate()
            await asyncio.wait({running})
        result = running.result()
        self.require_acknowledged()
        return result

    def require_acknowledged(self) -> None:
        """Raise `OutcomeUnknown` where a commit of this session may be on no standby, though it was reported."""
        if self._warned:
            raise OutcomeUnknown("a commit's wait for its standby was ended from outside")

    def _hear(self, _connection: object, message: asyncpg.PostgresLogMessage) -> None:
        """Take a warning for what it is here: a CancelRequest ends a commit's wait, and leaves nothing but that."""
        self._warned = self._warned or message.severity_en == "WARNING"


def uncancelled(call: Awaitable[Any]) -> asyncio.Future[Any]:
    """Run a call to its end, whoever stops waiting for it."""
    running = asyncio.ensure_future(call)
    running.add_done_callback(lambda done: done.cancelled() or done.exception())
    return running


def lock_of(epoch: Epoch) -> int:
    """Return the second half of an epoch's advisory lock: a 4-byte integer."""
    return epoch % 2**31


def columns(records: Sequence[Record]) -> tuple[list[Any], ...]:
    """Turn a batch into the arrays that `ledger.append` takes, in the order of its arguments."""
    entries = [record.entry for record in records]
    transfers = [
        (number, line, transfer)
        for number, entry in enumerate(entries, 1)
        for line, transfer in enumerate(entry.transfers, 1)
    ]
    identities = [(number, one) for number, entry in enumerate(entries, 1) for one in entry.identities]
    return (
        [entry.at for entry in entries],
        [entry.kind for entry in entries],
        [entry.holder for entry in entries],
        [entry.request for entry in entries],
        [entry.reply for entry in entries],
        [entry.reason for entry in entries],
        [entry.position for entry in entries],
        [pack_identities(entry.identities) for entry in entries],
        [record.hash for record in records],
        [number for number, _, _ in transfers],
        [line for _, line, _ in transfers],
        [transfer.debit for _, _, transfer in transfers],
        [transfer.credit for _, _, transfer in transfers],
        [transfer.amount for _, _, transfer in transfers],
        [number for number, _ in identities],
        [one.stamp for _, one in identities],
        [one.digest for _, one in identities],
    )
