"""The mail server that letters are sent to. What the configuration says of it is in `authz.config.mail`."""

import ssl
from typing import Any, Literal

from msgspec import Struct

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
