"""The master key, and the keys that are sealed under it: text for a configuration file that gives nothing away.

The master is 64 hexadecimal digits in a file that only its owner reads, or in an environment variable. It seals no
card and no message, only other keys: those stand in the configuration as `sealed:` and base64, each for one owner and
name, so that none can be put in another's place.
"""

import os
import stat
import tempfile
from base64 import b64decode, b64encode
from collections.abc import MutableMapping
from pathlib import Path
from secrets import token_bytes

from authz.security.keyblock import KeyKind
from authz.security.keys import hexadecimal, require_length
from authz.security.module import Sealed, SecurityError
from authz.security.sealing import HEADER_BYTES, Seals, key_of

MARK = "sealed:"
"""How the text of a sealed key begins."""
MASTER_VARIABLE = "AUTHZ_MASTER_KEY"
MASTER_BYTES = 32
MASTER_FILE_BYTES_MAX = 1_024
OTHERS, EVERYBODY = 0o077, 0o007
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts a service's credentials: for its account alone, by an access list, which looks like a group's."""
"""The permissions of everybody but a file's owner."""


class KeyFileRefused(SecurityError):
    """A file with keys can't be read, or others can read it too: the message says which, and what to do."""


class MasterMissing(SecurityError):
    """No master key is named: use --master-key-file, `[master] file` in the configuration, or AUTHZ_MASTER_KEY."""


class MasterWrong(SecurityError):
    """A key was sealed under another master key. The message has the check values of both."""


class Master:
    """Seals the keys of a configuration, and opens them. `check_value` names it to people."""

    __slots__ = ("_seals", "check_value")

    def __init__(self, key: bytes) -> None:
        require_length("master", key)
        self._seals = Seals([key])
        self.check_value = KeyKind.AES.check_value(key)

    def seal(self, owner: str, name: str, key: bytes) -> str:
        """Write a key of that owner and name as text for a configuration. Raises `KeyMalformed`."""
        require_length(name, key)
        return MARK + b64encode(self._seals.seal(key, _context(owner, name))).decode()

    def open(self, owner: str, name: str, text: str) -> bytes:
        """Read the key of that owner and name from its sealed text. Raises `MasterWrong` and `Sealed`."""
        try:
            sealed = b64decode(text.removeprefix(MARK), validate=True)
        except ValueError:
            raise Sealed(f"{name} of {owner} isn't whole: it must be `{MARK}` and base64") from None
        other = key_of(sealed[:HEADER_BYTES])
        if other is not None and other != self.check_value:
            raise MasterWrong(
                f"{name} of {owner} is sealed under master key {other}, and this one is {self.check_value}: "
                "name the right one"
            )
        try:
            return self._seals.unseal(sealed, _context(owner, name))
        except Sealed:
            raise Sealed(
                f"{name} of {owner} doesn't open: it was sealed for another place, or altered; seal the key again"
            ) from None


def find_master(file: Path | None, environment: MutableMapping[str, str] = os.environ) -> Master | None:
    """Read the master key from its file or, where none is named, from the environment; None where it is in neither.

    It is taken out of the environment, so that no child process inherits it. Raises `KeyFileRefused`, `KeyMalformed`.
    """
    inherited = environment.pop(MASTER_VARIABLE, None)
    if file is not None:
        return read_master(file)
    return None if inherited is None else Master(hexadecimal("master", inherited.strip()))


def read_master(file: Path) -> Master:
    """Read the master key from its file. Raises `KeyFileRefused` and `KeyMalformed`."""
    text = read_private(file, MASTER_FILE_BYTES_MAX).decode(errors="replace")
    return Master(hexadecimal("master", text.strip()))


def create_master(file: Path) -> Master:
    """Generate a master key, in a new file that only its owner reads. Raises `KeyFileRefused`."""
    key = token_bytes(MASTER_BYTES)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(f"{key.hex()}\n")
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise KeyFileRefused(f"{file} can't be made: {error.strerror}") from None
    return Master(key)


def read_private(file: Path, bytes_max: int = -1) -> bytes:
    """Read a file that holds keys, at most so much of it. Raises `KeyFileRefused` unless its owner alone can read it.

    The owner is this process's account, or root.
    """
    try:
        with file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            if status.st_mode & (EVERYBODY if str(file.parent) == os.environ.get(CREDENTIALS) else OTHERS):
                mode = f"{status.st_mode & 0o7777:04o}"
                raise KeyFileRefused(f"{file} can be read by others than its owner (mode {mode}): chmod 600 {file}")
            if status.st_uid not in (os.geteuid(), 0):
                raise KeyFileRefused(
                    f"{file} belongs to another account (uid {status.st_uid}): make it the one that runs this, or root"
                )
            return opened.read(bytes_max)
    except OSError as error:
        raise KeyFileRefused(f"{file} can't be read: {error.strerror}") from None


def replace_private(path: Path, text: str) -> None:
    """Write a file anew, with its mode and owner: after a crash at any moment it is there, old or new, and whole.

    Raises `OSError`.
    """
    status = path.stat()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _context(owner: str, name: str) -> bytes:
    """Say what a key is sealed for. No name has a space in it: two contexts are the same only for the same place."""
    return f"authz configuration key {name} of {owner}".encode()
