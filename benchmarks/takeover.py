"""How long no payment is decided when the engine that writes dies, freezes or is stopped, and what is lost: nothing.

Two engines are on one ledger. Payments arrive at a fixed rate, whatever has been answered. A terminal knows both
addresses: it asks the one that decided last, and the other when it hears 91, hears nothing within `PATIENCE_S`, or
finds its line cut. The time without service is from the last decision of the old engine to the first of the new one,
as the terminals see it.
"""

import asyncio
import random
import re
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path

import asyncpg
import msgspec
import uvloop
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from authz.database import Embedded
from authz.demo.demo import generated_cards
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from benchmarks.authorizer import AuthorizerFailed, started
from benchmarks.ground import Count, Positive, console_for_tables, temporary
from benchmarks.payments import CENTS_MAX, SEED, SHOP_TERMINAL, TERMINALS
from benchmarks.samples import TUESDAY_NOON
from simulators.acquirer.line import Line
from simulators.link import LinkError
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Terminal, repeat
from simulators.terminal.parameters import Parameters
from simulators.terminal.pinpad import PinPad
from simulators.terminal.till import UNDECIDED

RATE = 100.0
ROUNDS = 5
HOLDERS = 500
CALM_S = 2.0
"""Between two ends: every payment that the last one held up is decided by then."""
PATIENCE_S = 0.5
AGAIN_S = 0.2
"""From a 91 or a cut line to the next try."""
NS_PER_MILLISECOND = 1_000_000
GIVE_UP_S = 15.0
"""After so long without a decision a payment is given up, and a takeover has failed."""
DONE, FINDING = 0, 1

_READY = re.compile(rb"ready iso8583=127\.0\.0\.1:(\d+) ")
_RECORDED = """
SELECT rtrim(request -> 'command' -> 'origin' ->> 'terminal') AS terminal,
       request -> 'command' -> 'origin' ->> 'trace' AS trace, reply ->> 'reason' AS reason,
       reply ->> 'approval' AS approval
  FROM ledger.journal WHERE request -> 'command' -> 'origin' ->> 'terminal' LIKE 'TAK%'
"""


class End(StrEnum):
    """What happens to the engine that writes."""

    KILLED = "kill -9"
    FROZEN = "SIGSTOP"
    STOPPED = "SIGTERM"


SIGNALS = {End.KILLED: signal.SIGKILL, End.FROZEN: signal.SIGSTOP, End.STOPPED: signal.SIGTERM}


class Gap(Struct, frozen=True):
    """One takeover, and the milliseconds in which nothing was decided."""

    end: End
    milliseconds: float


class Findings(Struct, frozen=True):
    """What became of all payments. `lost` were answered and are not in the ledger so, `doubled` are there twice."""

    gaps: tuple[Gap, ...]
    payments: int
    refused: int
    """91s heard on the way."""
    unanswered: int
    lost: int
    doubled: int


class Engine:
    """An `authz serve` process, and the terminals' line to it. Made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, line: Line) -> None:
        self.process = process
        self.line = line

    @classmethod
    async def start(cls, url: str, codec: Codec) -> "Engine":
        """Start one, and wait until it accepts connections. Raises `AuthorizerFailed`."""
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("authz")), "serve", "--demo", "--database", url),
            *("--port", "0", "--http-port", "0", "--clock", TUESDAY_NOON.isoformat()),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        ready = _READY.match(await process.stdout.readline())
        if ready is None:
            raise AuthorizerFailed
        return cls(process, Line("127.0.0.1", int(ready[1]), codec))

    async def stop(self) -> None:
        """End it, whatever state it is in."""
        await self.line.close()
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


class Terminals:
    """Pay at a rate, at whichever of two engines decides, and remember what they were told."""

    def __init__(self, known: Parameters, holders: int, writer: Engine, standby: Engine) -> None:
        shop = known.site(SHOP_TERMINAL)
        assert shop is not None
        pad = PinPad(known.zone_pin_key)
        self.writer, self.standby = writer, standby
        self.told: dict[tuple[str, str], Message] = {}
        self.payments = self.refused = self.unanswered = 0
        self._asked = writer
        self._first: dict[Engine, int] = {}
        self._last: dict[Engine, int] = {}
        self._decided = asyncio.Condition()
        self._chance = random.Random(SEED)
        self._cards = [Card(pan=one.pan, pin=one.pin) for one in generated_cards(holders)]
        self._tills = [
            Terminal(
                msgspec.structs.replace(shop, terminal=f"TAK{number:05}"), known.acquirer, pad, lambda: TUESDAY_NOON
            )
            for number in range(TERMINALS)
        ]

    @asynccontextmanager
    async def paying(self, rate: float) -> AsyncIterator[None]:
        """Begin payments at a rate until the block ends; those that have begun are seen to their end."""
        closing = asyncio.Event()
        arriving = asyncio.create_task(self._arrive(rate, closing))
        try:
            yield
        finally:
            closing.set()
            await arriving

    async def out_of_service(self, end: End) -> float:
        """Put an end to the writer; return the milliseconds until the standby decides. Then they have changed places.

        Raises `AuthorizerFailed` where it never does.
        """
        self._first.clear()
        self.writer.process.send_signal(SIGNALS[end])
        try:
            async with asyncio.timeout(GIVE_UP_S), self._decided:
                await self._decided.wait_for(lambda: self.standby in self._first)
        except TimeoutError:
            raise AuthorizerFailed from None
        gap = self._first[self.standby] - self._last[self.writer]
        self.writer, self.standby = self.standby, self.writer
        return gap / NS_PER_MILLISECOND

    async def _arrive(self, rate: float, closing: asyncio.Event) -> None:
        due = time.perf_counter()
        async with asyncio.TaskGroup() as paying:
            while not closing.is_set():
                due += self._chance.expovariate(rate)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                paying.create_task(self._pay())

    async def _pay(self) -> None:
        self.payments += 1
        till = self._tills[self.payments % TERMINALS]
        request = sending = till.purchase(self._chance.choice(self._cards), self._chance.randint(1, CENTS_MAX))
        give_up = time.perf_counter() + GIVE_UP_S
        while time.perf_counter() < give_up:
            engine = self._asked
            reply = await self._ask(engine, sending)
            if reply is not None and reply.response_code not in UNDECIDED:
                self.told[till.site.terminal, request.trace or ""] = reply
                await self._note(engine)
                return
            if engine is self._asked:
                self._asked = self.standby if engine is self.writer else self.writer
            sending = repeat(request)
            await asyncio.sleep(AGAIN_S)
        self.unanswered += 1

    async def _note(self, engine: Engine) -> None:
        self._last[engine] = time.perf_counter_ns()
        self._first.setdefault(engine, self._last[engine])
        async with self._decided:
            self._decided.notify_all()

    async def _ask(self, engine: Engine, sending: Message) -> Message | None:
        try:
            reply = await engine.line.exchange(sending, PATIENCE_S)
        except LinkError:
            return None
        self.refused += reply.response_code in UNDECIDED
        return reply


def takeover(
    *, rate: Positive = RATE, rounds: Count = ROUNDS, holders: Count = HOLDERS, data: Path | None = None
) -> int:
    """Kill, freeze and stop the engine that writes under load, and measure how long nobody decides.

    Exit 1 if a payment is lost or doubled, or never answered.

    Parameters
    ----------
    rate
        Payments a second.
    rounds
        How often each of the three happens.
    holders
        How many holders pay.
    data
        Where the temporary data folder is made.
    """
    console = console_for_tables()
    with console.status("two engines on one ledger …"), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        findings = runner.run(_measure(rate, rounds, holders, data))
    _show(console, findings, rate)
    return FINDING if findings.lost or findings.doubled or findings.unanswered else DONE


async def _measure(rate: float, rounds: int, holders: int, place: Path | None) -> Findings:
    async with temporary(place) as embedded:
        async with started(embedded.url, holders):
            pass  # it enters the holders' money
        return await _on(embedded, rate, rounds, holders)


async def _on(embedded: Embedded, rate: float, rounds: int, holders: int) -> Findings:
    known = parameters.demo()
    codec = Codec(shipped(known.dialect))
    writer = await Engine.start(embedded.url, codec)
    standby = await Engine.start(embedded.url, codec)
    terminals = Terminals(known, holders, writer, standby)
    gaps: list[Gap] = []
    try:
        async with terminals.paying(rate):
            for end in [*End] * rounds:
                await asyncio.sleep(CALM_S)
                old = terminals.writer
                gaps.append(Gap(end, await terminals.out_of_service(end)))
                if end is End.FROZEN:
                    old.process.send_signal(signal.SIGCONT)
                else:
                    await old.stop()
                    terminals.standby = await Engine.start(embedded.url, codec)
            await asyncio.sleep(CALM_S)
    finally:
        await terminals.writer.stop()
        await terminals.standby.stop()
    return await _held_to_the_ledger(embedded.superuser_url, terminals, tuple(gaps))


async def _held_to_the_ledger(url: str, terminals: Terminals, gaps: tuple[Gap, ...]) -> Findings:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(_RECORDED)
    finally:
        await connection.close()
    recorded = {(row["terminal"], row["trace"]): (row["reason"], row["approval"]) for row in rows}
    told = {name: (reply.reason, reply.approval) for name, reply in terminals.told.items()}
    return Findings(
        gaps=gaps,
        payments=terminals.payments,
        refused=terminals.refused,
        unanswered=terminals.unanswered,
        lost=sum(recorded.get(name) != reply for name, reply in told.items()),
        doubled=len(rows) - len(recorded),
    )


def _show(console: Console, findings: Findings, rate: float) -> None:
    table = Table(title=f"takeover at {rate:g} payments/s: milliseconds without a decision", title_justify="left")
    table.add_column("the engine that writes")
    for name in ("times", "least", "median", "most"):
        table.add_column(name, justify="right")
    for end in End:
        gaps = [gap.milliseconds for gap in findings.gaps if gap.end is end]
        table.add_row(end, str(len(gaps)), *(f"{one:,.0f}" for one in (min(gaps), statistics.median(gaps), max(gaps))))
    console.print(table)
    console.print(
        f"{findings.payments:,} payments, {findings.refused:,} times 91 on the way, "
        f"{findings.unanswered:,} never answered, {findings.lost:,} lost, {findings.doubled:,} doubled"
    )
