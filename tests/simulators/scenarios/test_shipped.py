"""Every scenario that comes along holds at the real authorizer, and fails as soon as one expectation is falsified."""

import pytest

from authz.decision.outcomes import Reason
from simulators.scenarios.checking import check
from simulators.scenarios.expectations import Requirement
from simulators.scenarios.player import Played, Player
from simulators.scenarios.running import line_to
from simulators.scenarios.script import find, shipped_names
from simulators.scenarios.steps import Sent
from tests.simulators.scenarios.conftest import Hosts
from tests.simulators.scenarios.falsified import falsifications
from tests.simulators.scenarios.recording import Recorder, Replayer

NOT_BY_A_TERMINAL = {
    Reason.CARD_FRAUD: "the issuer stops a card for fraud",
    Reason.OVERLOADED: "the queue of the engine is full",
    Reason.UNAVAILABLE: "there is no database",
    Reason.INTERNAL: "the engine has a flaw",
}
"""What no message can provoke at a host that is well."""


@pytest.fixture(autouse=True)
def predictable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terminals tell chips the same numbers in every run: so a recorded answer is right for the next one's too."""
    monkeypatch.setattr("simulators.terminal.messages.secrets.token_bytes", bytes)


def told(played: Played) -> list[tuple[str, list[str]]]:
    """The steps that differed, and in what."""
    return [(one.step, [each.field for each in one.differences]) for one in played.outcomes if one.differences]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", shipped_names())
async def test_it_holds_and_fails_when_any_expectation_is_falsified(name: str, hosts: Hosts) -> None:
    source = find(name)
    check(source)
    script, guest = source.script, await hosts.receive(source)
    first = guest.first_trace
    async with line_to(script, guest.known, "127.0.0.1", guest.port) as (line, bad):
        recorder = Recorder(line)
        played = await Player(script, guest.known, recorder, bad_line=bad, first_trace=first).play()
    assert told(played) == []
    assert played.held

    falsified = list(falsifications(script))
    assert len(falsified) >= len(script.step)
    for step, which, changed in falsified:
        replayer = Replayer(recorder.kept)
        again = await Player(changed, guest.known, replayer, bad_line=replayer, first_trace=first).play()
        assert not again.held
        assert [one for one, _ in told(again)] == [step], f"{which} was falsified"


def test_every_reason_is_shown_by_a_step() -> None:
    shown = {word for name in shipped_names() for step in find(name).script.every_step() for word in reasons_of(step)}
    assert shown == set(Reason) - set(NOT_BY_A_TERMINAL)


def test_there_are_more_than_twenty() -> None:
    assert len(shipped_names()) > 20


def reasons_of(step: object) -> set[str]:
    """The reasons that a step expects, where it leaves no choice."""
    condition = step.expect.get("44") if isinstance(step, Sent) and isinstance(step.expect, dict) else None
    return {condition} if isinstance(condition, str) and not isinstance(condition, Requirement) else set()
