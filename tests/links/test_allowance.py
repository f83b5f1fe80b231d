"""A link's places for requests in flight: so many over all its connections, in rotation (docs/interface.md)."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from authz.links.allowance import Allowance

NAMES = "ABCD"


class Connection:
    """One that has requests to spare, and asks as a connection does."""

    def __init__(self, name: str, allowance: Allowance, granted: list[str]) -> None:
        self.waiting = 0
        self.in_flight = 0
        self._name = name
        self._allowance = allowance
        self._granted = granted

    def arrive(self, number: int) -> None:
        self.waiting += number
        if self.waiting:
            self._allowance.ask(self.turn)

    def turn(self) -> None:
        assert self.waiting, "a turn is given to none that doesn't wait"
        self.waiting -= 1
        self.in_flight += 1
        self._granted.append(self._name)
        if self.waiting:
            self._allowance.ask(self.turn)

    def finish(self) -> None:
        if self.in_flight:
            self.in_flight -= 1
            self._allowance.give_back()

    def die(self) -> None:
        """What is in flight is decided all the same, and gives its place back then."""
        self.waiting = 0
        self._allowance.withdraw(self.turn)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.sampled_from(NAMES), st.integers(0, 6)),
        st.tuples(st.just("finish"), st.sampled_from(NAMES), st.just(0)),
        st.tuples(st.just("die"), st.sampled_from(NAMES), st.just(0)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(st.integers(1, 5), EVENTS)
def test_never_above_the_maximum_no_place_idle_while_one_waits_and_all_come_back(
    places_max: int, events: list[tuple[str, str, int]]
) -> None:
    allowance, granted = Allowance(places_max), list[str]()
    connections = {name: Connection(name, allowance, granted) for name in NAMES}
    for event, name, number in events:
        match event:
            case "arrive":
                connections[name].arrive(number)
            case "finish":
                connections[name].finish()
            case _:
                connections[name].die()
        in_flight = sum(one.in_flight for one in connections.values())
        assert in_flight + allowance.free == places_max
        assert allowance.free >= 0
        assert not allowance.free or not any(one.waiting for one in connections.values())
    for one in connections.values():
        one.die()
        while one.in_flight:
            one.finish()
    assert allowance.free == places_max


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.integers(1, 8), min_size=2, max_size=4), st.data())
def test_whoever_waits_has_a_turn_in_each_round(places_max: int, loads: list[int], data: st.DataObject) -> None:
    """However much one connection has to send, another waits for one place of each that waits, and no longer."""
    allowance, granted = Allowance(places_max), list[str]()
    hog = Connection("hog", allowance, granted)
    hog.arrive(places_max + 50)
    others = [Connection(str(index), allowance, granted) for index in range(len(loads))]
    for other, load in zip(others, loads, strict=True):
        other.arrive(load)
    del granted[:]
    while any(other.waiting for other in others):
        data.draw(st.sampled_from([one for one in (hog, *others) if one.in_flight])).finish()
    turns = Counter(granted)
    for index, load in enumerate(loads):
        assert turns[str(index)] == load
    assert abs(turns["hog"] - max(loads)) <= 1, "the hog had one turn a round too"


def test_a_turn_that_gives_its_place_back_lets_the_next_have_it_without_recursion() -> None:
    allowance, turns = Allowance(1), list[int]()

    def turn() -> None:
        turns.append(len(turns))
        if len(turns) < 10_000:
            allowance.ask(turn)
        allowance.give_back()

    allowance.ask(turn)
    assert len(turns) == 10_000
    assert allowance.free == 1
