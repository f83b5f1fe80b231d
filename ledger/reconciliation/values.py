"""What is reconciled: lines, entries, movements; how they were matched, and what didn't agree.

Cents are seen from the acquirer's side: above 0 it is to be paid, below 0 it gives back. Days are business days.
"""

from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct

from ledger.values import Cents, Partition, Seq


class ClearingLine(Struct, frozen=True, gc=False, kw_only=True):
    """What an acquirer asks to be paid: table `clearing_line` says what each field is.

    `local` is the acceptor's wall clock (DE 13 and 12, with a year), without a zone; `class_` the message type's first
    three digits, as `authz` counts the two kinds of reversals as one ("040"); `kind` a word of docs/clearing.md.
    """

    line: int
    acquirer: str
    day: date
    kind: str
    merchant: str
    cents: Cents
    class_: str | None = None
    terminal: str | None = None
    trace: str | None = None
    transmitted: str | None = None
    local: datetime | None = None
    retrieval: str | None = None
    approval: str | None = None
    card: str | None = None
    product: str | None = None
    payments: int = 1
    original: str | None = None


class BankEntry(Struct, frozen=True, gc=False, kw_only=True):
    """A movement on an account of the issuer's. `cents` above 0 came in."""

    entry: int
    account: str
    booked: date
    valued: date
    cents: Cents
    reference: str | None = None
    end_to_end: str | None = None
    counterparty: str | None = None
    purpose: str | None = None


class BankBalance(Struct, frozen=True, gc=False):
    """What an account stood at before and after a booking day, in cents."""

    account: str
    day: date
    opening: Cents
    closing: Cents


class Movement(Struct, frozen=True, gc=False, kw_only=True):
    """One record's effect on an acquirer's account. `shortfall` is what of it no balance covered."""

    partition: Partition
    seq: Seq
    at: datetime
    kind: str
    acquirer: str
    day: date
    cents: Cents
    shortfall: Cents
    merchant: str
    terminal: str
    class_: str
    trace: str
    transmitted: str
    local: datetime
    retrieval: str | None = None
    approval: str | None = None
    product: str | None = None
    original: str | None = None


class Stage(StrEnum):
    """How a match was found, in the order in which it is looked for."""

    EXACT = "exact"
    """By the fields that name a message, and the same cents."""
    TOLERATED = "tolerated"
    """By the same fields, and cents that differ by no more than the acquirer's terms tolerate."""
    RETRIEVAL = "retrieval"
    """By the retrieval reference (DE 37) and the cents."""
    WINDOW = "window"
    """By terminal, cents and a time within the terms' window, where each side has just one."""
    SEVERAL_PAYMENTS = "several-payments"
    """Several movements, one line: of a merchant's or a terminal's day, where they add up to it."""
    SEVERAL_LINES = "several-lines"
    """One movement, several lines that add up to it."""
    PAYOUT = "payout"
    """A payout, and the bank's entry that bears its name."""
    NET_POSITION = "net-position"
    """An acquirer's net position of a day, and an entry of that amount within the terms' days."""
    FUNDING = "funding"
    """What a client was recorded to have paid in, and the entry by which it came."""
    ADJUSTMENT = "adjustment"
    """A break, and the journaled adjustment that resolves it."""


class Cause(StrEnum):
    """Why something didn't agree: the likeliest, the first of these that fits."""

    DUPLICATE = "duplicate"
    """A line like one that is matched already."""
    UNKNOWN_TERMINAL = "unknown-terminal"
    """A line of a merchant or terminal that the ledger never heard of."""
    AMOUNT_DIFFERS = "amount-differs"
    ADVICE_SHORTFALL = "advice-shortfall"
    """Paid, though no balance covered it (all of it): the acquirer's exceptions account has what is missing."""
    REVERSED_LATE = "reversed-late"
    """One side has a payment and its reversal, the other only the payment."""
    WRONG_DAY = "wrong-day"
    """Both sides have it, in different business days: around a cutover."""
    MISSING_IN_CLEARING = "missing-in-clearing"
    MISSING_IN_LEDGER = "missing-in-ledger"
    MISSING_IN_BANK = "missing-in-bank"
    """A payout, a position or a client's payment without an entry."""
    UNEXPLAINED_ENTRY = "unexplained-entry"
    """An entry of the bank's that nothing accounts for."""


class Break(Struct, frozen=True, gc=False, kw_only=True):
    """What didn't agree, as a run lists it: table `break` says what each field is.

    `expected` is what the ledger says, `found` what the other side does, in cents.
    """

    number: int
    cause: Cause
    since: date
    source: str
    detail: str
    merchant: str | None = None
    terminal: str | None = None
    expected: Cents | None = None
    found: Cents | None = None
    partition: Partition | None = None
    seq: Seq | None = None
    file: int | None = None
    line: int | None = None
    entry: int | None = None

    def age(self, day: date) -> int:
        """How many days it has been open on a day."""
        return (day - self.since).days
