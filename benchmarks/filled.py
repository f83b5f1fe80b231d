"""A ledger filled fast with many holders whose cards pay at an authorizer, and with many records of theirs.

Each holder is taken over in one record and has a card in the vault; then they pay at random until there are as many
records as asked for. Records are decided by the engine's own desk, chained and appended as the product does it. It
runs in a process of its own, which keeps every holder's position in memory.
"""

import asyncio
import gc
import math
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

import asyncpg
import uvloop

from authz.decision.commands import Administration, AdoptProgramme, CardId, RegisterEmployer, RegisterMerchant
from authz.decision.issuing.commands import TakenCard, TakeOver
from authz.decision.programme import vintage_dates
from authz.demo_data import data as demo_data
from authz.engine import schema
from authz.engine.cards import CARDS_A_QUERY_MAX, Cards, NumberedCard
from authz.engine.identities import command_key
from authz.engine.kinds import beside_of, kind_of, passbook_of
from authz.engine.vault import PostgresVault
from authz.engine.work import Work
from authz.issuing.cardmaking import with_check_digit
from authz.programmes import shipped
from authz.security.module import PinMethod
from authz.security.software import SoftwareSecurityModule
from benchmarks.authorizer import AuthorizerFailed
from benchmarks.journals import BATCH_RECORDS_MAX, LOADED, MAIN, STEP, Journal
from benchmarks.samples import Sample, purchase
from ledger.chain import extend
from ledger.embedded import SUPERUSER, EmbeddedServer
from ledger.postgres import PostgresStore
from ledger.schema import APPLICATION_ROLE
from ledger.values import Entry, HolderId, Lot
from simulators.terminal.card import Card

EXPIRY = "2806"
PINS = 10_000
GAP = timedelta(milliseconds=2)
"""Between two payments by the ledger's own clock: millions of them still lie on one working day."""


class Filling(Journal):
    """Entries without end: a programme, shops, every holder taken over; then payments by anybody."""

    @property
    def opening_records(self) -> int:
        """How many records there are before the first payment."""
        return 2 + len(self._shops) + len(self._holders)

    def _opening(self) -> Iterator[Administration]:
        yield AdoptProgramme(self._programme)
        yield RegisterEmployer(self._employer)
        yield from map(RegisterMerchant, self._shops)
        for number, holder in enumerate(self._holders):
            cards = (TakenCard(card_id(number), 2, EXPIRY, active=True),)
            lots = (Lot("90", "2026", *vintage_dates(2026), LOADED),)
            yield TakeOver(holder, self._programme.id, self._employer.id, cards, lots)

    def _administer(self, command: Administration) -> Entry:
        work = Work(
            command=command,
            kind=kind_of(command),
            holder=passbook_of(command),
            merchant=beside_of(command),
            keys=command_key(f"number {self._seq}"),
            deadline=math.inf,
        )
        return self._write(work)

    def _payment(self) -> Work:
        self._instant -= STEP - GAP
        return super()._payment()


def holder_id(number: int) -> HolderId:
    """The holder of a number, from 0."""
    return HolderId(f"h{number + 1:012x}")


def card_id(number: int) -> CardId:
    """The id of that holder's card."""
    return CardId(f"c{number + 1:012x}")


def card_of(number: int) -> Card:
    """That card in its holder's hand."""
    return Card(pan=with_check_digit(f"92502000{number:07}"), pin=f"{number % PINS:04}")


async def fill(server: EmbeddedServer, database: str, holders: int, records: int) -> None:
    """Fill a new ledger in a database of its own, from another process. Raises `AuthorizerFailed`.

    There are more records than asked for where the holders alone come to more.
    """
    connection = await asyncpg.connect(server.url(SUPERUSER, "postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {database}")
    finally:
        await connection.close()
    await schema.create(server.url(SUPERUSER, database))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.filled", server.url(APPLICATION_ROLE, database), str(holders), str(records))
    )
    if await process.wait():
        raise AuthorizerFailed
    connection = await asyncpg.connect(server.url(SUPERUSER, database))
    try:
        await connection.execute("VACUUM ANALYZE")  # now, and not beside what is measured
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def write(url: str, sample: Sample, holders: int, records: int) -> None:
    """Write records and the vault's cards. `url` is the application's."""
    filling = Filling(sample, holders)
    entries = islice(filling.entries(), max(records, filling.opening_records))
    store = PostgresStore(url)
    try:
        fence = await store.take(MAIN, await store.fence(MAIN))
        head, last = fence.head, fence.hash
        while batch := list(extend(MAIN, fence.epoch, head, last, islice(entries, BATCH_RECORDS_MAX))):
            await store.append(MAIN, fence.epoch, head, last, batch)
            head, last = batch[-1].seq, batch[-1].hash
            await store.add_range()
    finally:
        await store.close()
    await _card(url, holders)


async def _card(url: str, holders: int) -> None:
    """Put every holder's card into the vault."""
    demo = demo_data.read()
    config = demo.config()
    security = SoftwareSecurityModule(config.issuer, {}, config.vault)
    method = PinMethod(shipped(demo.employer[0].programme).pin.method)
    vault = PostgresVault(url)
    cards = Cards(vault, security)

    async def numbered(number: int) -> NumberedCard:
        card = card_of(number)
        assert card.pin is not None
        check = await security.make_pin_check(method, card.pan, card.pin)
        return NumberedCard(card_id(number), holder_id(number), MAIN, card.pan, EXPIRY, check)

    try:
        for start in range(0, holders, CARDS_A_QUERY_MAX):
            some = range(start, min(start + CARDS_A_QUERY_MAX, holders))
            await cards.take_in([await numbered(number) for number in some])
    finally:
        await vault.close()


def main(url: str, holders: str, records: str) -> None:
    """Fill, by words from the command line."""

    async def filled() -> None:
        await write(url, await purchase(), int(holders), int(records))

    gc.disable()  # nothing is garbage before the end, and all that there is would be walked again and again
    uvloop.run(filled())


if __name__ == "__main__":
    main(*sys.argv[1:])
