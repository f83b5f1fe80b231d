"""Requests of a mix: each is what a terminal would send, and what follows another names it."""

import itertools
from collections import Counter
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.wire.codec import Codec
from authz.wire.dialect import shipped, shipped_names
from authz.wire.frames import Framer
from authz.wire.rules import check_mandatory
from simulators.load.mix import FOLLOWS, Kind, Mix, MixUnfit, Popularity
from simulators.load.skim import Skimmed
from simulators.load.traffic import Basket, NoTerminal, Shop, Traffic
from simulators.terminal import parameters
from simulators.terminal.card import Card
from simulators.terminal.messages import Entry, Terminal, naming
from simulators.terminal.pinpad import PinPad
from tests.simulators.conftest import NOON

DEMO = parameters.demo()
SHOP = Shop.of(DEMO)
CARDS = [
    Card(pan="9250100000000014", pin="1234", expiry="2806", cvv2="123"),
    Card(pan="925010000000002", pin="24680", expiry="2907", cvv2="456"),
    Card(pan="9250100000000030"),
]
CODECS = {name: Codec(shipped(name)) for name in shipped_names()}


def only(word):
    return Mix(((word, 1),))


def traffic_of(codec, kind, entry=Entry.CHIP, cards=CARDS, **options):
    popularity = Popularity(len(cards))
    return Traffic(codec, SHOP, cards.__getitem__, popularity, only(kind), only(entry), begun=NOON, **options)


def read(codec, request):
    [payload] = Framer(codec.dialect.framing).feed(request.frame)
    return codec.decode(payload)


def approve(traffic, request):
    traffic.heard(request, Skimmed("0210", request.key, "00", "APPROVED"))


def as_terminal(message, card, kind, entry, at):
    """The same request, from a terminal whose next trace number and time are this one's."""
    till = Terminal(SHOP.site, SHOP.acquirer, PinPad(DEMO.zone_pin_key), lambda: at, first_trace=int(message.trace))
    card = card.without_pin() if entry is Entry.CONTACTLESS else card
    match kind:
        case Kind.PURCHASE:
            return till.purchase(card, int(message.amount), entry=entry)
        case Kind.AUTHORIZATION:
            return till.authorization(card, int(message.amount), entry=entry)
        case Kind.INQUIRY:
            return till.inquiry(card, entry=entry)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@given(
    kind=st.sampled_from([Kind.PURCHASE, Kind.AUTHORIZATION, Kind.INQUIRY]),
    entry=st.sampled_from([Entry.CHIP, Entry.CONTACTLESS, Entry.ONLINE]),
    seed=st.integers(),
)
def test_a_request_is_the_one_that_a_terminal_makes(codec, kind, entry, seed):
    """From templates or not: byte for byte, whichever card came before, over a second's end and in the warm-up."""
    traffic = traffic_of(codec, kind, entry, seed=seed)
    arrivals = [-1.5, -0.2, 0.0, 0.9, 1.0, 3_600.5]
    for at, request in zip(arrivals, traffic.along(arrivals), strict=True):
        message = read(codec, request)
        card = next(card for card in CARDS if card.pan == message.pan)
        made = as_terminal(message, card, kind, entry, NOON + timedelta(seconds=at // 1))
        assert request.frame == Framer(codec.dialect.framing).frame(codec.encode(made))
        assert request.message == f"{kind} {entry}"


@pytest.mark.parametrize("kind", FOLLOWS)
def test_what_follows_names_an_approved_original_of_the_same_card(codec, kind):
    traffic = traffic_of(codec, kind)
    requests = traffic.along(itertools.count())
    first = next(requests)
    assert first.message == f"{FOLLOWS[kind]} chip"
    approve(traffic, first)
    second = next(requests)
    original, following = read(codec, first), read(codec, second)
    assert second.message == kind
    assert following.original == naming(original)
    assert (following.pan, following.amount, following.terminal) == (original.pan, original.amount, original.terminal)
    check_mandatory(following)
    assert next(requests).message == f"{FOLLOWS[kind]} chip"


def test_what_was_refused_is_not_followed(codec):
    traffic = traffic_of(codec, Kind.REVERSAL)
    requests = traffic.along(itertools.count())
    request = next(requests)
    traffic.heard(request, Skimmed("0210", request.key, "51", "NO_FUNDS"))
    assert next(requests).message == "purchase chip"


@given(seed=st.integers())
def test_requests_are_the_same_for_the_same_seed(seed):
    codec = CODECS["iso87ascii"]

    def frames():
        return [request.frame for request in traffic_of(codec, Kind.PURCHASE, seed=seed).along(range(20))]

    assert frames() == frames()


def test_no_two_requests_of_a_second_await_the_same_reply(codec):
    requests = traffic_of(codec, Kind.PURCHASE, cards=CARDS[:1]).along([0.5] * 1_000)
    assert len({request.key for request in requests}) == 1_000


@given(low=st.integers(1, 1_000), more=st.integers(0, 1_000))
def test_amounts_stay_within_the_basket(low, more):
    codec = CODECS["iso87ascii"]
    traffic = traffic_of(codec, Kind.PURCHASE, basket=Basket(low, low + more))
    assert all(low <= int(read(codec, request).amount) <= low + more for request in traffic.along(range(20)))


def test_a_mix_is_drawn_by_its_weights(codec):
    mix = Mix.read("purchase=70, inquiry=30,authorization=0", Kind, "--mix")
    traffic = Traffic(codec, SHOP, CARDS.__getitem__, Popularity(3), mix, only(Entry.CHIP), begun=NOON)
    drawn = Counter(request.message for request in traffic.along(range(2_000)))
    assert set(drawn) == {"purchase chip", "inquiry chip"}
    assert drawn["purchase chip"] == pytest.approx(1_400, abs=6 * (2_000 * 0.7 * 0.3) ** 0.5)


@pytest.mark.parametrize("text", ["", "purchase=0", "coffee=3", "purchase=-1", "purchase=1.5", "=3"])
def test_a_mix_that_makes_no_sense_is_refused_with_the_words_that_there_are(text):
    with pytest.raises(MixUnfit, match="--mix: "):
        Mix.read(text, Kind, "--mix")


def test_by_zipfs_law_the_second_card_pays_half_as_often_as_the_first(codec):
    cards = [msgspec.structs.replace(CARDS[0], pan=f"92501000000{number:05}") for number in range(100)]
    popularity = Popularity(100, zipf=1)
    traffic = Traffic(
        codec, SHOP, cards.__getitem__, popularity, only(Kind.INQUIRY), only(Entry.CHIP), begun=NOON, seed=1
    )
    drawn = Counter(read(codec, request).pan for request in traffic.along(range(3_000)))
    first, second = (drawn[card.pan] for card in cards[:2])
    expected = 3_000 / sum(1 / rank for rank in range(1, 101))
    assert first == pytest.approx(expected, abs=6 * expected**0.5)
    assert second == pytest.approx(expected / 2, abs=6 * expected**0.5)


def test_an_unknown_terminal_is_answered_with_the_known_ones():
    with pytest.raises(NoTerminal, match="PAR00001"):
        Shop.of(DEMO, "NOWHERE1")


def test_no_secret_shows_in_what_is_kept_of_a_card(codec):
    request = next(traffic_of(codec, Kind.PURCHASE, cards=CARDS[:1]).along([0]))
    for shown in (repr(request), repr(request.__rich_repr__()), repr(SHOP)):
        assert CARDS[0].pan not in shown
        assert DEMO.zone_pin_key not in shown
