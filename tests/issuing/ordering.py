"""Clients that order over a ledger in memory: two employers of titres-restaurant, one of eco-vouchers."""

from collections import Counter
from collections.abc import Sequence
from datetime import date

from msgspec.structs import replace

from authz.decision.commands import AdoptProgramme, RegisterEmployer
from authz.decision.issuing.commands import OpenClient
from authz.decision.issuing.states import (
    ClientId,
    ContactId,
    Contract,
    Format,
    OfferId,
    Order,
    OrderId,
    Tariff,
)
from authz.decision.reference import Employer
from authz.issuing.contacts import MemoryContacts, holder_of
from authz.issuing.issuer import Issuer
from authz.issuing.orders import Orders
from authz.issuing.person import Person
from authz.issuing.releases import Releases
from authz.issuing.sheets.rows import Row
from authz.programmes import SHIPPED, shipped
from ledger.values import Account, Cents, HolderId, Partition
from tests.engine.world import House, World

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
TARIFF = Tariff(commission=250, card=Cents(4_00), vat=2000)
DURAND, LEROY, PEETERS = ClientId("durand"), ClientId("leroy"), ClientId("peeters")
CLIENTS = {DURAND: ("apetiz", "90"), LEROY: ("apetiz", "90"), PEETERS: ("pluxee-be", "92")}
FIRST, SECOND = OrderId("o1"), OrderId("o2")


class Desk:
    """An engine's issuing, as one process has it; `contacts` outlive it."""

    def __init__(self, world: World, house: House, contacts: MemoryContacts) -> None:
        self.house = house
        self.contacts = contacts
        self.issuer = Issuer(house.engine, house.store, house.cards, world.security, contacts, world.clock)
        partitions = [Partition(number) for number in range(len(world.ledger.shelves))]
        self.lines_applied: list[int] = []
        self.releases = [Releases(self.issuer, one, self.lines_applied.append) for one in partitions]
        self.orders = Orders(self.issuer, [one.paid for one in self.releases])

    async def furnish(self) -> None:
        """Adopt the programmes, and open the clients' accounts."""
        for name in SHIPPED:
            await self.issuer.do(AdoptProgramme(shipped(name)), f"programme {name}", "test")
        for client, (programme, product) in CLIENTS.items():
            contract = Contract(product, Format.ELECTRONIC, TARIFF, OfferId("f1"), date(2026, 1, 1))
            opening = OpenClient(client, client.title(), programme, "FR-75", ContactId("u1"), (contract,))
            await self.issuer.do(opening, f"client {client}", "test")
            await self.issuer.do(RegisterEmployer(Employer(client, client.title(), programme)), client, "test")

    async def draft(
        self, client: ClientId, order: OrderId, rows: Sequence[Row], month: date = MAY, key: str = ""
    ) -> Order:
        """Draft an order of the client's product, under a key of its own, as from a file."""
        product = CLIENTS[client][1]
        numbered = [replace(one, line=line) for line, one in enumerate(rows, 2)]
        return await self.orders.draft(client, order, product, month, numbered, "test", key or f"draft {order}")

    async def pay(self, client: ClientId, order: OrderId) -> Order:
        """Confirm an order as it is and pay it."""
        drafted = await self.orders.order(client, order)
        await self.orders.confirm(client, order, drafted.revision, "test", f"confirm {order}")
        return await self.orders.pay(client, order, "VIR 1", drafted.costs.total, "test", f"pay {order}")

    async def release(self) -> None:
        """Carry out what is paid, in every partition."""
        for releases in self.releases:
            await releases.release()

    def holder(self, client: ClientId, row: Row) -> HolderId:
        """Name a row's holder."""
        return holder_of(self.issuer.security, CLIENTS[client][0], row.person.email)


def row(number: int, quantity: int = 20, face: int = 9_00, **changes: str) -> Row:
    """Beneficiary number so and so, as a list has them."""
    person = Person(f"Zoé{number}", "Martin", f"zoe{number}@example.org")
    return Row(f"E{number:04}", replace(person, **changes), quantity, Cents(face))


def rows(*numbers: int) -> list[Row]:
    """Make one row each."""
    return [row(number) for number in numbers]


def balances(world: World) -> Counter[Account]:
    """Sum every account up. All together they are 0."""
    found = Counter[Account]()
    for shelf in world.ledger.shelves.values():
        for record in shelf.records:
            for transfer in record.entry.transfers:
                found[transfer.debit] -= transfer.amount
                found[transfer.credit] += transfer.amount
    assert sum(found.values()) == 0
    return found
