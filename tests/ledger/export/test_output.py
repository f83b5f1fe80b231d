"""A file is there whole or not at all, and what can't be written says so itself."""

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedIOBase
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from ledger.export.output import OutputUnwritable, output


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "books.csv"
    with output(path) as sink:
        assert sink.write(b"one\n") == 4
        assert not path.exists()
    assert path.read_bytes() == b"one\n"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_leaves_the_file_of_before_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "books.csv"
    path.write_bytes(b"before")
    with suppress(ZeroDivisionError), output(path) as sink:
        sink.write(b"half")
        raise ZeroDivisionError
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_was_there_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "books.csv"
    path.write_bytes(b"before, and longer")
    with output(path) as sink:
        sink.write(b"after")
    assert path.read_bytes() == b"after"


@pytest.mark.parametrize("place", ["missing/books.csv", "."])
def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputUnwritable, match="can't be written"), output(tmp_path / "folder" / place) as sink:
        sink.write(b"x")


@pytest.fixture
def full_disk() -> Iterator[SimpleNamespace]:
    """Standard output is a device that takes nothing."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with open("/dev/full", "wb", buffering=0) as full:
        yield SimpleNamespace(buffer=full)


def _as_bytes(sink: BufferedIOBase) -> None:
    sink.write(b"x")


def _through_pyarrow(sink: BufferedIOBase) -> None:
    pa.PythonFile(sink, mode="w").write(b"x")


@pytest.mark.parametrize("write", [_as_bytes, _through_pyarrow])
def test_a_full_disk_is_not_taken_for_a_database_that_is_gone(
    full_disk: SimpleNamespace, write: Callable[[BufferedIOBase], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the ledger says "unavailable" of an OSError: this is none, already where it is raised."""
    monkeypatch.setattr(sys, "stdout", full_disk)
    with (
        output(None) as sink,
        pytest.raises(OutputUnwritable, match=r"^standard output can't be written: No space left"),
    ):
        write(sink)
