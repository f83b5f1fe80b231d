"""The main job in one go: an authorizer over a real database, a lunch of payments over TCP, and then the books.

Everything is decided by a fixed seed but how long things take. It ends well only if all of it held: every request
answered, the books balanced, the chain unbroken, and every terminal's totals equal to the ledger's.
"""

import asyncio
import contextlib
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import cycle
from pathlib import Path

from hdrh.histogram import HdrHistogram
from msgspec import Struct, structs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from authz import demo_data
from authz.clock import SimulatedClock
from authz.database import Embedded
from authz.demo_data import DemoCard, DemoData, DemoLoader, DemoLot, expiry_in
from authz.demo_report import Lunch, audit, show
from authz.service import Service, running
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from simulators import parameters
from simulators.acquirer import AcquirerError, AcquirerHost
from simulators.card import Card
from simulators.pinpad import PinPad
from simulators.terminal import Entry, Site, Terminal

PAYMENTS = 5_000
HOLDERS = 3_000
TUESDAY_NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
"""12:30 in Paris."""
SEED = 19
RATE_PER_S = 500
TILLS_PER_MERCHANT = 4
CONNECTIONS = 4
HOLDERS_PER_CHUNK = 250
LATENCY_MAX_US = 60_000_000


class Till(Struct, frozen=True):
    """A terminal, and the products that its merchant is approved for."""

    terminal: Terminal
    accepts: tuple[str, ...]
    online: bool


async def run(payments: int, holders: int, data: Path | None) -> int:
    """Run the demo and return its exit code. The database is kept only where `data` names its folder."""
    console = Console()
    with _folder(data) as folder:
        console.print("[bold]Starting[/] an embedded PostgreSQL and an authorizer on it …")
        embedded = await Embedded.start(folder)
        try:
            clock = SimulatedClock(TUESDAY_NOON)
            demo = demo_data.read()
            config = demo.config()
            ports = (structs.replace(link, port=0) for link in config.links)
            config = structs.replace(config, links=tuple(ports), http_port=0)
            async with running(config, embedded.url, clock, demo=True) as service:
                crowd = generated_cards(holders)
                await _enter(console, service, crowd, demo)
                lunch = await _eat(console, service, clock, demo, crowd, payments)
                books = await audit(embedded.superuser_url, console)
        finally:
            await embedded.stop()
    return 0 if show(console, lunch, books) else 1


def generated_cards(holders: int) -> list[DemoCard]:
    """Cards of holders who don't exist: the same ones every time."""
    chance = random.Random(SEED)  # noqa: S311  a reproducible crowd, not a secret
    return [
        DemoCard(
            pan=_with_check_digit(f"92502000{number:07}"),
            holder=f"Holder {number}",
            employer=chance.choice(("E1", "E1", "E2")),
            generation=chance.choice((1, 2, 2)),
            expiry=f"N+{chance.randint(1, 4)}-{chance.randint(1, 12):02}",
            pin=f"{chance.randint(0, 9999):04}",
            lots=(DemoLot("90", "N", Decimal(chance.randint(300, 22_000)) / 100),),
        )
        for number in range(holders)
    ]


def _with_check_digit(digits: str) -> str:
    """Append the digit that makes a number pass the Luhn test (ISO/IEC 7812-1).

    >>> _with_check_digit("925010000000001")
    '9250100000000014'
    """
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits)))
    return digits + str(-sum(number // 10 + number % 10 for number in doubled) % 10)


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """The folder asked for, or one that goes when the demo ends."""
    if data is not None:
        yield data
        return
    folder = Path(tempfile.mkdtemp(prefix="authz-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _enter(console: Console, service: Service, crowd: list[DemoCard], demo: DemoData) -> None:
    """Enrol the generated holders, by journaled commands, with progress."""
    first_day = (await service.first_instant()).date()
    loader = DemoLoader(service.engine, service.cards, service.security, first_day)
    programmes = {employer.id: employer.programme for employer in demo.employer}
    with _progress(console) as progress:
        task = progress.add_task("holders enrolled, carded and loaded", total=len(crowd))
        for start in range(0, len(crowd), HOLDERS_PER_CHUNK):
            chunk = crowd[start : start + HOLDERS_PER_CHUNK]
            await loader.load_cards(chunk, programmes)
            progress.advance(task, len(chunk))


async def _eat(
    console: Console, service: Service, clock: SimulatedClock, demo: DemoData, crowd: list[DemoCard], payments: int
) -> Lunch:
    """Pay, open loop: each payment leaves at its time, whatever has been answered so far."""
    known = parameters.demo()
    codec = Codec(shipped(known.dialect))
    hardware = (known.acquirer, PinPad(known.zone_pin_key), clock)
    tills = [
        Till(
            Terminal(Site(f"{one.terminal[:3]}{place:02}{number:03}", one.id, one.name, one.time_zone), *hardware),
            one.accepts,
            online=one.terminal.startswith("WEB"),
        )
        for place, one in enumerate(demo.merchant, 1)
        for number in range(1, TILLS_PER_MERCHANT + 1)
    ]
    port = service.links[0].port
    hosts = [await AcquirerHost.connect("127.0.0.1", port, codec) for _ in range(CONNECTIONS)]
    customers = Customers(await _cards(service, demo.card), await _cards(service, crowd), tills)
    histogram = HdrHistogram(1, LATENCY_MAX_US, 3)
    unanswered = Counter[str]()
    with _progress(console) as progress:
        task = progress.add_task("payments", total=payments)

        async def pay(number: int, till: Till, request: Message, due: float) -> None:
            try:
                reply = await hosts[number % CONNECTIONS].exchange(request)
            except AcquirerError as error:
                unanswered[type(error).__name__] += 1
            else:
                till.terminal.note(request, reply)
                histogram.record_value(round((time.perf_counter() - due) * 1e6))
            progress.advance(task)

        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(payments):
                due = start + number / RATE_PER_S
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                till, request = customers.next()
                group.create_task(pay(number, till, request, due))
        seconds = time.perf_counter() - start
    for host in hosts:
        await host.close()
    return Lunch(
        payments=payments,
        rate=payments / seconds,
        latencies_us={name: histogram.get_value_at_percentile(name) for name in (50.0, 90.0, 99.0, 99.9)},
        unanswered=dict(unanswered),
        terminals={
            till.terminal.site.terminal: (till.terminal.sales.cents, till.terminal.holds.cents) for till in tills
        },
    )


class Customers:
    """Who pays next, where, and how much: mostly as one should, and sometimes not."""

    def __init__(self, demo_cards: list[Card], crowd: list[Card], tills: list[Till]) -> None:
        self._chance = random.Random(SEED)  # noqa: S311  a reproducible lunch
        self._french = [till for till in tills if "90" in till.accepts and not till.online]
        self._online = [till for till in tills if till.online]
        self._belgian = [till for till in tills if till.accepts and "90" not in till.accepts]
        self._closed = [till for till in tills if not till.accepts]
        self._demo = demo_cards
        self._crowd = crowd or demo_cards
        self._queue = cycle(self._chance.sample(self._crowd, len(self._crowd)))
        self._first_generation = [card for card in self._crowd if card.generation == 1]
        self._belgians = [card for card in demo_cards if card.pan.startswith("9056")]

    def next(self) -> tuple[Till, Message]:
        """The next payment."""
        chance = self._chance
        draw = chance.random()
        card = next(self._queue)
        cents = max(1, round(chance.gauss(850, 300)))
        till = chance.choice(self._french)
        if draw < 0.01:
            till = chance.choice(self._closed)
        elif draw < 0.03:
            card, till = chance.choice(self._belgians), chance.choice(self._belgian)
            return till, till.terminal.purchase(card, cents, product=till.accepts[0])
        elif draw < 0.05:
            card = chance.choice(self._demo)
        elif draw < 0.06:
            till = chance.choice(self._online)
            return till, till.terminal.purchase(card, cents, entry=Entry.ONLINE)
        elif draw < 0.10:
            card, till = chance.choice(self._first_generation or self._crowd), chance.choice(self._online)
            return till, till.terminal.purchase(card, cents, entry=Entry.ONLINE)
        elif draw < 0.12:
            return till, till.terminal.inquiry(card)
        elif draw < 0.14:
            card = structs.replace(card, pin=f"{(int(card.pin or 0) + 1) % 10_000:04}")
        elif draw < 0.17:
            return till, till.terminal.authorization(card, cents)
        elif draw < 0.45:
            return till, till.terminal.purchase(card.without_pin(), cents, entry=Entry.CONTACTLESS)
        return till, till.terminal.purchase(card, cents, takes_partial=chance.random() < 0.6)


async def _cards(service: Service, cards: Iterable[DemoCard]) -> list[Card]:
    """What the cards' holders have in their hands."""
    made: list[Card] = []
    for one in cards:
        expiry = expiry_in(one.expiry, TUESDAY_NOON.year)
        cvv2 = await service.security.make_cvv2(one.pan, expiry)
        made.append(Card(pan=one.pan, expiry=expiry, pin=one.pin, cvv2=cvv2, generation=one.generation))
    return made


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:>36}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
