"""The order of an answer up to the engine: format, MAC, acquirer's sign-on (docs/interface.md, "What is checked")."""

import asyncio

import pytest
from msgspec.structs import replace

from authz.decision.outcomes import Reason
from authz.engine.requests import Answer, NoAnswer, Request
from authz.links.link import Terms
from authz.wire.message import Message
from tests.links.lines import ACQUIRER, Line, approve, financial, line_of, network, purchase


async def signed(line: Line, message: Message) -> Message:
    """The message with the MAC that the link's key makes."""
    covered = line.codec.covered(line.codec.encode_unsigned(message))
    return replace(message, mac=await line.security.make_mac(ACQUIRER, covered))


async def test_a_reply_bears_a_mac_if_and_only_if_its_request_did(line: Line) -> None:
    line.engine.script = approve
    client = await line.connect()
    assert (await client.ask(purchase(1))).mac is None
    reply = await client.ask(await signed(line, purchase(2)))
    assert reply.response_code == "00"
    assert reply == await signed(line, replace(reply, mac=None))


async def test_a_wrong_mac_is_63_and_reaches_no_engine(line: Line) -> None:
    client = await line.connect()
    reply = await client.ask(purchase(1, mac="0" * 16))
    assert (reply.response_code, reply.reason) == ("63", "MAC_WRONG")
    assert reply.mac is not None
    assert line.engine.asked.empty()


async def test_a_mac_that_is_required_and_missing_is_63() -> None:
    async with line_of(Terms(ACQUIRER, mac_required=True)) as line:
        line.engine.script = approve
        client = await line.connect()
        assert (await client.ask(purchase(1))).reason == "MAC_WRONG"
        assert (await client.ask(await signed(line, purchase(2)))).response_code == "00"


async def test_format_goes_before_mac(line: Line) -> None:
    client = await line.connect()
    reply = await client.ask(purchase(1, terminal=None, mac="0" * 16))
    assert (reply.response_code, reply.reason) == ("30", "FORMAT")


@pytest.mark.parametrize("why", [Reason.UNAVAILABLE, Reason.OVERLOADED])
async def test_what_is_turned_away_is_so_whatever_the_mac(line: Line, why: Reason) -> None:
    """Where another engine writes, the link's keys may have changed: a MAC that looks wrong here may be right."""
    line.engine.away = why
    client = await line.connect()
    assert (await client.ask(purchase(1, mac="0" * 16))).reason == why
    assert (await client.ask(purchase(2))).response_code == "91"
    assert (await client.ask(purchase(3, amount=None))).response_code == "30"
    assert line.engine.asked.empty()
    assert line.counted("authz_refused_total", reason=why) == 2
    assert (await client.ask(network("301"))).response_code == "00"


@pytest.mark.parametrize("missing", ["pan", "processing_code", "amount", "transmitted", "trace", "local_time"])
async def test_a_missing_field_is_30_and_the_rest_is_echoed(line: Line, missing: str) -> None:
    message = replace(purchase(1), **{missing: None})
    reply = await (await line.connect()).ask(message)
    assert reply == replace(
        Message(mti="0210", response_code="30", reason="FORMAT"),
        **{
            name: getattr(message, name)
            for name in Message.__struct_fields__
            if name not in ("mti", "entry_mode", "response_code", "reason")
        },
    )


@pytest.mark.parametrize("mti", ["0300", "0600", "0999"])
async def test_an_unknown_request_type_is_30(line: Line, mti: str) -> None:
    message = purchase(1, mti=mti)
    client = await line.connect()
    if mti == "0999":
        client.send(message)
        message = purchase(1, mti="0300")
    assert (await client.ask(message)).response_code == "30"


async def test_another_acquirers_request_is_the_engines_to_refuse(line: Line) -> None:
    """ACQUIRER_UNKNOWN is journaled: it goes through the engine, also where sign-on is required."""
    heard: list[Request] = []

    async def hear(request: Request) -> Answer:
        heard.append(request)
        return await approve(request)

    line.engine.script = hear
    await (await line.connect()).ask(purchase(1, acquirer="970099"))
    [request] = heard
    assert (request.link, request.command.origin.acquirer) == (ACQUIRER, "970099")


async def test_another_acquirers_totals_are_refused_58(line: Line) -> None:
    reply = await (await line.connect()).ask(replace(financial("0500"), acquirer="970099"))
    assert (reply.mti, reply.response_code, reply.reason) == ("0510", "58", "ACQUIRER_UNKNOWN")
    assert line.counted("authz_refused_total", reason="ACQUIRER_UNKNOWN") == 1


@pytest.mark.parametrize("message", [purchase(), financial("0421"), financial("0500"), network("301")])
async def test_another_acquirers_message_is_an_alarm(line: Line, message: Message) -> None:
    line.engine.script = approve
    client = await line.connect()
    for acquirer in (ACQUIRER, "970099", "970099"):
        await client.ask(replace(message, acquirer=acquirer))
    assert line.counted("authz_foreign_acquirer_total", link=ACQUIRER) == 2


async def test_an_acquirer_that_is_not_named_or_not_proven_is_no_alarm(line: Line) -> None:
    """DE 32 is optional in an 0800; who sends a wrong MAC isn't the acquirer at all."""
    client = await line.connect()
    assert (await client.ask(network("301"))).response_code == "00"
    assert (await client.ask(purchase(1, acquirer="970099", mac="0" * 16))).reason == "MAC_WRONG"
    assert not line.counted("authz_foreign_acquirer_total", link=ACQUIRER)


@pytest.mark.parametrize("mti", ["0500", "0501", "0520", "0521"])
async def test_totals_are_the_engines_to_make(line: Line, mti: str) -> None:
    reply = await (await line.connect()).ask(financial(mti))
    assert (reply.mti, reply.settlement_code) == (f"05{int(mti[2]) + 1}0", "1")


async def test_totals_settled_too_late_are_answered_by_silence(line: Line) -> None:
    line.engine.too_late = NoAnswer.TOO_LATE
    line.engine.script = approve
    client = await line.connect()
    client.send(financial("0500"))
    assert (await client.ask(purchase(2))).trace == "000002"


@pytest.mark.parametrize(
    "mti", ["0100", "0101", "0120", "0121", "0200", "0201", "0220", "0221", "0400", "0420", "0421"]
)
async def test_what_is_about_a_card_goes_to_the_engine_with_its_deadline(mti: str) -> None:
    """Requests have a deadline: a term of the link."""
    async with line_of(Terms(ACQUIRER, deadline_s=2)) as line:
        before = asyncio.get_running_loop().time()
        client = await line.connect()
        client.send(financial(mti))
        request, answer = await line.engine.asked.get()
        assert before + 2 <= request.deadline <= asyncio.get_running_loop().time() + 2
        assert (request.link, request.repeat) == (ACQUIRER, mti[3] == "1")
        answer.set_result(await approve(request))
        assert (await client.hear()).mti == f"{mti[:2]}{int(mti[2]) + 1}0"


async def test_a_reply_goes_back_to_where_its_request_came_from() -> None:
    """A TPDU's addresses change places, also in what is refused."""
    async with line_of(dialect="iso87bcd") as line:
        line.engine.script = approve
        client = await line.connect()
        for request in (
            purchase(1, header="6000120345"),
            purchase(2, header="6000120345", terminal=None),
            network("301", header="6000120345"),
        ):
            assert (await client.ask(request)).header == "6003450012"
