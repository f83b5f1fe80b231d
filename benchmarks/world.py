"""A world made at an authorizer: how fast its holders come in, and what a holder costs each side in processor time.

The authorizer is a process of its own, and so is `simulate world`, the client; PostgreSQL is on the same machine too.
The authorizer answers each line on standard input with its `Told` as a line of JSON.
"""

import asyncio
import os
import resource
import sys
from pathlib import Path

import asyncpg
import msgspec
import uvloop
from msgspec import Struct, structs
from rich.console import Console
from rich.table import Table

from authz import logs
from authz.clock import SimulatedClock
from authz.decision.issuing.states import Role
from authz.demo_data import data as demo_data
from authz.service import Service, running
from benchmarks.authorizer import AuthorizerFailed
from benchmarks.beside import Companion, obey, started
from benchmarks.ground import Count, console_for_tables, temporary, write_json
from benchmarks.machine import Machine, describe
from benchmarks.processes import ended_children_cpu_ns, postmaster_of, tree_cpu_ns
from benchmarks.samples import TUESDAY_NOON

DONE, FINDING = 0, 1
HOLDERS = 20_000
SEED = 7
MILLION_S_MAX = 300
"""What a million holders may take."""
HOLDERS_NEEDED_A_SECOND = 1_000_000 / MILLION_S_MAX
_SIMULATE = "import sys; from simulators.cli import main; sys.exit(main())"


class Told(Struct, frozen=True):
    """What the authorizer says of itself: where its API is, the issuer's token, and its processor seconds so far."""

    http_port: int
    token: str
    cpu_s: float

    def __repr__(self) -> str:
        return f"Told({self.http_port})"


class Made(Struct, frozen=True):
    """What the client told of the world."""

    holders: int
    refused: int
    seconds: float
    holders_a_second: float


class Measured(Struct, frozen=True):
    """`engine_us`, `database_us` and `client_us` are processor time for a holder, employers and merchants included.

    `recorded` counts the holders that the journal has.
    """

    machine: Machine
    holders: int
    recorded: int
    seconds: float
    holders_a_second: float
    engine_us: float
    database_us: float
    client_us: float


def world(
    *,
    holders: Count = HOLDERS,
    connections: Count = 2,
    chunk: Count = 500,
    data: Path | None = None,
    json: Path | None = None,
) -> int:
    """Have a world of holders taken over, and tell how fast they come.

    Parameters
    ----------
    holders
        How many.
    connections
        How many chunks are on their way at once.
    chunk
        How many holders are sent at once.
    data
        Where the temporary data folder is made: on the disk that is to be measured.
    json
        A file to write the measurements to.
    """
    console = console_for_tables()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        measured = runner.run(_measure(holders, connections, chunk, data))
    _show(console, measured)
    write_json(json, measured)
    return DONE if measured.recorded == holders else FINDING


async def _measure(holders: int, connections: int, chunk: int, data: Path | None) -> Measured:
    async with temporary(data) as embedded:
        machine = await describe(embedded.superuser_url, embedded.server.data)
        postmaster = postmaster_of(embedded.server)
        async with started("benchmarks.world", Told, embedded.url) as authorizer:
            before, database_before = await authorizer.tell(), tree_cpu_ns(postmaster)
            client_before = ended_children_cpu_ns()
            made = await _make(authorizer, before, holders, connections, chunk)
            after, database_after = await authorizer.tell(), tree_cpu_ns(postmaster)
            client_ns = ended_children_cpu_ns() - client_before
        connection = await asyncpg.connect(embedded.superuser_url)
        try:
            recorded = await connection.fetchval("SELECT count(*) FROM ledger.journal WHERE kind = 'takeover'")
        finally:
            await connection.close()
    return Measured(
        machine,
        made.holders,
        recorded,
        made.seconds,
        made.holders_a_second,
        (after.cpu_s - before.cpu_s) * 1e6 / holders,
        (database_after - database_before) / 1_000 / holders,
        client_ns / 1_000 / holders,
    )


async def _make(authorizer: Companion[Told], told: Told, holders: int, connections: int, chunk: int) -> Made:
    """Run `simulate world`. Raises `AuthorizerFailed` where it came to nothing."""
    sizes = ("--holders", str(holders), "--connections", str(connections), "--chunk", str(chunk))
    where = ("--http", f"http://127.0.0.1:{told.http_port}", "--vintage", str(TUESDAY_NOON.year))
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _SIMULATE, "world", "--seed", str(SEED), "--json", *sizes, *where),
        env={**os.environ, "AUTHZ_TOKEN": told.token},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await client.communicate()
    if not said:
        raise AuthorizerFailed
    return msgspec.json.decode(said, type=Made)


def _show(console: Console, measured: Measured) -> None:
    table = Table(title=f"A world of {measured.holders:,} holders, load before {measured.machine.load:.1f}")
    for column in ("holders/s", "needed", "seconds", "engine, µs", "database, µs", "client, µs"):
        table.add_column(column, justify="right")
    table.add_row(
        f"{measured.holders_a_second:,.0f}",
        f"{HOLDERS_NEEDED_A_SECOND:,.0f}",
        f"{measured.seconds:.1f}",
        f"{measured.engine_us:,.0f}",
        f"{measured.database_us:,.0f}",
        f"{measured.client_us:,.0f}",
    )
    console.print(table)
    console.print("processor time is for one holder, with its share of employers and merchants")


class _Serving:
    """That authorizer, from inside."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def obey(self, _: str) -> Told:
        """Tell how far it is."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        token = self._service.demo_tokens[Role.ISSUER]
        return Told(self._service.http_port, token, used.ru_utime + used.ru_stime)


async def serve(url: str) -> None:
    """Be that authorizer, until standard input ends."""
    config = demo_data.read().config()
    ports = tuple(structs.replace(link, port=0) for link in config.links)
    config = structs.replace(config, links=ports, http_port=0)
    async with running(config, url, SimulatedClock(TUESDAY_NOON), demo=True) as service:
        await obey(_Serving(service).obey)


def main(url: str) -> None:
    """Run, by words from the command line."""
    logs.configure(as_json=False)
    uvloop.run(serve(url))


if __name__ == "__main__":
    main(*sys.argv[1:])
