"""That a holder is told of a lot that soon expires: noted in their passbook, which it doesn't change."""

from authz.decision.issuing.commands import Remind
from authz.decision.position import Position
from authz.decision.refused import NothingToRemind


def remind(command: Remind, position: Position) -> Position:
    """Note it of a lot that has something in it."""
    if not any((one.product, one.name) == (command.product, command.lot) for one in position.purse.lots):
        raise NothingToRemind
    return position
