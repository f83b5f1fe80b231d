"""A journal of many real records, made fast: decided by the engine's own desk, and appended in big batches.

Every record is what an authorizer writes: `ledger verify` proves it and `authz replay` decides it again. What is left
out is the wire, the PIN check and the commit of each small batch.
"""

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import TypeVar

from msgspec.structs import replace

from authz.decision.commands import (
    Administration,
    AdoptProgramme,
    CardId,
    Completion,
    Enrol,
    IssueCard,
    Load,
    Purchase,
    RegisterEmployer,
    RegisterMerchant,
)
from authz.decision.evidence import Check, Evidence
from authz.decision.programme import vintage_dates
from authz.decision.reference import Merchant, merchant_passbook
from authz.demo_data import data as demo_data
from authz.engine.desk import Desk
from authz.engine.identities import command_key, keys_of, text_of
from authz.engine.kinds import kind_of, passbook_of
from authz.engine.passbooks import Passbooks
from authz.engine.recent import Recent
from authz.engine.work import Batch, Decided, Work
from authz.programmes import shipped
from benchmarks.samples import TUESDAY_NOON, Sample
from ledger.chain import extend
from ledger.postgres import PostgresStore
from ledger.values import Cents, Entry, HolderId, Partition, Seq

SEED = 23
LOADED = Cents(100_000)
CENTS_MAX = 20
"""So small that caps and balances decline few."""
STEP = timedelta(milliseconds=100)
"""Between two payments: a busy lunch."""
HELD_PERCENT = 8
"""Payments that are held first, and completed when their holder comes again."""
PIN_WRONG_PERCENT = 1
TRACES = 1_000_000
BATCH_RECORDS_MAX = 2_000
REMEMBERED_MAX = 1_000
SHOPS_MAX = 8
MAIN = Partition(0)
P = TypeVar("P", Purchase, Completion)


class Journal:
    """Entries without end, each decided on what those before it left. `start` is the first one's seq."""

    def __init__(self, sample: Sample, holders: int) -> None:
        assert isinstance(sample.command, Purchase)
        self._command = sample.command
        self._instant = TUESDAY_NOON
        self._desk = Desk(self._clock, Passbooks(passbooks_max=2 * holders + 1_000), Recent(REMEMBERED_MAX))
        self._chance = random.Random(SEED)
        self._holders = [HolderId(f"h{number:012x}") for number in range(1, holders + 1)]
        self._held: dict[HolderId, Purchase] = {}
        self._seq = Seq(0)
        known = demo_data.read()
        employer = known.employer[0]
        self._programme = shipped(employer.programme)
        self._employer = employer
        shops = [shop for shop in known.merchant if "90" in shop.accepts][:SHOPS_MAX]
        self._shops = [Merchant(one.id, one.name, one.mcc, one.territory, one.time_zone, one.accepts) for one in shops]

    def entries(self) -> Iterator[Entry]:
        """First the programme, the shops and the holders with their money, then payments."""
        yield from map(self._administer, self._opening())
        while True:
            yield self._write(self._payment())

    def _opening(self) -> Iterator[Administration]:
        yield AdoptProgramme(self._programme)
        yield RegisterEmployer(self._employer)
        yield from map(RegisterMerchant, self._shops)
        for holder in self._holders:
            yield Enrol(holder, self._employer.id)
            yield IssueCard(holder, _card(holder), self._programme.id, 2, "2806")
            yield Load(holder, "90", "2026", *vintage_dates(2026), LOADED)

    def _administer(self, command: Administration) -> Entry:
        work = Work(
            command=command,
            kind=kind_of(command),
            holder=passbook_of(command),
            keys=command_key(f"number {self._seq}"),
            deadline=math.inf,
        )
        return self._write(work)

    def _payment(self) -> Work:
        """Somebody pays at a till, or their hold of the last time is completed."""
        self._instant += STEP
        holder, shop = self._chance.choice(self._holders), self._chance.choice(self._shops)
        held = self._held.pop(holder, None)
        wrong = held is None and self._chance.randrange(100) < PIN_WRONG_PERCENT
        command = self._purchase(holder, shop) if held is None else self._completion(held, shop)
        if isinstance(command, Purchase) and command.holds and not wrong:
            self._held[holder] = command
        return Work(
            command=command,
            kind=kind_of(command),
            holder=holder,
            deadline=math.inf,
            evidence=Evidence(pin=Check.WRONG if wrong else Check.RIGHT) if held is None else Evidence(),
            card=command.card,
            merchant=merchant_passbook(shop.id),
            keys=keys_of(command.origin, _token(holder)),
        )

    def _purchase(self, holder: HolderId, shop: Merchant) -> Purchase:
        cents, holds = self._chance.randint(1, CENTS_MAX), self._chance.randrange(100) < HELD_PERCENT
        return self._named(
            replace(
                self._command,
                origin=replace(
                    self._command.origin, mti="0100" if holds else "0200", amount=f"{cents:012}", merchant=shop.id
                ),
                card=_card(holder),
                amount=Cents(cents),
                holds=holds,
            ),
            holder,
        )

    def _completion(self, held: Purchase, shop: Merchant) -> Completion:
        assert held.card is not None
        captured = Cents(self._chance.randint(1, held.amount))
        origin = replace(held.origin, mti="0220", amount=f"{captured:012}", merchant=shop.id)
        return self._named(
            Completion(
                origin, held.card, "", held.transaction, held.product, captured, held.currency, (held.reference,)
            ),
            HolderId(f"h{held.card[1:]}"),
        )

    def _named(self, command: P, holder: HolderId) -> P:
        """Give a payment its time, its trace number and what follows from them."""
        at = self._instant
        origin = replace(
            command.origin,
            trace=f"{self._seq % TRACES:06}",
            transmitted=f"{at:%m%d%H%M%S}",
            local=f"{at + timedelta(hours=2):%Y%m%d%H%M%S}",
        )
        return replace(command, origin=origin, reference=text_of(keys_of(origin, _token(holder)).reference))

    def _write(self, work: Work) -> Entry:
        """Decide, and take it as acknowledged."""
        for name in self._desk.missing(work) + self._desk.missing(work):
            self._desk.keep(name, None, self._desk.departures)
        decided = self._desk.decide(work)
        assert isinstance(decided, Decided), "every key is a new one"
        self._seq = Seq(self._seq + 1)
        entry = decided.entry(self._seq)
        self._desk.acknowledge(Batch([decided]))
        return entry

    def _clock(self) -> datetime:
        return self._instant


async def write(url: str, sample: Sample, holders: int, records: int) -> None:
    """Fill an empty ledger with `records` records of `holders` holders. `url` is the application's."""
    entries = islice(Journal(sample, holders).entries(), records)
    store = PostgresStore(url)
    try:
        fence = await store.take(MAIN, await store.fence(MAIN))
        head, last = fence.head, fence.hash
        while batch := list(extend(MAIN, fence.epoch, head, last, islice(entries, BATCH_RECORDS_MAX))):
            await store.append(MAIN, fence.epoch, head, last, batch)
            head, last = batch[-1].seq, batch[-1].hash
    finally:
        await store.close()


def _card(holder: HolderId) -> CardId:
    return CardId(f"c{holder[1:]}")


def _token(holder: HolderId) -> bytes:
    return blake2b(holder.encode(), digest_size=16).digest()
