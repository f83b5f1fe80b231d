"""`authz issue order …`: from a file of beneficiaries to vouchers on cards."""

import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from authz.decision.issuing.states import OrderStatus
from authz.issue_cli import NotAsked, NotDone
from authz.issue_cli.amounts import Euros
from authz.issue_cli.api import Api, Ask, Write
from authz.issue_cli.showing import Facts, show_list, show_one
from authz.issuing.bodies.orders import Confirmation, InvoiceView, LineView, OrderView, Payment, RecapView
from authz.issuing.bodies.upload import MEDIA
from authz.issuing.sheets.media import CONTENT_BYTES_MAX

POLL_S = 0.5
_MEDIA = {f".{name}": media for media, name in MEDIA.items()}

order = App(name="order", help="Orders: uploaded, looked over, confirmed, paid, and carried out.")

Client = Annotated[str, Parameter(help="The client's account.")]
Order = Annotated[str, Parameter(help="The order's id.", show_default=False)]


@order.command
def upload(
    file: Path, *, client: Client, product: str, month: str, instead_of: str | None = None, ask: Write | None = None
) -> None:
    """Draft an order from a list of beneficiaries. What is wrong in it is listed by line and column (exit 1).

    Parameters
    ----------
    file
        The list: .csv, .xlsx or .json.
    client
        The client's account.
    product
        Which vouchers: 90, or 91 to 95.
    month
        The month that they are for, such as 2026-05.
    instead_of
        The order, not paid yet, that this list takes the place of.
    ask
        Where the API is.
    """
    media = _MEDIA.get(file.suffix.lower())
    if media is None:
        raise NotAsked(f"{file}: a list of beneficiaries is a file .csv, .xlsx or .json")
    content, place = _content(file), f"/clients/{client}/orders"
    method, path = ("POST", place) if instead_of is None else ("PUT", f"{place}/{instead_of}")
    with Api(ask or Write()) as api:
        made = api.upload(method, path, OrderView, content, media, product=product, month=month)
    _show(ask, made)


@order.command(name="list")
def list_orders(*, client: Client, ask: Ask | None = None) -> None:
    """List a client's orders."""
    with Api(ask or Ask()) as api:
        found = api.all(f"/clients/{client}/orders", OrderView)
    columns = {
        "order": lambda one: one.id,
        "product": lambda one: one.product,
        "month": lambda one: f"{one.month:%Y-%m}",
        "status": lambda one: one.status,
        "lines": lambda one: one.lines,
        "cards": lambda one: one.cards,
        "total, €": lambda one: one.total,
    }
    show_list(ask, f"Orders of {client}", found, columns)


@order.command
def show(order: Order, *, client: Client, ask: Ask | None = None) -> None:
    """Show an order's recap: what it costs, who needs a card, when the cards would come."""
    with Api(ask or Ask()) as api:
        recap = api.read(f"/clients/{client}/orders/{order}", RecapView)
    comes = recap.delivery
    delivery = {} if comes is None else {"cards would come": f"{comes.cards_from} to {comes.cards_until}"}
    show_one(ask, "Order", recap, {**_facts(recap.order), **delivery})


@order.command
def confirm(order: Order, *, client: Client, revision: int, ask: Write | None = None) -> None:
    """Accept the recap of an order's revision: it waits for the money."""
    with Api(ask or Write()) as api:
        path = f"/clients/{client}/orders/{order}/confirmation"
        _show(ask, api.write("POST", path, OrderView, Confirmation(revision)))


@order.command
def pay(order: Order, *, client: Client, reference: str, amount: Euros, ask: Write | None = None) -> None:
    """Enter the bank transfer that pays an order: its cards are made, its vouchers loaded.

    Parameters
    ----------
    order
        The order's id.
    client
        The client's account.
    reference
        The bank's reference.
    amount
        What was transferred, in euros: all that the order costs.
    ask
        Where the API is.
    """
    with Api(ask or Write()) as api:
        path = f"/clients/{client}/orders/{order}/payment"
        _show(ask, api.write("POST", path, OrderView, Payment(reference, amount)))


@order.command
def cancel(order: Order, *, client: Client, ask: Write | None = None) -> None:
    """Give up an order that isn't paid."""
    with Api(ask or Write()) as api:
        _show(ask, api.write("DELETE", f"/clients/{client}/orders/{order}", OrderView))


@order.command
def lines(order: Order, *, client: Client, ask: Ask | None = None) -> None:
    """List an order's beneficiaries."""
    with Api(ask or Ask()) as api:
        found = api.all(f"/clients/{client}/orders/{order}/lines", LineView)
    _show_lines(ask, f"Lines of {order}", found)


@order.command
def beneficiaries(*, client: Client, product: str, ask: Ask | None = None) -> None:
    """List who stands in the client's last order of a product: a new list is compared with it."""
    with Api(ask or Ask()) as api:
        found = api.all(f"/clients/{client}/beneficiaries", LineView, product=product)
    _show_lines(ask, f"Beneficiaries of {client}", found)


@order.command
def invoice(order: Order, *, client: Client, ask: Ask | None = None) -> None:
    """Show an order's bill: the vouchers' own value, and apart from it what the issuer earns."""
    with Api(ask or Ask()) as api:
        bill = api.read(f"/clients/{client}/orders/{order}/invoice", InvoiceView)
    facts: Facts = {
        "client": f"{bill.name} ({bill.client})",
        "order": bill.order,
        "month": f"{bill.month:%Y-%m}",
        "face value, €": bill.face,
        "commission, €": bill.commission,
        "cards, €": bill.cards,
        "VAT, €": bill.vat,
        "fees with VAT, €": bill.fees,
        "total, €": bill.total,
        "paid by": bill.reference,
    }
    show_one(ask, "Invoice", bill, facts)


@order.command
def watch(
    order: Order,
    *,
    client: Client,
    within_s: Annotated[float, Parameter(validator=Number(gt=0))] = 600,
    ask: Ask | None = None,
) -> None:
    """Wait until a paid order is carried out.

    Parameters
    ----------
    order
        The order's id.
    client
        The client's account.
    within_s
        How many seconds to wait at most (exit 1 where that isn't enough).
    ask
        Where the API is.
    """
    path, deadline = f"/clients/{client}/orders/{order}", time.monotonic() + within_s
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with (
        Api(ask or Ask()) as api,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task("carried out", total=None)
        while (now := api.read(path, RecapView).order).status is OrderStatus.PAID:
            if time.monotonic() > deadline:
                raise NotDone(f"the order isn't carried out within {within_s:g} s")
            bar.update(task, total=now.chunks, completed=now.applied)
            time.sleep(POLL_S)
        if now.status is not OrderStatus.DONE:
            raise NotDone(f"the order is {now.status}: only a paid one is carried out")
    _show(ask, now)


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > CONTENT_BYTES_MAX:
            raise NotAsked(f"{file}: a list has {CONTENT_BYTES_MAX // 2**20} MB at most")
        return file.read_bytes()
    except OSError as error:
        raise NotAsked(f"{file}: {error.strerror}") from None


def _facts(order: OrderView) -> Facts:
    change = order.difference
    return {
        "order": order.id,
        "client": order.client,
        "product": order.product,
        "month": f"{order.month:%Y-%m}",
        "status": order.status,
        "revision": order.revision,
        "beneficiaries": order.lines,
        "since the last list": f"{change.new} new, {change.changed} changed, {change.missing} missing",
        "new cards": order.cards,
        "refused": order.refused,
        "face value, €": order.costs.face,
        "commission, €": order.costs.commission,
        "cards, €": order.costs.cards,
        "VAT, €": order.costs.vat,
        "total, €": order.total,
        "paid by": order.reference,
    }


def _show(ask: Ask | None, order: OrderView) -> None:
    show_one(ask, "Order", order, _facts(order))


def _show_lines(ask: Ask | None, title: str, found: list[LineView]) -> None:
    columns = {
        "number": lambda one: one.number,
        "name": lambda one: f"{one.first_name} {one.last_name}",
        "e-mail": lambda one: one.email,
        "holder": lambda one: one.holder,
        "amount, €": lambda one: one.amount,
        "new card": lambda one: one.card,
        "works days off": lambda one: one.works_days_off,
    }
    show_list(ask, title, found, columns)
