"""Reading a ledger as finance does: without a writer, without a long snapshot, up to a head noted at the start."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from ledger import schema
from ledger.store import LedgerError, Unavailable
from ledger.values import Partition

CONNECT_TIMEOUT_S = 10
TRANSACTION_TIMEOUT_S = 5
"""An older snapshot keeps the fence's dead versions, and makes every append slower (docs/ledger.md, "Long reads")."""


class PartitionUnknown(LedgerError):
    """The ledger has no such partition."""


@asynccontextmanager
async def reader(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect for reading. Every statement is a transaction of its own, of at most 5 s.

    Raises `Unavailable` where the database can't be read, `SchemaTooOld` where it holds no ledger, and what
    `schema.require_server` and `schema.require_version` raise.
    """
    try:
        connection = await asyncpg.connect(
            url, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "ledger reader", "jit": "off"}
        )
        try:
            schema.require_server(connection)
            await connection.execute(f"SET transaction_timeout = '{TRANSACTION_TIMEOUT_S}s'")
            schema.require_version(await connection.fetchval("SELECT max(number) FROM ledger.migration"))
            yield connection
        finally:
            connection.terminate()
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise schema.SchemaTooOld("this database has no ledger: name the one that the authorizer uses") from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        reason = f"SQLSTATE {error.sqlstate}, " if isinstance(error, asyncpg.PostgresError) else ""
        raise Unavailable(
            f"the database can't be read ({reason}{type(error).__name__}): check its address, and that it runs"
        ) from None


async def partitions(connection: asyncpg.Connection, only: Partition | None = None) -> Sequence[Partition]:
    """List the ledger's partitions, ascending; or the only one asked for. Raises `PartitionUnknown`."""
    rows = await connection.fetch("SELECT partition FROM ledger.fence ORDER BY partition")
    known = [Partition(row["partition"]) for row in rows]
    if only is None:
        return known
    if only not in known:
        raise PartitionUnknown(f"the ledger has no partition {only}: it has {', '.join(map(str, known))}")
    return [only]
