"""The funds statement: the money on the voucher account is what the ledger says it holds for others, to the cent.

Every account of the ledger together stands at 0. So what the float was ever given, less what was settled with
acquirers, is what vouchers, clients, acquirers and the issuer have in it: that must be what the bank says. Only what
the bank paid or took in and the ledger doesn't record yet, or the other way round, may stand between the two, where it
is known what it is. The rest is a difference, and a finding. (The issuer's own account is a book of its own, which
stands at 0: `issuer:operating`, `issuer:commission`, `issuer:vat`.)
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import asyncpg
from msgspec import Struct

from ledger.reading import reader
from ledger.reconciliation.terms import Terms
from ledger.reconciliation.values import Stage
from ledger.reports.trial_balance import Ends, Standing, day_end, ends, standing
from ledger.values import Cents

UNMATCHED_SHOWN_MAX = 20
"""Entries that a statement lists as what a difference may come from."""
SATURDAY = 5

# Lines count where their file is entered, and matches where their run is: what is half written isn't there.
_STATED = """
SELECT b.day, b.closing FROM reconciliation.bank_balance AS b JOIN reconciliation.file AS f ON f.id = b.file
 WHERE b.account = $1 AND b.day <= $2 ORDER BY b.day DESC, b.file DESC LIMIT 1"""

_NEXT_OPENING = """
SELECT b.opening FROM reconciliation.bank_balance AS b JOIN reconciliation.file AS f ON f.id = b.file
 WHERE b.account = $1 AND b.day > $2 ORDER BY b.day, b.file DESC LIMIT 1"""

# What the bank paid acquirers, by what matched, and what went to the issuer's own account: an entry names the other
# side's IBAN first.
_PAID = """
SELECT coalesce(-sum(e.cents), 0)::bigint
  FROM reconciliation.bank_entry AS e
  JOIN reconciliation.file AS f ON f.id = e.file
 WHERE e.account = $1 AND e.booked <= $2 AND (e.counterparty ^@ $3 OR EXISTS (
       SELECT FROM reconciliation.matched_entry AS m
        WHERE m.file = e.file AND m.entry = e.entry AND m.stage = ANY ($4)))"""

_RECEIVED = """
SELECT coalesce(sum(e.cents), 0)::bigint
  FROM reconciliation.bank_entry AS e
  JOIN reconciliation.matched_entry AS m USING (file, entry)
 WHERE e.account = $1 AND e.booked <= $2 AND m.stage = $3"""

# What the ledger records, up to some records, of clients' payments that the bank showed on this account, sooner or
# later. A payment is a line in its order's passbook, in every partition that has holders of the order's. None
# is matched exactly: so the index of the rarer stages is read.
_RECORDED = """
SELECT coalesce(sum(t.amount), 0)::bigint
  FROM reconciliation.matched_movement AS m
 CROSS JOIN LATERAL (
       SELECT holder FROM ledger.whole_journal WHERE partition = m.partition AND seq = m.seq LIMIT 1
  ) AS paid
 CROSS JOIN unnest($3::int[], $4::bigint[]) AS upto (partition, seq)
 CROSS JOIN LATERAL (
       SELECT seq FROM ledger.whole_journal
        WHERE partition = upto.partition AND holder = paid.holder AND kind = 'payment' AND seq <= upto.seq
  ) AS record
 CROSS JOIN LATERAL (
       SELECT amount FROM ledger.whole_transfer
        WHERE partition = upto.partition AND seq = record.seq AND debit ^@ 'issuer:float:'
  ) AS t
 WHERE m.stage = $2 AND m.stage <> 'exact' AND EXISTS (
       SELECT FROM reconciliation.matched_entry AS o JOIN reconciliation.bank_entry AS e USING (file, entry)
        WHERE o.run = m.run AND o.number = m.number AND e.account = $1)"""

_UNMATCHED = """
SELECT e.booked, e.cents, e.reference, e.end_to_end, e.counterparty, (sum(e.cents) OVER ())::bigint AS total
  FROM reconciliation.bank_entry AS e
  JOIN reconciliation.file AS f ON f.id = e.file
 WHERE e.account = $1 AND e.booked <= $2 AND e.counterparty ^@ $3 IS NOT TRUE AND NOT EXISTS (
       SELECT FROM reconciliation.matched_entry AS m WHERE m.file = e.file AND m.entry = e.entry)
 ORDER BY e.booked, f.sha256, e.entry LIMIT $4"""


class Claim(StrEnum):
    """What the money on the voucher account is for, in the order in which a statement lists it."""

    SPENDABLE = "vouchers outstanding"
    HELD = "set aside by authorizations"
    WAITING = "expired, may still be asked for"
    POOL = "expired pool"
    FEES = "reactivation fees"
    CLIENTS = "clients' funds, not loaded yet"
    PAYABLE = "owed to acquirers"
    EXCEPTIONS = "covered by no balance"
    DIFFERENCES = "differences"
    OTHER = "other accounts"
    PAID = "paid out by the bank, not recorded yet"
    """Below 0; above, recorded and not paid yet."""
    RECEIVED = "received by the bank, not recorded yet"
    """Below 0: recorded, and not received yet."""


_CLAIMS: Mapping[str, Claim] = {
    "holder": Claim.SPENDABLE,
    "hold": Claim.HELD,
    "expired": Claim.WAITING,
    "issuer:pool": Claim.POOL,
    "issuer:fees": Claim.FEES,
    "client": Claim.CLIENTS,
    "issuer:differences": Claim.DIFFERENCES,
}
CASH = ("issuer:float", "issuer:settled")
"""The accounts that are the bank's side: what was ever paid in (below 0), and what of it was paid out."""
PAYING = (Stage.PAYOUT, Stage.NET_POSITION, Stage.ADJUSTMENT)
"""What an entry by which an acquirer was paid, or paid, is matched as."""
PURSES = ("holder", "hold", "expired")
"""The first word of the accounts in which vouchers are outstanding, as a vintage's figures are listed."""


class Line(Struct, frozen=True, gc=False):
    """One line of the statement."""

    claim: Claim
    cents: Cents


class Vintage(Struct, frozen=True, gc=False):
    """What is outstanding of one lot, of all holders: a vintage is a lot named by its year."""

    product: str
    lot: str
    spendable: Cents
    held: Cents
    waiting: Cents


class Unmatched(Struct, frozen=True, gc=False):
    """An entry of the bank's that nothing accounts for yet."""

    booked: date
    cents: Cents
    reference: str | None
    end_to_end: str | None
    counterparty: str | None


class Funds(Struct, frozen=True, kw_only=True):
    """The statement of a day: `expected` is what `lines` add up to, `bank` what the bank says, `difference` the rest.

    `stated` is the booking day of the bank's balance: an earlier one where nothing was booked since. Both are None,
    and so is `difference`, where no statement tells. `unmatched` are the entries that may explain a difference, the
    first of them, and `unmatched_cents` all; `paid_in` and `settled` are the bank's side in the ledger.
    """

    day: date
    account: str
    stated: date | None
    bank: Cents | None
    lines: tuple[Line, ...]
    expected: Cents
    difference: Cents | None
    vintages: tuple[Vintage, ...]
    paid_in: Cents
    settled: Cents
    unmatched_cents: Cents
    unmatched: tuple[Unmatched, ...]

    @property
    def agrees(self) -> bool:
        """Tell whether the bank's balance is known, and what is expected."""
        return self.difference == 0

    def of(self, claim: Claim) -> Cents:
        """What one line says."""
        return next(one.cents for one in self.lines if one.claim is claim)


async def funds(url: str, day: date, terms: Terms) -> Funds:
    """State the funds at the end of a day. Raises a `LedgerError`."""
    async with reader(url) as connection:
        upto = await ends(connection, day_end(day, ZoneInfo(terms.zone)))
        return await stated(connection, day, terms, upto, await standing(connection, upto))


async def stated(connection: asyncpg.Connection, day: date, terms: Terms, upto: Ends, accounts: Standing) -> Funds:
    """State the funds of a day that ends behind these records, by what accounts stand at there."""
    account, own = terms.accounts.voucher, terms.accounts.operating
    sums = _sums(accounts)
    settled = Cents(_of(accounts, "issuer:settled"))
    paid_in = Cents(-_of(accounts, "issuer:float"))
    sums[Claim.PAID] = settled - int(await connection.fetchval(_PAID, account, day, own, PAYING))
    sums[Claim.RECEIVED] = await _received(connection, account, day, upto)
    expected = Cents(sum(sums.values()))
    known = await _bank(connection, account, day)
    unmatched = await connection.fetch(_UNMATCHED, account, day, own, UNMATCHED_SHOWN_MAX)
    return Funds(
        day=day,
        account=account,
        stated=None if known is None else known[0],
        bank=None if known is None else known[1],
        lines=tuple(Line(claim, Cents(sums[claim])) for claim in Claim),
        expected=expected,
        difference=None if known is None else Cents(known[1] - expected),
        vintages=tuple(_vintages(accounts)),
        paid_in=paid_in,
        settled=settled,
        unmatched_cents=Cents(unmatched[0]["total"] if unmatched else 0),
        unmatched=tuple(Unmatched(*list(row)[:-1]) for row in unmatched),
    )


def _sums(accounts: Standing) -> Counter[Claim]:
    sums: Counter[Claim] = Counter()
    for name, cents in accounts.items():
        if not _is_of(name, CASH):
            sums[_claim(name)] += cents
    return sums


def _claim(name: str) -> Claim:
    kind, _, rest = name.partition(":")
    if kind == "acquirer":
        return {"payable": Claim.PAYABLE, "exceptions": Claim.EXCEPTIONS}.get(rest.partition(":")[2], Claim.OTHER)
    return _CLAIMS.get(kind) or _CLAIMS.get(":".join(name.split(":")[:2]), Claim.OTHER)


def _is_of(name: str, begins: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(f"{one}:") for one in begins)


def _of(accounts: Standing, begins: str) -> int:
    return sum(cents for name, cents in accounts.items() if _is_of(name, (begins,)))


def _vintages(accounts: Standing) -> Iterator[Vintage]:
    owned = [name.split(":") for name in accounts if _is_of(name, PURSES)]
    for product, lot in sorted({(words[2], words[3]) for words in owned}):
        amounts = [accounts.get(f"{kind}:*:{product}:{lot}", Cents(0)) for kind in PURSES]
        yield Vintage(product, lot, *amounts)


async def _received(connection: asyncpg.Connection, account: str, day: date, upto: Ends) -> int:
    """What the bank received of clients up to a day, less what the ledger records of it up to the day's end."""
    received = await connection.fetchval(_RECEIVED, account, day, Stage.FUNDING)
    recorded = await connection.fetchval(_RECORDED, account, Stage.FUNDING, list(upto), list(upto.values()))
    return int(received - recorded)


async def _bank(connection: asyncpg.Connection, account: str, day: date) -> tuple[date, Cents] | None:
    """What the bank says that the account stood at when a day ended, and the booking day of which it says so.

    The balance of an earlier day holds on where only Saturdays and Sundays lie between, on which no bank books, or
    where the statement that follows opens with it.
    """
    row = await connection.fetchrow(_STATED, account, day)
    if row is None:
        return None
    between = [row["day"] + timedelta(days) for days in range(1, (day - row["day"]).days + 1)]
    if any(one.weekday() < SATURDAY for one in between):
        opening = await connection.fetchval(_NEXT_OPENING, account, day)
        if opening != row["closing"]:
            return None
    return row["day"], Cents(row["closing"])
