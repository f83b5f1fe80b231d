"""Two engines on one partition. One writes; the other answers 91, and takes over when it is gone."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from authz.wire.message import Message
from ledger.postgres import PostgresStore
from ledger.values import Partition
from simulators.terminal.messages import repeat
from tests.acceptance.authorizer import Authorizer, eventually, rows
from tests.acceptance.conftest import Start
from tests.acceptance.counter import CODEC, Closed, Line, ask, card, network, purchase, terminal
from tests.conftest import Database

MAIN = Partition(0)
BEATS = 3
"""Heartbeats of the first, 500 ms each, during which the second must stay still."""
TAKEOVER_MAX_S = 3.0
"""From the first one's death or freeze to the second one's first decision."""
AT_ONCE_S = 1.0
"""Two busy cores need a little."""


def beat(database: Database) -> int:
    [[number]] = rows(database.url, "SELECT beat FROM ledger.fence")
    return int(number)


def one_chain(database: Database) -> None:
    """No two records with one (partition, seq), no gap, epochs that only rise, and the fence at the last."""
    found = rows(database.url, "SELECT seq, epoch FROM ledger.journal ORDER BY partition, seq")
    assert [one["seq"] for one in found] == list(range(1, len(found) + 1))
    epochs = [one["epoch"] for one in found]
    assert epochs == sorted(epochs)
    [[head]] = rows(database.url, "SELECT head FROM ledger.fence")
    assert head == len(found)


def second(start: Start) -> Authorizer:
    """An engine that accepts connections and stands by."""
    waiting = start()
    assert waiting.stands_by
    return waiting


def test_the_second_listens_and_says_once_that_it_stands_by(start: Start, own_database: Database) -> None:
    first = start()
    waiting = second(start)
    until = beat(own_database) + BEATS
    eventually(lambda: beat(own_database) >= until)
    assert waiting.lives
    assert waiting.errors.count("standing by") == 1
    assert waiting.get("/healthz")[0] == 200
    status, page = waiting.get("/readyz")
    assert status == 503
    assert "another engine writes partition 0" in page
    assert first.takes_payments
    assert ask(first.port, purchase("0014", 100)).response_code == "00"


def test_the_second_refuses_payments_at_once_and_the_first_decides_them(start: Start, own_database: Database) -> None:
    first, waiting = start(), second(start)
    [[head]] = rows(own_database.url, "SELECT head FROM ledger.fence")
    requests = [purchase("0014", 100), terminal().inquiry(card("0014")), purchase("0022", 100)]
    for request in requests:
        since = time.monotonic()
        reply = ask(waiting.port, request)
        assert (reply.response_code, reply.reason) == ("91", "UNAVAILABLE")
        assert time.monotonic() - since < AT_ONCE_S
    assert [one["head"] for one in rows(own_database.url, "SELECT head FROM ledger.fence")] == [head]
    assert [ask(first.port, repeat(request)).response_code for request in requests] == ["00"] * 3


def test_network_messages_are_answered_as_ever(start: Start) -> None:
    start()
    waiting = second(start)
    for code in ("001", "301", "002"):
        assert ask(waiting.port, network(code)).response_code == "00"


@pytest.mark.parametrize("end", [Authorizer.kill, Authorizer.terminate], ids=["killed", "stopped"])
def test_the_second_takes_over_with_all_that_the_first_knew(
    start: Start, own_database: Database, end: Callable[[Authorizer], object]
) -> None:
    first = start()
    request = purchase("0014", 1800)
    reply = ask(first.port, request)
    waiting = second(start)
    end(first)
    since = time.monotonic()
    eventually(lambda: waiting.takes_payments, within_s=TAKEOVER_MAX_S)
    assert ask(waiting.port, repeat(request)) == reply
    assert time.monotonic() - since < TAKEOVER_MAX_S
    assert ask(waiting.port, purchase("0014", 101)).reason == "DAILY_CAP"
    assert ask(waiting.port, purchase("0014", 100)).response_code == "00"
    one_chain(own_database)


def test_a_frozen_first_is_replaced_and_woken_approves_nothing(start: Start, own_database: Database) -> None:
    first = start()
    known = purchase("0014", 300)
    while_frozen = [purchase("0014", 100), purchase("0022", 100), terminal().inquiry(card("0014")), repeat(known)]
    cold = purchase("0030", 100)
    with Line(first.port) as line:
        assert line.ask(known).response_code == "00"
        assert line.ask(purchase("0022", 300)).response_code == "00"
        waiting = second(start)
        first.signal(signal.SIGSTOP)
        for request in [*while_frozen, cold]:
            line.send(CODEC.encode(request))
        eventually(lambda: waiting.takes_payments, within_s=TAKEOVER_MAX_S)
        assert ask(waiting.port, purchase("0014", 1600)).response_code == "00"
        [[taken, head]] = rows(own_database.url, "SELECT epoch, head FROM ledger.fence")
        first.signal(signal.SIGCONT)
        heard = answers(line, len(while_frozen) + 1)
    assert {(one.response_code, one.reason) for one in heard} <= {("91", "UNAVAILABLE")}

    eventually(lambda: first.stands_by)
    assert ask(first.port, purchase("0048", 100)).response_code == "91"
    assert first.get("/readyz")[0] == 503
    behind = rows(own_database.url, "SELECT epoch FROM ledger.journal WHERE seq > $1", head)
    assert behind == []
    assert rows(own_database.url, "SELECT epoch FROM ledger.fence")[0][0] == taken
    assert ask(waiting.port, repeat(while_frozen[0])).reason == "DAILY_CAP"
    assert ask(waiting.port, repeat(cold)).response_code == "00"
    one_chain(own_database)


def answers(line: Line, most: int) -> list[Message]:
    """What is answered, as far as it is: silence is allowed."""
    heard: list[Message] = []
    with suppress(TimeoutError, Closed):
        for _ in range(most):
            heard.append(CODEC.decode(line.receive()))  # noqa: PERF401  what came before the silence counts
    return heard


def test_two_that_start_at_once_are_one_writer(start: Start, own_database: Database) -> None:
    both = [start(ready=False), start(ready=False)]
    for one in both:
        one.ready()
    [winner] = [one for one in both if one.takes_payments]
    [other] = [one for one in both if one is not winner]
    assert other.stands_by
    assert ask(winner.port, purchase("0014", 100)).response_code == "00"
    winner.kill()
    eventually(lambda: other.takes_payments, within_s=TAKEOVER_MAX_S)
    assert ask(other.port, purchase("0014", 100)).response_code == "00"
    one_chain(own_database)


async def test_a_standby_enters_behind_its_takeover_what_the_first_had_not(
    start: Start, own_database: Database
) -> None:
    store = PostgresStore(own_database.url)
    fence = await store.take(MAIN, await store.fence(MAIN))

    async def live() -> None:
        while True:
            await store.beat(MAIN, fence.epoch)
            await asyncio.sleep(0.1)

    living = asyncio.create_task(live())
    waiting = await asyncio.to_thread(second, start)
    assert (await store.fence(MAIN)).head == 0
    living.cancel()
    await store.close()
    await asyncio.to_thread(eventually, lambda: ask(waiting.port, purchase("0014", 100)).response_code == "00")
