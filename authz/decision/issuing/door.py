"""The one door of issuing in the core: a command and the facts in, an outcome out."""

from authz.decision.evidence import Facts
from authz.decision.issuing.commands import Issuing
from authz.decision.outcomes import Outcome


def issue(command: Issuing, facts: Facts) -> Outcome:
    """Decide a command of issuing. Raises a `Refused` where it makes no sense."""
    raise NotImplementedError
