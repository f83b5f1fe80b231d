"""Orders, their lines and their bills, as they are confirmed, paid and shown."""

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct

from authz.decision.issuing.delivery import Expected
from authz.decision.issuing.states import Costs, Difference, OrderStatus
from authz.issuing.bodies.fields import END, Positive, Sent
from ledger.values import Cents


class Confirmation(Sent, frozen=True):
    """Which revision's recap is accepted."""

    revision: Annotated[int, Meta(ge=1, le=10**6)]


class Payment(Sent, frozen=True):
    """A bank transfer, in cents: all that the order costs."""

    reference: Annotated[str, Meta(min_length=1, max_length=64, pattern=rf"^[ -~]+{END}")]
    amount: Positive


class OrderView(Struct, frozen=True):
    """An order. Costs are cents; `total` is what is to be transferred.

    Its lines are carried out in `chunks`, of which `applied` are; `refused` lines couldn't be.
    """

    id: str
    client: str
    product: str
    month: date
    revision: int
    status: OrderStatus
    lines: int
    cards: int
    costs: Costs
    total: Cents
    difference: Difference
    reference: str | None
    chunks: int
    applied: int
    refused: int


class RecapView(Struct, frozen=True):
    """An order, and when its new cards would arrive if the money came today."""

    order: OrderView
    delivery: Expected | None


class LineView(Struct, frozen=True):
    """A beneficiary. Whoever was erased has no name. `card`: they need a new one."""

    number: str
    holder: str
    first_name: str
    last_name: str
    email: str
    amount: Cents
    card: bool
    works_days_off: bool


class InvoiceView(Struct, frozen=True):
    """A bill, in cents. The vouchers' own value (`face`) stands apart from what the issuer earns (L3262-2)."""

    client: str
    name: str
    order: str
    product: str
    month: date
    face: Cents
    commission: Cents
    cards: Cents
    vat: Cents
    fees: Cents
    total: Cents
    reference: str | None
