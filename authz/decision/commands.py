"""What the core can be asked to decide, as plain values. No command holds a PAN, a PIN or a key."""

from datetime import date
from enum import StrEnum
from typing import Literal, NewType

from msgspec import Struct

from authz.decision.programme import Programme
from authz.decision.reference import Employer, Merchant
from ledger.values import Cents, HolderId

CardId = NewType("CardId", str)
"""A card's random name; the number behind it is in the vault."""


class Entry(StrEnum):
    """How the card was read (DE 22, first two digits)."""

    CHIP = "chip"
    STRIPE = "stripe"
    CONTACTLESS = "contactless"
    ONLINE = "online"
    MANUAL = "manual"


class Origin(Struct, frozen=True, omit_defaults=True, gc=False):
    """Where a request comes from and which one it is: the fields that a reply echoes, as they were received.

    `local` is DE 12 and 13 with the year nearest the engine's instant: the acceptor's own wall clock,
    without a zone. It names the request; no rule reads a day from it except for offline advices.
    """

    mti: str
    processing_code: str
    transmitted: str
    trace: str
    local: str
    acquirer: str
    terminal: str
    merchant: str
    amount: str | None = None
    currency: str | None = None
    retrieval_reference: str | None = None
    pan_sent: bool = False
    first6: str = ""
    last4: str = ""
    unused: tuple[tuple[int, int], ...] = ()
    """Fields that came and aren't used: number and length, never their content."""

    @property
    def merchant_id(self) -> str:
        """DE 42 without the trailing spaces that don't count."""
        return self.merchant.rstrip()


class Purchase(Struct, frozen=True, tag="purchase", omit_defaults=True, gc=False):
    """Spend `amount` cents at once (0200), or set them aside (0100, `holds`)."""

    origin: Origin
    card: CardId | None
    reference: str
    """Hexadecimal digest that a reversal or a completion would name this request by."""
    transaction: str
    """DE 3, first two digits: 00 is a purchase."""
    product: str
    """DE 3, digits three and four: a product, or 00 for the card's only one."""
    amount: Cents
    currency: int
    entry: Entry
    expiry: str | None = None
    """YYMM from DE 14 or track 2."""
    holds: bool = False
    takes_partial: bool = False


class Inquiry(Struct, frozen=True, tag="inquiry", omit_defaults=True, gc=False):
    """Ask what is left: of one product, or of all (product 00)."""

    origin: Origin
    card: CardId | None
    reference: str
    product: str
    entry: Entry
    expiry: str | None = None


class Refund(Struct, frozen=True, tag="refund", omit_defaults=True, gc=False):
    """Give vouchers back for goods returned (processing code 20)."""

    origin: Origin
    card: CardId | None
    reference: str
    product: str
    amount: Cents
    currency: int
    entry: Entry
    expiry: str | None = None


class AdoptProgramme(Struct, frozen=True, tag="programme", gc=False):
    """Put a programme's rules in force from now on."""

    programme: Programme


class RegisterMerchant(Struct, frozen=True, tag="merchant", gc=False):
    """Make a merchant known, or change what is known of one."""

    merchant: Merchant


class RegisterEmployer(Struct, frozen=True, tag="employer", gc=False):
    """Make an employer known, or change what is known of one."""

    employer: Employer


class Enrol(Struct, frozen=True, tag="enrolment", gc=False):
    """Open a holder's passbook under an employer.

    `works_days_off`: works Sundays and holidays, so that they may spend then where the employer allows it.
    """

    holder: HolderId
    employer: str
    works_days_off: bool = False


class IssueCard(Struct, frozen=True, tag="card", gc=False):
    """Give a holder a card. `expiry` is YYMM. Its number and PIN verification value are in the vault, not here."""

    holder: HolderId
    card: CardId
    programme: str
    generation: Literal[1, 2]
    expiry: str
    active: bool = True


class StopCard(Struct, frozen=True, tag="stop", gc=False):
    """Stop a card for good: lost, stolen, used by a fraudster, or replaced by a newer one."""

    holder: HolderId
    card: CardId
    because: Literal["lost", "stolen", "fraud", "replaced"]


class Load(Struct, frozen=True, tag="load", gc=False):
    """Credit vouchers: `amount` cents of `product` in lot `lot`, valid between the two days, both included."""

    holder: HolderId
    product: str
    lot: str
    valid_from: date
    valid_until: date
    amount: Cents


Payment = Purchase | Inquiry | Refund
"""What comes from a terminal."""
Administration = AdoptProgramme | RegisterMerchant | RegisterEmployer | Enrol | IssueCard | StopCard | Load
"""What comes from the issuer."""
Command = Payment | Administration
