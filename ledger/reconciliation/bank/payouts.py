"""Payouts: what each acquirer is owed for a reconciled day, as one payment file.

A payment file is named by the run that it pays, so the same again is the same file, byte for byte. An acquirer's payout
comes to all that was matched for it since its last one, up to that run, less fees, and less what the bank's statements
show that it settled by itself. So a day on which it owed something is carried to the next one, and nothing is paid
twice.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import asyncpg
from msgspec import Struct

from ledger.reading import reader
from ledger.reconciliation.bank.iban import is_iban
from ledger.reconciliation.bank.pain001 import Transfer, written
from ledger.reconciliation.bank.positions import NoTerms, PublishedRun, positions_of, runs_of
from ledger.reconciliation.terms import Terms
from ledger.reconciliation.values import Stage
from ledger.schema import RECONCILER_ROLE
from ledger.store import LedgerError, Unavailable
from ledger.values import Cents

SATURDAY = 5

_LOCK = 0x7061796F7574
"""Advisory lock: one payment file is made at a time in a database."""

_FILE_KEY = "sha256('payouts'::bytea || run.key)"

_FILE = "SELECT id, message, content FROM reconciliation.payment_file WHERE key = $1"

_PAYOUTS = """
SELECT end_to_end, acquirer, day, gross, fee, net FROM reconciliation.payout
 WHERE payment_file = $1 ORDER BY acquirer"""

_LAST_PAID = f"""
SELECT payout.acquirer, max(run.id) AS run
  FROM reconciliation.payout AS payout
  JOIN reconciliation.payment_file AS file ON file.id = payout.payment_file
  JOIN reconciliation.run AS run ON file.key = {_FILE_KEY}
 GROUP BY payout.acquirer"""  # noqa: S608  (no argument of anyone's)

_RUNS_THROUGH = """
SELECT id, key, day FROM reconciliation.run WHERE id > $1 AND id <= $2 ORDER BY id"""

_SETTLED = """
SELECT entry.counterparty, sum(entry.cents)::bigint AS cents
  FROM reconciliation.matched_entry AS matched
  JOIN reconciliation.bank_entry AS entry ON entry.file = matched.file AND entry.entry = matched.entry
 WHERE matched.run = $1 AND matched.stage = $2
 GROUP BY entry.counterparty"""

# Not exact, as no adjustment is: so the index of the rarer stages is read.
_ADJUSTED = """
SELECT p.acquirer, sum(p.cents)::bigint AS cents
  FROM reconciliation.matched_movement AS moved
  CROSS JOIN LATERAL (
       SELECT request FROM ledger.whole_journal AS j WHERE j.partition = moved.partition AND j.seq = moved.seq LIMIT 1
  ) AS j
  CROSS JOIN LATERAL json_to_record(j.request -> 'command' -> 'proposal') AS p (kind text, acquirer text, cents bigint)
 WHERE moved.run = $1 AND moved.stage = $2 AND moved.stage <> 'exact' AND p.kind = 'settlement'
 GROUP BY p.acquirer"""

_NUMBER = "SELECT count(*) FROM reconciliation.payout WHERE acquirer = $1 AND day = $2"
_FILES_OF_DAY = "SELECT count(*) FROM reconciliation.payment_file WHERE day = $1"
_ADD_FILE = """
INSERT INTO reconciliation.payment_file (key, day, message, content) VALUES ($1, $2, $3, $4) RETURNING id"""
_ADD_PAYOUT = """
INSERT INTO reconciliation.payout (payment_file, end_to_end, acquirer, day, gross, fee, net)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""


class IbanInvalid(LedgerError):
    """An account that is to be paid, or to pay, isn't an IBAN, or its check digits are wrong."""


class Payout(Struct, frozen=True):
    """What one acquirer is paid for a day, and what was left before it: `net` is `gross` less `fee`, in cents.

    `end_to_end` names it for good. One that isn't above 0 is carried to the next day, and has none.
    """

    end_to_end: str | None
    acquirer: str
    day: date
    gross: Cents
    fee: Cents
    net: Cents


class PaymentFile(Struct, frozen=True):
    """A day's payment file: `content` is a pain.001.001.09; empty where nobody is owed anything, and `message` too.

    `carried` are those who aren't paid now: what they were left with when the file was made is not recorded, so a file
    that was there already has none.
    """

    day: date
    message: str
    content: bytes
    payouts: tuple[Payout, ...]
    carried: tuple[Payout, ...] = ()


async def payouts(url: str, day: date, terms: Terms) -> PaymentFile:
    """Make a reconciled day's payment file and record it, or return the one that was made, byte for byte.

    `url` is of a role that may add to schema `reconciliation`. Raises `NotReconciled`, `NoTerms`, `IbanInvalid`, or
    another `LedgerError`.
    """
    require_accounts(terms)
    async with reader(url) as connection:
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
            return await _made(connection, day, terms)
        except asyncpg.InsufficientPrivilegeError:
            raise Unavailable(f"this role may not record payments: connect as {RECONCILER_ROLE}") from None


def require_accounts(terms: Terms) -> None:
    """Verify the check digits of every account in the terms. Raises `IbanInvalid`."""
    named = [("accounts, voucher", terms.accounts.voucher), ("accounts, operating", terms.accounts.operating)]
    for where, iban in named + [(f"acquirer {one.id}", one.iban) for one in terms.acquirer]:
        if not is_iban(iban):
            raise IbanInvalid(f"the terms' IBAN of {where} is wrong: its check digits don't fit")


def execution_of(day: date) -> date:
    """Return the day on which a day's payouts are to be carried out: the next one that is no weekend.

    A bank moves what falls on a holiday of its own.

    >>> execution_of(date(2026, 5, 15))
    datetime.date(2026, 5, 18)
    """
    execute = day + timedelta(days=1)
    while execute.weekday() >= SATURDAY:
        execute += timedelta(days=1)
    return execute


async def _made(connection: asyncpg.Connection, day: date, terms: Terms) -> PaymentFile:
    run, *_ = await runs_of(connection, day)
    key = hashlib.sha256(b"payouts" + run.key).digest()
    file = await connection.fetchrow(_FILE, key)
    if file is not None:
        rows = await connection.fetch(_PAYOUTS, file["id"])
        return PaymentFile(day, file["message"], file["content"], tuple([Payout(**dict(row)) for row in rows]))
    owed = await _owed(connection, run, terms)
    carried = tuple([one for one in owed if one.net <= 0])
    payable = [await _named(connection, one) for one in owed if one.net > 0]
    if not payable:
        return PaymentFile(day, "", b"", (), carried)
    number = await connection.fetchval(_FILES_OF_DAY, day)
    message = _name("PAYOUTS", day, number)
    content = written(message, day, execution_of(day), terms.accounts, [_transfer(one, terms) for one in payable])
    async with connection.transaction():
        made = await connection.fetchval(_ADD_FILE, key, day, message, content)
        for one in payable:
            values = (one.end_to_end, one.acquirer, one.day, one.gross, one.fee, one.net)
            await connection.execute(_ADD_PAYOUT, made, *values)
    return PaymentFile(day, message, content, tuple(payable), carried)


async def _owed(connection: asyncpg.Connection, through: PublishedRun, terms: Terms) -> Sequence[Payout]:
    """Add up, by acquirer, what the runs behind its last payout matched, and what was settled without one."""
    last = {row["acquirer"]: row["run"] for row in await connection.fetch(_LAST_PAID)}
    first = min((last.get(acquirer, 0) for acquirer in terms.ids), default=0)
    gross: defaultdict[str, int] = defaultdict(int)
    fee: defaultdict[str, int] = defaultdict(int)
    for row in await connection.fetch(_RUNS_THROUGH, first, through.id):
        run = PublishedRun(row["id"], row["key"], row["day"])
        for one in await positions_of(connection, run, terms):
            if run.id > last.get(one.acquirer, 0):
                gross[one.acquirer] += one.gross
                fee[one.acquirer] += one.fee
        for acquirer, cents in (await _settled(connection, run, terms)).items():
            if run.id > last.get(acquirer, 0):
                gross[acquirer] += cents
    return [
        Payout(None, one, through.day, Cents(gross[one]), Cents(fee[one]), Cents(gross[one] - fee[one]))
        for one in sorted(gross)
        if gross[one] or fee[one]
    ]


async def _settled(connection: asyncpg.Connection, run: PublishedRun, terms: Terms) -> Mapping[str, int]:
    """What came from acquirers, or below 0 went to them, by entries that one run matched without a payout.

    Those that come to a net position, and those that an approved settlement names.
    """
    settled: defaultdict[str, int] = defaultdict(int)
    for row in await connection.fetch(_SETTLED, run.id, Stage.NET_POSITION):
        acquirer = named_by(row["counterparty"], terms)
        if acquirer is not None:
            settled[acquirer] += row["cents"]
    for row in await connection.fetch(_ADJUSTED, run.id, Stage.ADJUSTMENT):
        settled[row["acquirer"]] -= row["cents"]
    return settled


def named_by(counterparty: str | None, terms: Terms) -> str | None:
    """Return the acquirer that is the other side of an entry, by its IBAN or its name; None: none, or several are."""
    first, _, _ = (counterparty or "").partition(" ")
    name = (counterparty or "").removeprefix(f"{first} " if is_iban(first) else "").casefold()
    of_iban = [one.id for one in terms.acquirer if one.iban == first]
    of_name = [one.id for one in terms.acquirer if one.name.casefold() == name]
    found = of_iban or of_name
    return found[0] if len(found) == 1 else None


async def _named(connection: asyncpg.Connection, one: Payout) -> Payout:
    name = _name(one.acquirer, one.day, await connection.fetchval(_NUMBER, one.acquirer, one.day))
    return Payout(name, one.acquirer, one.day, one.gross, one.fee, one.net)


def _name(whose: str, day: date, before: int) -> str:
    """Name a payout, or a file, after whose it is and its day; where there were some already, by its number too."""
    return f"{whose}-{day:%Y%m%d}" + (f"-{before + 1}" if before else "")


def _transfer(one: Payout, terms: Terms) -> Transfer:
    agreed = terms.of(one.acquirer)
    if agreed is None or one.end_to_end is None:
        raise NoTerms(f"acquirer {one.acquirer} isn't in the terms: add an [[acquirer]] for it")
    return Transfer(one.end_to_end, agreed.name, agreed.iban, one.net, f"Card payments {one.day.isoformat()}")
