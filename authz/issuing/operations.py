"""What happened to a holder's vouchers and cards, as they are shown it: read from the journal, without its insides.

What was due by the date and posted along with something else has no line of its own: the balances have it.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from msgspec import Struct

from authz.decision.commands import (
    Advice,
    Command,
    Completion,
    ExchangeLot,
    ExpireLots,
    ForfeitLots,
    IssueCard,
    LapseHolds,
    Load,
    Purchase,
    ReactivateLot,
    Refund,
    Reversal,
    StopCard,
)
from authz.decision.issuing.commands import ActivateCard, Fulfil, RemakeCard, TakeOver
from authz.decision.issuing.states import ClientId
from authz.decision.outcomes import Reply
from authz.decision.position import CardId, Position
from authz.decision.reference import Employer, Merchant, employer_passbook, merchant_passbook
from authz.engine.inputs import decode_inputs, decode_reply
from authz.engine.passbooks import decode_state
from authz.issuing.bodies.operations import Operation, OperationKind, OperationsPage
from authz.issuing.issuer import HOME, Issuer
from ledger.store import EVENTS_A_CALL_MAX, HISTORY_LINES_MAX, Event, Line
from ledger.values import Cents, HolderId, Lot, Purse, Seq

OPERATIONS_A_PAGE_MAX = 50
"""Records that one page is made from: fewer than the passbooks that one read returns."""
NEWEST = Seq(2**63 - 1)
"""Behind every record."""
_FULFILMENT = str(Fulfil.__struct_config__.tag)

_BY_PURSE = (Reversal, LapseHolds, ExpireLots, ForfeitLots, ExchangeLot, ReactivateLot)
"""What its record doesn't name the amount of: the purse before and after it does."""
Purses = Mapping[Seq, tuple[Purse, Purse]]
"""The purse before and after a record."""


class _Told(Struct, frozen=True, gc=False):
    """A record, read."""

    event: Event
    command: Command
    reply: Reply

    @property
    def party(self) -> HolderId | None:
        """Whose passbook has the name of the other side."""
        match self.command:
            case Purchase() | Refund() | Advice() | Completion() | Reversal():
                return merchant_passbook(self.command.origin.merchant_id)
            case Fulfil(client=client):
                return employer_passbook(client)
            case TakeOver(employer=employer):
                return employer_passbook(ClientId(employer))
            case _:
                return None


class Operations:
    """Reads holders' records."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def of(self, holder: HolderId, before: Seq | None, most: int) -> OperationsPage:
        """Give a holder's operations, of `most` records below `before`. Raises `LedgerError`."""
        most = min(most, OPERATIONS_A_PAGE_MAX)
        events = await self._events(holder, before, most)
        return OperationsPage(await self._operations(holder, [_told(one) for one in events]), _next(events, most))

    async def loads_by(self, client: ClientId, holder: HolderId, before: Seq | None) -> OperationsPage:
        """Give what one client loaded, of `EVENTS_A_CALL_MAX` records below `before`. Raises `LedgerError`."""
        events = await self._events(holder, before, EVENTS_A_CALL_MAX)
        told = [_told(one) for one in events if one.kind == _FULFILMENT]
        own = [one for one in told if isinstance(one.command, Fulfil) and one.command.client == client]
        return OperationsPage(await self._operations(holder, own), _next(events, EVENTS_A_CALL_MAX))

    async def _operations(self, holder: HolderId, told: Sequence[_Told]) -> tuple[Operation, ...]:
        names = await self._names(told)
        by_purse = any(isinstance(one.command, _BY_PURSE) for one in told)
        purses = await self._purses(holder) if by_purse else {}
        found = [_operation(one, names, purses) for one in told]
        return tuple([one for one in found if one is not None])

    async def _events(self, holder: HolderId, before: Seq | None, most: int) -> Sequence[Event]:
        partition = self._issuer.engine.partition_of(holder)
        return await self._issuer.store.events_about(partition, holder, NEWEST if before is None else before, most)

    async def _names(self, told: Sequence[_Told]) -> Mapping[HolderId, str]:
        """Find the names of merchants and employers: there are no more of them than records in a page."""
        passbooks = list(dict.fromkeys(one.party for one in told if one.party is not None))
        lines = await self._issuer.store.newest(HOME, passbooks) if passbooks else {}
        states = {passbook: decode_state(passbook, line.position) for passbook, line in lines.items()}
        return {passbook: one.name for passbook, one in states.items() if isinstance(one, (Merchant, Employer))}

    async def _purses(self, holder: HolderId) -> Purses:
        """Read the purses before and after each of a holder's newest records."""
        partition = self._issuer.engine.partition_of(holder)
        lines = await self._issuer.store.history(partition, holder, HISTORY_LINES_MAX)
        purses = [(line.seq, _purse(holder, line)) for line in lines]
        return {seq: (before, after) for (seq, after), (_, before) in pairwise(purses)}


def _told(event: Event) -> _Told:
    return _Told(event, decode_inputs(event.request).command, decode_reply(event.reply))


def _next(events: Sequence[Event], most: int) -> Seq | None:
    return events[-1].seq if len(events) == most else None


def _purse(holder: HolderId, line: Line) -> Purse:
    position = decode_state(holder, line.position)
    assert isinstance(position, Position), "a holder's line is a position"
    return position.purse


def _operation(told: _Told, names: Mapping[HolderId, str], purses: Purses) -> Operation | None:
    """Say in a holder's words what happened. None: nothing that concerns them."""
    found = _payment(told.command, told.reply) or _issuing(told.command)
    if found is None:
        return None
    kind, product, amount = found
    if isinstance(told.command, _BY_PURSE) and told.event.seq in purses:
        amount = _amount(told.command, *purses[told.event.seq])
    return Operation(
        seq=told.event.seq,
        at=told.event.at,
        kind=kind,
        reason=told.reply.reason,
        product=product,
        lot=getattr(told.command, "lot", None),
        amount=amount,
        party=None if told.party is None else names.get(told.party),
        card=_card(told.command),
    )


_Found = tuple[OperationKind, str | None, Cents | None]
"""What happened, with vouchers of which product, and for how much."""


def _payment(command: Command, reply: Reply) -> _Found | None:
    match command:
        case Purchase():
            amount = command.amount if reply.amount is None else reply.amount
            return _spending(command.holds), _product(command.product, reply), amount
        case Advice() | Completion():
            if not reply.standings:  # declined at the terminal, or of nothing that is known here
                return None
            kind = OperationKind.CAPTURE if isinstance(command, Completion) else _spending(command.holds)
            return kind, reply.standings[0].product, reply.standings[0].vouchers
        case Refund():
            return OperationKind.REFUND, _product(command.product, reply), command.amount
        case Reversal():
            return (OperationKind.REVERSAL, reply.standings[0].product, None) if reply.standings else None
        case _:
            return None


def _issuing(command: Command) -> _Found | None:
    match command:
        case Load() | Fulfil():
            return OperationKind.LOAD, command.product, command.amount
        case TakeOver(lots=lots) if lots:
            products = {lot.product for lot in lots}
            return (
                OperationKind.LOAD,
                products.pop() if len(products) == 1 else None,
                Cents(sum(lot.amount for lot in lots)),
            )
        case ExchangeLot():
            return OperationKind.EXCHANGE, command.product, None
        case ReactivateLot():
            return OperationKind.REACTIVATION, command.product, None
        case _:
            kind = _PLAIN.get(type(command))
            return None if kind is None else (kind, None, None)


_PLAIN: Mapping[type[object], OperationKind] = {
    ExpireLots: OperationKind.EXPIRY,
    ForfeitLots: OperationKind.FORFEIT,
    LapseHolds: OperationKind.RELEASE,
    IssueCard: OperationKind.CARD,
    RemakeCard: OperationKind.CARD,
    ActivateCard: OperationKind.ACTIVATION,
    StopCard: OperationKind.OPPOSITION,
}
"""What no one product is named by."""


def _spending(holds: bool) -> OperationKind:
    return OperationKind.HOLD if holds else OperationKind.PAYMENT


def _product(asked: str, reply: Reply) -> str:
    """Tell which product was meant by 00: the reply's only balance says it."""
    return reply.balances[0].product if reply.balances else asked


def _card(command: Command) -> CardId | None:
    match command:
        case RemakeCard(new=new):
            return new.card
        case Fulfil():
            return None if command.card is None else command.card.card
        case Purchase() | Refund() | Advice() | Completion() | Reversal() | IssueCard() | ActivateCard() | StopCard():
            return command.card
        case _:
            return None


def _amount(command: Command, before: Purse, after: Purse) -> Cents:
    match command:
        case ExchangeLot(product=product, lot=name) | ReactivateLot(product=product, lot=name):
            own = [lot for lot in before.lots + before.expired if (lot.product, lot.name) == (product, name)]
            return _sum(own)
        case ExpireLots():
            return Cents(_sum(after.expired) - _sum(before.expired))
        case _:
            return Cents(abs(_sum(after.lots + after.expired) - _sum(before.lots + before.expired)))


def _sum(some: Iterable[Lot]) -> Cents:
    return Cents(sum(lot.amount for lot in some))
