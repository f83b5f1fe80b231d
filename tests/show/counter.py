"""A day at a counter whose clock stands still between payments: what is recorded of it is the same in every run."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from authz.decision.commands import Administration
from authz.demo_data import data as demo_data
from authz.demo_data.data import expiry_in
from authz.service import Service, running
from authz.wire.message import Message
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Terminal
from simulators.terminal.pinpad import PinPad
from tests.acceptance.counter import Line

YEAR = 2026
TUESDAY = datetime.fromisoformat("2026-05-12T12:30:00+02:00")
DEMO = demo_data.read()
CARDS = {one.pan[-4:]: one for one in DEMO.card}
SIMULATED = parameters.demo()
START_MAX_S = 60


class Counter:
    """An authorizer in this process, a line to it, and a till at each of the demo's terminals."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self.at = TUESDAY
        self._service = service
        self._loop = loop
        self._tills: dict[str, Terminal] = {}
        self.line = Line(service.links[0].port)

    def till(self, name: str = "PAR00001") -> Terminal:
        """The till of a terminal. No two of a run give the same trace numbers."""
        if name not in self._tills:
            site = SIMULATED.site(name)
            assert site is not None
            first_trace = 1_000 * (1 + len(self._tills))
            pad = PinPad(SIMULATED.zone_pin_key)
            self._tills[name] = Terminal(site, SIMULATED.acquirer, pad, lambda: self.at, first_trace=first_trace)
        return self._tills[name]

    def ask(self, request: Message, **changes: Any) -> Message:
        """Send a request and wait for its reply."""
        return self.line.ask(msgspec.structs.replace(request, **changes))

    def administer(self, command: Administration, key: str) -> None:
        """Have the issuer do something."""
        done = asyncio.run_coroutine_threadsafe(self._service.engine.administer(command, key), self._loop)
        assert done.result(START_MAX_S).reason.approves


def card(last4: str, **changes: Any) -> Card:
    """A card in its holder's hand, who types the right PIN unless told otherwise."""
    demo = CARDS[last4]
    known = Card(pan=demo.pan, expiry=expiry_in(demo.expiry, YEAR), pin=demo.pin, generation=demo.generation)
    return msgspec.structs.replace(known, **changes)


@contextmanager
def opened(url: str) -> Iterator[Counter]:
    """Run an authorizer with the demo's data on a database, in a thread of its own, until the block ends."""
    config = DEMO.config()
    links = tuple(msgspec.structs.replace(link, port=0) for link in config.links)
    config = msgspec.structs.replace(config, links=links, http_port=0)
    ready: Future[Counter] = Future()
    over = threading.Event()

    def now() -> datetime:
        return (ready.result().at if ready.done() else TUESDAY).astimezone(UTC)

    async def serve() -> None:
        try:
            async with running(config, url, now, demo=True) as service:
                ready.set_result(await asyncio.to_thread(Counter, service, asyncio.get_running_loop()))
                await asyncio.to_thread(over.wait)
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        counter = ready.result(START_MAX_S)
        yield counter
        counter.line.close()
    finally:
        over.set()
        thread.join(START_MAX_S)
