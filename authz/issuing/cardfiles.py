"""The files that cards and PIN letters are made from: encrypted to whoever makes them, and written once.

A file is durable before its run is journaled, under a name with its digest; the journaled digest then says which one
it is, and that one gets the run's name. So a kill at any moment leaves no run without its file, and no file in the
place of another. The authorizer itself can't open them: they are encrypted by age (age-encryption.org/v1, X25519).
"""

import hashlib
import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import pyrage
from msgspec import Struct
from pyrage import x25519

from authz.decision.position import CardId

OTHERS = 0o077
"""The permissions of everybody but the folder's owner."""
NAMED_DIGITS = 16
"""Of a digest, in the name of a file that waits for its run to be journaled."""

_encode = msgspec.json.Encoder().encode


class RecipientInvalid(ValueError):
    """An age recipient begins with `age1`, and cards and PINs go to two different ones."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class FolderUnusable(Exception):
    """The production folder can't be used. The message says why, and what to do."""


class FileMissing(Exception):
    """The run's file isn't in the production folder as it was written: restore it from a copy."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class CardRecipients(Struct, frozen=True):
    """Who can open the files, as age public keys: the embosser the cards', the PIN printer the PINs'.

    Raises `RecipientInvalid`.
    """

    cards: str
    pins: str

    def __post_init__(self) -> None:
        if self.cards == self.pins:
            raise RecipientInvalid
        for recipient in (self.cards, self.pins):
            _recipient(recipient)


class FileKind(StrEnum):
    """What a file is for."""

    CARDS = "cards"
    PINS = "pins"


class Addressee(Struct, frozen=True, gc=False):
    """Whom a letter goes to, and in which language; nothing is left of those who were erased. Its repr shows nothing.

    `territory` is where (`FR-75`, `FR-974`, `BE`), empty where the holder has no client.
    """

    first_name: str
    last_name: str
    language: str
    territory: str

    def __repr__(self) -> str:
        return "Addressee(…)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return []


class CardLine(Struct, frozen=True, gc=False):
    """A card for the embosser: number, expiry (YYMM), and the digits that verify it. Its repr shows none."""

    card: CardId
    pan: str
    expiry: str
    service_code: str
    cvv: str
    icvv: str
    cvv2: str
    to: Addressee

    def __repr__(self) -> str:
        return f"CardLine({self.card!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("card", self.card)]


class PinLine(Struct, frozen=True, gc=False):
    """A PIN letter. It doesn't have the card's number, only its last four digits: one file alone pays nowhere."""

    card: CardId
    last4: str
    pin: str
    to: Addressee

    def __repr__(self) -> str:
        return f"PinLine({self.card!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("card", self.card)]


class CardFiles:
    """The production folder. Methods block: for as long as a disk takes."""

    def __init__(self, folder: Path, recipients: CardRecipients) -> None:
        self._folder = folder
        self._recipients = {FileKind.CARDS: recipients.cards, FileKind.PINS: recipients.pins}

    def write(self, kind: FileKind, number: int, lines: Iterable[CardLine | PinLine]) -> str:
        """Write a run's lines, as JSON, to a file that waits for `adopt`; return its SHA-256.

        Raises `FolderUnusable`.
        """
        plain = b"".join(_encode(line) + b"\n" for line in lines)
        encrypted: bytes = pyrage.encrypt(plain, [_recipient(self._recipients[kind])])
        digest = hashlib.sha256(encrypted).hexdigest()
        try:
            self._require_private()
            waiting = self._waiting(kind, number, digest)
            with os.fdopen(os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(encrypted)
                file.flush()
                os.fsync(file.fileno())
            self._sync()
        except OSError as error:
            raise FolderUnusable(f"{self._folder} can't be written: {error.strerror}") from None
        return digest

    def adopt(self, kind: FileKind, number: int, digest: str) -> None:
        """Give the file with the journaled digest its name, unless it has it; drop what waited in vain beside it.

        Raises `FolderUnusable`.
        """
        try:
            waiting = self._waiting(kind, number, digest)
            if waiting.exists():
                waiting.replace(self._named(kind, number))
            for other in self._folder.glob(self._waiting(kind, number, "*").name):
                other.unlink()
            self._sync()
        except OSError as error:
            raise FolderUnusable(f"{self._folder} can't be written: {error.strerror}") from None

    def discard(self, kind: FileKind, number: int, digest: str) -> None:
        """Drop a file whose run was refused."""
        self._waiting(kind, number, digest).unlink(missing_ok=True)

    def read(self, kind: FileKind, number: int, digest: str) -> bytes:
        """Read a run's encrypted file. Raises `FileMissing` and `FolderUnusable`."""
        self.adopt(kind, number, digest)
        try:
            encrypted = self._named(kind, number).read_bytes()
        except OSError:
            raise FileMissing from None
        if hashlib.sha256(encrypted).hexdigest() != digest:
            raise FileMissing
        return encrypted

    def _named(self, kind: FileKind, number: int) -> Path:
        return self._folder / f"run-{number:06}-{kind}.age"

    def _waiting(self, kind: FileKind, number: int, digest: str) -> Path:
        return self._folder / f".run-{number:06}-{kind}-{digest[:NAMED_DIGITS]}.age"

    def _require_private(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._folder.stat().st_mode & OTHERS:
            raise FolderUnusable(f"{self._folder} is open to others than its owner: chmod 700 {self._folder}")

    def _sync(self) -> None:
        """Make names as durable as contents."""
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def own_recipients(folder: Path) -> CardRecipients:
    """Make recipients whose private keys are kept here, for a demo: `embosser.key` and `printer.key` in a folder.

    The next time they are the same. Raises `FolderUnusable`.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return CardRecipients(*(_kept(folder / name) for name in ("embosser.key", "printer.key")))
    except OSError as error:
        raise FolderUnusable(f"{folder} can't be written: {error.strerror}") from None


def _kept(file: Path) -> str:
    """Read a private key, made if it isn't there; return its public one."""
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
            made.write(f"{x25519.Identity.generate()}\n")
    try:
        return str(x25519.Identity.from_str(file.read_text().strip()).to_public())
    except pyrage.IdentityError:
        raise FolderUnusable(f"{file} isn't an age key: remove it, and it is made anew") from None


def _recipient(text: str) -> x25519.Recipient:
    try:
        return x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise RecipientInvalid from None
