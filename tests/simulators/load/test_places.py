"""What is found by walking a dialect's data is what its codec writes and reads."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.wire.codec import Codec
from authz.wire.dialect import shipped, shipped_names
from authz.wire.frames import Framer
from authz.wire.message import ATTRIBUTES, Message
from simulators.acquirer.host import expected_by, offered_by
from simulators.load.places import Places, Template, Unwalkable
from simulators.load.skim import Skimmer
from tests.simulators.load.conftest import messages, randoms, text_of

DIALECTS = [Codec(shipped(name)) for name in shipped_names()]
ECHOED = (11, 12, 13, 41, 42)

of_every_dialect = pytest.mark.parametrize("codec", DIALECTS, ids=shipped_names())


@of_every_dialect
@given(data=st.data())
def test_a_template_filled_with_other_texts_is_what_the_codec_writes(codec, data):
    first = data.draw(messages(codec.dialect, "0200"))
    framer, places = Framer(codec.dialect.framing), Places(codec.dialect)
    chance = data.draw(randoms)
    numbers = [number for number in ATTRIBUTES if number != 48 and getattr(first, ATTRIBUTES[number]) is not None]
    texts = {}
    for number in numbers:
        field = codec.dialect.fields[number]
        length = len(getattr(first, ATTRIBUTES[number]))
        same_length = msgspec.structs.replace(field, length=length, prefix=0, least=0)
        texts[number] = text_of(chance, same_length if field.prefix else field)
    other = msgspec.structs.replace(first, **{ATTRIBUTES[number]: text for number, text in texts.items()})
    template = Template(places, framer.frame(codec.encode(first)), numbers)
    assert template.fill(texts) == framer.frame(codec.encode(other))


@of_every_dialect
def test_a_text_of_another_length_is_refused(codec):
    request = Message(mti="0800", trace="000001", network_code="301", transmitted="0512103000")
    template = Template(Places(codec.dialect), Framer(codec.dialect.framing).frame(codec.encode(request)), [11])
    with pytest.raises(ValueError, match="another length"):
        template.fill({11: "00000001"})


@of_every_dialect
@given(data=st.data())
def test_a_reply_skimmed_says_what_it_says_when_read_whole(codec, data):
    reply = data.draw(messages(codec.dialect, "0210", always=ECHOED))
    payload = codec.encode(reply)
    read = codec.decode(payload)
    found = Skimmer(Places(codec.dialect)).skim(payload)
    assert (found.mti, found.response_code, found.reason) == (read.mti, read.response_code, read.reason)


@of_every_dialect
@given(data=st.data(), mti=st.sampled_from(["0100", "0200", "0220", "0400", "0800"]))
def test_a_reply_is_matched_by_what_the_acquirers_host_matches_it_by(codec, data, mti):
    """The same fields name request and reply, whatever else they carry; another trace number names another."""
    request = data.draw(messages(codec.dialect, mti, always=(7, *ECHOED)))
    echoed = {ATTRIBUTES[number]: getattr(request, ATTRIBUTES[number]) for number in (7, *ECHOED)}
    if data.draw(st.booleans()):
        echoed["trace"] = f"{data.draw(st.integers(0, 999_999)):06}"
    reply = data.draw(messages(codec.dialect, f"{mti[:2]}{int(mti[2]) + 1}0"))
    reply = msgspec.structs.replace(reply, **echoed)
    skimmer = Skimmer(Places(codec.dialect))
    matched = skimmer.skim(codec.encode(request)).key == skimmer.skim(codec.encode(reply)).key
    assert matched == (expected_by(request) == offered_by(reply))


@of_every_dialect
@given(data=st.data(), junk=st.binary(max_size=80))
def test_bytes_that_are_no_message_are_said_to_be_none(codec, data, junk):
    """Cut short, spoilt or never a message: nothing but `Unwalkable` gets out, and it holds no content."""
    payload = codec.encode(data.draw(messages(codec.dialect, "0210", always=ECHOED)))
    skimmer = Skimmer(Places(codec.dialect))
    for spoilt in (junk, payload[: data.draw(st.integers(0, len(payload) - 1))]):
        with pytest.raises(Unwalkable) as raised:
            skimmer.skim(spoilt)
        assert str(raised.value) == Unwalkable.__doc__
