"""An open-loop load generator: requests leave at times fixed beforehand, whatever has been answered so far.

Latency is measured from the time at which a request was *due*, not from when it was sent. A host that stalls makes
everything due in the meantime late, and the percentiles say so; measured from the sending, or in a closed loop, the
stall would count once ("coordinated omission", Gil Tene, How NOT to Measure Latency).
"""

import asyncio
import gc
import selectors
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from msgspec import Struct

from authz.wire.codec import Codec
from authz.wire.frames import Framer
from authz.wire.message import Message
from simulators.link import LinkError
from simulators.load.connection import Arrival, Connection
from simulators.load.latencies import NS_PER_SECOND
from simulators.load.meter import Meter
from simulators.load.places import Places
from simulators.load.result import Result, Second
from simulators.load.schedule import Schedule
from simulators.load.skim import Skimmed, Skimmer

BURST_REQUESTS_MAX = 64
"""Sent in a row when late, before replies are read again."""
PENDING_REQUESTS_MAX = 100_000
"""Awaiting replies at once, over all connections; what is due beyond counts as unsent."""
DRAIN_SECONDS = 10.0
"""How long the last replies are waited for."""
POLL_SECONDS = 0.001
RECONNECT_SECONDS = 0.1
"""So often is a lost connection tried again; what is due on it meanwhile is unsent."""
COLLECTED_OBJECTS_MIN = 100_000
"""So many objects come into being before the garbage collector looks at the young ones."""

Watch = Callable[[Second], None]
"""Told of every second as it ends, the warm-up's too; it takes time from the run."""
Heard = Callable[["Prepared", Skimmed], None]
"""Told of every reply, with the request that it answers."""


class Prepared(Struct, frozen=True):
    """A request's frame, the key of the reply that it awaits, and what the message is called.

    `about` is whatever its maker wants to find again when the reply is there.
    """

    frame: bytes
    key: bytes
    message: str = ""
    about: Any = None

    def __repr__(self) -> str:
        return f"Prepared({self.message}, {len(self.frame)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("message", self.message), ("bytes", len(self.frame))]


def prepare(codec: Codec, requests: Iterable[Message]) -> Iterator[Prepared]:
    """Encode requests. Make a list of it before a run, so that the run only sends."""
    framer, skimmer = Framer(codec.dialect.framing), Skimmer(Places(codec.dialect))
    for request in requests:
        payload = codec.encode(request)
        yield Prepared(framer.frame(payload), skimmer.skim(payload).key, request.mti)


def precise_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop whose timers keep microseconds; epoll's, and uvloop's, round to milliseconds.

    For `asyncio.Runner(loop_factory=precise_loop)`.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def run(
    plan: Schedule,
    requests: Iterable[Prepared],
    connections: Sequence[Connection],
    *,
    drain_seconds: float = DRAIN_SECONDS,
    heard: Heard | None = None,
    watch: Watch | None = None,
    ended: asyncio.Event | None = None,
) -> Result:
    """Send one request at each arrival time, over the connections in turn, and measure.

    Ends with the shorter of plan and requests. What is due before 0, the warm-up's, is not in the result. Connections
    that are lost are made again. Nothing more is sent once `ended` is set.
    """
    with _sparing_the_collector():
        start_ns = time.perf_counter_ns() + int(plan.warm_up_seconds * NS_PER_SECOND)
        meter = Meter(start_ns)
        sender = _Sender(zip(plan, requests, strict=False), connections, meter, start_ns, heard, ended)
        sender.start()
        loop = asyncio.get_running_loop()
        beside = [loop.create_task(_watch(meter, watch)), loop.create_task(_keep(connections))]
        await sender.done.wait()
        await _drain(meter, drain_seconds)
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        meter.end_second()
    for connection in connections:
        connection.give_up()
    return meter.result(plan.asked_rate)


class _Sender:
    """Sends what is due, and sleeps until the next is. The next request is made before the sleep, not after it."""

    def __init__(
        self,
        requests: Iterator[tuple[float, Prepared]],
        connections: Sequence[Connection],
        meter: Meter,
        start_ns: int,
        heard: Heard | None,
        ended: asyncio.Event | None,
    ) -> None:
        self.done = asyncio.Event()
        self._requests = requests
        self._connections = connections
        self._meter = meter
        self._start_ns = start_ns
        self._heard = heard
        self._ended = ended or asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._turn = 0
        self._due_ns = 0
        self._next: Prepared | None = None

    def start(self) -> None:
        self._advance()
        self._send_due()

    def _advance(self) -> None:
        at, self._next = next(self._requests, (0.0, None))
        self._due_ns = self._start_ns + int(at * NS_PER_SECOND)

    def _send_due(self) -> None:
        if self._ended.is_set():
            self._next = None
        now_ns = time.perf_counter_ns()
        burst = 0
        while self._next is not None and self._due_ns <= now_ns and burst < BURST_REQUESTS_MAX:
            self._send(self._next, self._due_ns, now_ns)
            burst += 1
            self._advance()
            now_ns = time.perf_counter_ns()
        for connection in self._connections:
            connection.flush()
        if self._next is None:
            self.done.set()
        elif self._due_ns <= now_ns:
            self._loop.call_soon(self._send_due)
        else:
            ahead = (self._due_ns - time.perf_counter_ns()) / NS_PER_SECOND
            self._loop.call_at(self._loop.time() + ahead, self._send_due)

    def _send(self, request: Prepared, due_ns: int, now_ns: int) -> None:
        meter = self._meter
        connection = self._connections[self._turn]
        self._turn = (self._turn + 1) % len(self._connections)
        if meter.in_flight >= PENDING_REQUESTS_MAX:
            meter.unsent(due_ns)
            return
        try:
            connection.post(request.frame, request.key, partial(self._take, request, due_ns))
        except LinkError:
            meter.unsent(due_ns)
            return
        meter.sent(due_ns, now_ns)

    def _take(self, request: Prepared, due_ns: int, arrival: Arrival | None) -> None:
        if arrival is None:
            self._meter.unanswered(due_ns)
            return
        self._meter.answered(request.message, due_ns, arrival)
        if self._heard is not None:
            self._heard(request, arrival.reply)


async def _drain(meter: Meter, seconds: float) -> None:
    """Wait for what is in flight, at most so long."""
    end_ns = time.perf_counter_ns() + int(seconds * NS_PER_SECOND)
    while meter.in_flight and time.perf_counter_ns() < end_ns:  # noqa: ASYNC110 - an event would cost each reply
        await asyncio.sleep(POLL_SECONDS)


async def _watch(meter: Meter, watch: Watch | None) -> None:
    """End every second on time, as long as there are any."""
    loop = asyncio.get_running_loop()
    end = loop.time()
    while True:
        end += 1
        await asyncio.sleep(end - loop.time())
        second = meter.end_second()
        if watch is not None:
            watch(second)


async def _keep(connections: Sequence[Connection]) -> None:
    """Make connections again that were lost, so that a host that comes back is loaded as before."""
    while True:
        await asyncio.sleep(RECONNECT_SECONDS)
        for connection in connections:
            if connection.lost:
                with suppress(LinkError):
                    await connection.reconnect()


@contextmanager
def _sparing_the_collector() -> Iterator[None]:
    """Keep the garbage collector from walking all that there is in the middle of a run."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_OBJECTS_MIN, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
