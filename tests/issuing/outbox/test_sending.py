"""Letters over a real SMTP connection: encrypted, signed on, and refused in every way (RFC 5321, 3207, 4954)."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from authz.issuing.outbox.letters import Text
from authz.issuing.outbox.sending import Line, ServerDown, SmtpPost, Undeliverable, addressed
from tests.issuing.outbox.mailroom import LEA_FR, SENDER, MailServer, text_of
from tests.links.certificates import Authority

PASSWORD = "correct horse"
MESSAGE = addressed(Text("Été", "Ça va.\n"), LEA_FR, SENDER, "<0.7.0@example.org>", datetime(2026, 5, 12, tzinfo=UTC))


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    server = MailServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
async def guarded(authority: Authority) -> AsyncIterator[MailServer]:
    """A server with STARTTLS and a password."""
    own = authority.certify("mail.example.org")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    server = MailServer(context, PASSWORD)
    await server.start()
    yield server
    await server.stop()


async def send(server: MailServer, times: int = 1, **changes: Any) -> None:
    async with SmtpPost(server.settings(**changes), ()).open() as line:
        for _ in range(times):
            await line.send(MESSAGE)


async def test_letters_of_one_connection_arrive_as_they_are(server: MailServer) -> None:
    await send(server, times=3)
    assert (server.connections, len(server.letters)) == (1, 3)
    assert server.recipients == [LEA_FR.email] * 3
    assert (server.subjects[0], text_of(server.letters[0])) == ("Été", "Ça va.\n")
    assert server.letters[0]["To"] == "Léa Roy-Ångström <lea.roy@example.org>"


async def test_over_starttls_with_a_password(guarded: MailServer, authority: Authority) -> None:
    trusted = ssl.create_default_context(cafile=authority.file)
    await send(guarded, tls="starttls", user="cards", password=PASSWORD, authority=trusted)
    assert (guarded.users, guarded.subjects) == (["cards"], ["Été"])


@pytest.mark.parametrize(
    "changes",
    [{"tls": "starttls"}, {"tls": "tls"}, {"tls": "starttls", "user": "cards", "password": "wrong"}],
    ids=["certificate that nobody vouches for", "no TLS from the first byte", "wrong password"],
)
async def test_a_server_that_is_not_as_it_should_be_gets_nothing(
    guarded: MailServer, authority: Authority, changes: dict[str, Any]
) -> None:
    if "password" in changes:
        changes |= {"authority": ssl.create_default_context(cafile=authority.file)}
    with pytest.raises(ServerDown) as down:
        await send(guarded, **changes)
    assert down.value.__cause__ is None
    assert not guarded.letters


async def test_a_server_without_starttls_is_not_sent_to_in_clear(server: MailServer) -> None:
    with pytest.raises(ServerDown):
        await send(server, tls="starttls")
    assert not server.letters


async def test_one_that_cannot_be_reached_is_tried_again_and_then_waited_for(server: MailServer) -> None:
    await server.stop()
    with pytest.raises(ServerDown):
        async with SmtpPost(server.settings(), (0, 0)).open():
            pass
    await server.start()
    await send(server)
    assert server.subjects == ["Été"]


@pytest.mark.parametrize(
    ("answer", "for_good"), [("550 5.1.1 no such user lea.roy@example.org", True), ("450 4.2.0 later", False)]
)
@pytest.mark.parametrize("where", ["RCPT", "DATA"])
async def test_a_refusal_is_of_one_letter_and_says_nothing_but_its_code(
    server: MailServer, answer: str, where: str, *, for_good: bool
) -> None:
    if where == "RCPT":
        server.answers[LEA_FR.email] = [answer]
    else:
        server.at_data = [answer]
    async with SmtpPost(server.settings(), ()).open() as line:
        refused = await refusal(line)
        assert (refused.code, refused.for_good) == (int(answer[:3]), for_good)
        assert "@" not in f"{refused!r} {refused}"
        assert refused.__suppress_context__
        await line.send(MESSAGE)
    assert len(server.letters) == 1


async def test_a_domain_in_other_letters_is_reached_by_any_server(server: MailServer) -> None:
    """RFC 5890. Other letters before the @ need a server that takes them (RFC 6531)."""
    at = datetime(2026, 5, 12, tzinfo=UTC)
    to = structs.replace(LEA_FR, email="lea@münchen.example")
    async with SmtpPost(server.settings(), ()).open() as line:
        await line.send(addressed(Text("Été", "Ça va."), to, SENDER, "<0.7.0@example.org>", at))
        to = structs.replace(LEA_FR, email="léa@example.org")
        with pytest.raises(Undeliverable):
            await line.send(addressed(Text("Été", "Ça va."), to, SENDER, "<0.7.0@example.org>", at))
    assert server.recipients == ["lea@xn--mnchen-3ya.example"]


async def refusal(line: Line) -> Undeliverable:
    with pytest.raises(Undeliverable) as refused:
        await line.send(MESSAGE)
    return refused.value


async def test_a_server_that_goes_down_refuses_no_letter(server: MailServer) -> None:
    server.at_data = ["421 4.3.2 shutting down"]
    with pytest.raises(ServerDown):
        await send(server)


async def test_dropping_a_letter_does_not_wait_for_a_server_that_hangs(server: MailServer) -> None:
    """Ending the process cancels what it sends."""
    hangs, reached = asyncio.Event(), asyncio.Event()

    async def hang(*_: Any) -> str:
        reached.set()
        await hangs.wait()
        return "250 OK"

    server.handle_DATA = hang  # type: ignore[method-assign, assignment]
    sending = asyncio.create_task(send(server))
    await reached.wait()
    sending.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError):
            await sending
    hangs.set()


def test_no_repr_shows_the_password() -> None:
    settings = MailServer().settings(user="cards", password=PASSWORD)
    assert PASSWORD not in repr(settings) + str(list(settings.__rich_repr__()))
