"""What an acquirer's host has asked and heard, on disk: an append-only journal that survives `kill -9`.

A request is there before its first byte leaves, its reply before the terminal hears it. Events that come together are
made durable together: one commit a batch. What they hold is sealed (AES-GCM, the key in a file of mode 0600 beside the
journal): card numbers, and neither PIN blocks, CVV2, tracks nor cryptograms, which `kept` leaves out.
"""

import asyncio
import os
import secrets
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from authz.security.module import Sealed
from authz.security.sealing import Seals
from authz.wire.message import Message
from simulators.acquirer.settlement import KEPT_DAYS_MAX
from simulators.acquirer.zone_keys import NewKey
from simulators.mistakes import Mistake

BATCH_EVENTS_MAX = 512
KEY_BYTES = 32
JOURNAL, KEY = "acquirer.sqlite", "acquirer.key"


class JournalInUse(Mistake):
    """Another host keeps its journal in a folder."""


class JournalUnusable(Mistake):
    """The journal can't be read or written."""


class Opened(Struct, frozen=True, tag=True):
    """The first business day began."""

    day: date


class Asked(Struct, frozen=True, tag=True):
    """A request is about to be sent."""

    request: Message
    at: datetime


class Unsent(Struct, frozen=True, tag=True):
    """It never left: nothing can have been decided."""

    request: Message


class Decided(Struct, frozen=True, tag=True):
    """A reply came."""

    request: Message
    reply: Message
    at: datetime


class Closing(Struct, frozen=True, tag=True):
    """The business day is about to be closed, and another to begin."""

    begins: date


class NotClosed(Struct, frozen=True, tag=True):
    """The authorizer refused to: the day goes on."""


class Closed(Struct, frozen=True, tag=True):
    """The authorizer took the cutover."""

    begins: date
    at: datetime


class Filed(Struct, frozen=True, tag=True):
    """A closed day's clearing file was written."""

    day: date


class KeyOffered(Struct, frozen=True, tag=True):
    """A new key is about to be given to the authorizer."""

    key: NewKey


class KeyTaken(Struct, frozen=True, tag=True):
    """The authorizer has it."""

    key: NewKey


class KeyRefused(Struct, frozen=True, tag=True):
    """The authorizer refused it: the one before stays."""

    key: NewKey


Event: TypeAlias = (
    Opened | Asked | Unsent | Decided | Closing | NotClosed | Closed | Filed | KeyOffered | KeyTaken | KeyRefused
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, sealed BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS filings ON event (number) WHERE kind = 'Filed';
"""
# Payments go once `KEPT_DAYS_MAX` later days have their clearing files; what else there is, keys and days, stays.
_FORGET = """
DELETE FROM event WHERE kind IN ('Asked', 'Unsent', 'Decided') AND number <
 (SELECT number FROM event WHERE kind = 'Filed' ORDER BY number DESC LIMIT 1 OFFSET ?)
"""


class Journal:
    """One host's journal in a folder, its owner's alone. Raises `JournalInUse` and `JournalUnusable`."""

    def __init__(self, folder: Path) -> None:
        self._database = _connected(folder)
        try:
            self._seals = Seals([_key(folder / KEY)])
            (self._newest,) = self._database.execute("SELECT coalesce(max(number), 0) FROM event").fetchone()
        except BaseException:
            self._database.close()
            raise
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Event).decode
        self._waiting: list[tuple[Event, asyncio.Future[None]]] = []
        self._thread = ThreadPoolExecutor(1, "journal")
        self._writing: asyncio.Task[None] | None = None

    def events(self) -> Iterator[Event]:
        """Read them all, the oldest first. Raises `JournalUnusable`."""
        try:
            for number, sealed in self._database.execute("SELECT number, sealed FROM event ORDER BY number"):
                yield self._decode(self._seals.unseal(sealed, _context(number)))
        except (sqlite3.Error, Sealed, msgspec.DecodeError):
            raise JournalUnusable(f"the journal was altered, or {KEY} is not its key") from None

    async def append(self, event: Event) -> None:
        """Return when an event is durable; those appended meanwhile follow it together. Raises `JournalUnusable`."""
        durable = asyncio.get_running_loop().create_future()
        self._waiting.append((event, durable))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await asyncio.shield(durable)

    async def close(self) -> None:
        """Make durable what waits, and let go of the folder."""
        while self._writing is not None:
            await self._writing
        self._thread.shutdown()
        self._database.close()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH_EVENTS_MAX], self._waiting[BATCH_EVENTS_MAX:]
            try:
                await loop.run_in_executor(self._thread, self._insert, [event for event, _ in batch])
            except sqlite3.Error as failed:
                for _, durable in batch:
                    durable.set_exception(JournalUnusable(f"the journal can't be written: {failed}"))
            else:
                for _, durable in batch:
                    durable.set_result(None)
        self._writing = None

    def _insert(self, events: list[Event]) -> None:
        """Enter a batch by one statement, which is its own transaction.

        SQLite lets go of the interpreter at each statement, and gets it back only when the loop's thread pauses.
        """
        values: list[int | str | bytes] = []
        for number, event in enumerate(events, self._newest + 1):
            sealed = self._seals.seal(self._encode(event), _context(number))
            values += (number, type(event).__name__, sealed)
        self._database.execute(f"INSERT INTO event VALUES {', '.join(['(?, ?, ?)'] * len(events))}", values)  # noqa: S608
        self._newest += len(events)


def kept(request: Message) -> Message:
    """A message as the journal may have it: the card's number, and nothing else that a card or its holder proves."""
    return msgspec.structs.replace(
        request,
        pan=request.card_number,
        track2=None,
        pin_block=None,
        elements=None,
        chip=None,
        mac=None,
        balances=None,
        header=None,
    )


def _context(number: int) -> bytes:
    return f"acquirer event {number}".encode()


def _connected(folder: Path) -> sqlite3.Connection:
    """Open the journal in a folder for this process alone: its lock goes with the process."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = sqlite3.connect(folder / JOURNAL, timeout=0, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as failed:
        raise JournalUnusable(f"{folder}: {getattr(failed, 'strerror', None) or failed}") from None
    try:
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            database.execute(f"PRAGMA {pragma}")
        database.executescript(_SCHEMA)
        database.execute(_FORGET, (KEPT_DAYS_MAX,))
    except sqlite3.Error as failed:
        database.close()
        if getattr(failed, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            raise JournalInUse(f"{folder}: another host keeps its journal here; end it, or say --data FOLDER") from None
        raise JournalUnusable(f"{folder / JOURNAL}: {failed}") from None
    return database


def _key(path: Path) -> bytes:
    """Read the sealing key, or make it. Raises `JournalUnusable`."""
    try:
        if not path.exists():
            unfinished = path.with_suffix(".new")
            made = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(made, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        key = path.read_bytes()
    except OSError as failed:
        raise JournalUnusable(f"{path}: {failed.strerror}") from None
    if len(key) != KEY_BYTES:
        raise JournalUnusable(f"{path}: {KEY_BYTES} bytes expected")
    return key
