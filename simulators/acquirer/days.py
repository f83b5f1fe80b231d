"""Business days: when each ends, and what is done then: cutover, totals held against the authorizer's, clearing file.

While a cutover is under way nothing of the terminals' is in flight, and what is in doubt is settled first: so that each
payment is of the same day on both sides.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import Struct

from authz.wire.message import Message
from simulators.acquirer.books import Books, ClosedDay
from simulators.acquirer.host import AcquirerHost
from simulators.acquirer.switch import Switch
from simulators.acquirer.totals import Totals
from simulators.acquirer.upstream import Tell, Upstream, said
from simulators.clearing import Clearing, save
from simulators.link import LinkError, LinkLost
from simulators.mistakes import Mistake

APPROVED, UNAVAILABLE, IN_BALANCE = "00", "91", "1"
AGAIN_EVERY_S = 5.0
"""Between two attempts at something that a business day can't be closed without."""


class ClearingUnwritable(Mistake):
    """A clearing file can't be written: the day's lines stay in the journal until it can."""


class DayRefused(Mistake):
    """The authorizer refuses the cutover: the business day goes on."""


class Calendar(Struct, frozen=True):
    """When business days end: at a local time of day (None: nobody has said), in a zone."""

    zone: ZoneInfo
    cut_over: time | None = None

    def today(self, now: datetime) -> date:
        """The local date."""
        return now.astimezone(self.zone).date()

    def ends(self, day: date) -> datetime | None:
        """The instant at which a business day is to end; None: whenever it is said.

        >>> Calendar(ZoneInfo("Europe/Paris"), time(23, 30)).ends(date(2026, 5, 12)).isoformat()
        '2026-05-12T23:30:00+02:00'
        """
        return None if self.cut_over is None else datetime.combine(day, self.cut_over, self.zone)

    def following(self, day: date, now: datetime) -> date:
        """The day that begins where one ends now: the first whose own end is still to come.

        >>> calendar = Calendar(ZoneInfo("Europe/Paris"), time(23, 30))
        >>> noon = datetime(2026, 5, 12, 12, tzinfo=ZoneInfo("Europe/Paris"))
        >>> calendar.following(date(2026, 5, 12), noon), calendar.following(date(2026, 5, 8), noon)
        (datetime.date(2026, 5, 13), datetime.date(2026, 5, 12))
        """
        today = self.today(now)
        ends = self.ends(today)
        return max(day + timedelta(days=1), today if ends is None or ends > now else today + timedelta(days=1))


class Days:
    """Closes the business days of an acquirer. `out_of_balance` counts closed days whose totals differ.

    `clearing` is the folder of clearing files; None: there are none.
    """

    def __init__(
        self,
        acquirer: str,
        books: Books,
        switch: Switch,
        upstream: Upstream,
        calendar: Calendar,
        clock: Callable[[], datetime],
        tell: Tell,
        clearing: Path | None,
    ) -> None:
        self.out_of_balance = 0
        self._acquirer = acquirer
        self._books = books
        self._switch = switch
        self._upstream = upstream
        self._calendar = calendar
        self._clock = clock
        self._tell = tell
        self._clearing = clearing
        self._one_at_a_time = asyncio.Lock()

    async def keep(self) -> None:
        """End each business day when it is due, for as long as this runs; first, end what an earlier run began to."""
        await self._if_possible(self.finish if self._books.closing is None else self.close)
        while (ends := self._calendar.ends(self._books.day)) is not None:
            # In steps, since the wall clock that says when may be set, and a step as long as a day would sleep on.
            left_s = (ends - self._clock()).total_seconds()
            if left_s <= 0:
                await self.close_now()
            await asyncio.sleep(left_s if 0 < left_s < AGAIN_EVERY_S else AGAIN_EVERY_S)

    async def close(self) -> None:
        """End the business day now. Raises `DayRefused` and `ClearingUnwritable`."""
        async with self._one_at_a_time:
            begins = self._books.closing or self._calendar.following(self._books.day, self._clock())
            async with self._switch.quiet():
                await self._books.closes(begins)
                await self._cut_over(begins)
            await self._finish()

    async def finish(self) -> None:
        """Hold the totals of closed days that have no clearing file yet, and write it. Raises `ClearingUnwritable`."""
        async with self._one_at_a_time:
            await self._finish()

    async def close_now(self) -> None:
        """End the business day, or tell why not."""
        await self._if_possible(self.close)

    async def _if_possible(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (DayRefused, ClearingUnwritable) as refused:
            self._tell("day_not_finished", day=self._books.day, why=str(refused))

    async def _cut_over(self, begins: date) -> None:
        """Tell the authorizer until it answers; a day that has begun begins no second time."""
        while True:
            host = await self._upstream.until_up()
            try:
                reply = await host.cut_over(self._clock(), begins)
            except LinkError as failed:
                self._tell("cutover_unanswered", begins=begins, why=str(failed))
                continue
            if reply.response_code == UNAVAILABLE:
                await asyncio.sleep(AGAIN_EVERY_S)
                continue
            break
        if reply.response_code != APPROVED:
            await self._books.not_closed()
            raise DayRefused(f"the authorizer refuses the cutover to {begins}: {said(reply)}")
        closed = self._books.day
        await self._books.closed(begins)
        self._tell("cut_over", closed=closed, begins=begins)

    async def _finish(self) -> None:
        for day in list(self._books.unfiled):
            await self._hold_totals(day)
            self._file(day)
            await self._books.filed(day.day)

    async def _hold_totals(self, closed: ClosedDay) -> None:
        while True:
            host = await self._upstream.until_up()
            try:
                reply = await self._totals(host, closed)
                break
            except LinkError as failed:
                self._tell("totals_unanswered", day=closed.day, why=str(failed))
                await asyncio.sleep(AGAIN_EVERY_S)
        ours, theirs = closed.totals, Totals.parse(reply)
        balanced = reply.response_code == APPROVED and reply.settlement_code == IN_BALANCE
        if balanced:
            self._tell("in_balance", day=closed.day, net=ours.net, lines=len(closed.details))
        else:
            self.out_of_balance += 1
            self._tell("out_of_balance", day=closed.day, said=said(reply), ours=ours, theirs=theirs)

    async def _totals(self, host: AcquirerHost, closed: ClosedDay) -> Message:
        reply = await host.totals(self._acquirer, closed.day, closed.totals, self._clock())
        if reply.response_code == UNAVAILABLE:
            raise LinkLost(f"the authorizer has no totals now: {said(reply)}")
        return reply

    def _file(self, closed: ClosedDay) -> None:
        """Write a day's clearing file: the same bytes whenever it is written. Raises `ClearingUnwritable`."""
        if self._clearing is None:
            return
        name = f"{self._acquirer}-{closed.day:%Y%m%d}"
        clearing = Clearing(
            acquirer=self._acquirer,
            day=closed.day,
            created=closed.at.replace(microsecond=0),
            file_id=name,
            details=closed.details,
        )
        path = self._clearing / f"{name}.csv"
        try:
            self._clearing.mkdir(parents=True, exist_ok=True)
            save(clearing, path)
        except OSError as failed:
            raise ClearingUnwritable(f"{path}: {failed.strerror}") from None
        self._tell("clearing_written", day=closed.day, file=str(path), lines=len(closed.details))
