"""A running acquirer's host: every part put together, from the journal to the listening port."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from authz.wire.codec import Codec
from simulators.acquirer.books import Books, Clock
from simulators.acquirer.days import Calendar, Days
from simulators.acquirer.journal import Journal
from simulators.acquirer.parameters import HostParameters
from simulators.acquirer.rotation import KeyChangeRefused, Rotation
from simulators.acquirer.switch import IN_FLIGHT_MAX, Switch
from simulators.acquirer.terminals import TERMINALS_MAX, Counts, Terminals
from simulators.acquirer.upstream import Route, Tell, Upstream
from simulators.acquirer.zone_keys import KeyNotHeld, KeyRing
from simulators.mistakes import Mistake

DRAIN_MAX_S = 9.0
"""For what is in flight when the host ends: a little more than a request waits for its reply."""
FIRST_LINK_MAX_S = 5.0
"""How long readiness waits for the first link; without one the host is ready to say 91."""


class PortUnusable(Mistake):
    """The port for terminals can't be listened on."""


class Settings(Struct, frozen=True, kw_only=True):
    """What a host is told. `port` is for terminals, 0: a free one; `data` its journal's folder, its owner's alone.

    `rotate_every_s`: keys are changed so often (None: only when told). `clearing`: see `Days`.
    """

    parameters: HostParameters
    route: Route
    terminals_codec: Codec
    data: Path
    host: str = "127.0.0.1"
    port: int = 0
    calendar: Calendar = Calendar(ZoneInfo("Europe/Paris"))
    rotate_every_s: float | None = None
    clearing: Path | None = None
    terminals_max: int = TERMINALS_MAX
    in_flight_max: int = IN_FLIGHT_MAX


class Acquirer:
    """One host. Made by `running`. `failed` is done with what nobody can go on after."""

    def __init__(self, settings: Settings, books: Books, keys: KeyRing, clock: Clock, tell: Tell) -> None:
        self.books = books
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.rotation = Rotation(keys, books, clock, tell)
        self.upstream = Upstream(
            settings.route, clock, tell, macs=keys if keys.makes_macs else None, prepare=self.rotation.finish
        )
        acquirer = settings.parameters.acquirer
        in_flight_max = settings.in_flight_max * settings.route.links
        self.switch = Switch(acquirer, keys, books, self.upstream, clock, tell, in_flight_max=in_flight_max)
        self.terminals = Terminals(
            settings.terminals_codec, self.switch.serve, self._fail, terminals_max=settings.terminals_max
        )
        self.days = Days(acquirer, books, self.switch, self.upstream, settings.calendar, clock, tell, settings.clearing)
        self._settings = settings
        self._tell = tell
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where terminals connect."""
        return self.terminals.port

    @property
    def counts(self) -> Counts:
        """What went through."""
        return self.terminals.counts

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the rest; what it raises ends the host."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def start(self) -> None:
        """Listen for terminals. Raises `PortUnusable`."""
        settings = self._settings
        try:
            async with asyncio.timeout(FIRST_LINK_MAX_S):
                await self.upstream.until_up()
        except TimeoutError:
            self._tell("no_link_yet", upstream=f"{settings.route.host}:{settings.route.port}")
        self.begin(self.switch.keep_settled())
        self.begin(self.days.keep())
        if settings.rotate_every_s is not None:
            self.begin(self._rotate(settings.rotate_every_s))
        try:
            await self.terminals.listen(settings.host, settings.port)
        except OSError as failed:
            raise PortUnusable(f"port {settings.port} can't be used: {failed.strerror}; choose another") from None

    async def stop(self) -> None:
        """Take nothing more, answer what is in flight, and end the terminals' connections."""
        self.terminals.stop_reading()
        if not await self.switch.drained(DRAIN_MAX_S):
            self._tell("not_drained", in_flight=self.switch.in_flight)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.terminals.close()

    async def _rotate(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.rotation.rotate(self.upstream)
            except KeyChangeRefused as refused:
                self._tell("key_not_changed", why=str(refused))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (wrong := task.exception()) is not None:
            self._fail(wrong)

    def _fail(self, wrong: BaseException) -> None:
        if not self.failed.done():
            self.failed.set_exception(wrong)


@asynccontextmanager
async def running(settings: Settings, clock: Clock, tell: Tell) -> AsyncIterator[Acquirer]:
    """Run a host until the block ends. When the block begins it listens. Raises `Mistake`."""
    keys = KeyRing(settings.parameters.keys)
    if settings.rotate_every_s is not None and not keys.changes_keys:
        raise KeyNotHeld("keys can't be changed without a zmk: put it in the configuration")
    journal = Journal(settings.data)
    try:
        books = await Books.open(journal, clock, settings.calendar.today(clock()))
        acquirer = Acquirer(settings, books, keys, clock, tell)
        async with acquirer.upstream:
            try:
                await acquirer.start()
                yield acquirer
            finally:
                await acquirer.stop()
    finally:
        await journal.close()
