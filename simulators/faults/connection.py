"""One connection through the proxy: two ways, each of which reads frames and carries out their fates."""

import asyncio
import itertools
import socket
import struct

from authz.wire.frames import Framer, FrameTooLong
from simulators.faults.fates import PER_MILLE, Break, Direction, Faults, first_part, on_the_wire
from simulators.faults.lanes import Lane
from simulators.faults.regime import Regime

READ_BYTES = 65_536
AT_ONCE = (0,)
NO_LINGERING = struct.pack("ii", 1, 0)
"""SO_LINGER: what is closed so sends an RST, and nothing more."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
"""A connection's receiving and sending end."""


class _Ended(Exception):
    """A frame ended its connection."""


def reset(end: asyncio.StreamWriter) -> None:
    """End a connection by an RST."""
    if not end.transport.is_closing():
        end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
        end.transport.abort()


class Connection:
    """The `number`-th connection, between a host (`here`) and the authorizer (`there`)."""

    def __init__(self, regime: Regime, number: int, here: Ends, there: Ends) -> None:
        self._ends = here[1], there[1]
        self._ways = (
            _Way(regime, number, Direction.TO, here[0], there[1]),
            _Way(regime, number, Direction.FROM, there[0], here[1]),
        )
        self._regime = regime

    async def carry(self) -> None:
        """Carry both ways until both are closed, a fault ends the connection, or it is lost; then end it."""
        try:
            async with asyncio.TaskGroup() as group:
                sending = [group.create_task(way.lane.run()) for way in self._ways]
                await asyncio.wait([group.create_task(self._go(way)) for way in self._ways])
                for task in sending:
                    task.cancel()
        except* (OSError, FrameTooLong, _Ended):
            pass
        finally:
            for way in self._ways:
                way.lane.end()
            for end in self._ends:
                end.transport.abort()

    def cut(self) -> None:
        """Reset both ends, now, and forget what is on its way."""
        self._regime.counts.cut += 1
        for way, end in zip(self._ways, self._ends, strict=True):
            way.lane.end()
            reset(end)

    async def _go(self, way: "_Way") -> None:
        match await way.go():
            case Break.CUT:
                self.cut()
                raise _Ended
            case Break.HALVE:
                self._regime.counts.halved += 1
                raise _Ended


class _Way:
    """One direction of a connection."""

    def __init__(
        self,
        regime: Regime,
        connection: int,
        direction: Direction,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
    ) -> None:
        self.lane = Lane(sink, lambda: regime.faults.of(direction).drip_bytes_per_s)
        self._regime = regime
        self._connection = connection
        self._direction = direction
        self._source = source
        self._frames = itertools.count(1)
        self._dark = False
        self._closed = False

    async def go(self) -> Break | None:
        """Carry what is read until its end, or until a frame ends the connection: then return by what."""
        framer = Framer(self._regime.framing)
        keep_alives = 0
        while data := await self._source.read(READ_BYTES):
            for payload in framer.feed(data):
                await self.lane.has_room()
                broken = await self._pass(payload)
                if broken is not None:
                    return broken
            while keep_alives < framer.keep_alives:
                keep_alives += 1
                await self.lane.has_room()
                self._keep_alive(framer)
        if not self._vanishes(self._regime.faults.of(self._direction)):
            await self.lane.finish()
        return None

    async def _pass(self, payload: bytes) -> Break | None:
        counts = self._regime.counts
        fate, faults = self._regime.fate(self._connection, self._direction, next(self._frames))
        if fate.broken is Break.CUT:
            return fate.broken
        self._dark = fate.broken is Break.BLACKHOLE or (self._dark and faults.blackhole > 0)
        if self._vanishes(faults):
            counts.vanished += 1
            return None
        frame = on_the_wire(payload, fate, self._regime.framing)
        if fate.broken is Break.HALVE:
            await self.lane.break_off(first_part(frame, fate))
            return fate.broken
        counts.carried(fate)
        self.lane.take(frame, fate.delays_ms, fate.overtaken_within_ms)
        if fate.broken is Break.HALF_CLOSE:
            counts.half_closed += 1
            await self.lane.finish()
            self._closed = True
        return None

    def _keep_alive(self, framer: Framer) -> None:
        """Carry a frame of length 0: it has no number, and no fate of its own."""
        if not self._vanishes(self._regime.faults.of(self._direction)):
            self.lane.take(framer.frame(b""), AT_ONCE)

    def _vanishes(self, faults: Faults) -> bool:
        return self._closed or faults.blackhole == PER_MILLE or (self._dark and faults.blackhole > 0)
