"""Letters over SMTP, to the one server that relays them (RFC 5321, 8314).

What a server says may repeat an address: nothing of it leaves this file but its code.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
)

from authz.issuing.outbox.letters import Text
from authz.issuing.outbox.settings import MailSettings
from authz.issuing.person import Person

ANSWER_TIMEOUT_S = 30
"""How long the server may take for each answer."""
CONNECT_AGAIN_AFTER_S = (1.0, 4.0)
"""Pauses before a server that can't be reached is tried again; after the last, the letters wait."""
CLOSING = 421
"""The server's answer to whatever comes, when it goes down."""
PERMANENT = 500
"""Codes from here on say no for good; those below, not now."""


class ServerDown(Exception):
    """The mail server can't be reached, or takes no letters now: they wait."""

    def __str__(self) -> str:
        return type(self).__doc__ or ""


class Undeliverable(Exception):
    """The mail server refuses this letter. `code` is what it answered, 0 where the address itself is no good."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return f"The mail server refuses this letter: {self.code}."

    @property
    def for_good(self) -> bool:
        """Tell whether there is no use in trying again."""
        return self.code == 0 or self.code >= PERMANENT


class Line(Protocol):
    """A connection to the mail server."""

    async def send(self, message: EmailMessage) -> None:
        """Hand a letter over. Raises `Undeliverable`, and `ServerDown`: then it may have been taken or not."""


class Post(Protocol):
    """The way to the mail server."""

    def open(self) -> AbstractAsyncContextManager[Line]:
        """Connect, for a few letters. Raises `ServerDown`."""


def addressed(text: Text, person: Person, sender: str, name: str, at: datetime) -> EmailMessage:
    """Put a letter into its envelope, named `name` for good. Raises `Undeliverable` for an address that is none."""
    message = EmailMessage()
    message["From"] = sender
    message["Date"] = format_datetime(at)
    message["Message-ID"] = name
    message["Auto-Submitted"] = "auto-generated"
    try:
        local, _, domain = person.email.rpartition("@")
        message["To"] = Address(f"{person.first_name} {person.last_name}", local, domain.encode("idna").decode())
        message["Subject"] = " ".join(text.subject.splitlines())
        message.set_content(text.body)
    except (ValueError, IndexError, MessageError):
        raise Undeliverable(0) from None
    return message


class SmtpPost:
    """The way to a real server."""

    def __init__(self, settings: MailSettings, connect_again_after_s: Sequence[float] = CONNECT_AGAIN_AFTER_S) -> None:
        self._settings = settings
        self._pauses = connect_again_after_s

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Line]:
        """Connect, trying a few times. A connection on which something went wrong is dropped without a goodbye."""
        server = await self._connected()
        try:
            yield _SmtpLine(server)
            with suppress(SMTPException, OSError):
                await server.quit()
        finally:
            server.close()

    async def _connected(self) -> SMTP:
        for pause in self._pauses:
            with suppress(ServerDown):
                return await self._connect()
            await asyncio.sleep(pause)
        return await self._connect()

    async def _connect(self) -> SMTP:
        settings = self._settings
        server = SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.user,
            password=settings.password,
            timeout=ANSWER_TIMEOUT_S,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=settings.authority,
        )
        try:
            await server.connect()
        except (SMTPException, OSError, ValueError):  # of certificates too
            server.close()
            raise ServerDown from None
        return server


class _SmtpLine:
    def __init__(self, server: SMTP) -> None:
        self._server = server

    async def send(self, message: EmailMessage) -> None:
        """Hand a letter over."""
        try:
            await self._server.send_message(message)
        except SMTPRecipientsRefused as refused:
            raise _refusal(max(one.code for one in refused.recipients)) from None
        except SMTPDataError as refused:
            raise _refusal(refused.code) from None
        except (SMTPNotSupported, ValueError):
            raise Undeliverable(0) from None
        except (SMTPException, OSError):  # of the sender, or of the whole connection
            raise ServerDown from None


def _refusal(code: int) -> ServerDown | Undeliverable:
    return ServerDown() if code == CLOSING else Undeliverable(code)
