"""What happened to a holder's vouchers and cards, as it is shown."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from authz.decision.outcomes import Reason
from authz.decision.position import CardId
from ledger.values import Cents, Seq


class OperationKind(StrEnum):
    """What happened, in a holder's words."""

    PAYMENT = "payment"
    HOLD = "hold"
    """Set aside by a merchant, to be paid or released."""
    CAPTURE = "capture"
    """What was set aside is paid, at most so far; the rest came back."""
    REFUND = "refund"
    REVERSAL = "reversal"
    RELEASE = "release"
    """What was set aside for too long came back."""
    LOAD = "load"
    EXPIRY = "expiry"
    EXCHANGE = "exchange"
    REACTIVATION = "reactivation"
    FORFEIT = "forfeit"
    """What expired fell to the issuer: nobody had asked for it in time."""
    CARD = "card"
    """A card was issued; it is inactive until it has come."""
    ACTIVATION = "activation"
    OPPOSITION = "opposition"


class Operation(Struct, frozen=True, gc=False):
    """One thing that happened. `seq` is its place, for asking for what was before.

    `amount` is in cents and never below 0 (None: no money is concerned, or it was too long ago to tell); `kind` says
    which way. `reason` says why something was refused. `party` is the merchant's or the employer's name.
    """

    seq: Seq
    at: datetime
    kind: OperationKind
    reason: Reason = Reason.APPROVED
    product: str | None = None
    lot: str | None = None
    amount: Cents | None = None
    party: str | None = None
    card: CardId | None = None


class OperationsPage(Struct, frozen=True, gc=False):
    """Operations, newest first. `next`: what to ask for what was before by; None: there is nothing more."""

    operations: tuple[Operation, ...]
    next: Seq | None
