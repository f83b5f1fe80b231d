"""The operating-system account that an embedded server runs under: PostgreSQL refuses root."""

import os
import pwd
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from msgspec import Struct

UNPRIVILEGED_NAMES = ("postgres", "nobody")
"""Whom root hands a data folder of its own to: the first that exists."""


class NoSuchAccount(Exception):
    """The operating system knows no account that could run a database server."""


class ServerAccount(Struct, frozen=True):
    """An account of the operating system, in which server programs run and server files are written."""

    name: str
    uid: int
    gid: int

    @classmethod
    def of_uid(cls, uid: int) -> Self:
        """Find the account of a number. Raises `NoSuchAccount`."""
        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            raise NoSuchAccount(f"user {uid} has no entry in /etc/passwd: add one, or run as a user who has") from None
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)

    @classmethod
    def for_folder(cls, folder: Path) -> Self:
        """Choose who runs a server on a folder: oneself; where that is root, the folder's owner or nobody special."""
        if os.geteuid() != 0:
            return cls.of_uid(os.geteuid())
        if owner := folder.stat().st_uid:
            return cls.of_uid(owner)
        known = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
        for name in UNPRIVILEGED_NAMES:
            if name in known:
                return cls.of_uid(known[name])
        raise NoSuchAccount(f"root needs an unprivileged account for PostgreSQL: add one named {UNPRIVILEGED_NAMES[0]}")

    def run(
        self, command: Sequence[str | Path], *, timeout_s: float, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this account, in `/`, without the caller's PG* variables, in the C locale.

        Raises OSError where the account can't execute it, `subprocess.TimeoutExpired` when it takes too long.
        """
        root = os.geteuid() == 0
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return subprocess.run(  # noqa: S603  the programs are ours or the shell
            command,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            cwd="/",
            env=environment | {"LC_ALL": "C"},
            umask=0o077,
            user=self.uid if root else None,
            group=self.gid if root else None,
            extra_groups=[] if root else None,
        )

    def reaches(self, folder: Path) -> bool:
        """Tell whether the account can enter a folder: every folder above it must let it through."""
        return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder], timeout_s=10).returncode == 0

    def executes(self, program: Path) -> bool:
        """Tell whether the account can run a program, with the libraries that it needs."""
        try:
            return self.run([program, "--version"], timeout_s=10).returncode == 0
        except OSError:
            return False

    def write(self, path: Path, content: str) -> None:
        """Write a file, whole or not at all. Raises OSError.

        Written by the account itself: root writing into a folder of another's could be led elsewhere by a link.
        """
        script = 'cat > "$1.new" && mv -f "$1.new" "$1"'
        done = self.run(["/bin/sh", "-c", script, "sh", path], timeout_s=10, text=content)
        if done.returncode:
            raise OSError(done.stderr.strip())

    def own(self, folder: Path) -> None:
        """Hand over a folder (no link). Nothing to do where it is one's own."""
        if os.geteuid() == 0:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                os.fchown(descriptor, self.uid, self.gid)
            finally:
                os.close(descriptor)
