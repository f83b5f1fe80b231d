"""Payments by the crowd, made before a run so that the run only sends, and the runs that send them."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import count

from msgspec import Struct
from msgspec.structs import replace

from authz.demo.demo import generated_cards
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from benchmarks.authorizer import Authorizer, Usage
from benchmarks.costs import Cost, Meter, cost
from benchmarks.rows import FAULTS, Row, costing, row, row_of
from benchmarks.samples import TUESDAY_NOON
from simulators.link import LinkLost
from simulators.load.connection import Arrival, Connection
from simulators.load.latencies import Latencies
from simulators.load.result import Result
from simulators.load.run import Prepared, prepare, run
from simulators.load.schedule import Pace, Schedule
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Terminal
from simulators.terminal.pinpad import PinPad

SEED = 19
CENTS_MAX = 5
"""So small that neither the day's cap nor anybody's balance ends a run early."""
TERMINALS = 64
CONNECTIONS = 4
IN_FLIGHT = 512
"""Requests in flight over all connections when an engine is saturated."""
SHOP_TERMINAL = "PAR00001"
AUTHORIZER = "authorizer, TCP and PIN"


class Crowd:
    """Holders who pay, one after the other, in no order, all by chip and PIN, at tills of one restaurant.

    `card_of` gives the card of a holder by number, from 0; without it they are the generated ones.
    """

    def __init__(self, holders: int, card_of: Callable[[int], Card] | None = None) -> None:
        known = parameters.demo()
        shop = known.site(SHOP_TERMINAL)
        assert shop is not None
        self.codec = Codec(shipped(known.dialect))
        self.holders = holders
        self._card_of = card_of or [Card(pan=one.pan, pin=one.pin) for one in generated_cards(holders)].__getitem__
        self._next = self._now = TUESDAY_NOON
        self._chance = random.Random(SEED)
        pad = PinPad(known.zone_pin_key)
        self._tills = [
            Terminal(replace(shop, terminal=f"BEN{number:05}"), known.acquirer, pad, self._clock)
            for number in range(TERMINALS)
        ]
        self._turn = count()

    def payments(self, plan: Schedule, who: Iterable[int] | None = None) -> Iterator[Prepared]:
        """Give one payment for each arrival, made when it is asked for; it bears the time at which it is due.

        `who` are the holders' numbers, in their order; without it, anybody pays.
        """
        start = self._next + timedelta(seconds=plan.warm_up_seconds)
        self._next = start + timedelta(seconds=plan.seconds + 1)
        payers = zip(plan, self._anybody() if who is None else who, strict=False)
        return prepare(self.codec, (self._pay(start + timedelta(seconds=at), holder) for at, holder in payers))

    def prepared(self, plan: Schedule, who: Iterable[int] | None = None) -> list[Prepared]:
        """Make all payments at once, so that a run only sends."""
        return list(self.payments(plan, who))

    def _anybody(self) -> Iterator[int]:
        while True:
            yield self._chance.randrange(self.holders)

    def _pay(self, at: datetime, holder: int) -> Message:
        self._now = at
        till = self._tills[next(self._turn) % TERMINALS]
        return till.purchase(self._card_of(holder), self._chance.randint(1, CENTS_MAX))

    def _clock(self) -> datetime:
        return self._now


class Paid(Struct, frozen=True):
    """Payments that were measured for `seconds`, what the engine had used before and after, and the database's cost."""

    result: Result
    seconds: float
    before: Usage
    after: Usage
    cost: Cost | None = None

    def row(self, name: str = AUTHORIZER) -> Row:
        """Write it as a line."""
        line = row_of(name, self.result, engine_us(self.before, self.after), batch(self.before, self.after))
        line = replace(line, kept=self.result.was_held(self.seconds))
        return line if self.cost is None else costing(line, self.cost)


def plan_of(rate: float, seconds: float) -> Schedule:
    """The arrivals of a run: the same for every engine and for the bare append."""
    return Schedule(rate, seconds, Pace.POISSON, SEED)


@asynccontextmanager
async def connected(authorizer: Authorizer, crowd: Crowd) -> AsyncIterator[list[Connection]]:
    """Connect the tills to an authorizer, over `CONNECTIONS` connections."""
    port = (await authorizer.usage()).port
    hosts: list[Connection] = []
    try:
        for _ in range(CONNECTIONS):
            hosts.append(await Connection.connect("127.0.0.1", port, crowd.codec))  # noqa: PERF401, all are closed
        yield hosts
    finally:
        for host in hosts:
            await host.close()


async def pay_on(
    authorizer: Authorizer,
    crowd: Crowd,
    rate: float,
    seconds: float,
    warm_up_seconds: float,
    meter: Meter | None = None,
    *,
    who: Iterator[int] | None = None,
    after_checkpoint: bool = False,
) -> Paid:
    """Send payments at their times, after a warm-up at the same rate.

    `who` are holders' numbers without end; else anybody pays. `after_checkpoint`: PostgreSQL makes a checkpoint
    between the two.
    """
    warm_up, plan = plan_of(rate, warm_up_seconds), plan_of(rate, seconds)
    first, requests = crowd.prepared(warm_up, who), crowd.prepared(plan, who)
    async with connected(authorizer, crowd) as hosts:
        await run(warm_up, first, hosts)
        if meter is not None and after_checkpoint:
            await meter.checkpoint()
        stood = None if meter is None else await meter.before()
        before = await authorizer.usage()
        result = await run(plan, requests, hosts)
        after = await authorizer.usage()
        spent = None if meter is None or stood is None else cost(stood, await meter.after(), result.answered)
    return Paid(result, seconds, before, after, spent)


async def saturate(
    authorizer: Authorizer, crowd: Crowd, payments: int, who: Iterable[int] | None = None
) -> tuple[Row, Usage, Usage]:
    """Keep `IN_FLIGHT` payments in flight until all are answered; give what the engine used before and after.

    A closed loop: it tells what an engine can carry, and of the latencies only that they were bearable.
    """
    requests = iter(crowd.prepared(Schedule(1_000, payments / 1_000, Pace.UNIFORM), who))
    latencies, faults = Latencies(), Counter[str]()
    async with connected(authorizer, crowd) as hosts:
        before = await authorizer.usage()
        start = time.perf_counter_ns()
        ways = (hosts[number % CONNECTIONS] for number in range(IN_FLIGHT))
        await asyncio.gather(*(_one_after_the_other(way, requests, latencies, faults) for way in ways))
        end = time.perf_counter_ns()
        after = await authorizer.usage()
    return row("authorizer, saturated", latencies, payments, end - start, errors=faults.total()), before, after


async def _one_after_the_other(
    host: Connection, requests: Iterator[Prepared], latencies: Latencies, faults: Counter[str]
) -> None:
    for request in requests:
        answered: asyncio.Future[Arrival | None] = asyncio.get_running_loop().create_future()
        sent = time.perf_counter_ns()
        host.post(request.frame, request.key, answered.set_result)
        host.flush()
        arrival = await answered
        if arrival is None:
            raise LinkLost("the authorizer closed the connection")
        latencies.record(arrival.at_ns - sent)
        if arrival.reply.reason in FAULTS:
            faults[arrival.reply.reason] += 1


def engine_us(before: Usage, after: Usage) -> float:
    """Processor time of the engine for a record, in microseconds."""
    spent = after.user_ns - before.user_ns + after.system_ns - before.system_ns
    return spent / 1_000 / max(after.records - before.records, 1)


def batch(before: Usage, after: Usage) -> float:
    """Records in an append, on average."""
    return (after.records - before.records) / max(after.appends - before.appends, 1)
