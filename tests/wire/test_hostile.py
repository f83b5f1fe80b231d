"""Whatever bytes come, in whatever dialect: a message, or one of two errors; and no error holds a secret."""

import re
import traceback

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from authz.wire.codec import Codec, Malformed, Unreadable, Unsendable
from authz.wire.dialect import shipped, shipped_names
from authz.wire.message import Elements, Message

CODECS = {name: Codec(shipped(name)) for name in shipped_names()}

PAN, OTHER_PAN, PIN_BLOCK, CVV2, KEY_BLOCK = (
    "9250100000000014",
    "9250100000000022",
    "A1B2C3D4E5F60718",
    "917",
    "B0096P0TE",
)
MESSAGE = Message(
    mti="0400",
    pan=PAN,
    processing_code="000000",
    amount="000000001250",
    transmitted="0512103000",
    trace="000042",
    local_time="123000",
    local_date="0512",
    expiry="2806",
    entry_mode="051",
    acquirer="970001",
    track2=f"{PAN}=28061019170000",
    retrieval_reference="613212000042",
    terminal="PAR00001",
    merchant="FR0000000000001",
    elements=Elements(cvv2=CVV2, takes_partial="1", key_block=KEY_BLOCK),
    currency="978",
    pin_block=PIN_BLOCK,
    chip="9F2608C1C2C3C4C5C6C7C8",
    original="020000004205121030000000097000100000000000",
    replacement="0" * 42,
    mac="FEDCBA9876543210",
)
FRAMES = {name: codec.encode(MESSAGE) for name, codec in CODECS.items()}
SECRETS = re.compile(rf"92501000|{PIN_BLOCK[:8]}|CV003|{CVV2}|{KEY_BLOCK}|2806|C1C2C3C4|FEDCBA98")


def outcome(name: str, frame: bytes) -> Exception | None:
    """Decode; return the error if there is one. Any other kind of exception is the test's failure."""
    try:
        CODECS[name].decode(frame)
    except (Malformed, Unreadable) as refused:
        return refused
    return None


def leaks(error: Exception) -> list[str]:
    """Secrets in any text that a log could make of an error."""
    shown = [str(error), repr(error), repr(error.args), "".join(traceback.format_exception(error))]
    if isinstance(error, Malformed):
        shown.append(repr(error.partial))
    return SECRETS.findall("\n".join(shown))


def mutated(name: str) -> SearchStrategy[bytes]:
    """Good frames with some of their bytes cut out and others put in their place."""
    full = FRAMES[name]
    return st.builds(
        lambda place, length, inserted: full[:place] + inserted + full[place + length :],
        st.integers(0, len(full)),
        st.integers(0, 40),
        st.binary(max_size=40) | st.text("0123456789ABCDEF=+-_ ", max_size=40).map(str.encode),
    )


EVERY_DIALECT = pytest.mark.parametrize("name", CODECS)


@EVERY_DIALECT
def test_the_frame_that_is_mutated_is_a_good_one(name: str) -> None:
    assert outcome(name, FRAMES[name]) is None


@EVERY_DIALECT
@given(frame=st.binary(max_size=300))
@example(frame=b"")
@example(frame=b"0200" + b"F" * 32)
@example(frame=b"0200" + b"f" * 400)
@example(frame=bytes(5) + b"\x02\x00" + b"\xff" * 16)
@example(frame=b"\xf0\xf2\xf0\xf0" + b"\xff" * 400)
def test_random_bytes(name: str, frame: bytes) -> None:
    error = outcome(name, frame)
    assert error is None or leaks(error) == []


@EVERY_DIALECT
@given(data=st.data())
def test_random_bitmaps(name: str, data: st.DataObject) -> None:
    codec, full = CODECS[name], FRAMES[name]
    first_at = len(codec.encode(Message(mti="0400"))) - (8 if codec.dialect.bitmap == "binary" else 16)
    bitmaps = data.draw(st.binary(min_size=16, max_size=16))
    written = bitmaps if codec.dialect.bitmap == "binary" else bitmaps.hex().upper().encode()
    body = data.draw(st.binary(max_size=500) | st.just(full[first_at + len(written) :]))
    error = outcome(name, full[:first_at] + written + body)
    assert error is None or leaks(error) == []


@EVERY_DIALECT
@settings(max_examples=300)
@given(data=st.data())
def test_mutated_frames(name: str, data: st.DataObject) -> None:
    error = outcome(name, data.draw(mutated(name)))
    assert error is None or leaks(error) == []
    assert error is None or (error.__context__ is None and error.__cause__ is None)


@EVERY_DIALECT
def test_truncated_frames(name: str) -> None:
    for length in range(len(FRAMES[name])):
        error = outcome(name, FRAMES[name][:length])
        assert error is not None
        assert leaks(error) == []


@EVERY_DIALECT
@given(data=st.data())
def test_what_is_read_can_be_written_and_read_again(name: str, data: st.DataObject) -> None:
    try:
        message = CODECS[name].decode(data.draw(mutated(name)))
    except Unreadable:
        return
    except Malformed as refused:
        message = refused.partial
    again = CODECS[name].decode(CODECS[name].encode(message))
    assert again == replace(message, unused=())


@EVERY_DIALECT
@given(
    text=st.text(max_size=30),
    attribute=st.sampled_from(
        ["pan", "track2", "amount", "net_amount", "merchant", "reason", "mac", "chip", "pin_block", "header"]
    ),
)
def test_writing_ends_in_a_frame_or_in_our_own_error(name: str, text: str, attribute: str) -> None:
    error = None
    try:
        CODECS[name].encode(replace(Message(mti="0200"), **{attribute: f"{PAN}{text}"}))
    except Unsendable as refused:
        error = refused
    assert error is None or (leaks(error) == [] and error.__context__ is None)


@EVERY_DIALECT
def test_two_pans_are_refused_without_showing_either(name: str) -> None:
    error = outcome(name, CODECS[name].encode(replace(MESSAGE, track2=f"{OTHER_PAN}=28061019170000")))
    assert isinstance(error, Malformed)
    assert error.field == 35
    assert leaks(error) == []
