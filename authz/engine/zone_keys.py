"""Where the keys are kept that links have changed, so that they survive a restart: table `authz.zone_key`.

A link's new key is kept before it comes into use and before its change is answered: a change that the link has seen
answered holds. Only the newest key of each usage is kept.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from authz.engine.connections import Connections
from authz.security.module import ImportedKey, ZoneKeyUsage
from ledger.primary import Primary
from ledger.schema import require_address

_PUT = """
    INSERT INTO authz.zone_key (zone, usage, sealed, check_value) VALUES ($1, $2, $3, $4)
    ON CONFLICT (zone, usage)
    DO UPDATE SET sealed = EXCLUDED.sealed, check_value = EXCLUDED.check_value, since = EXCLUDED.since
"""
_NAMES = "SELECT zone, usage, check_value, since FROM authz.zone_key ORDER BY zone, usage"
_ALL = "SELECT zone, usage, check_value, sealed FROM authz.zone_key ORDER BY zone, usage"


class ZoneKeyStore(Protocol):
    """Where changed keys are kept, sealed. Every method raises `ledger.store.Unavailable` without a database."""

    async def put(self, zone: str, key: ImportedKey) -> None:
        """Keep a link's key in place of the one it had for that usage. Safe to repeat where the outcome isn't known."""

    async def all(self) -> Sequence[tuple[str, ImportedKey]]:
        """Return each link's newest keys, by link and usage."""

    async def close(self) -> None:
        """Let go of every connection."""


class MemoryZoneKeys(ZoneKeyStore):
    """Changed keys that last as long as the process: for tests."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, ZoneKeyUsage], ImportedKey] = {}

    async def put(self, zone: str, key: ImportedKey) -> None:
        """Keep a link's key."""
        self._keys[zone, key.usage] = key

    async def all(self) -> Sequence[tuple[str, ImportedKey]]:
        """Return each link's newest keys."""
        return [(zone, key) for (zone, _), key in sorted(self._keys.items())]

    async def close(self) -> None:
        """There is nothing to let go of."""


class PostgresZoneKeys(ZoneKeyStore):
    """Changed keys in the application's database; `primary`: where the ledger's writer is."""

    def __init__(self, url: str, primary: Primary | None = None) -> None:
        self._connections = Connections(url, "zone keys", primary)

    async def put(self, zone: str, key: ImportedKey) -> None:
        """Keep a link's key. Raises `Unavailable`."""
        await self._connections.fetch(_PUT, zone, key.usage, key.sealed, key.check_value)

    async def all(self) -> Sequence[tuple[str, ImportedKey]]:
        """Return each link's newest keys. Raises `Unavailable`."""
        rows = await self._connections.fetch(_ALL)
        return [
            (row["zone"], ImportedKey(ZoneKeyUsage(row["usage"]), row["check_value"], row["sealed"])) for row in rows
        ]

    async def close(self) -> None:
        """Let go of every connection."""
        await self._connections.close()


async def changed_keys(url: str) -> Sequence[tuple[str, ZoneKeyUsage, str, datetime]]:
    """Return each link's newest keys as people see them: link, usage, check value and since when.

    Role finance can read them too. Raises `AddressInvalid` and `Unavailable`.
    """
    require_address(url)
    connections = Connections(url, "zone keys")
    try:
        rows = await connections.fetch(_NAMES)
    finally:
        await connections.close()
    return [(row["zone"], ZoneKeyUsage(row["usage"]), row["check_value"], row["since"]) for row in rows]
