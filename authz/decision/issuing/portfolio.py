"""A holder of a portfolio that is taken over from another processor: enrolled, carded and loaded in one record."""

from authz.decision import holders, vintages
from authz.decision.commands import Enrol
from authz.decision.evidence import Facts
from authz.decision.issuing.commands import TakeOver
from authz.decision.position import Card, CardStatus, Position
from authz.decision.reference import Employer
from authz.decision.refused import EmployerUnknown, ProgrammeDiffers
from ledger import accounts
from ledger.values import Transfer


def take_over(command: TakeOver, facts: Facts) -> tuple[Position, tuple[Transfer, ...]]:
    """Open a passbook with all that its holder brings along; what has expired by now waits with what expired here."""
    employer = facts.beside
    if not isinstance(employer, Employer):
        raise EmployerUnknown
    if employer.programme != command.programme:
        raise ProgrammeDiffers
    holder = command.holder
    position = holders.enrol(Enrol(holder, command.employer, command.works_days_off), facts.position)
    for one in command.cards:
        status = CardStatus.ACTIVE if one.active else CardStatus.INACTIVE
        position = holders.add_card(position, Card(one.card, command.programme, one.generation, one.expiry, status))
    moved: list[Transfer] = []
    for lot in command.lots:
        position, transfer = holders.add_lot(holder, position, lot, accounts.issuer_float(lot.product))
        moved.append(transfer)
    position, due = vintages.post_due(holder, position, facts)
    return position, (*moved, *due)
