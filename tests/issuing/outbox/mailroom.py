"""A mail server on this machine that keeps what it is sent, and outboxes that send to it."""

import asyncio
import ssl
from collections.abc import Sequence
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from msgspec import structs

from authz.issuing.issuer import Issuer
from authz.issuing.outbox.outbox import Outbox
from authz.issuing.outbox.sending import SmtpPost
from authz.issuing.outbox.settings import MailSettings
from authz.issuing.person import Person
from ledger.values import Partition

SENDER, LINK = "cards@example.org", "https://cards.example.org/"
HASTE = 1_000_000.0
"""Letters a second."""


class MailServer:
    """A real server. `answers` are what it says at RCPT to an address, once each; `at_data` to any content."""

    def __init__(self, tls: ssl.SSLContext | None = None, password: str | None = None, **options: Any) -> None:
        self.letters: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.users: list[str] = []
        self.answers: dict[str, list[str]] = {}
        self.at_data: list[str] = []
        self.connections = 0
        self.port = 0
        self._tls = tls
        self._password = password
        self._options = options
        self._server: asyncio.Server | None = None

    @property
    def subjects(self) -> list[str]:
        return [one["Subject"] for one in self.letters]

    @property
    def names(self) -> list[str]:
        return [one["Message-ID"] for one in self.letters]

    async def start(self) -> None:
        """Listen, on the port that it had before if it had one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        answers = self.answers.get(address, [])
        if answers:
            return answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802
        if self.at_data:
            return self.at_data.pop(0)
        message = message_from_bytes(envelope.content, policy=SMTP_POLICY)
        assert isinstance(message, EmailMessage)
        self.letters.append(message)
        self.recipients += envelope.rcpt_tos
        return "250 OK"

    def _session(self) -> SMTP:
        self.connections += 1
        return SMTP(
            self,
            hostname="mail.example.org",
            tls_context=self._tls,
            require_starttls=self._tls is not None,
            authenticator=None if self._password is None else self._authenticate,
            auth_required=self._password is not None,
            **self._options,
        )

    def _authenticate(self, _: Any, __: Any, ___: Any, mechanism: str, data: Any) -> AuthResult:
        good = data.password.decode() == self._password
        if good:
            self.users.append(data.login.decode())
        return AuthResult(success=good, handled=False)

    def settings(self, **changes: Any) -> MailSettings:
        settings = MailSettings("127.0.0.1", SENDER, LINK, self.port, "none")
        return structs.replace(settings, **changes)

    def outboxes(self, issuer: Issuer, metrics: Any, partitions: int = 1) -> Sequence[Outbox]:
        """One outbox a partition, of one process, in haste."""
        settings = self.settings()
        return [
            Outbox(issuer, Partition(number), settings, metrics, SmtpPost(settings, ()), HASTE)
            for number in range(partitions)
        ]


def text_of(letter: EmailMessage) -> str:
    """The body as it is read."""
    body = letter.get_content()
    assert isinstance(body, str)
    return body.replace("\r\n", "\n")


LEA_FR = Person("Léa", "Roy-Ångström", "lea.roy@example.org", "fr")
