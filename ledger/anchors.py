"""Anchors: heads of the chain, signed and kept outside the database.

Whoever can rewrite the database can write a chain anew that is sound in itself, or cut its tail off and set the fence
back. They can't sign: a ledger that doesn't have the records that its anchors name was changed.

The file is JSON lines, each a statement, the digest (BLAKE2b-256) of the line before it, and an Ed25519 signature of
all of the line before the signature. So no line can be changed, added, or taken out of the middle; that none is cut off
at the end, only a copy elsewhere shows. A last line that is torn, by a crash, says nothing: readers pass over it, and
the next writer takes it away.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
from msgspec import Meta, Struct

from ledger.chain import GENESIS
from ledger.signing import Signer, Verifier
from ledger.store import Fence, LedgerError
from ledger.values import Epoch, Partition, Seq

LINE_BYTES_MAX = 4_096
WHY_CHARACTERS_MAX = 500
LOCK_TIMEOUT_S = 5
LOCK_POLL_S = 0.01

Instant = Annotated[datetime, Meta(tz=True)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Number = Annotated[int, Meta(ge=0)]


class AnchorsError(LedgerError):
    """The anchors can't be used."""


class AnchorsInvalid(AnchorsError):
    """A line of the anchors isn't what was written: the message says which, and what is wrong with it."""


class AnchorsUnreadable(AnchorsError):
    """The file of anchors can't be read."""


class AnchorsUnwritable(AnchorsError):
    """The file of anchors can't be written: nothing was added to it."""


class AnchorsAhead(AnchorsError):
    """The ledger ends before its newest anchor, or in another record: it has lost records, or was restored."""


class WhyInvalid(AnchorsError):
    """A restoration is declared with a reason that is empty, too long or not printable."""


class Anchor(Struct, frozen=True, tag="anchor", gc=False, forbid_unknown_fields=True):
    """A partition's acknowledged head: its record `seq` of `epoch` bore `hash`, in hexadecimal, at that instant."""

    partition: Annotated[Partition, Meta(ge=0)]
    epoch: Annotated[Epoch, Meta(ge=0)]
    seq: Annotated[Seq, Meta(ge=0)]
    hash: Digest
    at: Instant


class Restoration(Struct, frozen=True, tag="restoration", gc=False, forbid_unknown_fields=True):
    """A declaration: this partition was restored from a backup and ends in `to`. What was anchored above it is void."""

    to: Anchor
    why: Annotated[str, Meta(min_length=1, max_length=WHY_CHARACTERS_MAX)]


Statement = Anchor | Restoration


def anchor_of(partition: Partition, fence: Fence, at: datetime) -> Anchor:
    """State a head, which must be acknowledged."""
    return Anchor(partition, fence.epoch, fence.head, fence.hash.hex(), at)


def read(path: Path, verifier: Verifier) -> Sequence[Anchor]:
    """Return the anchors in force, by partition and seq. Raises `AnchorsInvalid` and `AnchorsUnreadable`."""
    return read_all(path, verifier)[0]


def restorations(path: Path, verifier: Verifier) -> Sequence[Restoration]:
    """Return what was declared restored, oldest first. Raises `AnchorsInvalid` and `AnchorsUnreadable`."""
    return read_all(path, verifier)[1]


def read_all(path: Path, verifier: Verifier) -> tuple[Sequence[Anchor], Sequence[Restoration]]:
    """Return the anchors in force, and what was declared restored, in one reading of every signature."""
    in_force: dict[Partition, list[Anchor]] = {}
    restored: list[Restoration] = []
    for statement in _statements(path, verifier):
        if isinstance(statement, Restoration):
            restored.append(statement)
        to = _head(statement)
        stack = in_force.setdefault(to.partition, [])
        while stack and stack[-1].seq >= to.seq:
            stack.pop()
        if to.seq:
            stack.append(to)
    return [anchor for _, stack in sorted(in_force.items()) for anchor in stack], restored


class AnchorFile:
    """The one writer's way to a file of anchors. Processes that write the same file take turns."""

    def __init__(self, path: Path, signer: Signer, say: Callable[[str], None]) -> None:
        self.path = path
        self._signer = signer
        self._say = say
        self._walk = _Walk(path)
        self._inode = 0

    def append(self, anchors: Sequence[Anchor]) -> Sequence[Anchor]:
        """Make anchors durable, all or none; return those that were written. A head that is anchored isn't again.

        Raises `AnchorsAhead`, `AnchorsInvalid` and `AnchorsUnwritable`.
        """
        with self._turn() as file:
            new = [anchor for anchor in anchors if self._adds(anchor)]
            self._write(file, new)
        return new

    def restore(self, heads: Sequence[Anchor], why: str) -> Mapping[Partition, Sequence[Anchor]]:
        """Declare that the ledger was restored and ends in these heads; return what is void now, by partition.

        Raises `WhyInvalid`, `AnchorsAhead` where a head was anchored as another record, and what `append` raises.
        """
        if not (1 <= len(why) <= WHY_CHARACTERS_MAX and why.isprintable()):
            raise WhyInvalid(f"say on one line, in 1 to {WHY_CHARACTERS_MAX} characters, why it was restored")
        with self._turn() as file:
            in_force = read(self.path, self._signer.verifier)
            for head in heads:
                for anchor in in_force:
                    if anchor.partition == head.partition and anchor.seq == head.seq and anchor.hash != head.hash:
                        raise AnchorsAhead(_other_record(head))
            self._write(file, [Restoration(head, why) for head in heads])
        return {
            head.partition: [one for one in in_force if one.partition == head.partition and one.seq > head.seq]
            for head in heads
        }

    def _adds(self, anchor: Anchor) -> bool:
        newest = self._walk.newest.get(anchor.partition)
        if newest is None or anchor.seq > newest.seq:
            return anchor.seq > 0
        if anchor.seq < newest.seq:
            raise AnchorsAhead(
                f"partition {anchor.partition} ends in record {anchor.seq}, and was anchored at {newest.seq}: "
                "unless it was restored, records are lost"
            )
        if anchor.hash != newest.hash:
            raise AnchorsAhead(_other_record(anchor))
        return False

    @contextmanager
    def _turn(self) -> Iterator[BinaryIO]:
        """Have the file for oneself, standing behind its last whole line."""
        try:
            with os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644), "r+b") as file:
                _lock(file, self.path)
                self._catch_up(file)
                yield file
        except AnchorsInvalid:
            self._inode = 0  # the next turn begins at the first line, and names the same one
            raise
        except OSError as error:
            raise AnchorsUnwritable(f"{self.path} can't be written: {error.strerror}") from None

    def _catch_up(self, file: BinaryIO) -> None:
        """Follow what others have written since, and mend what they were interrupted in.

        Signatures cover what stands before them: where the last is good, all that this key signed is.
        """
        found = os.fstat(file.fileno())
        if found.st_ino != self._inode or found.st_size < self._walk.offset:
            self._walk, self._inode = _Walk(self.path), found.st_ino
        file.seek(self._walk.offset)
        last = None
        for piece in _pieces(file):
            if _is_torn(piece):
                self._mend(file, piece)
            else:
                last = self._walk.step(piece)
        if last is not None:
            self._walk.require_signed(last, self._signer.verifier)

    def _mend(self, file: BinaryIO, torn: bytes) -> None:
        os.ftruncate(file.fileno(), self._walk.offset)
        self._say(f"{self.path}: its last line was torn by a crash: {len(torn)} bytes of it taken away")

    def _write(self, file: BinaryIO, statements: Sequence[Statement]) -> None:
        before, lines = self._walk.digest, list[bytes]()
        for statement in statements:
            lines.append(_signed(statement, before, self._signer))
            before = _digest(lines[-1])
        try:
            _write_through(file.fileno(), b"".join(lines))
            if self._walk.offset == 0:
                _sync_folder(self.path.parent)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file.fileno(), self._walk.offset)
            raise
        for line in lines:
            self._walk.step(line)


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    """A line, and where its signature begins."""

    statement: Statement
    before: Digest
    signature: Annotated[str, Meta(pattern="^[0-9a-f]{128}$")]


class _Walk:
    """How far one has come in a file: behind `number` lines and `offset` bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.offset = 0
        self.digest = GENESIS.hex()
        self.newest: dict[Partition, Anchor] = {}

    def step(self, text: bytes) -> "_Checked":
        """Go over one more line. Its signature is left to be checked. Raises `AnchorsInvalid`."""
        self.number += 1
        try:
            line = msgspec.json.decode(text, type=_Line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self.invalid("it is no line of anchors") from None
        signed = text.removesuffix(b',"signature":"%s"}\n' % line.signature.encode())
        if signed == text or len(text) > LINE_BYTES_MAX:
            raise self.invalid("it isn't written as anchors are")
        if line.before != self.digest:
            raise self.invalid("it doesn't follow the line before it: one was changed, added or taken out")
        self._follow(line.statement)
        self.offset += len(text)
        self.digest = _digest(text)
        return _Checked(line.statement, signed, bytes.fromhex(line.signature))

    def require_signed(self, line: "_Checked", verifier: Verifier) -> None:
        """Raise `AnchorsInvalid` unless the line that was gone over last bears the key's signature."""
        if not verifier.is_signed(line.signed, line.signature):
            raise self.invalid("its signature isn't of this key")

    def invalid(self, what: str) -> AnchorsInvalid:
        """Name the line."""
        return AnchorsInvalid(f"{self.path}, line {self.number}: {what}")

    def _follow(self, statement: Statement) -> None:
        head = _head(statement)
        newest = self.newest.get(head.partition)
        if isinstance(statement, Anchor) and head.seq <= (newest.seq if newest else 0):
            raise self.invalid(f"it anchors record {head.seq} behind {newest.seq if newest else 0}: none was restored")
        self.newest[head.partition] = head


class _Checked(Struct, frozen=True):
    """A line that stands in its place; `signature` should be of `signed`."""

    statement: Statement
    signed: bytes
    signature: bytes


def _head(statement: Statement) -> Anchor:
    return statement if isinstance(statement, Anchor) else statement.to


def _statements(path: Path, verifier: Verifier) -> Iterator[Statement]:
    """Go over a file, every signature checked."""
    walk = _Walk(path)
    try:
        with path.open("rb") as file:
            for piece in _pieces(file):
                if not _is_torn(piece):
                    line = walk.step(piece)
                    walk.require_signed(line, verifier)
                    yield line.statement
    except OSError as error:
        raise AnchorsUnreadable(f"{path} can't be read: {error.strerror}") from None


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Read lines. One that is too long comes in pieces, the first of which is refused."""
    while piece := file.readline(LINE_BYTES_MAX + 1):
        yield piece


def _is_torn(piece: bytes) -> bool:
    """Tell whether a crash interrupted the writing of this, the last line."""
    return len(piece) <= LINE_BYTES_MAX and not piece.endswith(b"\n")


def _signed(statement: Statement, before: str, signer: Signer) -> bytes:
    signed = msgspec.json.encode(_Line(statement, before, "")).removesuffix(b',"signature":""}')
    return b'%s,"signature":"%s"}\n' % (signed, signer.sign(signed).hex().encode())


def _digest(line: bytes) -> str:
    return blake2b(line, digest_size=32).hexdigest()


def _other_record(head: Anchor) -> str:
    return (
        f"partition {head.partition} ends in record {head.seq}, which was anchored as another record: "
        "it was rewritten, or restored and written on before that was declared"
    )


def _lock(file: BinaryIO, path: Path) -> None:
    """Wait for one's turn; it ends when the file is closed."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            return fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise AnchorsUnwritable(f"{path} is being written by another process: try again") from None
            time.sleep(LOCK_POLL_S)


def _write_through(descriptor: int, text: bytes) -> None:
    while text:
        text = text[os.write(descriptor, text) :]
    os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
