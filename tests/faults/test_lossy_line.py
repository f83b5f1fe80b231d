"""A day over a line that loses, delays, repeats and reorders frames: no cent appears, vanishes or moves twice.

Tills reverse what they get no answer to and tell again what nobody acknowledged. When the day is over, what each of
them believes of its money is what the ledger has (docs/interface.md, "Same request, same answer", "Reversals").
"""

import asyncio
import os
import random
from collections.abc import Callable, Coroutine
from datetime import date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from msgspec import Struct

from authz.clock import SimulatedClock
from authz.demo.demo import generated_cards
from authz.demo_data import data as demo_data
from authz.demo_data.data import DemoLoader, expiry_in
from authz.engine import schema
from authz.replay import Replayed, replay
from authz.service import running as serving
from authz.wire.codec import Codec
from authz.wire.dialect import shipped
from authz.wire.message import Message
from ledger.verify import Report, verify
from simulators.acquirer.host import AcquirerHost
from simulators.acquirer.line import Line
from simulators.acquirer.totals import Totals
from simulators.faults.proxy import Counts, FaultProxy, Faults
from simulators.terminal import parameters
from simulators.terminal.book import Kind
from simulators.terminal.card import Card
from simulators.terminal.messages import Site, Terminal
from simulators.terminal.pinpad import PinPad
from simulators.terminal.till import Patience, Till
from tests.acceptance.authorizer import TUESDAY, Authorizer, running
from tests.conftest import Database

NOON = datetime.fromisoformat(TUESDAY)
DAY = date(2026, 5, 12)
DEMO = parameters.demo()
CODEC = Codec(shipped(DEMO.dialect))
MERCHANT = "FR0000000000001"
TILLS = 20
TILLS_PER_LINE = 5
FAULTS = Faults(drop=30, duplicate=40, reorder=40, delay=60, delay_max_ms=450, cut=4)
"""Some delays are longer than a till's patience: answers come after their reversals, and originals too."""
PATIENCE = Patience(answer_within_s=0.25, again_every_s=0.25)
PATIENT = msgspec.structs.replace(PATIENCE, repeats_max=2)

BY_TERMINAL = """
SELECT rtrim(request -> 'command' -> 'origin' ->> 'terminal') AS terminal,
       (coalesce(sum(amount) FILTER (WHERE credit = $1), 0)
        - coalesce(sum(amount) FILTER (WHERE debit = $1), 0))::bigint AS owed,
       (coalesce(sum(amount) FILTER (WHERE credit LIKE 'hold:%'), 0)
        - coalesce(sum(amount) FILTER (WHERE debit LIKE 'hold:%'), 0))::bigint AS held
  FROM ledger.journal JOIN ledger.transfer USING (partition, seq)
 WHERE request -> 'command' -> 'origin' ->> 'terminal' IS NOT NULL
 GROUP BY 1"""

BY_DIRECTION = """
SELECT request -> 'command' -> 'origin' ->> 'mti' LIKE '04%' AS reverses, credit = $1 AS pays,
       count(DISTINCT seq) AS number, sum(amount)::bigint AS amount
  FROM ledger.journal JOIN ledger.transfer USING (partition, seq)
 WHERE $1 IN (debit, credit)
 GROUP BY 1, 2"""

REQUESTS = "SELECT count(*) FROM ledger.journal WHERE request -> 'command' -> 'origin' ->> 'mti' IS NOT NULL"

PAYABLE = f"acquirer:{DEMO.acquirer}:payable"


class Shop:
    """One till's day: customers who pay, hesitate, change their minds, and leave."""

    def __init__(self, number: int, line: Line, cards: list[Card], seed: int) -> None:
        site = Site(f"TIL{number:05}", MERCHANT, "Le Bistrot du Port", "Europe/Paris")
        self.terminal = Terminal(site, DEMO.acquirer, PinPad(DEMO.zone_pin_key), lambda: NOON)
        self.till = Till(self.terminal, line, PATIENT if number % 3 == 0 else PATIENCE)
        self._chance = random.Random(f"{seed}:{number}")
        self._cards = cards

    async def work(self, customers: int) -> None:
        visits: tuple[Callable[[Card, int], Coroutine[Any, Any, None]], ...] = (
            self._buys,
            self._buys_and_returns,
            self._authorizes_and_completes,
            self._authorizes_and_leaves,
            self._pays_offline,
            self._holds_offline,
        )
        for _ in range(customers):
            visit = self._chance.choices(visits, weights=(8, 3, 5, 2, 3, 2))[0]
            await visit(self._chance.choice(self._cards), self._chance.randint(2, 400))

    async def _buys(self, card: Card, cents: int) -> None:
        purchase = self.terminal.purchase(card, cents, takes_partial=self._chance.random() < 0.5)
        if await self._pays(purchase) and self._chance.random() < 0.1:
            await self.till.pay(self.terminal.refund(card, purchase, cents))

    async def _buys_and_returns(self, card: Card, cents: int) -> None:
        purchase = self.terminal.purchase(card, cents, takes_partial=True)
        if await self._pays(purchase):
            await self._returns(purchase)

    async def _authorizes_and_completes(self, card: Card, cents: int) -> None:
        hold = self.terminal.authorization(card, cents)
        reply = await self.till.pay(hold)
        if not _approved(reply):
            return
        if self._chance.random() < 0.2:
            await self.till.take_back(hold, stands=self._chance.randint(1, cents))
        captured = self._chance.choice([cents, max(1, cents // 2), cents + 50])
        approval = reply.approval if reply is not None and self._chance.random() < 0.5 else None
        completion = self.terminal.completion(card, hold, captured, approval=approval)
        acknowledged = await self.till.tell(completion)
        assert acknowledged.response_code == "00", acknowledged.reason
        if self._chance.random() < 0.4:
            await self._returns(self._chance.choice([hold, completion]))

    async def _authorizes_and_leaves(self, card: Card, cents: int) -> None:
        hold = self.terminal.authorization(card, cents)
        if await self._pays(hold) and self._chance.random() < 0.6:
            await self._returns(hold)

    async def _pays_offline(self, card: Card, cents: int) -> None:
        advice = self.terminal.advice(card.without_pin(), cents)
        acknowledged = await self.till.tell(advice)
        assert acknowledged.response_code == "00", acknowledged.reason
        if self._chance.random() < 0.3:
            await self._returns(advice)

    async def _holds_offline(self, card: Card, cents: int) -> None:
        """Never left open: a hold that no balance covered is less in the ledger than its till believes."""
        hold = self.terminal.hold_advice(card, cents)
        acknowledged = await self.till.tell(hold)
        assert acknowledged.response_code == "00", acknowledged.reason
        if self._chance.random() < 0.5:
            await self.till.take_back(hold)
        else:
            acknowledged = await self.till.tell(self.terminal.completion(card, hold, cents))
            assert acknowledged.response_code == "00", acknowledged.reason

    async def _returns(self, request: Message) -> None:
        """Some of it, all of it, or first the one and then the other."""
        how = self._chance.random()
        if how < 0.6:
            await self.till.take_back(request, stands=self._chance.randint(0, int(request.amount or 0)))
        if how > 0.4:
            await self.till.take_back(request)

    async def _pays(self, request: Message) -> bool:
        return _approved(await self.till.pay(request))


class Day(Struct, frozen=True):
    """What is left of a day: the tills as they believe to stand, and what the line did to them."""

    shops: list[Shop]
    counts: Counts
    reconnected: int


def _approved(reply: Message | None) -> bool:
    return reply is not None and reply.response_code in ("00", "10")


async def test_a_day_on_a_lossy_line(database: Database, tmp_path: Path) -> None:
    await _run(database, tmp_path, customers=260, holders=60, seed=1, requests=400)


@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", [2, 3])
async def test_a_long_day_on_a_lossy_line(database: Database, tmp_path: Path, seed: int) -> None:
    await _run(database, tmp_path, customers=6_800, holders=3_000, seed=seed, requests=10_000)


async def _run(database: Database, folder: Path, *, customers: int, holders: int, seed: int, requests: int) -> None:
    await schema.create(database.superuser_url)
    cards = await _enrol(database, holders)
    with running(folder, "--database", database.url, "--clock", TUESDAY) as authorizer:
        day = await _work(authorizer, cards, customers, seed)
        counted = await _counted(database)
        await _hold_totals(authorizer, counted)
        assert authorizer.terminate() == 0
    assert (await _fetch(database, REQUESTS))[0]["count"] >= requests
    _the_line_was_bad(day)
    believed = {shop.terminal.site.terminal: _believed(shop) for shop in day.shops}
    assert await _recorded(database) == {name: money for name, money in believed.items() if money != (0, 0)}
    assert counted.net == -sum(owed for owed, _ in believed.values())
    assert isinstance(await verify(database.superuser_url), Report)
    assert isinstance(await replay(database.superuser_url), Replayed)


async def _enrol(database: Database, holders: int) -> list[Card]:
    """Enter holders by the journaled commands that issuing uses, and hand out their cards."""
    demo, crowd = demo_data.read(), generated_cards(holders)
    config = demo.config()
    links = tuple(msgspec.structs.replace(link, port=0) for link in config.links)
    config = msgspec.structs.replace(config, links=links, http_port=0)
    async with serving(config, database.url, SimulatedClock(NOON), demo=True) as service:
        loader = DemoLoader(service.engine, service.cards, service.security, DAY)
        await loader.load_cards(crowd, {employer.id: employer.programme for employer in demo.employer})
    return [Card(pan=card.pan, expiry=expiry_in(card.expiry, DAY.year), pin=card.pin) for card in crowd]


async def _work(authorizer: Authorizer, cards: list[Card], customers: int, seed: int) -> Day:
    upstream = "127.0.0.1", authorizer.port
    async with FaultProxy(("127.0.0.1", 0), upstream, CODEC.dialect.framing, FAULTS, seed) as proxy:
        lines = [Line("127.0.0.1", proxy.port, CODEC) for _ in range(TILLS // TILLS_PER_LINE)]
        shops = [Shop(number, lines[number // TILLS_PER_LINE], cards, seed) for number in range(TILLS)]
        await asyncio.gather(*(shop.work(customers // TILLS) for shop in shops))
        for line in lines:
            await line.close()
    return Day(shops, proxy.counts, sum(line.connections for line in lines) - len(lines))


def _the_line_was_bad(day: Day) -> None:
    """A line without faults would prove nothing."""
    counts = day.counts
    assert counts.dropped, counts
    assert counts.duplicated, counts
    assert counts.reordered, counts
    assert counts.delayed, counts
    assert counts.cut, counts
    assert day.reconnected
    assert any(shop.terminal.book.given_back for shop in day.shops)
    assert any(shop.terminal.book.standing(Kind.HOLD) for shop in day.shops)
    assert any(shop.terminal.book.standing(Kind.CAPTURE) for shop in day.shops)
    assert not any(shop.till.stored for shop in day.shops)


def _believed(shop: Shop) -> tuple[int, int]:
    """What a till is owed, and what it believes to be set aside."""
    return shop.terminal.owed, shop.terminal.book.standing(Kind.HOLD)


async def _recorded(database: Database) -> dict[str, tuple[int, int]]:
    """The same from the ledger, for the terminals whose records moved money that still stands."""
    rows = await _fetch(database, BY_TERMINAL, PAYABLE)
    recorded = {row["terminal"]: (row["owed"], row["held"]) for row in rows}
    return {name: money for name, money in recorded.items() if money != (0, 0)}


async def _counted(database: Database) -> Totals:
    """Add up the day's debits, credits and reversals, past the product's own code."""
    counted: dict[str, int] = {}
    for row in await _fetch(database, BY_DIRECTION, PAYABLE):
        debits = row["pays"] != row["reverses"]
        name = f"{'debits' if debits else 'credits'}{'_reversal' if row['reverses'] else ''}"
        counted |= {f"{name}_number": row["number"], f"{name}_amount": row["amount"]}
    return Totals(**counted)


async def _hold_totals(authorizer: Authorizer, counted: Totals) -> None:
    """The host's own count of the day agrees with the ledger's; one that is a cent off doesn't."""
    host = await AcquirerHost.connect("127.0.0.1", authorizer.port, CODEC)
    agreed = await host.totals(DEMO.acquirer, DAY, counted, NOON)
    falsified = msgspec.structs.replace(counted, debits_amount=counted.debits_amount + 1)
    refuted = await host.totals(DEMO.acquirer, DAY, falsified, NOON)
    await host.close()
    assert (agreed.response_code, agreed.settlement_code, Totals.parse(agreed)) == ("00", "1", counted), agreed.reason
    assert (refuted.response_code, refuted.settlement_code, Totals.parse(refuted)) == ("00", "2", counted)


async def _fetch(database: Database, query: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database.url)
    try:
        return await connection.fetch(query, *arguments)
    finally:
        await connection.close()
