"""Whatever a line does to a till's frames, its book and the ledger say the same afterwards.

One authorizer, whose link asks for MACs; a line of its own for each fault, all at the same time. Each line is bad for
some frames, in which its till sells, holds, captures and takes back, and then heals.
"""

import asyncio
import itertools
import random
from datetime import date, datetime
from hmac import compare_digest

import asyncpg
import msgspec
from msgspec import Struct

from authz.clock import SimulatedClock
from authz.demo.demo import generated_cards
from authz.demo_data import data as demo_data
from authz.demo_data.data import DemoLoader, expiry_in
from authz.engine import schema
from authz.security.mac import RetailMac
from authz.service import running
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from simulators.acquirer.host import AcquirerHost
from simulators.faults.fates import UNHARMED, Direction, Faults, LineFaults, draw, refuses
from simulators.faults.plan import Plan, lasting
from simulators.faults.proxy import FaultProxy
from simulators.faults.regime import Counts
from simulators.terminal import parameters
from simulators.terminal.book import Kind
from simulators.terminal.card import Card
from simulators.terminal.messages import Site, Terminal
from simulators.terminal.pinpad import PinPad
from simulators.terminal.till import Patience, Till
from tests.conftest import Database

NOON = datetime.fromisoformat("2026-05-12T12:30:00+02:00")
DAY = date(2026, 5, 12)
DEMO = parameters.demo()
CODEC = Codec(shipped(DEMO.dialect))
CUSTOMERS = 6
BAD_FRAMES = 16
PATIENCE = Patience(answer_within_s=0.2, again_every_s=0.2)
LATE = {"delay_min_ms": 50, "delay_max_ms": 400}
"""Some come after the till has lost its patience."""

STRIKES = {
    "drop": (Faults(drop=300), "dropped"),
    "duplicate": (Faults(duplicate=400, **LATE), "duplicated"),
    "reorder": (Faults(reorder=300, **LATE), "reordered"),
    "delay": (Faults(delay=400, **LATE), "delayed"),
    "corrupt": (Faults(corrupt=300), "corrupted"),
    "misframe": (Faults(misframe=200), "misframed"),
    "halve": (Faults(halve=300), "halved"),
    "half_close": (Faults(half_close=300), "half_closed"),
    "blackhole": (Faults(blackhole=300), "vanished"),
    "cut": (Faults(cut=300), "cut"),
    "drip": (Faults(drip_bytes_per_s=2_000), "frames"),
}
"""By name: the faults, and what counts them."""
LINES = {
    f"{name}-{direction}": (LineFaults.towards(direction, faults), counted)
    for name, (faults, counted) in STRIKES.items()
    for direction in Direction
} | {"refuse": (LineFaults(both=Faults(cut=200), refuse=300), "refused")}

BY_TERMINAL = """
SELECT coalesce(sum(amount) FILTER (WHERE credit LIKE 'acquirer:%:payable'), 0)::bigint
     - coalesce(sum(amount) FILTER (WHERE debit LIKE 'acquirer:%:payable'), 0)::bigint AS owed,
       coalesce(sum(amount) FILTER (WHERE credit LIKE 'hold:%'), 0)::bigint
     - coalesce(sum(amount) FILTER (WHERE debit LIKE 'hold:%'), 0)::bigint AS held
  FROM ledger.journal JOIN ledger.transfer USING (partition, seq)
 WHERE rtrim(request -> 'command' -> 'origin' ->> 'terminal') = $1"""


EARLY_FRAMES = range(1, 5)
"""Of the first connection, in either direction: there are always as many."""


def striking(faults: LineFaults) -> int:
    """A seed by which the line is bad early: fates are known beforehand."""
    if faults.refuse:
        return next(seed for seed in itertools.count() if refuses(faults.refuse, seed, 1))
    if any(faults.of(direction).drip_bytes_per_s for direction in Direction):
        return 0
    return next(
        seed
        for seed, direction in itertools.product(range(1_000), Direction)
        if any(draw(faults.of(direction), seed, 1, direction, frame) != UNHARMED for frame in EARLY_FRAMES)
    )


class Macs:
    """The MACs of the demo's link, at the acquirer's end."""

    def __init__(self, zak: str) -> None:
        self._mac = RetailMac(bytes.fromhex(zak))

    def of(self, covered: bytes) -> str:
        return self._mac.of(covered)

    def are_right(self, mac: str, covered: bytes) -> bool:
        return compare_digest(mac, self._mac.of(covered))


class SignedLine:
    """A till's line on which every message bears a MAC; a new connection wherever one was lost."""

    def __init__(self, port: int, macs: Macs) -> None:
        self._port, self._macs = port, macs
        self._host: AcquirerHost | None = None

    async def exchange(self, request: Message, timeout: float) -> Message:
        if self._host is None or self._host.lost:
            self._host = await AcquirerHost.connect("127.0.0.1", self._port, CODEC, macs=self._macs)
        return await self._host.exchange(request, timeout)

    async def close(self) -> None:
        if self._host is not None:
            await self._host.close()


class Evening(Struct, frozen=True):
    """What is left of a till's day: its cents as it believes and as the ledger has them, and what its line did."""

    believed: tuple[int, int]
    recorded: tuple[int, int]
    left_to_tell: int
    counts: Counts


async def serve(till: Till, card: Card, chance: random.Random) -> None:
    """Customers who pay, hesitate and change their minds."""
    for number in range(CUSTOMERS):
        cents = chance.randint(2, 200)
        if number % 2:
            sale = till.terminal.purchase(card, cents)
            if approved(await till.pay(sale)) and number % 4 == 1:
                await till.take_back(sale, stands=chance.randint(0, cents))
        else:
            hold = till.terminal.authorization(card, cents)
            if approved(await till.pay(hold)) and number % 4 == 0:
                await till.tell(till.terminal.completion(card, hold, chance.randint(1, cents)))
    while not approved(await till.pay(till.terminal.purchase(card, 1))):
        pass  # until the line has healed


def approved(reply: Message | None) -> bool:
    return reply is not None and reply.response_code in ("00", "10")


async def work(port: int, number: int, faults: LineFaults, card: Card, ledger: asyncpg.Pool, zak: str) -> Evening:
    [bad] = lasting(faults).phase
    plan = Plan(phase=(msgspec.structs.replace(bad, for_frames=BAD_FRAMES),))
    site = Site(f"BAD{number:05}", "FR0000000000001", "Le Bistrot du Port", "Europe/Paris")
    async with FaultProxy(
        ("127.0.0.1", 0), ("127.0.0.1", port), CODEC.dialect.framing, plan, striking(faults)
    ) as proxy:
        line = SignedLine(proxy.port, Macs(zak))
        till = Till(Terminal(site, DEMO.acquirer, PinPad(DEMO.zone_pin_key), lambda: NOON), line, PATIENCE)
        await serve(till, card, random.Random(number))
        await line.close()
    recorded = await ledger.fetchrow(BY_TERMINAL, site.terminal)
    believed = till.terminal.owed, till.terminal.book.standing(Kind.HOLD)
    return Evening(believed, tuple(recorded), len(till.stored), proxy.counts)


async def all_evenings(url: str) -> dict[str, Evening]:
    demo, crowd = demo_data.read(), generated_cards(len(LINES))
    link = msgspec.structs.replace(demo.link, mac_required=True, port=0)
    config = msgspec.structs.replace(msgspec.structs.replace(demo, link=link).config(), http_port=0)
    cards = [Card(pan=card.pan, expiry=expiry_in(card.expiry, DAY.year), pin=card.pin) for card in crowd]
    async with (
        running(config, url, SimulatedClock(NOON), demo=True) as service,
        asyncpg.create_pool(url, min_size=1, max_size=2) as ledger,
    ):
        loader = DemoLoader(service.engine, service.cards, service.security, DAY)
        await loader.load_cards(crowd, {employer.id: employer.programme for employer in demo.employer})
        evenings = await asyncio.gather(
            *(
                work(service.links[0].port, number, faults, card, ledger, demo.link.zak)
                for number, ((faults, _), card) in enumerate(zip(LINES.values(), cards, strict=True))
            )
        )
    return dict(zip(LINES, evenings, strict=True))


async def test_a_tills_book_is_the_ledgers_whatever_its_line_does(database: Database) -> None:
    await schema.create(database.superuser_url)
    evenings = await all_evenings(database.url)
    assert {name: evening for name, evening in evenings.items() if evening.believed != evening.recorded} == {}
    assert not any(evening.left_to_tell for evening in evenings.values())
    assert all(evening.believed[0] > 0 for evening in evenings.values())
    spared = [name for name, (_, counted) in LINES.items() if not getattr(evenings[name].counts, counted)]
    assert spared == [], "a line without faults proves nothing"


def test_every_fault_there_is_has_a_line() -> None:
    spoiling = {name.removesuffix("_bytes_per_s") for name in Faults.__struct_fields__} - {
        "delay_min_ms",
        "delay_max_ms",
    }
    assert spoiling == set(STRIKES)
