"""The ledger's schema: numbered SQL files, applied once each and in order by a superuser.

What a program can run on is a range: from `SCHEMA_MIN` to `schema_max`, and beyond where a newer schema says so
(`ledger.migrations`).
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from urllib.parse import parse_qsl, urlsplit

import asyncpg

from ledger.migrations import (
    Migration,
    SchemaInUse,
    SchemaTooNew,
    SchemaTooOld,
    applied_version,
    apply,
    in_turn,
    require_runnable,
    version_of,
)
from ledger.store import RANGE_SIZE, LedgerError

__all__ = ["Migration", "SchemaInUse", "SchemaTooNew", "SchemaTooOld"]

APPLICATION_ROLE = "authz"
"""The role that an authorizer connects as: it can read the ledger, and append to it; nothing else."""

FINANCE_ROLE = "finance"
"""Can read the ledger, in transactions of at most 5 s."""

RECONCILER_ROLE = "reconciler"
"""Can read the ledger too, and add to schema `reconciliation`, in transactions of at most 5 s."""

SERVER_VERSION_MIN = 170000
"""`transaction_timeout` and what the guards ask of event triggers came with PostgreSQL 17."""

SCHEMA_MIN = 8
"""The oldest schema that this program can run on; to be raised when it first uses what a newer file adds."""

APPLIED = "ledger.migration"

PORT = 5432
PORT_MAX = 65_535


class AddressInvalid(LedgerError):
    """The database's address can't be used: write it as postgresql://ROLE@HOST:PORT/NAME."""


class ServerTooOld(LedgerError):
    """The ledger needs PostgreSQL 17 or later."""


@cache
def migrations() -> tuple[Migration, ...]:
    """Every numbered file, in order."""
    names = sorted(one.name for one in files("ledger").joinpath("sql").iterdir() if one.name[:4].isdigit())
    return tuple(Migration(int(name[:4]), name, _read(name)) for name in names)


def schema_max() -> int:
    """Return how far this program knows the schema: its newest file."""
    return migrations()[-1].number


@cache
def queries() -> Mapping[str, str]:
    """The named queries of `sql/queries.sql`."""
    _, *parts = re.split(r"^-- name: (\w+)$", _read("queries.sql"), flags=re.MULTILINE)
    return dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))


def require_address(url: str) -> None:
    """Raise `AddressInvalid` for what is no address of a PostgreSQL: no outage, which one would wait for.

    It may name several hosts, with one port or as many: `HOST,HOST:PORT`, or folders of sockets as `?host=/A,/B`.
    """
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        hosts = (parts.netloc.rpartition("@")[2] or query.get("host", "")).split(",")
        ports = query["port"].split(",") if "port" in query else []
        numbers = [int(port) for port in ports] + [_port_of(host) for host in hosts if not host.startswith("/")]
        known = parts.scheme in ("postgresql", "postgres")
        if known and len(ports) in (0, 1, len(hosts)) and all(0 < port <= PORT_MAX for port in numbers):
            return
    except ValueError:
        pass
    raise AddressInvalid("the database's address can't be used: write it as postgresql://ROLE@HOST:PORT/NAME")


def _port_of(host: str) -> int:
    """The port that stands behind a host, or PostgreSQL's own. Raises ValueError for what is no port."""
    port = urlsplit(f"//{host}").port
    return PORT if port is None else port


def require_server(connection: asyncpg.Connection) -> None:
    """Raise `ServerTooOld` for a server that the ledger can't run on."""
    version = connection.get_server_version()
    if version.major * 10_000 < SERVER_VERSION_MIN:
        raise ServerTooOld(f"the server is PostgreSQL {version.major}: the ledger needs 17 or later")


async def require_admitted(connection: asyncpg.Connection) -> None:
    """Raise `SchemaTooNew` or `SchemaTooOld` where this program can't run on a database's ledger.

    Raises what the driver raises where there is none.
    """
    require_runnable("ledger", await applied_version(connection, APPLIED), SCHEMA_MIN, schema_max())


async def create(superuser_url: str, partitions: int = 1, range_size: int = RANGE_SIZE) -> None:
    """Create the ledger in a database, or bring it up to date; what is there already stays as it is.

    `partitions` and `range_size` count only when the ledger is created: they are fixed from then on. All of it is
    one transaction, and programs that do it at once do it one after the other. A newer schema that this program can run
    on is left as it is. Raises `ServerTooOld`, `SchemaTooNew` or `SchemaInUse`.
    """
    require_address(superuser_url)

    async def bring_up(connection: asyncpg.Connection) -> None:
        require_server(connection)
        await _bring_up(connection, partitions, range_size)

    await in_turn(superuser_url, bring_up)


async def _bring_up(connection: asyncpg.Connection, partitions: int, range_size: int) -> None:
    version = await version_of(connection, APPLIED)
    require_runnable("ledger", version, 0, schema_max())
    await connection.execute("SET LOCAL ledger.ddl = 'migration'")
    await apply(connection, APPLIED, migrations(), version.newest)
    if not version.newest:
        await connection.execute("INSERT INTO ledger.setting (range_size) VALUES ($1)", range_size)
        await connection.execute(
            "INSERT INTO ledger.fence (partition) SELECT generate_series(0, $1::int - 1)", partitions
        )
    await connection.execute("SELECT ledger.add_range()")
    # Also where nothing was applied: a restored or upgraded database prints its definitions anew.
    await connection.execute("SELECT ledger_guard.reseal()")


def _read(name: str) -> str:
    return files("ledger").joinpath("sql", name).read_text(encoding="utf-8")
