"""What a till has asked, heard and still has to tell, on disk: a store-and-forward journal that survives `kill -9`.

Events are appended, each durable before the next step is taken, and never changed: a request is ASKED before its first
byte leaves, and a reversal, completion or offline sale is there TO_TELL before anybody relies on it. Trace numbers, the
book, the queue and what is in doubt are read off the events (`Standing`), so that there is nothing else to lose.

What is kept of messages is sealed (AES-GCM, the key in a file of mode 0600 beside the journal): the PAN, which a
reversal names, and neither PIN block, CVV2, track 2 nor keys, which no one may keep once a request is answered
(PCI DSS 3.3.1).
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from authz.wire.message import Message
from simulators.mistakes import Mistake

EVENTS_A_DAY_MAX = 1_000_000
"""Of one terminal. Then the day must be closed."""
JOURNAL_BYTES_MAX = 4 << 30
KEY_BYTES = 32
NONCE_BYTES = 12
PAGE_BYTES = 4_096


class Happening(StrEnum):
    """What an event is."""

    ASKED = "asked"
    """A request is about to be sent."""
    ANSWERED = "answered"
    """A reply decided it."""
    UNSENT = "unsent"
    """It never left: there was no connection, so nothing can have been decided."""
    TO_TELL = "to tell"
    """A reversal, a completion or an advice, which must be told until it is acknowledged."""
    ACKNOWLEDGED = "acknowledged"
    DAY_CLOSED = "day closed"


class Place(NamedTuple):
    """A till's name: the merchant (DE 42) and the terminal (DE 41), without trailing spaces."""

    merchant: str
    terminal: str

    @classmethod
    def of(cls, message: Message) -> Self:
        """Where a message comes from."""
        return cls((message.merchant or "").rstrip(), (message.terminal or "").rstrip())


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened. `at` is an aware UTC instant; `day` is the business day, of DAY_CLOSED only.

    The request is there but for DAY_CLOSED; the reply with ANSWERED and ACKNOWLEDGED.
    """

    number: int
    happening: Happening
    place: Place
    at: datetime
    request: Message | None = None
    reply: Message | None = None
    day: date | None = None


class JournalInUse(Mistake):
    """Another process writes to the journal."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: another till writes here; end it, or give this one a folder of its own (--data)")


class JournalUnreadable(Mistake):
    """The folder can't be used, isn't a journal's, or its key doesn't open it."""


class JournalFull(Mistake):
    """No further request is entered: the journal, or the day, is full."""


class Journal:
    """Events of any number of tills, each named by its merchant and terminal, in one folder or (None) in memory.

    One process writes to a folder at a time. `close` ends it; a process that dies needs none.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        events_a_day_max: int = EVENTS_A_DAY_MAX,
        journal_bytes_max: int = JOURNAL_BYTES_MAX,
    ) -> None:
        """Open a folder, making it where it isn't there. Raises `JournalInUse`, `JournalUnreadable`."""
        self.folder = folder
        self._events_a_day_max = events_a_day_max
        self._pages_max = journal_bytes_max // PAGE_BYTES
        self._connection = _connected(folder)
        try:
            self._seal = AESGCM(secrets.token_bytes(KEY_BYTES) if folder is None else self._key(folder))
            self._number = self._one("SELECT coalesce(max(number), 0) FROM event")
            today = self._connection.execute(_EVENTS_TODAY)
            self._today = {Place(merchant, terminal): count for merchant, terminal, count in today}
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"Journal({self.folder or 'in memory'})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others have the folder."""
        self._connection.close()

    def append(self, happening: Happening, at: datetime, request: Message, reply: Message | None = None) -> Event:
        """Enter an event; it is durable when this returns, without what may not be kept.

        Raises `JournalFull`, for ASKED only: what was begun can be ended.
        """
        place = Place.of(request)
        if happening is Happening.ASKED:
            self._require_room(place)
        event = Event(
            number=self._number + 1,
            happening=happening,
            place=place,
            at=at.astimezone(UTC),
            request=kept(request),
            reply=None if reply is None else kept(reply),
        )
        self._enter(event)
        return event

    def close_day(self, place: Place, at: datetime, day: date) -> Event:
        """Enter that a till's day is closed."""
        event = Event(
            number=self._number + 1, happening=Happening.DAY_CLOSED, place=place, at=at.astimezone(UTC), day=day
        )
        self._enter(event)
        return event

    def events(self, place: Place | None = None) -> Iterator[Event]:
        """All events, or a till's, oldest first. Raises `JournalUnreadable`."""
        query = "SELECT number, happening, merchant, terminal, at, day, sealed FROM event"
        where, values = ("", ()) if place is None else (" WHERE merchant = ? AND terminal = ?", tuple(place))
        for number, happening, merchant, terminal, at, day, sealed in self._connection.execute(
            f"{query}{where} ORDER BY number", values
        ):
            event = Event(
                number=number,
                happening=Happening(happening),
                place=Place(merchant, terminal),
                at=datetime.fromisoformat(at),
                day=None if day is None else date.fromisoformat(day),
            )
            yield self._opened(event, sealed)

    def places(self) -> list[Place]:
        """The tills that have entered anything."""
        return [Place(*row) for row in self._connection.execute("SELECT DISTINCT merchant, terminal FROM event")]

    def _enter(self, event: Event) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        content = msgspec.msgpack.encode((_present(event.request), _present(event.reply)))
        sealed = nonce + self._seal.encrypt(nonce, content, _bound(event))
        day = None if event.day is None else event.day.isoformat()
        try:
            self._connection.execute(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)",
                (event.number, event.happening, *event.place, event.at.isoformat(), day, sealed),
            )
        except sqlite3.Error as failed:
            raise JournalFull(f"{self.folder}: an event could not be written: {failed}") from None
        self._number = event.number
        closed = event.happening is Happening.DAY_CLOSED
        self._today[event.place] = 0 if closed else self._today.get(event.place, 0) + 1

    def _opened(self, event: Event, sealed: bytes) -> Event:
        try:
            content = self._seal.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(event))
            request, reply = msgspec.msgpack.decode(content, type=tuple[Message | None, Message | None])
        except (InvalidTag, msgspec.MsgspecError):
            raise JournalUnreadable(f"{self.folder}: the key doesn't open event {event.number}") from None
        return msgspec.structs.replace(event, request=request, reply=reply)

    def _require_room(self, place: Place) -> None:
        if self._today.get(place, 0) >= self._events_a_day_max:
            raise JournalFull(f"{place.terminal}: {self._events_a_day_max} events today: close the day first")
        if self._one("PRAGMA page_count") >= self._pages_max:
            raise JournalFull(f"{self.folder}: the journal is full: close the day, and go on in a new folder")

    def _key(self, folder: Path) -> bytes:
        """Read the key, or make it before the first event."""
        path = folder / "journal.key"
        try:
            if not path.exists() and not self._one("SELECT count(*) FROM event"):
                _make_key(path)
            key = path.read_bytes()
        except OSError as failed:
            raise JournalUnreadable(f"{path}: {failed.strerror}: without it the journal can't be read") from None
        if len(key) != KEY_BYTES:
            raise JournalUnreadable(f"{path}: not a journal's key")
        return key

    def _one(self, query: str) -> int:
        value: int = self._connection.execute(query).fetchone()[0]
        return value


def kept(message: Message) -> Message:
    """A message without what may not be kept: the PIN block, CVV2, track 2, keys, and the seal that covered them.

    A PAN that came in track 2 is kept as DE 2, which names the same card.
    """
    elements = message.elements
    if elements is not None:
        elements = msgspec.structs.replace(elements, cvv2=None, key_block=None, key_serial=None)
    return msgspec.structs.replace(
        message, pan=message.card_number, track2=None, pin_block=None, mac=None, elements=elements
    )


_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    number INTEGER PRIMARY KEY, happening TEXT NOT NULL, merchant TEXT NOT NULL, terminal TEXT NOT NULL,
    at TEXT NOT NULL, day TEXT, sealed BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS event_of_place ON event (merchant, terminal, number);
CREATE TRIGGER IF NOT EXISTS event_stays BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS event_holds BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""
_EVENTS_TODAY = """
SELECT merchant, terminal, count(*) FROM event AS one
 WHERE number > (SELECT coalesce(max(number), 0) FROM event AS two
                  WHERE two.merchant = one.merchant AND two.terminal = one.terminal AND happening = 'day closed')
 GROUP BY 1, 2"""


def _connected(folder: Path | None) -> sqlite3.Connection:
    """Connect, and keep everybody else out: SQLite's exclusive mode, whose lock goes with the process."""
    try:
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = ":memory:" if folder is None else str(folder / "journal.sqlite")
        connection = sqlite3.connect(name, timeout=0, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as failed:
        raise JournalUnreadable(f"{folder}: {getattr(failed, 'strerror', None) or failed}") from None
    try:
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(_SCHEMA)
    except sqlite3.OperationalError as failed:
        connection.close()
        if failed.sqlite_errorcode == sqlite3.SQLITE_BUSY and folder is not None:
            raise JournalInUse(folder) from None
        raise JournalUnreadable(f"{folder}: {failed}") from None
    except sqlite3.DatabaseError:
        connection.close()
        raise JournalUnreadable(f"{folder}: journal.sqlite is not a journal") from None
    return connection


def _make_key(path: Path) -> None:
    """Whole on disk before it bears its name: an event that no key opens would be lost."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, secrets.token_bytes(KEY_BYTES))
        os.fsync(file)
    finally:
        os.close(file)
    unfinished.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _present(message: Message | None) -> dict[str, object] | None:
    """The fields that are there, by name: a tenth of all."""
    if message is None:
        return None
    fields = ((name, getattr(message, name)) for name in message.__struct_fields__)
    return {name: value for name, value in fields if value is not None}


def _bound(event: Event) -> bytes:
    """What a sealed content is bound to: it opens in its own place only."""
    return msgspec.msgpack.encode((event.number, event.happening, event.place, event.at, event.day))
