"""A bad line: a TCP proxy between hosts and an authorizer that spoils what passes, frame by frame.

What happens to the n-th frame of the n-th connection's one direction is the same for the same seed (`fates`); the
rest carries it out. It knows nothing of what is in a frame, keeps none beyond its time and shows none.
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Self

from authz.wire.dialect import Framing
from simulators.faults.connection import Connection, Ends, reset
from simulators.faults.fates import Faults, LineFaults
from simulators.faults.plan import Plan
from simulators.faults.regime import Counts, Regime
from simulators.mistakes import Mistake

CONNECTIONS_MAX = 1_024
"""Open at once; one more is refused."""
CONNECT_TIMEOUT_SECONDS = 5.0

Address = tuple[str, int]


class NoListening(Mistake):
    """The fault proxy can't listen there."""


class FaultProxy:
    """`async with FaultProxy(listen, upstream, framing, faults, seed) as proxy`: hosts connect to `proxy.port`.

    `proxy.faults = …` changes what goes wrong, from the next frame on: `Faults` in both directions, `LineFaults`, or
    a `Plan` that begins now. `proxy.heal()` ends it all, `proxy.cut()` resets every connection. Listening at port 0
    picks a free one. Entering raises `NoListening`.
    """

    def __init__(
        self,
        listen: Address,
        upstream: Address,
        framing: Framing,
        faults: Faults | LineFaults | Plan,
        seed: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.port = listen[1]
        self._host = listen[0]
        self._upstream = upstream
        self._regime = Regime(faults, seed, framing, clock)
        self._serving: set[asyncio.Task[None]] = set()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    @property
    def counts(self) -> Counts:
        """What was done so far."""
        return self._regime.counts

    @property
    def faults(self) -> LineFaults:
        """What is in force for the next frame."""
        return self._regime.faults

    @faults.setter
    def faults(self, faults: Faults | LineFaults | Plan) -> None:
        self._regime.change(faults)

    def heal(self) -> None:
        """Let everything pass from now on. What was lost stays lost; a direction that was closed stays closed."""
        self._regime.change(LineFaults())

    def cut(self) -> None:
        """Reset every connection now."""
        for connection in self._connections:
            connection.cut()
        self._connections.clear()

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._accept, self._host, self.port)
        except (OSError, OverflowError) as failed:
            why = os.strerror(failed.errno) if isinstance(failed, OSError) and failed.errno else "no such port"
            raise NoListening(f"can't listen at {self._host}:{self.port}: {why}") from None
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        number = self.counts.connections
        if self._regime.refuses(number) or len(self._serving) >= CONNECTIONS_MAX:
            self.counts.refused += 1
            reset(writer)
            return
        task = asyncio.create_task(self._serve(number, (reader, writer)))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, number: int, here: Ends) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                there = await asyncio.open_connection(*self._upstream)
        except (OSError, TimeoutError):
            self.counts.unreached += 1
            return
        connection = Connection(self._regime, number, here, there)
        self._connections.add(connection)
        try:
            await connection.carry()
        finally:
            self._connections.discard(connection)
