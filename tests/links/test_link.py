"""The order of an answer up to the engine: format, MAC, acquirer's sign-on (docs/interface.md, "What is checked")."""

import pytest
from msgspec.structs import replace

from authz.engine.requests import Answer, Request
from authz.links.link import Terms
from authz.wire.message import Message
from tests.links.lines import ACQUIRER, Line, approve, line_of, purchase

ECHO = Message(mti="0800", transmitted="0512103000", trace="000001", network_code="301")


async def signed(line: Line, message: Message) -> Message:
    """The message with the MAC that the link's key makes."""
    covered = line.codec.covered(line.codec.encode_unsigned(message))
    return replace(message, mac=await line.security.make_mac(ACQUIRER, covered))


@pytest.mark.parametrize(
    ("code", "answer"), [("001", "00"), ("002", "00"), ("301", "00"), ("161", "12"), ("999", "12")]
)
async def test_network_management(line: Line, code: str, answer: str) -> None:
    reply = await (await line.connect()).ask(replace(ECHO, network_code=code))
    assert (reply.mti, reply.response_code, reply.network_code, reply.trace) == ("0810", answer, code, "000001")


async def test_where_it_is_required_nothing_is_decided_before_sign_on_or_after_sign_off() -> None:
    async with line_of(Terms(ACQUIRER, sign_on_required=True)) as line:
        line.engine.script = approve
        client, other = await line.connect(), await line.connect()
        assert (await client.ask(purchase(1))).reason == "NOT_SIGNED_ON"
        await client.ask(replace(ECHO, network_code="001"))
        assert (await client.ask(purchase(2))).response_code == "00"
        assert (await other.ask(purchase(3))).response_code == "91", "each connection signs on for itself"
        await client.ask(replace(ECHO, network_code="002"))
        assert (await client.ask(purchase(4))).reason == "NOT_SIGNED_ON"


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
