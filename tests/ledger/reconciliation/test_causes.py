"""Every discrepancy is found once, with its cause, and nothing more (docs/reconciliation.md, "Causes")."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.reconciliation.reconciling import breaks, reconcile
from ledger.reconciliation.values import Cause, ClearingLine
from ledger.values import Cents
from tests.ledger.reconciliation.books import (
    DAY,
    Book,
    acquirer_terms,
    head,
    line_of,
    reconciler,
    take_in,
    terms_of,
    write,
)

NOTHING = None
"""The acquirer agrees."""
SIDES = ("ledger", "clearing")
wrongs = st.lists(
    st.one_of(
        st.just((NOTHING, "")),
        st.tuples(
            st.sampled_from(
                [
                    Cause.DUPLICATE,
                    Cause.UNKNOWN_TERMINAL,
                    Cause.AMOUNT_DIFFERS,
                    Cause.ADVICE_SHORTFALL,
                    Cause.REVERSED_LATE,
                    Cause.WRONG_DAY,
                    Cause.MISSING_IN_CLEARING,
                    Cause.MISSING_IN_LEDGER,
                ]
            ),
            st.sampled_from(SIDES),
        ),
    ),
    min_size=1,
    max_size=20,
)
Place = tuple[Cause, int | None, tuple[str, int] | None]
DAYS_BETWEEN = 5


class Scene:
    """Days of one acquirer, of which every payment is agreed on, or wrong in one way that is written down.

    `known`, a terminal, has a payment that is agreed on, so that it isn't unknown.
    """

    def __init__(self, number: int, records: int) -> None:
        self.day = DAY + timedelta(days=DAYS_BETWEEN * number)
        self.book = Book(datetime.combine(self.day, time(6), tzinfo=UTC))
        self.book.cut_over(self.day)
        self.expected: Counter[Place] = Counter()
        self.today: list[ClearingLine] = []
        self.tomorrow: list[ClearingLine] = []
        self._before = records
        self._number = number
        self._say(self.book.pay(100))

    def make(self, index: int, cause: Cause | None, side: str) -> None:
        """Have one payment go wrong."""
        book, cents = self.book, 1_000 + index
        match cause:
            case None:
                self._say(book.pay(cents))
            case Cause.DUPLICATE:
                paid = book.pay(cents)
                self._say(paid)
                self._expect(cause, None, self._say(paid, later=side == "ledger"))
            case Cause.UNKNOWN_TERMINAL:
                never = Book(book.now).pay(cents, trace=f"9{index:05}", terminal="NOWHERE1")
                self._expect(cause, None, self._say(never))
            case Cause.AMOUNT_DIFFERS:
                paid = book.pay(cents)
                self._expect(cause, self._seq(), self._say(paid, cents=Cents(cents + 50)))
            case Cause.ADVICE_SHORTFALL:
                self._say(book.pay(cents, shortfall=1 if side == "ledger" else cents, mti="0220"))
                self._expect(cause, self._seq(), None)
            case Cause.REVERSED_LATE:
                paid = book.pay(cents)
                self._say(paid)
                if side == "ledger":
                    book.reverse(paid)
                    self._expect(cause, self._seq(), None)
                else:
                    taken_back = Book(book.now).reverse(paid)
                    self._expect(cause, None, self._say(taken_back, trace=f"8{index:05}"))
            case Cause.WRONG_DAY:
                paid = book.pay(cents)
                self._expect(cause, self._seq(), self._say(paid, later=True))
            case Cause.MISSING_IN_CLEARING:
                book.pay(cents)
                self._expect(cause, self._seq(), None)
            case Cause.MISSING_IN_LEDGER:
                self._expect(cause, None, self._say(Book(book.now).pay(cents, trace=f"7{index:05}")))

    async def reconcile(self, url: str, role: str) -> Counter[Place]:
        """Reconcile the two days and one behind them; return what was listed on any of them."""
        following = self.day + timedelta(days=1)
        self.book.cut_over(following)
        self.book.now += timedelta(days=1)
        self.book.cut_over(following + timedelta(days=1))
        await write(url, self.book.entries)
        await take_in(role, self.today, self.day, f"{self._number}-today")
        await take_in(role, self.tomorrow, following, f"{self._number}-tomorrow")
        found: set[Place] = set()
        for ahead in range(3):
            day = self.day + timedelta(days=ahead)
            await reconcile(role, day, terms_of(acquirer_terms(days_late=1)))
            _, listed = await breaks(role, day)
            for one in listed:
                place = None if one.file_name is None else (one.file_name, one.one.line or 0)
                if one.one.since >= self.day:
                    found.add((one.one.cause, one.one.seq, place))
        return Counter(found)

    def _say(self, paid: Any, *, later: bool = False, **fields: Any) -> tuple[str, int]:
        lines = self.tomorrow if later else self.today
        day = self.day + timedelta(days=1) if later else self.day
        lines.append(line_of(paid, len(lines) + 1, day, **fields))
        return f"{self._number}-{'tomorrow' if later else 'today'}", len(lines)

    def _seq(self) -> int:
        return self._before + len(self.book.entries)

    def _expect(self, cause: Cause, seq: int | None, place: tuple[str, int] | None) -> None:
        self.expected[cause, seq, place] += 1


_scenes: Counter[str] = Counter()
"""How many a database has seen: each has days of its own."""


@given(story=wrongs)
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
async def test_every_discrepancy_is_found_once_with_its_cause_and_nothing_more(
    database: Any, story: Sequence[tuple[Cause | None, str]]
) -> None:
    scene = Scene(_scenes[database.name], await head(database.url))
    _scenes[database.name] += 1
    for index, (cause, side) in enumerate(story):
        scene.make(index, cause, side)
    assert await scene.reconcile(database.url, reconciler(database.url)) == scene.expected
