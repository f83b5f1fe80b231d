"""Brings from the ledger what a decision needs and memory lacks: passbooks, and the keys of what may be a repeat."""

import asyncio
from collections.abc import Mapping, Sequence

from authz.engine.desk import Desk
from authz.engine.loader import Loader
from authz.engine.requests import Answer
from authz.engine.work import Work, decode_inputs, decode_reply
from ledger.store import Answer as StoredAnswer
from ledger.store import Line, Store
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
        self._answers: Loader[Identity, StoredAnswer] = Loader(self._find)
        self._first_until: dict[str, float] = {}

    async def fill(self, work: Work) -> None:
        """Load what is missing for `work`. Raises `ledger.store.Unavailable`."""
        now = asyncio.get_running_loop().time()
        if work.keys is not None and (work.look_up or now < self._first_until.get(work.link, 0)):
            identity, reference = await asyncio.gather(
                self._answers.load(work.keys.identity), self._answers.load(work.keys.reference)
            )
            work.stored = _read(identity) if identity else None
            work.reference_stored = reference is not None
            if identity is not None:
                self._look_up_first(work.link, now + LOOK_UP_FIRST_S)
        for _ in range(ROUNDS_MAX):
            missing = self._desk.missing(work)
            if not missing:
                return
            for holder, line in zip(missing, await asyncio.gather(*map(self._lines.load, missing)), strict=True):
                self._desk.keep(holder, line)

    def _look_up_first(self, link: str, until: float) -> None:
        if len(self._first_until) >= LINKS_MAX:
            self._first_until.clear()
        self._first_until[link] = until

    async def _newest(self, holders: Sequence[HolderId]) -> Mapping[HolderId, Line]:
        """Read the newest lines; again, if the writer lost its memory meanwhile, for they may be old by now."""
        while True:
            term = self._desk.term
            lines = await self._store.newest(self._partition, holders)
            if self._desk.term == term:
                return lines

    async def _find(self, identities: Sequence[Identity]) -> Mapping[Identity, StoredAnswer]:
        return await self._store.find(self._partition, identities)


def _read(stored: StoredAnswer) -> Answer:
    return Answer(decode_inputs(stored.request).command, decode_reply(stored.reply))
