"""Ledgers of acquirers' payments, and clearing lines of them, as finance's tests need them.

A `Book` is what acquirers asked for, written as an authorizer writes it: the request's own fields in `origin`, the
money in transfers. `lines_of` makes of it the lines of an acquirer that agrees.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import count
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
from msgspec import Struct
from msgspec.structs import astuple, replace

from ledger import accounts
from ledger.chain import extend
from ledger.postgres import PostgresStore
from ledger.reconciliation.terms import Accounts, AcquirerTerms, Terms
from ledger.reconciliation.values import ClearingLine
from ledger.values import Account, Cents, Entry, HolderId, Identity, Partition, Transfer

MAIN = Partition(0)
PARIS = ZoneInfo("Europe/Paris")
ACQUIRER, OTHER = "970001", "970002"
DAY = date(2026, 5, 12)
NOON = datetime(2026, 5, 12, 10, 0, tzinfo=UTC)
MERCHANT, TERMINAL = "FR0000000000001", "PAR00001"
KINDS = {"020": "sale", "022": "advice", "040": "reversal"}


class Paid(Struct, frozen=True, kw_only=True):
    """A request that moved money: `cents` to the acquirer, below 0 back, `shortfall` of it out of no balance."""

    trace: str
    at: datetime
    cents: int
    shortfall: int = 0
    acquirer: str = ACQUIRER
    merchant: str = MERCHANT
    terminal: str = TERMINAL
    mti: str = "0200"
    product: str = "90"
    original: "Paid | None" = None

    @property
    def transmitted(self) -> str:
        """DE 7."""
        return f"{self.at:%m%d%H%M%S}"

    @property
    def local(self) -> datetime:
        """DE 13 and 12, with the year."""
        return self.at.astimezone(PARIS).replace(tzinfo=None, microsecond=0)

    @property
    def retrieval(self) -> str:
        """DE 37."""
        return f"{self.at:%j}{self.trace:>09}"

    @property
    def named(self) -> str | None:
        """DE 90's first 20 digits."""
        one = self.original
        return None if one is None else f"{one.mti}{one.trace}{one.transmitted}"


class Book:
    """Entries in their order, of which `now` is the newest's instant."""

    def __init__(self, at: datetime = NOON) -> None:
        self.now = at
        self.entries: list[Entry] = []
        self._traces = count(1)

    def pay(self, cents: int, **fields: object) -> Paid:
        """Record a payment, a minute later."""
        self.now += timedelta(minutes=1)
        asked = {"trace": f"{next(self._traces):06}", "at": self.now, "cents": cents} | fields
        paid = msgspec.convert(asked, Paid)
        self.entries.append(entry_of(paid))
        return paid

    def reverse(self, one: Paid, cents: int | None = None, shortfall: int = 0) -> Paid:
        """Record that a payment was taken back, in full or in part."""
        fields: dict[str, object] = {"mti": "0420", "original": one, "shortfall": -shortfall}
        same = {name: getattr(one, name) for name in ("acquirer", "merchant", "terminal", "product")}
        return self.pay(-(one.cents if cents is None else cents), **fields, **same)

    def cut_over(self, begins: date, acquirer: str = ACQUIRER) -> None:
        """Record that an acquirer begins a business day."""
        self.now += timedelta(seconds=1)
        state = msgspec.json.encode({"open": begins}).decode()
        holder = HolderId(f"acquirer:{acquirer}")
        self.entries.append(Entry(self.now, "cutover", holder, "{}", "{}", "APPROVED", state))

    def adjust(self, kind: str, cents: int, record: int | None = None, line: tuple[bytes, int] | None = None) -> None:
        """Record an approved adjustment of a break."""
        self.now += timedelta(seconds=1)
        proposal: dict[str, object] = {"kind": kind, "acquirer": ACQUIRER, "cents": cents}
        if record is not None:
            proposal["record"] = {"partition": MAIN, "seq": record}
        if line is not None:
            proposal["line"] = {"file": line[0].hex(), "line": line[1]}
        request = msgspec.json.encode({"command": {"proposal": proposal}}).decode()
        holder = HolderId(f"adjustment:{len(self.entries):016x}")
        payable, differences = accounts.payable(ACQUIRER), Account("issuer:differences")
        moved = (
            Transfer(differences, payable, Cents(cents)) if cents > 0 else Transfer(payable, differences, Cents(-cents))
        )
        self.entries.append(Entry(self.now, "adjustment", holder, request, "{}", "APPROVED", "{}", (moved,)))

    def seq_of(self, paid: Paid) -> int:
        """The record of a payment, in a ledger that holds nothing else."""
        return self.entries.index(entry_of(paid)) + 1


def entry_of(paid: Paid) -> Entry:
    """Write a payment as the authorizer writes it."""
    origin = {
        "mti": paid.mti,
        "processing_code": f"00{paid.product}00",
        "transmitted": paid.transmitted,
        "trace": paid.trace,
        "local": f"{paid.local:%Y%m%d%H%M%S}",
        "acquirer": paid.acquirer,
        "terminal": f"{paid.terminal:<8}",
        "merchant": f"{paid.merchant:<15}",
        "retrieval_reference": paid.retrieval,
    }
    if paid.named is not None:
        origin["original"] = paid.named + "0" * 22
    request = msgspec.json.encode({"command": {"type": "purchase", "origin": origin}}).decode()
    lot, payable = accounts.of_holder(HolderId("h1"), paid.product, "2026"), accounts.payable(paid.acquirer)
    sides = ((lot, paid.cents - paid.shortfall), (accounts.exceptions(paid.acquirer), paid.shortfall))
    moved = [
        Transfer(account, payable, Cents(cents)) if cents > 0 else Transfer(payable, account, Cents(-cents))
        for account, cents in sides
        if cents
    ]
    kind = "reversal" if paid.mti.startswith("04") else "purchase"
    stamp = Identity(int(f"26{paid.transmitted}"), sha256(request.encode()).digest()[:16])
    return Entry(
        at=paid.at,
        kind=kind,
        holder=HolderId("h1"),
        request=request,
        reply='{"reason":"APPROVED","approval":"A1B2C3"}',
        reason="APPROVED",
        position="{}",
        transfers=tuple(moved),
        identities=(stamp,),
    )


def line_of(paid: Paid, number: int, day: date = DAY, **fields: object) -> ClearingLine:
    """Make the line of an acquirer that agrees; `fields` say otherwise."""
    class_ = "040" if paid.mti[:3] == "042" else paid.mti[:3]
    agreed = ClearingLine(
        line=number,
        acquirer=paid.acquirer,
        day=day,
        kind=KINDS[class_],
        class_=class_,
        merchant=paid.merchant,
        terminal=paid.terminal,
        trace=paid.trace,
        transmitted=paid.transmitted,
        local=paid.local,
        retrieval=paid.retrieval,
        approval="A1B2C3",
        card="925010******0014",
        product=paid.product,
        cents=Cents(paid.cents),
        original=paid.named,
    )
    return replace(agreed, **fields)


def lines_of(paid: Iterable[Paid], day: date = DAY) -> Sequence[ClearingLine]:
    """Make the lines of an acquirer that agrees with all of it, numbered from 1."""
    return [line_of(one, number, day) for number, one in enumerate(paid, 1)]


def terms_of(*acquirers: AcquirerTerms, zone: str = "Europe/Paris") -> Terms:
    """Agree with acquirers; without any, with the first one, strictly."""
    own = Accounts(voucher="FR7630001007941234567890185", operating="FR7630004000031234567890143", holder="Emetteur")
    return Terms(own, acquirers or (acquirer_terms(),), zone)


def acquirer_terms(acquirer: str = ACQUIRER, **fields: int) -> AcquirerTerms:
    """Agree with one acquirer: nothing tolerated, nothing late, no fee."""
    return replace(
        AcquirerTerms(id=acquirer, name="Acquereur", iban="FR7610107001011234567890129", days_late=0), **fields
    )


async def write(url: str, entries: Sequence[Entry], partition: Partition = MAIN) -> None:
    """Append entries behind what a ledger holds. `url` is the application's."""
    store = PostgresStore(url)
    try:
        fence = await store.take(partition, await store.fence(partition))
        records = list(extend(partition, fence.epoch, fence.head, fence.hash, entries))
        await store.append(partition, fence.epoch, fence.head, fence.hash, records)
    finally:
        await store.close()


async def head(url: str) -> int:
    """How many records a ledger holds."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT head FROM ledger.fence WHERE partition = $1", MAIN))
    finally:
        await connection.close()


async def take_in(url: str, lines: Sequence[ClearingLine], day: date = DAY, name: str = "clearing.csv") -> bytes:
    """Enter lines as a clearing file's, as the reconciler; return its hash, which follows from what they say."""
    sha = sha256(msgspec.json.encode((name, lines))).digest()
    columns = [field.rstrip("_") for field in ClearingLine.__struct_fields__]
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            file = await connection.fetchval(
                "INSERT INTO reconciliation.file (sha256, kind, format, name, source, day, lines, quarantined, totals)"
                " VALUES ($1, 'clearing', 'clearing', $2, $3, $4, $5, 0, '{}') RETURNING id",
                *(sha, name, lines[0].acquirer if lines else ACQUIRER, day, len(lines)),
            )
            await connection.copy_records_to_table(
                "clearing_line",
                schema_name="reconciliation",
                columns=["file", *columns],
                records=[(file, *astuple(line)) for line in lines],
            )
    finally:
        await connection.close()
    return sha


def reconciler(url: str) -> str:
    """The address of role reconciler, of the application's."""
    return url.replace("//authz@", "//reconciler@")
