"""The one door of the core: a command and the facts in, an outcome out."""

from authz.decision.administration import administer
from authz.decision.advices import advise
from authz.decision.commands import Advice, Command, Completion, Inquiry, Purchase, Refund, Reversal, Totals
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome, Reason, Reply
from authz.decision.payments import pay
from authz.decision.reversals import reverse


def decide(command: Command, facts: Facts) -> Outcome:
    """Decide any command. The same arguments give the same outcome, always.

    Raises a `Refused` for administration that makes no sense; what comes from a terminal always has an answer.
    """
    match command:
        case Purchase() | Inquiry() | Refund():
            return pay(command, facts)
        case Advice() | Completion():
            return advise(command, facts)
        case Reversal():
            return reverse(command, facts)
        case Totals():
            agrees = (command.counted, command.net) == (command.recorded, command.recorded.net)
            return Outcome(Reply(Reason.APPROVED, totals=command.recorded, agrees=agrees))
        case _:
            return administer(command, facts)
