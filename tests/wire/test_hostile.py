"""Whatever bytes come, decoding ends in a message or in one of two errors, and no error holds a secret."""

import re
import traceback

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from authz.wire.codec import Codec, Malformed, Unreadable, Unsendable
from authz.wire.dialect import shipped
from authz.wire.message import Elements, Message

CODEC = Codec(shipped("iso87ascii"))

PAN, OTHER_PAN, PIN_BLOCK, CVV2, KEY_BLOCK = (
    "9250100000000014",
    "9250100000000022",
    "A1B2C3D4E5F60718",
    "917",
    "B0096P0TE",
)
FULL = CODEC.encode(
    Message(
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
)
SECRETS = re.compile(rf"92501000|{PIN_BLOCK[:8]}|CV003|{CVV2}|{KEY_BLOCK}|2806|C1C2C3C4|FEDCBA98")


def outcome(frame: bytes) -> Exception | None:
    """Decode; return the error if there is one. Any other kind of exception is the test's failure."""
    try:
        CODEC.decode(frame)
    except (Malformed, Unreadable) as refused:
        return refused
    return None


def leaks(error: Exception) -> list[str]:
    """Secrets in any text that a log could make of an error."""
    shown = [str(error), repr(error), repr(error.args), "".join(traceback.format_exception(error))]
    if isinstance(error, Malformed):
        shown.append(repr(error.partial))
    return SECRETS.findall("\n".join(shown))


def spliced(start: int, end: int, inserted: bytes) -> bytes:
    return FULL[:start] + inserted + FULL[end:]


PLACES = st.integers(0, len(FULL))
MUTATED = st.builds(
    lambda place, length, inserted: spliced(place, place + length, inserted),
    PLACES,
    st.integers(0, 40),
    st.binary(max_size=40) | st.text("0123456789ABCDEF=+-_ ", max_size=40).map(str.encode),
)


def test_the_frame_that_is_mutated_is_a_good_one() -> None:
    assert outcome(FULL) is None


@given(st.binary(max_size=300))
@example(b"")
@example(b"0200" + b"F" * 32)
@example(b"0200" + b"f" * 400)
def test_random_bytes(frame: bytes) -> None:
    error = outcome(frame)
    assert error is None or leaks(error) == []


@given(st.from_regex(rb"0[1248][0-4]0[0-9A-F]{32}", fullmatch=True), st.binary(max_size=500) | st.just(FULL[36:]))
def test_random_bitmaps(head: bytes, body: bytes) -> None:
    error = outcome(head + body)
    assert error is None or leaks(error) == []


@settings(max_examples=500)
@given(MUTATED)
def test_mutated_frames(frame: bytes) -> None:
    error = outcome(frame)
    assert error is None or leaks(error) == []
    assert error is None or (error.__context__ is None and error.__cause__ is None)


@given(st.integers(0, len(FULL) - 1))
def test_truncated_frames(length: int) -> None:
    error = outcome(FULL[:length])
    assert error is not None
    assert leaks(error) == []


@given(MUTATED)
def test_what_is_read_can_be_written_and_read_again(frame: bytes) -> None:
    try:
        message = CODEC.decode(frame)
    except Unreadable:
        return
    except Malformed as refused:
        message = refused.partial
    again = CODEC.decode(CODEC.encode(message))
    assert again.pan == message.pan
    assert again.elements == message.elements
    assert again.mac == message.mac


@given(
    st.text(max_size=30), st.sampled_from(["pan", "track2", "amount", "merchant", "reason", "mac", "chip", "pin_block"])
)
def test_writing_ends_in_a_frame_or_in_our_own_error(text: str, attribute: str) -> None:
    error = None
    try:
        CODEC.encode(replace(Message(mti="0200"), **{attribute: f"{PAN}{text}"}))
    except Unsendable as refused:
        error = refused
    assert error is None or (leaks(error) == [] and error.__context__ is None)


def test_two_pans_are_refused_without_showing_either() -> None:
    assert FULL.count(b"=") == 1
    error = outcome(FULL.replace(f"{PAN}=".encode(), f"{OTHER_PAN}=".encode()))
    assert isinstance(error, Malformed)
    assert error.field == 35
    assert leaks(error) == []
