"""Orders: drafted and changed until they are paid, costed here, paid to the cent, and then carried out line by line.

An order's header stands in every partition, its lines in the one whose holders they are for.
"""

from msgspec.structs import replace

from authz.decision.evidence import Facts
from authz.decision.issuing.commands import (
    ConfirmOrder,
    DraftOrder,
    EnterLines,
    NoteApplied,
    PayOrder,
)
from authz.decision.issuing.costs import costs_of
from authz.decision.issuing.lives import ORDER, OrderEvent, step
from authz.decision.issuing.states import (
    CHUNKS_MAX,
    LINES_A_CHUNK,
    Client,
    Contract,
    Format,
    Lines,
    Order,
    OrderStatus,
)
from authz.decision.refused import (
    AppliedTooMany,
    ClientUnknown,
    LinesMalformed,
    MonthMalformed,
    NoContract,
    OrderFixed,
    OrderMalformed,
    OrderNotConfirmed,
    OrderNotPaid,
    OrderUnknown,
    PaymentDiffers,
    ReferenceMissing,
    RevisionDiffers,
)
from ledger import accounts
from ledger.values import Cents, Partition, Transfer

FEES_PARTITION = Partition(0)
"""Where an order's fees are posted."""


def enter(command: EnterLines, facts: Facts) -> Lines:
    """Put down a chunk of the lines of the revision that is drafted next."""
    known = facts.beside if isinstance(facts.beside, Order) else None
    _redraft(known, command.revision)
    lines = command.lines
    if not 0 < len(lines) <= LINES_A_CHUNK or any(line.amount <= 0 for line in lines):
        raise LinesMalformed
    return Lines(lines)


def draft(command: DraftOrder, facts: Facts) -> Order:
    """Draft an order, first or anew, and work out what it costs by the client's contract."""
    known = facts.own if isinstance(facts.own, Order) else None
    status = _redraft(known, command.revision)
    contract = _contract(command, facts)
    if command.month.day != 1:
        raise MonthMalformed
    lines = sum(chunk.lines for chunk in command.chunks)
    if not 0 < len(command.chunks) <= CHUNKS_MAX or not 0 <= command.cards <= lines:
        raise OrderMalformed
    if any(not 0 < chunk.lines <= LINES_A_CHUNK or chunk.face < chunk.lines for chunk in command.chunks):
        raise OrderMalformed
    return Order(
        id=command.order,
        client=command.client,
        product=command.product,
        month=command.month,
        revision=command.revision,
        chunks=command.chunks,
        cards=command.cards,
        costs=costs_of(sum(chunk.face for chunk in command.chunks), command.cards, contract.tariff),
        difference=command.difference,
        status=status,
    )


def confirm(command: ConfirmOrder, facts: Facts) -> Order:
    """Accept the recap of a revision: the newest."""
    order = _known(facts)
    if command.revision != order.revision:
        raise RevisionDiffers
    return replace(order, status=step(ORDER, order.status, OrderEvent.CONFIRMATION, OrderFixed))


def cancel(facts: Facts) -> Order:
    """Give an order up."""
    order = _known(facts)
    return replace(order, status=step(ORDER, order.status, OrderEvent.CANCELLATION, OrderFixed))


def pay(command: PayOrder, facts: Facts) -> tuple[Order, tuple[Transfer, ...]]:
    """Enter the money: face values to the client's funds, fees to the issuer's own accounts, never mixed (L3262-2)."""
    order = _known(facts)
    status = step(ORDER, order.status, OrderEvent.PAYMENT, OrderNotConfirmed)
    if not command.reference:
        raise ReferenceMissing
    if command.amount != order.costs.total:
        raise PaymentDiffers
    return replace(order, status=status, reference=command.reference), _paid(order, command.partition)


def apply(command: NoteApplied, facts: Facts) -> Order:
    """Count the chunks that are carried out: with the last one the order is done."""
    order = _known(facts)
    applied = order.applied + command.chunks
    if command.chunks < 1 or command.refused < 0 or applied > len(order.chunks):
        raise AppliedTooMany
    event = OrderEvent.LAST_LINE if applied == len(order.chunks) else OrderEvent.LINE
    status = step(ORDER, order.status, event, OrderNotPaid)
    return replace(order, status=status, applied=applied, refused=order.refused + command.refused)


def _paid(order: Order, partition: Partition) -> tuple[Transfer, ...]:
    face = sum(chunk.face for chunk in order.chunks if chunk.partition == partition)
    funds = accounts.client_funds(order.client, order.product)
    moved = [Transfer(accounts.issuer_float(order.product), funds, Cents(face))]
    if partition == FEES_PARTITION:
        earned = Cents(order.costs.commission + order.costs.cards)
        moved.append(Transfer(accounts.operating(), accounts.commission(), earned))
        moved.append(Transfer(accounts.operating(), accounts.vat(), order.costs.vat))
    return tuple(one for one in moved if one.amount)


def _redraft(known: Order | None, revision: int) -> OrderStatus:
    """Tell where an order is after a new draft: `revision` must be the next one."""
    before = 0 if known is None else known.revision
    status = OrderStatus.DRAFT if known is None else step(ORDER, known.status, OrderEvent.DRAFT, OrderFixed)
    if revision != before + 1:
        raise RevisionDiffers
    return status


def _contract(command: DraftOrder, facts: Facts) -> Contract:
    client = facts.beside
    if not isinstance(client, Client):
        raise ClientUnknown
    contract = client.contract(command.product, Format.ELECTRONIC)
    if contract is None:
        raise NoContract
    return contract


def _known(facts: Facts) -> Order:
    if not isinstance(facts.own, Order):
        raise OrderUnknown
    return facts.own
