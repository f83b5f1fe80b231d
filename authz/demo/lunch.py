"""The demo's lunch: who pays where, what they change their minds about, and what the terminals made of it."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import cycle

from hdrh.histogram import HdrHistogram
from msgspec import Struct, structs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from authz.clock import SimulatedClock
from authz.demo_data.data import DemoCard, DemoMerchant, expiry_in
from authz.service import Service
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from simulators.acquirer.host import AcquirerHost
from simulators.acquirer.totals import Totals
from simulators.link import LinkError
from simulators.terminal import parameters
from simulators.terminal.book import Kind
from simulators.terminal.card import Card
from simulators.terminal.messages import Entry, Site, Terminal
from simulators.terminal.pinpad import PinPad

SEED = 19
RATE_PER_S = 500
TILLS_PER_MERCHANT = 4
CONNECTIONS = 4
LATENCY_MAX_US = 60_000_000
APPROVED = ("00", "10")


class Till(Struct, frozen=True):
    """A terminal, and the products that its merchant is approved for."""

    terminal: Terminal
    accepts: tuple[str, ...]
    online: bool


class Afterwards(Enum):
    """What comes of an approved request."""

    NOTHING = "nothing"
    COMPLETE = "the bill is captured from the hold"
    TAKE_BACK = "the customer has another mind"


class Visit(Struct, frozen=True):
    """One payment, and what comes of it: `percent` is the bill in parts of the hold, or what is to stand."""

    till: Till
    card: Card
    request: Message
    afterwards: Afterwards = Afterwards.NOTHING
    percent: int = 0

    def follow_up(self, reply: Message) -> Message | None:
        """What the terminal sends next, now that it has its reply."""
        if reply.response_code not in APPROVED or self.afterwards is Afterwards.NOTHING:
            return None
        cents = int(reply.amount or 0) * self.percent // 100
        if self.afterwards is Afterwards.COMPLETE:
            return self.till.terminal.completion(self.card, self.request, cents)
        return self.till.terminal.reversal(self.request, stands=cents or None)


class Lunch(Struct, frozen=True):
    """What the terminals' side saw: rate per second, latencies by percentile, and cents by terminal.

    `told` counts completions and reversals. A terminal's cents are what it is owed, and what it has set aside.
    `agreed` is the authorizer's answer to the acquirer's totals of the day (0500).
    """

    payments: int
    told: int
    rate: float
    latencies_us: Mapping[float, int]
    unanswered: Mapping[str, int]
    terminals: Mapping[str, tuple[int, int]]
    agreed: bool


async def eat(
    console: Console,
    port: int,
    clock: SimulatedClock,
    merchants: Iterable[DemoMerchant],
    known: list[Card],
    guests: list[Card],
    payments: int,
) -> Lunch:
    """Pay, open loop: each payment leaves at its time, whatever has been answered so far."""
    settings = parameters.demo()
    codec = Codec(shipped(settings.dialect))
    tills = _tills(merchants, settings.acquirer, PinPad(settings.zone_pin_key), clock)
    hosts = [await AcquirerHost.connect("127.0.0.1", port, codec) for _ in range(CONNECTIONS)]
    customers = Customers(known, guests, tills)
    histogram = HdrHistogram(1, LATENCY_MAX_US, 3)
    unanswered, told, reversals = Counter[str](), 0, 0
    with progress_of(console) as progress:
        task = progress.add_task("payments", total=payments)

        async def pay(number: int, visit: Visit, due: float) -> None:
            nonlocal told, reversals
            host, terminal = hosts[number % CONNECTIONS], visit.till.terminal
            try:
                reply = await host.exchange(visit.request)
                histogram.record_value(round((time.perf_counter() - due) * 1e6))
                terminal.note(visit.request, reply)
                message = visit.follow_up(reply)
                if message is not None:
                    told += 1
                    reply = await host.exchange(message)
                    before = terminal.owed
                    terminal.note(message, reply)
                    reversals += terminal.owed < before
            except LinkError as error:
                unanswered[type(error).__name__] += 1
            progress.advance(task)

        start = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(payments):
                due = start + number / RATE_PER_S
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                group.create_task(pay(number, customers.next(), due))
        seconds = time.perf_counter() - start
    totals = _totals(tills, reversals)
    answer = await hosts[0].totals(settings.acquirer, clock().date(), totals, clock())
    for host in hosts:
        await host.close()
    return Lunch(
        payments=payments,
        told=told,
        rate=payments / seconds,
        latencies_us={name: histogram.get_value_at_percentile(name) for name in (50.0, 90.0, 99.0, 99.9)},
        unanswered=dict(unanswered),
        terminals={
            till.terminal.site.terminal: (till.terminal.owed, till.terminal.book.standing(Kind.HOLD)) for till in tills
        },
        agreed=answer.settlement_code == "1",
    )


def _tills(merchants: Iterable[DemoMerchant], acquirer: str, pin_pad: PinPad, clock: SimulatedClock) -> list[Till]:
    return [
        Till(
            Terminal(
                Site(f"{one.terminal[:3]}{place:02}{number:03}", one.id, one.name, one.time_zone),
                acquirer,
                pin_pad,
                clock,
            ),
            one.accepts,
            online=one.terminal.startswith("WEB"),
        )
        for place, one in enumerate(merchants, 1)
        for number in range(1, TILLS_PER_MERCHANT + 1)
    ]


def _totals(tills: Sequence[Till], reversals: int) -> Totals:
    """What the acquirer counts of a day: sales and captures are debits, what was given back is their reversals."""
    books = [till.terminal.book for till in tills]
    debits = [book.tally(kind) for book in books for kind in (Kind.SALE, Kind.CAPTURE)]
    return Totals(
        debits_number=sum(tally.count for tally in debits),
        debits_amount=sum(tally.cents for tally in debits),
        debits_reversal_number=reversals,
        debits_reversal_amount=sum(book.given_back for book in books),
    )


class Customers:
    """Who pays next, where, and how much: mostly as one should, and sometimes not; and what comes of it."""

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

    def next(self) -> Visit:
        """The next payment, and what comes of it if it is approved."""
        till, card, request = self._pay()
        draw = self._chance.random()
        if request.mti == "0100" and request.amount and draw < 0.8:
            return Visit(till, card, request, Afterwards.COMPLETE, self._chance.randint(60, 105))
        if request.mti == "0200" and draw < 0.03:
            return Visit(till, card, request, Afterwards.TAKE_BACK, self._chance.choice((0, 0, 50)))
        return Visit(till, card, request)

    def _pay(self) -> tuple[Till, Card, Message]:
        chance = self._chance
        draw = chance.random()
        card = next(self._queue)
        cents = max(1, round(chance.gauss(850, 300)))
        till = chance.choice(self._french)
        if draw < 0.01:
            till = chance.choice(self._closed)
        elif draw < 0.03:
            card, till = chance.choice(self._belgians), chance.choice(self._belgian)
            return till, card, till.terminal.purchase(card, cents, product=till.accepts[0])
        elif draw < 0.05:
            card = chance.choice(self._demo)
        elif draw < 0.06:
            till = chance.choice(self._online)
            return till, card, till.terminal.purchase(card, cents, entry=Entry.ONLINE)
        elif draw < 0.10:
            card, till = chance.choice(self._first_generation or self._crowd), chance.choice(self._online)
            return till, card, till.terminal.purchase(card, cents, entry=Entry.ONLINE)
        elif draw < 0.12:
            return till, card, till.terminal.inquiry(card)
        elif draw < 0.14:
            card = structs.replace(card, pin=f"{(int(card.pin or 0) + 1) % 10_000:04}")
        elif draw < 0.17:
            return till, card, till.terminal.authorization(card, cents)
        elif draw < 0.45:
            return till, card, till.terminal.purchase(card.without_pin(), cents, entry=Entry.CONTACTLESS)
        return till, card, till.terminal.purchase(card, cents, takes_partial=chance.random() < 0.6)


async def cards_in_hand(service: Service, cards: Iterable[DemoCard], year: int) -> list[Card]:
    """What the cards' holders have in their hands."""
    made: list[Card] = []
    for one in cards:
        expiry = expiry_in(one.expiry, year)
        cvv2 = await service.security.make_cvv2(one.pan, expiry)
        made.append(Card(pan=one.pan, expiry=expiry, pin=one.pin, cvv2=cvv2, generation=one.generation))
    return made


def progress_of(console: Console) -> Progress:
    """A bar for each thing that takes a while."""
    return Progress(
        TextColumn("{task.description:>36}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
