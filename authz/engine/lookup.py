"""Brings from the ledger what a decision needs and memory lacks: passbooks, and the keys of what may be a repeat."""

import asyncio
from collections.abc import Mapping, Sequence

from authz.engine.desk import Desk
from authz.engine.identities import Keys
from authz.engine.loader import Loader
from authz.engine.requests import Answer
from authz.engine.work import Work, decode_inputs, decode_reply
from ledger.store import IDENTITIES_A_CALL_MAX, Line, Store
from ledger.store import Answer as StoredAnswer
from ledger.values import HolderId, Identity, Partition

ROUNDS_MAX = 8
LOOK_UP_FIRST_S = 60
LINKS_MAX = 1_024


class Lookup:
    """One writer's reads. A link that sent what the ledger already had is looked up first for a while."""

    def __init__(self, store: Store, partition: Partition, desk: Desk) -> None:
        self._store = store
        self._partition = partition
        self._desk = desk
        self._lines: Loader[HolderId, Line] = Loader(self._newest)
        self._answers: Loader[Identity, StoredAnswer] = Loader(self._find, keys_max=IDENTITIES_A_CALL_MAX)
        self._first_until: dict[str, float] = {}

    async def fill(self, work: Work) -> None:
        """Load what is missing for `work`. Raises what the store raises, and `TimeoutError` at its deadline."""
        now = asyncio.get_running_loop().time()
        keys = work.keys if work.look_up or now < self._first_until.get(work.link, 0) else None
        if keys is None and not self._desk.missing(work):
            return
        async with asyncio.timeout_at(work.deadline):
            if keys is not None:
                await self._look_up(work, keys)
            for _ in range(ROUNDS_MAX):
                missing = self._desk.missing(work)
                if not missing:
                    return
                await asyncio.gather(*map(self._lines.load, missing))

    async def _look_up(self, work: Work, keys: Keys) -> None:
        """Find both keys, as they stood at one time: again, if the writer lost its memory meanwhile."""
        term = None
        while term != self._desk.term:
            term = self._desk.term
            identity, reference = await asyncio.gather(
                self._answers.load(keys.identity), self._answers.load(keys.reference)
            )
        work.stored = _read(identity) if identity else None
        work.reference_stored = reference is not None
        if identity is not None:
            self._look_up_first(work.link)

    def _look_up_first(self, link: str) -> None:
        if len(self._first_until) >= LINKS_MAX:
            self._first_until.clear()
        self._first_until[link] = asyncio.get_running_loop().time() + LOOK_UP_FIRST_S

    async def _newest(self, holders: Sequence[HolderId]) -> Mapping[HolderId, Line]:
        """Read the newest lines, and put them on the desk before anything else can happen to them.

        Read again, if the writer lost its memory meanwhile: they may be old by now.
        """
        while True:
            term = self._desk.term
            lines = await self._store.newest(self._partition, holders)
            if self._desk.term == term:
                for holder in holders:
                    self._desk.keep(holder, lines.get(holder))
                return lines

    async def _find(self, identities: Sequence[Identity]) -> Mapping[Identity, StoredAnswer]:
        return await self._store.find(self._partition, identities)


def _read(stored: StoredAnswer) -> Answer:
    return Answer(decode_inputs(stored.request).command, decode_reply(stored.reply))
