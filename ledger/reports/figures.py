"""What a report says: figures, all of one shape, so that every format says the same; and finance's newest run.

Cents are integers. Hours and calendar days are those of the report's zone; an acquirer's business days end where it cut
over.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from enum import StrEnum

from msgspec import Struct

from ledger.reconciliation.runs import Summary
from ledger.values import Cents, Partition, Seq


class Section(StrEnum):
    """What a figure is one of, and which of its fields are there. The order is that of the report."""

    CLEARING = "clearing"
    """By business day, acquirer and product, what `Clearing` names: cents above 0 are to be paid to the acquirer."""
    VOLUME = "volume"
    """By day, hour and product: purchases, holds and offline advices that were approved, and what they came to."""
    MESSAGES = "messages"
    """By day and reason (`name`): how many of the terminals' messages were answered so."""
    VOUCHERS = "vouchers"
    """By day and product, what `Vouchers` names."""
    UNSPENT = "unspent"
    """By product and vintage (`name`): what holders have at the end of the last day, set aside or not."""
    WAITING = "waiting"
    """By product and vintage: what expired unspent and waits to be exchanged or reactivated."""
    TRIAL_BALANCE = "trial-balance"
    """By account (`name`): credits less debits at the end of the last day; of a class of accounts, their sum."""
    BREAKS = "breaks"
    """By cause (`name`) and the day since when: what the newest run found open, and found less expected cents."""


class Clearing(StrEnum):
    """What becomes of acquirers' accounts. Another kind of record that moves them goes by its own name."""

    PAYMENT = "payment"
    CAPTURE = "capture"
    ADVICE = "advice"
    REFUND = "refund"
    REVERSAL = "reversal"
    CORRECTION = "correction"
    """An adjustment: what is owed, and the ledger didn't have."""
    SETTLEMENT = "settlement"
    """An adjustment: below 0, what the acquirer was paid, or a fee kept of it; for what was owed earlier."""
    HOLD = "hold"
    """Set aside: nothing is owed yet."""
    RELEASE = "release"
    """What was set aside and is free again: reversed, lapsed, or more than was captured."""
    SHORTFALL = "shortfall"
    """What of the above no balance covered; below 0, given back or written off."""


class Vouchers(StrEnum):
    """What becomes of vouchers, but that they are spent."""

    FUNDING = "funding"
    """Paid in by a client, and not loaded yet."""
    LOAD = "load"
    EXPIRY = "expiry"
    EXCHANGE = "exchange"
    REACTIVATION = "reactivation"
    PUT_BACK = "put-back"
    """Expired, and valid on the day by which a payment was judged."""
    FORFEIT = "forfeit"
    FEE = "fee"


ASIDE = frozenset({Clearing.SETTLEMENT, Clearing.HOLD, Clearing.RELEASE, Clearing.SHORTFALL})
"""What isn't owed to an acquirer because of the day: all else adds up to that, and with settlements to its account."""
GRANTED = frozenset({"APPROVED", "PARTIAL"})
"""The reasons of what was granted; all others refuse."""


class Figure(Struct, frozen=True, omit_defaults=True, gc=False):
    """One figure: a row of the CSV and Parquet files, with these columns in this order. None: it isn't told apart.

    `records` is how many records it is made of; None where it is no sum of records.
    """

    section: Section
    day: date | None = None
    hour: int | None = None
    acquirer: str | None = None
    product: str | None = None
    name: str | None = None
    records: int | None = None
    cents: Cents | None = None


class OpenBreak(Struct, frozen=True, gc=False):
    """Something that doesn't agree: `record` is named as partition:seq, `line` as file:line (or entry)."""

    number: int
    cause: str
    since: date
    source: str
    detail: str
    expected: Cents | None = None
    found: Cents | None = None
    record: str | None = None
    line: str | None = None


class Run(Struct, frozen=True):
    """The newest reconciliation of the period's last day or of one before. `breaks` are the first of `breaks_count`.

    `key` is the hash of what it was made from, in hexadecimal; `summary` is what it says of itself.
    """

    key: str
    day: date
    summary: Summary
    breaks_count: int
    breaks: tuple[OpenBreak, ...]


class Reach(Struct, frozen=True, gc=False):
    """Which records of a partition are of the calendar's days: those behind `after`, up to and with `through`."""

    partition: Partition
    after: Seq
    through: Seq


class Report(Struct, frozen=True):
    """The figures from `first` to `last`, both included, in the order of their fields.

    `still_open` are the acquirers that haven't closed the last business day: what is of it may grow.
    `names` are what the terms call acquirers.
    """

    first: date
    last: date
    zone: str
    reach: tuple[Reach, ...]
    still_open: tuple[str, ...]
    names: Mapping[str, str]
    figures: tuple[Figure, ...]
    run: Run | None = None

    def of(self, section: Section) -> Sequence[Figure]:
        """The figures of a section."""
        return [one for one in self.figures if one.section is section]


def ordered(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """Put figures in the order of a report."""
    sections = list(Section)
    return tuple(
        sorted(
            figures,
            key=lambda one: (
                sections.index(one.section),
                one.day or date.min,
                -1 if one.hour is None else one.hour,
                one.acquirer or "",
                one.product or "",
                _rank(one),
                one.name or "",
            ),
        )
    )


def _rank(figure: Figure) -> int:
    """Where a name stands among its section's own; behind them, others by the alphabet."""
    words = _WORDS.get(figure.section, ())
    return words.index(figure.name) if figure.name in words else len(words)


_WORDS: Mapping[Section, Sequence[str]] = {
    Section.CLEARING: tuple(map(str, Clearing)),
    Section.VOUCHERS: tuple(map(str, Vouchers)),
}
