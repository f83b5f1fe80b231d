"""Whatever comes over a connection: nothing raises past the link, nobody else suffers (docs/interface.md, "Bad input").

Bytes are mutated valid frames, well-framed noise and plain noise, cut anywhere, into a connection with a real link.
"""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.links.connection import Connection
from authz.wire.codec import Malformed, Unreadable
from authz.wire.frames import Framer, FrameTooLong
from authz.wire.message import Elements, Message
from authz.wire.rules import RULES, is_response, reply_mti
from tests.links.lines import Line, approve, financial, line_of, network, purchase, until
from tests.links.transports import BareTransport, joined

DIALECTS = ["iso87ascii", "iso87ascii4", "iso87bcd", "iso87ebcdic"]
VALID = [
    *(financial(mti) for mti in RULES if mti != "0800"),
    *(network(code) for code in ("001", "002", "201", "301")),
    network("161", elements=Elements(key_block="D0112P0TE00N0000")),
    purchase(2, mti="0210"),
    purchase(3, mac="0123456789ABCDEF"),
    purchase(4, pan=None, track2="9250100000000014=2901625"),
    replace(financial("0421"), replacement="0" * 42),
]


@st.composite
def mutated(draw: st.DrawFn, frame: bytes) -> bytes:
    """A frame with bytes changed, taken out or put in."""
    data = bytearray(frame)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["change", "cut", "insert"])):
            case "change" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 8))]
            case _:
                data[at:at] = draw(st.binary(max_size=8))
    return bytes(data)


@st.composite
def streams(draw: st.DrawFn, line: Line) -> list[bytes]:
    """What comes over a connection, read by read."""
    framer = Framer(line.codec.dialect.framing)
    frames = st.one_of(
        st.sampled_from(VALID).map(line.codec.encode).flatmap(mutated).map(framer.frame),
        st.binary(max_size=60).map(framer.frame),
        st.sampled_from(VALID).map(line.codec.encode).map(framer.frame).flatmap(mutated),
        st.binary(max_size=60),
    )
    data = b"".join(draw(st.lists(frames, max_size=12)))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_whatever_comes_nothing_raises_every_reply_can_be_read_and_others_are_answered(
    dialect: str, data: st.DataObject
) -> None:
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    async with line_of(dialect=dialect) as line:
        line.engine.script = approve
        bad, transport = joined(line)
        good = await line.connect()
        for read in data.draw(streams(line)):
            if not transport.is_closing():
                bad.data_received(read)
        assert (await good.ask(purchase(7))).response_code == "00"
        await settled(bad)
        for reply in replies_of(line, transport):
            assert is_response(reply.mti)
            assert reply.response_code is not None
        assert (await good.ask(network("301"))).response_code == "00"
        assert not line.dropped("unanswerable")
    assert not raised
    assert not [words for words in line.logged if words[0] != "link closed"], "no defect was met"


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_each_request_that_can_be_told_as_one_gets_one_reply(dialect: str, data: st.DataObject) -> None:
    """A frame with an MTI and a bitmap gets an answer; one without, and a response, get none."""
    async with line_of(dialect=dialect) as line:
        line.engine.script = approve
        served, transport = joined(line)
        frames = [data.draw(mutated(line.codec.encode(data.draw(st.sampled_from(VALID))))) for _ in range(6)]
        expected: list[str] = []
        for frame in frames:
            try:
                mti = line.codec.decode(frame).mti
            except Unreadable:
                continue
            except Malformed as error:
                mti = error.partial.mti
            if not is_response(mti):
                expected.append(reply_mti(mti))
        served.data_received(b"".join(Framer(line.codec.dialect.framing).frame(frame) for frame in frames))
        await settled(served)
        assert sorted(reply.mti for reply in replies_of(line, transport)) == sorted(expected)


async def test_what_stands_behind_the_tenth_unreadable_frame_is_not_taken(line: Line) -> None:
    client = await line.connect()
    client.writer.write(b"\x00\x05noise" * 10 + client.frame(purchase()))
    with pytest.raises((EOFError, ConnectionError)):
        await client.hear()
    assert line.engine.asked.empty()


@pytest.mark.parametrize("error", [KeyError("9250100000000014"), RecursionError(), AssertionError("1234")])
async def test_a_defect_in_reading_costs_its_own_frame(
    line: Line, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    line.engine.script = approve
    client = await line.connect()
    request, decode, heard = client.frame(purchase(2)), line.codec.decode, list[bytes]()

    def fail_once(frame: bytes) -> Message:
        heard.append(frame)
        if len(heard) == 1:
            raise error
        return decode(frame)

    monkeypatch.setattr(line.codec, "decode", fail_once)
    client.send(purchase(1))
    client.writer.write(request)
    await until(lambda: len(heard) > 1)
    monkeypatch.undo()
    assert (await client.hear()).trace == "000002"
    assert line.logged == [("request not answered", {"error": type(error).__name__})]


async def test_a_decimal_length_that_is_no_number_closes_the_connection() -> None:
    async with line_of(dialect="iso87ascii4") as line:
        client = await line.connect()
        client.writer.write(b"01x0")
        with pytest.raises((EOFError, ConnectionError)):
            await client.hear()
        assert line.closed("length_unreadable") == 1


def replies_of(line: Line, transport: BareTransport) -> list[Message]:
    """What was written, read again; raises where it can't be."""
    framer = Framer(line.codec.dialect.framing)
    try:
        frames = framer.feed(b"".join(transport.written))
    except FrameTooLong:
        pytest.fail("what was written is not framed")
    return [line.codec.decode(frame) for frame in frames]


async def settled(served: Connection) -> None:
    await until(lambda: not served._tasks)
    await asyncio.sleep(0)
