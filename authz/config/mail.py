"""The mail server in the configuration, as the file has it."""

import ssl
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from authz.config.links import is_loopback
from authz.issuing.outbox.settings import (
    PASSWORD_BYTES_MAX,
    SUBMISSION_PORT,
    MailSettings,
    MailUnusable,
    Protection,
)
from authz.security.master import read_private


class MailTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Alerts by e-mail; without the table there are none."""

    host: str
    """The mail server."""
    sender: Annotated[str, Meta(pattern=r"^[!-?A-~]+@[!-?A-~]+$(?!\n)")]
    """The address that letters are from."""
    link: Annotated[str, Meta(pattern=r"^https?://[!-~]+$(?!\n)")]
    """Where letters send people to."""
    port: Annotated[int, Meta(gt=0, lt=65_536)] = SUBMISSION_PORT
    """The server's port."""
    tls: Protection = "starttls"
    """`starttls`: encrypted once the connection stands; `tls`: from its first byte; `none`: for a server on this
    machine only."""
    user: str | None = None
    """Whom the server knows the authorizer as; goes with `password_file`."""
    password_file: str | None = None
    """The file with the user's password: its owner's alone to read (0600)."""
    authority: str | None = None
    """A PEM file of certificates that are trusted in place of the system's authorities."""

    def __post_init__(self) -> None:
        """Refuse what doesn't go together. Raises `ValueError`."""
        if (self.user is None) is not (self.password_file is None):
            raise ValueError("[mail] user and password_file go together")
        if self.tls == "none" and not is_loopback(self.host):
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
