"""Anchors (docs/ledger.md, "Anchors"): what is signed can't be changed unseen, and no crash loses a whole line."""

import asyncio
import errno
import fcntl
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import anchors
from ledger.anchors import (
    LINE_BYTES_MAX,
    WHY_CHARACTERS_MAX,
    Anchor,
    AnchorFile,
    AnchorsAhead,
    AnchorsInvalid,
    AnchorsUnreadable,
    AnchorsUnwritable,
    Restoration,
    WhyInvalid,
    anchor_of,
    read,
    restorations,
)
from ledger.chain import GENESIS
from ledger.cli import main
from ledger.postgres import PostgresStore
from ledger.signing import Signer, Verifier, public_path
from ledger.store import Fence
from ledger.values import Epoch, Partition, Record, Seq

SIGNER, STRANGER = (Signer(Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))) for number in (1, 2))
AT = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)


def anchor(seq: int, partition: int = 0, content: int = 0) -> Anchor:
    """An anchor at `seq`; another `content` is another record there."""
    return Anchor(Partition(partition), Epoch(1), Seq(seq), f"{seq:032x}{content:032x}", AT)


def opened(path: Path, signer: Signer = SIGNER) -> AnchorFile:
    """Another process's way to the file, which has nothing to report."""
    return AnchorFile(path, signer, lambda said: pytest.fail(said))


def signed(*statements: Anchor | Restoration, signer: Signer = SIGNER) -> list[bytes]:
    """Lines as a writer that checks nothing would write them."""
    before, lines = GENESIS.hex(), list[bytes]()
    for statement in statements:
        lines.append(anchors._signed(statement, before, signer))
        before = anchors._digest(lines[-1])
    return lines


@contextmanager
def file_of(*lines: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "anchors.jsonl")
        path.write_bytes(b"".join(lines))
        yield path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "anchors.jsonl"


# What is written is read


@settings(max_examples=50)
@given(st.data())
def test_what_is_in_force_is_what_was_anchored_less_what_restorations_made_void(data: st.DataObject) -> None:
    """Against a model: a stack for each partition, cut down to the head that a restoration declares."""
    with file_of() as path:
        writers = [opened(path), opened(path)]
        model: dict[int, list[Anchor]] = {0: [], 1: []}
        declared = []
        for step in range(data.draw(st.integers(1, 8))):
            writer = data.draw(st.sampled_from(writers))
            partition = data.draw(st.sampled_from([0, 1]))
            stack = model[partition]
            if data.draw(st.booleans()):
                head = anchor((stack[-1].seq if stack else 0) + data.draw(st.integers(1, 5)), partition, step)
                assert list(writer.append([head])) == [head]
            else:
                seq = data.draw(st.integers(0, stack[-1].seq if stack else 5))
                [head] = [one for one in stack if one.seq == seq] or [anchor(seq, partition, step)]
                void = writer.restore([head], f"step {step}")
                assert list(void[head.partition]) == [one for one in stack if one.seq > seq]
                declared.append(Restoration(head, f"step {step}"))
                stack[:] = [one for one in stack if one.seq < seq]
            if head.seq:
                stack.append(head)
        assert list(read(path, SIGNER.verifier)) == [*model[0], *model[1]]
        assert list(restorations(path, SIGNER.verifier)) == declared


def test_an_anchor_states_a_fence() -> None:
    fence = Fence(Epoch(3), Seq(42), bytes(range(32)), 99)
    stated = anchor_of(Partition(7), fence, AT)
    assert stated == Anchor(Partition(7), Epoch(3), Seq(42), bytes(range(32)).hex(), AT)


def test_each_line_is_json_that_any_program_reads(path: Path) -> None:
    opened(path).append([anchor(1), anchor(4, 1)])
    first, second = (msgspec.json.decode(line) for line in path.read_bytes().splitlines())
    assert first["statement"] == {
        "type": "anchor",
        "partition": 0,
        "epoch": 1,
        "seq": 1,
        "hash": anchor(1).hash,
        "at": "2026-05-12T10:30:00Z",
    }
    assert first["before"] == "0" * 64
    assert second["before"] == anchors._digest(path.read_bytes().splitlines(keepends=True)[0])


def test_a_head_that_has_not_moved_is_not_anchored_again(path: Path) -> None:
    file = opened(path)
    assert list(file.append([anchor(5), anchor(3, 1)])) == [anchor(5), anchor(3, 1)]
    size = path.stat().st_size
    later = msgspec.structs.replace(anchor(5), epoch=Epoch(2), at=AT + timedelta(days=1))
    assert list(file.append([later])) == []
    assert list(opened(path).append([later])) == []
    assert path.stat().st_size == size
    assert list(file.append([later, anchor(4, 1)])) == [anchor(4, 1)]


def test_an_empty_partition_has_nothing_to_anchor(path: Path) -> None:
    assert list(opened(path).append([anchor(0)])) == []
    assert list(read(path, SIGNER.verifier)) == []


@pytest.mark.parametrize("head", [anchor(4), anchor(5, content=1)], ids=["ends earlier", "ends in another record"])
def test_a_ledger_behind_its_newest_anchor_is_not_anchored_and_nothing_of_the_batch_is(
    path: Path, head: Anchor
) -> None:
    opened(path).append([anchor(5)])
    before = path.read_bytes()
    with pytest.raises(AnchorsAhead, match=f"partition 0 ends in record {head.seq}"):
        opened(path).append([anchor(9, 1), head])
    assert path.read_bytes() == before


# Restorations


def test_after_a_declared_restoration_the_ledger_is_anchored_on(path: Path) -> None:
    file = opened(path)
    for seq in (10, 20, 30):
        file.append([anchor(seq)])
    void = file.restore([anchor(15)], "the disk failed")
    assert void == {0: [anchor(20), anchor(30)]}
    file.append([anchor(18)])
    opened(path).append([anchor(25, content=1)])
    seqs = [10, 15, 18, 25]
    assert [one.seq for one in read(path, SIGNER.verifier)] == seqs
    assert list(restorations(path, SIGNER.verifier)) == [Restoration(anchor(15), "the disk failed")]


def test_a_restoration_excuses_a_lost_tail_and_never_a_rewritten_record(path: Path) -> None:
    file = opened(path)
    file.append([anchor(10)])
    file.append([anchor(20)])
    for head in (anchor(10, content=1), anchor(20, content=1)):
        with pytest.raises(AnchorsAhead, match="anchored as another record"):
            file.restore([head], "it is fine, really")
    assert list(restorations(path, SIGNER.verifier)) == []


@pytest.mark.parametrize("why", ["", "x" * (WHY_CHARACTERS_MAX + 1), "two\nlines", "\x1b[2J"])
def test_a_reason_is_one_short_line(path: Path, why: str) -> None:
    with pytest.raises(WhyInvalid):
        opened(path).restore([anchor(1)], why)


def test_the_longest_reason_fits_in_a_line(path: Path) -> None:
    for why in ('"' * WHY_CHARACTERS_MAX, "𝕏" * WHY_CHARACTERS_MAX):
        opened(path).restore([anchor(2**62)], why)
    assert max(map(len, path.read_bytes().splitlines(keepends=True))) <= LINE_BYTES_MAX
    assert len(restorations(path, SIGNER.verifier)) == 2


# What was changed is found

LINES = signed(anchor(1), anchor(2, 1), anchor(5), Restoration(anchor(3), "why"), anchor(4))


@given(st.data())
def test_a_changed_byte_is_found_in_its_line(data: st.DataObject) -> None:
    text = bytearray(b"".join(LINES))
    place = data.draw(st.integers(0, len(text) - 2))  # the last newline's loss is a torn line's
    text[place] ^= data.draw(st.integers(1, 255))
    number = b"".join(LINES)[:place].count(b"\n") + 1
    with file_of(bytes(text)) as path, pytest.raises(AnchorsInvalid, match=rf"anchors\.jsonl, line {number}: "):
        read(path, SIGNER.verifier)


@given(st.permutations(range(len(LINES))), st.integers(1, len(LINES)))
def test_lines_swapped_repeated_or_taken_out_are_found(order: list[int], count: int) -> None:
    kept = order[:count]
    with file_of(*(LINES[number] for number in kept)) as path:
        if kept == list(range(count)):
            read(path, SIGNER.verifier)
        else:
            with pytest.raises(AnchorsInvalid):
                read(path, SIGNER.verifier)
    with file_of(*LINES[: kept[0] + 1], LINES[kept[0]]) as path, pytest.raises(AnchorsInvalid):
        read(path, SIGNER.verifier)


def test_a_line_of_another_key_is_found_by_readers_and_by_the_next_writer(path: Path) -> None:
    good = signed(anchor(1))
    forged = anchors._signed(anchor(2), anchors._digest(good[0]), STRANGER)
    file = opened(path)
    file.append([anchor(1)])
    with path.open("ab") as end:
        end.write(forged)
    with pytest.raises(AnchorsInvalid, match="line 2: its signature isn't of this key"):
        read(path, SIGNER.verifier)
    for writer in (file, file, opened(path)):
        with pytest.raises(AnchorsInvalid, match="line 2: its signature isn't of this key"):
            writer.append([anchor(3)])


@pytest.mark.parametrize("again", [anchor(5), anchor(4), anchor(5, content=1)])
def test_anchors_that_go_back_without_a_restoration_are_found_although_signed(again: Anchor) -> None:
    with file_of(*signed(anchor(5), anchor(9, 1), again)) as path, pytest.raises(AnchorsInvalid, match="line 3"):
        read(path, SIGNER.verifier)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"null\n",
        b"\xff\xfe\n",
        b"{}\n",
        b" " + LINES[0],
        LINES[0].replace(b'{"statement":', b'{ "statement":'),
        LINES[0][:-2] + b" }\n",
        LINES[0].replace(b"Z", b""),
        b" " * (LINE_BYTES_MAX + 1) + b"\n",
        b"\x00" * (2 * LINE_BYTES_MAX),
    ],
    ids=range(10),
)
def test_what_is_no_line_is_refused_and_never_taken_away(line: bytes) -> None:
    with file_of(line, LINES[0]) as path:
        with pytest.raises(AnchorsInvalid, match="line 1"):
            read(path, SIGNER.verifier)
        with pytest.raises(AnchorsInvalid):
            opened(path).append([anchor(7)])
        assert path.read_bytes() == line + LINES[0]


def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    with pytest.raises(AnchorsUnreadable, match=r"anchors\.jsonl can't be read: No such file"):
        read(path, SIGNER.verifier)


# Crashes


@given(st.integers(0, sum(map(len, LINES))))
def test_a_crash_at_any_byte_loses_no_whole_line_and_the_next_writer_mends_it(cut: int) -> None:
    said: list[str] = []
    text = b"".join(LINES)[:cut]
    whole = text.count(b"\n")
    with file_of(text) as path, file_of(*LINES[:whole]) as undamaged:
        assert read(path, SIGNER.verifier) == read(undamaged, SIGNER.verifier)
        AnchorFile(path, SIGNER, said.append).append([anchor(50)])
        assert path.read_bytes().startswith(b"".join(LINES[:whole]))
        assert path.read_bytes().count(b"\n") == whole + 1
        assert anchor(50) in read(path, SIGNER.verifier)
    assert len(said) == (not text.endswith(b"\n") and cut > 0)


def test_what_another_process_tore_is_mended_by_one_that_was_there_before(path: Path) -> None:
    said: list[str] = []
    file = AnchorFile(path, SIGNER, said.append)
    file.append([anchor(1)])
    with path.open("ab") as end:
        end.write(LINES[1][:100])
    file.append([anchor(2)])
    assert [one.seq for one in read(path, SIGNER.verifier)] == [1, 2]
    assert said == [f"{path}: its last line was torn by a crash: 100 bytes of it taken away"]


def _full(descriptor: int, text: bytes) -> int:
    """Write half of it, and then find the disk full."""
    if len(text) < 200:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return _write(descriptor, text[: len(text) // 2])


def _unsure(_descriptor: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


_write = os.write


@pytest.mark.parametrize(("call", "failure"), [("write", _full), ("fsync", _unsure)])
def test_a_failing_disk_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, failure: Callable[..., Any]
) -> None:
    file = opened(path)
    file.append([anchor(1)])
    before = path.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(os, call, failure)
        with pytest.raises(AnchorsUnwritable, match=r"anchors\.jsonl can't be written"):
            file.append([anchor(2), anchor(3, 1)])
    assert path.read_bytes() == before
    assert list(file.append([anchor(2), anchor(3, 1)])) == [anchor(2), anchor(3, 1)]
    assert list(read(path, SIGNER.verifier)) == [anchor(1), anchor(2), anchor(3, 1)]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(AnchorsUnwritable, match="No such file or directory"):
        opened(tmp_path / "gone" / "anchors.jsonl").append([anchor(1)])


# Several writers


def test_two_writers_never_interleave(path: Path) -> None:
    """Each has its own partitions, as two engines of one ledger have."""

    def write(partition: int) -> None:
        file = opened(path)
        for seq in range(1, 11):
            file.append([anchor(seq, partition), anchor(seq, partition + 1)])

    threads = [threading.Thread(target=write, args=(partition,)) for partition in (0, 2, 4, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(read(path, SIGNER.verifier)) == [anchor(seq, one) for one in range(8) for seq in range(1, 11)]


def test_who_waits_too_long_for_a_turn_is_told_and_writes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "LOCK_TIMEOUT_S", 0)
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AnchorsUnwritable, match="another process"):
            opened(path).append([anchor(1)])
    assert path.read_bytes() == b""
    opened(path).append([anchor(1)])


@pytest.mark.parametrize("how", ["put aside", "emptied"])
def test_a_file_that_was_put_aside_is_begun_anew(path: Path, how: str) -> None:
    file = opened(path)
    file.append([anchor(10)])
    if how == "put aside":
        path.rename(path.with_suffix(".old"))
    else:
        os.truncate(path, 0)
    file.append([anchor(4)])
    assert list(read(path, SIGNER.verifier)) == [anchor(4)]


# On demand


@pytest.fixture
def key(tmp_path: Path) -> Path:
    key = tmp_path / "anchors.pem"
    assert main(["keypair", str(key)]) == 0
    return key


@pytest.fixture
def recorded(database: Any, entries: Any, begin: Any) -> Callable[[int], list[Record]]:
    """Append so many records, and return them."""

    async def record(number: int) -> list[Record]:
        store = PostgresStore(database.url)
        writer = await begin(store)
        records = list(await writer.append(*(entries.refusal() for _ in range(number))))
        await store.close()
        return records

    return lambda number: asyncio.run(record(number))


def test_ledger_anchor_signs_the_heads_and_says_which(
    database: Any, recorded: Any, key: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["anchor", "--database", database.finance_url, "--file", str(path), "--key", str(key)]
    assert main(command) == 0
    assert "nothing was recorded" in capsys.readouterr().out
    *_, last = recorded(3)
    assert main(command) == 0
    assert capsys.readouterr().out == f"partition 0 is anchored at record 3, {last.hash.hex()}\n"
    assert main([*command, "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out) == {"anchored": []}
    [written] = read(path, Verifier.load(public_path(key)))
    assert (written.partition, written.epoch, written.seq, written.hash) == (0, last.epoch, 3, last.hash.hex())


def test_ledger_anchor_finds_a_ledger_that_ends_before_its_anchor_until_it_is_declared(
    database: Any, recorded: Any, key: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["anchor", "--database", database.finance_url, "--file", str(path), "--key", str(key)]
    recorded(3)
    AnchorFile(path, Signer.load(key), pytest.fail).append([anchor(7)])
    capsys.readouterr()
    assert main(command) == 1
    assert capsys.readouterr().err == (
        "ledger: partition 0 ends in record 3, and was anchored at 7: unless it was restored, records are lost; "
        "see docs/operations.md\n"
    )
    assert main([*command, "--restored", "a test"]) == 0
    said = "partition 0 is declared restored to record 3: what was anchored above it, up to record 7, is void\n"
    assert capsys.readouterr().out == said
    assert main(command) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"--restored": ""}, "say on one line"),
        ({"--key": "absent.pem"}, "absent.pem can't be read"),
        ({"--file": "absent/anchors.jsonl"}, "can't be written"),
        ({"--database": "postgresql://finance@/nowhere?host=/nonexistent"}, "the database can't be read"),
    ],
)
def test_ledger_anchor_says_in_one_line_what_is_wrong(
    database: Any,
    recorded: Any,
    key: Path,
    path: Path,
    capsys: pytest.CaptureFixture[str],
    wrong: dict[str, str],
    said: str,
) -> None:
    recorded(1)
    options = {"--database": database.finance_url, "--file": str(path), "--key": str(key)} | wrong
    capsys.readouterr()
    assert main(["anchor", *(word for option in options.items() for word in option)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_ledger_keypair_never_overwrites(key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = key.read_bytes()
    assert main(["keypair", str(key)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert key.read_bytes() == before
