"""Desks over a real engine and a ledger in memory, and how a process dies in the middle of one's work."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, TypeVar

from authz.decision.issuing.states import Format, OfferId, Tariff, Wanted
from authz.issuing.cards import CardDesk
from authz.issuing.clients import Clients
from authz.issuing.contacts import MemoryContacts
from authz.issuing.holders import HolderDesk
from authz.issuing.issuer import Issuer
from authz.issuing.person import Person
from ledger.values import Cents
from tests.engine.world import House, World

BY = "issuer a1"
LEA = Person("Léa", "Roy", "lea.roy@example.org")
TARIFF = Tariff(commission=250, card=Cents(300), vat=2_000)
WANTED = (Wanted("90", Format.ELECTRONIC, 50, Cents(16_000)),)
APPENDS_MAX = 40
"""More than one piece of work here takes."""

Result = TypeVar("Result")


class Office:
    """One process's desks. People are kept beside the ledger: they outlive it."""

    def __init__(self, house: House, contacts: MemoryContacts | None = None) -> None:
        self.house = house
        self.world: World = house.world
        self.contacts = contacts or MemoryContacts()
        self.issuer = Issuer(
            house.engine, house.store, house.cards, house.world.security, self.contacts, house.world.clock
        )
        self.clients = Clients(self.issuer)
        self.cards = CardDesk(self.issuer)
        self.holders = HolderDesk(self.issuer)

    async def reopened(self) -> "Office":
        """Kill the process, and start another."""
        await self.house.crash()
        return Office(await self.world.open(), self.contacts)

    async def offer(self, key: str = "offer", company: str = "Atelier Durand", programme: str = "apetiz") -> OfferId:
        """Offer a company 50 holders' vouchers, to be accepted within thirty days or so."""
        until = self.world.clock().date().replace(day=28)
        wanted = WANTED if programme == "apetiz" else (Wanted("91", Format.ELECTRONIC, 5, Cents(800)),)
        made = await self.clients.offer(programme, company, "FR-75", LEA, wanted, TARIFF, until, BY, key)
        return made.id

    def kinds(self) -> list[str]:
        """What the journals hold, in their order."""
        shelves = self.world.ledger.shelves.values()
        return [record.entry.kind for shelf in shelves for record in shelf.records]


async def killed_everywhere(
    furnish: Callable[[], Awaitable[Office]],
    work: Callable[[Office], Awaitable[Result]],
    check: Callable[[Office, Result], Awaitable[None]],
) -> None:
    """Die in each append of some work, before it is in the ledger and after; the repeat must leave what `check` wants.

    Nothing but an append changes the ledger, so these are all the awaits at which a death can matter.
    """
    for fatal in range(APPENDS_MAX):
        died = False
        for is_in in (False, True):
            office = await furnish()
            died = await _dies(office, work, fatal, is_in=is_in)
            office = await office.reopened()
            await check(office, await work(office))
            office.world.audit()
            await office.world.close()
        if not died:
            return
    raise AssertionError("the work took more appends than it may")


async def _dies(office: Office, work: Callable[[Office], Awaitable[Result]], fatal: int, *, is_in: bool) -> bool:
    """Begin the work and kill the process in its `fatal`th append. False: it was done before it came to that."""
    append, before, dies = office.house.store.append, count(), asyncio.Event()

    async def deadly(*arguments: Any) -> None:
        last = next(before) == fatal
        if is_in or not last:
            await append(*arguments)
        if last:
            dies.set()
            await asyncio.Event().wait()

    office.house.store.append = deadly
    begun, death = asyncio.ensure_future(work(office)), asyncio.ensure_future(dies.wait())
    await asyncio.wait([begun, death], return_when=asyncio.FIRST_COMPLETED)
    await office.house.crash()
    for task in (begun, death):
        task.cancel()
    await asyncio.gather(begun, death, return_exceptions=True)
    return dies.is_set()
