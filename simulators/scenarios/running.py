"""A scenario against a host: over a line of its own, behind a fault proxy where it wants a bad one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from simulators.acquirer.line import Line
from simulators.faults.fates import Faults
from simulators.faults.proxy import FaultProxy
from simulators.link import Authorizer
from simulators.scenarios.player import BadLine, Played, Player
from simulators.scenarios.script import Script
from simulators.terminal.parameters import Parameters

FAULT_SEED = 1
"""Each run meets the same fates."""
LOOPBACK = "127.0.0.1"


async def play_at(script: Script, parameters: Parameters, host: str, port: int, *, first_trace: int = 1) -> Played:
    """Play a scenario at a host. Raises `NoConnection`, `ScenarioInvalid` and what `Player` does."""
    async with line_to(script, parameters, host, port) as (line, bad_line):
        return await Player(script, parameters, line, bad_line=bad_line, first_trace=first_trace).play()


@asynccontextmanager
async def line_to(
    script: Script, parameters: Parameters, host: str, port: int
) -> AsyncIterator[tuple[Authorizer, BadLine | None]]:
    """Lay the line that a scenario wants, all of its terminals on one connection, until the block ends."""
    dialect = shipped(parameters.dialect)
    codec = Codec(dialect)
    if not script.needs_bad_line:
        line = Line(host, port, codec)
        try:
            yield line, None
        finally:
            await line.close()
        return
    async with FaultProxy((LOOPBACK, 0), (host, port), dialect.framing, Faults(), FAULT_SEED) as proxy:
        line = Line(LOOPBACK, proxy.port, codec)
        try:
            yield line, proxy
        finally:
            await line.close()
