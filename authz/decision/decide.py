"""The one door of the core: a command and the facts in, an outcome out."""

from authz.decision.administration import administer
from authz.decision.commands import Command, Inquiry, Purchase, Refund
from authz.decision.evidence import Facts
from authz.decision.outcomes import Outcome
from authz.decision.payments import pay


def decide(command: Command, facts: Facts) -> Outcome:
    """Decide any command. The same arguments give the same outcome, always.

    Raises a `Refused` for administration that makes no sense; a payment always has an answer.
    """
    match command:
        case Purchase() | Inquiry() | Refund():
            return pay(command, facts)
        case _:
            return administer(command, facts)
