"""The short way through the codec against the examination by pyiso8583: the same message, or the same error, always.

A codec that may have no plans examines everything; it is what the compiled one is held to.
"""

import gc
import re
from collections.abc import Callable
from functools import cache
from types import ModuleType

import iso8583
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from authz.wire.codec import Codec, Malformed, Unreadable, Unsendable
from authz.wire.content import matcher
from authz.wire.dialect import Content, Dialect, Field, Form, shipped, shipped_names
from authz.wire.layout import Specification, conversions
from authz.wire.message import Elements, Message
from tests.wire.samples import DATES, EXPIRIES, MESSAGES, OPTIONAL, TIMES, digits

PLANS_MAX = 100_000
"""More than any test has sets of fields: what is compared is never the examination with itself."""


def with_fields(name: str, fields: dict[int, Field]) -> Dialect:
    dialect = shipped(name)
    return replace(dialect, fields=dict(sorted((dialect.fields | fields).items())))


UNCOMMON = {
    35: Field(name="Track 2 Data", content=Content.TRACK, length=37),
    37: Field(name="Reference", content=Content.DIGITS, length=11, numerics="bcd"),
    38: Field(name="Approval", content=Content.DIGITS, length=6, prefix=2, numerics="bcd"),
    48: Field(name="Elements", content=Content.PRINTABLE, length=12),
    93: Field(name="Response Indicator", content=Content.ALPHANUMERIC, length=5),
    95: Field(name="Replacement Amounts", content=Content.PRINTABLE, length=42, prefix=2, least=12),
    96: Field(name="Message Security Code", content=Content.BINARY, length=16),
    97: Field(name="Amount, Net Settlement", content=Content.SIGNED, length=17),
}
UNCOMMON_DIALECTS = {
    "uncommon fields": with_fields("iso87ascii", UNCOMMON),
    "uncommon fields in BCD": with_fields("iso87bcd", UNCOMMON),
}
DIALECTS = (
    {name: shipped(name) for name in shipped_names()}
    | {
        "right F": replace(shipped("iso87bcd"), padding="right F"),
        "left 0": replace(shipped("iso87bcd"), padding="left 0"),
        "lengths alone in BCD": replace(shipped("iso87ascii"), lengths="bcd"),
        "lengths alone in text": replace(shipped("iso87bcd"), lengths="text", text="ebcdic"),
        "blocks alone in bytes": replace(shipped("iso87ascii"), binary="raw"),
        "EBCDIC in hexadecimal": replace(shipped("iso87ebcdic"), bitmap="hex", binary="hex"),
    }
    | UNCOMMON_DIALECTS
)
DRAWN_FROM = pytest.mark.parametrize(
    "names",
    [*([name] for name in shipped_names()), sorted(DIALECTS.keys() - set(shipped_names()))],
    ids=[*shipped_names(), "variants"],
)

Outcome = Message | bytes | tuple[type[Exception], object]


@cache
def compiled(name: str) -> Codec:
    return Codec(DIALECTS[name], plans_max=PLANS_MAX)


@cache
def examining(name: str) -> Codec:
    return Codec(DIALECTS[name], plans_max=0)


def outcome(work: Callable[[], Message | bytes]) -> Outcome:
    """The value, or all that an error says; any other exception is the test's failure."""
    try:
        return work()
    except (Unreadable, Malformed, Unsendable) as error:
        said = [getattr(error, name, None) for name in ("field", "why", "partial", "__context__")]
        return type(error), (str(error), *said)


def assert_read_alike(name: str, frame: bytes) -> None:
    assert outcome(lambda: compiled(name).decode(frame)) == outcome(lambda: examining(name).decode(frame))


def assert_written_alike(name: str, message: Message) -> None:
    assert outcome(lambda: compiled(name).encode(message)) == outcome(lambda: examining(name).encode(message))


FORMS = {
    Form.MONTH_TO_SECOND: st.builds(str.__add__, DATES, TIMES),
    Form.TIME: TIMES,
    Form.MONTH_DAY: DATES,
    Form.YEAR_MONTH: EXPIRIES,
}
ALPHABETS = {
    Content.DIGITS: "0189",
    Content.ALPHANUMERIC: "0Zz",
    Content.PADDED: "0Zz ",
    Content.PRINTABLE: " ~0A",
    Content.TRACK: "0189",
    Content.BINARY: "09AF",
}
MEANINGFUL = {
    35: st.builds("{}={}{:0>16}".format, digits(16), EXPIRIES, digits(1, 3)),
    48: st.sampled_from(["XY0070000000", "XY007PA0011"]),
    95: st.builds("{:0>12}{}".format, digits(5), st.just(" " * 30)),
}


def texts(number: int, field: Field) -> SearchStrategy[str]:
    """What a field may hold, and where that isn't enough, also what means something."""
    if field.form:
        return FORMS[field.form]
    least = max(field.least, 1) if field.prefix else field.length
    most = min(field.length, least + 30)
    if field.content is Content.SIGNED:
        return st.builds(str.__add__, st.sampled_from("CD"), digits(field.length - 1))
    if field.content is Content.BINARY:
        return st.binary(min_size=(least + 1) // 2, max_size=most // 2).map(lambda block: block.hex().upper())
    plain: SearchStrategy[str] = st.text(ALPHABETS[field.content], min_size=least, max_size=most)
    return plain | MEANINGFUL[number].filter(matcher(field)) if number in MEANINGFUL else plain


@st.composite
def frames(draw: st.DrawFn, name: str) -> bytes:
    """Frames of any of the dialect's fields, read or not, laid out by pyiso8583."""
    dialect = DIALECTS[name]
    numbers = draw(st.lists(st.sampled_from(sorted(dialect.fields)), unique=True, max_size=12))
    laid_out = {"t": draw(digits(4)), "h": draw(digits(10))}
    for number in numbers:
        field = dialect.fields[number]
        text = draw(texts(number, field).filter(matcher(field)))
        to_wire, _ = conversions(dialect, field)
        laid_out[str(number)] = text if to_wire is None else to_wire(text)
    frame, _ = iso8583.encode(laid_out, Specification(dialect))
    return bytes(frame)


BYTES = st.sampled_from([bytes([code]) for code in b"0189AFDaf=+-_ \x00\x0c\x1f\xb2\xf0\xf9\xff"]) | st.binary(
    min_size=1, max_size=1
)
"""Digits of any code page, what Python's `int` takes beside them, and whatever else."""


CHANGED = sorted((OPTIONAL.keys() | {"pan", "track2", "expiry"}) - {"elements"})


@st.composite
def spoilt(draw: st.DrawFn, whole: bytes) -> bytes:
    """A frame with some bytes changed, cut out, put in, or cut off."""
    frame = whole
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(frame)))
        cut_out = draw(st.sampled_from([0, 1, 1, 1, 2, len(frame)]))
        frame = frame[:place] + draw(BYTES | st.just(b"")) + frame[place + cut_out :]
    return frame


@DRAWN_FROM
@given(data=st.data())
def test_frames_are_read_alike(names: list[str], data: st.DataObject) -> None:
    """A frame, and what it becomes when it is spoilt after its fields were learned."""
    name = data.draw(st.sampled_from(names))
    written = st.nothing() if name in UNCOMMON_DIALECTS else MESSAGES.map(examining(name).encode)
    whole = data.draw(frames(name) | written)
    assert_read_alike(name, whole)
    assert_read_alike(name, whole)
    for _ in range(3):
        assert_read_alike(name, data.draw(spoilt(whole)))


@DRAWN_FROM
@given(data=st.data())
def test_messages_are_written_alike(names: list[str], data: st.DataObject) -> None:
    """A message, and what it becomes when one of its values is another after its fields were learned."""
    name = data.draw(st.sampled_from(names))
    message = data.draw(MESSAGES)
    assert_written_alike(name, message)
    assert_written_alike(name, message)
    present = [field for field in ("mti", *CHANGED) if getattr(message, field) is not None]
    attribute = data.draw(st.sampled_from(present))
    value = getattr(message, attribute)
    other = data.draw(
        st.text(max_size=20) | st.sampled_from([value + "\0", value[:-1], f"{value}0", value.lower(), ""])
    )
    assert_written_alike(name, replace(message, **{attribute: other}))


PAN, PIN_BLOCK, CVV2, TRACE = "9250100000000014", "A1B2C3D4E5F60718", "917", "000042"
PURCHASE = Message(
    mti="0200",
    pan=PAN,
    processing_code="000000",
    amount="000000001250",
    transmitted="0512103000",
    trace=TRACE,
    expiry="2806",
    entry_mode="051",
    acquirer="97001",
    track2=f"{PAN}=28061011917",
    merchant="FR0000000000001",
    elements=Elements(cvv2=CVV2, takes_partial="1"),
    currency="978",
    pin_block=PIN_BLOCK,
    chip="9F2608C1C2C3C4C5C6C7C8",
    replacement="000000000500" + "0" * 30,
    net_amount="D0000000000000012",
    mac="FEDCBA9876543210",
)


EMPTY = Message(mti="0210", reason="", balances="")
"""Of fields that may have no length, where a length that is none must not pass for 0."""


@pytest.mark.parametrize("name", ["iso87ascii", "iso87bcd", "iso87ebcdic"])
class TestOneMessage:
    """A purchase with everything in it, spoilt in every place."""

    @pytest.mark.parametrize("message", [PURCHASE, EMPTY], ids=["whole", "empty"])
    def test_each_byte_is_another(self, name: str, message: Message) -> None:
        frame = examining(name).encode(message)
        assert_read_alike(name, frame)
        for place in range(len(frame)):
            for other in b"05A= \xb2\xf5":
                assert_read_alike(name, frame[:place] + bytes([other]) + frame[place + 1 :])

    def test_it_is_cut_off_or_goes_on_anywhere(self, name: str) -> None:
        frame = examining(name).encode(PURCHASE)
        assert_read_alike(name, frame)
        for length in range(len(frame)):
            assert_read_alike(name, frame[:length])
            assert_read_alike(name, frame + frame[:length])

    def test_an_expiry_alone_is_not_that_of_track_2(self, name: str) -> None:
        for expiry in ("2806", "2807"):
            assert_read_alike(name, examining(name).encode(replace(PURCHASE, pan=None, expiry=expiry)))

    @pytest.mark.parametrize(
        "other",
        [
            {"track2": "9250100000000022=28061011917"},
            {"expiry": "2807"},
            {"track2": f"{PAN}=28131011917"},
            {"replacement": "00000000050x" + "0" * 30},
            {"chip": "9f2608c1c2c3c4c5c6c7c8"},
            {"header": "6000120345"},
            {"header": ""},
            {"mti": "020\u0662"},
            {"amount": "00000000125", "transmitted": "00512103000"},
        ],
    )
    def test_what_only_its_meaning_tells(self, name: str, other: dict[str, str]) -> None:
        changed = replace(PURCHASE, **other)
        assert_written_alike(name, PURCHASE)
        assert_written_alike(name, changed)
        written = outcome(lambda: examining(name).encode(changed))
        if isinstance(written, bytes):
            assert_read_alike(name, examining(name).encode(PURCHASE))
            assert_read_alike(name, written)


class TestPlans:
    """Plans are made of good messages, so many and no more; and they are what reads and writes the next ones."""

    @DRAWN_FROM
    @given(data=st.data(), message=MESSAGES)
    def test_a_good_message_is_examined_once(self, names: list[str], data: st.DataObject, message: Message) -> None:
        codec = Codec(DIALECTS[data.draw(st.sampled_from(names))])
        frame = outcome(lambda: codec.encode(message))
        if not isinstance(frame, bytes):
            return
        assert codec._writer.write(message) == frame
        read = outcome(lambda: codec.decode(frame))
        if isinstance(read, Message):
            assert codec._reader.read(frame) == read

    def test_those_with_a_mac_above_64_have_one_of_their_own(self) -> None:
        codec = compiled("iso87ascii")
        for network_code in ("301", None, "301"):
            echo = Message(mti="0800", trace=TRACE, network_code=network_code, mac="FEDCBA9876543210")
            assert codec.decode(codec.encode(echo)) == echo

    def test_a_message_that_is_refused_makes_none(self) -> None:
        codec = Codec(shipped("iso87ascii"))
        good = codec.encode(Message(mti="0800", trace=TRACE))
        for bad in (b"", b"0800", good[:-1], good + b"0", good[:-1] + b"x", b"0800" + b"F" * 32 + good):
            assert isinstance(outcome(lambda frame=bad: codec.decode(frame)), tuple)  # type: ignore[misc]
        assert isinstance(outcome(lambda: codec.encode(Message(mti="0800", trace="x", pan=PAN))), tuple)
        assert (len(codec._reader._plans), len(codec._writer._plans)) == (0, 1)

    def test_there_are_no_more_than_so_many(self) -> None:
        codec = Codec(shipped("iso87ascii"), plans_max=2)
        none = Message(mti="0800")
        messages = [none, replace(none, trace=TRACE), replace(none, pan=PAN), replace(none, trace=TRACE, pan=PAN)]
        for _ in range(2):
            for message in messages:
                assert codec.decode(codec.encode(message)) == message
        assert (len(codec._reader._plans), len(codec._writer._plans)) == (2, 2)

    @pytest.mark.parametrize("name", shipped_names())
    def test_nothing_of_a_message_is_in_them(self, name: str) -> None:
        codec = Codec(DIALECTS[name])
        for _ in range(2):
            codec.decode(codec.encode(PURCHASE))
        held = "\n".join(reachable_texts(codec))
        assert "pin_block" in held
        assert not re.findall(rf"{PAN[:8]}|{PIN_BLOCK[:8]}|{CVV2}|{TRACE}|28061011|C1C2C3C4", held)


def reachable_texts(root: object) -> list[str]:
    """All texts and bytes that an object holds, through whatever; modules and classes are not its own."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        held = waiting.pop()
        if id(held) in seen or isinstance(held, (ModuleType, type)):
            continue
        seen[id(held)] = held
        waiting += [
            inner
            for inner in gc.get_referents(held)
            if inner is not getattr(held, "__globals__", None) and inner is not getattr(held, "__builtins__", None)
        ]
    return [
        str(held, "latin-1") if isinstance(held, bytes) else held
        for held in seen.values()
        if isinstance(held, (str, bytes))
    ]
