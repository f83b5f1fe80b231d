"""`ledger close`: the day in its order, again at any time, and a short list of what somebody has to look at."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from ledger.cli import main
from ledger.closing_day.close import Close, Done, Order, Step
from ledger.reconciliation.terms import read as read_terms
from ledger.reports import page
from tests.ledger.closing_day.morning import CLIENT_PAID, NEXT, TERMS, Morning, clear, state
from tests.ledger.reconciliation.books import ACQUIRER, DAY, reconciler
from tests.ledger.story import Tampering

FILES = {
    "PAYOUTS-20260512.xml",
    "breaks.csv",
    "close.json",
    "day.html",
    "day.json",
    "forecast.csv",
    "forecast.json",
    "funds.csv",
    "funds.json",
    "trial-balance.csv",
    "trial-balance.json",
}


class Desk:
    """Finance's desk: a ledger, an inbox, terms, and where closed days are kept."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.inbox = folder / "inbox"
        self.terms = folder / "terms.toml"
        self.terms.write_text(TERMS)

    def options(self, output: str = "closed") -> list[str]:
        named = {"terms": self.terms, "inbox": self.inbox, "output": self.folder / output, "database": self.url}
        return [str(word) for name, value in named.items() for word in (f"--{name}", value)]

    def close(self, *more: str, day: object = DAY, output: str = "closed") -> int:
        return main(["close", str(day), *self.options(output), *more])

    def kept(self, output: str = "closed", day: object = DAY) -> Mapping[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / output / str(day)).iterdir()}


@pytest.fixture
def real_pages() -> None:
    """Let pages be drawn: a second each, so only one test has them drawn."""


@pytest.fixture(autouse=True)
def plain_pages(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a page's figures instead of drawing them."""
    if "real_pages" not in request.fixturenames:
        monkeypatch.setattr(page, "html", lambda found, _parts: repr(found))


@pytest.fixture
def desk(database: Any, tmp_path: Path) -> Desk:
    """A day on which all agrees."""
    morning = Morning(1_250, 800)
    asyncio.run(morning.record(database.url))
    desk = Desk(tmp_path, reconciler(database.url))
    morning.send(desk.inbox)
    return desk


@pytest.fixture
def copy(cluster: Any, database: Any, desk: Desk) -> Iterator[str]:
    """The address of a database like the desk's, before anything was done with it."""
    name = f"copy_{uuid4().hex}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(cluster.url("postgres", "postgres"))
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute(f"CREATE DATABASE {name} TEMPLATE {database.name}"))
    yield str(cluster.url("reconciler", name))
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.mark.usefixtures("real_pages")
def test_a_day_on_which_all_agrees_is_closed_in_silence_twice_with_the_same_bytes(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.close() == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert [line.split()[0] for line in shown.out.splitlines()] == list(Step)
    first = desk.kept()
    assert first.keys() == FILES
    manifest = msgspec.json.decode(first["close.json"])
    assert manifest["findings"] == []
    assert manifest["files"] == {
        name: hashlib.sha256(content).hexdigest() for name, content in first.items() if name != "close.json"
    }
    funds = msgspec.json.decode(first["funds.json"])
    assert (funds["bank"], funds["expected"], funds["difference"]) == (CLIENT_PAID, CLIENT_PAID, 0)
    # 20.50 less 1 % of fees, and what was paid behind the cutover is of the next day.
    assert b"20.29" in first["PAYOUTS-20260512.xml"]
    assert b"<svg" in first["day.html"]
    assert desk.close("--json") == 0
    assert desk.kept() == first
    told = msgspec.json.decode(capsys.readouterr().out)
    assert [one["step"] for one in told["done"]] == list(Step)
    assert told["is_whole"]
    assert told["done"][0]["said"] == "2 files with 3 lines, 0 of them new"


CUT_BEHIND = tuple(Step) if os.environ.get("SOAK") else (Step.IMPORT, Step.REPORTS)


class Cut(BaseException):
    """The process is gone."""


def test_cut_and_killed_and_run_again_it_writes_the_same_bytes(desk: Desk, copy: str) -> None:
    stopped = Desk(desk.folder, copy)
    assert desk.close() == 0
    _kill_while_it_writes(stopped, "breaks.csv")
    for step in CUT_BEHIND[:1]:
        _cut_behind(stopped, step)
    _kill_once_there_is(stopped, "breaks.csv")
    for step in CUT_BEHIND[1:]:
        _cut_behind(stopped, step)
    assert stopped.close(output="stopped") == 0
    assert stopped.kept("stopped") == desk.kept()


def _cut_behind(desk: Desk, last: Step) -> None:
    """Close up to a step, and no further."""
    folder = desk.folder / "stopped" / str(DAY)
    order = Order(day=DAY, terms=read_terms(desk.terms), beside=desk.folder, folder=folder, inbox=desk.inbox)

    def told(done: Done) -> None:
        if done.step is last:
            raise Cut

    with pytest.raises(Cut):
        asyncio.run(Close(desk.url, order, told).run())
    assert not (folder / "close.json").exists()


def _kill_while_it_writes(desk: Desk, name: str) -> None:
    """Begin to close in a process of its own, which dies when a file is written and not yet in its place."""
    die = "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)"
    run = f"import os, signal, sys; from ledger.cli import main; {die}; sys.exit(main())"
    command = [sys.executable, "-c", run, "close", str(DAY), *desk.options("stopped")]
    died = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    assert died.returncode == -signal.SIGKILL
    [left] = desk.kept("stopped")
    assert left.startswith(f".{name}.")


def _kill_once_there_is(desk: Desk, name: str) -> None:
    """Begin to close in a process of its own, and kill that when it has written a file."""
    begun = desk.folder / "stopped" / str(DAY) / name
    run = "import sys; from ledger.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "close", str(DAY), *desk.options("stopped")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not begun.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert begun.exists()
    assert not begun.with_name("close.json").exists()


def test_what_doesnt_agree_is_a_short_list_and_exit_1(
    database: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    morning = Morning(1_250, 800)
    asyncio.run(morning.record(database.url))
    desk = Desk(tmp_path, reconciler(database.url))
    morning.send(desk.inbox, short=7, lacking=1)
    (desk.inbox / ACQUIRER / "torn.csv").write_text("H,AUTHZ-CLEARING,1,")
    (desk.inbox / "stranger").mkdir()
    (desk.inbox / "stranger" / "a.csv").write_text("a")
    (desk.inbox / ACQUIRER / "coming.csv.part").write_text("H")
    assert desk.close() == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["import", "import", "reconcile", "reconcile", "funds"]
    assert lines[0].startswith(f"ledger: import: {ACQUIRER}/torn.csv: refused, ")
    assert "stranger/a.csv: refused, its folder is neither bank nor an acquirer" in lines[1]
    assert f"reconcile: {ACQUIRER}: 1 missing-in-clearing, -12.50 €, the oldest of {DAY}" in lines[2]
    assert "1 unexplained-entry" in lines[3]
    assert "a difference of -0.07 €; entries that nothing accounts for come to -0.07 €" in lines[4]
    assert b"missing-in-clearing" in desk.kept()["breaks.csv"]
    # Only what is matched is paid.
    assert b"7.92" in desk.kept()["PAYOUTS-20260512.xml"]
    assert msgspec.json.decode(desk.kept()["close.json"])["findings"] == [
        line.removeprefix("ledger: ") for line in lines
    ]


def test_lines_left_out_are_told_on_the_day_that_took_up_their_file(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    async def quarantine() -> None:
        connection = await asyncpg.connect(desk.url)
        file = await connection.fetchval(
            "INSERT INTO reconciliation.file (sha256, kind, format, name, source, day, lines, quarantined, totals)"
            " VALUES (sha256('it'), 'clearing', 'halles', 'halles.csv', $1, $2, 0, 2, '{}') RETURNING id",
            *(ACQUIRER, DAY),
        )
        await connection.execute("INSERT INTO reconciliation.quarantined VALUES ($1, 9, 'b'), ($1, 7, 'no day')", file)
        await connection.close()

    asyncio.run(quarantine())
    assert desk.close() == 1
    said = f"reconcile: {ACQUIRER}: halles.csv, 2 lines left out, the first of them line 7: no day"
    assert capsys.readouterr().err == f"ledger: {said}\n"
    assert desk.close() == 1
    assert msgspec.json.decode(desk.kept()["close.json"])["findings"] == [said]
    desk.close(day=NEXT)
    assert "halles.csv" not in desk.kept(day=NEXT)["close.json"].decode()


def test_the_next_day_shows_the_payout_at_the_bank(desk: Desk) -> None:
    assert desk.close() == 0
    clear(desk.inbox / ACQUIRER / "next.csv", [], NEXT)
    state(desk.inbox / "bank" / "next.xml", NEXT, CLIENT_PAID, [(-2_029, f"{ACQUIRER}-20260512")])
    desk.close(day=NEXT)
    funds = msgspec.json.decode(desk.kept(day=NEXT)["funds.json"])
    paid = {line["claim"]: line["cents"] for line in funds["lines"]}["paid out by the bank, not recorded yet"]
    assert (paid, funds["bank"], funds["difference"]) == (-2_029, CLIENT_PAID - 2_029, 0)


def test_a_bad_record_stops_the_close_before_anything_is_paid(
    desk: Desk, database: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async def tamper() -> None:
        connection = await asyncpg.connect(database.superuser_url)
        await Tampering(connection)(
            "UPDATE ledger.journal SET reason = 'DECLINED' WHERE seq = 2", "SELECT ledger_guard.reseal()"
        )
        await connection.close()

    asyncio.run(tamper())
    assert desk.close() == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("ledger: verify: partition 0, record 2: ")
    assert shown.err.count("\n") == 1
    assert desk.kept() == {}


def test_a_step_that_fails_is_named_and_says_what_to_do(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.url = desk.url.replace("//reconciler@", "//finance@")
    assert desk.close() == 2
    said = capsys.readouterr().err
    assert said.startswith("ledger: import: ")
    assert said.endswith("connect as role reconciler; then run the close again\n")


def test_with_a_checkpoint_everything_is_proved_from_where_the_last_proof_ended(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keypair", str(tmp_path / "key.pem")]) == 0
    proof = ["--checkpoint", str(tmp_path / "proved"), "--signing-key", str(tmp_path / "key.pem")]
    # The day's positions are none that an authorizer would write: proved whole, its money doesn't add up.
    assert desk.close(*proof) == 1
    assert "verify: partition 0" in capsys.readouterr().err
    assert desk.close(*proof[:2]) == 2
    assert "name both" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [[], ["2026-05-12"], ["today", "--terms", "t"], ["2026-05-12", "--terms", "/nowhere", "--data", "d"]],
    ids=" ".join,
)
def test_wrong_use_is_one_line_on_standard_error_and_exits_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["close", *arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1


def test_a_stranger_inbox_is_told(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.inbox = desk.folder / "nowhere"
    assert desk.close() == 2
    assert "nowhere is no folder: name the one in which files arrive by --inbox" in capsys.readouterr().err
