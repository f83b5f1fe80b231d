"""Payments by the crowd, made before a run so that the run only sends, and the runs that send them."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count

from msgspec.structs import replace

from authz.demo import generated_cards
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from benchmarks.authorizer import Authorizer, Usage
from benchmarks.rows import FAULTS, Row, row, row_of
from benchmarks.samples import TUESDAY_NOON
from simulators.link import LinkLost
from simulators.load.connection import Arrival, Connection
from simulators.load.latencies import Latencies
from simulators.load.run import Prepared, prepare, run
from simulators.load.schedule import Pace, Schedule
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Terminal
from simulators.terminal.pinpad import PinPad

SEED = 19
CENTS_MAX = 20
"""So small that neither the day's cap nor anybody's balance ends a run early."""
TERMINALS = 64
CONNECTIONS = 4
IN_FLIGHT = 512
"""Requests in flight over all connections when an engine is saturated."""
SHOP_TERMINAL = "PAR00001"


class Crowd:
    """Holders who pay, one after the other, in no order, all by chip and PIN, at tills of one restaurant."""

    def __init__(self, holders: int) -> None:
        known = parameters.demo()
        shop = known.site(SHOP_TERMINAL)
        assert shop is not None
        self.codec = Codec(shipped(known.dialect))
        self._now = TUESDAY_NOON
        self._chance = random.Random(SEED)
        self._cards = [Card(pan=one.pan, pin=one.pin) for one in generated_cards(holders)]
        pad = PinPad(known.zone_pin_key)
        self._tills = [
            Terminal(replace(shop, terminal=f"BEN{number:05}"), known.acquirer, pad, self._clock)
            for number in range(TERMINALS)
        ]
        self._turn = count()

    def prepared(self, plan: Schedule) -> list[Prepared]:
        """Make one payment for each arrival; it bears the time at which it is due."""
        requests = list(prepare(self.codec, map(self._pay_at, plan)))
        self._now += timedelta(seconds=plan.seconds + 1)
        return requests

    def _pay_at(self, seconds: float) -> Message:
        start, self._now = self._now, self._now + timedelta(seconds=seconds)
        try:
            till = self._tills[next(self._turn) % TERMINALS]
            return till.purchase(self._chance.choice(self._cards), self._chance.randint(1, CENTS_MAX))
        finally:
            self._now = start

    def _clock(self) -> datetime:
        return self._now


def plan_of(rate: float, seconds: float) -> Schedule:
    """The arrivals of a run: the same for every engine and for the bare append."""
    return Schedule(rate, seconds, Pace.POISSON, SEED)


async def pay_on(authorizer: Authorizer, crowd: Crowd, rate: float, seconds: float, warm_up_seconds: float) -> Row:
    """Send payments at their times, over `CONNECTIONS` connections, after a warm-up at the same rate."""
    warm_up, plan = plan_of(rate, warm_up_seconds), plan_of(rate, seconds)
    first, requests = crowd.prepared(warm_up), crowd.prepared(plan)
    port = (await authorizer.usage()).port
    hosts = [await Connection.connect("127.0.0.1", port, crowd.codec) for _ in range(CONNECTIONS)]
    try:
        await run(warm_up, first, hosts)
        before = await authorizer.usage()
        result = await run(plan, requests, hosts)
        after = await authorizer.usage()
    finally:
        for host in hosts:
            await host.close()
    return row_of("authorizer, TCP and PIN", result, engine_us(before, after), batch(before, after))


async def saturate(authorizer: Authorizer, crowd: Crowd, payments: int) -> tuple[Row, Usage, Usage]:
    """Keep `IN_FLIGHT` payments in flight until all are answered; give what the engine used before and after.

    A closed loop: it tells what an engine can carry, and of the latencies only that they were bearable.
    """
    requests = iter(crowd.prepared(Schedule(1_000, payments / 1_000, Pace.UNIFORM)))
    port = (await authorizer.usage()).port
    hosts = [await Connection.connect("127.0.0.1", port, crowd.codec) for _ in range(CONNECTIONS)]
    latencies, faults = Latencies(), Counter[str]()
    try:
        before = await authorizer.usage()
        start = time.perf_counter_ns()
        ways = (hosts[number % CONNECTIONS] for number in range(IN_FLIGHT))
        await asyncio.gather(*(_one_after_the_other(way, requests, latencies, faults) for way in ways))
        end = time.perf_counter_ns()
        after = await authorizer.usage()
    finally:
        for host in hosts:
            await host.close()
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
