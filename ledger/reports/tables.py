"""A report's tables, as people read them: in a terminal and on the page. Amounts are in euros, days in ISO 8601."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from msgspec import Struct

from ledger.printing import euros
from ledger.reports.figures import ASIDE, GRANTED, Clearing, Figure, Report, Section, Vouchers
from ledger.values import Cents

AGES = (("same day", 0), ("1 day", 1), ("2 to 7 days", 7), ("8 to 30 days", 30))
"""How long a break has been open, at most so many days; beyond the last, it is `OLDER`."""
OLDER = "over 30 days"
NOBODY = "–"
"""Where a figure names no acquirer or product."""

Row = tuple[str, ...]


class Sheet(Struct, frozen=True):
    """A table. The first `words` columns are words, the others numbers; `total` is its last line, if it has one."""

    title: str
    note: str
    columns: Row
    rows: Sequence[Row]
    words: int = 1
    total: Row | None = None


def age(since: date, day: date) -> str:
    """Name the age of what has been open since a day.

    >>> age(date(2026, 5, 10), date(2026, 5, 12))
    '2 to 7 days'
    """
    days = (day - since).days
    return next((name for name, most in AGES if days <= most), OLDER)


def headlines(report: Report) -> Sequence[tuple[str, str]]:
    """What stands in large at the top."""
    answers = report.of(Section.MESSAGES)
    refused = _records(one for one in answers if one.name not in GRANTED)
    asked = _records(answers)
    clearing, vouchers = report.of(Section.CLEARING), report.of(Section.VOUCHERS)
    lines = [
        ("owed to acquirers, €", euros(_cents(one for one in clearing if one.name not in ASIDE))),
        ("payments", f"{_records(one for one in clearing if one.name in _PAID):,}"),
        ("volume approved, €", euros(_cents(report.of(Section.VOLUME)))),
        ("refused of all messages", share(refused, asked)),
        ("loaded, €", euros(_cents(one for one in vouchers if one.name == Vouchers.LOAD))),
        ("unspent at the end, €", euros(_cents(report.of(Section.UNSPENT)))),
    ]
    return [*lines, ("open breaks", f"{report.run.breaks_count:,}")] if report.run else lines


def clearing(report: Report) -> Sheet:
    """What becomes of acquirers' accounts, by acquirer and product, and what each is owed by it."""
    rows: list[Row] = []
    by_acquirer: defaultdict[str, list[Figure]] = defaultdict(list)
    for one in report.of(Section.CLEARING):
        by_acquirer[one.acquirer or ""].append(one)
    for acquirer, figures in sorted(by_acquirer.items()):
        name = _named(report, acquirer)
        rows += [(name, *cells) for cells in _by_product(figures)]
        if acquirer:
            rows.append((name, "", "net owed", "", euros(_cents(one for one in figures if one.name not in ASIDE))))
    owed = _cents(one for one in report.of(Section.CLEARING) if one.name not in ASIDE)
    return Sheet(
        "Clearing, by acquirer and product",
        "Business days, as each acquirer's cutovers end them. Above 0: to be paid to it. Settlements, holds,"
        " releases and shortfalls are shown beside, and aren't added.",
        ("acquirer", "product", "what", "records", "€"),
        rows,
        words=3,
        total=("all", "", "net owed", "", euros(owed)),
    )


def volume(report: Report) -> Sheet:
    """What was approved, by hour and product."""
    products = sorted({one.product or NOBODY for one in report.of(Section.VOLUME)})
    sums: Counter[tuple[int, str]] = Counter()
    for one in report.of(Section.VOLUME):
        sums[one.hour or 0, one.product or NOBODY] += one.cents or 0
    hours = sorted({hour for hour, _ in sums})
    return Sheet(
        "Volume by hour and product, €",
        f"Calendar days in {report.zone}: purchases, holds and offline advices that were approved.",
        ("hour", *products),
        [(f"{hour:02}", *(euros(Cents(sums[hour, product])) for product in products)) for hour in hours],
        total=("all", *(euros(Cents(sum(sums[hour, product] for hour in hours))) for product in products)),
    )


def refusals(report: Report) -> Sheet:
    """Refused messages by reason, the most frequent first."""
    answers = report.of(Section.MESSAGES)
    asked, counted = _records(answers), refused_by_reason(report)
    return Sheet(
        "Refusals by reason",
        f"Calendar days in {report.zone}: every message of a terminal about a card; of {asked:,} in all.",
        ("reason", "messages", "of all"),
        [(reason, f"{number:,}", share(number, asked)) for reason, number in counted],
        total=("refused", f"{sum(number for _, number in counted):,}", share(sum(n for _, n in counted), asked)),
    )


def refused_by_reason(report: Report) -> Sequence[tuple[str, int]]:
    """Count refusals, the most frequent reason first."""
    counted: Counter[str] = Counter()
    for one in report.of(Section.MESSAGES):
        if one.name not in GRANTED:
            counted[one.name or NOBODY] += one.records or 0
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def vouchers(report: Report) -> Sheet:
    """Loads, expiries, exchanges and what else becomes of vouchers."""
    return Sheet(
        "Vouchers",
        f"Calendar days in {report.zone}.",
        ("product", "what", "records", "€"),
        list(_by_product(report.of(Section.VOUCHERS))),
        words=2,
    )


def unspent(report: Report) -> Sheet:
    """What holders have, and what waits, by product and vintage."""
    sums: Counter[tuple[str, str, Section]] = Counter()
    for one in (*report.of(Section.UNSPENT), *report.of(Section.WAITING)):
        sums[one.product or NOBODY, one.name or NOBODY, one.section] += one.cents or 0
    rows = sorted({(product, name) for product, name, _ in sums})
    both = (Section.UNSPENT, Section.WAITING)
    return Sheet(
        "Unspent by vintage",
        f"At the end of {report.last} in {report.zone}. A lot that is no vintage's counts with the month of its last"
        " day. Unspent includes what is set aside.",
        ("product", "vintage", "unspent, €", "expired and waiting, €"),
        [(*row, *(euros(Cents(sums[(*row, section)])) for section in both)) for row in rows],
        words=2,
        total=("all", "", *(euros(_cents(report.of(section))) for section in both)),
    )


def trial_balance(report: Report) -> Sheet:
    """Every class of accounts on its side."""
    figures = report.of(Section.TRIAL_BALANCE)
    sides = [(one.name or "", Cents(max(-(one.cents or 0), 0)), Cents(max(one.cents or 0, 0))) for one in figures]
    debit, credit = Cents(sum(one[1] for one in sides)), Cents(sum(one[2] for one in sides))
    return Sheet(
        "Trial balance",
        f"At the end of {report.last} in {report.zone}. * stands for whoever owns an account. "
        + ("Both sides are the same." if debit == credit else "THE SIDES DIFFER: run ledger verify."),
        ("account", "debit, €", "credit, €"),
        [(name, euros(left) if left else "", euros(right) if right else "") for name, left, right in sides],
        total=("sum", euros(debit), euros(credit)),
    )


def ageing(report: Report) -> Sheet:
    """Open breaks by cause and age."""
    counted = breaks_by_age(report)
    ages = [*(name for name, _ in AGES), OLDER]
    causes = sorted({cause for cause, _ in counted})

    def line(name: str, cells: Callable[[str], int]) -> Row:
        return (name, *(f"{cells(one):,}" for one in ages), f"{sum(map(cells, ages)):,}")

    return Sheet(
        "Open breaks by age",
        "Of the newest reconciliation; ages at the end of the period.",
        ("cause", *ages, "all"),
        [line(cause, lambda one, cause=cause: counted[cause, one]) for cause in causes],  # type: ignore[misc]
        total=line("all", lambda one: sum(counted[cause, one] for cause in causes)),
    )


def breaks_by_age(report: Report) -> Counter[tuple[str, str]]:
    """Count open breaks by cause and age."""
    counted: Counter[tuple[str, str]] = Counter()
    for one in report.of(Section.BREAKS):
        assert one.day is not None, "breaks are told apart by their days"
        counted[one.name or NOBODY, age(one.day, report.last)] += one.records or 0
    return counted


def by_day(report: Report) -> Sheet:
    """A line for each day of the period."""
    sums: Counter[tuple[date, str]] = Counter()
    for one in report.figures:
        for column, value in _columns_of(one):
            assert one.day is not None, "what is counted by day has one"
            sums[one.day, column] += value
    days = [date.fromordinal(number) for number in range(report.first.toordinal(), report.last.toordinal() + 1)]

    def line(name: str, value: Callable[[str], int]) -> Row:
        return (name, *(form(value(column)) for column, form in _DAY_COLUMNS.items()))

    return Sheet(
        "Day by day",
        f"Payments and net owed by business days, as cutovers end them; the others by calendar days in {report.zone}.",
        ("day", *_DAY_COLUMNS),
        [line(str(day), lambda column, day=day: sums[day, column]) for day in days],  # type: ignore[misc]
        total=line("all", lambda column: sum(sums[day, column] for day in days)),
    )


def share(part: int, whole: int) -> str:
    """Write a share, to a tenth of a percent, rounded half up.

    >>> share(1, 8), share(0, 0)
    ('12.5 %', '0.0 %')
    """
    tenths = (2_000 * part + whole) // (2 * whole) if whole else 0
    return f"{tenths // 10}.{tenths % 10} %"


def _columns_of(one: Figure) -> Iterable[tuple[str, int]]:
    """To which columns of a day's line a figure adds, and what."""
    match one.section:
        case Section.CLEARING if one.name not in ASIDE:
            yield "net owed, €", one.cents or 0
            if one.name in _PAID:
                yield "payments", one.records or 0
        case Section.VOLUME:
            yield "volume, €", one.cents or 0
        case Section.MESSAGES:
            yield ("approved" if one.name in GRANTED else "refused"), one.records or 0
        case Section.VOUCHERS if one.name == Vouchers.LOAD:
            yield "loaded, €", one.cents or 0
        case Section.VOUCHERS if one.name == Vouchers.EXPIRY:
            yield "expired, €", one.cents or 0


def _euros(cents: int) -> str:
    return euros(Cents(cents))


_DAY_COLUMNS: dict[str, Callable[[int], str]] = {
    "payments": "{:,}".format,
    "net owed, €": _euros,
    "approved": "{:,}".format,
    "refused": "{:,}".format,
    "volume, €": _euros,
    "loaded, €": _euros,
    "expired, €": _euros,
}
_PAID = frozenset({Clearing.PAYMENT, Clearing.CAPTURE, Clearing.ADVICE})


def _by_product(figures: Sequence[Figure]) -> Iterable[Row]:
    """Add figures up over days: a line for each product and name, in the order of a report."""
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for one in figures:
        tally = sums[one.product or NOBODY, one.name or NOBODY]
        tally[0] += one.records or 0
        tally[1] += one.cents or 0
    names = [*Clearing, *Vouchers]
    order = {str(name): number for number, name in enumerate(names)}
    for (product, name), (records, cents) in sorted(
        sums.items(), key=lambda item: (item[0][0], order.get(item[0][1], len(order)), item[0][1])
    ):
        yield product, name, f"{records:,}", euros(Cents(cents))


def _named(report: Report, acquirer: str) -> str:
    name = report.names.get(acquirer)
    return f"{acquirer} {name}" if name else acquirer or NOBODY


def _cents(figures: Iterable[Figure]) -> Cents:
    return Cents(sum(one.cents or 0 for one in figures))


def _records(figures: Iterable[Figure]) -> int:
    return sum(one.records or 0 for one in figures)
