"""Bad input is met as docs/interface.md says, and nobody else suffers."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec
import pytest

from authz.wire.message import ATTRIBUTES, Message
from tests.acceptance.authorizer import TUESDAY, Authorizer
from tests.acceptance.counter import CODEC, Line, ask, framed, mac_of, purchase, signed

FIRST_BIT = 1 << 63
NETWORK = Message(mti="0800", transmitted="0512103000", trace="000001", network_code="301")
ECHOED = (2, 3, 4, 7, 11, 12, 13, 32, 37, 41, 42, 49, 70)
"""docs/interface.md: what a reply echoes as received."""
UNREADABLE_MAX = 10
FRAME_BYTES_MAX = 8_192


@pytest.fixture
def authorizer(shared: Callable[[str], Authorizer]) -> Iterator[Authorizer]:
    """One for all; after each test another connection's good request is answered."""
    one = shared(TUESDAY)
    yield one
    assert ask(one.port, purchase("0030", 1)).response_code == "00"


def encoded(request: Message) -> bytes:
    return CODEC.encode(request)


def with_field(request: Message, number: int, text: str) -> bytes:
    """A message with one more field above 64, which the codec wouldn't write."""
    frame = encoded(request)
    primary = int(frame[4:20], 16) | FIRST_BIT
    return frame[:4] + b"%016X%016X" % (primary, 1 << (128 - number)) + frame[20:] + text.encode()


def echo_of(request: Message, *, without: int = 0) -> dict[str, str | None]:
    return {ATTRIBUTES[number]: getattr(request, ATTRIBUTES[number]) for number in ECHOED if number != without}


def refused_for_its_format(reply: Message, request: Message, *, without: int = 0) -> None:
    """A 30 FORMAT that echoes what was well-formed, and not field `without`."""
    expected = echo_of(request, without=without)
    assert (reply.response_code, reply.reason) == ("30", "FORMAT")
    assert {name: getattr(reply, name) for name in expected} == expected
    if without:
        assert getattr(reply, ATTRIBUTES[without]) is None


@pytest.mark.parametrize("seed", range(4))
def test_a_file_of_random_bytes(authorizer: Authorizer, seed: int) -> None:
    with Line(authorizer.port) as line:
        with suppress(OSError):  # it may be closed before all is sent
            line.send_raw(random.Random(seed).randbytes(1 << 20))
            line.close_sending()
        assert line.is_closed()


def test_random_bytes_in_good_frames(authorizer: Authorizer) -> None:
    chance = random.Random(8583)
    with Line(authorizer.port) as line:
        for _ in range(UNREADABLE_MAX - 1):
            line.send(chance.randbytes(chance.randrange(1, FRAME_BYTES_MAX)))
        assert line.ask(purchase("0030", 1)).response_code == "00"


def test_a_frame_cut_in_half(authorizer: Authorizer) -> None:
    frame = framed(encoded(purchase("0030", 1)))
    with Line(authorizer.port) as line:
        line.send_raw(frame[: len(frame) // 2])
        line.close_sending()
        assert line.is_closed()


def test_a_frame_that_comes_byte_by_byte_is_answered(authorizer: Authorizer) -> None:
    request = purchase("0030", 1)
    with Line(authorizer.port) as line:
        for byte in framed(encoded(request)):
            line.send_raw(bytes([byte]))
        assert CODEC.decode(line.receive()).response_code == "00"


@pytest.mark.parametrize("length", [65_535, FRAME_BYTES_MAX + 1])
def test_a_length_above_the_limit_closes_the_link_at_once(authorizer: Authorizer, length: int) -> None:
    with Line(authorizer.port) as line:
        line.send_raw(length.to_bytes(2, "big"))
        assert line.is_closed()


def test_a_length_of_0_keeps_the_link_alive(authorizer: Authorizer) -> None:
    with Line(authorizer.port) as line:
        line.send_raw(bytes(2 * 1_000))
        assert line.ask(purchase("0030", 1)).response_code == "00"


def test_a_letter_in_de_4(authorizer: Authorizer) -> None:
    request = purchase("0030", 1)
    frame = encoded(request).replace(b"000000000001", b"00000000000A", 1)
    before = authorizer.counted("authz_malformed_total", field="4")
    with Line(authorizer.port) as line:
        reply = CODEC.decode(line.ask_bytes(frame))
        refused_for_its_format(reply, request, without=4)
        assert line.ask(request).response_code == "00"
    assert authorizer.counted("authz_malformed_total", field="4") - before == 1


@pytest.mark.parametrize(
    ("field", "text"), [(65, "0" * 16), (93, "12345"), (96, "0123456789ABCDEF"), (105, "001A"), (127, "001A")]
)
def test_a_field_that_the_dialect_lacks(authorizer: Authorizer, field: int, text: str) -> None:
    request = purchase("0030", 1)
    with Line(authorizer.port) as line:
        reply = CODEC.decode(line.ask_bytes(with_field(request, field, text)))
        if CODEC.dialect.fields.get(field) is None:
            refused_for_its_format(reply, request)
        else:
            assert reply.response_code == "00"


@pytest.mark.parametrize("mti", ["0600", "0300", "1200", "0240", "0700"])
def test_an_unknown_request_type(authorizer: Authorizer, mti: str) -> None:
    request = msgspec.structs.replace(purchase("0030", 1), mti=mti)
    reply = ask(authorizer.port, request)
    assert reply.mti == f"{mti[:2]}{int(mti[2]) + 1}0"
    refused_for_its_format(reply, request)


@pytest.mark.parametrize("field", [2, 3, 4, 7, 11, 12, 13, 22, 32, 41, 42, 49])
def test_a_mandatory_field_that_is_missing(authorizer: Authorizer, field: int) -> None:
    request = msgspec.structs.replace(purchase("0030", 1), **{ATTRIBUTES[field]: None})
    refused_for_its_format(ask(authorizer.port, request), request)


def test_the_pan_may_come_as_track_2_but_not_two_of_them(authorizer: Authorizer) -> None:
    request = purchase("0030", 1)
    track2 = f"{request.pan}=2901625"
    with Line(authorizer.port) as line:
        alone = line.ask(msgspec.structs.replace(purchase("0030", 1), pan=None, track2=track2))
        assert (alone.response_code, alone.pan) == ("00", None)
        other = msgspec.structs.replace(request, track2=f"{purchase('0014', 1).pan}=2901625")
        refused_for_its_format(line.ask(other), request)


def test_ten_unreadable_frames_in_a_row_close_the_link(authorizer: Authorizer) -> None:
    before = authorizer.counted("authz_frames_dropped_total", why="unreadable")
    with Line(authorizer.port) as line:
        for _ in range(UNREADABLE_MAX - 1):
            line.send(b"no message type")
        assert line.ask(NETWORK).response_code == "00"
        for _ in range(UNREADABLE_MAX):
            line.send(b"no message type")
        assert line.is_closed()
    assert authorizer.counted("authz_frames_dropped_total", why="unreadable") - before == 2 * UNREADABLE_MAX - 1


@pytest.mark.parametrize("mti", ["0210", "0110", "0430", "0810"])
def test_a_response_is_counted_and_dropped(authorizer: Authorizer, mti: str) -> None:
    before = authorizer.counted("authz_frames_dropped_total", why="response")
    with Line(authorizer.port) as line:
        line.send(encoded(msgspec.structs.replace(purchase("0030", 1), mti=mti)))
        assert line.ask(NETWORK).mti == "0810"
    assert authorizer.counted("authz_frames_dropped_total", why="response") - before == 1


def test_a_mac_that_is_right_is_answered_with_a_right_one(authorizer: Authorizer) -> None:
    for request in (purchase("0030", 1), msgspec.structs.replace(NETWORK, trace="000002")):
        with Line(authorizer.port) as line:
            reply = line.ask_bytes(signed(request))
        message = CODEC.decode(reply)
        assert message.response_code == "00"
        assert message.mac == mac_of(reply)


def test_a_mac_that_is_wrong_is_refused_with_a_right_one_and_nothing_stored(authorizer: Authorizer) -> None:
    request = purchase("0030", 1)
    frame = CODEC.encode_unsigned(request)
    with Line(authorizer.port) as line:
        reply = line.ask_bytes(CODEC.signed(frame, "0123456789ABCDEF"))
        message = CODEC.decode(reply)
        assert (message.response_code, message.reason, message.mac) == ("63", "MAC_WRONG", mac_of(reply))
        right = CODEC.decode(line.ask_bytes(signed(request)))
        assert right.response_code == "00"


def test_no_mac_is_answered_without_one(authorizer: Authorizer) -> None:
    assert ask(authorizer.port, purchase("0030", 1)).mac is None


@pytest.mark.parametrize("code", ["001", "002", "301"], ids=["sign-on", "sign-off", "echo"])
def test_network_management(authorizer: Authorizer, code: str) -> None:
    request = msgspec.structs.replace(NETWORK, network_code=code)
    reply = ask(authorizer.port, request)
    assert (reply.mti, reply.response_code) == ("0810", "00")
    assert {ATTRIBUTES[n]: getattr(reply, ATTRIBUTES[n]) for n in ECHOED} == echo_of(request)
