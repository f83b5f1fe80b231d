"""The wheel is all that an installation needs: built, put into an empty environment, run in an empty folder."""

import hashlib
import os
import re
import shutil
import signal
import site
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from ledger.embedded import EmbeddedServer
from tests.acceptance.authorizer import EXIT_MAX_S, TUESDAY, eventually

ROOT = Path(__file__).parents[2]
PACKAGES = ("authz", "ledger", "simulators")
PAY = ("--pan", "9250100000000014", "--terminal", "PAR00001", "--pin", "1234", "--amount", "12.50", "--clock", TUESDAY)
_READY = re.compile(r"^ready iso8583=127\.0\.0\.1:(\d+) http=127\.0\.0\.1:(\d+) database=(\S+)$", re.MULTILINE)


class Built(Struct, frozen=True):
    wheel: Path
    source: Path


def build(root: Path, into: Path, *kinds: str) -> Path:
    """Build, with nothing but what is installed already; return the folder."""
    subprocess.run(
        [
            sys.executable,
            "-m",
            "hatchling",
            "build",
            "--directory",
            into,
            *(word for kind in kinds for word in ("-t", kind)),
        ],
        cwd=root,
        check=True,
        capture_output=True,
    )
    return into


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A wheel and an sdist of the checkout."""
    folder = build(ROOT, tmp_path_factory.mktemp("dist"), "wheel", "sdist")
    [wheel], [source] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, source)


def contents(wheel: Path) -> dict[str, str]:
    """Digests of a wheel's files by name."""
    with zipfile.ZipFile(wheel) as opened:
        return {name: hashlib.sha256(opened.read(name)).hexdigest() for name in opened.namelist()}


def tracked() -> set[str]:
    """What git knows of the packages, as far as it is there."""
    done = subprocess.run(["git", "ls-files", "-z", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no git here")
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}


def test_every_file_of_the_packages_is_in_the_wheel_with_its_data(built: Built) -> None:
    names = contents(built.wheel).keys()
    assert tracked() <= names
    kinds = {Path(name).suffix for name in names}
    assert {".sql", ".toml", ".j2", ".tcss", ".typed", ".service", ".sh"} <= kinds


def test_nothing_else_is_in_it(built: Built) -> None:
    foreign = {name for name in contents(built.wheel) if not name.startswith(tuple(f"{one}/" for one in PACKAGES))}
    assert {name.partition("/")[0].partition("-")[0] for name in foreign} == {"authz"}
    assert all(".dist-info/" in name for name in foreign)
    assert not [name for name in contents(built.wheel) if "__pycache__" in name or name.startswith(("tests", ".env"))]


def test_the_sdist_builds_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.source) as archive:
        archive.extractall(tmp_path, filter="data")
    [root] = tmp_path.iterdir()
    [again] = build(root, tmp_path / "dist", "wheel").iterdir()
    assert contents(again) == contents(built.wheel)


@pytest.fixture(scope="module")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what it depends on is lent to it by this one, without the checkout."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    uv = Path(sys.executable).with_name("uv")
    install = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-cache",
        "--no-deps",
        "--python",
        folder / "bin/python",
    ]
    subprocess.run([*install, built.wheel], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    # A path that a .pth file names is searched, its own .pth files aren't read: the checkout stays out of reach.
    (packages / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder


def used(folder: Path, empty: Path) -> None:
    """Serve, pay, ask for health, and end, by the commands of an environment, in an empty folder."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    where = [
        folder / "bin/python",
        "-c",
        "import authz, ledger, simulators as s; print(authz.__file__, ledger.__file__, s.__file__)",
    ]
    places = subprocess.run(where, cwd=empty, env=clean, check=True, capture_output=True, text=True).stdout.split()
    assert all(Path(place).is_relative_to(folder) for place in places)

    output, errors = empty.with_suffix(".out"), empty.with_suffix(".err")
    serve = [folder / "bin/authz", "serve", "--demo", "--port", "0", "--http-port", "0", "--clock", TUESDAY]
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(serve, cwd=empty, env=clean, stdout=out, stderr=err)
    try:
        eventually(lambda: _READY.search(output.read_text()) or process.poll() is not None)
        ready = _READY.search(output.read_text())
        assert ready, errors.read_text()
        pay = [folder / "bin/simulate", "pay", "--port", ready[1], *PAY]
        paid = subprocess.run(
            pay, cwd=empty, env=clean | {"HOME": str(empty)}, capture_output=True, text=True, check=False
        )
        assert paid.returncode == 0, paid.stderr
        assert "APPROUVÉ" in paid.stdout
        process.send_signal(signal.SIGTERM)
        assert process.wait(EXIT_MAX_S) == 0
    finally:
        process.kill()
        process.wait()
    assert (empty / "authz-data").is_dir()


@pytest.fixture
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder outside the checkout; a server that is left in it is removed."""
    folder = tmp_path_factory.mktemp("empty")
    assert not folder.is_relative_to(ROOT)
    yield folder
    if (data := folder / "authz-data").exists():
        EmbeddedServer.start(data).remove()
    shutil.rmtree(folder, ignore_errors=True)


def test_the_installed_commands_serve_and_pay_in_an_empty_folder(environment: Path, empty: Path) -> None:
    assert not any(place.startswith(str(ROOT / "authz")) for place in site.getsitepackages())
    used(environment, empty)


@pytest.mark.soak
@pytest.mark.skipif(os.environ.get("SOAK") != "1", reason="the long form runs by `make soak`")
@pytest.mark.timeout(900)
def test_pip_installs_the_wheel_with_all_that_it_needs(
    built: Built, empty: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As docs/install.md has it: an empty environment, one command. It asks a package index."""
    folder = tmp_path_factory.mktemp("true") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", built.wheel], check=True)
    used(folder, empty)
