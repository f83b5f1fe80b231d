"""The authorizer's schema in the database: the ledger's, and `authz` beside it."""

from functools import cache
from importlib.resources import files

import asyncpg

from ledger import schema as ledger_schema
from ledger.migrations import Migration, apply, in_turn, require_runnable, version_of
from ledger.postgres_errors import translated
from ledger.primary import CONNECT_TIMEOUT_S, Primary

FILES = ("migration.sql", "vault.sql", "zone_keys.sql", "contact.sql", "views.sql")
"""In their order; a file's number is its place. What was shipped stays as it is: a change is a file more."""

SCHEMA_MIN = 5
"""The oldest schema `authz` that this program can run on."""

APPLIED = "authz.migration"


@cache
def migrations() -> tuple[Migration, ...]:
    """Every file, in order."""
    folder = files("authz.engine") / "sql"
    return tuple(
        Migration(number, name, (folder / name).read_text(encoding="utf-8")) for number, name in enumerate(FILES, 1)
    )


async def create(superuser_url: str, partitions: int = 1) -> None:
    """Create both schemas, or bring them up to date. `partitions` counts only when the ledger is created.

    Raises what `ledger.schema.create` raises.
    """
    await ledger_schema.create(superuser_url, partitions)
    await in_turn(superuser_url, _bring_up)


async def require_version(primary: Primary) -> None:
    """Raise `SchemaTooNew` or `SchemaTooOld` where this program can't run on a database's schema `authz`.

    Raises what else keeps a database from being read, too (`LedgerError`).
    """
    with translated():
        _, connection = await primary.find(timeout=CONNECT_TIMEOUT_S)
        try:
            version = await version_of(connection, APPLIED)
        finally:
            connection.terminate()
    require_runnable("authz", version, SCHEMA_MIN, migrations()[-1].number)


async def _bring_up(connection: asyncpg.Connection) -> None:
    version = await version_of(connection, APPLIED)
    require_runnable("authz", version, 0, migrations()[-1].number)
    await apply(connection, APPLIED, migrations(), version.newest)
