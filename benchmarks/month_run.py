"""Finance's days of the month, one after the other: files taken in, reconciled, acquirers paid, the funds stated."""

import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import msgspec
from msgspec import Struct

from benchmarks.month_build import Month
from benchmarks.month_files import Booked, write_statement
from benchmarks.month_found import digest
from benchmarks.month_worker import Worked, work
from ledger.reconciliation.bank.payouts import payouts
from ledger.reconciliation.importing import import_file, layout_of
from ledger.reconciliation.register import Kind
from ledger.reconciliation.terms import read
from ledger.reports.funds import funds
from ledger.schema import FINANCE_ROLE, RECONCILER_ROLE
from ledger.values import Cents

KILLED_BEFORE_S = 1.5
"""A process that is to be killed is, within so much of its start."""
GONE_S, POLL_S = 10.0, 0.02
"""How long the session of a killed process may last: a server ends the statement first, in at most 5 s."""

_SERVER = "SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)"
_CHILDREN = slice(13, 15)
"""Where proc(5) has the processor time of children that are over, behind a process's name."""
_ASKED = """
SELECT p.end_to_end, p.net, p.acquirer
  FROM reconciliation.payout AS p JOIN reconciliation.payment_file AS f ON f.id = p.payment_file
 WHERE f.day = $1 ORDER BY p.end_to_end"""


class WorkFailed(Exception):
    """A day could not be reconciled: the message is what its process said."""


class Day(Struct, frozen=True):
    """A day of finance's. `agrees`: the bank has what the ledger says, to the cent. `kills`: of its process.

    `server_s` is what PostgreSQL's session used of processors. `digest` is over what was published of it, `again` over
    the same once it was reconciled a second time.
    """

    day: date
    imported_s: float
    worked: Worked
    agrees: bool
    difference: Cents | None
    digest: str
    again: str
    server_s: float
    kills: int = 0


class Finance:
    """Works through the days of a built month in one database, by its superuser's URL.

    `apart`: each day is reconciled in a process of its own.
    """

    def __init__(self, month: Month, superuser_url: str, *, apart: bool) -> None:
        self._month = month
        self._apart = apart
        self._terms = read(month.terms)
        self.url = as_role(superuser_url, FINANCE_ROLE)
        self._superuser_url = superuser_url
        self._database = urlsplit(superuser_url).path[1:]
        self._writer = as_role(superuser_url, RECONCILER_ROLE)

    async def month(self, killing: random.Random | None = None) -> Sequence[Day]:
        """Do every day. With `killing`, a process that reconciles a day of payments is killed at a random moment."""
        shape = self._month.shape
        return [await self.day(day, killing if day in shape.dates else None) for day in shape.all_dates]

    async def day(self, day: date, killing: random.Random | None = None) -> Day:
        """Do a day: what the bank executed of the day before is on its statement."""
        begun = time.perf_counter()
        for path in self._month.clearing[day]:
            acquirer = path.name.partition("-")[0]
            agreed = self._terms.of(acquirer)
            assert agreed is not None, "the terms name both"
            layout = layout_of(agreed.format, self._month.folder)
            await import_file(self._writer, path, self._terms, acquirer, layout=layout)
        await import_file(self._writer, await self._statement(day), self._terms, kind=Kind.STATEMENT)
        imported = time.perf_counter() - begun
        kills = 0 if killing is None else await self._killed(day, killing.uniform(0, KILLED_BEFORE_S))
        before = await self._server_s()
        worked = await self._reconciled(day)
        server_s = await self._server_s() - before
        first = again = await digest(self.url, [day])
        if killing is None:
            await self._reconciled(day)
            again = await digest(self.url, [day])
        await payouts(self._writer, day, self._terms)
        stated = await funds(self.url, day, self._terms)
        return Day(day, imported, worked, stated.agrees, stated.difference, first, again, server_s, kills)

    async def _reconciled(self, day: date) -> Worked:
        """Reconcile a day."""
        if not self._apart:
            return await work(self._writer, day, self._month.terms)
        process = await self._started(day)
        told, wrong = await process.communicate()
        if process.returncode:
            raise WorkFailed(wrong.decode(errors="replace"))
        return msgspec.json.decode(told, type=Worked)

    async def _killed(self, day: date, after_s: float) -> int:
        """Begin to reconcile a day, and kill the process; 0 where it was done before."""
        process = await self._started(day)
        try:
            await asyncio.wait_for(process.communicate(), after_s)
        except TimeoutError:
            process.kill()
            await process.wait()
            await self._gone()
            return 1
        return 0

    async def _server_s(self) -> float:
        """What the sessions of this server that are over have used of processors, in seconds."""
        await self._gone()
        fields = _told(await self._server(), "stat").rpartition(") ")[2].split()
        return sum(map(int, fields[_CHILDREN])) / os.sysconf("SC_CLK_TCK")

    async def _gone(self) -> None:
        """Wait until the server has noticed that nobody is there any more."""
        server = await self._server()
        async with asyncio.timeout(GONE_S):
            while _has_sessions(server, self._database):  # noqa: ASYNC110  it is another process
                await asyncio.sleep(POLL_S)

    async def _server(self) -> int:
        connection = await asyncpg.connect(self._superuser_url)
        try:
            return int(await connection.fetchval(_SERVER))
        finally:
            await connection.close()

    async def _started(self, day: date) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.month_worker", self._writer, day.isoformat(), str(self._month.terms)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def _statement(self, day: date) -> Path:
        """The day's statement; the first time, written: with what the payment file of the day before asked for."""
        path = self._month.folder / f"statement-{day:%Y%m%d}.xml"
        if not path.exists():
            bank, paid = self._month.bank, [one for one in self._month.journal.paid if one.day == day]
            opening, asked = bank.balance, await self._asked(day - timedelta(days=1))
            write_statement(self._month.folder, day, opening, bank.book(day, paid, asked, path.name))
        return path

    async def _asked(self, day: date) -> Sequence[Booked]:
        connection = await asyncpg.connect(self.url)
        try:
            rows = await connection.fetch(_ASKED, day)
        finally:
            await connection.close()
        return [
            Booked(Cents(-row["net"]), f"P{number}", row["end_to_end"], row["acquirer"], row["end_to_end"])
            for number, row in enumerate(rows, 1)
        ]


def _has_sessions(server: int, database: str) -> bool:
    """Tell whether a server has a session in a database, or one that is over and not yet counted."""
    for process in _told(server, f"task/{server}/children").split():
        named = _told(int(process), "cmdline")
        if not named or (f" {database} " in named and "autovacuum" not in named):
            return True
    return False


def _told(process: int, what: str) -> str:
    """What proc(5) has of a process; nothing where it is over."""
    try:
        return Path(f"/proc/{process}/{what}").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def as_role(url: str, role: str) -> str:
    """The same database's URL for another role."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}@{host}").geturl()
