"""The store in PostgreSQL: a writer's session for each partition, and a small pool for reads.

No append is ever cancelled: a cancellation reaches the server as a CancelRequest, which can end the wait for a
standby and expose a row that no standby has. A session that is silent for too long is cut instead, and what became
of its append is settled by `retake`.
"""

import asyncio
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Self

import asyncpg

from ledger import schema
from ledger.reading import windows
from ledger.store import (
    HISTORY_LINES_MAX,
    HOLDERS_A_CALL_MAX,
    HOLDERS_WINDOW_SEQS_MAX,
    IDENTITIES_A_CALL_MAX,
    Answer,
    Fence,
    Fenced,
    IdentityTaken,
    LedgerError,
    Line,
    OutcomeUnknown,
    Turnover,
    Unavailable,
    by_kind,
    require_bound,
    require_sequence,
)
from ledger.values import Account, Cents, Epoch, HolderId, Identity, Partition, Record, Seq, pack_identities

READ_CONNECTIONS_MAX = 4
CONNECT_TIMEOUT_MS = 2_000
READ_TIMEOUT_MS = 2_000
"""A read that takes longer is given up: reads, unlike appends, can be cancelled."""

ANSWER_TIMEOUT_MS = 3_000
"""A writer's session that doesn't answer a take or a beat for so long is cut."""

TAKE_PATIENCE_MS = 300
"""How long a take waits for the fence before it ends the sessions that hold it; its `lock_timeout` is 500 ms."""

TAKE_ATTEMPTS_MAX = 4

_FENCED = "LF001"
_SESSION_ENDS = ("FATAL", "PANIC")
_LOST = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)


class _Writer:
    """A writer's session: one connection for one epoch, with what it prepared. It ends with its epoch."""

    def __init__(self, connection: asyncpg.Connection, append: Any, beat: Any) -> None:
        self.connection = connection
        self.append = append
        self.beat = beat
        self.turn = asyncio.Lock()

    async def answer(self, call: Awaitable[Any]) -> Any:
        """Wait for the server's answer; after too long a silence, cut the session."""
        running = _uncancelled(call)
        await asyncio.wait({running}, timeout=ANSWER_TIMEOUT_MS / 1_000)
        if not running.done():
            self.connection.terminate()
            await asyncio.wait({running})
        return running.result()


class PostgresStore:
    """The `Store` over asyncpg. It connects when it has to, and again when the database is back."""

    def __init__(self, url: str, pool: asyncpg.Pool) -> None:
        self._url = url
        self._pool = pool
        self._writers: dict[Partition, _Writer] = {}
        self._queries = schema.queries()

    @classmethod
    async def open(cls, url: str, *, read_connections_max: int = READ_CONNECTIONS_MAX) -> Self:
        """Make a store of the ledger at `url`, the application role's. The database need not be there yet."""
        schema.require_address(url)
        pool = await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=read_connections_max,
            timeout=CONNECT_TIMEOUT_MS / 1_000,
            command_timeout=READ_TIMEOUT_MS / 1_000,
            init=_begin_reader,
            reset=_keep,
            server_settings={"application_name": "ledger reader", "jit": "off"},
        )
        return cls(url, pool)

    async def partitions(self) -> Sequence[Partition]:
        """List the ledger's partitions, ascending."""
        return [Partition(row["partition"]) for row in await self._read("partitions")]

    async def fence(self, partition: Partition) -> Fence:
        """Read the fence as it stands, possibly ahead of what standbys have."""
        rows = await self._read("fence", partition)
        if not rows:
            raise Unavailable(f"the ledger has no partition {partition}")
        return _fence(rows[0])

    async def writer_lives(self, partition: Partition, epoch: Epoch) -> bool:
        """Tell whether a session holds this epoch's advisory lock."""
        [row] = await self._read("epoch_is_free", partition, _lock_of(epoch))
        return not row[0]

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

        with _translated():
            await asyncio.shield(_uncancelled(beat()))

    async def append(
        self, partition: Partition, epoch: Epoch, head: Seq, last: bytes, records: Sequence[Record]
    ) -> None:
        """Make records durable, all or none, by one call of one function.

        An error that the server reports is known: not in. Whatever ends the connection leaves it unknown.
        """
        require_sequence(epoch, head, records)
        writer = self._writer(partition)
        async with writer.turn:
            call = _uncancelled(writer.append.fetchval(partition, epoch, head, last, *_columns(records)))
            try:
                await asyncio.shield(call)
            except asyncio.CancelledError:
                writer.connection.terminate()
                raise
            except Exception as error:
                failure = _append_failure(error, writer.connection)
                if isinstance(failure, OutcomeUnknown):
                    writer.connection.terminate()
                raise failure from None

    async def abandon(self, partition: Partition) -> None:
        """Cut the writer's session: an append that waits raises `OutcomeUnknown`."""
        if writer := self._writers.pop(partition, None):
            writer.connection.terminate()

    async def hash_at(self, partition: Partition, seq: Seq) -> bytes | None:
        """Return the hash of the record at `seq`, None where there is none."""
        rows = await self._read("hash_at", partition, seq)
        return rows[0]["hash"] if rows else None

    async def instant_of(self, partition: Partition, seq: Seq) -> datetime | None:
        """Return when the record at `seq` was decided, in UTC; None where there is none."""
        rows = await self._read("instant_of", partition, seq)
        return rows[0]["at"] if rows else None

    async def newest(self, partition: Partition, holders: Sequence[HolderId]) -> Mapping[HolderId, Line]:
        """Return the newest line of each holder who has one, in one query."""
        require_bound(len(holders), HOLDERS_A_CALL_MAX, "holders")
        rows = await self._read("newest", partition, holders)
        return {HolderId(row["holder"]): Line(Seq(row["seq"]), row["position"]) for row in rows}

    async def history(self, partition: Partition, holder: HolderId, lines_max: int) -> Sequence[Line]:
        """Return a passbook's lines, newest first."""
        require_bound(lines_max, HISTORY_LINES_MAX, "lines")
        rows = await self._read("history", partition, holder, lines_max)
        return [Line(Seq(row["seq"]), row["position"]) for row in rows]

    async def find(self, partition: Partition, identities: Sequence[Identity]) -> Mapping[Identity, Answer]:
        """Return what is stored under each identity that exists, in one query."""
        require_bound(len(identities), IDENTITIES_A_CALL_MAX, "identities")
        stamps, digests = [one.stamp for one in identities], [one.digest for one in identities]
        return {
            Identity(row["stamp"], row["digest"]): Answer(Seq(row["seq"]), row["request"], row["reply"])
            for row in await self._read("find", partition, stamps, digests)
        }

    async def turnover(self, partition: Partition, account: Account, after: Seq, through: Seq) -> Sequence[Turnover]:
        """Add up what went through an account, by kind: a statement of its own for every window of seqs."""
        return by_kind(
            [
                Turnover(row["kind"], row["credits"], Cents(row["credited"]), row["debits"], Cents(row["debited"]))
                for begin, end in windows(after, through)
                for row in await self._read("turnover", partition, account, begin, end)
            ]
        )

    async def holders_of(
        self, partition: Partition, kinds: Sequence[str], after: Seq, through: Seq
    ) -> Sequence[HolderId]:
        """Return who the records of these kinds are about, by each one's first record, in one query."""
        require_bound(through - after, HOLDERS_WINDOW_SEQS_MAX, "seqs")
        return [HolderId(row["holder"]) for row in await self._read("holders_of", partition, kinds, after, through)]

    async def add_range(self) -> int:
        """Keep at least two empty ranges ahead; return how many there are."""
        [row] = await self._read("add_range")
        return int(row[0])

    async def close(self) -> None:
        """Let go of every connection, of a writer's at once."""
        for partition in list(self._writers):
            await self.abandon(partition)
        try:
            async with asyncio.timeout(READ_TIMEOUT_MS / 1_000):
                await self._pool.close()
        except _LOST:
            self._pool.terminate()

    async def _read(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        with _translated():
            async with self._pool.acquire(timeout=READ_TIMEOUT_MS / 1_000) as connection:
                return await connection.fetch(self._queries[query], *arguments)

    def _writer(self, partition: Partition) -> _Writer:
        writer = self._writers.get(partition)
        if writer is None or writer.connection.is_closed():
            raise Unavailable(f"partition {partition} has no writer's session: take or retake it")
        return writer

    async def _begin_epoch(self, query: str, partition: Partition, epoch: Epoch, *seen: object) -> Fence:
        await self.abandon(partition)
        with _translated():
            writer = await self._begin_session(partition, Epoch(epoch + 1))
            try:
                fence = await self._unblocked(writer, self._queries[query], partition, epoch, *seen)
            except BaseException:
                writer.connection.terminate()
                raise
        self._writers[partition] = writer
        return fence

    async def _begin_session(self, partition: Partition, epoch: Epoch) -> _Writer:
        connection = await asyncpg.connect(
            self._url,
            timeout=CONNECT_TIMEOUT_MS / 1_000,
            server_settings={
                "application_name": f"ledger writer, partition {partition}, epoch {epoch}",
                "statement_timeout": "0",
                "synchronous_commit": "on",
                "jit": "off",
            },
        )
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_MS / 1_000):
                schema.require_server(connection)
                schema.require_version(await connection.fetchval(self._queries["version"]))
                # Frees the fence from a session that is half dead.
                await connection.execute("SET transaction_timeout = '2s'")
                await connection.execute(self._queries["hold_epoch"], partition, _lock_of(epoch))
                append = await connection.prepare(self._queries["append"])
                beat = await connection.prepare(self._queries["beat"])
        except BaseException:
            connection.terminate()
            raise
        return _Writer(connection, append, beat)

    async def _unblocked(self, writer: _Writer, query: str, *arguments: object) -> Fence:
        """Take the fence, ending the sessions that hold it for too long."""
        for _ in range(TAKE_ATTEMPTS_MAX):
            call = _uncancelled(writer.connection.fetchrow(query, *arguments))
            await asyncio.wait({call}, timeout=TAKE_PATIENCE_MS / 1_000)
            if not call.done():
                with suppress(Unavailable):
                    await self._read("end_blockers", writer.connection.get_server_pid())
            try:
                return _fence(await writer.answer(call))
            except asyncpg.LockNotAvailableError:
                continue
        raise Unavailable("the fence stays locked by a session that can't be ended")


async def _begin_reader(connection: asyncpg.Connection) -> None:
    schema.require_server(connection)
    schema.require_version(await connection.fetchval(schema.queries()["version"]))
    await connection.execute("SET transaction_timeout = '5s'")


async def _keep(_connection: asyncpg.Connection) -> None:
    """Readers change nothing of their session: nothing has to be reset between two reads."""


def _uncancelled(call: Awaitable[Any]) -> asyncio.Future[Any]:
    """Run a call to its end, whoever stops waiting for it."""
    running = asyncio.ensure_future(call)
    running.add_done_callback(lambda done: done.cancelled() or done.exception())
    return running


def _lock_of(epoch: Epoch) -> int:
    """The second half of an epoch's advisory lock: a 4-byte integer."""
    return epoch % 2**31


def _fence(row: asyncpg.Record) -> Fence:
    return Fence(Epoch(row["epoch"]), Seq(row["head"]), row["hash"], row["beat"])


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver raises into the ledger's own errors, which hold nothing of a row."""
    try:
        yield
    except LedgerError:
        raise
    except asyncpg.UndefinedTableError:
        raise schema.SchemaTooOld("the database has no ledger: create its schema as a superuser") from None
    except _LOST as error:
        raise Unavailable(f"the database can't be reached ({type(error).__name__})") from None
    except asyncpg.PostgresError as error:
        raise _refusal(error) from None


def _refusal(error: asyncpg.PostgresError) -> LedgerError:
    if error.sqlstate == _FENCED:
        return Fenced("another writer has the partition")
    if isinstance(error, asyncpg.UniqueViolationError) and (error.table_name or "").startswith("identity"):
        return IdentityTaken("a record with one of these identities exists")
    return Unavailable(f"the database refuses (SQLSTATE {error.sqlstate})")


def _append_failure(error: Exception, connection: asyncpg.Connection) -> LedgerError:
    if isinstance(error, asyncpg.DataError):
        return Unavailable("a value of the batch doesn't fit its column: nothing was sent")
    if isinstance(error, asyncpg.PostgresError) and not connection.is_closed():
        # A session that is ended from outside may have been waiting for its commit's acknowledgement.
        ended = isinstance(error, asyncpg.PostgresConnectionError) or error.severity_en in _SESSION_ENDS
        if not ended:
            return _refusal(error)
    return OutcomeUnknown(f"the connection was lost in an append ({type(error).__name__})")


def _columns(records: Sequence[Record]) -> tuple[list[Any], ...]:
    """A batch as the arrays that `ledger.append` takes, in the order of its arguments."""
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
