"""What stands in the passbooks of issuing: one value a client, an agent, an offer, an order, a request, a run, a token.

Amounts are cents, dates local to the programme. Nobody's name or e-mail stands here but a company's: people are ids.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, NewType

from msgspec import Meta, Struct

from authz.decision.position import CardId
from ledger.values import Cents, HolderId, Partition, Seq

ClientId = NewType("ClientId", str)
"""An employer's account: also the `employer` of holders' positions."""
AgentId = NewType("AgentId", str)
"""Who orders for many clients: a secrétariat social."""
ContactId = NewType("ContactId", str)
"""Whose name and e-mail are sealed in `authz.contact`: a client's user, an agent's."""
OfferId = NewType("OfferId", str)
OrderId = NewType("OrderId", str)
RequestId = NewType("RequestId", str)
AdjustmentId = NewType("AdjustmentId", str)

BASIS_POINTS = 10_000
"""In one whole: a commission of 250 is 2.5 %."""
LINES_A_CHUNK = 250
"""Order lines in one record: some 20 KB."""
LINES_MAX = 200_000
"""Beneficiaries of one order."""
CHUNKS_MAX = LINES_MAX // LINES_A_CHUNK
USERS_MAX = 50
AGENTS_MAX = 20
WANTED_MAX = 20
RUN_CARDS_MAX = 5_000
"""Cards in one production run: some 100 KB in its record."""

Whole = Annotated[int, Meta(ge=0)]


class Format(StrEnum):
    """What vouchers are made of. Paper can't be ordered any more; what circulates stays valid."""

    ELECTRONIC = "electronic"
    PAPER = "paper"


class Tariff(Struct, frozen=True, gc=False):
    """What an issuer charges, without VAT: basis points of the face value, and cents for each new card.

    `vat` is in basis points of both.
    """

    commission: Annotated[int, Meta(ge=0, le=BASIS_POINTS)]
    card: Annotated[Cents, Meta(ge=0)]
    vat: Annotated[int, Meta(ge=0, le=BASIS_POINTS)]


class Costs(Struct, frozen=True, gc=False):
    """What an order or an offer comes to, in cents. `face` is the vouchers' own value: the rest is the issuer's."""

    face: Cents = Cents(0)
    commission: Cents = Cents(0)
    cards: Cents = Cents(0)
    vat: Cents = Cents(0)

    @property
    def fees(self) -> Cents:
        """What the issuer earns, with VAT: never mixed with the face value (L3262-2)."""
        return Cents(self.commission + self.cards + self.vat)

    @property
    def total(self) -> Cents:
        """What the client transfers."""
        return Cents(self.face + self.fees)


class Contract(Struct, frozen=True, gc=False):
    """What a client may order: one product in one format, at a tariff, by the offer that was accepted."""

    product: str
    format: Format
    tariff: Tariff
    offer: OfferId
    since: date


class Client(Struct, frozen=True, gc=False):
    """An employer's account. `territory` is where its cards are sent (`FR-75`, `FR-974`, `BE`).

    `users` are its people, `agents` those who may order for it. `load_alerts`: its holders are told of loads by e-mail.
    """

    id: ClientId
    name: str
    programme: str
    territory: str
    contracts: tuple[Contract, ...] = ()
    users: tuple[ContactId, ...] = ()
    agents: tuple[AgentId, ...] = ()
    load_alerts: bool = False

    def contract(self, product: str, made_as: Format) -> Contract | None:
        """Find the contract for a product in a format."""
        return next((one for one in self.contracts if (one.product, one.format) == (product, made_as)), None)


class Agent(Struct, frozen=True, gc=False):
    """Who orders for many clients."""

    id: AgentId
    name: str
    contact: ContactId


class Wanted(Struct, frozen=True, gc=False):
    """A product in an offer: for how many holders at most, and how many cents each in all."""

    product: str
    format: Format
    holders: Annotated[int, Meta(gt=0, le=LINES_MAX)]
    amount: Annotated[Cents, Meta(gt=0)]


class OfferStatus(StrEnum):
    """Where an offer is in its life."""

    OPEN = "open"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"


class Offer(Struct, frozen=True, gc=False):
    """A quote: it binds to nothing. `maximum` is what it can cost at most, a card for everyone included.

    `company` and `contact` are whom it was made to, `client` the account that its acceptance opened or added to.
    """

    id: OfferId
    programme: str
    company: str
    territory: str
    contact: ContactId
    wanted: tuple[Wanted, ...]
    tariff: Tariff
    maximum: Costs
    until: date
    status: OfferStatus = OfferStatus.OPEN
    client: ClientId | None = None


class OrderStatus(StrEnum):
    """Where an order is in its life."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    """Its recap was accepted: it waits for the money, and can still be changed."""
    PAID = "paid"
    """Released: cards are made, vouchers are loaded."""
    DONE = "done"
    CANCELLED = "cancelled"


class OrderLine(Struct, frozen=True, array_like=True, gc=False):
    """One beneficiary of an order. `number` is what the employer calls them; `card`: they need a new one.

    `works_days_off`: works Sundays and holidays.
    """

    holder: HolderId
    number: str
    amount: Cents
    card: bool = False
    works_days_off: bool = False


class Lines(Struct, frozen=True, gc=False):
    """One chunk of an order's lines: at most `LINES_A_CHUNK`, of one partition's holders."""

    lines: tuple[OrderLine, ...]


class Chunk(Struct, frozen=True, array_like=True, gc=False):
    """A chunk in an order's header: the partition whose holders it has, how many lines, and their face value."""

    partition: int
    lines: int
    face: Cents


class Difference(Struct, frozen=True, gc=False):
    """How a full list differs from the client's last one for the product: how many are new, changed, missing."""

    new: int = 0
    changed: int = 0
    missing: int = 0


class Order(Struct, frozen=True, gc=False):
    """An order of vouchers of one product for many holders. Its lines stand in passbooks of their own, by revision.

    `month` is the first day of the month it is for: vintages follow it. `applied` counts the chunks whose lines are
    carried out, `refused` the lines among them that couldn't be.
    """

    id: OrderId
    client: ClientId
    product: str
    month: date
    revision: int
    chunks: tuple[Chunk, ...]
    cards: int
    costs: Costs
    difference: Difference
    status: OrderStatus = OrderStatus.DRAFT
    reference: str | None = None
    applied: int = 0
    refused: int = 0

    @property
    def lines(self) -> int:
        """How many beneficiaries it has."""
        return sum(one.lines for one in self.chunks)


class RequestKind(StrEnum):
    """What is asked of an employer about a holder's card."""

    REMAKE = "remake"
    """A new card, for one that is stopped or locked."""
    PIN = "pin"
    """The PIN sent again."""


class RequestStatus(StrEnum):
    """Where such a request is in its life."""

    ASKED = "asked"
    VALIDATED = "validated"
    REFUSED = "refused"
    DONE = "done"
    """The new card is issued; the PIN is on its way."""


class CardRequest(Struct, frozen=True, gc=False):
    """What a holder asks and their employer validates, or the employer starts. `new` is the card that was made."""

    id: RequestId
    client: ClientId
    kind: RequestKind
    holder: HolderId
    card: CardId
    asked_on: date
    status: RequestStatus = RequestStatus.ASKED
    new: CardId | None = None


class RunStatus(StrEnum):
    """Where a production run is in its life."""

    MADE = "made"
    """The embosser's file is written."""
    SENT = "sent"
    """The cards are on their way."""
    PINS_MADE = "pins made"
    """The PIN mailers' file is written, 48 hours after the cards were sent at the earliest."""
    PINS_SENT = "pins sent"


class Run(Struct, frozen=True, gc=False):
    """A production run: the cards of one file, made once. Digests are SHA-256 of the encrypted files, in hexadecimal.

    It has every card issued in the records up to `through` (by partition) and in no run before; `reissued` are the
    cards of which only the PIN is sent again, in the PIN file alone.
    """

    number: int
    through: tuple[Seq, ...]
    cards: tuple[CardId, ...]
    reissued: tuple[CardId, ...]
    card_file: str
    pin_file: str | None = None
    sent_at: datetime | None = None
    """When the cards were sent, in UTC: the PIN mailers follow by 48 hours."""
    status: RunStatus = RunStatus.MADE


class Role(StrEnum):
    """What a bearer of a token may do."""

    EMPLOYER = "employer"
    AGENT = "agent"
    HOLDER = "holder"
    OPERATOR = "operator"
    """Answers holders' calls: balance, operations, opposition."""
    ISSUER = "issuer"
    FINANCE = "finance"


class Access(Struct, frozen=True, gc=False):
    """What a token opens. `subject` is whose: a client's, an agent's, a holder's id; empty for the issuer's people."""

    role: Role
    subject: str = ""
    revoked: bool = False


class Followed(Struct, frozen=True, gc=False):
    """How far in its partition's journal somebody who follows it has come: what was done about it needn't be again."""

    through: Seq


class AdjustmentKind(StrEnum):
    """What an adjustment posts: authz/decision/issuing/adjustments.py has the transfers of each."""

    SETTLEMENT = "settlement"
    """An acquirer was paid out of the voucher account."""
    FEE = "fee"
    """What the issuer keeps of what an acquirer is owed, by the tariff, went to the issuer's own account."""
    WRITE_OFF = "write-off"
    """What an acquirer was owed without a balance that covered it is given up: nobody will pay it."""
    CORRECTION = "correction"
    """An acquirer is owed more than the ledger has, or less, though neither side finds out why."""


class AdjustmentStatus(StrEnum):
    """Where an adjustment is in its life."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    """By somebody else than who proposed it: its money is posted."""
    REFUSED = "refused"


class RecordNamed(Struct, frozen=True, gc=False):
    """A record of the journal."""

    partition: Partition
    seq: Seq


class LineNamed(Struct, frozen=True, gc=False):
    """A line of a clearing file, or an entry of a statement: `file` is the file's SHA-256, in hexadecimal."""

    file: str
    line: int


class Proposal(Struct, frozen=True, omit_defaults=True, gc=False):
    """What is to be adjusted, by how many cents (not 0; below 0 the other way round), and why.

    `record` and `line` name the break that it resolves, by whichever of them there is.
    """

    kind: AdjustmentKind
    acquirer: str
    cents: Cents
    reason: str
    record: RecordNamed | None = None
    line: LineNamed | None = None

    @property
    def partition(self) -> Partition:
        """Where it is posted: where the record is whose break it resolves, else in the first."""
        return Partition(0) if self.record is None else self.record.partition


class Adjustment(Struct, frozen=True, gc=False):
    """An adjustment, from its proposal on. `proposed_by` and `decided_by` are a role and an access's id."""

    id: AdjustmentId
    proposal: Proposal
    proposed_by: str
    proposed_at: datetime
    status: AdjustmentStatus = AdjustmentStatus.PROPOSED
    decided_by: str | None = None
    decided_at: datetime | None = None


IssuingState = Client | Agent | Offer | Order | Lines | CardRequest | Run | Access | Followed | Adjustment


def client_passbook(client: ClientId) -> HolderId:
    """Name the passbook of a client's account."""
    return HolderId(f"client:{client}")


def agent_passbook(agent: AgentId) -> HolderId:
    """Name the passbook of an agent."""
    return HolderId(f"agent:{agent}")


def offer_passbook(offer: OfferId) -> HolderId:
    """Name the passbook of an offer."""
    return HolderId(f"offer:{offer}")


def order_passbook(client: ClientId, order: OrderId) -> HolderId:
    """Name the passbook of an order: a client's orders stand together.

    >>> order_passbook(ClientId("c1"), OrderId("o2"))
    'order:c1:o2'
    """
    return HolderId(f"order:{client}:{order}")


def lines_passbook(client: ClientId, order: OrderId, revision: int, chunk: int) -> HolderId:
    """Name the passbook of a chunk of an order's lines.

    >>> lines_passbook(ClientId("c1"), OrderId("o2"), 1, 0)
    'lines:c1:o2:0001:0000'
    """
    return HolderId(f"lines:{client}:{order}:{revision:04}:{chunk:04}")


def request_passbook(client: ClientId, request: RequestId) -> HolderId:
    """Name the passbook of what was asked of a client about a card."""
    return HolderId(f"request:{client}:{request}")


def run_passbook(number: int) -> HolderId:
    """Name the passbook of a production run.

    >>> run_passbook(12)
    'run:000012'
    """
    return HolderId(f"run:{number:06}")


def adjustment_passbook(adjustment: AdjustmentId) -> HolderId:
    """Name the passbook of an adjustment, which stands in the partition that it is posted in, and in no other."""
    return HolderId(f"adjustment:{adjustment}")


def access_passbook(token_hash: str) -> HolderId:
    """Name the passbook of a token by its SHA-256, in hexadecimal."""
    return HolderId(f"access:{token_hash}")


def follower_passbook(name: str) -> HolderId:
    """Name the passbook in which somebody who follows the journal notes how far they have come."""
    return HolderId(f"follow:{name}")
