"""A terminal that dies: a till on disk, in a process of its own, that pays until it is killed, and can be started anew.

Run as a program, it starts a till for each line of JSON that it reads (a `Life`), one after the other, each in a fork
of its own: so the many lives of a test don't each import everything. It says `born PID`, and `dead STATUS` afterwards.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from simulators.acquirer.line import Line
from simulators.terminal import parameters
from simulators.terminal.book import Kind as Entered
from simulators.terminal.journal import Event, Happening, Journal
from simulators.terminal.messages import Terminal
from simulators.terminal.pinpad import PinPad
from simulators.terminal.till import Patience, Till

QUICK = Patience(answer_within_s=5.0, again_every_s=0.05)
CENTS_MAX = 30
PANS = ("9250100000000014", "9250100000000022", "9250100000000030")


class Kind(StrEnum):
    """What customers do. Each request has two steps, at which one can die: when it is entered, and when it is answered;
    a third is when the answer is entered."""

    BUYS = "buys"
    RETURNS = "buys, and brings it back"
    STAYS = "has an amount held, and the bill is captured"
    OFFLINE = "is accepted offline"


STEPS = {Kind.BUYS: 3, Kind.RETURNS: 6, Kind.STAYS: 6, Kind.OFFLINE: 3}


class Life(Struct, frozen=True, kw_only=True):
    """One run of a till. It dies at its n-th step (0: it doesn't by itself), or ends after so many `customers`.

    Steps count from the first customer, or, where it `dies_resuming`, from the beginning. The first customer is of the
    kind that `first` says; who comes then, and what they pay, the seed draws.
    """

    folder: str
    terminal: str
    port: int
    now: datetime
    seed: int
    first: Kind
    dies_at: int = 0
    dies_resuming: bool = False
    customers: int = 1_000_000


class Legacy(Struct, frozen=True, kw_only=True):
    """What a till says when it ends in peace, all told: cents owed and held, the batch's net."""

    in_doubt: int
    to_tell: int
    owed: int
    held: int
    net: int


class Mortality:
    """Kills the process at its n-th step."""

    def __init__(self, dies_at: int) -> None:
        self.left = dies_at

    def step(self) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


class MortalJournal(Journal):
    """A journal behind whose every write one can die."""

    def __init__(self, folder: Path, step: Callable[[], None]) -> None:
        super().__init__(folder)
        self._step = step

    def append(self, happening: Happening, at: datetime, request: Message, reply: Message | None = None) -> Event:
        event = super().append(happening, at, request, reply)
        self._step()
        return event


class MortalLine(Line):
    """A line on which one can die when the answer is there."""

    def __init__(self, port: int, codec: Codec, step: Callable[[], None]) -> None:
        super().__init__("127.0.0.1", port, codec)
        self._step = step

    async def exchange(self, request: Message, timeout: float) -> Message:
        reply = await super().exchange(request, timeout)
        self._step()
        return reply


async def live(life: Life) -> Legacy:
    """Finish what the life before left, serve customers, close the day."""
    known, mortality = parameters.demo(), Mortality(life.dies_at if life.dies_resuming else 0)
    site = msgspec.structs.replace(known.terminal[0], terminal=life.terminal)
    terminal = Terminal(site, known.acquirer, PinPad(known.pin_pad_key), lambda: life.now)
    line = MortalLine(life.port, Codec(shipped(known.dialect)), mortality.step)
    with MortalJournal(Path(life.folder), mortality.step) as journal:
        till = Till(terminal, line, QUICK, journal)
        await till.resume()
        mortality.left = 0 if life.dies_resuming else life.dies_at
        for number in range(life.customers):
            chance = random.Random(f"{life.seed}:{number}")
            await serve(till, known, chance, chance.choice(list(Kind)) if number else life.first)
        owed, held = terminal.owed, terminal.book.standing(Entered.HOLD)
        closed = await till.close_day()
        await line.close()
        standing = till.standing
        return Legacy(
            in_doubt=len(standing.in_doubt),
            to_tell=len(standing.to_tell),
            owed=owed,
            held=held,
            net=closed.batch.totals.net,
        )


async def serve(till: Till, known: parameters.Parameters, chance: random.Random, kind: Kind) -> None:
    """Serve one customer."""
    test_card = known.known(chance.choice(PANS))
    assert test_card is not None
    card = msgspec.structs.replace(test_card.in_hand(2026), pin=test_card.pin)
    terminal, cents = till.terminal, chance.randint(2, CENTS_MAX)
    match kind:
        case Kind.BUYS:
            await till.pay(terminal.purchase(card, cents))
        case Kind.RETURNS:
            sale = terminal.purchase(card, cents)
            if await till.pay(sale) is not None:
                await till.take_back(sale, stands=chance.choice([None, 1]))
        case Kind.STAYS:
            hold = terminal.authorization(card, cents)
            if await till.pay(hold) is not None:
                await till.tell(terminal.completion(card, hold, cents - 1))
        case Kind.OFFLINE:
            till.store(terminal.advice(card.without_pin(), cents))
            await till.forward()


def main() -> None:
    """Let lives be lived."""
    for line in sys.stdin:
        life = msgspec.json.decode(line, type=Life)
        pid = os.fork()
        if not pid:
            legacy = asyncio.run(live(life))
            _say(f"left {msgspec.json.encode(legacy).decode()}")
            os._exit(0)
        _say(f"born {pid}")
        _say(f"dead {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}")


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


if __name__ == "__main__":
    main()
