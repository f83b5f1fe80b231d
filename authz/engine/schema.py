"""The authorizer's schema in the database: the ledger's, and `authz` beside it."""

from importlib.resources import files

import asyncpg

from ledger import schema as ledger_schema


async def create(superuser_url: str, partitions: int = 1) -> None:
    """Create both schemas, or bring them up to date. `partitions` counts only when the ledger is created.

    Raises what `ledger.schema.create` raises.
    """
    await ledger_schema.create(superuser_url, partitions)
    connection = await asyncpg.connect(superuser_url)
    try:
        async with connection.transaction():
            for name in ("vault.sql", "zone_keys.sql", "contact.sql", "views.sql"):
                await connection.execute((files("authz.engine") / "sql" / name).read_text(encoding="utf-8"))
    finally:
        await connection.close()
