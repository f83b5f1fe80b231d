"""SIGTERM drains; a killed engine's PostgreSQL is found again; without a database the answer is 91."""

import signal
import socket
import time
from pathlib import Path

import asyncpg
import pytest

from authz.wire.message import Message
from ledger.embedded import EmbeddedServer
from simulators.terminal.messages import repeat
from tests.acceptance.authorizer import TUESDAY, Authorizer, eventually, rows, running
from tests.acceptance.conftest import Start
from tests.acceptance.counter import CODEC, Closed, Line, ask, purchase
from tests.conftest import Database

AT_ONCE_S = 1.0
"""Without a database: 91, at once. Two busy cores need a little."""
PAYMENTS = 200


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def test_what_is_in_flight_is_answered_and_nothing_new_is_taken(start: Start, own_database: Database) -> None:
    authorizer = start()
    ask(authorizer.port, purchase("0014", 1))
    request, late = purchase("0014", 100), purchase("0014", 100)
    blocker = await asyncpg.connect(own_database.superuser_url)
    watcher = await asyncpg.connect(own_database.superuser_url)
    with Line(authorizer.port) as line:
        async with blocker.transaction():
            await blocker.execute("SELECT FROM ledger.fence FOR UPDATE")
            line.send(CODEC.encode(request))
            blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'"
            while not await watcher.fetchval(blocked, own_database.name):
                pass
            authorizer.signal(signal.SIGTERM)
            eventually(lambda: not is_listening(authorizer.port))
            line.send(CODEC.encode(late))
        reply = CODEC.decode(line.receive())
        assert (reply.trace, reply.response_code) == (request.trace, "00")
        with pytest.raises(Closed):
            line.receive()
    assert authorizer.exit_code() == 0
    traces = await watcher.fetch("SELECT request -> 'command' -> 'origin' ->> 'trace' FROM ledger.journal")
    assert [one[0] for one in traces].count(request.trace) == 1
    assert late.trace not in [one[0] for one in traces]
    await blocker.close()
    await watcher.close()


def test_stopped_under_load_each_record_was_answered(start: Start) -> None:
    authorizer = start()
    requests = [purchase("0030", 1) for _ in range(PAYMENTS)]
    answered = set()
    with Line(authorizer.port) as line:
        for request in requests:
            line.send(CODEC.encode(request))
        answered.add(CODEC.decode(line.receive()).trace)
        authorizer.signal(signal.SIGTERM)
        try:
            while True:
                reply = CODEC.decode(line.receive())
                assert reply.response_code == "00"
                answered.add(reply.trace)
        except Closed:
            pass
    assert authorizer.exit_code() == 0
    query = "SELECT request -> 'command' -> 'origin' ->> 'trace' FROM ledger.journal WHERE kind = 'purchase'"
    assert {one[0] for one in rows(authorizer.database, query)} == answered


def test_idle_and_half_open_connections_hold_nothing_up(start: Start) -> None:
    authorizer = start()
    with (
        Line(authorizer.port) as idle,
        Line(authorizer.port) as half,
        socket.create_connection(("127.0.0.1", authorizer.http_port)) as http,
    ):
        half.send_raw(b"\x01")
        http.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert http.recv(1) == b"H"
        assert authorizer.terminate() == 0
        assert idle.is_closed()


def test_sigint_is_the_same(start: Start) -> None:
    authorizer = start()
    authorizer.signal(signal.SIGINT)
    assert authorizer.exit_code() == 0


def test_a_standby_stops_too(start: Start) -> None:
    start()
    waiting = start()
    assert waiting.stands_by
    assert waiting.terminate() == 0


def postmaster(data: Path) -> int | None:
    """The process of a data folder's PostgreSQL, None where there is none."""
    try:
        number = int((data / "postgresql" / "postmaster.pid").read_text().split()[0])
        state = Path("/proc", str(number), "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return None
    return None if state == "Z" else number


def test_the_embedded_database_goes_with_its_engine_and_outlives_a_kill(data: Path, tmp_path: Path) -> None:
    options = ["--data", str(data), "--clock", TUESDAY]
    request = purchase("0014", 700)
    with running(tmp_path, *options) as first:
        reply = ask(first.port, request)
        server = postmaster(data)
        assert server is not None
        first.kill()
        assert postmaster(data) == server
    with running(tmp_path, *options) as found:
        assert postmaster(data) == server
        assert ask(found.port, repeat(request)) == reply
        assert found.terminate() == 0
        assert postmaster(data) is None
    with running(tmp_path, *options) as again:
        assert ask(again.port, repeat(request)) == reply
        assert (data / "superuser.url").stat().st_mode & 0o777 == 0o600
        assert again.terminate() == 0
        assert postmaster(data) is None


def test_the_embedded_database_stays_for_a_standby_and_goes_with_the_last(data: Path, tmp_path: Path) -> None:
    options = ["--data", str(data), "--clock", TUESDAY]
    request = purchase("0014", 700)
    with running(tmp_path, *options) as first, running(tmp_path, *options) as standby:
        assert standby.stands_by
        reply = ask(first.port, request)
        assert first.terminate() == 0
        assert postmaster(data) is not None
        eventually(lambda: standby.get("/readyz")[0] == 200)
        assert ask(standby.port, repeat(request)) == reply
        assert standby.terminate() == 0
    assert postmaster(data) is None


def test_without_a_database_the_answer_is_91_at_once_and_it_recovers_by_itself(data: Path, tmp_path: Path) -> None:
    with running(tmp_path, "--data", str(data), "--clock", TUESDAY) as authorizer:
        assert ask(authorizer.port, purchase("0014", 100)).response_code == "00"
        server = EmbeddedServer.start(data)
        for outage in range(2):
            server.stop("immediate")
            first, *others = [purchase("0014", 100), purchase("0014", 200), purchase("0048", 100)]
            refused_at_once(authorizer, first)
            eventually(lambda: authorizer.get("/readyz")[0] == 503)
            assert authorizer.get("/healthz")[0] == 200
            for request in others:
                refused_at_once(authorizer, request)
            assert authorizer.lives
            server = EmbeddedServer.start(data)
            eventually(lambda: authorizer.get("/readyz")[0] == 200)
            for request in (first, *others):
                assert ask(authorizer.port, repeat(request)).response_code == "00", outage
        balance = "SELECT balance FROM ledger.balance WHERE account = 'acquirer:970001:payable'"
        assert rows(authorizer.database, balance)[0][0] == 100 + 2 * 400
        assert authorizer.terminate() == 0


def refused_at_once(authorizer: Authorizer, request: Message) -> None:
    since = time.monotonic()
    reply = ask(authorizer.port, request)
    assert (reply.response_code, reply.reason) == ("91", "UNAVAILABLE")
    assert time.monotonic() - since < AT_ONCE_S


def test_an_engine_waits_for_its_database(tmp_path: Path, own_database: Database) -> None:
    nowhere = own_database.url.replace("host=", "host=/nowhere")
    waiting = Authorizer(tmp_path, "--database", nowhere, "--clock", TUESDAY)
    try:
        eventually(lambda: "waiting for the database" in waiting.errors)
        assert waiting.lives
        assert not waiting.is_ready
        assert waiting.terminate() == 0
    finally:
        waiting.kill()
