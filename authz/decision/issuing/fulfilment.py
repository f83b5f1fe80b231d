"""One line of a paid order, carried out whole: the holder enrolled, the card that is needed issued, vouchers loaded."""

from msgspec.structs import replace

from authz.decision import holders
from authz.decision.evidence import Facts
from authz.decision.issuing import holder_cards
from authz.decision.issuing.commands import Fulfil
from authz.decision.issuing.lives import ORDER, OrderEvent, step
from authz.decision.issuing.states import Order
from authz.decision.position import Position
from authz.decision.refused import OrderNotPaid, OrderUnknown, ProductDiffers
from ledger import accounts
from ledger.values import Lot, Purse, Transfer


def fulfil(command: Fulfil, facts: Facts) -> tuple[Position, tuple[Transfer, ...]]:
    """Carry a line out, with the client's money. What is due of the holder's lots by the date is posted first."""
    order = facts.beside
    if not isinstance(order, Order):
        raise OrderUnknown
    step(ORDER, order.status, OrderEvent.LINE, OrderNotPaid)
    if command.product != order.product:
        raise ProductDiffers
    position = _employed(facts.position, command)
    if command.card is not None:
        position = holder_cards.issued(position, command.card, command.programme)
    lot = Lot(command.product, command.lot, command.valid_from, command.valid_until, command.amount)
    source = accounts.client_funds(command.client, command.product)
    return holders.credit(command.holder, position, lot, source, facts)


def _employed(position: Position | None, command: Fulfil) -> Position:
    """Enter the client among a person's employers.

    Whose decision on Sundays and holidays counts is the first, or who said last that the holder works then (R3262-8).
    """
    if position is None:
        position = Position(Purse(), employer=command.client)
    if command.client not in position.employers:
        position = replace(position, employers=(*position.employers, command.client))
    if command.works_days_off or command.client == position.employer:
        position = replace(position, employer=command.client, works_days_off=command.works_days_off)
    return position
