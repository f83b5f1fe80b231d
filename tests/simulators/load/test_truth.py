"""What is reported is what happened: known delays come back as percentiles, and a stall counts for all it held up.

The hosts are processes of their own. The bounds are shares of delays so long that a busy machine's noise is small
beside them.
"""

import time

import pytest

from simulators.acquirer.host import AcquirerHost
from simulators.load.connection import Connection
from simulators.load.latencies import Latencies
from simulators.load.run import prepare, run
from simulators.load.schedule import Pace, Schedule
from simulators.terminal.card import Card

CARD = Card(pan="9250100000000014")
STALL_SECONDS = 1.0


async def measured(host, codec, terminal, plan):
    requests = list(prepare(codec, [terminal.purchase(CARD, 100) for _ in plan]))
    connections = [await Connection.connect("127.0.0.1", host.port, codec) for _ in range(2)]
    result = await run(plan, requests, connections)
    for connection in connections:
        await connection.close()
    return result


async def test_the_p99_of_known_delays_is_right_within_five_percent(slow_host, codec, terminal):
    """Exponential delays of 150 ms on average, so some 700 ms at p99: beside those that the host says it made."""
    plan = Schedule(600, 1.5, Pace.POISSON, seed=5)
    async with slow_host("exponential", 150) as host:
        result = await measured(host, codec, terminal, plan)
        injected = Latencies()
        for milliseconds in await host.told():
            injected.record(int(milliseconds * 1_000_000))
    assert result.answered == injected.count == len(plan.arrivals)
    assert result.p99_ms == pytest.approx(injected.milliseconds(99), rel=0.05)
    assert result.p90_ms == pytest.approx(injected.milliseconds(90), rel=0.05)


async def test_a_stall_of_a_second_counts_for_every_request_that_was_due_in_it(slow_host, codec, terminal):
    """Coordinated omission: rate times 1 s requests waited, evenly from 0 to 1 s, which is what the percentiles say."""
    rate, seconds = 200, 2
    plan = Schedule(rate, seconds, Pace.UNIFORM)
    async with slow_host("stall", STALL_SECONDS, 100) as host:
        result = await measured(host, codec, terminal, plan)
    stalled = rate * STALL_SECONDS / (rate * seconds)
    for percentile in (75, 90, 99):
        waited = STALL_SECONDS * (1 - (1 - percentile / 100) / stalled)
        assert result.latencies().milliseconds(percentile) == pytest.approx(waited * 1_000, rel=0.1)
    assert result.p50_ms < 0.1 * STALL_SECONDS * 1_000


async def test_measured_from_the_sending_the_same_stall_is_one_slow_request(slow_host, codec, terminal):
    """What the open loop is for: a client that waits for each answer before it sends the next never sees the stall."""
    latencies = Latencies()
    async with slow_host("stall", STALL_SECONDS, 100) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        for _ in range(200):
            sent = time.perf_counter_ns()
            await acquirer.exchange(terminal.purchase(CARD, 100))
            latencies.record(time.perf_counter_ns() - sent)
        await acquirer.close()
    assert latencies.milliseconds(100) >= STALL_SECONDS * 1_000
    assert latencies.milliseconds(99) < 0.5 * STALL_SECONDS * 1_000
