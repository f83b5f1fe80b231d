"""The ledger's schema: numbered SQL files, applied once each and in order by a superuser."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from urllib.parse import parse_qsl, urlsplit

import asyncpg
from msgspec import Struct

from ledger.store import RANGE_SIZE, LedgerError

APPLICATION_ROLE = "authz"
"""The role that an authorizer connects as: it can read the ledger, and append to it; nothing else."""

FINANCE_ROLE = "finance"
"""Can read the ledger, in transactions of at most 5 s."""

RECONCILER_ROLE = "reconciler"
"""Can read the ledger too, and add to schema `reconciliation`, in transactions of at most 5 s."""

SERVER_VERSION_MIN = 170000
"""`transaction_timeout` and what the guards ask of event triggers came with PostgreSQL 17."""

PORT = 5432
PORT_MAX = 65_535

_CREATE_LOCK = 0x6C6564676572
"""Advisory lock: one `create` at a time in a database."""


class AddressInvalid(LedgerError):
    """The database's address can't be used: write it as postgresql://ROLE@HOST:PORT/NAME."""


class ServerTooOld(LedgerError):
    """The ledger needs PostgreSQL 17 or later."""


class SchemaTooNew(LedgerError):
    """The database's schema is newer than this program: run the newer program."""


class SchemaTooOld(LedgerError):
    """The database's schema is older than this program, or absent: create it with this program, as a superuser."""


class Migration(Struct, frozen=True):
    """One numbered file."""

    number: int
    name: str
    script: str


@cache
def migrations() -> tuple[Migration, ...]:
    """Every numbered file, in order."""
    names = sorted(one.name for one in files("ledger").joinpath("sql").iterdir() if one.name[:4].isdigit())
    return tuple(Migration(int(name[:4]), name, _read(name)) for name in names)


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


def require_version(newest: int | None) -> None:
    """Raise `SchemaTooNew` or `SchemaTooOld` where the newest applied file isn't this program's newest."""
    ours = migrations()[-1].number
    if (newest or 0) > ours:
        raise SchemaTooNew(f"the schema is at {newest}, this program knows it up to {ours}: run the newer program")
    if (newest or 0) < ours:
        raise SchemaTooOld(f"the schema is at {newest or 0}, this program needs {ours}: create it as a superuser")


async def create(superuser_url: str, partitions: int = 1, range_size: int = RANGE_SIZE) -> None:
    """Create the ledger in a database, or bring it up to date; what is there already stays as it is.

    `partitions` and `range_size` count only when the ledger is created: they are fixed from then on. All of it is
    one transaction. Raises `ServerTooOld` or `SchemaTooNew`.
    """
    require_address(superuser_url)
    connection = await asyncpg.connect(superuser_url)
    try:
        require_server(connection)
        async with connection.transaction():
            await _apply(connection, partitions, range_size)
    finally:
        await connection.close()


async def _apply(connection: asyncpg.Connection, partitions: int, range_size: int) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _CREATE_LOCK)
    exists = await connection.fetchval("SELECT to_regclass('ledger.migration') IS NOT NULL")
    newest = await connection.fetchval("SELECT coalesce(max(number), 0) FROM ledger.migration") if exists else 0
    if newest > migrations()[-1].number:
        require_version(newest)

    await connection.execute("SET LOCAL ledger.ddl = 'migration'")
    missing = [migration for migration in migrations() if migration.number > newest]
    for migration in missing:
        await connection.execute(migration.script)
    await connection.executemany(
        "INSERT INTO ledger.migration (number, name) VALUES ($1, $2)", [(one.number, one.name) for one in missing]
    )
    if not exists:
        await connection.execute("INSERT INTO ledger.setting (range_size) VALUES ($1)", range_size)
        await connection.execute(
            "INSERT INTO ledger.fence (partition) SELECT generate_series(0, $1::int - 1)", partitions
        )
    await connection.execute("SELECT ledger.add_range()")
    # Also where nothing was applied: a restored or upgraded database prints its definitions anew.
    await connection.execute("SELECT ledger_guard.reseal()")


def _read(name: str) -> str:
    return files("ledger").joinpath("sql", name).read_text(encoding="utf-8")
