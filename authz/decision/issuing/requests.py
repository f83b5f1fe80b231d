"""What holders ask and employers validate, or start themselves: a new card, or the PIN again."""

from msgspec.structs import replace

from authz.decision.evidence import Facts
from authz.decision.issuing.commands import AnswerRequest, AskRequest, FinishRequest
from authz.decision.issuing.lives import REQUEST, RequestEvent, step
from authz.decision.issuing.states import CardRequest, RequestKind, RequestStatus
from authz.decision.refused import (
    RequestAnswered,
    RequestAsked,
    RequestMalformed,
    RequestNotValidated,
    RequestUnknown,
)


def request(command: AskRequest | AnswerRequest | FinishRequest, facts: Facts) -> CardRequest:
    """Ask, answer, or note that it is done."""
    if isinstance(command, AskRequest):
        return _asked(command, facts)
    known = facts.own
    if not isinstance(known, CardRequest):
        raise RequestUnknown
    match command:
        case AnswerRequest(validated=validated):
            event = RequestEvent.VALIDATION if validated else RequestEvent.REFUSAL
            return replace(known, status=step(REQUEST, known.status, event, RequestAnswered))
        case FinishRequest(new=new):
            status = step(REQUEST, known.status, RequestEvent.FULFILMENT, RequestNotValidated)
            if (new is None) is (known.kind is RequestKind.REMAKE):
                raise RequestMalformed
            return replace(known, status=status, new=new)


def _asked(command: AskRequest, facts: Facts) -> CardRequest:
    if facts.own is not None:
        raise RequestAsked
    status = RequestStatus.VALIDATED if command.validated else RequestStatus.ASKED
    return CardRequest(
        command.request, command.client, command.kind, command.holder, command.card, command.asked_on, status
    )
