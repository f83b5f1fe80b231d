"""Where acquirers' business days begin in the journal.

A cutover is a record, and its place in the journal is where one day ends and the next begins. Until an acquirer's first
cutover its days are the calendar's, and the last of them ends there.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import asyncpg
from msgspec import Struct

from ledger.values import Partition, Seq

PASSBOOK = "acquirer:"
"""How the names of acquirers' passbooks begin, which hold their cutovers."""
SMALL_HOURS = timedelta(hours=6)
"""After midnight: a first cutover then closes the day before."""
CUTOVERS_MAX = 20_000
"""Lines of passbooks that one statement returns."""

# Names between acquirer: and acquirer; begin with the former: the passbooks' index finds them.
_CUTOVERS = """
SELECT substr(holder, length($4) + 1) AS acquirer, seq, at, ("position" ->> 'open')::date AS open
  FROM ledger.whole_journal
 WHERE partition = $1 AND holder >= $4 AND holder < 'acquirer;' AND (holder, seq) > ($4 || $2, $3) AND seq <= $5
 ORDER BY holder, seq LIMIT $6"""


class Opening(Struct, frozen=True, gc=False):
    """A business day of an acquirer's, and the record behind which it begins.

    `calendar`: it stands for all days of the calendar up to it, as far as the next opening.
    """

    acquirer: str
    day: date
    after: Seq
    calendar: bool = False


class BusinessDays:
    """One partition's openings of all acquirers, each acquirer's in their order."""

    def __init__(self, openings: Mapping[str, Sequence[Opening]]) -> None:
        self._openings = openings

    @classmethod
    async def read(
        cls, connection: asyncpg.Connection, partition: Partition, head: Seq, zone: ZoneInfo
    ) -> "BusinessDays":
        """Read all cutovers up to a head."""
        openings: dict[str, list[Opening]] = {}
        behind = ("", 0)
        while rows := await connection.fetch(_CUTOVERS, partition, *behind, PASSBOOK, head, CUTOVERS_MAX):
            for row in rows:
                acquirer, opened = row["acquirer"], row["open"]
                if acquirer not in openings:
                    closed = (row["at"].astimezone(zone) - SMALL_HOURS).date()
                    openings[acquirer] = [Opening(acquirer, closed, Seq(0), calendar=True)]
                if opened != openings[acquirer][-1].day:  # else it was stated again
                    openings[acquirer].append(Opening(acquirer, opened, Seq(row["seq"])))
            behind = rows[-1]["acquirer"], rows[-1]["seq"]
        return cls(openings)

    def places(self, after: Seq, through: Seq) -> Sequence[Seq]:
        """Where between two records days begin, in ascending order."""
        begun = {one.after for openings in self._openings.values() for one in openings}
        return sorted(one for one in begun if after < one < through)

    def day(self, acquirer: str | None, behind: Seq, calendar: date) -> date:
        """Name the business day of what was recorded for an acquirer on a calendar's day.

        `behind` is a record before it, and no day of any acquirer begins between the two.
        """
        openings = self._openings.get(acquirer or "", ())
        begun = bisect_right(openings, behind, key=lambda one: one.after)
        if not begun:
            return calendar
        opening = openings[begun - 1]
        return min(calendar, opening.day) if opening.calendar else opening.day

    def reach(self, first: date, last: date, calendar: tuple[Seq, Seq], head: Seq) -> tuple[Seq, Seq]:
        """Widen the calendar's records of some days by those of all acquirers' business days of the same dates."""
        after, through = calendar
        for openings in self._openings.values():
            begin = next((one for one in openings[1:] if one.day >= first), None)
            end = next((one.after for one in openings[1:] if one.day > last), head)
            if first > openings[0].day:
                after = min(after, end if begin is None else begin.after)
            if last >= openings[0].day:
                through = max(through, end)
        return after, through

    def open_on(self, day: date) -> Sequence[str]:
        """Name the acquirers that have cut over, but not yet closed this day."""
        return sorted(name for name, openings in self._openings.items() if openings[-1].day <= day)
