"""What becomes of a frame is a function of the faults, the seed, and which frame it is."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.wire.dialect import Framing
from authz.wire.frames import Framer
from simulators.faults.fates import (
    CHANCES,
    LENGTH_ERROR_MAX,
    SPOTS_MAX,
    UNHARMED,
    Break,
    Direction,
    Fate,
    Faults,
    LineFaults,
    draw,
    first_part,
    on_the_wire,
    refuses,
)

FRAMES = range(1, 51)
BREAKS = set(Break)
per_mille = st.integers(0, 1_000)
chances = st.fixed_dictionaries(dict.fromkeys(CHANCES, per_mille))
numbers = st.integers(1, 1_000)
fates = st.builds(
    lambda seed, frame: draw(Faults(**dict.fromkeys(CHANCES, 1_000)), seed, 1, Direction.TO, frame), numbers, numbers
)
framings = st.sampled_from(
    [
        Framing(),
        Framing(length_coding="ascii", length_bytes=4),
        Framing(length_bytes=4, payload_bytes_max=20),
        Framing(length_coding="ascii", length_bytes=2, payload_bytes_max=99),
    ]
)


def struck(fate):
    """The faults that a frame met."""
    met = {
        "drop": not fate.delays_ms,
        "duplicate": len(fate.delays_ms) > 1,
        "reorder": fate.overtaken_within_ms is not None,
        "delay": any(fate.delays_ms[:1]),
        "corrupt": bool(fate.spots),
        "misframe": bool(fate.length_error),
    }
    return {name for name, met_it in met.items() if met_it} | ({fate.broken} if fate.broken else set())


@given(chances, st.integers(), numbers, st.sampled_from(Direction), st.permutations(FRAMES))
def test_a_frames_fate_depends_on_nothing_but_its_number_and_the_seed(
    given_chances, seed, connection, direction, order
):
    """Not on when it is drawn, nor on what was drawn before."""
    faults = Faults(**given_chances)
    in_order = {frame: draw(faults, seed, connection, direction, frame) for frame in FRAMES}
    assert {frame: draw(faults, seed, connection, direction, frame) for frame in order} == in_order


def test_seed_connection_direction_and_number_all_tell_frames_apart():
    faults = Faults(drop=500, delay=500)

    def course(seed=1, connection=1, direction=Direction.TO, first=1):
        return [draw(faults, seed, connection, direction, frame) for frame in range(first, first + 50)]

    courses = [course(), course(seed=2), course(connection=2), course(direction=Direction.FROM), course(first=2)]
    assert all(one != other for at, one in enumerate(courses) for other in courses[:at])


@given(chances, st.sampled_from(CHANCES), numbers)
def test_a_fault_changes_nothing_about_which_frames_another_one_strikes(given_chances, name, frame):
    """But for what it leaves no room for: a lost frame isn't late, and a line breaks once."""
    alone = struck(draw(Faults(**{name: given_chances[name]}), 1, 1, Direction.TO, frame))
    together = struck(draw(Faults(**given_chances), 1, 1, Direction.TO, frame))
    late_or_again = name in {"duplicate", "reorder", "delay"}
    hidden = (together & BREAKS and name in BREAKS) or ("drop" in together and late_or_again)
    assert hidden or alone == together & {name}


@given(st.sampled_from(CHANCES), st.integers(), numbers)
def test_a_chance_of_0_never_strikes_and_one_of_1000_always(name, seed, frame):
    assert draw(Faults(), seed, 1, Direction.TO, frame) == UNHARMED
    assert struck(draw(Faults(**{name: 1_000}), seed, 1, Direction.TO, frame)) == {name}


@pytest.mark.parametrize("name", CHANCES)
def test_a_chance_strikes_about_as_often_as_it_says(name):
    drawn = [struck(draw(Faults(**{name: 100}), 1, 1, Direction.TO, frame)) for frame in range(1, 2_001)]
    assert all(each <= {name} for each in drawn)
    assert 140 < sum(map(len, drawn)) < 260


@given(st.integers(1, 1_000), st.integers(0, 1_000), numbers)
def test_delays_lie_within_their_bounds(least, spread, frame):
    faults = Faults(delay=1_000, duplicate=1_000, reorder=1_000, delay_min_ms=least, delay_max_ms=least + spread)
    fate = draw(faults, 1, 1, Direction.FROM, frame)
    assert len(fate.delays_ms) == 2
    assert all(least <= delay_ms <= least + spread for delay_ms in fate.delays_ms)
    assert fate.overtaken_within_ms == least + spread


@given(st.binary(min_size=1, max_size=20), fates, framings)
def test_a_corrupted_frame_differs_in_a_few_bytes_and_not_in_its_length(payload, fate, framing):
    fate = Fate(spots=fate.spots)
    [spoilt] = Framer(framing).feed(on_the_wire(payload, fate, framing))
    assert len(spoilt) == len(payload)
    assert 1 <= sum(here != there for here, there in zip(spoilt, payload, strict=True)) <= SPOTS_MAX


@given(st.binary(min_size=1, max_size=20), fates, framings)
def test_a_misframed_frame_states_another_length_that_its_framing_has_room_for(payload, fate, framing):
    wire = on_the_wire(payload, Fate(length_error=fate.length_error), framing)
    head, rest = wire[: framing.length_bytes], wire[framing.length_bytes :]
    stated = int(head) if framing.length_coding == "ascii" else int.from_bytes(head, "big")
    assert rest == payload
    assert 0 < abs(stated - len(payload)) <= LENGTH_ERROR_MAX
    assert 0 <= stated <= framing.payload_bytes_max


@given(st.binary(min_size=1), fates)
def test_a_frame_cut_in_half_is_neither_whole_nor_nothing(payload, fate):
    frame = Framer().frame(payload)
    part = first_part(frame, fate)
    assert 1 <= len(part) < len(frame)
    assert frame.startswith(part)


def test_an_unharmed_frame_is_sent_as_it_came():
    assert on_the_wire(b"frame", UNHARMED, Framing()) == Framer().frame(b"frame")


@given(per_mille, st.integers(), numbers)
def test_a_connection_is_refused_or_not_whatever_came_before(refuse, seed, connection):
    assert refuses(refuse, seed, connection) == refuses(refuse, seed, connection)
    assert not refuses(0, seed, connection)
    assert refuses(1_000, seed, connection)


def test_a_direction_has_its_own_faults_or_those_of_both():
    drop, cut = Faults(drop=1), Faults(cut=1)
    assert [LineFaults(both=drop).of(each) for each in Direction] == [drop, drop]
    assert [LineFaults(both=drop, from_=cut).of(each) for each in Direction] == [drop, cut]
    assert [LineFaults.towards(Direction.TO, cut).of(each) for each in Direction] == [cut, Faults()]
    assert [LineFaults.towards(Direction.FROM, cut).of(each) for each in Direction] == [Faults(), cut]
    assert LineFaults.towards(None, cut, refuse=3) == LineFaults(both=cut, refuse=3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"drop": -1},
        {"cut": 1_001},
        {"delay_max_ms": 0},
        {"delay_min_ms": 300},
        {"delay_max_ms": 600_001},
        {"drip_bytes_per_s": 0},
    ],
)
def test_what_cannot_be_is_refused_however_it_is_made(wrong):
    with pytest.raises(ValueError, match="is"):
        Faults(**wrong)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, Faults)


def test_a_refusal_is_parts_per_1000_too():
    with pytest.raises(ValueError, match="1000"):
        LineFaults(refuse=1_001)
