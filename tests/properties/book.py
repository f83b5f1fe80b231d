"""A holder's book as a child would keep it: vouchers by vintage, holds, what was spent on each day."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta

CAP = 1_900
VINTAGES = {"2026": (date(2026, 1, 1), date(2027, 2, 28)), "2027": (date(2027, 1, 1), date(2028, 2, 29))}
EXCHANGED_DAYS, FORFEITED_DAYS = 15, 31
"""After a vintage's last day: how long it is exchanged, and when it falls to the issuer's pool."""

Key = tuple[str, int, str, str]
"""Acquirer, holder, message type without its last digit, trace number: who asks for what, and which one it is."""


@dataclass
class Fate:
    """What stands of a request that moved money: vouchers by vintage as they were taken, and what no balance covered.

    A hold is one for as long as `until` is set; `of` is the payment that a refund gave back of.
    """

    day: date
    vouchers: dict[str, int]
    shortfall: int = 0
    until: date | None = None
    of: "Fate | None" = None

    @property
    def amount(self) -> int:
        return sum(self.vouchers.values()) + self.shortfall

    def lower(self, to: int) -> tuple[dict[str, int], int]:
        """Let only `to` stand; return what is undone: the shortfall first, then what was taken last."""
        undone = self.amount - to
        shortfall = min(self.shortfall, undone)
        self.shortfall -= shortfall
        undone -= shortfall
        returned = {}
        for vintage in reversed(list(self.vouchers)):
            returned[vintage] = min(self.vouchers[vintage], undone)
            self.vouchers[vintage] -= returned[vintage]
            undone -= returned[vintage]
        self.vouchers = {vintage: cents for vintage, cents in self.vouchers.items() if cents}
        return {vintage: returned[vintage] for vintage in reversed(returned) if returned[vintage]}, shortfall


@dataclass
class Book:
    """A holder's: vouchers by vintage, those that expired, what was spent on each day, wrong PINs in a row.

    `fates` has every request, None where it moved nothing. A request that is over is no hold any more; `tombstones`
    are requests whose reversal came first.
    """

    vouchers: Counter[str] = field(default_factory=Counter)
    expired: Counter[str] = field(default_factory=Counter)
    spent: Counter[date] = field(default_factory=Counter)
    wrong: int = 0
    fates: dict[Key, Fate | None] = field(default_factory=dict)
    tombstones: set[Key] = field(default_factory=set)

    def holds(self) -> list[Fate]:
        """Each hold once: a completion has the fate of its hold."""
        every = {id(fate): fate for fate in self.fates.values() if fate is not None and fate.until is not None}
        return list(every.values())

    def held(self) -> Counter[str]:
        return sum((Counter(hold.vouchers) for hold in self.holds()), Counter())

    def available(self, day: date) -> int:
        return sum(self._all_of(name) for name, (first, last) in VINTAGES.items() if first <= day <= last)

    def waiting(self, day: date) -> int:
        """What expired unspent, moved to where it waits or not yet."""
        return sum(self._all_of(name) for name, (_, last) in VINTAGES.items() if last < day)

    def _all_of(self, vintage: str) -> int:
        return self.vouchers[vintage] + self.expired[vintage]

    def take(self, day: date, cents: int) -> dict[str, int]:
        """Take vouchers that are valid on a day, the oldest first; what has been moved away since is back for it."""
        taken = {}
        for vintage, (first, last) in VINTAGES.items():
            if first <= day <= last:
                self.vouchers[vintage] += self.expired.pop(vintage, 0)
            part = min(cents, self.vouchers[vintage]) if first <= day <= last else 0
            if part:
                taken[vintage] = part
                self.vouchers[vintage] -= part
                cents -= part
        assert cents == 0
        return taken

    def give_back(self, vouchers: dict[str, int], today: date) -> None:
        """Back to the very lots they came from; then whatever has expired goes on to where it waits."""
        self.vouchers.update(vouchers)
        if vouchers:
            self.expire(today)

    def expire(self, today: date) -> None:
        """What is over goes to where it waits."""
        for vintage, (_, last) in VINTAGES.items():
            if last < today:
                self.expired[vintage] += self.vouchers.pop(vintage, 0)

    def forfeit(self, since: date, today: date) -> int:
        """What nobody asked for goes to the pool on its day, if no walk was through for that day: how much.

        A year later there would be another such day: time doesn't move so far.
        """
        days = {name: last + timedelta(days=FORFEITED_DAYS) for name, (_, last) in VINTAGES.items()}
        return sum(self.expired.pop(vintage, 0) for vintage, day in days.items() if since < day <= today)

    def exchange(self, vintage: str, today: date) -> bool:
        """Get as much of the next vintage, if it is asked for in time."""
        if not self.expired[vintage] or today > VINTAGES[vintage][1] + timedelta(days=EXCHANGED_DAYS):
            return False
        self.vouchers[str(int(vintage) + 1)] += self.expired.pop(vintage)
        return True

    def is_due(self, today: date) -> bool:
        return any(hold.until < today and hold.vouchers for hold in self.holds() if hold.until)

    def lapse(self, today: date) -> None:
        """Release the holds whose last day is over: off the cap of their day, and back to their lots."""
        for hold in self.holds():
            if hold.until is not None and hold.until < today:
                vouchers, _ = hold.lower(0)
                self.spent[hold.day] -= sum(vouchers.values())
                self.give_back(vouchers, today)

    def left(self, today: date) -> tuple[int, int]:
        return self.available(today), max(0, CAP - self.spent[today])
