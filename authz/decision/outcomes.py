"""What a decision comes to: a reason, a reply, the money it moves, the position after it."""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from authz.decision.configuration import LinkInForce
from authz.decision.issuing.states import IssuingState
from authz.decision.position import Position
from authz.decision.programme import Programme
from authz.decision.reference import BusinessDay, Employer, LinkKeys, Merchant, Swept, Walked
from authz.decision.standing import Standing
from authz.decision.totals import Sums
from ledger.values import Cents, HolderId, Manifest, Transfer


class Reason(StrEnum):
    """Why a request is answered as it is: the word in DE 44. Stands in the order in which rules are tried."""

    APPROVED = "APPROVED"
    PARTIAL = "PARTIAL"
    FORMAT = "FORMAT"
    MAC_WRONG = "MAC_WRONG"
    ACQUIRER_UNKNOWN = "ACQUIRER_UNKNOWN"
    NOT_SIGNED_ON = "NOT_SIGNED_ON"
    IDENTITY_REUSED = "IDENTITY_REUSED"
    REVERSED_BEFORE = "REVERSED_BEFORE"
    CARD_UNKNOWN = "CARD_UNKNOWN"
    CARD_LOST = "CARD_LOST"
    CARD_STOLEN = "CARD_STOLEN"
    CARD_FRAUD = "CARD_FRAUD"
    CARD_NOT_ACTIVE = "CARD_NOT_ACTIVE"
    CARD_REPLACED = "CARD_REPLACED"
    PIN_LOCKED = "PIN_LOCKED"
    CARD_EXPIRED = "CARD_EXPIRED"
    PIN_WRONG = "PIN_WRONG"
    PIN_MISSING = "PIN_MISSING"
    CVV_WRONG = "CVV_WRONG"
    ONLINE_LOCKED = "ONLINE_LOCKED"
    ARQC_WRONG = "ARQC_WRONG"
    ONLINE_NOT_ALLOWED = "ONLINE_NOT_ALLOWED"
    TRANSACTION = "TRANSACTION"
    AMOUNT = "AMOUNT"
    CURRENCY = "CURRENCY"
    PRODUCT_NOT_CHOSEN = "PRODUCT_NOT_CHOSEN"
    PRODUCT_NOT_HELD = "PRODUCT_NOT_HELD"
    REFUND_NOT_ALLOWED = "REFUND_NOT_ALLOWED"
    MERCHANT_UNKNOWN = "MERCHANT_UNKNOWN"
    MERCHANT_NOT_ELIGIBLE = "MERCHANT_NOT_ELIGIBLE"
    SUNDAY = "SUNDAY"
    HOLIDAY = "HOLIDAY"
    DAILY_CAP = "DAILY_CAP"
    NO_FUNDS = "NO_FUNDS"
    VINTAGE_EXPIRED = "VINTAGE_EXPIRED"
    NO_ORIGINAL = "NO_ORIGINAL"
    OVERLOADED = "OVERLOADED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"

    @property
    def approves(self) -> bool:
        """Tell whether the request was granted, in full or in part."""
        return self in _GRANTED


APPROVED: Final = Reason.APPROVED
"""What most payments are: an enum takes longer to find a member by its name than to compare it."""
_GRANTED = frozenset({Reason.APPROVED, Reason.PARTIAL})


class Balance(Struct, frozen=True, array_like=True, gc=False):
    """What is left of one product: `available` in valid lots less holds, `cap_left` of the day (None: no cap)."""

    product: str
    available: Cents
    cap_left: Cents | None = None


class Reply(Struct, frozen=True, omit_defaults=True, gc=False):
    """What the terminal is told, and, in `standings` and `redated`, what only the record keeps.

    `amount` is set where it differs from what was asked (PARTIAL). `response` is the cryptogram for the chip (ARPC),
    in hexadecimal. `totals` are ours, and `agrees` says whether the acquirer's are the same. `standings` are what
    stands now of the requests that this one concerns, its own original first. `redated`: an offline advice came too
    late to count on its own day. `low`: this payment took the product's balance below what its programme calls low.
    """

    reason: Reason
    amount: Cents | None = None
    approval: str | None = None
    balances: tuple[Balance, ...] = ()
    pin_tries_left: int | None = None
    response: str | None = None
    totals: Sums | None = None
    agrees: bool = False
    standings: tuple[Standing, ...] = ()
    redated: bool = False
    low: bool = False


State = (
    Position
    | Merchant
    | Employer
    | Programme
    | BusinessDay
    | LinkKeys
    | LinkInForce
    | Swept
    | Walked
    | Manifest
    | IssuingState
)
"""What a passbook's line can say."""


class Outcome(Struct, frozen=True, gc=False):
    """A decision. `holder` is whose passbook it is a line of, `state` what stands there afterwards.

    Both are None where no passbook is concerned (an unknown card). `never_came` is the reference of a request that is
    refused should it come now, since its reversal has.
    """

    reply: Reply
    holder: HolderId | None = None
    state: State | None = None
    transfers: tuple[Transfer, ...] = ()
    never_came: str | None = None
