"""The fault proxy: what it does to frames is what it says, and nothing else happens to them."""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.wire.dialect import Framing
from authz.wire.frames import Framer
from simulators import cli
from simulators.faults import proxy as faults_module
from simulators.faults.proxy import Fates, FaultProxy, Faults, NoListening

FRAMES = 200
SIMULATE = str(Path(sys.executable).parent / "simulate")
per_mille = st.integers(0, 1_000)


class Echo:
    """An authorizer that says every frame back, and keeps what it heard."""

    def __init__(self):
        self.heard = []

    async def serve(self, reader, writer):
        framer = Framer()
        try:
            while data := await reader.read(65_536):
                for frame in framer.feed(data):
                    self.heard.append(frame)
                    writer.write(framer.frame(frame))
        except ConnectionError:
            pass
        finally:
            writer.close()


async def until(condition):
    """Wait for what happens on the other sockets of this loop."""
    while not condition():  # noqa: ASYNC110 - a proxy has no event for its counters
        await asyncio.sleep(0)


@asynccontextmanager
async def proxied(faults, seed=1):
    """`async with proxied(faults) as (proxy, echo)`."""
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()[:2]
    async with server, FaultProxy(("127.0.0.1", 0), upstream, Framing(), faults, seed) as proxy:
        yield proxy, echo


class Host:
    """A host's side of a connection through a proxy."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.framer, self.heard = reader, writer, Framer(), []

    @classmethod
    async def connect(cls, proxy):
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    def send(self, *payloads):
        self.writer.write(b"".join(self.framer.frame(payload) for payload in payloads))

    async def hears(self, count):
        """Wait for so many frames, or the connection's end; return all that came."""
        while len(self.heard) < count:
            try:
                data = await self.reader.read(65_536)
            except ConnectionError:
                data = b""
            if not data:
                await self.close()
                break
            self.heard += self.framer.feed(data)
        return self.heard

    async def close(self):
        self.writer.transport.abort()


def payloads(count=FRAMES):
    return [f"frame {number}".encode() for number in range(count)]


async def test_without_faults_every_frame_passes_in_order_and_unchanged():
    async with proxied(Faults()) as (proxy, echo):
        host = await Host.connect(proxy)
        host.send(*payloads())
        assert await host.hears(FRAMES) == echo.heard == payloads()
        await host.close()
    assert (proxy.counts.frames, proxy.counts.connections) == (2 * FRAMES, 1)


async def test_frames_are_recognized_however_the_bytes_are_cut():
    chance = random.Random(1)
    stream = b"".join(Framer().frame(payload) for payload in payloads(20))
    async with proxied(Faults()) as (proxy, _):
        host = await Host.connect(proxy)
        while stream:
            size = chance.randint(1, 7)
            host.writer.write(stream[:size])
            await host.writer.drain()
            stream = stream[size:]
        assert await host.hears(20) == payloads(20)
        await host.close()


async def test_dropped_frames_are_lost_and_no_others_the_same_ones_for_the_same_seed():
    faults = Faults(drop=300)

    def surviving(frames, direction):
        fates = Fates(faults, f"7:1:{direction}")
        return [frame for frame in frames if fates.draw().delays_ms]

    there = surviving(payloads(), "to")
    back = surviving(there, "from")
    async with proxied(faults, seed=7) as (proxy, echo):
        host = await Host.connect(proxy)
        host.send(*payloads())
        assert (await host.hears(len(back)), echo.heard) == (back, there)
        await until(lambda: proxy.counts.frames == FRAMES + len(there))
        await host.close()
    assert proxy.counts.dropped == FRAMES - len(back) > 0


async def test_duplicated_delayed_and_reordered_frames_all_arrive():
    async with proxied(Faults(duplicate=200, delay=200, reorder=200, delay_max_ms=5)) as (proxy, echo):
        host = await Host.connect(proxy)
        host.send(*payloads())
        while set(await host.hears(len(host.heard) + 1)) < set(payloads()):
            pass
        await host.close()
    counts = proxy.counts
    assert echo.heard != sorted(echo.heard, key=payloads().index)
    assert max(Counter(echo.heard).values()) == 2
    assert min(counts.duplicated, counts.delayed, counts.reordered) > FRAMES // 10
    assert (counts.dropped, counts.cut) == (0, 0)


async def test_a_reordered_frame_is_overtaken_by_the_next_one():
    async with proxied(Faults(reorder=1_000, delay_max_ms=60_000)) as (proxy, echo):
        host = await Host.connect(proxy)
        host.send(b"first")
        await until(lambda: proxy.counts.reordered)
        assert echo.heard == []
        host.send(b"second", b"third")
        await until(lambda: len(echo.heard) == 2)
        assert echo.heard == [b"first", b"second"]
        await host.close()


async def test_no_delay_is_longer_than_its_limit():
    async with proxied(Faults(reorder=500, delay=1_000, delay_max_ms=20)) as (proxy, _):
        host = await Host.connect(proxy)
        async with asyncio.timeout(5):
            host.send(b"alone")
            assert await host.hears(1) == [b"alone"]
        await host.close()


async def test_a_cut_ends_the_connection_and_another_can_be_made():
    async with proxied(Faults(cut=1_000)) as (proxy, echo):
        for number in (1, 2):
            host = await Host.connect(proxy)
            host.send(b"lost")
            assert await host.hears(1) == []
            assert (proxy.counts.cut, proxy.counts.connections) == (number, number)
    assert echo.heard == []


async def test_a_length_beyond_the_framings_ends_the_connection():
    async with proxied(Faults()) as (proxy, _):
        host = await Host.connect(proxy)
        host.writer.write(b"\xff\xff")
        assert await host.hears(1) == []


async def test_nobody_upstream_ends_the_connection_and_is_counted():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        upstream = unused.getsockname()
        async with FaultProxy(("127.0.0.1", 0), upstream, Framing(), Faults(), 1) as proxy:
            host = await Host.connect(proxy)
            assert await host.hears(1) == []
            assert proxy.counts.refused == 1


async def test_where_too_much_is_delayed_nothing_more_is_read(monkeypatch):
    monkeypatch.setattr(faults_module, "PENDING_FRAMES_MAX", 8)
    monkeypatch.setattr(faults_module, "READ_BYTES", 16)
    async with proxied(Faults(delay=1_000, delay_max_ms=20)) as (proxy, _):
        host = await Host.connect(proxy)
        host.send(*payloads())
        await until(lambda: proxy.counts.frames)
        assert proxy.counts.frames <= 8 + 16 // 2
        assert set(await host.hears(FRAMES)) == set(payloads())
        await host.close()


async def test_a_port_that_is_taken_cannot_be_listened_at():
    async with proxied(Faults()) as (proxy, _):
        with pytest.raises(NoListening, match=str(proxy.port)):
            async with FaultProxy(("127.0.0.1", proxy.port), ("127.0.0.1", 1), Framing(), Faults(), 1):
                pass


@given(drop=per_mille, duplicate=per_mille, reorder=per_mille, delay=per_mille, cut=per_mille, seed=st.integers(0, 99))
def test_fates_are_the_same_for_the_same_seed_and_delays_are_bounded(drop, duplicate, reorder, delay, cut, seed):
    faults = Faults(drop=drop, duplicate=duplicate, reorder=reorder, delay=delay, delay_max_ms=7, cut=cut)
    one, other = Fates(faults, str(seed)), Fates(faults, str(seed))
    drawn = [one.draw() for _ in range(50)]
    assert drawn == [other.draw() for _ in range(50)]
    assert all(0 <= delay_ms <= 7 for fate in drawn for delay_ms in fate.delays_ms)
    assert all(len(fate.delays_ms) <= 2 for fate in drawn)


@given(st.integers(0, 99))
def test_a_fault_does_not_change_which_frames_others_hit(seed):
    dropping, both = Fates(Faults(drop=100), str(seed)), Fates(Faults(drop=100, duplicate=500, cut=50), str(seed))
    for _ in range(50):
        assert (dropping.draw().delays_ms == ()) == (both.draw().delays_ms == ())


@pytest.mark.parametrize("wrong", [{"drop": -1}, {"cut": 1_001}, {"delay_max_ms": 0}])
def test_probabilities_are_parts_per_1000(wrong):
    with pytest.raises(ValueError, match="is"):
        Faults(**wrong)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_listens_and_at_the_end_what_it_did(number, tmp_path):
    command = [SIMULATE, "faults", "--upstream", "127.0.0.1:9", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        ready = process.stdout.readline()
        assert ready.startswith("ready listen=127.0.0.1:")
        assert ready.endswith(" upstream=127.0.0.1:9\n")
        os.kill(process.pid, number)
        did = json.loads(process.stdout.read())
        assert process.wait(10) == 0
    assert (did["frames"], did["connections"]) == (0, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--upstream", "nowhere"],
        ["--upstream", "127.0.0.1:0"],
        ["--upstream", "127.0.0.1:70000"],
        ["--upstream", "a:1", "--drop", "1001"],
        ["--upstream", "a:1", "--delay-max-ms", "0"],
        ["--upstream", "a:1", "--listen", "70000"],
        ["--upstream", "a:1", "--dialect", "klingon"],
    ],
)
def test_wrong_use_is_one_line_and_exits_2(arguments, capsys):
    assert cli.main(["faults", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
