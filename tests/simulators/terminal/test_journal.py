"""A till's journal on disk: what is entered is there, whole, in its order, for who has the key, and never changes."""

import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, date, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from authz.wire.message import Elements, Message
from simulators.terminal.card import Card
from simulators.terminal.journal import Happening, Journal, JournalFull, JournalInUse, JournalUnreadable, Place, kept
from simulators.terminal.messages import Entry
from tests.simulators.conftest import NOON

PAN = "9250100000000014"
CARD = Card(pan=PAN, expiry="2806", pin="1234", cvv2="987", generation=1)
PLACE = Place("FR0000000000001", "PAR00001")
NOON_UTC = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)


@pytest.fixture
def sale(terminal):
    return terminal.purchase(CARD, 900)


def test_events_are_there_after_a_restart_in_their_order(sale, answer, tmp_path):
    with Journal(tmp_path) as journal:
        asked = journal.append(Happening.ASKED, NOON, sale)
        answered = journal.append(Happening.ANSWERED, NOON, sale, answer(sale))
        closed = journal.close_day(PLACE, NOON, date(2026, 5, 12))
    with Journal(tmp_path) as journal:
        assert list(journal.events()) == list(journal.events(PLACE)) == [asked, answered, closed]
        assert journal.append(Happening.TO_TELL, NOON, sale).number == 4
    assert (asked.at, asked.place, closed.day) == (NOON_UTC, PLACE, date(2026, 5, 12))


def test_tills_share_a_journal_and_each_reads_its_own(sale, tmp_path):
    other = msgspec.structs.replace(sale, terminal="PAR00009")
    with Journal(tmp_path) as journal:
        journal.append(Happening.ASKED, NOON, sale)
        theirs = journal.append(Happening.ASKED, NOON, other)
        assert list(journal.events(Place(PLACE.merchant, "PAR00009"))) == [theirs]
        assert set(journal.places()) == {PLACE, Place(PLACE.merchant, "PAR00009")}


def test_pin_block_cvv2_track_2_and_keys_are_not_kept(terminal):
    sale = msgspec.structs.replace(
        terminal.purchase(CARD, 900, entry=Entry.MANUAL, takes_partial=True),
        pan=None,
        track2=CARD.track2,
        mac="0" * 16,
        elements=Elements(cvv2="987", key_serial="FFFF", takes_partial="1"),
    )
    stays = kept(sale)
    assert sale.pin_block is not None
    assert (stays.pin_block, stays.track2, stays.mac) == (None, None, None)
    assert stays.elements == Elements(takes_partial="1")
    assert stays.pan == PAN


def test_nothing_on_disk_says_whose_card_it_was(terminal, answer, tmp_path):
    sale = terminal.purchase(CARD, 900)
    with Journal(tmp_path) as journal:
        journal.append(Happening.ASKED, NOON, sale)
        event = journal.append(Happening.ANSWERED, NOON, sale, answer(sale))
        written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"ANSWERED".lower() in written
    for secret in (PAN, "10000000001", sale.pin_block):
        assert secret.encode() not in written
        assert secret not in pretty_repr(event)


def test_the_key_is_for_its_owner_alone(tmp_path):
    Journal(tmp_path / "till").close()
    assert stat.S_IMODE((tmp_path / "till" / "journal.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "till").stat().st_mode) == 0o700


@pytest.mark.parametrize("how", ["missing", "short", "another"])
def test_without_its_key_a_journal_is_not_read(sale, tmp_path, how):
    with Journal(tmp_path) as journal:
        journal.append(Happening.ASKED, NOON, sale)
    key = tmp_path / "journal.key"
    if how == "missing":
        key.unlink()
    else:
        key.write_bytes(bytes(32 if how == "another" else 31))
    with pytest.raises(JournalUnreadable), Journal(tmp_path) as journal:
        list(journal.events())


@pytest.mark.parametrize("change", ["merchant = 'X'", "happening = 'asked'", "number = 9"])
def test_an_event_that_was_moved_or_edited_does_not_open(sale, answer, tmp_path, change):
    with Journal(tmp_path) as journal:
        journal.append(Happening.ANSWERED, NOON, sale, answer(sale))
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    connection.executescript(f"DROP TRIGGER event_holds; UPDATE event SET {change}")
    connection.close()
    with Journal(tmp_path) as journal, pytest.raises(JournalUnreadable, match="doesn't open event"):
        list(journal.events())


@pytest.mark.parametrize("statement", ["DELETE FROM event", "UPDATE event SET terminal = 'X'"])
def test_events_are_neither_deleted_nor_changed(sale, tmp_path, statement):
    with Journal(tmp_path) as journal:
        journal.append(Happening.ASKED, NOON, sale)
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()


def test_a_second_process_is_refused_in_one_line_and_the_folder_is_free_once_the_first_ends(tmp_path):
    program = "import sys; from pathlib import Path; from simulators.terminal.journal import Journal\n"
    program += "with Journal(Path(sys.argv[1])): print('open', flush=True); sys.stdin.read()"
    first = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert first.stdout is not None
    assert first.stdout.readline() == b"open\n"
    with pytest.raises(JournalInUse, match="another till writes here") as refused:
        Journal(tmp_path)
    assert "\n" not in str(refused.value)
    first.kill()
    first.communicate()
    Journal(tmp_path).close()


def test_a_folder_that_is_none_of_a_journals_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnreadable):
        Journal(tmp_path / "file")
    (tmp_path / "journal.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(JournalUnreadable):
        Journal(tmp_path)


def test_a_full_day_takes_no_further_request_but_ends_what_was_begun(sale, answer):
    with Journal(events_a_day_max=1) as journal:
        journal.append(Happening.ASKED, NOON, sale)
        with pytest.raises(JournalFull, match="close the day"):
            journal.append(Happening.ASKED, NOON, sale)
        journal.append(Happening.ANSWERED, NOON, sale, answer(sale))
        journal.append(Happening.TO_TELL, NOON, sale)
        journal.close_day(PLACE, NOON, date(2026, 5, 12))
        journal.append(Happening.ASKED, NOON, sale)


def test_a_full_journal_takes_no_further_request(sale, answer):
    with Journal(journal_bytes_max=4_096) as journal:
        with pytest.raises(JournalFull, match="new folder"):
            journal.append(Happening.ASKED, NOON, sale)
        journal.append(Happening.TO_TELL, NOON, sale)


@given(st.lists(st.tuples(st.sampled_from(list(Happening)[:-1]), st.integers(1, 10**6)), max_size=8))
def test_what_goes_in_comes_out(steps):
    with Journal() as journal:
        entered = [
            journal.append(happening, NOON, Message(mti="0200", terminal=f"T{number % 3}", amount=str(number)))
            for happening, number in steps
        ]
        assert list(journal.events()) == entered
        assert [event for place in journal.places() for event in journal.events(place)] == sorted(
            entered, key=lambda event: journal.places().index(event.place)
        )
