"""pgbench, PostgreSQL's own load generator: what comes out when a payment is left to the database.

Two loads: its built-in one, which is somewhat like TPC-B, and an authorizer that is one function with a row lock
(`sql/rowlock.sql`). Closed loops: each client sends its next transaction when it has the answer to the last. Statements
are prepared, and the durability is that of all the other measurements: it is the same server.
"""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.costs import Meter, cost
from benchmarks.processes import ended_children_cpu_ns
from benchmarks.rows import Row, costing, row
from ledger.embedded import SUPERUSER, EmbeddedServer
from simulators.load.latencies import NS_PER_MICROSECOND, Latencies

TPCB_DATABASE, ROWLOCK_DATABASE = "tpcb", "rowlock"
TPCB_SCALE = 10
TPCB_CLIENTS = 8
ROWLOCK_CLIENTS = (1, 8, 16)
WARM_UP_TRANSACTIONS = 500
"""Of all clients together."""
OVERTIME_S = 60
"""After so long beyond its time pgbench is taken for stuck."""
SESSIONS_END_MAX_S, POLL_S = 10, 0.01
MICROSECONDS_PER_SECOND = 1_000_000

_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'pgbench'"


class PgbenchFailed(Exception):
    """pgbench could not measure: the message ends with its own last line."""


class Transactions(Struct, frozen=True):
    """What pgbench's logs tell of one run. `nanoseconds` are from the first transaction's start to the last one's end.

    `failed` were rolled back.
    """

    latencies: Latencies
    nanoseconds: int
    failed: int

    @property
    def count(self) -> int:
        """How many were committed."""
        return self.latencies.count


def read_logs(lines: Iterable[str]) -> Transactions:
    """Read lines of `pgbench -l`: client, number, microseconds taken, script, and when it ended (s and µs).

    >>> done = read_logs(["0 1 2000 0 100 500000", "1 1 1000 0 100 501000", "0 2 failed 0 100 502000"])
    >>> done.count, done.failed, done.nanoseconds
    (2, 1, 3000000)
    """
    latencies, failed = Latencies(), 0
    first, last = None, 0
    for line in lines:
        _, _, taken, _, seconds, microseconds, *_ = line.split()
        if not taken.isdigit():
            failed += 1
            continue
        end = int(seconds) * MICROSECONDS_PER_SECOND + int(microseconds)
        begun = end - int(taken)
        first = begun if first is None else min(first, begun)
        last = max(last, end)
        latencies.record(int(taken) * NS_PER_MICROSECOND)
    return Transactions(latencies, 0 if first is None else (last - first) * NS_PER_MICROSECOND, failed)


async def tpcb(server: EmbeddedServer, meter: Meter, scale: int, clients: int, seconds: float) -> Row:
    """Run pgbench's built-in load: three updates by key, a select and an insert a transaction."""
    await _create(server, TPCB_DATABASE)
    await _call(server, TPCB_DATABASE, ("--initialize", "--quiet", "--scale", str(scale)), seconds)
    words = ("--builtin=tpcb-like", "--no-vacuum")
    return await _measured(
        f"pgbench TPC-B-like, {_clients(clients)}", server, TPCB_DATABASE, meter, (words, words), clients, seconds
    )


async def create_rowlock(server: EmbeddedServer, holders: int) -> None:
    """Make the row-lock authorizer's database, with so many holders."""
    await _create(server, ROWLOCK_DATABASE)
    connection = await asyncpg.connect(server.url(SUPERUSER, ROWLOCK_DATABASE))
    try:
        await connection.execute(sql("rowlock.sql"))
        await connection.execute(sql("fill_rowlock.sql").format(holders=holders))
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()


async def rowlock(server: EmbeddedServer, meter: Meter, holders: int, clients: int, seconds: float) -> Row:
    """Run the row-lock authorizer, in a database that `create_rowlock` made; what it declined stands in the row."""
    run = 2 * clients
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as folder:
        script = Path(folder) / "authorize.pgbench"
        script.write_text(sql("authorize.pgbench"))

        def words(number: int) -> Sequence[str]:
            defined = {"holders": holders, "run": number, "number": 0}
            named = [f"--define={name}={value}" for name, value in defined.items()]
            return (f"--file={script}", "--no-vacuum", *named)

        both = (words(run), words(run + 1))
        name = f"row-lock function, {_clients(clients)}"
        measured = await _measured(name, server, ROWLOCK_DATABASE, meter, both, clients, seconds)
    connection = await asyncpg.connect(server.url(SUPERUSER, ROWLOCK_DATABASE))
    try:
        declined = await connection.fetch(
            "SELECT code, count(*) FROM rowlock.entry WHERE code <> '00' AND reference / 1000000000000 = $1 GROUP BY 1",
            run + 1,
        )
    finally:
        await connection.close()
    return replace(measured, refusals={f"DE 39 {code}": count for code, count in declined})


def sql(name: str) -> str:
    """Read one of the files beside this module."""
    return (files("benchmarks") / "sql" / name).read_text(encoding="utf-8")


async def _measured(
    name: str,
    server: EmbeddedServer,
    database: str,
    meter: Meter,
    words: tuple[Sequence[str], Sequence[str]],
    clients: int,
    seconds: float,
) -> Row:
    """Warm up by the first words, then measure by the second."""
    threads = min(clients, len(os.sched_getaffinity(0)))
    how = ("--protocol=prepared", f"--client={clients}", f"--jobs={threads}")
    each = max(WARM_UP_TRANSACTIONS // clients, 1)
    await _call(server, database, (*words[0], *how, f"--transactions={each}"), seconds)
    before, own_ns = await meter.before(), ended_children_cpu_ns()
    with tempfile.TemporaryDirectory(prefix="authz-bench-") as folder:
        log = Path(folder)
        timed = ("--log", f"--log-prefix={log / 'transactions'}", f"--time={max(round(seconds), 1)}")
        await _call(server, database, (*words[1], *how, *timed), seconds)
        own_ns = ended_children_cpu_ns() - own_ns
        await _ended(server, database)
        after = await meter.after()
        done = read_logs(_lines(log))
    measured = row(name, done.latencies, done.count, done.nanoseconds, errors=done.failed)
    own_us = own_ns / NS_PER_MICROSECOND / max(done.count, 1)
    return replace(costing(measured, cost(before, after, done.count)), generator_us=own_us)


async def _ended(server: EmbeddedServer, database: str) -> None:
    """Wait until pgbench's sessions are over: only then all that they used can be read."""
    connection = await asyncpg.connect(server.url(SUPERUSER, "postgres"))
    try:
        async with asyncio.timeout(SESSIONS_END_MAX_S):
            while await connection.fetchval(_SESSIONS, database):  # noqa: ASYNC110  they are other processes
                await asyncio.sleep(POLL_S)
    finally:
        await connection.close()


def _lines(folder: Path) -> Iterator[str]:
    """Read the logs of every thread."""
    for file in sorted(folder.iterdir()):
        yield from file.read_text().splitlines()


async def _create(server: EmbeddedServer, database: str) -> None:
    connection = await asyncpg.connect(server.url(SUPERUSER, "postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {database}")
    finally:
        await connection.close()


async def _call(server: EmbeddedServer, database: str, words: Sequence[str], seconds: float) -> None:
    """Run pgbench to its end. Raises `PgbenchFailed`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    command = (str(server.bin / "pgbench"), *words, server.url(SUPERUSER, database))
    try:
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env=environment | {"LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + OVERTIME_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PgbenchFailed(f"pgbench could not measure: {type(error).__name__}") from None
    if done.returncode:
        raise PgbenchFailed(f"pgbench could not measure: {(done.stderr.strip().splitlines() or ['no word why'])[-1]}")


def _clients(clients: int) -> str:
    return "1 client" if clients == 1 else f"{clients} clients"
