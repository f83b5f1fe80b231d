"""Whether a writer takes requests now."""

import asyncio
from enum import Enum


class GateState(Enum):
    """What a request finds on arrival."""

    OPEN = "open"
    PAUSED = "paused"
    """An append is being settled: wait a moment."""
    SHUT = "shut"
    """No database, or not yet: answer 91 at once."""
    STANDING_BY = "standing by"
    """Another engine writes: answer 91 at once."""


class Gate:
    """Lets requests through while the writer holds its lease."""

    def __init__(self) -> None:
        self.state = GateState.SHUT
        self._changed = asyncio.Event()

    @property
    def lets_in(self) -> bool:
        """Tell whether a request may come in, if only to wait a moment."""
        return self.state in (GateState.OPEN, GateState.PAUSED)

    def turn(self, state: GateState) -> None:
        """Change the state, and wake whoever waits."""
        if state is not self.state:
            self.state = state
            self._changed.set()
            self._changed = asyncio.Event()

    async def passes(self, deadline: float) -> bool:
        """Wait while paused; False where it isn't open then, or past the deadline (the event loop's time)."""
        if self.state is GateState.PAUSED:
            try:
                async with asyncio.timeout_at(deadline):
                    while self.state is GateState.PAUSED:
                        await self._changed.wait()
            except TimeoutError:
                return False
        return self.state is GateState.OPEN and asyncio.get_running_loop().time() < deadline

    async def is_open(self) -> None:
        """Wait until it opens, however long that takes."""
        await self._becomes(GateState.OPEN)

    async def opens(self) -> bool:
        """Wait until it opens, or another engine is seen to write: False."""
        return await self._becomes(GateState.OPEN, GateState.STANDING_BY) is GateState.OPEN

    async def _becomes(self, *states: GateState) -> GateState:
        while self.state not in states:
            await self._changed.wait()
        return self.state
