"""One connection, many terminals: replies in any order, and what becomes of those that never come."""

import asyncio
import random
from datetime import UTC, date, datetime

import msgspec
import pytest

from authz.wire.message import Message
from authz.wire.rules import check_mandatory
from simulators.acquirer.host import AcquirerHost
from simulators.acquirer.totals import Totals
from simulators.link import AlreadyInFlight, LinkLost, NoConnection, NoReply
from simulators.terminal.card import Card

CARD = Card(pan="9250100000000014")
NOON = datetime(2026, 5, 12, 10, 30, tzinfo=UTC)
DAY = date(2026, 5, 12)


async def test_replies_in_any_order_reach_who_asked(hosting, codec, terminal, answer):
    held: list[Message] = []

    def script(peer, request):
        held.append(request)
        if len(held) == 50:
            random.Random(1).shuffle(held)
            for waiting in held:
                peer.send(answer(waiting))

    requests = [terminal.purchase(CARD, cents) for cents in range(1, 51)]
    async with hosting(script) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        replies = await asyncio.gather(*(acquirer.exchange(request) for request in requests))
        await acquirer.close()
    assert [reply.amount for reply in replies] == [request.amount for request in requests]
    assert [request.trace for request in held] != sorted(request.trace for request in held)


async def test_two_terminals_with_the_same_trace_number_are_told_apart(hosting, codec, terminal, answer):
    one = terminal.purchase(CARD, 100)
    other = msgspec.structs.replace(one, terminal="STR00001", amount="000000000200")

    def script(peer, request):
        if len(peer.heard) == 2:
            peer.send(answer(other))
            peer.send(answer(one))

    async with hosting(script) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        first, second = await asyncio.gather(acquirer.exchange(one), acquirer.exchange(other))
        await acquirer.close()
    assert (first.amount, second.amount) == (one.amount, other.amount)


async def test_trailing_spaces_in_de_41_and_42_do_not_count(hosting, codec, terminal, answer):
    request = msgspec.structs.replace(terminal.purchase(CARD, 100), terminal="T1      ", merchant="M1             ")
    async with hosting(lambda peer, heard: peer.send(answer(heard))) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        assert (await acquirer.exchange(request)).response_code == "00"
        await acquirer.close()


async def test_a_lost_connection_fails_all_in_flight(hosting, codec, terminal):
    def script(peer, request):
        if len(peer.heard) == 3:
            peer.cut()

    async with hosting(script) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        pending = [acquirer.exchange(terminal.purchase(CARD, 100)) for _ in range(3)]
        failures = await asyncio.gather(*pending, return_exceptions=True)
        assert [type(failure) for failure in failures] == [LinkLost] * 3
        assert acquirer.in_flight == 0
        with pytest.raises(LinkLost):
            await acquirer.exchange(terminal.purchase(CARD, 100))


async def test_a_reply_that_comes_too_late_is_counted_and_dropped(hosting, codec, terminal, answer):
    first, second = terminal.purchase(CARD, 100), terminal.purchase(CARD, 200)

    def script(peer, request):
        if request.trace == second.trace:
            peer.send(answer(first))
            peer.send(answer(second))

    async with hosting(script) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        with pytest.raises(NoReply):
            await acquirer.exchange(first, timeout=0.01)
        assert (await acquirer.exchange(second)).amount == second.amount
        assert acquirer.unmatched == 1
        await acquirer.close()


async def test_a_request_can_be_repeated_after_its_timeout_not_before(hosting, codec, terminal, answer):
    request = terminal.purchase(CARD, 100)
    arrived, go = asyncio.Event(), asyncio.Event()

    async def script(peer, heard):
        arrived.set()
        await go.wait()
        peer.send(answer(heard))

    async with hosting(script) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        first = asyncio.create_task(acquirer.exchange(request))
        await arrived.wait()
        with pytest.raises(AlreadyInFlight):
            await acquirer.exchange(request)
        go.set()
        assert await first == await acquirer.exchange(request)
        await acquirer.close()


async def test_no_more_than_the_limit_is_in_flight(hosting, codec, terminal, answer):
    most = 0

    def script(peer, request):
        nonlocal most
        most = max(most, acquirer.in_flight)
        peer.send(answer(request))

    async with hosting(script) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec, in_flight_max=4)
        await asyncio.gather(*(acquirer.exchange(terminal.purchase(CARD, 100)) for _ in range(40)))
        await acquirer.close()
    assert most == 4


async def test_sign_on_and_echo_are_answered(hosting, codec, terminal, answer):
    async with hosting(lambda peer, heard: peer.send(answer(heard, reason=None))) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        assert (await acquirer.sign_on(NOON)).network_code == "001"
        assert (await acquirer.echo(NOON)).network_code == "301"
        await acquirer.close()
    assert [(heard.mti, heard.transmitted, heard.trace) for heard in host.heard] == [
        ("0800", "0512103000", "000001"),
        ("0800", "0512103000", "000002"),
    ]


async def test_network_management_is_said_by_de_70(hosting, codec, answer):
    """docs/interface.md: 002 sign-off, 161 key change, 201 cutover."""

    async with hosting(lambda peer, heard: peer.send(answer(heard, reason=None))) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        assert (await acquirer.sign_off(NOON)).response_code == "00"
        assert (await acquirer.key_change("B0080P0TE00E0000", NOON)).response_code == "00"
        assert (await acquirer.cut_over(NOON)).response_code == "00"
        assert (await acquirer.cut_over(NOON, date(2026, 5, 13))).response_code == "00"
        await acquirer.close()
    off, key, cut, cut_to = host.heard
    assert [heard.network_code for heard in host.heard] == ["002", "161", "201", "201"]
    assert key.elements.key_block == "B0080P0TE00E0000"
    assert (off.settlement_date, cut.settlement_date, cut_to.settlement_date) == (None, None, "0513")
    for heard in host.heard:
        check_mandatory(heard)


async def test_totals_name_the_day_and_reach_who_asked(hosting, codec, answer):
    totals = Totals(debits_number=3, debits_amount=2500, debits_reversal_number=1, debits_reversal_amount=600)
    ours = Totals(debits_number=2, debits_amount=1900)

    def script(peer, heard):
        if len(peer.heard) == 2:
            for request in reversed(peer.heard):
                agreed = "1" if Totals.parse(request) == totals else "2"
                peer.send(answer(request, reason=None, settlement_code=agreed, **ours.fields(DAY)))

    async with hosting(script) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        replies = await asyncio.gather(
            *(acquirer.totals("970001", DAY, counted, NOON) for counted in (totals, Totals()))
        )
        await acquirer.close()
    assert [reply.settlement_code for reply in replies] == ["1", "2"]
    assert Totals.parse(replies[0]) == ours
    request = host.heard[0]
    check_mandatory(request)
    assert (request.mti, request.settlement_date, request.acquirer) == ("0500", "0512", "970001")
    assert (request.debits_number, request.debits_amount) == ("0000000003", "0000000000002500")
    assert request.net_amount == "D0000000000001900"


async def test_the_hosts_own_echo_is_answered(hosting, codec, terminal, answer):
    heard_back: asyncio.Future[Message] = asyncio.get_running_loop().create_future()

    def script(peer, message):
        if message.mti == "0200":
            peer.send(Message(mti="0800", transmitted="0512103000", trace="000777", network_code="301"))
            peer.send(answer(message))
        else:
            heard_back.set_result(message)

    async with hosting(script) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        await acquirer.exchange(terminal.purchase(CARD, 100))
        echo = await heard_back
        assert acquirer.unmatched == 0
        await acquirer.close()
    assert echo == Message(mti="0810", transmitted="0512103000", trace="000777", network_code="301", response_code="00")


async def test_what_cannot_be_read_is_counted_and_harms_no_other_reply(hosting, codec, terminal, answer):
    def script(peer, request):
        peer.send_bytes(b"\x00\x05hello")
        peer.send(answer(request))

    async with hosting(script) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        assert (await acquirer.exchange(terminal.purchase(CARD, 100))).response_code == "00"
        assert acquirer.garbled == 1
        await acquirer.close()


async def test_a_length_beyond_the_dialects_ends_the_link(hosting, codec, terminal):
    async with hosting(lambda peer, request: peer.send_bytes(b"\xff\xff")) as host:
        acquirer = await AcquirerHost.connect("127.0.0.1", host.port, codec)
        with pytest.raises(LinkLost):
            await acquirer.exchange(terminal.purchase(CARD, 100))


async def test_nobody_there(hosting, codec):
    async with hosting(lambda peer, request: None) as host:
        pass
    with pytest.raises(NoConnection, match=str(host.port)):
        await AcquirerHost.connect("127.0.0.1", host.port, codec)
