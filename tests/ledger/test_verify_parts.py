"""`ledger verify` of a part of the ledger, and resumed behind a signed checkpoint (docs/proofs.md, "Parts")."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from ledger import checkpoint, frames, verify
from ledger.checkpoint import CheckpointFile, CheckpointForeign, CheckpointInvalid
from ledger.cli import main
from ledger.signing import Signer
from ledger.values import Seq
from ledger.verify import Finding, Flaw, Report, Scope, Verified, WindowInvalid
from tests.ledger.story import RECORDS, Tampering, story, write


@pytest.fixture(autouse=True)
def chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks: every window here is read in several."""
    monkeypatch.setattr(frames, "CHUNK_SEQS", 3)


@pytest.fixture
async def tamper(database: Any) -> AsyncIterator[Tampering]:
    await write(database.url, story())
    connection = await asyncpg.connect(database.superuser_url)
    yield Tampering(connection)
    await connection.close()


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.make(tmp_path / "audit.pem")


def _window(first: int, last: int | None = None) -> Scope:
    return Scope(first=Seq(first), last=None if last is None else Seq(last))


async def _one(url: str, scope: Scope = verify.EVERYTHING, **options: Any) -> Verified:
    report = await verify.verify(url, scope, **options)
    assert isinstance(report, Report), report
    [partition] = report.partitions
    return partition


@pytest.mark.parametrize("first", range(1, RECORDS + 1))
async def test_every_window_of_a_sound_ledger_is_sound(database: Any, first: int) -> None:
    """The first line of a holder in it is held against the line before, wherever the window begins."""
    await write(database.url, story())
    for last in (first, first + 3, RECORDS, None):
        if last is None or last <= RECORDS:
            found = await _one(database.finance_url, _window(first, last))
            assert (found.first, found.head) == (first, last or RECORDS)
            assert found.identities == 2 * (found.head - first + 1)


@pytest.mark.parametrize(
    ("first", "last", "sound"), [(1, 6, True), (8, None, True), (1, 7, False), (7, 7, False), (3, None, False)]
)
async def test_a_bad_record_is_found_by_the_windows_that_have_it(
    database: Any, tamper: Tampering, first: int, last: int | None, sound: bool
) -> None:
    await tamper("UPDATE ledger.journal SET reply = '{}' WHERE seq = 7")
    found = await verify.verify(database.finance_url, _window(first, last))
    assert isinstance(found, Report if sound else Finding)
    assert sound or found.seq == 7  # type: ignore[union-attr]


async def test_money_is_held_against_the_line_before_the_window(database: Any, tamper: Tampering) -> None:
    await tamper.rewrite({8: lambda entry: replace(entry, position=(entry.position or "").replace("3000", "3001"))})
    found = await verify.verify(database.finance_url, _window(8))
    assert isinstance(found, Finding)
    assert (found.seq, found.flaw) == (8, Flaw.MONEY)
    assert "says 3001 cents in holder:h2:90:2026, the transfers up to it make 3000" in found.what


async def test_an_identity_of_the_window_is_looked_for_and_no_other(database: Any, tamper: Tampering) -> None:
    await tamper("DELETE FROM ledger.identity WHERE seq = 5 AND stamp = 1")
    found = await verify.verify(database.finance_url, _window(4, 6))
    assert isinstance(found, Finding)
    assert (found.seq, found.flaw) == (5, Flaw.IDENTITY)
    assert isinstance(await verify.verify(database.finance_url, _window(6, 9)), Report)


async def test_the_chain_alone_is_proved_without_money_and_identities(database: Any, tamper: Tampering) -> None:
    await tamper("DELETE FROM ledger.identity WHERE seq = 5")
    found = await _one(database.finance_url, Scope(chain_only=True))
    assert (found.identities, found.holders, found.transfers) == (None, None, 14)
    await tamper("UPDATE ledger.transfer SET amount = 1 WHERE seq = 5 AND line = 1")
    wrong = await verify.verify(database.finance_url, Scope(chain_only=True))
    assert isinstance(wrong, Finding)
    assert (wrong.seq, wrong.flaw) == (5, Flaw.HASH)


@pytest.mark.parametrize(("first", "last"), [(0, None), (5, 4), (1, 13), (14, None)])
async def test_a_window_that_the_ledger_does_not_have_is_wrong_use(database: Any, first: int, last: int | None) -> None:
    await write(database.url, story())
    with pytest.raises(WindowInvalid):
        await verify.verify(database.finance_url, _window(first, last))


async def test_a_checkpoint_is_resumed_behind_and_says_the_same_of_the_whole(
    database: Any, tmp_path: Path, signer: Signer
) -> None:
    file = tmp_path / "proved"
    await write(database.url, story()[:7])
    first = await _one(database.finance_url, checkpoint=CheckpointFile(file, signer))
    await write(database.url, story()[7:])
    second = await _one(database.finance_url, checkpoint=CheckpointFile(file, signer))
    assert (first.resumed, second.resumed) == (0, 7)
    whole = await _one(database.finance_url)
    assert replace(second, resumed=Seq(0), holders=whole.holders) == whole
    assert (await _one(database.finance_url, checkpoint=CheckpointFile(file, signer))).resumed == RECORDS


async def test_a_run_that_breaks_off_is_resumed_where_it_last_wrote(
    database: Any, tmp_path: Path, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "CHECKPOINT_EVERY_RECORDS", 4)
    await write(database.url, story())

    def fail(_partition: int, seq: int, _head: int) -> None:
        if seq > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await verify.verify(database.finance_url, checkpoint=CheckpointFile(tmp_path / "c", signer), progress=fail)
    assert (await _one(database.finance_url, checkpoint=CheckpointFile(tmp_path / "c", signer))).resumed == 6


async def test_identities_of_records_before_the_checkpoint_are_still_held_against_the_table(
    database: Any, tamper: Tampering, tmp_path: Path, signer: Signer
) -> None:
    await _one(database.finance_url, checkpoint=CheckpointFile(tmp_path / "c", signer))
    await tamper("DELETE FROM ledger.identity WHERE seq = 2 AND stamp = 1")
    found = await verify.verify(database.finance_url, checkpoint=CheckpointFile(tmp_path / "c", signer))
    assert isinstance(found, Finding)
    assert (found.seq, found.flaw) == (2, Flaw.IDENTITY)


async def test_a_head_that_is_not_what_the_checkpoint_was_made_of_is_a_finding(
    database: Any, tamper: Tampering, tmp_path: Path, signer: Signer
) -> None:
    await _one(database.finance_url, checkpoint=CheckpointFile(tmp_path / "c", signer))
    await tamper.rewrite({9: lambda entry: replace(entry, reply="{}")})
    found = await verify.verify(database.finance_url, checkpoint=CheckpointFile(tmp_path / "c", signer))
    assert isinstance(found, Finding)
    assert (found.seq, found.flaw) == (RECORDS, Flaw.HASH)


async def test_another_ledgers_checkpoint_is_refused(
    database: Any, tmp_path: Path, signer: Signer, tamper: Tampering
) -> None:
    await _one(database.finance_url, checkpoint=CheckpointFile(tmp_path / "c", signer))
    await tamper.rewrite({1: lambda entry: replace(entry, reply="{}")})
    with pytest.raises(CheckpointForeign):
        await verify.verify(database.finance_url, checkpoint=CheckpointFile(tmp_path / "c", signer))


async def test_a_checkpoint_that_was_changed_or_signed_by_another_is_refused(
    database: Any, tmp_path: Path, signer: Signer
) -> None:
    file = tmp_path / "c"
    await write(database.url, story())
    await _one(database.finance_url, checkpoint=CheckpointFile(file, signer))
    with pytest.raises(CheckpointInvalid):
        CheckpointFile(file, Signer.make(tmp_path / "other.pem"))
    for spoilt in (file.read_bytes().replace(b'"seq":12', b'"seq":11'), b"", b"\n\n", b"\xff\n\xff"):
        file.write_bytes(spoilt)
        with pytest.raises(CheckpointInvalid):
            CheckpointFile(file, signer)


async def test_the_fingerprints_key_is_not_in_the_file(database: Any, tmp_path: Path, signer: Signer) -> None:
    """Whoever had it could make two sets of identities of one fingerprint."""
    await write(database.url, story())
    kept = CheckpointFile(tmp_path / "c", signer)
    await _one(database.finance_url, checkpoint=kept)
    assert f"{kept.key:x}" not in (tmp_path / "c").read_text()
    assert CheckpointFile(tmp_path / "c", signer).key == kept.key
    assert CheckpointFile(tmp_path / "another", signer).key != kept.key


@pytest.mark.parametrize(
    "arguments",
    [
        ["--anchor", "FOLDER/none"],
        ["--checkpoint", "FOLDER/none"],
        ["--anchor", "FOLDER/none", "--key", "FOLDER/none"],
        ["--checkpoint", "FOLDER/c", "--signing-key", "FOLDER/none"],
        ["--checkpoint", "FOLDER/c", "--signing-key", "FOLDER/audit.pem", "--chain-only"],
        ["--from", "99"],
        ["--to", "x"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_one_line_and_exits_2(
    database: Any, tmp_path: Path, signer: Signer, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told = [one.replace("FOLDER", str(tmp_path)) for one in arguments]
    assert main(["verify", "--database", database.finance_url, *told]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)


def test_a_checkpoint_is_kept_by_the_command(
    database: Any, tmp_path: Path, signer: Signer, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--checkpoint", str(tmp_path / "c"), "--signing-key", str(tmp_path / "audit.pem")]
    assert main(["verify", "--database", database.finance_url, *options]) == 0
    assert main(["verify", "--database", database.finance_url, "--from", "1", "--chain-only"]) == 0
    assert "Sound: the chain" in capsys.readouterr().out
    assert checkpoint.CHECKPOINT_EVERY_RECORDS == 1_000_000
