"""The fault proxy over real sockets: each fault by itself, byte for byte, as both ends see it."""

import asyncio
import random
import socket
from collections import Counter

import pytest
import uvloop
from rich.pretty import pretty_repr

from authz.wire.dialect import Framing
from simulators.faults import connection as connection_module
from simulators.faults import lanes as lanes_module
from simulators.faults import proxy as proxy_module
from simulators.faults.fates import UNHARMED, Direction, Faults, LineFaults, draw, first_part, on_the_wire, refuses
from simulators.faults.plan import Phase, Plan
from simulators.faults.proxy import FaultProxy, NoListening
from tests.simulators.faults.ends import FRAMES, FRAMING, Closed, framed, line, payloads, turns

ALWAYS = 1_000
LONG_MS = 60_000
KEEP_ALIVE = b"\x00\x00"


def fates(faults, direction=Direction.TO, seed=1, count=FRAMES):
    return [draw(faults, seed, 1, direction, frame) for frame in range(1, count + 1)]


async def test_without_faults_every_byte_passes_both_ways_and_so_does_each_end():
    async with line() as both:
        host, authorizer = await both.both()
        await authorizer.hears(host.send(*payloads()))
        await host.hears(authorizer.send(*payloads(7)))
        host.writer.write_eof()
        assert await authorizer.ends() is Closed.FIN
        await host.hears(host.heard + authorizer.send(b"behind the host's end"))
        authorizer.writer.write_eof()
        assert await host.ends() is Closed.FIN
    assert (both.proxy.counts.frames, both.proxy.counts.connections) == (FRAMES + 8, 1)


async def test_frames_are_recognized_however_the_bytes_are_cut():
    chance = random.Random(1)
    stream = framed(*payloads(20))
    async with line(Faults(duplicate=ALWAYS, delay_max_ms=1)) as both:
        host, authorizer = await both.both()
        while stream:
            size = chance.randint(1, 7)
            host.writer.write(stream[:size])
            await host.writer.drain()
            stream = stream[size:]
        await authorizer.until(lambda: len(authorizer.frames) == 40)
    assert Counter(authorizer.frames) == dict.fromkeys(payloads(20), 2)


async def test_keep_alives_are_carried():
    async with line() as both:
        host, authorizer = await both.both()
        host.writer.write(KEEP_ALIVE)
        await authorizer.hears(KEEP_ALIVE)
    assert both.proxy.counts.frames == 0


async def test_dropped_frames_are_lost_and_no_others():
    faults = Faults(drop=300)
    surviving = [frame for frame, fate in zip(payloads(), fates(faults, seed=7), strict=True) if fate == UNHARMED]
    async with line(LineFaults(to=faults), seed=7) as both:
        host, authorizer = await both.both()
        host.send(*payloads())
        await authorizer.hears(framed(*surviving))
        await turns(lambda: both.proxy.counts.frames == FRAMES)
    assert both.proxy.counts.dropped == FRAMES - len(surviving) > 0


@pytest.mark.parametrize("direction", Direction)
async def test_faults_strike_in_their_own_direction_alone(direction):
    async with line(LineFaults.towards(direction, Faults(drop=ALWAYS))) as both:
        host, authorizer = await both.both()
        spared, struck = (host, authorizer) if direction is Direction.TO else (authorizer, host)
        spared.send(*payloads(3))
        await turns(lambda: both.proxy.counts.dropped == 3)
        await spared.hears(struck.send(*payloads(3)))
        assert struck.heard == b""


async def test_a_delayed_frame_comes_no_earlier_than_its_fixed_delay():
    async with line(Faults(delay=ALWAYS, delay_min_ms=30, delay_max_ms=30)) as both:
        host, authorizer = await both.both()
        clock = asyncio.get_running_loop().time
        began = clock()
        await authorizer.hears(host.send(b"late"))
        assert clock() - began >= 0.03
    assert both.proxy.counts.delayed == 1


async def test_a_delayed_frame_holds_up_no_other():
    faults = Faults(delay=500, delay_min_ms=LONG_MS, delay_max_ms=LONG_MS)
    prompt = [frame for frame, fate in zip(payloads(), fates(faults), strict=True) if fate == UNHARMED]
    async with line(faults) as both:
        host, authorizer = await both.both()
        host.send(*payloads())
        await authorizer.hears(framed(*prompt))


async def test_a_duplicated_frame_comes_twice():
    async with line(Faults(duplicate=ALWAYS, delay_max_ms=1)) as both:
        host, authorizer = await both.both()
        await authorizer.hears(2 * host.send(b"twice"))
    assert both.proxy.counts.duplicated == 1


async def test_a_reordered_frame_is_overtaken_by_the_next_one():
    async with line(Faults(reorder=ALWAYS, delay_max_ms=LONG_MS)) as both:
        host, authorizer = await both.both()
        host.send(b"first")
        await turns(lambda: both.proxy.counts.reordered)
        both.proxy.heal()
        host.send(b"second", b"third")
        await authorizer.hears(framed(b"second", b"first", b"third"))


async def test_a_reordered_frame_that_nothing_overtakes_comes_late():
    async with line(Faults(reorder=ALWAYS, delay_max_ms=5)) as both:
        host, authorizer = await both.both()
        await authorizer.hears(host.send(b"alone"))


async def test_duplicated_delayed_and_reordered_frames_all_arrive_before_the_end():
    async with line(Faults(duplicate=200, delay=200, reorder=200, delay_max_ms=5)) as both:
        host, authorizer = await both.both()
        host.send(*payloads())
        host.writer.write_eof()
        assert await authorizer.ends() is Closed.FIN
    heard, counts = Counter(authorizer.frames), both.proxy.counts
    assert set(heard) == set(payloads())
    assert sum(heard.values()) == FRAMES + counts.duplicated
    assert authorizer.frames != sorted(authorizer.frames, key=payloads().index)
    assert min(counts.duplicated, counts.delayed, counts.reordered) > FRAMES // 10


@pytest.mark.parametrize("name", ["corrupt", "misframe"])
async def test_spoilt_frames_are_spoilt_as_their_fates_say(name):
    faults = Faults(**{name: 300})
    drawn = fates(faults)
    spoilt = [on_the_wire(frame, fate, FRAMING) for frame, fate in zip(payloads(), drawn, strict=True)]
    async with line(faults) as both:
        host, authorizer = await both.both()
        sent = host.send(*payloads())
        await authorizer.hears(b"".join(spoilt))
    assert len(authorizer.heard) == len(sent)
    assert authorizer.heard != sent
    struck = sum(fate != UNHARMED for fate in drawn)
    assert (both.proxy.counts.corrupted, both.proxy.counts.misframed) == (
        (struck, 0) if name == "corrupt" else (0, struck)
    )


@pytest.mark.parametrize("direction", Direction)
async def test_of_a_halved_frame_a_part_comes_and_then_the_end_of_the_connection(direction):
    faults = Faults(halve=ALWAYS)
    async with line(LineFaults.towards(direction, faults)) as both:
        host, authorizer = await both.both()
        sender, receiver = (host, authorizer) if direction is Direction.TO else (authorizer, host)
        frame = sender.send(b"never whole")
        await receiver.hears(first_part(frame, draw(faults, 1, 1, direction, 1)))
        await receiver.ends()
        await sender.ends()
    assert both.proxy.counts.halved == 1


async def test_a_half_closed_direction_ends_behind_its_frame_and_the_other_one_goes_on():
    async with line(LineFaults(to=Faults(half_close=ALWAYS))) as both:
        host, authorizer = await both.both()
        last = host.send(b"last")
        assert await authorizer.ends() is Closed.FIN
        host.send(b"into the void", b"too")
        await host.hears(authorizer.send(*payloads(3)))
        await turns(lambda: both.proxy.counts.vanished == 2)
        assert authorizer.heard == last
        assert host.closed is None
    assert both.proxy.counts.half_closed == 1


async def test_a_half_closed_direction_ends_behind_what_was_delayed():
    plan = Plan(
        phase=(Phase(for_frames=1, both=Faults(delay=ALWAYS, delay_max_ms=20)), Phase(both=Faults(half_close=ALWAYS)))
    )
    async with line(plan) as both:
        host, authorizer = await both.both()
        host.send(b"delayed", b"last")
        await authorizer.ends()
    assert sorted(authorizer.frames) == [b"delayed", b"last"]


@pytest.mark.parametrize("direction", Direction)
async def test_into_a_black_hole_goes_one_direction_while_the_connection_stays(direction):
    async with line() as both:
        host, authorizer = await both.both()
        into, out = (host, authorizer) if direction is Direction.TO else (authorizer, host)
        before = into.send(b"before")
        await out.hears(before)
        both.proxy.faults = LineFaults.towards(direction, Faults(blackhole=ALWAYS))
        into.send(b"lost", b"lost too")
        into.writer.write(KEEP_ALIVE)
        await turns(lambda: both.proxy.counts.vanished == 2)
        await into.hears(out.send(b"the other way"))
        both.proxy.heal()
        await out.hears(before + into.send(b"after"))
        assert (into.closed, out.closed) == (None, None)


async def test_from_the_frame_at_which_a_black_hole_opens_nothing_passes_until_it_heals():
    faults = Faults(blackhole=20)
    opens = next(at for at, fate in enumerate(fates(faults)) if fate.broken)
    async with line(LineFaults(to=faults)) as both:
        host, authorizer = await both.both()
        host.send(*payloads())
        await authorizer.hears(framed(*payloads(opens)))
        await turns(lambda: both.proxy.counts.vanished == FRAMES - opens)
        both.proxy.faults = Faults(drop=1)
        host.send(b"healed")
        await authorizer.hears(framed(*payloads(opens), b"healed"))


async def test_the_end_of_a_connection_vanishes_in_a_black_hole_too():
    async with line(LineFaults(to=Faults(blackhole=ALWAYS))) as both:
        host, authorizer = await both.both()
        host.send(b"lost")
        host.writer.write_eof()
        await host.hears(authorizer.send(b"unaware"))
        assert authorizer.closed is None
        authorizer.writer.write_eof()
        assert await host.ends() is Closed.FIN


async def test_a_cut_resets_the_connection_and_another_can_be_made():
    async with line(Faults(cut=ALWAYS)) as both:
        for number in (1, 2):
            host, authorizer = await both.both()
            host.send(b"lost")
            assert (await host.ends(), await authorizer.ends()) == (Closed.RST, Closed.RST)
            assert authorizer.heard == b""
            assert (both.proxy.counts.cut, both.proxy.counts.connections) == (number, number)


async def test_every_connection_is_cut_by_command():
    async with line(Faults(delay=ALWAYS, delay_max_ms=LONG_MS)) as both:
        ends = [*await both.both(), *await both.both()]
        ends[0].send(b"on its way")
        await turns(lambda: both.proxy.counts.delayed)
        both.proxy.cut()
        both.proxy.cut()
        assert {await end.ends() for end in ends} == {Closed.RST}
        both.proxy.heal()
        host, authorizer = await both.both()
        await authorizer.hears(host.send(b"a new one"))
    assert both.proxy.counts.cut == 2


async def test_a_dripping_direction_is_no_faster_than_its_rate():
    async with line(LineFaults(to=Faults(drip_bytes_per_s=200))) as both:
        host, authorizer = await both.both()
        clock = asyncio.get_running_loop().time
        began = clock()
        sent = host.send(b"twenty-two bytes in it")
        await host.hears(authorizer.send(*payloads()))
        prompt = clock()
        await authorizer.hears(sent)
        assert clock() - began >= (len(sent) - 200 // lanes_module.STEPS_PER_S) / 200 > prompt - began


async def test_a_drip_sends_byte_by_byte_and_heals():
    async with line(LineFaults(to=Faults(drip_bytes_per_s=10))) as both:
        host, authorizer = await both.both()
        sent = host.send(b"slow")
        for heard in (1, 2):
            await authorizer.until(lambda heard=heard: len(authorizer.heard) >= heard)
            assert authorizer.heard == sent[:heard]
        both.proxy.heal()
        await authorizer.hears(sent)


async def test_connections_are_refused_at_their_chance():
    refused = [refuses(500, 1, number) for number in range(1, 21)]
    assert set(refused) == {True, False}
    async with line(LineFaults(refuse=500)) as both:
        for refuse in refused:
            host = await both.host()
            if refuse:
                assert await host.ends() is Closed.RST
            else:
                host.writer.write(KEEP_ALIVE)
        await turns(lambda: both.proxy.counts.connections == len(refused))
    assert both.proxy.counts.refused == sum(refused)


async def test_what_goes_wrong_changes_at_a_command_from_the_next_frame_on():
    async with line() as both:
        host, authorizer = await both.both()
        heard = host.send(b"one")
        await authorizer.hears(heard)
        both.proxy.faults = Faults(drop=ALWAYS)
        assert both.proxy.faults.of(Direction.FROM) == Faults(drop=ALWAYS)
        host.send(b"two")
        await turns(lambda: both.proxy.counts.dropped)
        both.proxy.heal()
        await authorizer.hears(heard + host.send(b"three"))


async def test_a_plan_goes_on_with_the_frames_of_both_directions():
    plan = Plan(phase=(Phase(for_frames=2), Phase(for_frames=2, from_=Faults(drop=ALWAYS)), Phase()))
    async with line(plan) as both:
        host, authorizer = await both.both()
        asked, answered = b"", b""
        for number in range(3):
            asked += host.send(b"request %d" % number)
            await authorizer.hears(asked)
            reply = authorizer.send(b"reply %d" % number)
            if number == 1:
                await turns(lambda: both.proxy.counts.dropped)
            else:
                answered += reply
                await host.hears(answered)


async def test_a_plan_begins_when_it_is_given_and_goes_on_with_the_clock():
    now_s = 0.0
    async with line(clock=lambda: now_s) as both:
        now_s = 1_000.0
        both.proxy.faults = Plan(phase=(Phase(for_s=5, both=Faults(drop=ALWAYS)),))
        host, authorizer = await both.both()
        host.send(b"lost")
        await turns(lambda: both.proxy.counts.dropped)
        now_s += 5
        await authorizer.hears(host.send(b"healed"))


async def test_a_length_beyond_the_framings_ends_the_connection():
    async with line() as both:
        host, authorizer = await both.both()
        host.writer.write(b"\xff\xff")
        await host.ends()
        await authorizer.ends()


async def test_nobody_upstream_ends_the_connection_and_is_counted():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        upstream = unused.getsockname()
        async with FaultProxy(("127.0.0.1", 0), upstream, Framing(), Faults(), 1) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            assert await reader.read() == b""
            writer.transport.abort()
            assert proxy.counts.unreached == 1


@pytest.mark.parametrize("faults", [Faults(delay=ALWAYS, delay_max_ms=LONG_MS), Faults(drip_bytes_per_s=1)])
async def test_where_too_much_is_pending_nothing_more_is_read(monkeypatch, faults):
    monkeypatch.setattr(lanes_module, "PENDING_FRAMES_MAX", 8)
    monkeypatch.setattr(connection_module, "READ_BYTES", 16)
    async with line(faults) as both:
        host, _ = await both.both()
        host.send(*payloads())
        await turns(lambda: both.proxy.counts.frames >= 8)
        for _ in range(100):
            await asyncio.sleep(0)
        assert both.proxy.counts.frames == 8


async def test_one_connection_too_many_is_refused(monkeypatch):
    monkeypatch.setattr(proxy_module, "CONNECTIONS_MAX", 1)
    async with line() as both:
        await both.both()
        assert await (await both.host()).ends() is Closed.RST
    assert (both.proxy.counts.connections, both.proxy.counts.refused) == (2, 1)


async def test_a_port_that_is_taken_cannot_be_listened_at():
    async with line() as both:
        with pytest.raises(NoListening, match=str(both.proxy.port)):
            async with FaultProxy(("127.0.0.1", both.proxy.port), ("127.0.0.1", 1), Framing(), Faults(), 1):
                pass


def test_the_same_seed_does_the_same_however_fast_frames_come_and_on_either_loop():
    """And another seed does something else."""
    faults = Faults(drop=200, corrupt=200, duplicate=200, delay_max_ms=1)

    async def heard(seed, together):
        async with line(LineFaults(to=faults), seed) as both:
            host, authorizer = await both.both()
            for at in range(0, FRAMES, together):
                host.send(*payloads()[at : at + together])
                await turns(lambda at=at: both.proxy.counts.frames == min(at + together, FRAMES))
            host.writer.write_eof()
            await authorizer.ends()
            return Counter(authorizer.frames), both.proxy.counts

    same = [asyncio.run(heard(7, FRAMES)), asyncio.run(heard(7, 3)), uvloop.run(heard(7, 50))]
    assert same == [same[0]] * 3
    assert asyncio.run(heard(8, FRAMES)) != same[0]


@pytest.mark.parametrize("name", ["cut", "halve", "half_close"])
def test_connections_end_on_uvloop_as_on_asyncios_own_loop(name):
    async def ended():
        async with line(LineFaults(to=Faults(**{name: ALWAYS}))) as both:
            host, authorizer = await both.both()
            host.send(b"the last that was sent")
            closed = await authorizer.ends()
            return closed, authorizer.heard

    assert asyncio.run(ended()) == uvloop.run(ended())


@pytest.mark.parametrize(
    "names", [("drop", "duplicate", "reorder", "delay", "corrupt", "misframe"), ("halve",), ("cut",), ("half_close",)]
)
async def test_no_fault_shows_what_is_in_a_frame(names, caplog, capfd):
    """Neither a log, nor an error, nor the counts, nor a drawing of what goes wrong."""
    secret = "4929381705528361"
    caplog.set_level(0)
    asyncio.get_running_loop().set_debug(True)
    async with line(Faults(**dict.fromkeys(names, 300), delay_max_ms=1)) as both:
        host, authorizer = await both.both()
        for end in (host, authorizer):
            end.send(*[secret.encode()] * 20)
            end.writer.write_eof()
        await asyncio.gather(host.ends(), authorizer.ends())
        drawn = f"{both.proxy.counts} {both.proxy!r} {pretty_repr(both.proxy)} {pretty_repr(both.proxy.faults)}"
    out, err = capfd.readouterr()
    assert all(secret not in text for text in (drawn, caplog.text, out, err))
