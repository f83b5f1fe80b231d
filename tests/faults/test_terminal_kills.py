"""A terminal killed at any step of a payment and started again reverses or completes, and agrees with the ledger.

A real engine over TCP; a till in a process of its own, with its journal on disk (docs/terminal.md). It is killed, by
SIGKILL, behind every write of its journal and every answer, and at moments of no choosing, again and again
on the same journal. When it is at last left in peace nothing is in doubt, nothing is left to tell, and what it believes
of its money is what the ledger has, to the cent.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Self

import asyncpg
import msgspec
import pytest

from authz.clock import SimulatedClock
from authz.demo_data import data as demo_data
from authz.engine import schema
from authz.service import running as serving
from tests.acceptance.authorizer import TUESDAY
from tests.conftest import Database
from tests.simulators.terminal.mortal import STEPS, Kind, Legacy, Life

NOON = datetime.fromisoformat(TUESDAY)
ROOT = Path(__file__).parents[2]
MOMENT_S = 0.05
Death = tuple[Kind, int, bool]
"""Who is the first customer, at which step the till dies, and whether steps count while it still resumes."""
EVERY_STEP: list[Death] = [
    (kind, step, False) for kind in (Kind.RETURNS, Kind.STAYS, Kind.OFFLINE) for step in range(1, STEPS[kind] + 1)
]
"""Who only buys takes the first steps of who brings it back."""
RESUMING: list[Death] = [
    (Kind.BUYS, 2, False),  # answered, and the answer not entered: in doubt
    (Kind.BUYS, 1, True),  # its reversal is entered
    (Kind.BUYS, 1, True),  # and answered
    (Kind.BUYS, 2, True),  # and the answer is entered
]
"""One request, whose reversal is interrupted at each of its steps."""

MONEY = """
SELECT coalesce(sum(amount) FILTER (WHERE credit = 'acquirer:970001:payable'), 0)::bigint
       - coalesce(sum(amount) FILTER (WHERE debit = 'acquirer:970001:payable'), 0)::bigint AS owed,
       coalesce(sum(amount) FILTER (WHERE credit LIKE 'hold:%'), 0)::bigint
       - coalesce(sum(amount) FILTER (WHERE debit LIKE 'hold:%'), 0)::bigint AS held,
       count(DISTINCT seq) AS records
  FROM ledger.journal JOIN ledger.transfer USING (partition, seq)
 WHERE rtrim(request -> 'command' -> 'origin' ->> 'terminal') = $1"""


class Graveyard:
    """Starts tills one after the other, and sees how each ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.deaths = 0

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.simulators.terminal.mortal",
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            yield cls(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()

    async def live(self, life: Life, *, killed_after_s: float | None = None) -> Legacy | None:
        """Let a till live; None: it was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(life) + b"\n")
        pid = int(await self._hear("born"))
        if killed_after_s is not None:
            await asyncio.sleep(killed_after_s)
            os.kill(pid, signal.SIGKILL)
        legacy = None
        word, said = await self._word()
        if word == "left":
            legacy = msgspec.json.decode(said, type=Legacy)
            said = await self._hear("dead")
        assert said == ("0" if legacy else str(-signal.SIGKILL)), "it ended otherwise than by peace or by kill"
        self.deaths += legacy is None
        return legacy

    async def _hear(self, expected: str) -> str:
        word, said = await self._word()
        assert word == expected
        return said

    async def _word(self) -> tuple[str, str]:
        assert self._process.stdout is not None
        word, _, said = (await self._process.stdout.readline()).decode().rstrip().partition(" ")
        return word, said


async def test_a_terminal_killed_at_any_step_agrees_with_the_ledger(database: Database, tmp_path: Path) -> None:
    await _run(database, tmp_path, [*EVERY_STEP, *RESUMING], moments=2, seed=1)


@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", [2, 3])
async def test_a_terminal_killed_two_hundred_times_agrees_with_the_ledger(
    database: Database, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    deaths: list[Death] = [(chance.choice(list(Kind)), chance.randint(1, 60), False) for _ in range(160)]
    await _run(database, tmp_path, deaths, moments=40, seed=seed)


async def _run(database: Database, folder: Path, deaths: list[Death], *, moments: int, seed: int) -> None:
    await schema.create(database.superuser_url)
    config = demo_data.read().config()
    links = tuple(msgspec.structs.replace(link, port=0) for link in config.links)
    config = msgspec.structs.replace(config, links=links, http_port=0)
    chance = random.Random(seed)
    async with serving(config, database.url, SimulatedClock(NOON), demo=True) as service, Graveyard.open() as graveyard:
        life = Life(
            folder=str(folder / "till"),
            terminal="MOR00001",
            port=service.links[0].port,
            now=NOON,
            seed=seed,
            first=Kind.BUYS,
        )
        for number, (first, step, resuming) in enumerate(deaths, 1):
            one = msgspec.structs.replace(life, seed=seed + number, first=first, dies_at=step, dies_resuming=resuming)
            assert await graveyard.live(one) is None
        for number in range(moments):
            restless = msgspec.structs.replace(life, seed=-seed - number)
            assert await graveyard.live(restless, killed_after_s=chance.random() * MOMENT_S) is None
        legacy = await graveyard.live(msgspec.structs.replace(life, customers=3))
        [recorded] = await _fetch(database, MONEY, life.terminal)
    assert graveyard.deaths == len(deaths) + moments
    assert legacy is not None
    assert (legacy.in_doubt, legacy.to_tell) == (0, 0)
    assert (legacy.owed, legacy.held) == (recorded["owed"], recorded["held"])
    assert legacy.net == legacy.owed, "the batch file comes to something else than the book"
    assert recorded["records"] > len(deaths), "little money moved: that proves nothing"


async def _fetch(database: Database, query: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database.url)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()
