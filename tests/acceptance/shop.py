"""A shop at an authorizer, in a dialect and on terms of its choice: a line, a till, customers nobody else serves."""

import asyncio
import itertools
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from authz.clock import SimulatedClock
from authz.demo.demo import generated_cards
from authz.demo_data.data import DemoCard, DemoLoader, DemoLot, expiry_in
from authz.service import running as serving
from authz.wire.amounts import AdditionalAmount, parse_amounts
from authz.wire.message import ATTRIBUTES, Message
from authz.wire.rules import reply_mti
from simulators.terminal.card import Card
from simulators.terminal.messages import Terminal
from tests.acceptance.authorizer import TUESDAY, Authorizer, rows
from tests.acceptance.counter import DEMO, SIMULATED, YEAR, Line, codec_of, terminal
from tests.conftest import Database

STOCK = 5_000
"""What each customer has, in cents: titres-restaurant of the year N."""
CAP = 1_900
"""What a customer may spend a day, in cents."""
STOCKED_AT = datetime.fromisoformat("2026-01-05T09:00:00+01:00")
CUSTOMERS = [
    msgspec.structs.replace(one, generation=2, lots=(DemoLot("90", "N", Decimal(STOCK) / 100),))
    for one in generated_cards(250)
]
ECHOED = (2, 3, 7, 11, 12, 13, 32, 37, 41, 42, 49, 70)
"""docs/interface.md: what every reply echoes as received. DE 4 too, unless the approval is partial."""
TRACES_A_RUN, ELSEWHERE = 10_000, 500_000
"""No two requests of a shop bear the same trace number: each opening's till has its own, and so has every other."""

_MONEY = """
WITH mine AS (SELECT holder FROM authz.vault WHERE (first6, last4) = ($1, $2)),
balance AS (SELECT balance.* FROM ledger.balance, mine WHERE split_part(account, ':', 2) = holder),
moved AS (SELECT transfer.* FROM ledger.journal JOIN mine USING (holder) JOIN ledger.transfer USING (partition, seq)),
acquirer AS (
    SELECT credit AS account, amount AS cents FROM moved WHERE credit LIKE 'acquirer:%'
    UNION ALL
    SELECT debit, -amount FROM moved WHERE debit LIKE 'acquirer:%'
)
SELECT
    (SELECT coalesce(sum(balance), 0)::bigint FROM balance WHERE account LIKE 'holder:%') AS holder,
    (SELECT coalesce(sum(balance), 0)::bigint FROM balance WHERE account LIKE 'hold:%') AS hold,
    (SELECT coalesce(sum(cents), 0)::bigint FROM acquirer WHERE account LIKE '%:payable') AS payable,
    (SELECT coalesce(sum(cents), 0)::bigint FROM acquirer WHERE account LIKE '%:exceptions') AS exceptions
"""
_RECORD = """
SELECT kind, reason, request, reply, position FROM ledger.journal
 WHERE request -> 'command' -> 'origin' ->> 'trace' = $1 AND request -> 'command' -> 'origin' ->> 'mti' = $2
 ORDER BY seq
"""


class Money(Struct, frozen=True):
    """What is on a customer's accounts, and what went to and from the acquirer's through them, in cents."""

    holder: int
    hold: int = 0
    payable: int = 0
    exceptions: int = 0


class Shop:
    """One line to one authorizer on one database, in one dialect. Every reply's message type and echo are checked."""

    authorizer: Authorizer
    line: Line
    till: Terminal

    def __init__(self, folder: Path, database: Database, dialect: str = "iso87ascii", **terms: Any) -> None:
        self.database = database
        self.codec = codec_of(dialect)
        self._folder = folder
        self._config = folder / "links.toml"
        self._config.write_text(configuration(dialect, **terms))
        self._customers = iter(CUSTOMERS)
        self._elsewhere = itertools.count(ELSEWHERE, step=100)
        self._runs = 0

    def __enter__(self) -> "Shop":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._runs:
            self.line.close()
            self.authorizer.kill()

    def open(self, at: str = TUESDAY) -> "Shop":
        """Start the authorizer at an instant, or again after `authorizer.kill`, with the same database and terms."""
        options = ("--database", self.database.url, "--config", str(self._config), "--clock", at)
        self.authorizer = Authorizer(self._folder, *options).ready()
        if self._runs:
            self.line.close()
        self.line = Line(self.authorizer.port, self.codec)
        self.till = terminal(at=at, first_trace=1 + TRACES_A_RUN * self._runs)
        self._runs += 1
        return self

    def customer(self) -> Card:
        """The next customer's card: nobody has paid with it."""
        return in_hand(next(self._customers))

    def till_at(self, at: str) -> Terminal:
        """A till of the same terminal at another time."""
        return terminal(at=at, first_trace=next(self._elsewhere))

    def ask(self, request: Message) -> Message:
        reply = self.line.ask(request)
        check_echo(request, reply)
        return reply

    def ask_bytes(self, request: Message) -> bytes:
        return self.line.ask_bytes(self.codec.encode(request))

    def money(self, card: Card) -> Money:
        """What the ledger has of a customer."""
        [found] = self.rows(_MONEY, card.pan[:6], card.pan[-4:])
        return Money(**found)

    def recorded(self, request: Message) -> list[asyncpg.Record]:
        """The journal's records of a request, by its message type and trace number."""
        return self.rows(_RECORD, request.trace, request.mti)

    def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        return rows(self.database.url, query, *arguments)


def in_hand(demo: DemoCard) -> Card:
    """A card as its holder has it, who types the right PIN."""
    return Card(pan=demo.pan, expiry=expiry_in(demo.expiry, YEAR), pin=demo.pin, generation=demo.generation)


def check_echo(request: Message, reply: Message) -> None:
    """Every reply: its message type, and what it echoes."""
    echoed = [ATTRIBUTES[number] for number in ((4, *ECHOED) if reply.reason != "PARTIAL" else ECHOED)]
    assert reply.mti == reply_mti(request.mti)
    assert {name: getattr(reply, name) for name in echoed} == {name: getattr(request, name) for name in echoed}


def said(reply: Message) -> tuple[str | None, str | None]:
    """DE 39 and DE 44."""
    return reply.response_code, reply.reason


def told(reply: Message) -> tuple[int, int | None]:
    """DE 54: what is available, and what is left of the day's cap."""
    amounts = parse_amounts(reply.balances or "") or ()
    available, left = amounts
    assert [(one.account_type, one.amount_type, one.currency) for one in amounts] == [
        ("90", "02", "978"),
        ("90", "20", "978"),
    ]
    assert isinstance(available, AdditionalAmount)
    return available.amount, left.amount


def configuration(dialect: str = "iso87ascii", **terms: Any) -> str:
    """A file with the demo's keys, and its acquirer's link in a dialect, on terms of its own."""
    link = {"acquirer": SIMULATED.acquirer, "dialect": dialect, "zpk": DEMO.link.zpk, "zak": DEMO.link.zak}
    tables: Iterable[tuple[str, dict[str, Any]]] = (
        ("[vault]", {"key": DEMO.vault.key}),
        ("[issuer_keys]", dict(DEMO.issuer_keys)),
        ("[[link]]", link | {"zmk": DEMO.link.zmk} | terms),
    )
    lines = (
        line
        for head, table in tables
        for line in (head, *(f"{name} = {msgspec.json.encode(value).decode()}" for name, value in table.items()))
    )
    return "\n".join(lines)


def stock(url: str) -> None:
    """Enter the demo's data and the customers into an empty ledger, by the commands that issuing uses."""

    async def enter() -> None:
        config = DEMO.config()
        links = tuple(msgspec.structs.replace(link, port=0) for link in config.links)
        config = msgspec.structs.replace(config, links=links, http_port=0)
        programmes = {employer.id: employer.programme for employer in DEMO.employer}
        async with serving(config, url, SimulatedClock(STOCKED_AT), demo=True) as service:
            loader = DemoLoader(service.engine, service.cards, service.security, date(YEAR, 1, 5))
            await loader.load_cards(CUSTOMERS, programmes)

    asyncio.run(enter())
