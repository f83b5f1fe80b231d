"""A connection carries any number of requests at once; replies come in any order (docs/interface.md)."""

import asyncio
import errno
import socket
import struct
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz.decision.outcomes import Reason, Reply
from authz.engine.requests import Answer, NoAnswer, Request
from authz.links import connection, server
from authz.links.allowance import IN_FLIGHT_MAX
from authz.wire.message import Message
from tests.links.lines import Line, approve, line_of, purchase, until
from tests.links.loops import on_both_loops
from tests.links.transports import joined


@on_both_loops
async def test_many_in_flight_are_answered_in_any_order(line: Line) -> None:
    client = await line.connect()
    client.send(*(purchase(trace) for trace in range(1, 51)))
    asked = [await line.engine.asked.get() for _ in range(50)]
    for request, answer in reversed(asked):
        answer.set_result(await approve(request))
    replies = [await client.hear() for _ in range(50)]
    assert [reply.trace for reply in replies] == [f"{trace:06}" for trace in range(50, 0, -1)]
    assert {(reply.mti, reply.response_code, reply.approval) for reply in replies} == {("0210", "00", "A1B2C3")}


@on_both_loops
async def test_no_more_are_in_flight_than_the_limit_and_all_are_answered(line: Line) -> None:
    """1,024 requests in flight a link; beyond that, reading pauses (docs/interface.md, "Limits")."""
    release = asyncio.Event()

    async def wait(request: Request) -> Answer:
        await release.wait()
        return await approve(request)

    line.engine.script = wait
    client = await line.connect()
    number = IN_FLIGHT_MAX + 500
    client.send(*(purchase(trace) for trace in range(number)))
    [served] = await _connections(line)
    await until(lambda: line.engine.in_hand == IN_FLIGHT_MAX)
    assert not served._transport.is_reading()
    release.set()
    traces = {(await client.hear()).trace for _ in range(number)}
    assert traces == {f"{trace:06}" for trace in range(number)}
    assert line.engine.in_hand_most == IN_FLIGHT_MAX


@on_both_loops
async def test_a_slow_reader_is_not_read_from_until_it_catches_up(line: Line) -> None:
    """Memory stays bounded: what is in flight, and what the write buffer may hold."""
    line.engine.script = approve
    client = await line.connect()
    client.writer.transport.pause_reading()
    [served] = await _connections(line)
    served._transport.set_write_buffer_limits(high=16_384)
    for end, option in ((client.writer, socket.SO_RCVBUF), (served._transport, socket.SO_SNDBUF)):
        end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 4_096)
    sent = count(1)
    while not served._slow_reader:
        client.send(*(purchase(next(sent)) for _ in range(100)))
        await asyncio.sleep(0)
    await until(lambda: not served._tasks)
    assert not served._transport.is_reading()
    assert served._transport.get_write_buffer_size() < 16_384 + 200 * 250, "one turn's replies above the limit"
    assert len(served._frames) * 150 < 262_144, "one read"
    client.writer.transport.resume_reading()
    number = next(sent) - 1
    assert {(await client.hear()).trace for _ in range(number)} == {f"{trace:06}" for trace in range(1, number + 1)}
    assert served._transport.is_reading()


@on_both_loops
async def test_replies_of_one_turn_of_the_loop_leave_in_one_write(line: Line) -> None:
    client = await line.connect()
    client.send(*(purchase(trace) for trace in range(1, 21)))
    asked = [await line.engine.asked.get() for _ in range(20)]
    [served] = await _connections(line)
    writes: list[bytes] = []

    class Counted:
        def __getattr__(self, name: str) -> object:
            return getattr(transport, name)

        def write(self, data: bytes) -> None:
            writes.append(data)
            transport.write(data)

    transport, served._transport = served._transport, Counted()
    for request, answer in asked:
        answer.set_result(await approve(request))
    for _ in asked:
        await client.hear()
    assert len(writes) == 1


@on_both_loops
async def test_stopping_answers_what_is_in_flight_and_takes_nothing_new(line: Line) -> None:
    """SIGTERM drains (docs/interface.md, "Commands")."""
    client = await line.connect()
    client.send(purchase(1))
    request, answer = await line.engine.asked.get()
    [served] = await _connections(line)
    stopping = asyncio.create_task(line.server.stop())
    await until(lambda: served._draining)
    client.send(purchase(2))
    answer.set_result(await approve(request))
    assert (await client.hear()).trace == "000001"
    with pytest.raises((EOFError, ConnectionError)):
        await client.hear()
    await stopping
    assert line.engine.asked.empty()


@on_both_loops
async def test_a_client_that_has_said_all_still_gets_its_answers(line: Line) -> None:
    """It may close its half of the connection behind the last request."""
    client = await line.connect()
    client.send(purchase(1))
    client.writer.write_eof()
    request, answer = await line.engine.asked.get()
    answer.set_result(await approve(request))
    assert (await client.hear()).trace == "000001"
    with pytest.raises(EOFError):
        await client.hear()


@on_both_loops
async def test_a_length_above_the_limit_closes_this_connection_and_no_other(line: Line) -> None:
    bad, good = await line.connect(), await line.connect()
    line.engine.script = approve
    bad.writer.write((65_535).to_bytes(2, "big") + b"0200")
    with pytest.raises((EOFError, ConnectionError)):
        await bad.hear()
    assert (await good.ask(purchase())).response_code == "00"
    assert line.closed("frame_too_long") == 1


async def test_draining_gives_up_what_is_never_answered(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAIN_MAX_S", 0.02)
    client = await line.connect()
    client.send(purchase())
    await line.engine.asked.get()
    await line.server.stop()
    with pytest.raises((EOFError, ConnectionError)):
        await client.hear()


async def test_a_connection_that_was_accepted_while_the_server_closed_is_closed_too(line: Line) -> None:
    await line.server.stop()
    made, _ = joined(line)
    assert made._transport.is_closing()
    assert line.closed("stopping") == 1


async def test_a_connection_that_the_system_cannot_accept_now_is_accepted_later(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of descriptors, it waits in the backlog."""
    monkeypatch.setattr(server, "ACCEPT_AGAIN_S", 0)
    line.engine.script = approve
    loop = asyncio.get_running_loop()
    accept, failures = loop.sock_accept, [OSError(errno.EMFILE, "Too many open files")] * 2

    async def sometimes(listening: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise failures.pop()
        return await accept(listening)

    first = await line.connect()
    assert (await first.ask(purchase(1))).response_code == "00"
    monkeypatch.setattr(loop, "sock_accept", sometimes)
    for trace in (2, 3):  # the first is taken by the acceptance that was under way
        assert (await (await line.connect()).ask(purchase(trace))).response_code == "00"
    assert line.logged == [("connection not accepted", {"error": "OSError"})] * 2
    assert (await first.ask(purchase(4))).response_code == "00"


async def test_an_address_has_so_many_connections_and_no_more(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTIONS_PER_ADDRESS_MAX", 2)
    line.engine.script = approve
    first, _ = await line.connect(), await line.connect()
    third = await line.connect()
    with pytest.raises((EOFError, ConnectionError)):
        await third.hear()
    assert line.closed("too_many_connections") == 1
    assert (await first.ask(purchase())).response_code == "00"
    first.writer.close()
    await first.writer.wait_closed()
    await until(lambda: len(line.server._connections) == 1)
    assert (await (await line.connect()).ask(purchase())).response_code == "00"


async def test_ten_unreadable_frames_in_a_row_close_the_link(line: Line) -> None:
    client = await line.connect()
    line.engine.script = approve
    noise = b"\x00\x05noise"
    client.writer.write(noise * 9)
    assert (await client.ask(purchase())).response_code == "00"
    client.writer.write(noise * 10)
    with pytest.raises((EOFError, ConnectionError)):
        await client.hear()
    assert line.dropped("unreadable") == 19
    assert line.closed("unreadable") == 1


async def test_keep_alives_and_responses_are_passed_over(line: Line) -> None:
    line.engine.script = approve
    client = await line.connect()
    client.writer.write(bytes(2) * 20)
    client.send(purchase(1, mti="0210"))
    assert (await client.ask(purchase(2))).trace == "000002"
    assert line.dropped("response") == 1


async def test_an_outcome_settled_too_late_is_answered_by_silence(line: Line) -> None:
    async def late(request: Request) -> Answer | NoAnswer:
        return NoAnswer.TOO_LATE if request.command.origin.trace == "000001" else await approve(request)

    line.engine.script = late
    client = await line.connect()
    client.send(purchase(1))
    assert (await client.ask(purchase(2))).trace == "000002"


async def test_a_defect_costs_its_own_request_and_shows_nothing_of_it(line: Line) -> None:
    async def fail(request: Request) -> Answer:
        if request.command.origin.trace == "000001":
            raise KeyError(request.secrets.pan)
        return await approve(request)

    line.engine.script = fail
    client = await line.connect()
    reply = await client.ask(purchase(1))
    assert (reply.response_code, reply.reason, reply.trace) == ("96", "INTERNAL", "000001")
    assert (await client.ask(purchase(2))).response_code == "00"
    assert line.logged == [("request failed", {"error": "KeyError"})]


async def test_a_reply_that_cannot_be_written_is_told_and_stops_nobody(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unwritable(request: Request) -> Answer:
        code = "far too long for DE 38" if request.command.origin.trace == "000001" else "A1B2C3"
        return Answer(request.command, Reply(Reason.APPROVED, approval=code))

    line.engine.script = unwritable
    client = await line.connect()
    assert (await client.ask(purchase(1))).response_code == "96"

    async def refuse(*_: object) -> bytes:
        raise RuntimeError

    monkeypatch.setattr(line.link, "refuse", refuse)
    client.send(purchase(1))
    assert (await client.ask(purchase(2))).response_code == "00"
    assert line.dropped("unanswerable") == 1


async def test_a_lost_connection_leaves_its_requests_to_be_decided(line: Line) -> None:
    client = await line.connect()
    client.send(purchase())
    request, answer = await line.engine.asked.get()
    linger = struct.pack("ii", 1, 0)
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.writer.transport.abort()
    await until(lambda: not line.server._connections)
    answer.set_result(await approve(request))
    await until(lambda: not line.engine.in_hand)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_frames_may_be_cut_anywhere(data: st.DataObject) -> None:
    async with line_of() as line:
        line.engine.script = approve
        served, transport = joined(line)
        frames = b"".join(_framed(line, purchase(trace)) for trace in (1, 2, 3))
        cuts = data.draw(st.lists(st.integers(0, len(frames)), max_size=8).map(sorted))
        for start, end in zip([0, *cuts], [*cuts, len(frames)], strict=True):
            served.data_received(frames[start:end])
        await until(lambda: not served._tasks)
        await asyncio.sleep(0)
        assert b"".join(transport.written).count(b"0210") == 3


async def _connections(line: Line) -> list[connection.Connection]:
    await until(lambda: line.server._connections)
    return list(line.server._connections)


def _framed(line: Line, message: Message) -> bytes:
    payload = line.codec.encode(message)
    return len(payload).to_bytes(2, "big") + payload
