"""The command line of finance (docs/interface.md, "Commands": exit codes, one line on standard error, `--json`)."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from ledger import accounts, schema
from ledger.chain import extend
from ledger.cli import main
from ledger.embedded import DATABASE, SUPERUSER, EmbeddedServer
from ledger.postgres import PostgresStore
from ledger.signing import Signer
from ledger.values import Cents, Entry, HolderId, Lot, Partition, Purse, Transfer

FAST = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "10"}
MAIN = Partition(0)


async def _load(url: str, *cents: int) -> None:
    """Load vouchers for one holder after the other."""
    entries = []
    for number, amount in enumerate(cents, 1):
        holder = HolderId(f"h{number}")
        purse = Purse((Lot("90", "2026", date(2026, 1, 1), date(2027, 2, 28), Cents(amount)),))
        transfer = Transfer(accounts.issuer_float("90"), accounts.of_holder(holder, "90", "2026"), Cents(amount))
        position = msgspec.json.encode((purse,)).decode()
        entries.append(
            Entry(datetime(2026, 5, 12, tzinfo=UTC), "load", holder, "{}", "{}", "APPROVED", position, (transfer,))
        )
    store = PostgresStore(url)
    fence = await store.take(MAIN, await store.fence(MAIN))
    records = list(extend(MAIN, fence.epoch, fence.head, fence.hash, entries))
    await store.append(MAIN, fence.epoch, fence.head, fence.hash, records)
    await store.close()


@pytest.fixture
def url(database: Any) -> str:
    """The address of a ledger in which two holders have vouchers."""
    asyncio.run(_load(database.url, 123_456, 50))
    return str(database.finance_url)


@pytest.fixture
def broken(url: str, database: Any) -> str:
    async def change() -> None:
        connection = await asyncpg.connect(database.superuser_url)
        await connection.execute("SET ledger.ddl = 'tampering'; ALTER TABLE ledger.journal DISABLE TRIGGER ALL")
        await connection.execute("UPDATE ledger.journal SET reason = 'NO_FUNDS' WHERE seq = 2")
        await connection.close()

    asyncio.run(change())
    return url


def test_a_sound_ledger_is_shown_in_a_table_and_exits_0(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--database", url]) == 0
    shown = capsys.readouterr()
    assert "Sound" in shown.out
    assert shown.err == ""


def test_a_sound_ledger_as_json(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--database", url, "--json"]) == 0
    result = msgspec.json.decode(capsys.readouterr().out)
    assert result["sound"] is True
    assert result["result"]["partitions"][0]["head"] == 2
    assert len(bytes.fromhex(result["result"]["partitions"][0]["hash"])) == 32


def test_a_finding_is_one_line_on_standard_error_and_exits_1(broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--database", broken]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("ledger: partition 0, record 2: ")
    assert shown.err.count("\n") == 1


def test_a_finding_as_json(broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--database", broken, "--json"]) == 1
    result = msgspec.json.decode(capsys.readouterr().out)
    assert result["sound"] is False
    assert (result["result"]["seq"], result["result"]["flaw"]) == (2, "hash")


def test_balances_are_a_table_in_euros_that_ends_in_its_sum(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["balances", "--database", url]) == 0
    out = capsys.readouterr().out
    assert "holder:h1:90:2026" in out
    assert "1,234.56" in out
    assert "-1,235.06" in out
    assert out.rstrip().splitlines()[-1].split() == ["sum", "0.00"]


def test_balances_as_json_are_cents_and_what_the_view_says(
    url: str, database: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async def view() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(database.finance_url)
        rows = await connection.fetch("SELECT account, currency, balance FROM ledger.balance ORDER BY account")
        await connection.close()
        return [dict(row) for row in rows]

    assert main(["balances", "--database", url, "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out) == asyncio.run(view())


def test_balances_by_prefix(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["balances", "--database", url, "--prefix", "holder:h2", "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out) == [
        {"account": "holder:h2:90:2026", "currency": 978, "balance": 50}
    ]


@pytest.fixture
def data() -> Iterator[Path]:
    """The data folder of an authorizer with an embedded ledger, whose server runs."""
    folder = Path(tempfile.mkdtemp(prefix="authz-cli-"))
    server = EmbeddedServer.start(folder, settings=FAST)

    async def create() -> None:
        connection = await asyncpg.connect(server.url(SUPERUSER, SUPERUSER))
        await connection.execute(f"CREATE DATABASE {DATABASE}")
        await connection.close()
        await schema.create(server.url(SUPERUSER, DATABASE))
        await _load(server.url("authz", DATABASE), 700)

    asyncio.run(create())
    yield folder
    EmbeddedServer.start(folder, settings=FAST).remove()
    shutil.rmtree(folder)


def test_an_embedded_ledger_is_found_by_its_data_folder_and_left_as_it_was(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Running or not: it runs afterwards if it ran before."""
    pid_file = data / "postgresql" / "postmaster.pid"
    assert main(["verify", "--data", str(data)]) == 0
    assert main(["archive", "--data", str(data), "--json"]) == 0, "as its superuser"
    assert pid_file.exists()
    EmbeddedServer.start(data).stop()
    assert main(["balances", "--data", str(data), "--json"]) == 0
    assert not pid_file.exists()
    assert "700" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["balances"],
        ["verify", "--database", "postgresql://x/y", "--data", "here"],
        ["verify", "--data", "/nowhere"],
        ["verify", "--database", "postgresql://finance@/x?host=/nowhere"],
        ["verify", "--database", "nonsense"],
        ["verify", "--partition", "two", "--data", "here"],
        ["verify", "--partition"],
        ["balances", "--colour"],
        ["balance"],
        ["verify", "surplus"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_one_line_on_standard_error_and_exits_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("ledger: ")
    assert shown.err.count("\n") == 1


def test_a_partition_that_is_not_there_is_wrong_use(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--database", url, "--partition", "5"]) == 2
    assert "it has 0" in capsys.readouterr().err


REPORTS = ["report shortfalls", *(f"report {name}" for name in ("day", "month", "funds", "forecast", "trial-balance"))]
FINANCE = ["import", "reconcile", "breaks", "positions", "payouts", "close"]
COMMANDS = ["verify", "anchor", "keypair", "balances", "report", *REPORTS, "export", "archive", *FINANCE]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself_on_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: ledger {command}".rstrip() in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "--no-" not in shown, "an option that is said or isn't has no opposite"
    assert "default: False" not in shown


def test_every_command_is_listed_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = re.findall(r"^│ (\w+) +[A-Z]", capsys.readouterr().out, re.MULTILINE)
    assert set(listed) == {command.split()[0] for command in COMMANDS}


PAGE = (Path(__file__).parents[2] / "docs" / "interface.md").read_text(encoding="utf-8")
DOCUMENTED = re.findall(r"^\| `ledger ([a-z -]+?)(?: +[\[A-Z-].*?)?` \|.*$", PAGE, re.MULTILINE)


def test_the_page_has_every_command() -> None:
    assert sorted(DOCUMENTED) == sorted(set(COMMANDS) - {"report"})


@pytest.mark.parametrize("command", DOCUMENTED)
def test_the_page_names_options_that_are_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    [row] = re.findall(rf"^\| `ledger {command}\b.*?` \|", PAGE, re.MULTILINE)
    assert main([*command.split(), "--help"]) == 0
    assert set(re.findall(r"--[a-z-]+", row)) <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


@pytest.fixture
def restored(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The options that name anchors in which a restoration is declared, and their key."""
    key, file = tmp_path / "key.pem", tmp_path / "anchors"
    Signer.make(key)
    where = ["--database", url, "--file", str(file), "--key", str(key)]
    for declared in ([], ["--restored", "disk failed"]):
        assert main(["anchor", *where, *declared]) == 0
    capsys.readouterr()
    return ["--anchor", str(file), "--key", f"{key}.pub"]


def test_declared_restorations_are_told_of_a_line_each(
    url: str, restored: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever holds the key can declare one (docs/proofs.md): the auditor sees that it was done, and why."""
    assert main(["verify", "--database", url, *restored]) == 0
    first, *table = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"partition 0 was restored to record 2 on \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: disk failed; "
        "what was anchored above it is void",
        first,
    )
    assert "Sound" in "".join(table)


def test_declared_restorations_are_told_of_beside_a_finding_too(
    broken: str, restored: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--database", broken, *restored]) == 1
    shown = capsys.readouterr()
    assert "disk failed" in shown.out
    assert shown.out.count("\n") == 1
    assert shown.err.startswith("ledger: partition 0, record 2: ")


def test_declared_restorations_as_json(url: str, restored: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--database", url, *restored, "--json"]) == 0
    [one] = msgspec.json.decode(capsys.readouterr().out)["restorations"]
    assert (one["to"]["partition"], one["to"]["seq"], one["why"]) == (0, 2, "disk failed")


def test_without_restorations_nothing_is_said_of_them(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--database", url]) == 0
    assert "restored" not in capsys.readouterr().out
