"""The embedded PostgreSQL: its own account, its own socket, found again by its data folder."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from ledger import binaries, cluster, embedded
from ledger.account import ServerAccount
from ledger.embedded import EmbeddedError, EmbeddedServer

FAST = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "10"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands a cluster to another account")


@pytest.fixture
def data() -> Iterator[Path]:
    """An empty folder that an unprivileged account can be given; pytest's own tmp_path lies in one of mode 0700."""
    folder = Path(tempfile.mkdtemp(prefix="authz-embedded-"))
    folder.chmod(0o711)
    yield folder
    _remove(folder)


@pytest.fixture
def unreachable(tmp_path: Path) -> Iterator[Path]:
    """A folder below one that only root can enter."""
    tmp_path.chmod(0o700)
    folder = tmp_path / "data"
    yield folder
    _remove(folder)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stands for /var/lib/authz."""
    folder = Path(tempfile.mkdtemp(prefix="authz-shared-"))
    folder.chmod(0o755)
    monkeypatch.setattr(binaries, "SHARED", folder)
    monkeypatch.setattr(cluster, "CLUSTERS", folder / "clusters")
    yield folder
    shutil.rmtree(folder)


def _remove(data: Path) -> None:
    if (data / "postgresql").exists() and (data / "postgresql" / "PG_VERSION").exists():
        EmbeddedServer.start(data, settings=FAST).remove()
    shutil.rmtree(data, ignore_errors=True)


async def _ask(server: EmbeddedServer, question: str, role: str = "postgres") -> object:
    connection = await asyncpg.connect(server.url(role, "postgres"))
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_a_new_server_is_durable_checked_and_off_the_network(data: Path) -> None:
    with EmbeddedServer.start(data) as server:
        assert server.started_here
        for setting, value in {
            "data_checksums": "on",
            "fsync": "on",
            "synchronous_commit": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "lc_collate": "C",
            "TimeZone": "UTC",
        }.items():
            found = (
                await _ask(server, f"SELECT current_setting('{setting}')")
                if setting != "lc_collate"
                else (await _ask(server, "SELECT datcollate FROM pg_database WHERE datname = 'postgres'"))
            )
            assert found == value, setting
        assert int(str(await _ask(server, "SELECT current_setting('server_version_num')"))) >= 180000


async def test_settings_hold_for_one_start_and_never_open_the_network(data: Path) -> None:
    with EmbeddedServer.start(data, settings=FAST | {"work_mem": "7MB", "listen_addresses": "*"}) as server:
        assert await _ask(server, "SHOW work_mem") == "7MB"
        assert await _ask(server, "SHOW listen_addresses") == ""
    with EmbeddedServer.start(data, settings=FAST) as server:
        assert await _ask(server, "SHOW work_mem") == "4MB"


def test_the_socket_is_for_its_own_account_alone(data: Path) -> None:
    with EmbeddedServer.start(data, settings=FAST) as server:
        assert server.socket_folder.stat().st_mode & 0o777 == 0o700
        assert server.socket_folder.is_relative_to(data)
        assert "host=" + str(server.socket_folder) in server.url("authz", "ledger")
        assert urlsplit(server.url("authz", "ledger")).username == "authz"
        assert urlsplit(server.url("authz", "ledger")).password is None


async def test_the_account_that_started_it_may_be_the_three_roles_by_name_and_no_other(data: Path) -> None:
    with EmbeddedServer.start(data, settings=FAST) as server:
        await _ask(server, "CREATE ROLE authz LOGIN")
        await _ask(server, "CREATE ROLE stranger LOGIN SUPERUSER")
        assert await _ask(server, "SELECT current_user", "authz") == "authz"
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await _ask(server, "SELECT 1", "stranger")


@AS_ROOT
def test_an_account_that_is_not_named_is_refused_even_if_it_reached_the_socket(data: Path) -> None:
    with EmbeddedServer.start(data, settings=FAST) as server:
        ident = (data / "postgresql" / "pg_ident.conf").read_text().split()
        assert set(ident[1::3]) == {'"root"', f'"{server.account.name}"'}
        assert set(ident[2::3]) == {"postgres", "authz", "finance", "reconciler"}


def test_its_files_can_be_copied_while_it_runs_and_the_copy_starts_beside_it(data: Path) -> None:
    with EmbeddedServer.start(data / "one", settings=FAST) as server:
        (data / "two").mkdir()
        server.account.own(data / "two")
        options = ["-h", server.socket_folder, "-p", "5432", "-U", "postgres", "--checkpoint=fast", "--no-sync"]
        copy = [server.bin / "pg_basebackup", *options, "-D", data / "two" / "postgresql"]
        assert server.account.run(copy, timeout_s=60).returncode == 0
        with EmbeddedServer.start(data / "two", settings=FAST) as beside:
            assert beside.started_here
            assert beside.socket_folder != server.socket_folder
        assert asyncio.run(_ask(server, "SELECT 1")) == 1
    _remove(data / "one")
    _remove(data / "two")


def test_the_stream_of_changes_is_for_the_superuser_alone(data: Path) -> None:
    with EmbeddedServer.start(data, settings=FAST) as server:
        asyncio.run(_ask(server, "CREATE ROLE finance LOGIN REPLICATION"))
        receive = [server.bin / "pg_receivewal", "-h", server.socket_folder, "-p", "5432", "-U", "finance", "-n"]
        done = server.account.run([*receive, "-D", data], timeout_s=60)
        assert done.returncode != 0
        assert "no pg_hba.conf entry for replication" in done.stderr


async def test_a_path_too_long_for_a_socket_gets_a_short_private_folder(data: Path) -> None:
    deep = data / ("d" * 60) / ("e" * 60)
    with EmbeddedServer.start(deep, settings=FAST) as server:
        assert not server.socket_folder.is_relative_to(data)
        assert server.socket_folder.stat().st_mode & 0o777 == 0o700
        assert await _ask(server, "SELECT 1") == 1
        with EmbeddedServer.start(deep) as again:
            assert again.socket_folder == server.socket_folder
    assert not server.socket_folder.exists()
    _remove(deep)


async def test_a_path_with_odd_characters_does(data: Path) -> None:
    odd = data / "it's, a folder?&host=x 100%"
    with EmbeddedServer.start(odd, settings=FAST) as server:
        assert await _ask(server, "SELECT 1") == 1
    _remove(odd)


def test_a_killed_engine_leaves_a_server_that_is_found_again_by_its_data_folder(data: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from ledger.embedded import EmbeddedServer
EmbeddedServer.start(Path({str(data)!r}), settings={FAST!r})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    with EmbeddedServer.start(data) as found:
        assert not found.started_here
    with EmbeddedServer.start(data) as still_there:
        assert not still_there.started_here
    still_there.stop()
    with EmbeddedServer.start(data, settings=FAST) as anew:
        assert anew.started_here


async def test_a_killed_server_recovers_what_was_committed(data: Path) -> None:
    server = EmbeddedServer.start(data, settings=FAST)
    await _ask(server, "CREATE TABLE kept (n int)")
    await _ask(server, "INSERT INTO kept VALUES (7)")
    os.kill(int((data / "postgresql" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    again = EmbeddedServer.start(data, settings=FAST)
    assert await _ask(again, "SELECT n FROM kept") == 7


def test_several_that_start_one_folder_at_once_share_one_server(data: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        servers = list(pool.map(lambda _: EmbeddedServer.start(data, settings=FAST), range(3)))
    assert sum(server.started_here for server in servers) == 1
    assert len({server.url("authz", "ledger") for server in servers}) == 1


def test_what_a_killed_initdb_left_is_not_taken_for_a_cluster(data: Path) -> None:
    half_made = data / f"{cluster.NEW}x"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    with EmbeddedServer.start(data, settings=FAST) as server:
        assert server.started_here
    assert [path.name for path in data.iterdir()] == ["postgresql"]


@pytest.mark.parametrize("sign", ["*.new-*/PG_VERSION", "*.new-*/base/1", "postgresql", "postgresql/postmaster.pid"])
def test_an_engine_killed_at_any_moment_of_starting_leaves_a_folder_that_starts(data: Path, sign: str) -> None:
    start = f"from ledger.embedded import EmbeddedServer; EmbeddedServer.start(Path({str(data)!r}))"
    process = subprocess.Popen([sys.executable, "-c", f"from pathlib import Path; {start}"])
    while process.poll() is None and not list(data.glob(sign)):
        pass
    process.kill()
    process.wait()
    with EmbeddedServer.start(data, settings=FAST) as server:
        assert asyncio.run(_ask(server, "SELECT 1")) == 1
    server.stop()


async def test_no_value_of_a_statement_reaches_the_log(data: Path) -> None:
    with EmbeddedServer.start(data, settings=FAST | {"log_statement": "all", "log_min_messages": "debug1"}) as server:
        connection = await asyncpg.connect(server.url("postgres", "postgres"))
        await connection.execute("CREATE TABLE t (n int PRIMARY KEY)")
        await connection.execute("INSERT INTO t VALUES ($1)", 900113)
        for wrong, value in (("INSERT INTO t VALUES ($1)", 900113), ("SELECT 1 / ($1 - 900113)", 900113)):
            with pytest.raises(asyncpg.PostgresError):
                await connection.execute(wrong, value)
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("SELECT 'secret900113'::int")
        await connection.close()
    log = (data / "postgresql" / "server.log").read_text()
    assert "ready to accept connections" in log
    assert "900113" not in log


async def test_stopping_is_bounded_though_a_client_stays_and_may_be_repeated(data: Path) -> None:
    server = EmbeddedServer.start(data, settings=FAST)
    connection = await asyncpg.connect(server.url("postgres", "postgres"))
    server.stop()
    server.stop()
    connection.terminate()
    assert not (data / "postgresql" / "postmaster.pid").exists()


def test_removing_leaves_nothing(data: Path) -> None:
    EmbeddedServer.start(data, settings=FAST).remove()
    assert list(data.iterdir()) == []


@AS_ROOT
def test_as_root_a_fresh_folder_is_handed_to_an_unprivileged_account(data: Path) -> None:
    with EmbeddedServer.start(data, settings=FAST) as server:
        assert server.account.uid != 0
        assert data.stat().st_uid == server.account.uid
        assert not (data / "postgresql").is_symlink()


@AS_ROOT
def test_as_root_the_owner_of_a_folder_runs_its_server(data: Path) -> None:
    nobody = ServerAccount.of_uid(65534)
    nobody.own(data)
    with EmbeddedServer.start(data, settings=FAST) as server:
        assert server.account == nobody


@AS_ROOT
def test_as_root_a_folder_with_other_things_in_it_stays_roots(data: Path) -> None:
    (data / "keys").write_text("root's")
    with EmbeddedServer.start(data, settings=FAST) as server:
        assert data.stat().st_uid == 0
        assert (data / "postgresql").stat().st_uid == server.account.uid


@AS_ROOT
async def test_a_folder_that_the_account_cannot_reach_has_its_cluster_elsewhere(
    unreachable: Path, shared: Path
) -> None:
    with EmbeddedServer.start(unreachable, settings=FAST) as server:
        await _ask(server, "CREATE TABLE kept (n int)")
        place = unreachable / "postgresql"
        assert place.is_symlink()
        assert place.resolve().parent == shared / "clusters"
        assert unreachable.parent.stat().st_mode & 0o777 == 0o700
    with EmbeddedServer.start(unreachable, settings=FAST) as found:
        assert await _ask(found, "SELECT to_regclass('kept') IS NOT NULL")
    shutil.rmtree(unreachable)
    with EmbeddedServer.start(unreachable, settings=FAST) as anew:
        assert await _ask(anew, "SELECT to_regclass('kept') IS NULL")
    found.remove()


@AS_ROOT
def test_programs_that_the_account_cannot_reach_are_copied_once(
    data: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries._package()
    private = tmp_path / package.name
    shutil.copytree(package, private, ignore=shutil.ignore_patterns("pginstall", "include", "*.a"))
    shutil.copytree(f"{package}.libs", f"{private}.libs")
    for path in private.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    monkeypatch.setattr(binaries, "_package", lambda: private)

    with EmbeddedServer.start(data, settings=FAST) as server:
        assert server.started_here
        assert server.bin.is_relative_to(shared)
    made = server.bin.stat().st_ctime_ns
    with EmbeddedServer.start(data, settings=FAST) as again:
        assert again.bin.stat().st_ctime_ns == made
    assert len(list(shared.iterdir())) == 1
    assert all(path.stat().st_uid == 0 and not path.stat().st_mode & 0o022 for path in shared.rglob("*"))


@AS_ROOT
def test_as_root_a_link_is_followed_only_to_where_root_puts_clusters(data: Path, shared: Path) -> None:
    with EmbeddedServer.start(data / "one", settings=FAST):
        pass
    (data / "two").mkdir()
    (data / "two" / "postgresql").symlink_to(data / "one" / "postgresql")
    with pytest.raises(cluster.DataFolderForeign, match="leads to"):
        EmbeddedServer.start(data / "two", settings=FAST)
    _remove(data / "one")


def _a_file(data: Path) -> Path:
    (data / "file").write_text("")
    return data / "file"


def _a_cluster_of_its_own(data: Path) -> Path:
    (data / "PG_VERSION").write_text("17\n")
    return data


def _something_else_in_its_place(data: Path) -> Path:
    (data / "postgresql").mkdir()
    return data


@pytest.mark.parametrize("spoil", [_a_file, _a_cluster_of_its_own, _something_else_in_its_place])
def test_a_folder_that_cannot_be_used_is_named_in_one_line(data: Path, spoil: object) -> None:
    assert callable(spoil)
    folder = spoil(data)
    with pytest.raises(EmbeddedError) as caught:
        EmbeddedServer.start(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_program_is_named_in_one_line(data: Path, tmp_path: Path) -> None:
    with pytest.raises(embedded.ProgramsUnusable, match=r"no initdb.*--pg-bin"):
        EmbeddedServer.start(data, pg_bin=tmp_path)


def test_a_server_that_does_not_start_says_why_in_the_last_line_of_its_log(data: Path) -> None:
    with pytest.raises(embedded.ServerNotStarted, match="no_such_setting") as caught:
        EmbeddedServer.start(data, settings=FAST | {"no_such_setting": "1"})
    assert "\n" not in str(caught.value)
    with EmbeddedServer.start(data, settings=FAST) as server:
        assert server.started_here
