"""docs/interface.md, "Commands": each command of `ledger`, as a process, on the ledger of an authorizer.

Exit 0 and nothing on standard error; 1 on a finding; 2 on wrong use; an error is one line that says what to do.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from ledger.signing import Signer, public_path
from tests.conftest import Database
from tests.programs import run

LEDGER = str(Path(sys.executable).parent / "ledger")
SOUND, FINDING, WRONG_USE, UNREAD = 0, 1, 2, 141


class Books(Struct, frozen=True):
    """A ledger, another one that is empty, and a folder with keys (`key.pem`) and the ledger's anchors (`anchors`)."""

    database: Database
    empty: Database
    folder: Path

    def run(self, command: str, *, on: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command line, with `--database` and the address that `on` names."""
        urls = {
            "": (),
            "finance": ("--database", self.database.finance_url),
            "superuser": ("--database", self.database.superuser_url),
            "empty": ("--database", self.empty.finance_url),
            "nothing": ("--database", self.database.finance_url.replace(self.database.name, "postgres")),
            "nowhere": ("--database", "postgresql://finance@/authz?host=/nowhere"),
        }
        return run("ledger", *command.split(), *urls[on], folder=self.folder)


@pytest.fixture(scope="module")
def books(
    make_stocked: Callable[[], Database],
    make_database: Callable[[], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> Books:
    folder = tmp_path_factory.mktemp("finance")
    Signer.make(folder / "key.pem")
    Signer.make(folder / "other.pem")
    one = Books(make_stocked(), make_database(), folder)
    assert one.run("anchor --file anchors --key key.pem", on="finance").returncode == SOUND
    return one


def lines(text: str) -> Sequence[str]:
    return text.splitlines()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("verify", "Sound: every record, transfer, identity and position"),
        ("verify --chain-only --from 5 --to 20 --partition 0", "Sound: the chain"),
        ("verify --anchor anchors --key key.pem.pub --checkpoint proved --signing-key key.pem", "Sound: every record"),
        ("balances --prefix issuer:", "issuer:float:90"),
        ("balances --at 2025-12-31T00:00:00+01:00", "Balances of 0 accounts"),
        ("report shortfalls --from 2026-01-01T00:00:00+01:00", "Shortfalls: 0 movements"),
        ("export --format csv", "partition,seq,line,at,kind,reason,debit,credit,amount,currency"),
        ("export --format hledger --from 2026-01-05 --to 2026-01-06", "2026-01-05 * (0:"),
        ("export --format beancount", 'option "title" "Ledger"'),
        ("anchor --file more-anchors --key key.pem", "partition 0 is anchored at record "),
    ],
)
def test_what_succeeds_exits_0_and_speaks_on_standard_output_alone(books: Books, command: str, says: str) -> None:
    done = books.run(command, on="finance")
    assert (done.returncode, done.stderr) == (SOUND, "")
    assert says in done.stdout


@pytest.mark.parametrize(
    ("command", "on", "has"),
    [
        ("verify --anchor anchors --key key.pem.pub", "finance", {"sound", "result", "restorations"}),
        ("balances --prefix acquirer:", "finance", set()),
        ("report shortfalls", "finance", {"movements", "acquirers", "total"}),
        ("anchor --file json-anchors --key key.pem", "finance", {"anchored"}),
        ("archive", "superuser", {"moved", "stays"}),
    ],
)
def test_json_is_for_programs(books: Books, command: str, on: str, has: set[str]) -> None:
    done = books.run(f"{command} --json", on=on)
    assert (done.returncode, done.stderr) == (SOUND, "")
    result: Any = msgspec.json.decode(done.stdout)
    assert set(result) == has


def test_a_pair_of_keys_is_made_once(books: Books) -> None:
    made = books.run("keypair mine.pem")
    assert (made.returncode, made.stderr) == (SOUND, "")
    assert public_path(books.folder / "mine.pem").exists()
    kept = (books.folder / "mine.pem").read_bytes()
    assert books.run("keypair mine.pem").returncode == WRONG_USE
    assert (books.folder / "mine.pem").read_bytes() == kept


@pytest.mark.parametrize(
    "command", ["verify --anchor anchors --key key.pem.pub", "anchor --file anchors --key key.pem"]
)
def test_a_ledger_that_ends_before_its_anchors_is_a_finding(books: Books, command: str) -> None:
    done = books.run(command, on="empty")
    assert (done.returncode, done.stdout) == (FINDING, "")
    [line] = lines(done.stderr)
    assert line.startswith("ledger: partition 0")


@pytest.mark.parametrize(
    ("command", "on", "says"),
    [
        ("", "finance", "--database"),
        ("verify", "", "either --database URL or --data DIR"),
        ("verify --from 0", "finance", "--from"),
        ("verify --partition 7", "finance", "it has 0"),
        ("verify --anchor anchors", "finance", "name both"),
        ("verify --anchor anchors --key other.pem.pub", "finance", "line 1"),
        ("verify --anchor missing --key key.pem.pub", "finance", "missing can't be read"),
        ("verify --anchor anchors --key missing.pub", "finance", "missing.pub"),
        ("verify", "nowhere", "can't be read"),
        ("verify", "nothing", "no ledger"),
        ("balances --at noon", "finance", "--at 'noon' is no instant"),
        ("balances --data missing", "", "missing holds no ledger"),
        ("report", "finance", "--database"),
        ("report shortfalls --from 2026-05-12", "finance", "has no zone"),
        ("export", "finance", "--format"),
        ("export --format word", "finance", "--format"),
        ("export --format fec", "finance", "--siren"),
        ("export --format parquet", "finance", "--output"),
        ("export --format csv --output missing/books", "finance", "missing/books can't be written"),
        ("anchor --file anchors", "finance", "--key"),
        ("anchor --file missing/anchors --key key.pem", "finance", "missing/anchors can't be written"),
        ("anchor --file anchors --key key.pem.pub", "finance", "key.pem.pub"),
        ("archive", "finance", "superuser"),
        ("archive --before May", "superuser", "--before 'May' is no instant"),
        ("close", "finance", "close"),
    ],
)
def test_wrong_use_is_one_line_that_says_what_to_do(books: Books, command: str, on: str, says: str) -> None:
    done = books.run(command, on=on)
    assert (done.returncode, done.stdout) == (WRONG_USE, "")
    [line] = lines(done.stderr)
    assert line.startswith("ledger: ")
    assert says in line


@pytest.mark.parametrize("command", ["export --format csv", "balances", "balances --json"])
def test_a_reader_who_has_read_enough_is_no_error(books: Books, command: str) -> None:
    """`ledger … | head -n 1`: it ends as a shell has it of a program that SIGPIPE ended, and complains of nothing."""
    words = [LEDGER, *command.split(), "--database", books.database.finance_url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == UNREAD


def test_a_full_disk_is_told_in_one_line(books: Books) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    with Path("/dev/full").open("wb") as full:
        words = [LEDGER, "balances", "--database", books.database.finance_url]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == WRONG_USE
    [line] = lines(done.stderr)
    assert line == "ledger: its output can't be written: No space left on device"
