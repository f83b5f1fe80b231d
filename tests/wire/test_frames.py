"""Framing: docs/interface.md, "Wire" (2-byte big-endian length) and "Bad input" (keep-alive, limit)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.wire.dialect import Framing
from authz.wire.frames import Framer, FrameTooLong, LengthUnreadable

LIMIT = 8_192
PAYLOADS = st.lists(st.binary(max_size=300), max_size=20)


def test_a_length_in_two_bytes_goes_before_the_payload() -> None:
    assert Framer().frame(b"0800") == b"\x00\x04" + b"0800"
    assert Framer().frame(bytes(300))[:2] == b"\x01\x2c"


@given(payloads=PAYLOADS, data=st.data())
def test_any_chunking_gives_the_same_frames(payloads: list[bytes], data: st.DataObject) -> None:
    framer = Framer()
    stream = b"".join(framer.frame(payload) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [frame for chunk in chunks for frame in framer.feed(chunk)] == [payload for payload in payloads if payload]
    assert framer.keep_alives == payloads.count(b"")


def test_one_byte_at_a_time() -> None:
    framer = Framer()
    stream = framer.frame(b"first") + framer.frame(b"") + framer.frame(b"second")
    assert [frame for byte in stream for frame in framer.feed(bytes([byte]))] == [b"first", b"second"]


def test_the_longest_frame_passes() -> None:
    framer = Framer()
    assert framer.feed(framer.frame(bytes(LIMIT))) == [bytes(LIMIT)]


@pytest.mark.parametrize("length", [LIMIT + 1, 65_535])
def test_a_longer_one_is_refused_as_soon_as_its_length_is_known(length: int) -> None:
    framer = Framer()
    head = length.to_bytes(2, "big")
    assert framer.feed(head[:1]) == []
    with pytest.raises(FrameTooLong):
        framer.feed(head[1:])


def test_nothing_behind_a_frame_too_long_is_ever_read() -> None:
    framer = Framer()
    for data in (b"\x00\x02ok" + b"\xff\xff", b"\x00\x02ok", b""):
        with pytest.raises(FrameTooLong):
            framer.feed(data)


def test_a_frame_too_long_is_not_written() -> None:
    with pytest.raises(FrameTooLong):
        Framer().frame(bytes(LIMIT + 1))


def test_the_limit_is_the_dialects() -> None:
    with pytest.raises(FrameTooLong):
        Framer(Framing(payload_bytes_max=100)).feed(b"\x00\x65")


@given(st.lists(st.binary(max_size=5_000), max_size=10))
def test_less_than_one_frame_is_kept(chunks: list[bytes]) -> None:
    framer = Framer()
    for chunk in chunks:
        with suppress(FrameTooLong):
            framer.feed(chunk)
        assert len(framer._buffer) < 2 + LIMIT


class TestDecimalLength:
    """A length of four decimal digits, as jPOS' ASCIIChannel sends it."""

    FRAMING = Framing(length_coding="ascii", length_bytes=4)

    def test_it_goes_before_the_payload(self) -> None:
        framer = Framer(self.FRAMING)
        assert framer.frame(b"0800") == b"0004" + b"0800"
        assert framer.frame(bytes(LIMIT))[:4] == b"8192"
        assert framer.frame(b"") == b"0000"

    @given(payloads=PAYLOADS, data=st.data())
    def test_any_chunking_gives_the_same_frames(self, payloads: list[bytes], data: st.DataObject) -> None:
        framer = Framer(self.FRAMING)
        stream = b"".join(framer.frame(payload) for payload in payloads)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
        chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        assert [got for chunk in chunks for got in framer.feed(chunk)] == [payload for payload in payloads if payload]
        assert framer.keep_alives == payloads.count(b"")

    @pytest.mark.parametrize("head", [b"8193", b"9999"])
    def test_a_longer_one_is_refused(self, head: bytes) -> None:
        with pytest.raises(FrameTooLong):
            Framer(self.FRAMING).feed(head)

    @pytest.mark.parametrize(
        "head", [b"+004", b" 004", b"0_04", b"-004", b"004 ", b"00x4", b"\x00\x00\x00\x04", b"\xb2004"]
    )
    def test_what_is_no_number_ends_it_now_and_ever_after(self, head: bytes) -> None:
        framer = Framer(self.FRAMING)
        assert framer.feed(framer.frame(b"good")) == [b"good"]
        assert framer.feed(head[:3]) == []
        for data in (head[3:] + b"0800", b"0004good", b""):
            with pytest.raises(LengthUnreadable):
                framer.feed(data)

    @given(st.lists(st.binary(max_size=5_000), max_size=10))
    def test_hostile_bytes_end_in_one_error_and_little_is_kept(self, chunks: list[bytes]) -> None:
        framer = Framer(self.FRAMING)
        for chunk in chunks:
            with suppress(FrameTooLong):
                framer.feed(chunk)
            assert len(framer._buffer) < 4 + LIMIT


def test_four_binary_bytes() -> None:
    framer = Framer(Framing(length_bytes=4))
    assert framer.feed(framer.frame(b"0800")) == [b"0800"]
    assert framer.frame(b"0800")[:4] == b"\x00\x00\x00\x04"
