"""What issuing can be asked, as plain values. Each names the passbook that it is written in.

What a command must know beside that passbook it either holds, or names as `beside`: another passbook that is read.
"""

from datetime import date
from typing import Annotated, Literal

from msgspec import Meta, Struct

from authz.decision.issuing.states import (
    CHUNKS_MAX,
    Access,
    AdjustmentId,
    Agent,
    AgentId,
    Chunk,
    ClientId,
    ContactId,
    Contract,
    Difference,
    OfferId,
    OrderId,
    OrderLine,
    Proposal,
    RequestId,
    RequestKind,
    Run,
    RunStatus,
    Tariff,
    Wanted,
    access_passbook,
    adjustment_passbook,
    agent_passbook,
    client_passbook,
    follower_passbook,
    lines_passbook,
    offer_passbook,
    order_passbook,
    request_passbook,
    run_passbook,
)
from authz.decision.position import CardId
from authz.decision.reference import employer_passbook
from ledger.values import Cents, HolderId, Lot, Partition, Seq


class Issuing(Struct, frozen=True, gc=False):
    """A command of issuing."""

    @property
    def passbook(self) -> HolderId:
        """Whose passbook it is written in."""
        raise NotImplementedError

    @property
    def beside(self) -> HolderId | None:
        """Another passbook that its decision reads."""
        return None


class MakeOffer(Issuing, frozen=True, tag="offer", gc=False):
    """Offer a company vouchers at a tariff, until a day."""

    offer: OfferId
    programme: str
    company: str
    territory: str
    contact: ContactId
    wanted: tuple[Wanted, ...]
    tariff: Tariff
    until: date

    @property
    def passbook(self) -> HolderId:
        """The offer's."""
        return offer_passbook(self.offer)


class AcceptOffer(Issuing, frozen=True, tag="acceptance", gc=False):
    """Accept an offer, for the account `client`."""

    offer: OfferId
    client: ClientId

    @property
    def passbook(self) -> HolderId:
        """The offer's."""
        return offer_passbook(self.offer)


class WithdrawOffer(Issuing, frozen=True, tag="withdrawal", gc=False):
    """Take an offer back."""

    offer: OfferId

    @property
    def passbook(self) -> HolderId:
        """The offer's."""
        return offer_passbook(self.offer)


class OpenClient(Issuing, frozen=True, tag="client", gc=False):
    """Open a client's account, with the contracts of the offer that was accepted and its first user."""

    client: ClientId
    name: str
    programme: str
    territory: str
    user: ContactId
    contracts: tuple[Contract, ...]

    @property
    def passbook(self) -> HolderId:
        """The client's."""
        return client_passbook(self.client)


class AddContracts(Issuing, frozen=True, tag="contracts", gc=False):
    """Add contracts to a client's account; one for the same product and format takes the place of the one before."""

    client: ClientId
    contracts: tuple[Contract, ...]

    @property
    def passbook(self) -> HolderId:
        """The client's."""
        return client_passbook(self.client)


class ChangeClient(Issuing, frozen=True, tag="client_change", omit_defaults=True, gc=False):
    """Change who acts for a client, and whether its holders are told of loads. None: as it was.

    `sundays_holidays` is part of what was asked; what payments read of it is in the employer's passbook.
    """

    client: ClientId
    users: tuple[ContactId, ...] | None = None
    agents: tuple[AgentId, ...] | None = None
    load_alerts: bool | None = None
    sundays_holidays: bool | None = None

    @property
    def passbook(self) -> HolderId:
        """The client's."""
        return client_passbook(self.client)


class RegisterAgent(Issuing, frozen=True, tag="agent", gc=False):
    """Make an agent known, or change what is known of one."""

    agent: Agent

    @property
    def passbook(self) -> HolderId:
        """The agent's."""
        return agent_passbook(self.agent.id)


class EnterLines(Issuing, frozen=True, tag="lines", gc=False):
    """Put down a chunk of an order's lines, before the draft that names its revision."""

    client: ClientId
    order: OrderId
    revision: int
    chunk: int
    lines: tuple[OrderLine, ...]

    @property
    def passbook(self) -> HolderId:
        """The chunk's."""
        return lines_passbook(self.client, self.order, self.revision, self.chunk)

    @property
    def beside(self) -> HolderId:
        """The order's: lines of a revision that was drafted are fixed."""
        return order_passbook(self.client, self.order)


class DraftOrder(Issuing, frozen=True, tag="draft", gc=False):
    """Draft an order, or draft it anew while it isn't paid: `revision` rises by one each time, from 1.

    `digest` is over the list as the client gave it, so that another one under the same key is told from a repeat.
    """

    client: ClientId
    order: OrderId
    product: str
    month: date
    revision: int
    chunks: Annotated[tuple[Chunk, ...], Meta(max_length=CHUNKS_MAX)]
    cards: int
    difference: Difference
    digest: str = ""

    @property
    def passbook(self) -> HolderId:
        """The order's."""
        return order_passbook(self.client, self.order)

    @property
    def beside(self) -> HolderId:
        """The client's: no contract, no order."""
        return client_passbook(self.client)


class ConfirmOrder(Issuing, frozen=True, tag="confirmation", gc=False):
    """Accept the recap of an order's revision: it waits for the money."""

    client: ClientId
    order: OrderId
    revision: int

    @property
    def passbook(self) -> HolderId:
        """The order's."""
        return order_passbook(self.client, self.order)


class CancelOrder(Issuing, frozen=True, tag="cancellation", gc=False):
    """Give an order up, before it is paid."""

    client: ClientId
    order: OrderId

    @property
    def passbook(self) -> HolderId:
        """The order's."""
        return order_passbook(self.client, self.order)


class PayOrder(Issuing, frozen=True, tag="payment", gc=False):
    """Enter the bank transfer that pays an order: `amount` is all of it, `reference` the bank's.

    A command for each partition: it posts the face value of the holders in `partition`; the first one posts the fees.
    """

    client: ClientId
    order: OrderId
    reference: str
    amount: Cents
    partition: Partition

    @property
    def passbook(self) -> HolderId:
        """The order's."""
        return order_passbook(self.client, self.order)


class NoteApplied(Issuing, frozen=True, tag="applied", gc=False):
    """Note that the lines of so many more chunks of a paid order are carried out, `refused` of them in vain.

    With the last chunk the order is done: chunks of any partition count, in every one.
    """

    client: ClientId
    order: OrderId
    chunks: int
    refused: int

    @property
    def passbook(self) -> HolderId:
        """The order's."""
        return order_passbook(self.client, self.order)


class NewCard(Struct, frozen=True, array_like=True, gc=False):
    """A card to issue: its number and PIN verification value are in the vault already. `expiry` is YYMM."""

    card: CardId
    generation: Literal[1, 2]
    expiry: str


class Fulfil(Issuing, frozen=True, tag="fulfilment", omit_defaults=True, gc=False):
    """Carry out one line of a paid order, whole: enrol the holder, issue the card that is needed, load the vouchers.

    The money comes from what the client has paid in.
    """

    holder: HolderId
    client: ClientId
    order: OrderId
    programme: str
    product: str
    lot: str
    valid_from: date
    valid_until: date
    amount: Cents
    card: NewCard | None = None
    works_days_off: bool = False

    @property
    def passbook(self) -> HolderId:
        """The holder's."""
        return self.holder

    @property
    def beside(self) -> HolderId:
        """The order's: nothing is loaded before it is paid."""
        return order_passbook(self.client, self.order)


class TakenCard(Struct, frozen=True, array_like=True, gc=False):
    """A card that a holder brings along. `expiry` is YYMM. Its number and what is kept of its PIN are in the vault."""

    card: CardId
    generation: Literal[1, 2]
    expiry: str
    active: bool


class TakeOver(Issuing, frozen=True, tag="takeover", omit_defaults=True, gc=False):
    """Take a holder over from another processor, whole: enrolled under an employer, with cards and first lots.

    `works_days_off`: as `Enrol` has it. The lots come from where loads come from.
    """

    holder: HolderId
    programme: str
    employer: str
    cards: tuple[TakenCard, ...] = ()
    lots: tuple[Lot, ...] = ()
    works_days_off: bool = False

    @property
    def passbook(self) -> HolderId:
        """The holder's."""
        return self.holder

    @property
    def beside(self) -> HolderId:
        """The employer's: nobody is taken over under one that isn't there."""
        return employer_passbook(self.employer)


class ActivateCard(Issuing, frozen=True, tag="activation", gc=False):
    """Have a card pay from now on. What the holder had of the same programme before it is replaced by it."""

    holder: HolderId
    card: CardId

    @property
    def passbook(self) -> HolderId:
        """The holder's."""
        return self.holder


class RemakeCard(Issuing, frozen=True, tag="remake", gc=False):
    """Issue a new card in place of one that was stopped, is locked, or ends soon. The balance is the holder's."""

    holder: HolderId
    old: CardId
    new: NewCard

    @property
    def passbook(self) -> HolderId:
        """The holder's."""
        return self.holder


class Remind(Issuing, frozen=True, tag="reminder", gc=False):
    """Note that a holder is to be told of a lot that soon expires."""

    holder: HolderId
    product: str
    lot: str

    @property
    def passbook(self) -> HolderId:
        """The holder's."""
        return self.holder


class AskRequest(Issuing, frozen=True, tag="request", gc=False):
    """Ask an employer for a new card or for the PIN again. `validated`: the employer asks."""

    client: ClientId
    request: RequestId
    kind: RequestKind
    holder: HolderId
    card: CardId
    asked_on: date
    validated: bool = False

    @property
    def passbook(self) -> HolderId:
        """The request's."""
        return request_passbook(self.client, self.request)


class AnswerRequest(Issuing, frozen=True, tag="request_answer", gc=False):
    """Validate what a holder asked, or refuse it."""

    client: ClientId
    request: RequestId
    validated: bool

    @property
    def passbook(self) -> HolderId:
        """The request's."""
        return request_passbook(self.client, self.request)


class FinishRequest(Issuing, frozen=True, tag="request_done", gc=False):
    """Note that what was asked is done: `new` is the card that was issued, None where the PIN is sent again."""

    client: ClientId
    request: RequestId
    new: CardId | None = None

    @property
    def passbook(self) -> HolderId:
        """The request's."""
        return request_passbook(self.client, self.request)


class StartRun(Issuing, frozen=True, tag="run", gc=False):
    """Note the production run whose card file is written. `run.status` is `MADE`."""

    run: Run

    @property
    def passbook(self) -> HolderId:
        """The run's."""
        return run_passbook(self.run.number)


class MoveRun(Issuing, frozen=True, tag="run_step", omit_defaults=True, gc=False):
    """Take a production run to its next step. `pin_file` is the PIN file's digest, where that is the step."""

    number: int
    status: RunStatus
    pin_file: str | None = None

    @property
    def passbook(self) -> HolderId:
        """The run's."""
        return run_passbook(self.number)


class GrantAccess(Issuing, frozen=True, tag="access", gc=False):
    """Have a token open what `access` says. The token itself is in no record: `token_hash` is its SHA-256."""

    token_hash: str
    access: Access

    @property
    def passbook(self) -> HolderId:
        """The token's."""
        return access_passbook(self.token_hash)


class RevokeAccess(Issuing, frozen=True, tag="access_end", gc=False):
    """Have a token open nothing from now on."""

    token_hash: str

    @property
    def passbook(self) -> HolderId:
        """The token's."""
        return access_passbook(self.token_hash)


class ProposeAdjustment(Issuing, frozen=True, tag="adjustment_proposal", gc=False):
    """Propose that finance's books be adjusted. `by` is who does: their role, and their access's id."""

    adjustment: AdjustmentId
    proposal: Proposal
    by: str

    @property
    def passbook(self) -> HolderId:
        """The adjustment's."""
        return adjustment_passbook(self.adjustment)


class ApproveAdjustment(Issuing, frozen=True, tag="adjustment", gc=False):
    """Approve an adjustment: its money moves. `proposal` is what is approved, so that this record says it all."""

    adjustment: AdjustmentId
    proposal: Proposal
    by: str

    @property
    def passbook(self) -> HolderId:
        """The adjustment's."""
        return adjustment_passbook(self.adjustment)


class RefuseAdjustment(Issuing, frozen=True, tag="adjustment_refusal", gc=False):
    """Refuse an adjustment, or take back one's own: nothing moves."""

    adjustment: AdjustmentId
    by: str

    @property
    def passbook(self) -> HolderId:
        """The adjustment's."""
        return adjustment_passbook(self.adjustment)


class NoteFollowed(Issuing, frozen=True, tag="followed", gc=False):
    """Note how far somebody who follows the journal has come."""

    name: str
    through: Seq

    @property
    def passbook(self) -> HolderId:
        """The follower's."""
        return follower_passbook(self.name)


IssuingCommand = (
    MakeOffer
    | AcceptOffer
    | WithdrawOffer
    | OpenClient
    | AddContracts
    | ChangeClient
    | RegisterAgent
    | EnterLines
    | DraftOrder
    | ConfirmOrder
    | CancelOrder
    | PayOrder
    | NoteApplied
    | Fulfil
    | TakeOver
    | ActivateCard
    | RemakeCard
    | Remind
    | AskRequest
    | AnswerRequest
    | FinishRequest
    | StartRun
    | MoveRun
    | GrantAccess
    | RevokeAccess
    | ProposeAdjustment
    | ApproveAdjustment
    | RefuseAdjustment
    | NoteFollowed
)
