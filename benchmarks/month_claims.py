"""What acquirers claim of a business day, and what is wrong with it: discrepancies put in by hand, each written down.

Beside them stand claims that are told otherwise than the ledger has them and are right all the same: what only the
later stages of matching find, and must not be listed.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.month_ledger import Closed
from benchmarks.month_world import HOUSES, MAPPED, House, Shape, Shop
from ledger.reconciliation.values import Cause, Movement
from ledger.values import Cents, Seq

CLEARING_CAUSES = (
    Cause.DUPLICATE,
    Cause.UNKNOWN_TERMINAL,
    Cause.AMOUNT_DIFFERS,
    Cause.ADVICE_SHORTFALL,
    Cause.REVERSED_LATE,
    Cause.WRONG_DAY,
    Cause.MISSING_IN_CLEARING,
    Cause.MISSING_IN_LEDGER,
)
TOLERANCE_CENTS, WINDOW_S, APART_S = 2, 60, 20
"""What the terms of the mapped acquirer tolerate, how far apart clocks may be, and how far these are."""
DIFFERENCE_CENTS = (10, 99)
INVENTED_CENTS = (10_000, 99_999)
"""More than any payment: no payment is mistaken for it."""
INVENTED_TRACES = 900_000
NOBODY = Seq(0)


class Injected(Struct, kw_only=True):
    """A discrepancy that was put in: what it is about, by record, by file and line, by file and bank entry."""

    cause: Cause
    source: str
    day: date
    seq: Seq | None = None
    file: str | None = None
    line: int | None = None
    entry: int | None = None


class Claim(Struct, frozen=True):
    """A line to be: what an acquirer says of a movement, or of a movement that there never was."""

    movement: Movement
    payments: int = 1
    about: Injected | None = None


class Plan:
    """Which discrepancies go into which day: of each cause as many, spread over days and acquirers."""

    def __init__(self, shape: Shape) -> None:
        self._of: dict[tuple[str, date], list[Cause]] = defaultdict(list)
        slots = [(house.id, day) for day in shape.dates for house in HOUSES]
        for kind, cause in enumerate(CLEARING_CAUSES):
            for number in range(shape.of_each):
                slot = (number * len(slots) // shape.of_each + kind) % len(slots)
                self._of[slots[slot]].append(cause)

    def of(self, house: House, day: date) -> Sequence[Cause]:
        """What is to be wrong with an acquirer's day."""
        return self._of[house.id, day]

    def short(self, house: House, day: date) -> int:
        """How many advices of an acquirer's day no balance is to cover."""
        return self.of(house, day).count(Cause.ADVICE_SHORTFALL)


class Claims:
    """Makes each day's claims of what the ledger has. `injected` is all that was made wrong so far."""

    def __init__(self, shape: Shape, plan: Plan, shops: Sequence[Shop]) -> None:
        self.injected: list[Injected] = []
        self._plan = plan
        self._chance = random.Random(shape.seed + 1)
        self._shops = shops
        self._late: dict[House, list[Claim]] = defaultdict(list)
        self._invented = 0

    def of(self, closed: Closed) -> Sequence[Claim]:
        """All lines of an acquirer's file, in their order."""
        house, day = closed.house, closed.day
        summed = {shop.terminal for shop in self._shops if shop.summed}
        single = [one for one in closed.movements if one.terminal not in summed]
        claims: dict[Seq, list[Claim]] = {one.seq: [Claim(one)] for one in single}
        free = self._free(single)
        more = [replace(late, movement=replace(late.movement, day=day)) for late in self._late.pop(house, [])]
        for number, cause in enumerate(self._plan.of(house, day)):
            more += self._wrong(cause, number, house, day, single, claims, free)
        self._tell_otherwise(house, claims, free)
        lines = [claim for several in claims.values() for claim in several]
        return [*lines, *more, *_sums(day, [one for one in closed.movements if one.terminal in summed])]

    def _free(self, single: Sequence[Movement]) -> list[Movement]:
        """Sales that nothing else is about, and that no other resembles, in a drawn order."""
        reversed_ = {one.original for one in single}
        alike = Counter((one.terminal, abs(one.cents)) for one in single)
        free = [
            one
            for one in single
            if one.kind == "purchase"
            and f"0200{one.trace}{one.transmitted}" not in reversed_
            and alike[one.terminal, one.cents] == 1
        ]
        self._chance.shuffle(free)
        return free

    def _wrong(
        self,
        cause: Cause,
        number: int,
        house: House,
        day: date,
        single: Sequence[Movement],
        claims: dict[Seq, list[Claim]],
        free: list[Movement],
    ) -> Iterator[Claim]:
        """Make something wrong; give the lines that come behind the others."""
        about = Injected(cause=cause, source=house.id, day=day)
        self.injected.append(about)
        match cause:
            case Cause.ADVICE_SHORTFALL:
                known = {one.seq for one in self.injected if one.cause is cause}
                one = next(one for one in single if one.shortfall and one.seq not in known)
                claims[one.seq] = [Claim(one, about=about)]
            case Cause.REVERSED_LATE:
                told = next((one for one in single if one.kind == "reversal" and claims[one.seq]), None)
                if told is None or number % 2:
                    yield Claim(self._reversal(free.pop()), about=about)
                else:
                    claims[told.seq] = []
                    about.seq = told.seq
                return
            case Cause.UNKNOWN_TERMINAL | Cause.MISSING_IN_LEDGER:
                yield Claim(self._invention(cause, day, number, free[0]), about=about)
                return
            case _:
                one = free.pop()
        about.seq = one.seq
        claim = Claim(one, about=about)
        match cause:
            case Cause.DUPLICATE if number % 2:
                yield claim
            case Cause.DUPLICATE:
                self._late[house].append(claim)
            case Cause.AMOUNT_DIFFERS:
                off = self._chance.randint(*DIFFERENCE_CENTS)
                claims[one.seq] = [replace(claim, movement=replace(one, cents=Cents(one.cents + off)))]
            case Cause.WRONG_DAY:
                claims[one.seq] = []
                self._late[house].append(claim)
            case Cause.MISSING_IN_CLEARING:
                claims[one.seq] = []

    def _invention(self, cause: Cause, day: date, number: int, like: Movement) -> Movement:
        """A payment that there never was."""
        self._invented += 1
        made = replace(
            like,
            seq=NOBODY,
            day=day,
            cents=Cents(self._chance.randint(*INVENTED_CENTS)),
            trace=f"{INVENTED_TRACES + self._invented:06}",
            retrieval=f"999{self._invented:09}",
            approval=f"X{self._invented:05}",
        )
        if cause is Cause.MISSING_IN_LEDGER:
            return made
        merchant = like.merchant if number % 2 else f"FR{9_000_000_000_000 + self._invented:013}"
        return replace(made, terminal=f"X{self._invented:07}", merchant=merchant)

    def _reversal(self, one: Movement) -> Movement:
        """A reversal of which the ledger knows nothing."""
        self._invented += 1
        return replace(
            one,
            seq=NOBODY,
            kind="reversal",
            class_="040",
            cents=Cents(-one.cents),
            trace=f"{INVENTED_TRACES + self._invented:06}",
            retrieval=f"999{self._invented:09}",
            original=f"0200{one.trace}{one.transmitted}",
        )

    def _tell_otherwise(self, house: House, claims: dict[Seq, list[Claim]], free: list[Movement]) -> None:
        """Tell of some sales otherwise than the ledger does: one for each stage that still finds them."""
        for stage in range(4 if house is MAPPED else 2):
            if not free:
                return
            one = free.pop()
            self._invented += 1
            other = f"{INVENTED_TRACES + self._invented:06}"
            match stage:
                case 0:
                    told = [replace(one, trace=other)]
                case 1:
                    trace = "" if house is MAPPED else one.trace
                    told = [replace(one, trace=trace, retrieval=None, local=one.local + timedelta(seconds=APART_S))]
                case 2:
                    told = [replace(one, cents=Cents(one.cents + TOLERANCE_CENTS))]
                case _:
                    half = Cents(one.cents // 2)
                    told = [replace(one, cents=half), replace(one, cents=Cents(one.cents - half))]
            claims[one.seq] = [Claim(line) for line in told]


def _sums(day: date, movements: Sequence[Movement]) -> Iterator[Claim]:
    """One line a terminal, for all that it did on the day."""
    by: dict[str, list[Movement]] = defaultdict(list)
    for one in movements:
        by[one.terminal].append(one)
    for several in by.values():
        cents = Cents(sum(one.cents for one in several))
        if len(several) == 1:
            yield Claim(several[0])
        elif cents:
            first = replace(several[0], seq=NOBODY, kind="purchase", day=day, cents=cents, trace="", retrieval=None)
            yield Claim(first, payments=len(several))
