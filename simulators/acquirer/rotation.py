"""Changes of a link's keys: a new key is entered in the books, given by 0800/161, and in use once its check value came.

Whether the authorizer has it can be unknown for a while, if the link is lost or the host is killed. So the same key is
given again, before anything else is said, until there is an answer; until then the key before it is in use, which the
authorizer honours for 60 s.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from authz.security.module import ZoneKeyUsage
from authz.wire.message import Message
from simulators.acquirer.books import Books
from simulators.acquirer.host import AcquirerHost
from simulators.acquirer.upstream import Tell, Upstream, said
from simulators.acquirer.zone_keys import KeyRing, NewKey
from simulators.link import LinkError, LinkLost
from simulators.mistakes import Mistake

APPROVED, MAC_WRONG = "00", "63"


class KeyChangeRefused(Mistake):
    """The authorizer refuses a new key, or has made another one of it: the one before stays in use."""


class Rotation:
    """Gives the link of these books new keys, one at a time. Made with the keys that the authorizer has in use.

    Raises `KeyBlockUnfit` where a key on disk can't be opened.
    """

    def __init__(self, keys: KeyRing, books: Books, clock: Callable[[], datetime], tell: Tell) -> None:
        self._keys = keys
        self._books = books
        self._clock = clock
        self._tell = tell
        self._one_at_a_time = asyncio.Lock()
        for key in books.taken.values():
            keys.adopt(key)

    async def finish(self, host: AcquirerHost) -> None:
        """Give a key again of which it isn't known whether the authorizer has it. Raises `LinkError`."""
        async with self._one_at_a_time:
            if self._books.offered is not None:
                await self._give(self._books.offered, host)

    async def rotate(self, upstream: Upstream) -> None:
        """Change every key that the link has. Raises `KeyChangeRefused` and `KeyNotHeld`."""
        await self.change(ZoneKeyUsage.PIN, upstream)
        if self._keys.makes_macs:
            await self.change(ZoneKeyUsage.MAC, upstream)

    async def change(self, usage: ZoneKeyUsage, upstream: Upstream) -> None:
        """Change one key. Raises `KeyChangeRefused` and `KeyNotHeld`."""
        new = self._keys.propose(usage)
        async with self._one_at_a_time:
            await self._books.key_offered(new)
        while self._books.offered == new:
            host = await upstream.until_up()
            try:
                await self.finish(host)
            except LinkError as failed:
                self._tell("key_change_unanswered", key=usage.name, why=str(failed))
                await host.close()  # the next connection gives it again before it carries anything
        if self._books.taken.get(usage) != new:
            raise KeyChangeRefused(f"the authorizer refuses a new {usage.name} key: the one before stays in use")

    async def _give(self, new: NewKey, host: AcquirerHost) -> None:
        self._keys.await_answer(new)
        reply = await host.key_change(new.block, self._clock())
        if reply.response_code == MAC_WRONG and new.usage is ZoneKeyUsage.MAC:  # it has the new one, for long by now
            self._keys.adopt(new)
            reply = await host.key_change(new.block, self._clock())
        if reply.response_code == APPROVED and _check_value(reply) == new.check_value:
            self._keys.adopt(new)
            await self._books.key_taken(new)
            self._tell("key_changed", key=new.usage.name, check_value=new.check_value)
        elif reply.response_code == "91":
            raise LinkLost(f"the authorizer can't change keys now: {said(reply)}")
        else:
            await self._books.key_refused(new)
            self._tell("key_refused", key=new.usage.name, said=said(reply), check_value=_check_value(reply))


def _check_value(reply: Message) -> str | None:
    return None if reply.elements is None else (reply.elements.key_check or "").upper() or None
