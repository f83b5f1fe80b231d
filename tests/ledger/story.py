"""A small sound ledger, written as the authorizer writes one, and a superuser who changes it behind its back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count

import asyncpg
import msgspec
from msgspec.structs import replace

from ledger import accounts
from ledger.chain import GENESIS, extend, record_hash
from ledger.postgres import PostgresStore
from ledger.reading import chunks, entry_of
from ledger.values import (
    Cents,
    Entry,
    Epoch,
    Hold,
    HolderId,
    Identity,
    Lot,
    Part,
    Partition,
    Purse,
    Seq,
    Transfer,
)

MAIN = Partition(0)
NOON = datetime(2026, 5, 12, 10, 30, 0, 123456, tzinfo=UTC)
FLOAT = accounts.issuer_float("90")
PAYABLE = accounts.payable("970001")
RECORDS = 12


def lot_of(cents: int) -> Lot:
    return Lot("90", "2026", date(2026, 1, 1), date(2027, 2, 28), Cents(cents))


def entry_at(number: int, holder: str, purse: Purse, *transfers: Transfer) -> Entry:
    return Entry(
        at=NOON + timedelta(seconds=number),
        kind="purchase",
        holder=HolderId(holder),
        request=f'{{"number": {number}}}',
        reply='{"reason":"APPROVED"}',
        reason="APPROVED",
        position=msgspec.json.encode((purse, [["card"]], "rest")).decode(),
        transfers=transfers,
        identities=(Identity(260512123000 + number, number.to_bytes(16)), Identity(1, number.to_bytes(16, "little"))),
    )


def story() -> list[Entry]:
    """Loads, payments, a hold, vouchers that expire and a merchant's record: what sound books are made of."""
    entries: list[Entry] = []
    numbers = count(1)
    for holder in (HolderId("h1"), HolderId("h2")):
        lot, hold = accounts.of_holder(holder, "90", "2026"), accounts.of_hold(holder, "90", "2026")
        expired = accounts.expired(holder, "90", "2026")
        parts = (Part("2026", *days(), Cents(900)),)
        held = Hold(
            reference_at(len(entries) + 4), "90", date(2026, 5, 12), "000001", "970001", parts, until=date(2026, 5, 18)
        )
        ending = [
            Transfer(hold, PAYABLE, Cents(800)),
            Transfer(hold, lot, Cents(100)),
            Transfer(lot, expired, Cents(2_200)),
        ]
        for purse, transfers in (
            (Purse((lot_of(5_000),)), [Transfer(FLOAT, lot, Cents(5_000))]),
            (Purse((lot_of(3_000),)), [Transfer(lot, PAYABLE, Cents(1_250)), Transfer(lot, PAYABLE, Cents(750))]),
            (Purse((lot_of(3_000),)), []),
            (Purse((lot_of(2_100),), (held,)), [Transfer(lot, hold, Cents(900))]),
            (Purse(expired=(lot_of(2_200),)), ending),
        ):
            entries.append(entry_at(next(numbers), holder, purse, *transfers))
    refused = replace(entry_at(next(numbers), "h3", Purse()), holder=None, position=None, reason="CARD_UNKNOWN")
    merchant = replace(entry_at(next(numbers), "merchant:FR1", Purse()), position='{"mcc":"5812"}')
    return [*entries, refused, merchant]


def reference_at(number: int) -> str:
    """What a record's own identity is called where its hold names it."""
    return f"{260512123000 + number:012}{number.to_bytes(16).hex()}"


def days() -> tuple[date, date]:
    """The first and the last day of the vintage."""
    return date(2026, 1, 1), date(2027, 2, 28)


async def write(url: str, entries: Sequence[Entry], *, batch: int = 5) -> None:
    """Append entries in batches, with a new epoch for each, as a writer does."""
    store = PostgresStore(url)
    try:
        for start in range(0, len(entries), batch):
            fence = await store.take(MAIN, await store.fence(MAIN))
            records = list(extend(MAIN, fence.epoch, fence.head, fence.hash, entries[start : start + batch]))
            await store.append(MAIN, fence.epoch, fence.head, fence.hash, records)
    finally:
        await store.close()


class Tampering:
    """A superuser who lifts the guards by an explicit act."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def __call__(self, *statements: str) -> None:
        async with self.connection.transaction():
            await self.connection.execute("SET LOCAL ledger.ddl = 'tampering'")
            for table in ("journal", "transfer", "identity", "fence", "closing"):
                await self.connection.execute(f"ALTER TABLE ledger.{table} DISABLE TRIGGER ALL")
            for statement in statements:
                await self.connection.execute(statement)

    async def rewrite(self, edits: Mapping[int, Callable[[Entry], Entry]]) -> None:
        """Change records, and hash them and all behind them anew, so that the chain holds."""
        last, statements = GENESIS, []
        head = await self.connection.fetchval("SELECT head FROM ledger.fence WHERE partition = $1", MAIN)
        async for chunk in chunks(self.connection, MAIN, head):
            for row, transfers in chunk:
                seq, entry = Seq(row["seq"]), entry_of(row, transfers)
                entry = edits[seq](entry) if seq in edits else entry
                last = record_hash(last, MAIN, seq, Epoch(row["epoch"]), entry)
                statements += _written(seq, entry, last)
        await self(*statements, f"UPDATE ledger.fence SET hash = '\\x{last.hex()}'")


def _written(seq: Seq, entry: Entry, digest: bytes) -> list[str]:
    """Put a record in the place of the one that is there."""
    position = "NULL" if entry.position is None else f"'{entry.position}'"
    return [
        f"UPDATE ledger.journal SET reply = '{entry.reply}', position = {position} WHERE seq = {seq}",
        f"UPDATE ledger.journal SET hash = '\\x{digest.hex()}' WHERE seq = {seq}",
        f"DELETE FROM ledger.transfer WHERE seq = {seq}",
        *(
            f"INSERT INTO ledger.transfer VALUES (0, {seq}, {line}, '{one.debit}', '{one.credit}', {one.amount})"
            for line, one in enumerate(entry.transfers, 1)
        ),
    ]
