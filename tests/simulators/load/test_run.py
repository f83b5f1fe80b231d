"""The open loop: what is asked doesn't depend on what is answered, and a stall shows in the percentiles.

No absolute times: the machine's speed cancels out, or only bounds that a correct clock can't break are asserted.
"""

import asyncio
import math

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.acquirer.host import AcquirerHost
from simulators.load.run import Pace, precise_loop, prepare, run, schedule
from simulators.terminal.card import Card

CARD = Card(pan="9250100000000014")
RATE = 500.0
DELAY_SECONDS = 0.1


@pytest.fixture
def measure(hosting, codec, terminal):
    """Run `count` purchases at RATE against a script; uniform arrivals."""

    async def measured(script, count, connections=1, **options):
        requests = list(prepare(codec, (terminal.purchase(CARD, 100) for _ in range(count))))
        async with hosting(script) as host:
            hosts = [await AcquirerHost.connect("127.0.0.1", host.port, codec) for _ in range(connections)]
            plan = schedule(RATE, count / RATE, Pace.UNIFORM, seed=1)
            result = await run(plan, requests, hosts, **options)
            for connected in hosts:
                await connected.close()
            return result, host

    return measured


@given(rate=st.floats(1, 1_000), seed=st.integers(), pace=st.sampled_from(list(Pace)))
@settings(max_examples=30)
def test_a_schedule_is_fixed_by_its_seed_ascends_and_keeps_its_rate(rate, seed, pace):
    plan = schedule(rate, 2, pace, seed)
    assert plan == schedule(rate, 2, pace, seed)
    assert list(plan.arrivals) == sorted(plan.arrivals)
    assert all(0 <= at < 2 + 1 / rate for at in plan.arrivals)
    assert abs(len(plan.arrivals) - 2 * rate) <= 6 * math.sqrt(2 * rate) + 1


async def test_everything_is_answered_and_counted_by_code_and_reason(measure, answer):
    def script(peer, request):
        refused = int(request.trace) % 4 == 0
        peer.send(answer(request, "51", "NO_FUNDS") if refused else answer(request))

    result, host = await measure(script, 40, connections=2)
    assert (result.answered, result.unanswered, result.unsent) == (40, 0, 0)
    counted = [(reply.response_code, reply.reason, reply.count) for reply in result.replies]
    assert counted == [("00", "APPROVED", 30), ("51", "NO_FUNDS", 10)]
    assert [len(peer.heard) for peer in host.peers] == [20, 20]
    assert result.p50_ms <= result.p90_ms <= result.p99_ms <= result.p99_9_ms <= result.max_ms
    assert result.asked_rate == RATE
    assert result.held_rate > 0


async def test_a_tenth_answered_late_shows_above_the_90th_percentile_only(measure, answer):
    """Every tenth reply is held back: the 99th percentile must bear the delay, the median must not."""

    def script(peer, request):
        if int(request.trace) % 10 == 0:
            asyncio.get_running_loop().call_later(DELAY_SECONDS, peer.send, answer(request))
        else:
            peer.send(answer(request))

    result, _ = await measure(script, 100)
    assert result.answered == 100
    assert result.p99_ms >= DELAY_SECONDS * 1_000 * 0.99
    assert result.p50_ms < result.p99_ms


async def test_a_stall_counts_for_all_that_was_due_in_it(measure, answer):
    """Coordinated omission: one stall, met by a closed loop, would be one slow request of a hundred.

    The host stops reading for half of the run. All that was due meanwhile waited, evenly from 0 to the stall's
    length: so the 90th percentile of all requests is at least two thirds of it.
    """
    count = 100
    stall_seconds = count / RATE / 2

    async def script(peer, request):
        if request.trace == "000001":
            await asyncio.sleep(stall_seconds)
        peer.send(answer(request))

    result, _ = await measure(script, count)
    assert result.answered == count
    assert result.max_ms >= stall_seconds * 1_000 * 0.99
    assert result.p90_ms >= stall_seconds * 1_000 * 2 / 3


async def test_requests_leave_on_time_though_nothing_is_answered(measure, answer):
    """Open loop: a host that never answers still hears everything, and all of it counts as waited for."""
    result, host = await measure(lambda peer, request: None, 50, drain_seconds=0.05)
    assert len(host.heard) == 50
    assert (result.answered, result.unanswered, result.unsent) == (0, 50, 0)
    assert result.p50_ms >= 50 * 0.99


async def test_a_link_lost_on_the_way_loses_no_request_from_the_count(measure, answer):
    def script(peer, request):
        if request.trace == "000010":
            peer.cut()
        else:
            peer.send(answer(request))

    result, _ = await measure(script, 50)
    assert result.unanswered >= 1
    assert result.answered + result.unanswered + result.unsent == 50


async def test_what_a_lost_link_cannot_send_is_unsent(hosting, codec, terminal):
    requests = prepare(codec, [terminal.purchase(CARD, 100) for _ in range(5)])
    async with hosting(lambda peer, request: None) as host:
        lost = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        await lost.close()
        result = await run(schedule(RATE, 5 / RATE, Pace.UNIFORM, seed=1), requests, [lost])
    assert (result.answered, result.unanswered, result.unsent) == (0, 0, 5)


@pytest.mark.parametrize("loop", [precise_loop, uvloop.new_event_loop])
def test_a_run_is_the_same_on_every_loop(loop, hosting, codec, terminal, answer):
    async def measured():
        requests = prepare(codec, [terminal.purchase(CARD, 100) for _ in range(20)])
        async with hosting(lambda peer, request: peer.send(answer(request))) as host:
            connected = await AcquirerHost.connect("127.0.0.1", host.port, codec)
            result = await run(schedule(RATE, 20 / RATE, Pace.UNIFORM, seed=1), requests, [connected])
            await connected.close()
            return result

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(measured()).answered == 20
