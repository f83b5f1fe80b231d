"""`simulate faults`."""

import asyncio
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from authz.wire.dialect import shipped
from simulators.command_line import APPROVED, Port, address, end_asked, say
from simulators.faults.proxy import PER_MILLE, FaultProxy, Faults

PerMille = Annotated[int, Parameter(validator=Number(gte=0, lte=PER_MILLE))]
Milliseconds = Annotated[int, Parameter(validator=Number(gte=1))]


def faults(
    *,
    upstream: str,
    listen: Port = 0,
    drop: PerMille = 20,
    duplicate: PerMille = 20,
    reorder: PerMille = 20,
    delay: PerMille = 20,
    delay_max_ms: Milliseconds = 200,
    cut: PerMille = 1,
    seed: int = 1,
    dialect: str = "iso87ascii",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Stand between hosts and an authorizer and spoil their line, until SIGINT or SIGTERM; then say what was done.

    Parameters
    ----------
    upstream
        Where the authorizer is, HOST:PORT.
    listen
        The port that hosts connect to instead; 0 picks a free one, which the ready line names.
    drop
        Frames lost, in parts per 1,000.
    duplicate
        Frames sent twice, in parts per 1,000.
    reorder
        Frames that the next one overtakes, in parts per 1,000.
    delay
        Frames that come late, in parts per 1,000.
    delay_max_ms
        How late at most, in milliseconds.
    cut
        Frames at which the connection is ended, in parts per 1,000.
    seed
        Makes a run repeatable.
    dialect
        The dialect whose framing the hosts use.
    as_json
        Say at the end what was done as one JSON object.
    """
    chances = Faults(drop=drop, duplicate=duplicate, reorder=reorder, delay=delay, delay_max_ms=delay_max_ms, cut=cut)
    proxy = FaultProxy(("127.0.0.1", listen), address(upstream, "--upstream"), shipped(dialect).framing, chances, seed)
    asyncio.run(_until_told(proxy, upstream))
    say(msgspec.json.encode(proxy.counts).decode() if as_json else str(proxy.counts))
    return APPROVED


async def _until_told(proxy: FaultProxy, upstream: str) -> None:
    asked = end_asked()
    async with proxy:
        say(f"ready listen=127.0.0.1:{proxy.port} upstream={upstream}")
        await asked.wait()
