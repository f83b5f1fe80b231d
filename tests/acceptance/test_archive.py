"""Old ranges step aside (docs/growth.md): what lies in the archive is proved, read, repeated and undone as before.

Payments of 2023; the clock goes on by three years; the engine closes, carries and seals; `ledger archive` moves.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest
from msgspec.structs import replace

from authz.decision.commands import CardId, Enrol, IssueCard, Load, Totals
from authz.decision.outcomes import Reason, Reply
from authz.decision.totals import Sums
from authz.engine import schema
from authz.engine.requests import Answer, Request
from authz.engine.vault import PostgresVault
from authz.replay import Replayed, replay
from authz.security.module import PinMethod
from ledger import schema as ledger_schema
from ledger.cli import main
from ledger.embedded import SUPERUSER, EmbeddedServer
from ledger.postgres import PostgresStore
from ledger.signing import Signer
from ledger.values import Cents
from tests.acceptance.authorizer import LOGGED, running
from tests.acceptance.counter import ask, purchase
from tests.conftest import Database
from tests.engine.messages import advice, again, completion, refund, reversal, totals
from tests.engine.world import LINK, PATIENCE_S, WRONG_PIN, House, World, holder_of, pan_of

RANGE_SIZE = 64
HOLDERS = 6
LOADED = 20_000
PAID = 700
OLD_DAY, NEW_DAY = "20230509", "20260616"
LONG_AGO = datetime(2023, 5, 9, 10, 30, tzinfo=UTC)
THEREAFTER = datetime(2023, 5, 9, 10, 31, tzinfo=UTC)
THREE_YEARS_ON = datetime(2026, 6, 16, 10, 30, tzinfo=UTC)
SIX_YEARS_ON = datetime(2029, 6, 19, 10, 30, tzinfo=UTC)
DONE = 0


class Site:
    """A world whose ledger and vault are in PostgreSQL, and finance's commands on it."""

    def __init__(self, database: Database, partitions: int, folder: Path, capsys: pytest.CaptureFixture[bytes]) -> None:
        self.database = database
        self.world = World(partitions=partitions)
        self.world.clock.wait_at(LONG_AGO)
        self.partitions = partitions
        self.requests: dict[str, Request] = {}
        self.replies: dict[str, Reply] = {}
        self._folder = folder
        self._capsys = capsys
        self._opened: list[tuple[House, PostgresVault]] = []
        Signer.make(folder / "anchors.pem")

    @property
    def house(self) -> House:
        return self._opened[-1][0]

    @property
    def checkpoint(self) -> Sequence[str]:
        """The options that name a checkpoint, and the key that it is signed with."""
        return "--checkpoint", str(self._folder / "proved"), "--signing-key", str(self._folder / "anchors.pem")

    async def open(self) -> None:
        """Start an engine that remembers nothing."""
        vault: Any = PostgresVault(self.database.url)
        self.world.vault = vault
        self._opened.append((await self.world.open(PostgresStore(self.database.url)), vault))

    async def close(self) -> None:
        """End the newest engine."""
        house, vault = self._opened[-1]
        await house.crash()
        await house.store.close()
        await vault.close()

    async def ask(self, name: str, request: Request) -> Reply:
        self.requests[name] = request
        self.replies[name] = await self.house.pay(request)
        return self.replies[name]

    async def heads(self) -> list[int]:
        partitions = await self.house.store.partitions()
        return [(await self.house.store.fence(one)).head for one in partitions]

    async def told(self, *arguments: str, at: str | None = None) -> bytes:
        """Run a command of finance that succeeds; return what it prints."""
        url = self.database.superuser_url if arguments[0] == "archive" else self.database.finance_url
        code = await asyncio.to_thread(main, [*arguments, "--database", url, *(["--at", at] if at else [])])
        printed = self._capsys.readouterr()
        wrong = [line for line in printed.err.decode().splitlines() if not LOGGED.search(line)]
        assert (code, wrong) == (DONE, []), arguments
        return printed.out

    async def anchor(self) -> None:
        anchors = ("--file", str(self._folder / "anchors"), "--key", str(self._folder / "anchors.pem"))
        await self.told("anchor", *anchors)

    async def proved(self) -> Any:
        """Prove everything: the records against each other, the anchors, and the rules."""
        anchors = ("--anchor", str(self._folder / "anchors"), "--key", str(self._folder / "anchors.pem.pub"))
        result = msgspec.json.decode(await self.told("verify", *anchors, "--json"))
        assert result["sound"]
        assert isinstance(await replay(self.database.finance_url), Replayed)
        return result

    async def books(self) -> Sequence[bytes]:
        """All that finance can ask for."""
        [[view]] = await self.rows(
            "SELECT json_agg(one)::text FROM (SELECT * FROM ledger.balance ORDER BY 1, 2) AS one"
        )
        return [
            view.encode(),
            await self.told("balances", "--json"),
            *[await self.told("balances", "--json", at=at) for at in ("2023-05-09T10:30:30Z", "2023-12-31T00:00Z")],
            await self.told("report", "shortfalls", "--json"),
            await self.told("export", "--format", "csv"),
            await self.told("export", "--format", "hledger", "--from", "2024-01-01"),
            await self.told("export", "--format", "fec", "--siren", "732829320", "--closing", "2023-12-31"),
        ]

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database.superuser_url)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    async def balances(self, prefix: str) -> dict[str, int]:
        found = msgspec.json.decode(await self.told("balances", "--json", "--prefix", prefix))
        return {one["account"]: one["balance"] for one in found if one["balance"]}


Make = Callable[[int], Awaitable[Site]]


@pytest.fixture
async def make(
    cluster: EmbeddedServer, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> AsyncIterator[Make]:
    """`make(partitions)`: a ledger of short ranges whose first years are written and sealed, and not yet moved."""
    sites: list[Site] = []

    async def one(partitions: int) -> Site:
        name = f"archive_{uuid4().hex}"
        admin = await asyncpg.connect(cluster.url(SUPERUSER, "postgres"))
        await admin.execute(f"CREATE DATABASE {name}")
        await admin.close()
        database = Database(name, *(cluster.url(role, name) for role in (SUPERUSER, "authz", "finance")))
        await ledger_schema.create(database.superuser_url, partitions, RANGE_SIZE)
        await schema.create(database.superuser_url)
        sites.append(Site(database, partitions, tmp_path, capsysbinary))
        await grow_old(sites[-1])
        return sites[-1]

    yield one
    for site in sites:
        await site.close()


async def grow_old(site: Site) -> None:
    """Two ranges of 2023, and what the engine does with them in 2026."""
    await site.open()
    await site.house.furnish()
    for number in range(1, HOLDERS + 1):
        await enrol(site, number)
    await a_day(site)
    await site.house.engine.age_lots()
    site.world.clock.wait_at(THEREAFTER)
    await fill(site, 2, OLD_DAY)
    await site.anchor()
    await grow_older(site, THREE_YEARS_ON)


async def fill(site: Site, full: int, day: str) -> None:
    """Pay until so many ranges are full in each partition, with room made ahead of those that are so short."""
    while min(await site.heads()) < full * RANGE_SIZE:
        paid = [site.world.request(pan_of(number), 1, **on(day)) for number in range(1, HOLDERS + 1)]
        replies = await asyncio.gather(*map(site.house.pay, paid))
        assert {one.reason for one in replies} <= {Reason.APPROVED, Reason.DAILY_CAP}
        await site.house.store.add_range()


async def grow_older(site: Site, at: datetime) -> None:
    """Let the engine sleep until an instant, and do what is due by then."""
    await site.close()
    site.world.clock.wait_at(at)
    await site.open()
    await site.house.engine.age_lots()
    for chores in site.house.engine._chores:
        await chores.sweep.sweep()
        await chores.ranges.tend()
        await site.house.store.add_range()
    await site.anchor()


async def enrol(site: Site, number: int) -> None:
    """A holder with vouchers of 2023, and a card for longer than it takes."""
    house, holder, card, pan = site.house, holder_of(number), CardId(f"c{number}"), pan_of(number)
    check = await site.world.security.make_pin_check(PinMethod.PVV, pan, "1234")
    await house.cards.add(card, holder, house.engine.partition_of(holder), pan, "2806", check)
    await house.administer(Enrol(holder, "E1"), f"enrolment {holder}")
    await house.administer(IssueCard(holder, card, "apetiz", 1, "2806"), f"card {card}")
    await load(site, number, 2023)


async def load(site: Site, number: int, year: int) -> None:
    until = date(year + 1, 2, 29 if year == 2023 else 28)
    vouchers = Load(holder_of(number), "90", str(year), date(year, 1, 1), until, Cents(LOADED))
    await site.house.administer(vouchers, f"load {year} {number}")


def old(site: Site, number: int, cents: int, **changes: Any) -> Request:
    return site.world.request(pan_of(number), cents, **on(OLD_DAY), **changes)


def on(day: str) -> dict[str, Any]:
    """A terminal's local date, and its transmission."""
    return {"local": f"{day}123000", "transmitted": f"{day[4:]}103000"}


async def a_day(site: Site) -> None:
    """A decision of every kind, on a day of 2023."""
    world, pans = site.world, [pan_of(number) for number in range(HOLDERS + 1)]
    paid = [await site.ask(f"paid {number}", old(site, number, PAID)) for number in range(1, HOLDERS + 1)]
    held = await site.ask("held", old(site, 2, 500, mti="0100"))
    captured = await site.ask("captured", completion(world, pans[2], 400, site.requests["held"], **on(OLD_DAY)))
    await site.ask("left", old(site, 3, 300, mti="0100"))
    await site.ask("refused", old(site, 4, PAID, pin=WRONG_PIN))
    part = await site.ask("partly", reversal(world, pans[4], site.requests["paid 4"], 200, **on(OLD_DAY)))
    short = await site.ask("short", advice(world, pans[5], LOADED, **on(OLD_DAY)))
    await site.house.engine.cut_over(LINK, None, "cutover")
    assert {one.reason for one in (*paid, held, captured, part, short)} == {Reason.APPROVED}
    assert site.replies["refused"].reason is Reason.PIN_WRONG


async def day_of_2023(site: Site, trace: int) -> Sums:
    """What the ledger answers an acquirer's host who asks for the totals of that day."""
    day = site.world.clock().strftime("%Y%m%d%H%M%S")
    asked = totals(trace, LONG_AGO.date(), Sums(), transmitted=day)
    answer = await site.house.engine.total(replace(asked, deadline=asyncio.get_running_loop().time() + PATIENCE_S))
    assert isinstance(answer, Answer)
    assert isinstance(answer.command, Totals)
    return answer.command.recorded


async def archive(site: Site) -> Sequence[Any]:
    """Run the command; return what it says of each range that it moved."""
    moved: Sequence[Any] = msgspec.json.decode(await site.told("archive", "--json"))["moved"]
    return moved


async def moved(site: Site) -> None:
    """Move the two ranges."""
    sizes = [(0, RANGE_SIZE - 1), (1, RANGE_SIZE)]  # numbers begin at 1
    found = [(one["range"], one["records"]) for one in await archive(site)]
    assert found == [(number, size * site.partitions) for number, size in sizes]
    [[oldest]] = await site.rows("SELECT min(seq) FROM ledger.journal")
    assert oldest == 2 * RANGE_SIZE


@pytest.mark.parametrize("partitions", [1, 2])
async def test_what_lies_in_the_archive_is_proved_and_read_as_before(make: Make, partitions: int) -> None:
    """With the anchors that were made before it moved, and beside an engine that writes."""
    site = await make(partitions)
    proof, books = await site.proved(), await site.books()
    await site.told("verify", *site.checkpoint)
    await moved(site)
    assert await site.proved() == proof
    await site.told("verify", *site.checkpoint)
    await site.told("verify", "--from", str(RANGE_SIZE // 2), "--to", str(RANGE_SIZE + 5))
    assert await site.books() == books
    assert await archive(site) == []


@pytest.mark.parametrize("partitions", [1, 2])
async def test_whatever_names_an_archived_request_is_answered_as_ever(make: Make, partitions: int) -> None:
    """docs/interface.md: the stored reply to a repeat; a reversal whatever the time since, to the lots it came from."""
    site = await make(partitions)
    counted = await day_of_2023(site, 1)
    assert counted.debits_number > 0
    await moved(site)
    await site.close()
    await site.open()
    world, house = site.world, site.house
    assert await day_of_2023(site, 2) == counted

    before = await site.heads()
    for name, request in site.requests.items():
        for repeat in (True, False):
            asked = replace(again(request, repeat=repeat), deadline=asyncio.get_running_loop().time() + PATIENCE_S)
            assert await house.pay(asked) == site.replies[name], name
    assert await site.heads() == before

    assert await site.balances("expired:h") == {}
    undone = await house.pay(reversal(world, pan_of(1), site.requests["paid 1"], **on(NEW_DAY)))
    given = await house.pay(refund(world, pan_of(4), 200, site.requests["paid 4"], **on(NEW_DAY)))
    late = await house.pay(reversal(world, pan_of(2), site.requests["captured"], 150, **on(NEW_DAY)))
    assert (undone.reason, given.reason, late.reason) == (Reason.APPROVED,) * 3
    assert await site.balances("expired:h") == {
        "expired:h1:90:2023": PAID,
        "expired:h2:90:2023": 250,
        "expired:h4:90:2023": 200,
    }
    world.clock.wait_at(THREE_YEARS_ON + timedelta(days=366))
    await house.engine.age_lots()
    assert await site.balances("expired:h") == {}, "it fell on the next 31 March"
    await site.anchor()
    await site.proved()


@pytest.mark.parametrize("partitions", [1, 2])
async def test_holders_who_were_carried_pay_on(make: Make, partitions: int) -> None:
    """And the ledger grows on where old ranges have left."""
    site = await make(partitions)
    await moved(site)
    await site.close()
    await site.open()
    for number in range(1, HOLDERS + 1):
        await load(site, number, 2026)
    await fill(site, 5, NEW_DAY)
    await grow_older(site, SIX_YEARS_ON)
    assert [one["range"] for one in await archive(site)] == [2, 3, 4]
    await site.proved()


async def test_payments_go_on_while_ranges_move(make: Make) -> None:
    """Each append waits for a moment at most; the schema's next version would find the ledger as it left it."""
    site = await make(1)
    await load(site, 1, 2026)
    moving, replies = asyncio.create_task(archive(site)), list[Reason]()
    while not moving.done():
        replies.append((await site.house.pay(site.world.request(pan_of(1), 1, **on(NEW_DAY)))).reason)
        if len(replies) % (RANGE_SIZE // 4) == 0:  # ranges are so short that half a minute, as there, is too long
            await site.house.store.add_range()
    assert [one["range"] for one in await moving] == [0, 1]
    assert replies
    assert set(replies) == {Reason.APPROVED}
    await schema.create(site.database.superuser_url)
    await site.proved()


async def test_an_authorizer_starts_on_what_is_left(make: Make, tmp_path: Path) -> None:
    """What it reads before it is ready is in live ranges, or looked for in all of them.

    The demo's year is that of the ledger's first record, archived or not: a card of 2026 isn't in date there.
    """
    site = await make(1)
    await moved(site)
    await site.close()
    url, at = site.database.url, THREE_YEARS_ON.isoformat()
    with running(tmp_path, "--database", url, "--clock", at) as authorizer:
        assert (await asyncio.to_thread(ask, authorizer.port, purchase("0014", 100))).reason == "CARD_EXPIRED"
    await site.open()
    await site.proved()
