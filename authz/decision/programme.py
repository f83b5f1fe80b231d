"""A programme: the dated rules that a product line lives by, with the source of each.

Every row says where its rule comes from: an article of law, a public page, or "unverified". Days are local
dates, both ends included; amounts are integer cents. A programme is decoded from TOML, is itself a journal
record as JSON, and comes back from it unchanged.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from enum import StrEnum
from itertools import combinations
from typing import Annotated, Literal, TypeVar

from msgspec import Meta, Struct

from authz.decision.calendar import zone
from ledger.values import Cents

PRODUCT_CODES = frozenset({"90", "91", "92", "93", "94", "95"})
"""Every product that DE 3 can name: titre-restaurant, lunch, eco, gift, sport-culture, consumption."""

HOLD_DAYS = 7
"""How long holds last after their day, where a programme doesn't say."""

MONTHS_A_YEAR = 12
DAYS_MAX = 366
MONTHS_MAX = 120
"""How long a rule can give: longer is a slip of the pen."""

Positive = Annotated[Cents, Meta(gt=0)]
Tries = Annotated[int, Meta(gt=0)]
Days = Annotated[int, Meta(gt=0, le=DAYS_MAX)]
Months = Annotated[int, Meta(gt=0, le=MONTHS_MAX)]
Text = Annotated[str, Meta(min_length=1)]
Mcc = Annotated[str, Meta(pattern=r"^[0-9]{4}$")]
Bin = Annotated[str, Meta(pattern=r"^([0-9]{6}|[0-9]{8})$")]
"""The first digits of card numbers (ISO/IEC 7812-1), by which they are the issuer's."""


class DayOff(StrEnum):
    """A kind of day on which vouchers may be refused."""

    SUNDAY = "sunday"
    HOLIDAY = "holiday"


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Anything that holds because something says so."""

    source: Text


class Dated(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule between two days, both included (None: without end)."""

    since: date | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.since > self.until:
            raise ValueError(f"a row ends on {self.until}, before it begins on {self.since}")

    def holds_on(self, day: date) -> bool:
        """Tell whether the rule is in force on a day."""
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


class Placed(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dated rule for merchants of some categories only (`mccs`), or for all where it names none.

    Of two rows in force on a day, the one that names the merchant's category goes before the one for all.
    """

    mccs: Annotated[tuple[Mcc, ...], Meta(min_length=1)] | None = None


class CapRow(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most a holder may spend of a capped product on one local date, in cents."""

    amount: Positive


class Caps(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The caps that a programme may run under: its own, and the law's, by date."""

    default: tuple[CapRow, ...] = ()
    law: tuple[CapRow, ...] = ()


class DaysOffRow(Placed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kinds of day on which vouchers are refused: none of them in an exemption."""

    refuses: tuple[DayOff, ...]


class Validity(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long what is credited between two days is valid: a number of months, or None for a vintage."""

    months: Months | None = None


class Exchange(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many days after a lot's last one a holder may ask for the next vintage in exchange, free."""

    days: Days

    def ends(self, last: date) -> date:
        """Give the last day to ask, of a lot whose own is `last`."""
        return last + timedelta(days=self.days)


class Reactivation(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lot that expired is valid again for `months`, once, if asked `within_months` of its last day.

    A holder's first request is free; each later one costs `fee` cents, at most what the lot holds.
    """

    within_months: Months
    months: Months
    fee: Annotated[Cents, Meta(ge=0)]

    def ends(self, last: date) -> date:
        """Give the last day to ask, of a lot whose own is `last`."""
        return months_later(last, self.within_months)


class Forfeit(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long after its last day a lot falls to the issuer's pool: so many months, and days on top.

    What comes to the lot later waits for the same date a year after, and so on.
    """

    days: Days
    months: Annotated[int, Meta(ge=0, le=MONTHS_MAX)] = 0

    def falls(self, last: date) -> date:
        """Give the first day at whose beginning a lot falls, whose own last one is `last`."""
        return months_later(last, self.months) + timedelta(days=self.days)

    def falls_within(self, last: date, after: date, until: date) -> bool:
        """Tell whether a lot has a day to fall on that is later than `after`, and not later than `until`."""
        first = self.falls(last)
        years = range(max(after.year - first.year, 0), until.year - first.year + 1)
        return any(after < months_later(first, MONTHS_A_YEAR * number) <= until for number in years)


class LoadLimit(Dated, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The most that may be loaded, in cents: `face` as one voucher, `year` in a calendar year. Never limits payments.

    Raises `ValueError` where it limits nothing.
    """

    face: Positive | None = None
    year: Positive | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.face is None and self.year is None:
            raise ValueError("a row of loads limits neither the face value nor the year")


class Product(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of voucher.

    `eligible` are the rows that say at which categories of merchant it can be spent: with none at all, the
    merchant's own approvals decide alone. `exchanges`, `reactivations` and `forfeits` say what becomes of a lot that
    expired, each by the row in force on the lot's last day: where there is none, it isn't exchanged, isn't
    reactivated, or waits for ever. `loads` limits what is loaded, by the row in force on the day. A balance that a
    payment takes below `low_balance` cents is low: the holder is told.
    """

    code: str
    name: Text
    validity: Annotated[tuple[Validity, ...], Meta(min_length=1)]
    capped: bool = False
    eligible: tuple[Placed, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    reactivations: tuple[Reactivation, ...] = ()
    forfeits: tuple[Forfeit, ...] = ()
    loads: tuple[LoadLimit, ...] = ()
    low_balance: Positive | None = None

    def takes(self, mcc: str, day: date) -> bool:
        """Tell whether merchants of a category can take this product on a day."""
        return not self.eligible or in_force(self.eligible, day, mcc) is not None

    def gets_low(self, available: Cents, spent: Cents) -> bool:
        """Tell whether spending so much takes a balance from where it isn't low to where it is."""
        return self.low_balance is not None and available - spent < self.low_balance <= available

    def lot_dates(self, credited: date, vintage: int | None = None) -> tuple[date, date]:
        """Give the first and last day of a lot credited on a day. `vintage`: the year it belongs to, if not this one.

        Raises `ValueError` where no row covers the day.
        """
        row = on_day(self.validity, credited)
        if row is None:
            raise ValueError(f"product {self.code} has no validity row for {credited}")
        if row.months is None:
            return vintage_dates(credited.year if vintage is None else vintage)
        return credited, months_later(credited, row.months)


class Generation(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a generation of cards can do: wrong PINs in a row that lock it, and whether it pays online."""

    number: Literal[1, 2]
    pin_tries: Tries
    online: bool


class Pin(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many digits a PIN has, and what verifies it: a Visa PVV, or an IBM 3624 offset."""

    length: Annotated[int, Meta(ge=4, le=12)]
    method: Literal["pvv", "ibm3624"] = "pvv"


class Chip(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the stripe of a card may be used where its chip can't be read (DE 22 = 80)."""

    fallback: bool


class Cvv2(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many wrong CVV2 in a row lock a card's online use."""

    tries: Tries


class Contactless(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cents that a contactless payment, and all of them since the last right PIN, may come to without one."""

    single: Positive
    together: Positive


class Refunds(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether vouchers are given back for returned goods."""

    allowed: bool


class Holds(Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many days after its own an authorization's hold lasts, that last day included."""

    days: Annotated[int, Meta(gt=0, le=30)]


class Programme(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All the rules of a product line. Raises `ValueError` where rows contradict each other, naming them.

    `zone` places days where no merchant does. `cap` says which of the caps is in force. `area` is the rule of
    R3262-9 (département of the workplace and its neighbours): off. New cards' numbers begin with `bin`; None: the
    programme makes no cards.
    """

    id: Text
    zone: str
    products: Annotated[tuple[Product, ...], Meta(min_length=1)]
    generations: Annotated[tuple[Generation, ...], Meta(min_length=1)]
    pin: Pin
    cvv2: Cvv2
    contactless: Contactless
    refunds: Refunds
    chip: Chip = Chip(fallback=True, source="unverified")
    holds: Holds = Holds(days=HOLD_DAYS, source="unverified")
    cap: Literal["default", "law"] = "default"
    caps: Caps = Caps()
    days_off: tuple[DaysOffRow, ...] = ()
    area: Literal["none"] = "none"
    bin: Bin | None = None

    def __post_init__(self) -> None:
        zone(self.zone)
        _refuse_twice("products", [product.code for product in self.products])
        _refuse_twice("generations", [generation.number for generation in self.generations])
        _refuse_overlap("caps.default", self.caps.default)
        _refuse_overlap("caps.law", self.caps.law)
        _refuse_overlap("days_off", self.days_off)
        for product in self.products:
            if product.code not in PRODUCT_CODES:
                raise ValueError(f"product {product.code}: no such code in DE 3")
            _refuse_overlap(f"product {product.code}: validity", product.validity)
            _refuse_overlap(f"product {product.code}: eligible", product.eligible)
            _refuse_overlap(f"product {product.code}: exchanges", product.exchanges)
            _refuse_overlap(f"product {product.code}: reactivations", product.reactivations)
            _refuse_overlap(f"product {product.code}: forfeits", product.forfeits)
            _refuse_overlap(f"product {product.code}: loads", product.loads)
            if product.exchanges and any(row.months for row in product.validity):
                raise ValueError(f"product {product.code} is exchanged, and not all of its lots are vintages")
            if product.capped and not self._caps:
                raise ValueError(f"product {product.code} is capped, and caps.{self.cap} has no row")

    @property
    def _caps(self) -> tuple[CapRow, ...]:
        return self.caps.law if self.cap == "law" else self.caps.default

    def product(self, code: str) -> Product | None:
        """Find a product by its code."""
        for product in self.products:
            if product.code == code:
                return product
        return None

    def generation(self, number: int) -> Generation | None:
        """Find a generation of cards by its number."""
        for generation in self.generations:
            if generation.number == number:
                return generation
        return None

    def cap_on(self, day: date, mcc: str) -> Cents:
        """Give the cap in force on a day at merchants of a category: nothing may be spent where no row covers it."""
        row = in_force(self._caps, day, mcc)
        return Cents(0) if row is None else row.amount

    def refused_on(self, day: date, mcc: str) -> tuple[DayOff, ...]:
        """Give the kinds of day that are refused, as the rule stands on a day at merchants of a category."""
        row = in_force(self.days_off, day, mcc)
        return () if row is None else row.refuses


DatedRow = TypeVar("DatedRow", bound=Dated)
PlacedRow = TypeVar("PlacedRow", bound=Placed)


def on_day(rows: Iterable[DatedRow], day: date) -> DatedRow | None:
    """Find the row in force on a day."""
    return next((row for row in rows if row.holds_on(day)), None)


def in_force(rows: Iterable[PlacedRow], day: date, mcc: str) -> PlacedRow | None:
    """Find the row for a merchant's category on a day: one that names it before one for all."""
    general = None
    for row in rows:
        if row.holds_on(day):
            if row.mccs is None:
                general = row
            elif mcc in row.mccs:
                return row
    return general


def limits_on(product: Product, day: date) -> LoadLimit | None:
    """Find what limits loads of a product on a day. None: nothing does."""
    return on_day(product.loads, day)


def vintage_dates(year: int) -> tuple[date, date]:
    """Give the first and last day of a vintage: 1 January to the last day of the next February (R3262-5).

    >>> vintage_dates(2027)
    (datetime.date(2027, 1, 1), datetime.date(2028, 2, 29))
    """
    return date(year, 1, 1), date(year + 1, 3, 1) - timedelta(days=1)


def months_later(day: date, months: int) -> date:
    """Give the same day of a later month, or that month's last day where it has no such day.

    >>> months_later(date(2026, 11, 30), 15)
    datetime.date(2028, 2, 29)
    """
    years, month = divmod(day.month - 1 + months, 12)
    following = date(day.year + years + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    return date(day.year + years, month + 1, min(day.day, (following - timedelta(days=1)).day))


def _refuse_twice(what: str, keys: Sequence[object]) -> None:
    for index, key in enumerate(keys):
        if key in keys[:index]:
            raise ValueError(f"{what}[{index}]: {key} stands there already")


def _refuse_overlap(what: str, rows: Sequence[Dated]) -> None:
    for (first, one), (second, other) in combinations(enumerate(rows), 2):
        start = max(one.since or date.min, other.since or date.min)
        if start <= min(one.until or date.max, other.until or date.max) and _same_place(one, other):
            raise ValueError(f"{what}[{first}] and {what}[{second}] both hold on {start}")


def _same_place(one: Dated, other: Dated) -> bool:
    mine = one.mccs if isinstance(one, Placed) else None
    theirs = other.mccs if isinstance(other, Placed) else None
    return not set(mine).isdisjoint(theirs) if mine and theirs else mine == theirs
