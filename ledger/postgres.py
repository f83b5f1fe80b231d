"""The store in PostgreSQL: a writer's session for each partition, and a few connections for reads.

No append is ever cancelled: a cancellation reaches the server as a CancelRequest, which can end the wait for a
standby and expose a row that no standby has. A session that is silent for too long is cut instead, and what became
of its append is settled by `retake`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import asyncpg

from ledger.postgres_errors import append_failure, translated
from ledger.postgres_reader import READ_CONNECTIONS_MAX, PostgresReader, fence_of
from ledger.postgres_session import WriterSession, columns, uncancelled
from ledger.store import Fence, OutcomeUnknown, Unavailable, require_sequence
from ledger.values import Epoch, Partition, Record, Seq

TAKE_PATIENCE_MS = 300
"""How long a take waits for the fence before it ends the sessions that hold it; its `lock_timeout` is 500 ms."""

TAKE_ATTEMPTS_MAX = 4


class PostgresStore(PostgresReader):
    """The `Store` over asyncpg. It connects when it has to, and again when the database is back."""

    def __init__(self, url: str, *, connections_max: int = READ_CONNECTIONS_MAX) -> None:
        super().__init__(url, connections_max=connections_max)
        self._writers: dict[Partition, WriterSession] = {}

    async def take(self, partition: Partition, seen: Fence) -> Fence:
        """Begin a new epoch, if epoch, head and beat are still as seen."""
        return await self._begin_epoch("take", partition, seen.epoch, seen.head, seen.beat)

    async def retake(self, partition: Partition, epoch: Epoch) -> Fence:
        """Begin a new epoch, if one's own is still the newest."""
        return await self._begin_epoch("retake", partition, epoch)

    async def beat(self, partition: Partition, epoch: Epoch) -> None:
        """Show that the writer of this epoch lives."""
        writer = self._writer(partition)

        async def beat() -> None:
            async with writer.turn:
                await writer.answer(writer.beat.fetchval(partition, epoch))

        with translated():
            await asyncio.shield(uncancelled(beat()))

    async def append(
        self, partition: Partition, epoch: Epoch, head: Seq, last: bytes, records: Sequence[Record]
    ) -> None:
        """Make records durable, all or none, by one call of one function.

        An error that the server reports is known: not in. Whatever ends the connection leaves it unknown.
        """
        require_sequence(epoch, head, records)
        writer = self._writer(partition)
        async with writer.turn:
            call = uncancelled(writer.append.fetchval(partition, epoch, head, last, *columns(records)))
            try:
                await asyncio.shield(call)
                writer.require_acknowledged()
            except asyncio.CancelledError:
                writer.connection.terminate()
                raise
            except Exception as error:
                failure = append_failure(error, writer.connection)
                if isinstance(failure, OutcomeUnknown):
                    writer.connection.terminate()
                raise failure from None

    async def abandon(self, partition: Partition) -> None:
        """Cut the writer's session: an append that waits raises `OutcomeUnknown`."""
        if writer := self._writers.pop(partition, None):
            writer.connection.terminate()
            self._read_where_it_is_written()

    async def close(self) -> None:
        """Let go of every connection, of a writer's at once."""
        for partition in list(self._writers):
            await self.abandon(partition)
        await super().close()

    def _writer(self, partition: Partition) -> WriterSession:
        writer = self._writers.get(partition)
        if writer is None or writer.connection.is_closed():
            raise Unavailable(f"partition {partition} has no writer's session: take or retake it")
        return writer

    async def _begin_epoch(self, query: str, partition: Partition, epoch: Epoch, *seen: object) -> Fence:
        await self.abandon(partition)
        with translated():
            writer = await WriterSession.begin(self._primary, partition, Epoch(epoch + 1))
            try:
                fence = await self._unblocked(writer, self._queries[query], partition, epoch, *seen)
            except BaseException:
                writer.connection.terminate()
                raise
        self._writers[partition] = writer
        self._read_where_it_is_written()
        return fence

    def _read_where_it_is_written(self) -> None:
        addresses = [writer.address for writer in self._writers.values()]
        self._primary.is_at(addresses[-1] if addresses else None)

    async def _unblocked(self, writer: WriterSession, query: str, *arguments: object) -> Fence:
        """Take the fence, ending the sessions that hold it for too long."""
        for _ in range(TAKE_ATTEMPTS_MAX):
            call = uncancelled(writer.connection.fetchrow(query, *arguments))
            await asyncio.wait({call}, timeout=TAKE_PATIENCE_MS / 1_000)
            if not call.done():
                with suppress(Unavailable):
                    await self._read("end_blockers", writer.connection.get_server_pid())
            try:
                return fence_of(await writer.answer(call))
            except asyncpg.LockNotAvailableError:
                continue
        raise Unavailable("the fence stays locked by a session that can't be ended")
