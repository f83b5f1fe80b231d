"""TLS on a link: who may use it, and what those who may not cost."""

import asyncio
import gc
import logging
import ssl
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.links import server
from authz.links.link import Terms
from authz.links.tls import Tls, load, names_of
from tests.links.certificates import Authority, Certified
from tests.links.lines import ACQUIRER, HOST, Client, Line, approve, network, purchase, until
from tests.links.loops import on_both_loops_of

NAME = "host.acquirer.example"
PAST = timedelta(days=-1)


class SecuredLine(Line):
    """A link that one acquirer's host may use, and the certificates of that host and of others."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.other_authority = Authority(folder, "authority"), Authority(folder, "another")
        own = self.authority.certify("authorizer.example")
        self.right = self.authority.certify(NAME, NAME)
        super().__init__(Terms(ACQUIRER), tls=load(own.certificate, own.key, self.authority.file, NAME))

    async def join(self, shown: Certified | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Client:
        return await self.connect(self.authority.client(shown, version))

    async def refuses(self, why: str, *shown: Any) -> None:
        """Who joins so is turned away, counted, logged in one word; what they sent at once reaches nothing."""

        async def pay() -> None:
            await (await self.join(*shown)).ask(purchase(1))

        with pytest.raises((EOFError, OSError)):
            await pay()
        await until(lambda: self.closed(why))
        assert self.logged == [("link closed", {"acquirer": ACQUIRER, "why": why})]
        await self.is_unharmed()

    async def is_unharmed(self) -> None:
        """Nothing was asked of the engine, no place is held, and who may use the link does."""
        assert self.engine.asked.empty()
        await until(lambda: not self.server._by_address)
        assert self.counted("authz_link_connections", link=ACQUIRER) == 0
        self.engine.script = approve
        assert (await (await self.join(self.right)).ask(purchase(2))).response_code == "00"


@asynccontextmanager
async def secured_line() -> AsyncIterator[SecuredLine]:
    with tempfile.TemporaryDirectory() as folder:
        line = SecuredLine(Path(folder))
        await line.server.start(HOST, 0)
        try:
            yield line
        finally:
            await line.end()


on_both_loops = on_both_loops_of(secured_line)


@contextmanager
def handshakes_of_at_most(seconds: float) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "HANDSHAKE_MAX_S", seconds)
        yield


@on_both_loops
async def test_the_acquirers_host_pays_and_is_echoed(line: SecuredLine) -> None:
    line.engine.script = approve
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = await line.join(line.right, version)
        client.send(*(purchase(trace) for trace in range(1, 301)))
        assert {(await client.hear()).trace for _ in range(300)} == {f"{trace:06}" for trace in range(1, 301)}
        assert (await client.ask(network("301"))).response_code == "00"
    assert line.counted("authz_link_connections", link=ACQUIRER) == 2


@on_both_loops
async def test_another_certificate_of_the_same_authority_is_refused(line: SecuredLine) -> None:
    await line.refuses("client_name_wrong", line.authority.certify("other.acquirer.example", "other.acquirer.example"))


@on_both_loops
async def test_the_right_name_from_another_authority_is_refused(line: SecuredLine) -> None:
    await line.refuses("certificate_refused", line.other_authority.certify(NAME, NAME))


@on_both_loops
async def test_an_expired_certificate_is_refused(line: SecuredLine) -> None:
    await line.refuses("certificate_refused", line.authority.certify(NAME, NAME, left=PAST))


@on_both_loops
async def test_a_client_without_a_certificate_is_refused(line: SecuredLine) -> None:
    await line.refuses("certificate_refused", None)


@on_both_loops
async def test_tls_before_1_2_is_refused(line: SecuredLine) -> None:
    await line.refuses("handshake_failed", line.right, ssl.TLSVersion.TLSv1_1)


@on_both_loops
async def test_plain_tcp_is_refused(line: SecuredLine) -> None:
    client = await line.connect()
    client.send(purchase(1))
    assert b"0210" not in await client.reader.read(), "an alert of TLS, at most"
    await until(lambda: line.closed("handshake_failed"))
    await line.is_unharmed()


@on_both_loops
async def test_a_handshake_that_never_ends_is_ended_and_hinders_nobody_meanwhile(line: SecuredLine) -> None:
    """Silent, or stuck in the middle: each holds a place of its address until its time is over."""
    line.engine.script = approve
    with handshakes_of_at_most(0.5):
        silent, stuck = await line.connect(), await line.connect()
        stuck.writer.write(b"\x16\x03\x01\x01\x00\x01\x00")
        await until(lambda: line.server._by_address[HOST] == 2)
    client = await line.join(line.right)
    assert (await client.ask(purchase(1))).response_code == "00"
    for one in (silent, stuck):
        with pytest.raises((EOFError, ConnectionError)):
            await one.hear()
    await until(lambda: line.server._by_address[HOST] == 1)
    assert line.closed("handshake_timeout") == 2
    assert (await client.ask(purchase(2))).response_code == "00"


@on_both_loops
async def test_an_unfinished_handshake_counts_among_its_addresss_connections(line: SecuredLine) -> None:
    line.engine.script = approve
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "CONNECTIONS_PER_ADDRESS_MAX", 2)
        silent = await line.connect()
        await until(lambda: line.server._by_address[HOST] == 1)
        client = await line.join(line.right)
        with pytest.raises(OSError, match=r".*"):
            await line.join(line.right)
        assert line.closed("too_many_connections") == 1
        assert (await client.ask(purchase(1))).response_code == "00"
        silent.writer.close()
        await until(lambda: line.server._by_address[HOST] == 1)
        assert (await (await line.join(line.right)).ask(purchase(2))).response_code == "00"
    assert line.closed("handshake_lost") == 1


@on_both_loops
async def test_stopping_answers_what_is_in_flight_and_waits_for_no_handshake(line: SecuredLine) -> None:
    client, silent = await line.join(line.right), await line.connect()
    client.send(purchase(1))
    request, answer = await line.engine.asked.get()
    await until(lambda: line.server._by_address[HOST] == 2)
    stopping = asyncio.create_task(line.server.stop())
    await until(lambda: all(one._draining for one in line.server._connections))
    answer.set_result(await approve(request))
    assert (await client.hear()).trace == "000001"
    for one in (client, silent):
        with pytest.raises((EOFError, ConnectionError)):
            await one.hear()
    await stopping
    assert not line.server._serving
    assert not line.server._by_address


@on_both_loops
async def test_a_handshake_that_ends_during_a_stop_comes_too_late(line: SecuredLine) -> None:
    holder = await line.join(line.right)
    holder.send(purchase(1))
    request, answer = await line.engine.asked.get()
    late = await line.connect()
    await until(lambda: line.server._by_address[HOST] == 2)

    async def pay() -> None:
        await late.writer.start_tls(line.authority.client(line.right), server_hostname=HOST)
        await late.ask(purchase(2))

    stopping = asyncio.create_task(line.server.stop())
    await until(lambda: all(one._draining for one in line.server._connections))
    with pytest.raises((EOFError, OSError)):
        await pay()
    await until(lambda: line.closed("stopping"))
    answer.set_result(await approve(request))
    await stopping
    assert line.engine.asked.empty()


@on_both_loops
async def test_a_client_that_ends_leaves_its_requests_to_be_decided_and_no_trace(line: SecuredLine) -> None:
    """The end of one direction of TLS is the end of both."""
    with pytest.MonkeyPatch.context() as patch:
        spoken: list[object] = []
        patch.setattr(logging.getLogger("asyncio"), "handle", spoken.append)
        client = await line.join(line.right)
        client.send(purchase(1))
        request, answer = await line.engine.asked.get()
        client.writer.close()
        await until(lambda: not line.server._connections)
        answer.set_result(await approve(request))
        await until(lambda: not line.engine.in_hand)
    assert not spoken
    assert not line.logged


@on_both_loops
async def test_nothing_of_a_stranger_stays_open(line: SecuredLine) -> None:
    """Sockets are closed, not left to be collected."""
    with warnings.catch_warnings(record=True) as caught, handshakes_of_at_most(0.05):
        warnings.simplefilter("always", ResourceWarning)
        for shown in (None, line.other_authority.certify(NAME)):
            with pytest.raises((EOFError, OSError)):
                await (await line.join(shown)).hear()
        with pytest.raises((EOFError, ConnectionError)):
            await (await line.connect()).hear()
        await until(lambda: not line.server._serving)
        gc.collect()
    assert not [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)]


names = st.lists(st.sampled_from("abcd"), unique=True)


@given(alternatives=names, common=names, name=st.sampled_from("abcd"))
def test_a_certificate_is_admitted_by_its_dns_names_or_without_any_by_its_common_name(
    alternatives: list[str], common: list[str], name: str
) -> None:
    """RFC 6125, 6.4.4: the common name is the last resort."""
    certificate: dict[str, Any] = {
        "subject": tuple((("commonName", one),) for one in common),
        "subjectAltName": (("IP Address", name), ("email", name), *(("DNS", one.upper()) for one in alternatives)),
    }
    bound = Tls(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), name)
    assert names_of(certificate) == set(alternatives or common)
    assert bound.admits(certificate) == (name in (alternatives or common))
    assert not bound.admits(None)
    assert not bound.admits({})
