"""The open loop: what is asked doesn't depend on what is answered, and a stall shows in the percentiles.

No absolute times: the machine's speed cancels out, or only bounds that a correct clock can't break are asserted.
"""

import asyncio

import pytest
import uvloop

from authz.wire.message import Message
from simulators.load.connection import Connection
from simulators.load.run import precise_loop, prepare, run
from simulators.load.schedule import Pace, Schedule
from simulators.terminal.card import Card

CARD = Card(pan="9250100000000014")
RATE = 500.0
DELAY_SECONDS = 0.1


@pytest.fixture
def measure(hosting, codec, terminal):
    """Run `count` purchases at RATE against a script; uniform arrivals."""

    async def measured(script, count, connections=1, warm_up=0, **options):
        requests = list(prepare(codec, (terminal.purchase(CARD, 100) for _ in range(count))))
        async with hosting(script) as host:
            hosts = [await Connection.connect("127.0.0.1", host.port, codec) for _ in range(connections)]
            plan = Schedule(RATE, (count - warm_up) / RATE, Pace.UNIFORM, warm_up_seconds=warm_up / RATE)
            result = await run(plan, requests, hosts, **options)
            for connected in hosts:
                await connected.close()
            return result, host

    return measured


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


async def test_a_run_that_is_ended_sends_no_more_and_tells_what_there_was(measure, answer):
    ended = asyncio.Event()

    def script(peer, request):
        if request.trace == "000020":
            ended.set()
        peer.send(answer(request))

    result, host = await measure(script, 200, ended=ended)
    assert 20 <= result.answered == len(host.heard) < 200
    assert (result.unanswered, result.unsent) == (0, 0)


async def test_a_host_that_hangs_up_is_connected_to_again(measure, answer):
    """What was in flight counts as unanswered, what was due meanwhile as unsent; then all is answered again."""

    def script(peer, request):
        if request.trace == "000010":
            peer.cut()
        else:
            peer.send(answer(request))

    result, host = await measure(script, 400)
    assert len(host.peers) == 2
    assert host.peers[1].heard[-1].trace == "000400"
    assert result.unsent >= 1
    assert result.answered + result.unanswered + result.unsent == 400


async def test_what_a_lost_link_cannot_send_is_unsent(hosting, codec, terminal):
    requests = prepare(codec, [terminal.purchase(CARD, 100) for _ in range(5)])
    async with hosting(lambda peer, request: None) as host:
        lost = await Connection.connect("127.0.0.1", host.port, codec)
        await lost.close()
        result = await run(Schedule(RATE, 5 / RATE, Pace.UNIFORM), requests, [lost])
    assert (result.answered, result.unanswered, result.unsent) == (0, 0, 5)


@pytest.mark.parametrize("loop", [precise_loop, uvloop.new_event_loop])
def test_a_run_is_the_same_on_every_loop(loop, hosting, codec, terminal, answer):
    async def measured():
        requests = prepare(codec, [terminal.purchase(CARD, 100) for _ in range(20)])
        async with hosting(lambda peer, request: peer.send(answer(request))) as host:
            connected = await Connection.connect("127.0.0.1", host.port, codec)
            result = await run(Schedule(RATE, 20 / RATE, Pace.UNIFORM), requests, [connected])
            await connected.close()
            return result

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(measured()).answered == 20


async def test_what_is_due_in_the_warm_up_is_sent_and_not_counted(measure, answer):
    """Half of the warm-up isn't answered at all, the rest is refused: neither is in the result."""

    def script(peer, request):
        number = int(request.trace)
        if number > 50:
            peer.send(answer(request))
        elif number % 2:
            peer.send(answer(request, "91", "OVERLOADED"))

    result, host = await measure(script, 100, warm_up=50, drain_seconds=0.05)
    assert len(host.heard) == 100
    assert (result.answered, result.unanswered, result.unsent, result.errors) == (50, 0, 0, 0)
    assert result.latencies().count == 50


async def test_distributions_add_up_to_the_whole(measure, answer):
    """By message and outcome, with what wasn't answered: merged, they are the run's own histogram."""

    def script(peer, request):
        number = int(request.trace)
        if number % 5:
            peer.send(answer(request, "51", "NO_FUNDS") if number % 2 else answer(request))

    result, _ = await measure(script, 50, drain_seconds=0.05)
    assert sum(one.count for one in result.distributions) == result.answered == 40
    assert result.unanswered == 10
    whole = result.latencies()
    assert whole.count == 50
    assert whole.milliseconds(99) == result.p99_ms
    assert result.latencies_of_outcome("51", "NO_FUNDS").count == 20


async def test_seconds_tell_what_was_asked_and_answered_in_them(measure, answer):
    seen = []
    result, _ = await measure(lambda peer, request: peer.send(answer(request)), 600, watch=seen.append)
    assert tuple(seen) == result.seconds[: len(seen)]
    assert sorted(second.at for second in result.seconds) == [second.at for second in result.seconds]
    assert 0 < seen[0].answered <= seen[0].asked
    assert all(second.p50_ms <= second.p99_ms and not second.errors for second in seen)


async def test_an_echo_test_of_the_hosts_is_answered_in_a_run(measure, answer):
    def script(peer, request):
        if request.trace == "000005":
            peer.send(Message(mti="0800", transmitted="0512103000", trace="000077", network_code="301"))
        if request.mti == "0200":
            peer.send(answer(request))

    result, host = await measure(script, 20)
    assert result.answered == 20
    assert [heard.trace for heard in host.heard if heard.mti == "0810"] == ["000077"]


async def test_what_answers_nothing_is_counted_and_nothing_else(hosting, codec, terminal, answer):
    """A reply sent twice, one to a stranger, one that can't be read: the run goes on."""

    def script(peer, request):
        peer.send(answer(request))
        peer.send(answer(request))
        peer.send_bytes(b"\x00\x05junk!")

    async with hosting(script) as host:
        connection = await Connection.connect("127.0.0.1", host.port, codec)
        requests = prepare(codec, [terminal.purchase(CARD, 100) for _ in range(10)])
        result = await run(Schedule(RATE, 10 / RATE, Pace.UNIFORM), requests, [connection])
        await connection.close()
    assert result.answered == 10
    assert connection.unmatched >= 9
    assert connection.garbled >= 9
