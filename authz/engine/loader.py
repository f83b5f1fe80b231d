"""Many look-ups in few queries."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Loader(Generic[K, V]):
    """Fetches keys by batches: one load a key at a time, `keys_max` keys a query, `queries_max` queries at once.

    Whoever asks for a key that is being loaded waits for that load. A query that fails fails each of its keys.
    """

    def __init__(
        self, fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, keys_max: int = 64, queries_max: int = 2
    ) -> None:
        self._fetch = fetch
        self._keys_max = keys_max
        self._queries_left = queries_max
        self._waiting: deque[K] = deque()
        self._loads: dict[K, asyncio.Future[V | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def load(self, key: K) -> Awaitable[V | None]:
        """Look up one key: its value, or None where there is none."""
        load = self._loads.get(key)
        if load is None:
            load = self._loads[key] = asyncio.get_running_loop().create_future()
            self._waiting.append(key)
            if self._queries_left:
                self._queries_left -= 1
                task = asyncio.create_task(self._run())
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return asyncio.shield(load)

    async def _run(self) -> None:
        """Query until nothing waits. The first look at what waits is a loop turn later, when more has come."""
        await asyncio.sleep(0)
        while self._waiting:
            keys = [self._waiting.popleft() for _ in range(min(self._keys_max, len(self._waiting)))]
            try:
                found = await self._fetch(keys)
            except Exception as error:  # each waiter raises it
                for key in keys:
                    load = self._loads.pop(key)
                    load.set_exception(error)
                    load.exception()  # a waiter may have gone
            else:
                for key in keys:
                    self._loads.pop(key).set_result(found.get(key))
        self._queries_left += 1
