"""What the core can be asked to decide, as plain values. No command holds a PAN, a PIN or a key."""

from datetime import date
from enum import StrEnum
from typing import Literal, get_args

from msgspec import Struct

from authz.decision.configuration import ConfigureLink
from authz.decision.issuing.commands import IssuingCommand
from authz.decision.position import CardId as CardId  # where cards are, for all who speak of them
from authz.decision.programme import Programme
from authz.decision.reference import Employer, Merchant, Walked
from authz.decision.totals import Sums
from ledger.values import Cents, HolderId, Manifest, Partition, Seq


class Entry(StrEnum):
    """How the card was read (DE 22, first two digits)."""

    CHIP = "chip"
    STRIPE = "stripe"
    FALLBACK = "fallback"
    """The stripe of a card whose chip could not be read."""
    CONTACTLESS = "contactless"
    ONLINE = "online"
    MANUAL = "manual"


class Origin(Struct, frozen=True, omit_defaults=True, gc=False):
    """Where a request comes from and which one it is: the fields that a reply echoes, as they were received.

    `original` and `replacement`, what DE 90 and DE 95 say, aren't echoed. `local` is DE 12 and 13 with the year
    nearest the engine's instant: the acceptor's own wall clock, without a zone. It names the request; no rule reads a
    day from it except for offline advices.
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
    original: str | None = None
    replacement: str | None = None
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
    """What a reversal or a completion would name this request by: date and time, then a digest, as text."""
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
    """Give vouchers back for goods returned (processing code 20). `originals`: see `Reversal`."""

    origin: Origin
    card: CardId | None
    reference: str
    product: str
    amount: Cents
    currency: int
    entry: Entry
    originals: tuple[str, ...] = ()
    expiry: str | None = None


class Advice(Struct, frozen=True, tag="advice", omit_defaults=True, gc=False):
    """Hear that `amount` was paid offline (0220), or set aside (0120, `holds`).

    `declined`: the terminal itself refused it (DE 39), so that nothing moves.
    """

    origin: Origin
    card: CardId | None
    reference: str
    transaction: str
    product: str
    amount: Cents
    currency: int
    holds: bool = False
    declined: bool = False


class Completion(Struct, frozen=True, tag="completion", omit_defaults=True, gc=False):
    """Hear that `amount` of a hold is to be paid: the one that `originals` name (see `Reversal`), or `approval`."""

    origin: Origin
    card: CardId | None
    reference: str
    transaction: str
    product: str
    amount: Cents
    currency: int
    originals: tuple[str, ...] = ()
    approval: str | None = None
    declined: bool = False


class Reversal(Struct, frozen=True, tag="reversal", omit_defaults=True, gc=False):
    """Hear that of an earlier request only `stands` is to stand.

    `originals` are the references that DE 90 can mean, which has no year: the likeliest first. None: it names
    nothing that could be here.
    """

    origin: Origin
    card: CardId | None
    reference: str
    originals: tuple[str, ...] = ()
    stands: Cents = Cents(0)


class Window(Struct, frozen=True, array_like=True, gc=False):
    """Records of a partition: those behind `after`, up to and with `through`."""

    partition: Partition
    after: Seq
    through: Seq


class Totals(Struct, frozen=True, tag="totals", gc=False):
    """Hold what an acquirer counted on one of its business days against what the ledger has.

    `net` is DE 97 in cents, below 0 for `D`. `counted` is the acquirer's, `recorded` what is in `windows`.
    """

    mti: str
    acquirer: str
    transmitted: str
    trace: str
    day: date
    counted: Sums
    net: Cents
    recorded: Sums = Sums()
    windows: tuple[Window, ...] = ()


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


class LiftOnlineLock(Struct, frozen=True, tag="lift", gc=False):
    """Let a card be used online again, after too many wrong CVV2 in a row."""

    holder: HolderId
    card: CardId


class Load(Struct, frozen=True, tag="load", gc=False):
    """Credit vouchers: `amount` cents of `product` in lot `lot`, valid between the two days, both included."""

    holder: HolderId
    product: str
    lot: str
    valid_from: date
    valid_until: date
    amount: Cents


class LapseHolds(Struct, frozen=True, tag="lapse", gc=False):
    """Release the holds of a holder that are past their last day everywhere."""

    holder: HolderId


class NoteSweep(Struct, frozen=True, tag="sweep", gc=False):
    """Note that holds were released as far as the authorizations up to the record `through` go."""

    through: Seq


class ExpireLots(Struct, frozen=True, tag="expiry", gc=False):
    """Move the lots of a holder whose last day is over to where they wait to be exchanged or reactivated."""

    holder: HolderId


class ForfeitLots(Struct, frozen=True, tag="forfeit", gc=False):
    """Let fall to the issuer's pool what waits of a holder's lots that had a day to fall on after `since`."""

    holder: HolderId
    since: date


class ExchangeLot(Struct, frozen=True, tag="exchange", gc=False):
    """Give a holder who asks for it the next vintage for what is left of an expired one."""

    holder: HolderId
    product: str
    lot: str


class ReactivateLot(Struct, frozen=True, tag="reactivation", gc=False):
    """Make an expired lot of a holder who asks for it valid once more, for a while."""

    holder: HolderId
    product: str
    lot: str


class NoteWalk(Struct, frozen=True, tag="walk", gc=False):
    """Note how far the walk that ages holders' lots has come."""

    walked: Walked


class Carry(Struct, frozen=True, tag="carry", gc=False):
    """State a passbook again as it is, so that the range in which its newest line lies can be archived."""

    passbook: HolderId


class SealRange(Struct, frozen=True, tag="manifest", gc=False):
    """Record what a full range of the journal holds, before it is archived."""

    manifest: Manifest


class CutOver(Struct, frozen=True, tag="cutover", gc=False):
    """Close an acquirer's business day. `begins` is the day that begins; None: the one that is next."""

    acquirer: str
    begins: date | None = None


class ChangeKey(Struct, frozen=True, tag="key", gc=False):
    """Record that a link has a new key: what it is for, and its check value. The key itself is in no record."""

    acquirer: str
    usage: str
    check_value: str


Presented = Purchase | Inquiry | Refund
"""A card is presented: it is examined."""
PRESENTED = get_args(Presented)
"""The same, for telling at run time."""
UNDOING = (Reversal, Refund)
"""What changes what stands of another request, and is decided by what stands of it."""
Told = Advice | Completion | Reversal
"""Something has happened already: no rule on the card can undo it."""
Payment = Presented | Told
"""What comes from a terminal."""
Administration = (
    AdoptProgramme
    | RegisterMerchant
    | RegisterEmployer
    | Enrol
    | IssueCard
    | StopCard
    | LiftOnlineLock
    | Load
    | LapseHolds
    | NoteSweep
    | ExpireLots
    | ForfeitLots
    | ExchangeLot
    | ReactivateLot
    | NoteWalk
    | Carry
    | SealRange
    | CutOver
    | ChangeKey
    | ConfigureLink
    | IssuingCommand
)
"""What comes from the issuer, from an acquirer's host about its link, or is due by the date."""
Command = Payment | Totals | Administration
