"""Where an export goes: to standard output, or to a file that is there whole or not at all."""

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ledger.export.books import ExportError
from ledger.printing import NobodyReads, discard_output

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PARTS = ".*.part"
"""What files are called, beside their places, until all of them is on disk: of a killed process, they stay."""


class OutputUnwritable(ExportError):
    """What is exported can't be written there."""


@contextmanager
def output(path: Path | None) -> Iterator[BufferedIOBase]:
    """Open a file to be written, or standard output (None). Raises `OutputUnwritable` and `NobodyReads`.

    A file is written beside its place, and moved there when all of it is on disk.
    """
    try:
        with _standard_output() if path is None else _whole(path) as file:
            yield _Sink(file, path)
    except OSError as error:
        raise _unwritable(path, error) from None


@contextmanager
def _whole(path: Path) -> Iterator[BinaryIO]:
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    part = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except (OSError, OutputUnwritable, NobodyReads):
        discard_output()
        raise


class _Sink(BufferedIOBase):
    """A file that says itself what can't be written: whoever reads the ledger takes an OSError for the database's."""

    def __init__(self, file: BinaryIO, path: Path | None) -> None:
        self._file = file
        self._path = path
        self._written = 0

    def writable(self) -> bool:
        """Tell pyarrow that it can be written to."""
        return True

    def tell(self) -> int:
        """Tell pyarrow how many bytes stand before the next."""
        return self._written

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write bytes. Raises `OutputUnwritable` and `NobodyReads`."""
        try:
            written = self._file.write(data)
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._written += written
        return written


def _unwritable(path: Path | None, error: OSError) -> Exception:
    if path is None and isinstance(error, BrokenPipeError):
        return NobodyReads("standard output isn't read to its end")
    name = "standard output" if path is None else path
    return OutputUnwritable(f"{name} can't be written: {error.strerror}")
