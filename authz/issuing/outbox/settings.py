"""The mail server in the configuration: as the file has it, and as letters are sent to it."""

import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from authz.security.master import read_private

SUBMISSION_PORT = 587
PASSWORD_BYTES_MAX = 1_024

Protection = Literal["starttls", "tls", "none"]
"""How a connection is encrypted: once it stands, from its first byte, or not at all."""


class MailUnusable(Exception):
    """The mail server's password or authority can't be read: the message says which file and why."""


class MailSettings(Struct, frozen=True):
    """The mail server, and what letters say: whom they are from, and the `link` at which people find more.

    `authority` trusts other certificates than the system does. Its repr shows no password.
    """

    host: str
    sender: str
    link: str
    port: int = SUBMISSION_PORT
    tls: Protection = "starttls"
    user: str | None = None
    password: str | None = None
    authority: ssl.SSLContext | None = None

    @property
    def domain(self) -> str:
        """The sender's: letters are named in it."""
        return self.sender.rpartition("@")[2]

    def __repr__(self) -> str:
        return f"MailSettings({self.host!r}, …)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("host", self.host)]


class MailTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The mail server as the file has it. `password_file` and `authority` stand beside the configuration."""

    host: str
    sender: Annotated[str, Meta(pattern=r"^[!-?A-~]+@[!-?A-~]+$(?!\n)")]
    link: Annotated[str, Meta(pattern=r"^https?://[!-~]+$(?!\n)")]
    port: Annotated[int, Meta(gt=0, lt=65_536)] = SUBMISSION_PORT
    tls: Protection = "starttls"
    user: str | None = None
    password_file: str | None = None
    authority: str | None = None

    def __post_init__(self) -> None:
        """Refuse what doesn't go together. Raises `ValueError`."""
        if (self.user is None) is not (self.password_file is None):
            raise ValueError("[mail] user and password_file go together")
        if self.tls == "none" and not _is_loopback(self.host):
            raise ValueError('[mail] tls = "none" is for a server on this machine: letters have access links in them')

    def settings(self, folder: Path) -> MailSettings:
        """Read the files that it names. Raises `MailUnusable`, and `KeyFileRefused` where others can read one."""
        return MailSettings(
            host=self.host,
            sender=self.sender,
            link=self.link,
            port=self.port,
            tls=self.tls,
            user=self.user,
            password=None if self.password_file is None else _password(folder / self.password_file),
            authority=None if self.authority is None else _trusting(folder / self.authority),
        )


def _password(file: Path) -> str:
    try:
        return read_private(file, PASSWORD_BYTES_MAX).decode().strip()
    except UnicodeDecodeError:
        raise MailUnusable(f"{file}: it isn't UTF-8") from None


def _trusting(file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except ssl.SSLError as error:
        raise MailUnusable(f"{file}: no certificate in PEM ({error.reason})") from None
    except OSError as error:
        raise MailUnusable(f"{file}: {error.strerror}") from None


def _is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
