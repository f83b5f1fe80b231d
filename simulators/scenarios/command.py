"""`simulate run`."""

import asyncio
import secrets
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from simulators.command_line import APPROVED, FINDING, Port, WrongUse, say
from simulators.link import NoConnection
from simulators.scenarios import report
from simulators.scenarios.checking import check
from simulators.scenarios.player import Played
from simulators.scenarios.running import play_at
from simulators.scenarios.script import Source, find, shipped_names
from simulators.scenarios.serving import serving
from simulators.terminal import parameters
from simulators.terminal.messages import TRACE_MAX
from simulators.terminal.parameters import Parameters

COLUMNS_MIN = 100
"""Tables have room for names, also where the output is a file."""


def run(
    *scenarios: str,
    host: str = "127.0.0.1",
    port: Port = 8583,
    serve: str | None = None,
    config: Path | None = None,
    trace: int | None = None,
    junit: Path | None = None,
    names: Annotated[bool, Parameter(name="--list", negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
    verbose: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Play scenarios at an authorizer and say what was answered otherwise than expected.

    Exit 0 if everything was as expected, 1 if something wasn't, 2 on wrong use or if nobody answers.

    Parameters
    ----------
    scenarios
        Files, or names of scenarios that come along (--list); "all" is every one of those.
    host
        Where the authorizer is.
    port
        The port in its ready line.
    serve
        Start a fresh authorizer for each scenario by this command, in which {clock} is the scenario's, {folder} an
        empty place for its data and {port} 0; a scenario's own configuration is added as --config FILE.
    config
        A file like the demo's: acquirer, zone PIN key, terminals, cards.
    trace
        The first trace number; drawn if not given, and 1 at a fresh authorizer.
    junit
        A file for the outcome as JUnit's XML.
    names
        Say which scenarios come along, and what each is for.
    as_json
        Print one JSON object instead of tables.
    verbose
        Show every step and its messages, decoded and masked.
    """
    if names:
        for name in shipped_names():
            say(f"{name:<26} {find(name).script.purpose}")
        return APPROVED
    if trace is not None and not 1 <= trace <= TRACE_MAX:
        raise WrongUse(f"--trace: 1 to {TRACE_MAX}")
    sources = _sources(scenarios)
    known = parameters.load(config) if config else parameters.demo()
    first = trace or (1 if serve else secrets.randbelow(TRACE_MAX) + 1)
    played = asyncio.run(_play(sources, known, serve, (host, port), first))
    if junit is not None:
        try:
            junit.write_bytes(report.as_junit(played))
        except OSError as failed:
            raise WrongUse(f"--junit: {junit}: {failed.strerror}") from None
    if as_json:
        say(report.as_json(played))
    else:
        console = Console(highlight=False)
        console.width = max(console.width, COLUMNS_MIN)
        report.show(console, played, verbose=verbose)
    return APPROVED if all(one.held for one in played) else FINDING


def _sources(named: tuple[str, ...]) -> list[Source]:
    """Read and check all of them before the first is played. Raises `ScenarioInvalid`."""
    if not named:
        raise WrongUse("say which scenarios: files, names (simulate run --list), or all")
    expanded = [name for one in named for name in (shipped_names() if one == "all" else (one,))]
    sources = [find(name) for name in expanded]
    for source in sources:
        check(source)
    return sources


async def _play(
    sources: list[Source], known: Parameters, serve: str | None, where: tuple[str, int], first_trace: int
) -> list[Played]:
    played = []
    for source in sources:
        script = source.script
        if serve is None:
            try:
                played.append(await play_at(script, known, *where, first_trace=first_trace))
            except NoConnection as failed:
                advice = "start the authorizer, give the --host and --port of its ready line, or a command to --serve"
                raise NoConnection(f"{failed}: {advice}") from None
        else:
            async with serving(serve, script.clock.host, source.config) as (host, port):
                played.append(await play_at(script, known, host, port, first_trace=first_trace))
    return played
