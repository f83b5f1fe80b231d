"""The one door of issuing in the core: a command and the facts in, an outcome out."""

from authz.decision.evidence import Facts
from authz.decision.issuing import access, adjustments, clients, holder_cards, offers, orders, reminders, requests, runs
from authz.decision.issuing.commands import (
    AcceptOffer,
    ActivateCard,
    AddContracts,
    AnswerRequest,
    ApproveAdjustment,
    AskRequest,
    CancelOrder,
    ChangeClient,
    ConfirmOrder,
    DraftOrder,
    EnterLines,
    FinishRequest,
    Fulfil,
    GrantAccess,
    IssuingCommand,
    MakeOffer,
    MoveRun,
    NoteApplied,
    NoteFollowed,
    OpenClient,
    PayOrder,
    ProposeAdjustment,
    RefuseAdjustment,
    RegisterAgent,
    RemakeCard,
    Remind,
    RevokeAccess,
    StartRun,
    TakeOver,
    WithdrawOffer,
)
from authz.decision.issuing.fulfilment import fulfil
from authz.decision.issuing.portfolio import take_over
from authz.decision.issuing.states import Access, Followed, Lines, Order, Run
from authz.decision.outcomes import Outcome, Reason, Reply, State
from authz.decision.position import Position
from authz.decision.refused import HolderUnknown
from ledger.values import Transfer

DONE = Reply(Reason.APPROVED)

OrderCommand = EnterLines | DraftOrder | ConfirmOrder | CancelOrder | NoteApplied
CardCommand = ActivateCard | RemakeCard | Remind


def issue(command: IssuingCommand, facts: Facts) -> Outcome:
    """Decide a command of issuing. Raises a `Refused` where it makes no sense."""
    state, moved = _decided(command, facts)
    return Outcome(DONE, command.passbook, state, moved)


def _decided(command: IssuingCommand, facts: Facts) -> tuple[State, tuple[Transfer, ...]]:
    """Say what then stands in the passbook, and what money moves."""
    match command:
        case PayOrder():
            return orders.pay(command, facts)
        case Fulfil():
            return fulfil(command, facts)
        case TakeOver():
            return take_over(command, facts)
        case ProposeAdjustment() | ApproveAdjustment() | RefuseAdjustment():
            return adjustments.adjust(command, facts)
        case MakeOffer() | AcceptOffer() | WithdrawOffer():
            return offers.offer(command, facts), ()
        case OpenClient() | AddContracts() | ChangeClient():
            return clients.client(command, facts), ()
        case RegisterAgent(agent=agent):
            return agent, ()
        case EnterLines() | DraftOrder() | ConfirmOrder() | CancelOrder() | NoteApplied():
            return _order(command, facts), ()
        case ActivateCard() | RemakeCard() | Remind():
            return _position(command, facts), ()
        case AskRequest() | AnswerRequest() | FinishRequest():
            return requests.request(command, facts), ()
        case StartRun() | MoveRun():
            return _run(command, facts), ()
        case GrantAccess() | RevokeAccess():
            return _access(command, facts), ()
        case NoteFollowed(through=through):
            return Followed(through), ()


def _order(command: OrderCommand, facts: Facts) -> Order | Lines:
    match command:
        case EnterLines():
            return orders.enter(command, facts)
        case DraftOrder():
            return orders.draft(command, facts)
        case ConfirmOrder():
            return orders.confirm(command, facts)
        case CancelOrder():
            return orders.cancel(facts)
        case NoteApplied():
            return orders.apply(command, facts)


def _position(command: CardCommand, facts: Facts) -> Position:
    position = facts.position
    if position is None:
        raise HolderUnknown
    match command:
        case ActivateCard():
            return holder_cards.activate(command, position)
        case RemakeCard():
            return holder_cards.remake(command, position)
        case Remind():
            return reminders.remind(command, position)


def _run(command: StartRun | MoveRun, facts: Facts) -> Run:
    return runs.start(command, facts) if isinstance(command, StartRun) else runs.move(command, facts)


def _access(command: GrantAccess | RevokeAccess, facts: Facts) -> Access:
    return access.grant(command, facts) if isinstance(command, GrantAccess) else access.revoke(facts)
