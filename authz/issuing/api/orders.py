"""/v1/clients/…/orders: from a list of beneficiaries to a paid order, its lines and its invoice."""

from http import HTTPStatus
from typing import Annotated, Any

from litestar import Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from authz.decision.issuing.states import Order, OrderId, OrderLine
from authz.issuing.api.auth import Desks, Writing
from authz.issuing.api.fields import ClientInPath, OrderInPath, month_in
from authz.issuing.api.pages import After, Limit, page
from authz.issuing.api.problems import READ, UPLOAD, WRITE
from authz.issuing.api.upload import ListOperation, Uploads
from authz.issuing.bodies.fields import END
from authz.issuing.bodies.orders import Confirmation, InvoiceView, LineView, OrderView, Payment, RecapView
from authz.issuing.bodies.pages import PAGE, Page
from authz.issuing.desks import Issuing
from authz.issuing.drafting import STANDING, orders_of
from authz.issuing.names import new_id
from authz.issuing.orders import Invoice, Recap
from authz.issuing.sheets.media import CONTENT_BYTES_MAX
from ledger.values import Cents

LINES_MAX = 200_000

ProductInQuery = Annotated[str, QueryParameter(name="product", pattern=rf"^[0-9]{{2}}{END}")]
MonthInQuery = Annotated[
    str,
    QueryParameter(name="month", pattern=rf"^20[0-9]{{2}}-(0[1-9]|1[0-2]){END}", description="The month it is for."),
]
AfterLine = Annotated[
    int, QueryParameter(name="after", ge=0, le=LINES_MAX, description="The `next` of the page before.")
]
AnyRequest = Request[Any, Any, Any]


def order_view(order: Order) -> OrderView:
    """Show an order."""
    return OrderView(
        order.id,
        order.client,
        order.product,
        order.month,
        order.revision,
        order.status,
        order.lines,
        order.cards,
        order.costs,
        order.costs.total,
        order.difference,
        order.reference,
        len(order.chunks),
        order.applied,
        order.refused,
    )


def _recap_view(recap: Recap) -> RecapView:
    return RecapView(order_view(recap.order), recap.delivery)


def _invoice_view(bill: Invoice) -> InvoiceView:
    return InvoiceView(
        bill.client.id,
        bill.client.name,
        bill.order.id,
        bill.order.product,
        bill.order.month,
        bill.face,
        bill.commission,
        bill.cards,
        bill.vat,
        bill.fees,
        bill.total,
        bill.reference,
    )


async def _lines_page(desks: Issuing, order: Order, after: int, limit: int) -> Page[LineView]:
    """Show some of an order's lines; `next` counts those that were shown."""
    lines = await desks.orders.lines(order.client, order.id, after, limit)
    people = await desks.issuer.contacts.find([one.holder for one in lines])

    def view(one: OrderLine) -> LineView:
        person = people.get(one.holder)
        names = (person.first_name, person.last_name, person.email) if person else ("", "", "")
        return LineView(one.number, one.holder, *names, one.amount, one.card, one.works_days_off)

    shown = after + len(lines)
    return Page([view(one) for one in lines], str(shown) if lines and shown < order.lines else None)


@post(
    "/clients/{client:str}/orders",
    responses=UPLOAD,
    operation_class=ListOperation,
    request_max_body_size=CONTENT_BYTES_MAX,
)
async def draft_order(
    client: ClientInPath,
    product: ProductInQuery,
    month: MonthInQuery,
    request: AnyRequest,
    uploads: NamedDependency[Uploads],
    desks: Desks,
    write: Writing,
) -> OrderView:
    """Draft an order from a list of beneficiaries. A full list is compared with the last one."""
    order = OrderId(new_id("order", client, write.key))
    rows = await uploads.rows(request)
    return order_view(await desks.orders.draft(client, order, product, month_in(month), rows, write.by, write.key))


@get("/clients/{client:str}/orders", responses=READ)
async def list_orders(client: ClientInPath, desks: Desks, after: After = "", limit: Limit = PAGE) -> Page[OrderView]:
    """List a client's orders."""
    return page(await desks.orders.list(client, after), limit, order_view, lambda one: one.id)


@get("/clients/{client:str}/orders/{order:str}", responses=READ)
async def read_order(client: ClientInPath, order: OrderInPath, desks: Desks) -> RecapView:
    """Read an order's recap, to be looked over before it is confirmed."""
    return _recap_view(await desks.orders.recap(client, order))


@put(
    "/clients/{client:str}/orders/{order:str}",
    responses=UPLOAD,
    operation_class=ListOperation,
    request_max_body_size=CONTENT_BYTES_MAX,
)
async def redraft_order(
    client: ClientInPath,
    order: OrderInPath,
    product: ProductInQuery,
    month: MonthInQuery,
    request: AnyRequest,
    uploads: NamedDependency[Uploads],
    desks: Desks,
    write: Writing,
) -> OrderView:
    """Draft an order that isn't paid anew: its revision rises."""
    await desks.orders.order(client, order)
    rows = await uploads.rows(request)
    return order_view(await desks.orders.draft(client, order, product, month_in(month), rows, write.by, write.key))


@delete("/clients/{client:str}/orders/{order:str}", status_code=HTTPStatus.OK, responses=WRITE)
async def cancel_order(client: ClientInPath, order: OrderInPath, desks: Desks, write: Writing) -> OrderView:
    """Give up an order that isn't paid."""
    return order_view(await desks.orders.cancel(client, order, write.by, write.key))


@post("/clients/{client:str}/orders/{order:str}/confirmation", status_code=HTTPStatus.OK, responses=WRITE)
async def confirm_order(
    client: ClientInPath, order: OrderInPath, data: JSONBody[Confirmation], desks: Desks, write: Writing
) -> OrderView:
    """Accept an order's recap: it waits for the money."""
    return order_view(await desks.orders.confirm(client, order, data.revision, write.by, write.key))


@post("/clients/{client:str}/orders/{order:str}/payment", status_code=HTTPStatus.OK, responses=WRITE)
async def pay_order(
    client: ClientInPath, order: OrderInPath, data: JSONBody[Payment], desks: Desks, write: Writing
) -> OrderView:
    """Enter the bank transfer that pays an order: its cards are made, its vouchers loaded."""
    paid = await desks.orders.pay(client, order, data.reference, Cents(data.amount), write.by, write.key)
    return order_view(paid)


@get("/clients/{client:str}/orders/{order:str}/lines", responses=READ)
async def list_lines(
    client: ClientInPath, order: OrderInPath, desks: Desks, after: AfterLine = 0, limit: Limit = PAGE
) -> Page[LineView]:
    """List an order's beneficiaries."""
    return await _lines_page(desks, await desks.orders.order(client, order), after, limit)


@get("/clients/{client:str}/orders/{order:str}/invoice", responses=READ)
async def read_invoice(client: ClientInPath, order: OrderInPath, desks: Desks) -> InvoiceView:
    """Read the bill of an order that was confirmed."""
    return _invoice_view(await desks.orders.invoice(client, order))


@get("/clients/{client:str}/beneficiaries", responses=READ)
async def list_beneficiaries(
    client: ClientInPath, product: ProductInQuery, desks: Desks, after: AfterLine = 0, limit: Limit = PAGE
) -> Page[LineView]:
    """List who stands in the client's last order of a product, which a new list is compared with."""
    await desks.clients.client(client)
    standing = [one for one in await orders_of(desks.issuer, client, product) if one.status in STANDING]
    return await _lines_page(desks, standing[-1], after, limit) if standing else Page([], None)
