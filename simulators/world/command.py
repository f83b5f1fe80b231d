"""`simulate world`."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from simulators.command_line import APPROVED, FINDING, WrongUse, complain, say
from simulators.terminal import parameters
from simulators.terminal.pinpad import PinPad
from simulators.world.building import EMPLOYERS_MAX, Builder, Built, Plan, Refused
from simulators.world.crowd import HOLDERS_MAX, SEED_MAX
from simulators.world.issuer import Issuer
from simulators.world.merchants import MERCHANTS_MAX

CHUNK_MAX = 1_000
"""What the issuer takes at once."""
CONNECTIONS_MAX = 8
VINTAGE_MIN, VINTAGE_MAX = 2000, 2099

Holders = Annotated[int, Parameter(validator=Number(gte=1, lte=HOLDERS_MAX))]
Seed = Annotated[int, Parameter(validator=Number(gte=0, lte=SEED_MAX))]
Merchants = Annotated[int, Parameter(validator=Number(gte=0, lte=MERCHANTS_MAX))]
Employers = Annotated[int, Parameter(validator=Number(gte=1, lte=EMPLOYERS_MAX))]
Chunk = Annotated[int, Parameter(validator=Number(gte=1, lte=CHUNK_MAX))]
Connections = Annotated[int, Parameter(validator=Number(gte=1, lte=CONNECTIONS_MAX))]
Vintage = Annotated[int, Parameter(validator=Number(gte=VINTAGE_MIN, lte=VINTAGE_MAX))]


class Report(Struct, frozen=True):
    """What `--json` prints."""

    seed: int
    holders: int
    employers: int
    merchants: int
    refused: int
    reasons: tuple[Refused, ...]
    seconds: float
    holders_a_second: float


def world(
    *,
    holders: Holders,
    seed: Seed,
    http: str,
    token: Annotated[str, Parameter(env_var="AUTHZ_TOKEN", show_default=False)] = "",
    merchants: Merchants = 50,
    employers: Employers = 20,
    vintage: Vintage | None = None,
    chunk: Chunk = 500,
    connections: Connections = 2,
    config: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> int:
    """Have an issuer take over a world of holders, who each have a card, a PIN and vouchers, and where they pay.

    The same seed makes the same world, everywhere. Run again, also after it was cut off or with more holders, it goes
    on: nothing is there twice. Exit 1 where the issuer refused somebody.

    Parameters
    ----------
    holders
        How many.
    seed
        Which world: 0 to 89.
    http
        Where the issuer's API is, such as http://127.0.0.1:8080: the http of the ready line.
    token
        The issuer's token. Other users of this machine can see it in the list of processes: AUTHZ_TOKEN keeps it
        from them.
    merchants
        How many merchants, each with a terminal.
    employers
        How many employers the holders work for.
    vintage
        The year of the vouchers; this one if not given.
    chunk
        How many holders are sent at once.
    connections
        How many chunks are on their way at once.
    config
        A file like the demo's: acquirer, zone PIN key.
    as_json
        Say at the end what is there as one JSON object.
    """
    if not token:
        raise WrongUse("--token: the issuer's, which `authz serve --demo` tells when it starts; AUTHZ_TOKEN will do")
    known = parameters.load(config) if config else parameters.demo()
    plan = Plan(
        seed=seed,
        holders=holders,
        employers=employers,
        merchants=merchants,
        vintage=vintage or datetime.now(UTC).year,
        link=known.acquirer,
        chunk=chunk,
        connections=connections,
    )
    started = time.monotonic()
    built = asyncio.run(_build(plan, http, token, PinPad(known.zone_pin_key)))
    report = _report(plan, built, time.monotonic() - started)
    if as_json:
        say(msgspec.json.encode(report).decode())
    else:
        _tell(report)
    return FINDING if built.refused else APPROVED


async def _build(plan: Plan, http: str, token: str, pin_pad: PinPad) -> Built:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        places = progress.add_task("employers, merchants", total=plan.employers + plan.merchants)
        people = progress.add_task("holders", total=plan.holders, start=False)

        def took_over(more: int) -> None:
            if not progress.tasks[people].started:
                progress.start_task(people)
            progress.advance(people, more)

        async with Issuer(http, token, plan.connections) as issuer:
            return await Builder(issuer, plan, pin_pad, lambda: progress.advance(places), took_over).build()


class _Rate(ProgressColumn):
    """How many come in a second, lately."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f}/s")


def _report(plan: Plan, built: Built, seconds: float) -> Report:
    return Report(
        seed=plan.seed,
        holders=built.holders,
        employers=built.employers,
        merchants=built.merchants,
        refused=built.refused,
        reasons=built.reasons,
        seconds=round(seconds, 3),
        holders_a_second=round(plan.holders / max(seconds, 0.001), 1),
    )


def _tell(report: Report) -> None:
    say(
        f"world {report.seed}: {report.holders:,} holders, {report.employers:,} employers, "
        f"{report.merchants:,} merchants in {report.seconds:.1f} s ({report.holders_a_second:,.0f} holders/s)"
    )
    for one in report.reasons:
        complain(f"{one.reference}: {one.why}")
    if report.refused:
        complain(f"{report.refused:,} holders were refused")
