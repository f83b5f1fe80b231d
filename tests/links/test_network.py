"""Network management: docs/interface.md's row 0800/0810, and DE 161 of its table of fields."""

from collections.abc import Awaitable, Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.decision.outcomes import Reason
from authz.links.link import Terms
from authz.links.network import SignOns
from authz.wire.message import Elements, Message
from tests.links.lines import ACQUIRER, Line, approve, financial, line_of, network, purchase

Ask = Callable[[Message], Awaitable[Message]]
KEY_CHANGE = network("161", elements=Elements(key_block="D0112P0TE00N0000"))
CUTOVER = network("201", settlement_date="0513")


@pytest.fixture
async def ask(line: Line) -> Ask:
    return (await line.connect()).ask


@pytest.mark.parametrize("code", ["001", "002", "301"], ids=["sign-on", "sign-off", "echo"])
@pytest.mark.parametrize("mti", ["0800", "0801"])
async def test_it_is_approved_and_echoed(ask: Ask, code: str, mti: str) -> None:
    request = network(code, mti=mti)
    assert await ask(request) == replace(request, mti="0810", response_code="00", reason="APPROVED")


@pytest.mark.parametrize("code", ["000", "003", "101", "162", "999"])
async def test_any_other_code_is_12_and_counted(line: Line, ask: Ask, code: str) -> None:
    reply = await ask(network(code))
    assert (reply.mti, reply.response_code, reply.reason) == ("0810", "12", "TRANSACTION")
    assert line.counted("authz_refused_total", reason="TRANSACTION") == 1


async def test_a_new_key_is_answered_with_its_check_value(line: Line, ask: Ask) -> None:
    reply = await ask(KEY_CHANGE)
    assert (reply.response_code, reply.elements) == ("00", Elements(key_check="ABC123"))
    assert line.engine.commands == [(ACQUIRER, "D0112P0TE00N0000", f"{ACQUIRER} 161 20260512103000 000001")]


async def test_a_key_that_is_refused_has_no_check_value(line: Line, ask: Ask) -> None:
    line.engine.reason = Reason.FORMAT
    reply = await ask(KEY_CHANGE)
    assert (reply.response_code, reply.elements) == ("30", None)


@pytest.mark.parametrize("elements", [None, Elements(), Elements(takes_partial="1")])
async def test_a_key_change_without_a_key_is_30(line: Line, ask: Ask, elements: Elements | None) -> None:
    assert (await ask(network("161", elements=elements))).reason == "FORMAT"
    assert line.counted("authz_malformed_total", link=ACQUIRER, field="48") == 1
    assert not line.engine.commands


async def test_a_cutover_begins_the_day_that_it_names(line: Line, ask: Ask) -> None:
    assert (await ask(CUTOVER)).response_code == "00"
    assert (await ask(network("201"))).response_code == "00"
    key = f"{ACQUIRER} 201 20260512103000 000001"
    assert line.engine.commands == [(ACQUIRER, date(2026, 5, 13), key), (ACQUIRER, None, key)]


async def test_a_cutover_that_could_not_be_recorded_says_so(line: Line, ask: Ask) -> None:
    line.engine.reason = Reason.UNAVAILABLE
    reply = await ask(CUTOVER)
    assert (reply.response_code, reply.reason) == ("91", "UNAVAILABLE")


@pytest.mark.parametrize("request_", [KEY_CHANGE, CUTOVER], ids=["key change", "cutover"])
async def test_a_repeat_is_the_same_command_and_another_is_not(line: Line, ask: Ask, request_: Message) -> None:
    """What makes a command one: the acquirer, DE 70, DE 7 with its year, DE 11."""
    for sent in (
        request_,
        replace(request_, mti="0801"),
        replace(request_, trace="000002"),
        replace(request_, transmitted="0512103001"),
    ):
        assert (await ask(sent)).response_code == "00"
    first, repeat, other, later = (key for *_, key in line.engine.commands)
    assert first == repeat
    assert len({first, other, later}) == 3


async def test_one_sent_last_year_keeps_its_year(line: Line, ask: Ask) -> None:
    """The year is the one nearest the engine's instant, which is in May 2026."""
    await ask(replace(CUTOVER, transmitted="1231235959"))
    [(_, _, key)] = line.engine.commands
    assert key == f"{ACQUIRER} 201 20251231235959 000001"


async def test_another_acquirer_manages_nothing_here(line: Line, ask: Ask) -> None:
    """DE 32 is optional; where it comes, it is this link's or 58."""
    assert (await ask(replace(CUTOVER, acquirer="970099"))).reason == "ACQUIRER_UNKNOWN"
    assert not line.engine.commands
    assert (await ask(replace(CUTOVER, acquirer=ACQUIRER))).response_code == "00"


@pytest.mark.parametrize("mti", ["0100", "0101", "0120", "0200", "0220", "0221", "0400", "0420", "0500", "0520"])
async def test_financial_messages_before_sign_on_get_91_and_are_counted(mti: str) -> None:
    async with line_of(Terms(ACQUIRER, sign_on_required=True)) as line:
        client = await line.connect()
        reply = await client.ask(financial(mti))
        assert (reply.response_code, reply.reason) == ("91", "NOT_SIGNED_ON")
        assert line.counted("authz_refused_total", reason="NOT_SIGNED_ON") == 1
        assert line.engine.asked.empty()


async def test_a_connection_signs_on_and_off_for_itself() -> None:
    async with line_of(Terms(ACQUIRER, sign_on_required=True)) as line:
        line.engine.script = approve
        client, other = await line.connect(), await line.connect()
        assert (await client.ask(network("301"))).response_code == "00", "an echo needs no sign-on"
        assert (await client.ask(purchase(1))).reason == "NOT_SIGNED_ON"
        await client.ask(network("001"))
        assert (await client.ask(purchase(2))).response_code == "00"
        assert (await other.ask(purchase(3))).response_code == "91", "each connection signs on for itself"
        await client.ask(network("002"))
        assert (await client.ask(purchase(4))).reason == "NOT_SIGNED_ON"


@given(steps=st.lists(st.integers(0, 40), max_size=60), a_minute=st.integers(1, 5))
def test_a_sign_on_is_taken_unless_so_many_were_in_the_last_minute(steps: list[int], a_minute: int) -> None:
    sign_ons, taken, at = SignOns(a_minute), list[int](), 0
    for step in steps:
        at += step
        expected = sum(at - 60 < one for one in taken) < a_minute
        assert sign_ons.take(at) == expected
        taken += [at] * expected


async def test_more_sign_ons_than_a_minute_allows_get_91_and_hinder_nobody_who_signed_on() -> None:
    """Over all of the link's connections."""
    async with line_of(Terms(ACQUIRER, sign_on_required=True, sign_ons_a_minute=2)) as line:
        line.engine.script = approve
        client, other, late = await line.connect(), await line.connect(), await line.connect()
        for one in (client, other):
            assert (await one.ask(network("001"))).response_code == "00"
        for one in (late, client):
            reply = await one.ask(network("001"))
            assert (reply.mti, reply.response_code, reply.reason) == ("0810", "91", "OVERLOADED")
        assert line.counted("authz_sign_ons_refused_total", link=ACQUIRER) == 2
        assert line.counted("authz_refused_total", reason="OVERLOADED") == 2
        assert (await client.ask(purchase(1))).response_code == "00", "it is signed on as before"
        assert (await late.ask(purchase(2))).reason == "NOT_SIGNED_ON"
        for one in (client, other, late):
            assert (await one.ask(network("301"))).response_code == "00"
