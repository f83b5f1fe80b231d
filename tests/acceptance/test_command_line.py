"""docs/interface.md, "Commands": wrong use, the demo's data, the clock. Errors are one line that says what to do."""

import os
import socket
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.authorizer import AUTHZ, LOGGED, TUESDAY, Authorizer, eventually, rows
from tests.acceptance.conftest import Start
from tests.acceptance.counter import CARDS, ask, purchase
from tests.conftest import Database
from tests.programs import run

WRONG_USE = 2
SINCE_READY = timedelta(seconds=5)
_KINDS = (
    "SELECT kind, count(*) FROM ledger.journal"
    " WHERE kind NOT IN ('followed', 'reminder', 'walk') GROUP BY kind ORDER BY kind"
)


def serve(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as it is installed."""
    return subprocess.run([AUTHZ, *options], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["serve"], "--demo"),
        (["serve", "--demo", "--config", "missing.toml"], "missing.toml"),
        (["serve", "--config", "missing.toml"], "missing.toml"),
        (["serve", "--demo", "--clock", "noon"], "--clock"),
        (["serve", "--demo", "--clock", "2026-05-12T12:30:00"], "zone"),
        (["serve", "--config", "links.toml", "--clock", TUESDAY], "--clock"),
        (["serve", "--demo", "--data", "here", "--database", "postgresql://there/x"], "--data"),
        (["serve", "--demo", "--port", "many"], "port"),
        (["serve", "--demo", "--port", "70000"], "port"),
        (["serve", "--demo", "--http-port", "-1"], "port"),
        (["serve", "--demo", "--sideways"], "--sideways"),
        (["serve", "--demo", "--database", "mysql://there/x"], "database"),
        (["sing"], "sing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line_and_exit_2(tmp_path: Path, options: list[str], says: str) -> None:
    done = run("authz", *options, folder=tmp_path)
    assert (done.returncode, done.stdout) == (WRONG_USE, "")
    *_, line = lines = [one for one in done.stderr.splitlines() if not LOGGED.search(one)]
    assert len(lines) == 1
    assert line.startswith("authz: ")
    assert says in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--port", "--http-port"])
def test_a_port_that_is_in_use(tmp_path: Path, own_database: Database, option: str) -> None:
    other = "--http-port" if option == "--port" else "--port"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ["--database", own_database.url, option, port, other, "0"]
        done = serve(tmp_path, "serve", "--demo", *options)
    assert (done.returncode, done.stdout) == (WRONG_USE, "")
    *_, line = lines = [one for one in done.stderr.splitlines() if not LOGGED.search(one)]
    assert len(lines) == 1
    assert line.startswith("authz: ")
    assert port in line


def test_help_is_success(tmp_path: Path) -> None:
    done = serve(tmp_path, "serve", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--http-port" in done.stdout


def test_a_database_without_a_ledger_is_wrong_use(tmp_path: Path, own_database: Database) -> None:
    url = own_database.superuser_url.replace(own_database.name, "postgres")
    done = serve(tmp_path, "serve", "--demo", "--port", "0", "--http-port", "0", "--database", url)
    assert (done.returncode, done.stdout) == (WRONG_USE, "")
    assert "ledger" in done.stderr.splitlines()[-1]


def test_the_demo_keys_are_warned_of(authorizer: Authorizer) -> None:
    assert authorizer.errors.count("DEMO KEYS ARE IN USE") == 1
    assert authorizer.output.count("\n") == 1


def loaded(database: Database) -> list[tuple[object, ...]]:
    """What the demo's data comes to: cards, loads, and every account. What was done beside it isn't of it."""
    return [
        *map(tuple, rows(database.url, "SELECT count(*), count(DISTINCT last4) FROM authz.vault")),
        *map(tuple, rows(database.url, _KINDS)),
        *map(tuple, rows(database.url, 'SELECT account, balance FROM ledger.balance ORDER BY account COLLATE "C"')),
    ]


def test_the_demo_data_enters_once(start: Start, own_database: Database) -> None:
    start().kill()
    first = loaded(own_database)
    assert first[0] == (len(CARDS), len(CARDS))
    # The year of the first start is the demo's, for good. Until then nothing of it expires or falls.
    for clock in (TUESDAY, "2027-02-12T12:30:00+01:00"):
        start(clock=clock).kill()
        assert loaded(own_database) == first


@pytest.mark.parametrize("records", range(1, 60, 3) if os.environ.get("SOAK") else [4, 40])
def test_a_load_that_was_killed_is_completed_by_the_next_start(
    start: Start, own_database: Database, make_database: Callable[[], Database], tmp_path: Path, records: int
) -> None:
    whole = make_database()
    untouched = Authorizer(tmp_path, "--database", whole.url, "--clock", TUESDAY)
    begun = start(ready=False)
    eventually(lambda: rows(own_database.url, "SELECT head FROM ledger.fence")[0][0] >= records or begun.is_ready)
    begun.kill()
    try:
        untouched.ready()
    finally:
        untouched.kill()
    start().kill()
    assert loaded(own_database) == loaded(whole)


def newest(database: Database) -> datetime:
    [[at]] = rows(database.url, "SELECT max(at) FROM ledger.journal")
    assert isinstance(at, datetime)
    return at


def test_the_engines_time_at_ready_is_the_clocks_and_runs_from_there(start: Start, own_database: Database) -> None:
    authorizer = start()
    assert newest(own_database) == datetime.fromisoformat(TUESDAY)
    ask(authorizer.port, purchase("0014", 100))
    assert timedelta() < newest(own_database) - datetime.fromisoformat(TUESDAY) < SINCE_READY


def test_time_resumes_at_the_later_of_clock_and_newest_record(start: Start, own_database: Database) -> None:
    first = start()
    ask(first.port, purchase("0014", 100))
    first.kill()
    then = newest(own_database)
    earlier = start(clock="2026-05-11T12:30:00+02:00")
    ask(earlier.port, purchase("0014", 200))
    earlier.kill()
    assert timedelta() <= newest(own_database) - then < SINCE_READY
    later = start(clock="2026-05-13T12:30:00+02:00")
    ask(later.port, purchase("0014", 300))
    assert timedelta() < newest(own_database) - datetime.fromisoformat("2026-05-13T12:30:00+02:00") < SINCE_READY
