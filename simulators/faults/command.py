"""`simulate faults`."""

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from simulators import command_line
from simulators.command_line import APPROVED, Port, WrongUse, address, end_asked, say
from simulators.faults.fates import DELAY_MS_MAX, DRIP_BYTES_PER_S_MAX, PER_MILLE, Direction, Faults, LineFaults
from simulators.faults.plan import Plan, read
from simulators.faults.proxy import FaultProxy

ORDINARY = Faults(drop=20, duplicate=20, reorder=20, delay=20, cut=1)
"""What goes wrong where nothing is asked for."""

PerMille = Annotated[int | None, Parameter(validator=Number(gte=0, lte=PER_MILLE))]
Milliseconds = Annotated[int | None, Parameter(validator=Number(gte=1, lte=DELAY_MS_MAX))]
BytesPerSecond = Annotated[int | None, Parameter(validator=Number(gte=1, lte=DRIP_BYTES_PER_S_MAX))]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FaultOptions:
    """The faults, as options. None: not asked for."""

    drop: Annotated[PerMille, Parameter(help="Frames lost, in parts per 1,000, as every chance here.")] = None
    duplicate: Annotated[PerMille, Parameter(help="Frames sent twice.")] = None
    reorder: Annotated[PerMille, Parameter(help="Frames that the next one overtakes.")] = None
    delay: Annotated[PerMille, Parameter(help="Frames that come late.")] = None
    delay_min_ms: Annotated[Milliseconds, Parameter(help="How late at least, in milliseconds: 1.")] = None
    delay_max_ms: Annotated[Milliseconds, Parameter(help="How late at most, in milliseconds: 200.")] = None
    corrupt: Annotated[PerMille, Parameter(help="Frames of which a few bytes are others.")] = None
    misframe: Annotated[PerMille, Parameter(help="Frames whose length in front is wrong.")] = None
    halve: Annotated[PerMille, Parameter(help="Frames of which a part is sent, and the connection ended.")] = None
    half_close: Annotated[PerMille, Parameter(help="Frames behind which that direction alone is closed.")] = None
    blackhole: Annotated[PerMille, Parameter(help="Frames from which on everything in that direction vanishes.")] = None
    cut: Annotated[PerMille, Parameter(help="Frames at which the connection is reset.")] = None
    drip_bytes_per_s: Annotated[BytesPerSecond, Parameter(help="How fast bytes pass at most; 1 is a slow drip.")] = None

    def asked(self) -> dict[str, int]:
        """Return what was asked for."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def faults(
    *,
    upstream: str,
    listen: Port = 0,
    listen_host: str = "127.0.0.1",
    options: FaultOptions = FaultOptions(),
    refuse: PerMille = None,
    direction: Literal["to", "from", "both"] = "both",
    plan: Path | None = None,
    seed: int = 1,
    dialect: str = "iso87ascii",
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Stand between hosts and an authorizer and spoil their line, until SIGINT or SIGTERM; then say what was done.

    Without any fault or plan the line is an ordinary bad one: it loses, repeats, reorders and delays 20 frames in
    1,000 each, and breaks at one.

    Parameters
    ----------
    upstream
        Where the authorizer is, HOST:PORT.
    listen
        The port that hosts connect to instead; 0 picks a free one, which the ready line names.
    listen_host
        The address of this machine that hosts connect to; 0.0.0.0 is all that it has.
    options
        What goes wrong.
    refuse
        Connections reset as soon as they are made.
    direction
        Where the faults strike: what goes to the authorizer, what comes from it, or both.
    plan
        A TOML file that says what goes wrong when, instead of the faults.
    seed
        Makes a run repeatable: the same frames meet the same faults.
    dialect
        The dialect whose framing the hosts use: a shipped one, or the path of a TOML file.
    as_json
        Say at the end what was done as one JSON object.
    """
    asked = _asked(options, refuse, direction, plan)
    framing = command_line.dialect(dialect).framing
    proxy = FaultProxy((listen_host, listen), address(upstream, "--upstream"), framing, asked, seed)
    asyncio.run(_until_told(proxy, listen_host, upstream))
    say(msgspec.json.encode(proxy.counts).decode() if as_json else str(proxy.counts))
    return APPROVED


def _asked(options: FaultOptions, refuse: int | None, direction: str, plan: Path | None) -> LineFaults | Plan:
    asked = options.asked()
    if plan is not None:
        if asked or refuse is not None or direction != "both":
            raise WrongUse("--plan says what goes wrong: it takes no other fault, and no --direction")
        return read(plan)
    try:
        spoiling = Faults(**asked) if asked or refuse is not None else ORDINARY
    except ValueError as wrong:
        raise WrongUse(str(wrong)) from None
    towards = None if direction == "both" else Direction(direction)
    return LineFaults.towards(towards, spoiling, refuse=refuse or 0)


async def _until_told(proxy: FaultProxy, host: str, upstream: str) -> None:
    asked = end_asked()
    async with proxy:
        say(f"ready listen={host}:{proxy.port} upstream={upstream}")
        await asked.wait()
