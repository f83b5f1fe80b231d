"""The files of an embedded PostgreSQL: found in a data folder, or made there. A cluster that exists is whole.

As root, a cluster belongs to an unprivileged account. Where that account can't reach the data folder, the cluster lies
below `CLUSTERS`, and `DATA/postgresql` is a link to it.
"""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ledger.account import ServerAccount
from ledger.binaries import SHARED

SUPERUSER = "postgres"
NAME = "postgresql"
"""The cluster's name in the data folder."""
NEW = f"{NAME}.new-"
"""How a cluster's name begins while it is being made."""
CLUSTERS = SHARED / "clusters"

INITDB_TIMEOUT_S = 120
LOCK_TIMEOUT_S = 180
"""As long as another process may take to make and start a cluster."""
POLL_S = 0.02

_DISK = re.compile("No space left on device|Disk quota exceeded|Read-only file system|File too large")


class EmbeddedError(Exception):
    """The embedded PostgreSQL can't be used."""


class DataFolderUnusable(EmbeddedError):
    """The data folder can't be used."""


class DataFolderForeign(EmbeddedError):
    """The data folder holds something that isn't an embedded cluster of this product."""


class ClusterNotMade(EmbeddedError):
    """PostgreSQL's initdb failed."""


@contextlib.contextmanager
def locked(data: Path) -> Iterator[None]:
    """Keep other processes from making or starting the cluster of the same folder."""
    descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise DataFolderUnusable(f"{data} is being started by another process: try again later") from None
                time.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)


def existing(data: Path) -> Path | None:
    """Find a data folder's cluster. Raises `DataFolderForeign` for anything else in its place."""
    if (data / "PG_VERSION").exists():
        raise DataFolderForeign(f"{data} is a PostgreSQL cluster of its own: name another folder, or use --database")
    place = data / NAME
    if not os.path.lexists(place):
        return None
    cluster = place.resolve()
    root = os.geteuid() == 0
    if not (cluster / "PG_VERSION").is_file():
        raise DataFolderForeign(f"{place} isn't a PostgreSQL cluster: name another folder, or move it away")
    owner = cluster.stat().st_uid
    if (owner == 0) if root else (owner != os.geteuid()):
        raise DataFolderForeign(f"{cluster} belongs to another account: run as the one that made it")
    if root and place.is_symlink() and cluster.parent != CLUSTERS:
        raise DataFolderForeign(f"{place} leads to {cluster}, where root has put no cluster: name that folder's parent")
    return cluster


def make(data: Path, account: ServerAccount, bin_folder: Path, *, sync: bool) -> Path:
    """Make a data folder's cluster, which bears its name only once it is whole. Raises `ClusterNotMade`, OSError.

    `sync`: see it on the disk before it is called whole. A fresh folder of root's is handed to the account.
    """
    for left in data.glob(f"{NEW}*"):
        shutil.rmtree(left, ignore_errors=True)
    if not any(data.iterdir()) and data.stat().st_uid == os.geteuid():
        account.own(data)
    near = account.reaches(data)
    if not near:
        CLUSTERS.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=NEW, dir=data) if near else tempfile.mkdtemp(prefix="", dir=CLUSTERS))
    place = data / NAME
    try:
        account.own(new)
        _initdb(new, account, bin_folder, sync=sync)
        if near:
            new.rename(place)
            return place
        place.symlink_to(new)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return new


def last_line(text: str) -> str:
    r"""Return the last line of a server's words that tells of an error, or else the last, without time and process.

    What the disk refused prevails: other errors follow from it.

    >>> last_line("2026-05-12 10:30:00.000 UTC [7] FATAL:  no room\n2026-05-12 10:30:00.001 UTC [7] LOG:  bye")
    'no room'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip() and "contains errors" not in line]
    disk = [line for line in lines if _DISK.search(line)]
    telling = [line for line in lines if re.search("FATAL|PANIC|error", line)]
    last = (disk or telling or lines or ["it left no word why"])[-1]
    return re.sub(r"^.*?\] (LOG|FATAL|PANIC): +", "", last)


def _initdb(cluster: Path, account: ServerAccount, bin_folder: Path, *, sync: bool) -> None:
    text = ["--locale=C", "--encoding=UTF8", "--data-checksums"]
    access = [f"--username={SUPERUSER}", "--auth-local=peer", "--auth-host=reject"]
    haste = [] if sync else ["--no-sync"]
    done = account.run([bin_folder / "initdb", *text, *access, *haste, "-D", cluster], timeout_s=INITDB_TIMEOUT_S)
    if done.returncode:
        raise ClusterNotMade(f"no database could be made in {cluster}: {last_line(done.stderr)}")
