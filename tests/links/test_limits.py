"""What one link may take, over all its connections, and what its file may say (docs/interface.md, "Limits")."""

import asyncio
import socket
from pathlib import Path

import pytest

from authz.config import configuration as config
from authz.links import server
from authz.links.link import Terms
from tests.links.lines import ACQUIRER, Client, Line, approve, line_of, purchase, until
from tests.links.transports import joined

PLACES = 4


async def test_requests_in_flight_count_over_all_connections_of_a_link() -> None:
    async with line_of(Terms(ACQUIRER, in_flight_max=PLACES)) as line:
        clients = [await line.connect() for _ in range(3)]
        for number, client in enumerate(clients):
            client.send(*(purchase(10 * number + trace) for trace in range(PLACES)))
        for _ in range(len(clients) * PLACES):
            request, answer = await line.engine.asked.get()
            assert line.engine.in_hand <= PLACES
            answer.set_result(await approve(request))
        for number, client in enumerate(clients):
            assert await traces(client, PLACES) == {10 * number + trace for trace in range(PLACES)}
        assert line.engine.in_hand_most == PLACES
        await until(lambda: line.link.allowance.free == PLACES)


async def test_a_connection_that_wants_every_place_leaves_another_its_turn() -> None:
    async with line_of(Terms(ACQUIRER, in_flight_max=PLACES)) as line:
        hog, modest = await line.connect(), await line.connect()
        hog.send(*(purchase(trace) for trace in range(100)))
        await until(lambda: line.engine.in_hand == PLACES)
        modest.send(*(purchase(trace) for trace in (900, 901)))
        await until(lambda: len(line.link.allowance._line) == 2)
        order: list[int] = []
        while {900, 901} - set(order):
            request, answer = await line.engine.asked.get()
            order.append(int(request.command.origin.trace))
            answer.set_result(await approve(request))
        waited = order[PLACES:]
        assert [waited.index(900), waited.index(901)] <= [1, 3], "every other turn, behind what was in flight before"
        line.engine.script = approve
        while not line.engine.asked.empty():
            request, answer = line.engine.asked.get_nowait()
            answer.set_result(await approve(request))
        assert await traces(modest, 2) == {900, 901}
        assert await traces(hog, 100) == set(range(100))


async def test_another_link_has_places_of_its_own() -> None:
    async with line_of(Terms(ACQUIRER, in_flight_max=1)) as full, line_of(Terms(ACQUIRER, in_flight_max=1)) as other:
        (await full.connect()).send(purchase(1), purchase(2))
        request, answer = await full.engine.asked.get()
        other.engine.script = approve
        assert (await (await other.connect()).ask(purchase(1))).response_code == "00"
        answer.set_result(await approve(request))


async def test_a_connection_that_dies_leaves_its_place_and_its_turn_to_others() -> None:
    async with line_of(Terms(ACQUIRER, in_flight_max=1)) as line:
        dying, living = await line.connect(), await line.connect()
        dying.send(purchase(1), purchase(2), purchase(3))
        request, answer = await line.engine.asked.get()
        living.send(purchase(4))
        await until(lambda: len(line.link.allowance._line) == 2)
        dying.writer.transport.abort()
        await until(lambda: len(line.server._connections) == 2)
        [first] = [one for one in line.server._connections if one._tasks]
        first._transport.abort()
        await until(lambda: len(line.server._connections) == 1)
        assert line.link.allowance.free == 0, "what is in flight is decided all the same"
        answer.set_result(await approve(request))
        line.engine.script = approve
        assert (await living.hear()).trace == "000004"
        assert line.link.allowance.free == 1


async def test_what_was_read_and_waits_for_a_place_is_answered_before_a_stop() -> None:
    """SIGTERM drains: what is in flight is answered. Another connection's requests hold every place here."""
    async with line_of(Terms(ACQUIRER, in_flight_max=1)) as line:
        holder, waiter = await line.connect(), await line.connect()
        holder.send(purchase(1))
        request, answer = await line.engine.asked.get()
        waiter.send(purchase(2))
        await until(lambda: line.link.allowance._line)
        stopping = asyncio.create_task(line.server.stop())
        await asyncio.sleep(0)
        line.engine.script = approve
        answer.set_result(await approve(request))
        assert (await waiter.hear()).trace == "000002"
        await stopping


async def test_the_wait_for_a_place_is_part_of_the_time_that_a_request_may_take() -> None:
    """5 s from a request's arrival to its answer or its 91."""
    async with line_of(Terms(ACQUIRER, in_flight_max=1, deadline_s=3)) as line:
        client = await line.connect()
        client.send(purchase(1), purchase(2))
        first, answer = await line.engine.asked.get()
        await asyncio.sleep(0)
        answer.set_result(await approve(first))
        second, answer = await line.engine.asked.get()
        answer.set_result(await approve(second))
        assert second.deadline == first.deadline, "they came in one read"
        assert await traces(client, 2) == {1, 2}


async def test_what_waits_for_a_place_is_no_more_than_one_read() -> None:
    """Reading pauses until all of it has been taken up."""
    async with line_of(Terms(ACQUIRER, in_flight_max=2)) as line:
        served, transport = joined(line)
        client = await line.connect()
        served.data_received(b"".join(client.frame(purchase(trace)) for trace in range(4)))
        assert not transport.reading
        for left in (1, 0):
            request, answer = await line.engine.asked.get()
            answer.set_result(await approve(request))
            await until(lambda: len(served._frames) == left)  # noqa: B023
            assert transport.reading == (left == 0)
        for _ in range(2):
            request, answer = await line.engine.asked.get()
            answer.set_result(await approve(request))
        await until(lambda: not served._tasks)


async def test_a_slow_reader_keeps_no_turn_from_others() -> None:
    async with line_of(Terms(ACQUIRER, in_flight_max=1)) as line:
        slow, _ = joined(line)
        holder = await line.connect()
        holder.send(purchase(1))
        request, answer = await line.engine.asked.get()
        slow.data_received(holder.frame(purchase(2)))
        assert len(line.link.allowance._line) == 1
        slow.pause_writing()
        assert not line.link.allowance._line
        line.engine.script = approve
        answer.set_result(await approve(request))
        assert (await holder.hear()).trace == "000001"
        assert (await holder.ask(purchase(3))).trace == "000003"
        assert slow._frames
        slow.resume_writing()
        await until(lambda: not slow._frames and not slow._tasks)


@pytest.mark.parametrize("option", ["SO_KEEPALIVE", "TCP_KEEPIDLE"])
async def test_the_system_notices_a_dead_host(line: Line, option: str) -> None:
    """A connection isn't closed for an echo that nobody answers, but for keep-alives of TCP it is."""
    await line.connect()
    await until(lambda: line.server._connections)
    [served] = line.server._connections
    level = socket.SOL_SOCKET if option == "SO_KEEPALIVE" else socket.IPPROTO_TCP
    value = served._transport.get_extra_info("socket").getsockopt(level, getattr(socket, option))
    assert value == server.KEEP_ALIVE.get(option, 1)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("deadline_s", "0"),
        ("deadline_s", "31"),
        ("deadline_s", '"5"'),
        ("idle_probe_s", "-1"),
        ("idle_probe_s", "3601"),
        ("in_flight_max", "0"),
        ("in_flight_max", "1025"),
        ("in_flight_max", "1.5"),
        ("sign_ons_a_minute", "0"),
        ("sign_ons_a_minute", "6001"),
    ],
)
def test_a_limit_out_of_its_range_is_refused_by_name(tmp_path: Path, key: str, text: str) -> None:
    with pytest.raises(config.ConfigInvalid, match=key):
        config.read(configured(tmp_path, f"{key} = {text}"), demo=True)


def test_limits_are_terms_of_the_link(tmp_path: Path) -> None:
    said = config.read(
        configured(tmp_path, "deadline_s = 2.5\nidle_probe_s = 0\nin_flight_max = 16\nsign_ons_a_minute = 5"), demo=True
    )
    assert said.links[0].terms == Terms("970002", deadline_s=2.5, idle_probe_s=0, in_flight_max=16, sign_ons_a_minute=5)


def test_by_default_they_are_as_the_interface_says(tmp_path: Path) -> None:
    """5 s, 60 s, 1,024, and 60 sign-ons a minute."""
    terms = config.read(configured(tmp_path, ""), demo=True).links[0].terms
    assert (terms.deadline_s, terms.idle_probe_s, terms.in_flight_max) == (5, 60, 1_024)
    assert terms.sign_ons_a_minute == 60


def configured(folder: Path, link: str) -> Path:
    """A configuration whose one link says this too."""
    issuer = "\n".join(f'{name} = "{"0123456789ABCDEF" * 2}"' for name in ("pvk", "cvk", "imk_ac", "bdk"))
    keys = "\n".join(f'{name} = "{"FEDCBA9876543210" * 2}"' for name in ("zpk", "zak", "zmk"))
    path = folder / "authz.toml"
    path.write_text(
        f'[vault]\nkey = "{"01" * 32}"\n[issuer_keys]\n{issuer}\n[[link]]\nacquirer = "970002"\n{keys}\n{link}\n'
    )
    return path


async def traces(client: Client, number: int) -> set[int]:
    return {int((await client.hear()).trace or 0) for _ in range(number)}
