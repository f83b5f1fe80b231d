"""What the security module found out about a request, and all else that a decision rests on."""

from datetime import date, datetime
from enum import StrEnum

from msgspec import Struct

from authz.decision.calendar import local_day
from authz.decision.outcomes import State
from authz.decision.position import Position
from authz.decision.programme import Programme
from authz.decision.reference import Employer, Merchant
from authz.decision.standing import Standing
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


class Original(Struct, frozen=True, gc=False):
    """A request that another one names, as the ledger has it.

    `standing` is what stands of it now (None: it moved no money), `purchase`, of a refund, what stands of the payment
    that it gave back from. `never_came`: only a reversal that came before it is there.
    """

    standing: Standing | None = None
    purchase: Standing | None = None
    never_came: bool = False


class Facts(Struct, frozen=True, gc=False):
    """Everything a decision may look at beside its command. None: no such thing is known.

    `instant` is the engine's, aware and in UTC. `own` is what stands in the passbook that the command is written in,
    `beside` what stands in the one that an issuing command names beside it,
    `holder` whose it is, `position` the same where that is a card holder. `employer` is the holder's, and `programme`
    the one of the card used, or, where none is used, the employer's; `original` is what the command names.
    """

    instant: datetime
    evidence: Evidence
    position: Position | None = None
    holder: HolderId | None = None
    merchant: Merchant | None = None
    employer: Employer | None = None
    programme: Programme | None = None
    original: Original | None = None
    own: State | None = None
    beside: State | None = None

    @property
    def today(self) -> date:
        """The merchant's local date; where no merchant is known, the programme's, or else UTC's."""
        if self.merchant is not None:
            return local_day(self.instant, self.merchant.time_zone)
        return self.programme_day

    @property
    def over_before(self) -> date:
        """The date before which days are over: what is due by then is posted.

        It is the earlier of the merchant's local date and the programme's, so that no holder loses hours by a zone.
        """
        return min(self.today, self.programme_day)

    @property
    def programme_day(self) -> date:
        """The date in the programme's zone, by which its lots expire; where no programme is known, UTC's."""
        return self.instant.date() if self.programme is None else local_day(self.instant, self.programme.zone)
