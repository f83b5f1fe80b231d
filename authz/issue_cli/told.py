"""Operations as they are shown, to holders and to employers."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from authz.issue_cli.api import Ask
from authz.issue_cli.showing import show_list
from authz.issuing.bodies.operations import OperationsPage
from ledger.printing import instant, print_json

Before = Annotated[
    int | None, Parameter(validator=Number(gte=1), help="Only what was before this place: the last one shown.")
]


def show_operations(ask: Ask | None, page: OperationsPage) -> None:
    """Print a page of operations."""
    if ask is not None and ask.as_json:
        print_json(page)
        return
    columns = {
        "place": lambda one: str(one.seq),
        "at": lambda one: instant(one.at),
        "what": lambda one: one.kind,
        "outcome": lambda one: one.reason,
        "product": lambda one: one.product,
        "amount, €": lambda one: one.amount,
        "with": lambda one: one.party,
        "card": lambda one: one.card,
    }
    show_list(None, "Operations", page.operations, columns)
