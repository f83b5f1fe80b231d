"""The end of a business day (docs/acquirer.md), against a scripted host: when it is, and what can get in between."""

import asyncio
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.acquirer.days import Calendar, ClearingUnwritable, DayRefused
from simulators.acquirer.totals import Totals
from simulators.clearing import load
from simulators.terminal.card import Card
from tests.simulators.acquirer.conftest import DAY

PARIS = ZoneInfo("Europe/Paris")
CARD = Card(pan="9250100000000014", pin="1234")
PLAIN = {"mac_key": None}
TOMORROW = DAY + timedelta(days=1)


class Books:
    """A script: a host that says of totals what it is told to, and can refuse a cutover, or leave it unanswered."""

    def __init__(self, answer) -> None:
        self.agrees = "1"
        self.cutover: str | None = "00"
        self.cutovers: list[str | None] = []
        self._answer = answer

    def __call__(self, peer, request) -> None:
        if request.mti[1] == "5":
            theirs = Totals(debits_number=1, debits_amount=99).fields(DAY)
            peer.send(self._answer(request, reason=None, settlement_code=self.agrees, **theirs))
        elif request.network_code == "201":
            self.cutovers.append(request.settlement_date)
            if self.cutover is not None:
                peer.send(self._answer(request, self.cutover, reason=None))
        else:
            peer.send(self._answer(request, reason=None))


@pytest.fixture
def script(answer):
    return Books(answer)


async def pay(opened, cents: int) -> None:
    line = await opened.connect()
    assert (await line.exchange(opened.terminal().purchase(CARD, cents))).response_code == "00"


async def test_totals_that_differ_are_told_with_both_sides_and_the_file_is_written(hosting, hall, script):
    script.agrees = "2"
    async with hosting(script) as host:
        opened = await hall(host.port, keys=PLAIN)
        await pay(opened, 100)
        await opened.host.days.close()
        await opened._stack.aclose()
    [facts] = opened.told.named("out_of_balance")
    assert (facts["ours"].debits_amount, facts["theirs"].debits_amount) == (100, 99)
    assert opened.host.days.out_of_balance == 1
    assert load(opened.settings.clearing / "970001-20260512.csv").totals.net == 100


async def test_a_cutover_that_is_refused_leaves_the_day_open(hosting, hall, script):
    script.cutover = "12"
    async with hosting(script) as host:
        opened = await hall(host.port, keys=PLAIN)
        await pay(opened, 100)
        with pytest.raises(DayRefused, match="2026-05-13"):
            await opened.host.days.close()
        assert opened.host.books.closing is None
        await pay(opened, 50)
        assert (opened.host.books.day, opened.host.books.totals.debits_amount) == (DAY, 150)
        await opened._stack.aclose()


async def test_a_cutover_without_an_answer_is_told_again_by_the_next_process(hosting, hall, script):
    script.cutover = None
    async with hosting(script) as host:
        first = await hall(host.port, keys=PLAIN)
        await pay(first, 100)
        closing = asyncio.create_task(first.host.days.close())
        while not script.cutovers:  # noqa: ASYNC110 - the script has no event for it
            await asyncio.sleep(0)
        closing.cancel()
        await first._stack.aclose()
        script.cutover = "00"
        second = await hall(host.port, keys=PLAIN)
        while not second.told.named("clearing_written"):  # noqa: ASYNC110 - the host has no event for it
            await asyncio.sleep(0)
        await second._stack.aclose()
    assert script.cutovers == ["0513", "0513"]
    assert second.host.books.day == TOMORROW
    assert load(second.settings.clearing / "970001-20260512.csv").totals.net == 100


async def test_a_file_that_cannot_be_written_is_written_by_the_next_process(hosting, hall, script, tmp_path):
    blocked = tmp_path / "clearing"
    blocked.write_text("a file where the folder should be")
    async with hosting(script) as host:
        first = await hall(host.port, keys=PLAIN)
        await pay(first, 100)
        with pytest.raises(ClearingUnwritable, match="clearing"):
            await first.host.days.close()
        assert first.host.books.day == TOMORROW
        await first._stack.aclose()
        blocked.unlink()
        second = await hall(host.port, keys=PLAIN)
        while not second.told.named("clearing_written"):  # noqa: ASYNC110 - the host has no event for it
            await asyncio.sleep(0)
        await second._stack.aclose()
    assert load(blocked / "970001-20260512.csv").totals.net == 100


async def test_a_cutover_whose_time_has_passed_is_made_at_once(hosting, hall, script):
    """The host starts at 12:30; its days end at 12:15."""
    async with hosting(script) as host:
        opened = await hall(host.port, keys=PLAIN, calendar=Calendar(PARIS, time(12, 15)))
        while not opened.told.named("clearing_written"):  # noqa: ASYNC110 - the host has no event for it
            await asyncio.sleep(0)
        assert opened.host.books.day == TOMORROW
        await opened._stack.aclose()
    assert script.cutovers == ["0513"]


@given(
    st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)),  # noqa: DTZ001 - the zone comes below
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
)
def test_the_day_that_begins_is_the_first_after_that_has_not_ended(day, now, cut_over):
    calendar, now = Calendar(PARIS, cut_over), now.replace(tzinfo=PARIS)
    begins = calendar.following(day, now)
    assert begins > day
    if calendar.ends(begins) <= now:
        pytest.fail("it has ended already")
    before = begins - timedelta(days=1)
    assert before <= day or calendar.ends(before) <= now
    assert Calendar(PARIS).following(day, now) == max(day + timedelta(days=1), now.date())
