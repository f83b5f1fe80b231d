"""What the host's journal keeps, and what it doesn't."""

import asyncio
import sqlite3
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from authz.wire.message import Elements, Message
from simulators.acquirer.books import Books
from simulators.acquirer.journal import JOURNAL, KEY, Journal, JournalInUse, JournalUnusable, Opened, kept
from simulators.acquirer.settlement import KEPT_DAYS_MAX, Reference
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Entry, Terminal
from simulators.terminal.pinpad import PinPad

NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
DAY = date(2026, 5, 12)
PAN = "9250100000000014"
CARD = Card(pan=PAN, pin="1234", cvv2="123", expiry="2806")


@pytest.fixture
def till() -> Terminal:
    demo = parameters.demo()
    return Terminal(demo.site("PAR00001"), demo.acquirer, PinPad("00" * 16), lambda: NOON)


def approved(request: Message) -> Message:
    return Message(mti="0210", response_code="00", approval="ABC123")


async def test_books_that_are_opened_again_are_the_same(tmp_path, till):
    first = await Books.open(Journal(tmp_path), lambda: NOON, DAY)
    paid, doubtful, hold = till.purchase(CARD, 100), till.purchase(CARD, 50), till.authorization(CARD, 5)
    for request in (paid, doubtful, hold):
        await first.asked(request)
    await first.decided(paid, approved(paid))
    await first.unsent(hold)
    details, totals = first.details, first.totals
    await first.close()
    again = await Books.open(Journal(tmp_path), lambda: NOON, date(2000, 1, 1))
    assert (again.day, again.details, again.totals) == (DAY, details, totals)
    assert list(again.in_doubt) == [Reference.of(doubtful)]
    await again.closed(DAY + timedelta(days=1))
    await again.close()
    last = await Books.open(Journal(tmp_path), lambda: NOON, DAY)
    assert [(one.day, one.details) for one in last.unfiled] == [(DAY, details)]
    assert (last.day, last.details) == (DAY + timedelta(days=1), ())
    await last.close()


async def test_events_that_come_together_are_durable_together_and_in_their_order(tmp_path):
    journal = Journal(tmp_path)
    days = [DAY + timedelta(days=number) for number in range(2_000)]
    await asyncio.gather(*(journal.append(Opened(day)) for day in days))
    assert [event.day for event in journal.events()] == days
    await journal.close()


async def test_no_pin_no_cvv2_no_track_and_no_card_number_is_on_disk(tmp_path, till):
    books = await Books.open(Journal(tmp_path), lambda: NOON, DAY)
    request = till.purchase(CARD, 100, entry=Entry.MANUAL)
    tracked = msgspec.structs.replace(request, pan=None, track2=f"{PAN}=2806101", trace="000777")
    for one in (request, tracked):
        await books.asked(one)
        await books.decided(one, approved(one))
    await books.close()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert request.pin_block is not None
    for secret in (PAN, PAN[:12], request.pin_block, "CV003123"):
        assert secret.encode() not in written
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    left = kept(tracked)
    assert (left.pan, left.track2, left.pin_block, left.elements) == (PAN, None, None, None)
    assert Elements(cvv2="123").text not in str(left)


async def test_another_process_is_kept_out(tmp_path):
    journal = Journal(tmp_path)
    await journal.append(Opened(DAY))
    with pytest.raises(JournalInUse, match="--data"):
        Journal(tmp_path)
    await journal.close()
    await Journal(tmp_path).close()


async def test_another_key_or_an_altered_event_is_told_in_one_line(tmp_path):
    journal = Journal(tmp_path)
    await journal.append(Opened(DAY))
    await journal.close()
    (tmp_path / KEY).write_bytes(bytes(32))
    broken = Journal(tmp_path)
    with pytest.raises(JournalUnusable, match=KEY):
        list(broken.events())
    await broken.close()
    (tmp_path / KEY).write_bytes(b"short")
    with pytest.raises(JournalUnusable, match="32 bytes"):
        Journal(tmp_path)


async def test_payments_of_days_long_closed_are_forgotten_and_nothing_else_is(tmp_path, till):
    books = await Books.open(Journal(tmp_path), lambda: NOON, DAY)
    for number in range(KEPT_DAYS_MAX + 2):
        request = till.purchase(CARD, 100)
        await books.asked(request)
        await books.decided(request, approved(request))
        await books.closed(DAY + timedelta(days=number + 1))
        await books.filed(DAY + timedelta(days=number))
    await books.close()
    again = await Books.open(Journal(tmp_path), lambda: NOON, DAY)
    assert again.day == DAY + timedelta(days=KEPT_DAYS_MAX + 2)
    await again.close()
    with sqlite3.connect(tmp_path / JOURNAL) as database:
        (asked,) = database.execute("SELECT count(*) FROM event WHERE kind = 'Asked'").fetchone()
    database.close()
    assert asked == KEPT_DAYS_MAX
