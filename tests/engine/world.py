"""Real engines over a ledger in memory: the real decisions, the real security module, a clock that stands still."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

import msgspec

from authz.clock import SimulatedClock
from authz.decision.commands import (
    Administration,
    AdoptProgramme,
    CardId,
    Enrol,
    Entry,
    Inquiry,
    IssueCard,
    Load,
    Origin,
    Payment,
    Purchase,
    RegisterEmployer,
    RegisterMerchant,
)
from authz.decision.outcomes import Reply
from authz.decision.position import Position
from authz.decision.programme import Refunds
from authz.decision.reference import Employer, Merchant
from authz.engine.cards import Cards, MemoryVault
from authz.engine.chores import Chores
from authz.engine.engine import Engine
from authz.engine.limits import Limits
from authz.engine.requests import Answer, NoAnswer, Request, Secrets
from authz.metrics import Metrics
from authz.programmes import shipped
from authz.security.keys import IssuerKeys, VaultKey, ZoneKeys
from authz.security.module import PinMethod
from authz.security.software import SoftwareSecurityModule
from ledger import accounts
from ledger.chain import GENESIS, record_hash
from ledger.memory import MemoryLedger, MemoryStore
from ledger.store import Store
from ledger.values import Account, Cents, HolderId, Partition, Record
from simulators.terminal.pinpad import PinPad

MAIN = Partition(0)
LINK, OTHER_LINK = "970001", "970002"
TUESDAY = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
ZONE_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA987654321089ABCDEF01234567")
BISTROT = Merchant("FR0000000000001", "Le Bistrot du Port", "5812", "FR-75", "Europe/Paris", ("90",))
PIN, WRONG_PIN = "1234", "4321"
PATIENCE_S = 5.0
"""How long a request may take, as links have it."""

APETIZ = shipped("apetiz")

pin_pad = PinPad(ZONE_KEY.hex())


def module() -> SoftwareSecurityModule:
    keys = IssuerKeys(pvk=bytes(range(16)), cvk=bytes(range(16)), imk_ac=bytes(range(16)), bdk=bytes(range(16)))
    zone = ZoneKeys(ZONE_KEY, bytes(range(16)), bytes(range(16)))
    return SoftwareSecurityModule(keys, {LINK: zone, OTHER_LINK: zone}, VaultKey(bytes(32)))


class World:
    """A ledger, a vault and a clock that outlive the engines: `open` starts one more, `crash` kills one."""

    def __init__(self, partitions: int = 1, **ledger: int) -> None:
        self.ledger = MemoryLedger(partitions, **ledger)
        self.vault = MemoryVault()
        self.security = module()
        self.clock = SimulatedClock(TUESDAY)
        self.said: list[str] = []
        self._traces = count(1)
        self._open: list[House] = []

    async def open(self, store: Store | None = None, **limits: int) -> "House":
        """Start an engine, as a process of its own, and wait until it holds every lease."""
        house = self.prepare(store, **limits)
        house.engine.start()
        await house.engine.is_ready()
        return house

    def prepare(self, store: Store | None = None, **limits: int) -> "House":
        """Make an engine that isn't started yet."""
        house = House(self, store or MemoryStore(self.ledger), Limits(**limits))
        self._open.append(house)
        return house

    async def close(self) -> None:
        for house in self._open:
            await house.crash()

    def request(self, pan: str, amount: int = 100, /, **changes: Any) -> Request:
        """A purchase at the bistrot that nobody sent before, or one with these changes to it.

        `pin` is what is keyed in (None: nothing); `repeat`, `link`, `named` and `deadline` are the request's own; the
        rest are fields of its origin.
        """
        pin = changes.pop("pin", PIN)
        outer = {name: changes.pop(name) for name in ("repeat", "link", "named", "deadline") if name in changes}
        kind = changes.pop("kind", Purchase)
        origin = msgspec.structs.replace(
            Origin(
                mti="0200",
                processing_code="009000",
                transmitted="0512103000",
                trace=f"{next(self._traces):06}",
                local="20260512123000",
                acquirer=LINK,
                terminal="PAR00001",
                merchant=BISTROT.id,
                amount=f"{amount:012}",
                currency="978",
            ),
            **changes,
        )
        secrets = Secrets(pan=pan, pin_block=None if pin is None else pin_pad.block(pin, pan))
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        return Request(_payment(kind, origin, amount), secrets, **{"link": LINK, "deadline": deadline} | outer)

    def records(self, partition: Partition = MAIN) -> Sequence[Record]:
        return self.ledger.shelves[partition].records

    def payments(self) -> list[Record]:
        """Every record of a payment, in all partitions."""
        return [one for shelf in self.ledger.shelves.values() for one in shelf.records if one.entry.kind in PAYMENTS]

    def position(self, holder: HolderId) -> Position:
        """The newest line of a holder, as the ledger has it."""
        [line] = [shelf.newest[holder] for shelf in self.ledger.shelves.values() if holder in shelf.newest]
        return msgspec.json.decode(line.position, type=Position)

    def available(self, holder: HolderId) -> int:
        return sum(lot.amount for lot in self.position(holder).purse.lots)

    def audit(self) -> None:
        """Hold the ledger to what docs/architecture.md promises of it at every moment."""
        for partition, shelf in self.ledger.shelves.items():
            audit(partition, shelf.records)
            if shelf.records:
                assert (shelf.fence.head, shelf.fence.hash) == (shelf.records[-1].seq, shelf.records[-1].hash)


PAYMENTS = (
    "purchase",
    "authorization",
    "inquiry",
    "refund",
    "advice",
    "authorization_advice",
    "completion",
    "reversal",
)


def audit(partition: Partition, records: Sequence[Record]) -> None:
    """Check the chain, its instants, each key's being there once, the trial balance, and every holder's purse."""
    last, at, epoch = GENESIS, TUESDAY.min.replace(tzinfo=UTC), 0
    balances: Counter[Account] = Counter()
    positions: dict[HolderId, Position] = {}
    keys = [key for record in records for key in record.entry.identities]
    assert len(keys) == len(set(keys)), "a key is there twice"
    for seq, record in enumerate(records, 1):
        entry = record.entry
        last = record_hash(last, partition, record.seq, record.epoch, entry)
        assert (record.seq, record.hash) == (seq, last), "the chain is broken"
        assert record.epoch >= epoch, "an epoch runs backward"
        assert entry.at >= at, "an instant runs backward"
        at, epoch = entry.at, record.epoch
        for transfer in entry.transfers:
            assert transfer.amount > 0
            balances[transfer.debit] -= transfer.amount
            balances[transfer.credit] += transfer.amount
        if entry.holder is not None and ":" not in entry.holder:
            assert entry.position is not None
            positions[entry.holder] = msgspec.json.decode(entry.position, type=Position)
            held = {name: cents for name, cents in balances.items() if f":{entry.holder}:" in name and cents}
            assert held == accounts.claimed(entry.holder, positions[entry.holder].purse), "a purse isn't its accounts"
    assert sum(balances.values()) == 0


class House:
    """One engine with what it runs on."""

    def __init__(self, world: World, store: Any, limits: Limits) -> None:
        self.world = world
        self.store = store
        self.metrics = Metrics()
        self.cards = Cards(world.vault, world.security)
        partitions = [Partition(number) for number in range(len(world.ledger.shelves))]
        self.engine = Engine(
            store, self.cards, world.security, world.clock, self.metrics, partitions, world.said.append, limits
        )

    @property
    def writer(self) -> Any:
        return self.engine._writers[0]

    @property
    def chores(self) -> Chores:
        """The bookkeeping by the date of the first partition."""
        return self.engine._chores[0]

    async def crash(self) -> None:
        """End it as kill -9 does: its sessions are cut, and nothing that it has in hand is answered."""
        if isinstance(self.store, MemoryStore):
            self.store.reachable = False
        for task in self.engine._tasks:
            task.cancel()
        await asyncio.gather(*self.engine._tasks, return_exceptions=True)

    async def furnish(self, *, refunds: bool = True) -> None:
        """Enter the programme, which takes refunds or doesn't, the employer and the merchant."""
        rules = msgspec.structs.replace(APETIZ, refunds=Refunds(allowed=refunds, source="a test"))
        await self.administer(AdoptProgramme(rules), "programme")
        await self.administer(RegisterEmployer(Employer("E1", "Atelier Durand", "apetiz")), "employer")
        await self.administer(RegisterMerchant(BISTROT), "merchant")

    async def enrol(self, number: int, cents: int = 10_000) -> str:
        """Give a holder a card with vouchers on it; return its number."""
        holder, card, pan = holder_of(number), CardId(f"c{number}"), pan_of(number)
        partition = self.engine.partition_of(holder)
        check = await self.world.security.make_pin_check(PinMethod.PVV, pan, PIN)
        await self.cards.add(card, holder, partition, pan, "2806", check)
        await self.administer(Enrol(holder, "E1"), f"enrolment {holder}")
        await self.administer(IssueCard(holder, card, "apetiz", 1, "2806"), f"card {card}")
        load = Load(holder, "90", "2026", date(2026, 1, 1), date(2027, 2, 28), Cents(cents))
        await self.administer(load, f"load {holder}")
        return pan

    async def administer(self, command: Administration, key: str) -> Reply:
        reply = await self.engine.administer(command, key)
        assert reply.reason.approves, reply.reason
        return reply

    async def pay(self, request: Request) -> Reply:
        """Pay, and expect an answer."""
        answer = await self.engine.pay(request)
        assert isinstance(answer, Answer), answer
        return answer.reply

    def begin(self, request: Request) -> asyncio.Task[Answer | NoAnswer]:
        """Begin to pay; the answer is the task's result."""
        return asyncio.create_task(self.engine.pay(request))


def holder_of(number: int) -> HolderId:
    return HolderId(f"h{number}")


def pan_of(number: int) -> str:
    return f"92501{number:011}"


def _payment(kind: type[Payment], origin: Origin, amount: int) -> Payment:
    if kind is Inquiry:
        return Inquiry(origin, None, "", "90", Entry.CHIP)
    transaction = origin.processing_code[:2]
    holds = origin.mti.startswith("01")
    return Purchase(origin, None, "", transaction, "90", Cents(amount), 978, Entry.CHIP, holds=holds)


class Barrier:
    """A store's `before_append` that holds appends until the test lets them go.

    `await barrier.reached()` returns when one more append has come; `barrier.release()` lets it and later ones pass.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._arrivals: asyncio.Queue[None] = asyncio.Queue()
        self._open = asyncio.Event()
        store.before_append = self._wait

    async def _wait(self) -> None:
        self._arrivals.put_nowait(None)
        await self._open.wait()

    async def reached(self) -> None:
        await self._arrivals.get()

    def release(self) -> None:
        self._open.set()


async def turns(number: int = 20) -> None:
    """Let everything that can run without the ledger run as far as it gets."""
    for _ in range(number):
        await asyncio.sleep(0)
