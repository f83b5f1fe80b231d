"""What the store reads from PostgreSQL, over a few connections.

Where an old seq can be asked for, a query reads the archive too; what looks for the newest reads live ranges only, for
every passbook was carried before a range went there.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from ledger import schema
from ledger.chain import GENESIS
from ledger.connections import Connections
from ledger.postgres_errors import translated
from ledger.postgres_session import lock_of
from ledger.primary import CONNECT_TIMEOUT_S, Primary
from ledger.reading import windows
from ledger.store import (
    EVENTS_A_CALL_MAX,
    HISTORY_LINES_MAX,
    HOLDERS_A_CALL_MAX,
    HOLDERS_WINDOW_SEQS_MAX,
    IDENTITIES_A_CALL_MAX,
    PASSBOOKS_A_CALL_MAX,
    Answer,
    Event,
    Fence,
    FullRange,
    Line,
    RangeNotFull,
    Turnover,
    Unavailable,
    by_kind,
    require_bound,
)
from ledger.values import Account, Cents, Epoch, HolderId, Identity, Manifest, Partition, Seq

READ_CONNECTIONS_MAX = 4
READ_TIMEOUT_MS = 2_000
"""A read that takes longer is given up: reads, unlike appends, can be cancelled."""

SLICE_TIMEOUT_MS = 5_000
"""A slice of a closing that takes longer is given up: an older snapshot makes every append slower."""

NAMES_A_STATEMENT_MAX = 1_000
"""Passbooks that one statement steps over, in search of those that were last written in a range."""


class PostgresReader:
    """The reads of a `Store`, and what keeps its ranges. It connects when it has to."""

    def __init__(self, url: str, *, connections_max: int = READ_CONNECTIONS_MAX) -> None:
        """Read the ledger at `url`, the application role's. The database need not be there yet."""
        schema.require_address(url)
        self._primary = Primary(url)
        self._connections = Connections(
            self._primary,
            "ledger reader",
            connections_max=connections_max,
            timeout_s=READ_TIMEOUT_MS / 1_000,
            begin=_begin,
        )
        self._queries = schema.queries()

    @property
    def primary(self) -> Primary:
        """The server that is read: where the writer is, if there is one."""
        return self._primary

    async def partitions(self) -> Sequence[Partition]:
        """List the ledger's partitions, ascending."""
        return [Partition(row["partition"]) for row in await self._read("partitions")]

    async def fence(self, partition: Partition) -> Fence:
        """Read the fence as it stands, possibly ahead of what standbys have."""
        rows = await self._read("fence", partition)
        if not rows:
            raise Unavailable(f"the ledger has no partition {partition}")
        return fence_of(rows[0])

    @asynccontextmanager
    async def watch(self, partition: Partition) -> AsyncIterator[Callable[[], Awaitable[Fence]]]:
        """Look at a fence again and again over one connection. A look that fails, or takes too long, breaks it."""
        with translated():
            _, connection = await self._primary.find(
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=READ_TIMEOUT_MS / 1_000,
                server_settings={"application_name": "ledger watcher", "jit": "off"},
            )

        async def look() -> Fence:
            with translated():
                try:
                    row = await connection.fetchrow(self._queries["fence"], partition)
                except BaseException:
                    connection.terminate()
                    raise
            if row is None:
                raise Unavailable(f"the ledger has no partition {partition}")
            return fence_of(row)

        try:
            with translated():
                await _begin(connection)
            yield look
        finally:
            connection.terminate()

    async def writer_lives(self, partition: Partition, epoch: Epoch) -> bool:
        """Tell whether a session holds this epoch's advisory lock."""
        [row] = await self._read("epoch_is_free", partition, lock_of(epoch))
        return not row[0]

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

    async def passbooks(self, partition: Partition, after: str, passbooks_max: int) -> Sequence[tuple[HolderId, Line]]:
        """Walk over the holders in the order of their names, each with their newest line, in one query."""
        require_bound(passbooks_max, PASSBOOKS_A_CALL_MAX, "passbooks")
        rows = await self._read("passbooks", partition, after, passbooks_max)
        return [(HolderId(row["holder"]), Line(Seq(row["seq"]), row["position"])) for row in rows]

    async def references(
        self, partition: Partition, prefix: str, after: str, passbooks_max: int
    ) -> Sequence[tuple[HolderId, Line]]:
        """Walk over the passbooks whose names begin with `prefix`, each with its newest line, in one query."""
        require_bound(passbooks_max, PASSBOOKS_A_CALL_MAX, "passbooks")
        rows = await self._read("references", partition, prefix, after, passbooks_max)
        return [(HolderId(row["holder"]), Line(Seq(row["seq"]), row["position"])) for row in rows]

    async def events(
        self,
        partition: Partition,
        kinds: Sequence[str],
        after: Seq,
        through: Seq,
        events_max: int,
        mentioning: str = "",
    ) -> Sequence[Event]:
        """Return the records of these kinds in a window, in one query."""
        require_bound(through - after, HOLDERS_WINDOW_SEQS_MAX, "seqs")
        require_bound(events_max, EVENTS_A_CALL_MAX, "events")
        rows = await self._read("events", partition, kinds, after, through, events_max, mentioning)
        return [Event(*row) for row in rows]

    async def events_about(
        self, partition: Partition, holder: HolderId, before: Seq, events_max: int
    ) -> Sequence[Event]:
        """Return a passbook's records below a seq, newest first, in one query."""
        require_bound(events_max, EVENTS_A_CALL_MAX, "events")
        return [Event(*row) for row in await self._read("events_about", partition, holder, before, events_max)]

    async def full_ranges(self, partition: Partition) -> Sequence[FullRange]:
        """List the ranges of a partition that are full, oldest first."""
        return [
            FullRange(row["number"], row["at"], row["closed"], row["archived"])
            for row in await self._read("full_ranges", partition)
        ]

    async def close_range(self, partition: Partition) -> int | None:
        """Write the closing balances of the oldest full range that has none, a slice a statement; return its number."""
        while True:
            [row] = await self._read("close_range", partition, timeout_ms=SLICE_TIMEOUT_MS)
            number, slices_left = row["range"], row["slice"]
            if number is None or slices_left == 0:
                return None if number is None else int(number)

    async def last_written_in(
        self, partition: Partition, number: int, after: str, passbooks_max: int
    ) -> Sequence[HolderId]:
        """Walk over the passbooks whose newest line lies in a range, so many names a statement."""
        require_bound(passbooks_max, PASSBOOKS_A_CALL_MAX, "passbooks")
        first, last = await self._bounds(number)
        found: list[HolderId] = []
        while len(found) < passbooks_max:
            rows = await self._read("last_written", partition, after, NAMES_A_STATEMENT_MAX)
            found += [HolderId(row["holder"]) for row in rows if first <= row["seq"] <= last]
            if len(rows) < NAMES_A_STATEMENT_MAX:
                break
            after = rows[-1]["holder"]
        return found[:passbooks_max]

    async def manifest(self, partition: Partition, number: int) -> Manifest:
        """Sum up a full range, in the archive or not: a statement of its own for every window of seqs."""
        first, last = await self._bounds(number)
        end = await self.hash_at(partition, last)
        if end is None:
            raise RangeNotFull(f"range {number} of partition {partition} isn't full")
        before = await self.hash_at(partition, Seq(first - 1)) or GENESIS
        counts = [
            (row["records"], row["transfers"])
            for begin, through in windows(Seq(first - 1), last)
            for row in await self._read("counts", partition, begin, through)
        ]
        return Manifest(
            range=number,
            first=first,
            last=last,
            records=sum(records for records, _ in counts),
            transfers=sum(transfers for _, transfers in counts),
            before=before.hex(),
            hash=end.hex(),
        )

    async def add_range(self) -> int:
        """Keep at least two empty ranges ahead; return how many there are."""
        [row] = await self._read("add_range")
        return int(row[0])

    async def close(self) -> None:
        """Let go of every connection."""
        await self._connections.close()

    async def _bounds(self, number: int) -> tuple[Seq, Seq]:
        [row] = await self._read("range_bounds", number)
        return Seq(row["first"]), Seq(row["last"])

    async def _read(self, query: str, *arguments: object, timeout_ms: int = READ_TIMEOUT_MS) -> list[asyncpg.Record]:
        with translated():
            return await self._connections.fetch(self._queries[query], *arguments, timeout_s=timeout_ms / 1_000)


def fence_of(row: asyncpg.Record) -> Fence:
    """Read a row of `ledger.fence`."""
    return Fence(Epoch(row["epoch"]), Seq(row["head"]), row["hash"], row["beat"])


async def _begin(connection: asyncpg.Connection) -> None:
    schema.require_server(connection)
    await schema.require_admitted(connection)
    await connection.execute("SET transaction_timeout = '5s'")
