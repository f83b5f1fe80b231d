"""What the security module found out about a request, and all else that a decision rests on."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from authz.decision.position import Position
from authz.decision.programme import Programme
from authz.decision.reference import Employer, Merchant
from ledger.values import HolderId


class Check(StrEnum):
    """The outcome of verifying a secret."""

    ABSENT = "absent"
    RIGHT = "right"
    WRONG = "wrong"
    GARBLED = "garbled"
    """A PIN block that decrypts to no valid format for this PAN: no try is counted."""


class Evidence(Struct, frozen=True, omit_defaults=True, gc=False):
    """Findings, never the secrets themselves.

    `counter` is the chip's transaction counter (ATC) and `response` the cryptogram to send back (ARPC in
    hexadecimal), both only with an ARQC. `ours` says that DE 32 is the acquirer of the link it came by.
    """

    pin: Check = Check.ABSENT
    cvv2: Check = Check.ABSENT
    arqc: Check = Check.ABSENT
    counter: int | None = None
    response: str | None = None
    ours: bool = True


class Facts(Struct, frozen=True, gc=False):
    """Everything a decision may look at beside its command. None: no such thing is known.

    `instant` is the engine's, aware and in UTC. `holder` is whose `position` it is, `programme` the
    one of the card used, `employer` the holder's.
    """

    instant: datetime
    evidence: Evidence
    position: Position | None = None
    holder: HolderId | None = None
    merchant: Merchant | None = None
    employer: Employer | None = None
    programme: Programme | None = None
