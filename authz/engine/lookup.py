"""Brings from the ledger what a decision needs and memory lacks: passbooks, and the records that its keys find."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from authz.engine.desk import Desk
from authz.engine.loader import Loader
from authz.engine.recent import Known, answer_of
from authz.engine.work import Work
from authz.metrics.collectors import Hits
from ledger.store import IDENTITIES_A_CALL_MAX, Line, Store
from ledger.store import Answer as StoredAnswer
from ledger.values import HolderId, Identity, Partition

ROUNDS_MAX = 16
"""Rounds of reading for one request: a payment with many steps takes more, twice as many steps in each."""
LOOK_UP_FIRST_S = 60
LINKS_MAX = 1_024


class Lookup:
    """One writer's reads. A link that sent what the ledger already had is looked up first for a while.

    `passbooks` counts requests that nothing was read for behind their cards. Bulk work, which reads ahead, is not.
    """

    def __init__(self, store: Store, partition: Partition, desk: Desk) -> None:
        self._store = store
        self._partition = partition
        self._desk = desk
        self._lines: Loader[HolderId, Line] = Loader(self._newest)
        self._answers: Loader[Identity, StoredAnswer] = Loader(self._find, keys_max=IDENTITIES_A_CALL_MAX)
        self._first_until: dict[str, float] = {}
        self.passbooks = Hits()

    def begin(self, work: Work) -> None:
        """Forget what was found for `work`, and tell whether its keys are to be looked for first."""
        work.found = {}
        if self._first_until and not work.look_up:
            work.look_up = asyncio.get_running_loop().time() < self._first_until.get(work.link, 0)

    async def fill(self, work: Work) -> None:
        """Load what is missing for `work`. Raises what the store raises, and `TimeoutError` at its deadline."""
        async with asyncio.timeout_at(work.deadline):
            for _ in range(ROUNDS_MAX):
                keys, missing = self._desk.unsought(work), self._desk.missing(work)
                if not keys and not missing:
                    return
                term = self._desk.term
                await asyncio.gather(self._look_up(work, keys), *map(self._lines.load, missing))
                if self._desk.term != term:  # what was found before the writer lost its memory is looked for again
                    work.found.clear()

    async def bring(self, holders: Iterable[HolderId]) -> None:
        """Load passbooks before anyone needs them: to wait for many at once costs less than once for each.

        What can't be read is left for whoever needs it, to whom it is told.
        """
        absent = [holder for holder in dict.fromkeys(holders) if not self._desk.has(holder)]
        await asyncio.gather(*map(self._lines.load, absent), return_exceptions=True)

    async def _look_up(self, work: Work, keys: Sequence[Identity]) -> None:
        """Find the records of keys."""
        stored = await asyncio.gather(*map(self._answers.load, keys))
        for key, answer in zip(keys, stored, strict=True):
            work.found[key] = None if answer is None else read_answer(answer)
        if work.keys is not None and work.found.get(work.keys.identity) is not None:
            self._look_up_first(work.link)

    def _look_up_first(self, link: str) -> None:
        if len(self._first_until) >= LINKS_MAX:
            self._first_until.clear()
        self._first_until[link] = asyncio.get_running_loop().time() + LOOK_UP_FIRST_S

    async def _newest(self, holders: Sequence[HolderId]) -> Mapping[HolderId, Line]:
        """Read the newest lines, and put them on the desk before anything else can happen to them.

        Read again what left memory meanwhile: it may be old by now.
        """
        lines: dict[HolderId, Line] = {}
        while holders:
            departures = self._desk.departures
            lines |= await self._store.newest(self._partition, holders)
            holders = [holder for holder in holders if not self._desk.keep(holder, lines.get(holder), departures)]
        return lines

    async def _find(self, identities: Sequence[Identity]) -> Mapping[Identity, StoredAnswer]:
        return await self._store.find(self._partition, identities)


def read_answer(stored: StoredAnswer) -> Known:
    """Read a record that a key found."""
    return Known(answer_of(stored), seq=stored.seq)
