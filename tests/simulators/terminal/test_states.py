"""The life of a till (docs/terminal.md): the page shows the table, and every state is reached and left."""

from pathlib import Path

import pytest

from simulators.terminal.states import LIFE, Event, Impossible, State, after, can
from tests.decision.drawing import drawing_of_a_life, table_of_a_life

PAGE = Path(__file__).parents[3] / "docs" / "terminal.md"


def test_the_page_draws_the_table():
    page = PAGE.read_text()
    assert drawing_of_a_life(LIFE, begins={"switched on": State.RESUMING}) in page
    assert table_of_a_life(LIFE) in page


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_what_is_not_in_the_table_cannot_happen(state, event):
    if can(state, event):
        assert after(state, event) is LIFE[state][event]
    else:
        with pytest.raises(Impossible):
            after(state, event)


def test_every_state_is_reached_and_from_every_state_the_till_is_ready_again():
    assert set(LIFE) == set(State)
    assert {event for events in LIFE.values() for event in events} == set(Event)
    assert _reached({State.RESUMING}) == set(State)
    assert all(State.READY in _reached({state}) for state in State)


def _reached(states: set[State]) -> set[State]:
    for _ in State:
        states = states | {following for state in states for following in LIFE[state].values()}
    return states
