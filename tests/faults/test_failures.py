"""What goes wrong where an authorizer is installed: one line that says what and what to do, exit 2, nothing lost."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
import pytest

from authz.engine import schema
from ledger import embedded
from ledger.embedded import DATABASE, SUPERUSER, EmbeddedServer, ServerForeign
from tests.acceptance.authorizer import AUTHZ, LOGGED, TUESDAY, Authorizer, eventually, running
from tests.conftest import FAST, Database
from tests.install.customers import customers
from tests.programs import run

SERVE = ("serve", "--demo", "--port", "0", "--http-port", "0", "--clock", TUESDAY)
LEDGER_MB, TOO_SMALL_MB = 180, 20
NEW_FILES_MAX = 30
"""Of PostgreSQL's log, 16 MB each; some are kept to be used again."""
PAID = 5

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk of its own")


def refusal(done: "subprocess.CompletedProcess[str]", code: int = 2) -> str:
    """The one line of a command that ended; warnings about demo keys aside."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    [line] = [line for line in done.stderr.splitlines() if not LOGGED.search(line)]
    return line


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account can enter."""
    folder = Path(tempfile.mkdtemp(prefix="authz-tests-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def disk(at: Path, mb: int) -> Iterator[Path]:
    """A disk of its own, which can be full."""
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mb}m,mode=711", "tmpfs", at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


@contextmanager
def read_only(at: Path) -> Iterator[Path]:
    """A folder in which nobody can write, root neither."""
    with ExitStack() as stack:
        if os.geteuid() == 0:
            stack.enter_context(disk(at, 1))
            subprocess.run(["mount", "-o", "remount,ro", at], check=True)
        else:
            at.mkdir(mode=0o555)
        yield at


# What stands in the way of a start.


def test_a_data_folder_that_cannot_be_written(folder: Path) -> None:
    with read_only(folder / "ro") as place:
        for data in (place, place / "new"):
            assert refusal(run("authz", *SERVE, "--data", data)) in (
                f"authz: {data} can't be used: Read-only file system",
                f"authz: {data} can't be used: Permission denied",
            )


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux")
def test_a_data_folder_without_permission(folder: Path) -> None:
    """Of root, its power over all files is taken first."""
    closed = folder / "closed"
    closed.mkdir(mode=0)
    powerless = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if powerless:
        os.chown(closed, 65534, 65534)
    done = subprocess.run(
        [*powerless, AUTHZ, *SERVE, "--data", closed / "data"], capture_output=True, text=True, check=False
    )
    assert refusal(done) == f"authz: {closed / 'data'} can't be used: Permission denied"


@as_root
def test_a_disk_too_small_for_a_ledger(folder: Path) -> None:
    with disk(folder / "small", TOO_SMALL_MB) as place:
        line = refusal(run("authz", *SERVE, "--data", place / "data"))
        assert line.startswith("authz: no database could be made in")
        assert line.endswith("No space left on device")
        assert list((place / "data").iterdir()) == []


def test_a_port_in_use(database: Database) -> None:
    asyncio.run(schema.create(database.superuser_url))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("serve", "--demo", "--http-port", "0", "--clock", TUESDAY, "--database", database.url)
        line = refusal_among_tokens(run("authz", *words, "--port", str(port)))
    assert line.startswith(f"authz: port {port} can't be used: ")
    assert line.endswith("; choose another")


def refusal_among_tokens(done: "subprocess.CompletedProcess[str]") -> str:
    """The last line of one that came so far as to tell the demo's tokens."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_configuration_with_a_typo_touches_nothing(tmp_path: Path) -> None:
    file = tmp_path / "authz.toml"
    file.write_text("[htttp]\nport = 8080\n")
    file.chmod(0o600)
    line = refusal(run("authz", "serve", "--config", file, "--data", tmp_path / "data"))
    assert line.startswith(f"authz: {file}")
    assert "htttp" in line
    assert not (tmp_path / "data").exists()


# A server of one's own, and what is wrong with it.


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedServer]:
    """A data folder with a ledger, whose server runs. Tests that stop it start it again."""
    data = Path(tempfile.mkdtemp(prefix="authz-tests-"))
    server = EmbeddedServer.start(data, settings=FAST)
    asyncio.run(execute(server.url(SUPERUSER, SUPERUSER), f"CREATE DATABASE {DATABASE}"))
    asyncio.run(schema.create(server.url(SUPERUSER, DATABASE)))
    yield server
    EmbeddedServer.start(data, settings=FAST).remove()
    shutil.rmtree(data, ignore_errors=True)


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def with_password(own: EmbeddedServer) -> Iterator[Callable[[str, str], str]]:
    """`with_password(word, database)`: an address at a server that asks the role `authz` for a password: `right`."""
    access = own.socket_folder / "pg_hba.conf"
    before = access.read_text()
    asks = f"local all {SUPERUSER} peer map=embedded\nlocal all all scram-sha-256\n"
    own.account.write(access, asks)
    superuser = own.url(SUPERUSER, DATABASE)
    asyncio.run(execute(superuser, "ALTER ROLE authz PASSWORD 'right'", "SELECT pg_reload_conf()"))
    yield lambda word, database: own.url("authz", database).replace("authz@", f"authz:{word}@")
    own.account.write(access, before)
    asyncio.run(execute(superuser, "ALTER ROLE authz PASSWORD NULL", "SELECT pg_reload_conf()"))


def test_a_wrong_password(with_password: Callable[[str, str], str]) -> None:
    """Not an outage, which one would wait for."""
    wrong = run("authz", *SERVE, "--database", with_password("wr0ng", DATABASE))
    assert refusal(wrong) == ("authz: the database refuses: the password is wrong; check its address (--database)")
    missing = run("authz", *SERVE, "--database", with_password("right", "nowhere"))
    assert refusal(missing) == (
        "authz: the database refuses: there is no such database; check its address (--database)"
    )
    for done in (wrong, run("ledger", "verify", "--database", with_password("wr0ng", DATABASE))):
        assert done.returncode == 2
        assert "wr0ng" not in done.stdout + done.stderr


def test_a_newer_schema(own: EmbeddedServer) -> None:
    url = own.url(SUPERUSER, DATABASE)
    asyncio.run(execute(url, "INSERT INTO ledger.migration VALUES (9999, 'of tomorrow', 9999)"))
    try:
        for line in (
            refusal(run("authz", *SERVE, "--data", own.data)),
            refusal(run("authz", "create", "--database", url)),
            refusal(run("ledger", "verify", "--data", own.data)),
        ):
            assert "schema ledger is at 9999, for programs that know it up to 9999 at least" in line
            assert line.endswith("run the newer program")
    finally:
        asyncio.run(execute(url, "DELETE FROM ledger.migration WHERE number = 9999"))
    assert run("ledger", "verify", "--data", own.data).returncode == 0


def test_a_cluster_of_another_major_version(own: EmbeddedServer) -> None:
    own.stop()
    cluster = (own.data / "postgresql").resolve()
    version = (cluster / "PG_VERSION").read_text()
    try:
        own.account.write(cluster / "PG_VERSION", "17\n")
        line = refusal(run("authz", *SERVE, "--data", own.data))
    finally:
        own.account.write(cluster / "PG_VERSION", version)
        EmbeddedServer.start(own.data, settings=FAST)
    assert line == (
        f"authz: {cluster} was made by PostgreSQL 17, the programs are of 18: name those of 17 by --pg-bin,"
        " or upgrade it by pg_upgrade (docs/upgrading.md)"
    )


def test_a_cluster_that_another_server_runs_on(own: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that listens where the data folder doesn't say: it is neither used nor harmed."""
    monkeypatch.setattr(embedded, "ENDING_TIMEOUT_S", 0.1)
    own.stop()
    cluster = (own.data / "postgresql").resolve()
    elsewhere = Path(tempfile.mkdtemp(prefix="authz-tests-"))
    own.account.own(elsewhere)
    elsewhere.chmod(0o755)
    pg_ctl = [own.bin / "pg_ctl", "-D", cluster, "-w", "-l", cluster / "elsewhere.log"]
    started = own.account.run([*pg_ctl, "-o", f"-c unix_socket_directories={elsewhere}", "start"], timeout_s=60)
    assert started.returncode == 0, started.stderr
    try:
        with pytest.raises(ServerForeign, match=r"another server runs on .*postmaster\.pid.*: stop it"):
            EmbeddedServer.start(own.data, settings=FAST)
        assert own.account.run([*pg_ctl, "status"], timeout_s=60).returncode == 0
    finally:
        own.account.run([*pg_ctl, "stop", "-m", "fast"], timeout_s=60)
        shutil.rmtree(elsewhere)
        EmbeddedServer.start(own.data, settings=FAST)


# A disk that fills while payments come in.


def ballast(place: Path) -> Path:
    """Take all that is left of a disk."""
    file = place / "ballast"
    with file.open("wb", buffering=0) as opened:
        try:
            while True:
                opened.write(bytes(1 << 16))
        except OSError:
            pass
        try:
            while True:
                opened.write(bytes(1 << 12))
        except OSError:
            pass
    return file


@as_root
def test_a_disk_that_fills_refuses_and_goes_on_when_there_is_room(folder: Path) -> None:
    """What was approved stands, what was answered 91 isn't there, and the authorizer needs nobody's help."""
    with disk(folder / "disk", LEDGER_MB) as place, running(folder, "--data", str(place / "data")) as authorizer:
        with customers([authorizer.port]) as crowd:
            eventually(lambda: crowd.paid >= PAID)
            full = ballast(place)
            refused = crowd.refused
            eventually(lambda: crowd.refused > refused)
            full.unlink()
            paid = crowd.paid
            eventually(lambda: crowd.paid >= paid + PAID)
        proved(authorizer, place, crowd.hold_against)


@as_root
@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
def test_a_server_that_dies_of_a_full_disk_is_started_again_and_lacks_nothing(folder: Path) -> None:
    """PostgreSQL can't go on where its log can't: it ends. Any command on the data folder starts it again."""
    with disk(folder / "disk", LEDGER_MB) as place, running(folder, "--data", str(place / "data")) as authorizer:
        with customers([authorizer.port]) as crowd:
            eventually(lambda: crowd.paid >= PAID)
            full = ballast(place)
            superuser = (place / "data" / "superuser.url").read_text().strip()
            assert any(dies_of_a_new_file_of_its_log(superuser) for _ in range(NEW_FILES_MAX))
            refused = crowd.refused
            eventually(lambda: crowd.refused > refused)
            full.unlink()
            assert run("ledger", "balances", "--data", place / "data").returncode == 0
            paid = crowd.paid
            eventually(lambda: crowd.paid >= paid + PAID)
        proved(authorizer, place, crowd.hold_against)


def dies_of_a_new_file_of_its_log(superuser: str) -> bool:
    try:
        asyncio.run(execute(superuser, "SELECT pg_logical_emit_message(true, '', '')", "SELECT pg_switch_wal()"))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return True
    return False


def proved(authorizer: Authorizer, place: Path, hold_against: Callable[[str], None]) -> None:
    """Hold the customers' receipts against the ledger, end the authorizer, and verify what it leaves."""
    hold_against(authorizer.database)
    assert authorizer.terminate() == 0
    verified = run("ledger", "verify", "--data", place / "data")
    assert verified.returncode == 0, verified.stderr
