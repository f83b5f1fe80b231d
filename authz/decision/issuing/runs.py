"""Production runs: the cards of one file, made once and sent; their PINs follow, 48 hours later at the earliest."""

from datetime import timedelta

from msgspec.structs import replace

from authz.decision.evidence import Facts
from authz.decision.issuing.commands import MoveRun, StartRun
from authz.decision.issuing.lives import RUN, RunEvent, step
from authz.decision.issuing.states import RUN_CARDS_MAX, Run, RunStatus
from authz.decision.refused import (
    PinFileMisplaced,
    PinsTooEarly,
    RunElsewhere,
    RunMalformed,
    RunStarted,
    RunUnknown,
)

PIN_AFTER_CARD = timedelta(hours=48)
"""A PIN is mailed so long after its card: whoever takes one letter doesn't have the other."""

STEPS = {
    RunStatus.SENT: RunEvent.SENDING,
    RunStatus.PINS_MADE: RunEvent.PIN_MAKING,
    RunStatus.PINS_SENT: RunEvent.PIN_SENDING,
}
"""What takes a run to a state."""


def start(command: StartRun, facts: Facts) -> Run:
    """Note a run whose card file is written."""
    run = command.run
    if facts.own is not None:
        raise RunStarted
    fresh = run.status is RunStatus.MADE and run.pin_file is None and run.sent_at is None
    if not fresh or not 0 < len(run.cards) + len(run.reissued) <= RUN_CARDS_MAX:
        raise RunMalformed
    return run


def move(command: MoveRun, facts: Facts) -> Run:
    """Take a run to its next step. Of one in which only PINs are sent again, no card has to arrive first."""
    run, event = facts.own, STEPS.get(command.status)
    if not isinstance(run, Run):
        raise RunUnknown
    if event is None:
        raise RunElsewhere
    status = step(RUN, run.status, event, RunElsewhere)
    if (command.pin_file is not None) is not (event is RunEvent.PIN_MAKING):
        raise PinFileMisplaced
    match event:
        case RunEvent.SENDING:
            return replace(run, status=status, sent_at=facts.instant)
        case RunEvent.PIN_MAKING:
            if run.cards and run.sent_at is not None and facts.instant < run.sent_at + PIN_AFTER_CARD:
                raise PinsTooEarly
            return replace(run, status=status, pin_file=command.pin_file)
        case RunEvent.PIN_SENDING:
            return replace(run, status=status)
