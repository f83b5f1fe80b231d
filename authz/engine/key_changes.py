"""Changes of a link's keys: recorded, kept, then in use, in this order, so that a key in use is always on record."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from authz import logs
from authz.decision.commands import Administration, ChangeKey
from authz.decision.outcomes import Reason, Reply
from authz.decision.reference import LinkKeys, link_passbook
from authz.engine.passbooks import decode_state
from authz.engine.requests import KeyChange
from authz.engine.zone_keys import ZoneKeyStore
from authz.metrics import Metrics
from authz.security.module import ImportedKey, KeyMissing, SecurityError, SecurityModule
from ledger.store import LedgerError, Store
from ledger.values import Partition


class KeyChanges:
    """Gives links their keys. `administer` carries out a command once for a key, in every partition.

    `partition` is the one whose record says which key of a link is the newest.
    """

    def __init__(
        self,
        store: Store,
        partition: Partition,
        security: SecurityModule,
        zone_keys: ZoneKeyStore,
        metrics: Metrics,
        administer: Callable[[Administration, str], Awaitable[Reply]],
    ) -> None:
        self.zone_keys = zone_keys
        self._store = store
        self._partition = partition
        self._security = security
        self._metrics = metrics
        self._administer = administer
        self._one_at_a_time = asyncio.Lock()

    async def change(self, acquirer: str, block: str, key: str) -> KeyChange:
        """Give a link the key that a TR-31 block wraps. Refuses a block that can't be read: FORMAT."""
        try:
            imported = await self._security.import_key(acquirer, block)
        except SecurityError:
            self._metrics.refused.labels(Reason.FORMAT).inc()
            return KeyChange(Reply(Reason.FORMAT))
        async with self._one_at_a_time:  # the newest on record is the newest in use
            return await self._change(acquirer, imported, key)

    async def _change(self, acquirer: str, imported: ImportedKey, key: str) -> KeyChange:
        reply = await self._administer(ChangeKey(acquirer, imported.usage, imported.check_value), key)
        if not reply.reason.approves:
            return KeyChange(reply)
        try:
            [line, *_] = await self._store.history(self._partition, link_passbook(acquirer), 1)
            newest = decode_state(link_passbook(acquirer), line.position)
            if isinstance(newest, LinkKeys) and newest.check_values[imported.usage] == imported.check_value:
                await self.zone_keys.put(acquirer, imported)
                await self._security.use_key(acquirer, imported)
                logs.event("key changed", acquirer=acquirer, usage=imported.usage, check_value=imported.check_value)
        except LedgerError:
            return KeyChange(Reply(Reason.UNAVAILABLE))
        return KeyChange(reply, imported.check_value)

    async def restore(self) -> None:
        """Bring the keys that links were given back into use. Raises what store and module raise."""
        for acquirer, key in await self.zone_keys.all():
            with contextlib.suppress(KeyMissing):  # a link that isn't configured any more
                await self._security.restore_key(acquirer, key)
