"""All of /v1 as one router."""

import re
from collections.abc import Sequence
from typing import Any

from litestar import Router
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi.plugins import JsonRenderPlugin

from authz.issuing.adjustments import Adjustments
from authz.issuing.api import (
    access,
    adjustments,
    client_holders,
    clients,
    holders,
    merchants,
    offers,
    orders,
    portfolio,
    requests,
    runs,
)
from authz.issuing.api.auth import AnyConnection, Door, provide_write
from authz.issuing.api.limits import RequestLimits
from authz.issuing.api.problems import AnyRequest
from authz.issuing.api.upload import Uploads
from authz.issuing.bodies.fields import Sent
from authz.issuing.desks import Issuing
from authz.issuing.takeover import Portfolio

BODY_MAX_BYTES = 1_000_000
SECURITY = "token"
"""What the description calls the bearer token."""

HANDLERS: Sequence[HTTPRouteHandler] = (
    offers.make_offer,
    offers.list_offers,
    offers.read_offer,
    offers.withdraw_offer,
    offers.accept_offer,
    clients.list_clients,
    clients.read_client,
    clients.change_client,
    clients.add_user,
    clients.appoint_agent,
    clients.dismiss_agent,
    clients.register_agent,
    clients.list_agents,
    orders.draft_order,
    orders.list_orders,
    orders.read_order,
    orders.redraft_order,
    orders.cancel_order,
    orders.confirm_order,
    orders.pay_order,
    orders.list_lines,
    orders.read_invoice,
    orders.list_beneficiaries,
    requests.list_requests,
    requests.make_request,
    requests.validate_request,
    requests.refuse_request,
    client_holders.read_client_holder,
    client_holders.list_client_loads,
    holders.read_holder,
    holders.list_operations,
    holders.exchange_lot,
    holders.reactivate_lot,
    holders.activate_card,
    holders.oppose_card,
    holders.ask_for_card,
    holders.unlock_card,
    runs.start_run,
    runs.list_runs,
    runs.read_cards,
    runs.read_pins,
    runs.send_run,
    runs.make_pins,
    runs.send_pins,
    merchants.register_merchant,
    portfolio.take_over,
    adjustments.propose_adjustment,
    adjustments.list_adjustments,
    adjustments.read_adjustment,
    adjustments.approve_adjustment,
    adjustments.refuse_adjustment,
    access.grant_access,
    access.revoke_access,
)


def issuing_router(issuing: Issuing, limits: RequestLimits) -> Router:
    """Serve these desks."""
    door, uploads = Door(issuing.gate, limits), Uploads()
    taken_over, adjusted = Portfolio(issuing.issuer), Adjustments(issuing.issuer)

    async def provide_desks() -> Issuing:
        return issuing

    async def provide_uploads() -> Uploads:
        return uploads

    async def provide_portfolio() -> Portfolio:
        return taken_over

    async def provide_adjustments() -> Adjustments:
        return adjusted

    # A function, since litestar copies a guard in depth, and with a bound method all that stands behind it.
    async def admit(connection: AnyConnection, _: BaseRouteHandler) -> None:
        await door.admit(connection)

    return Router(
        path="/v1",
        route_handlers=HANDLERS,
        guards=[admit],
        dependencies={
            "desks": Provide(provide_desks),
            "uploads": Provide(provide_uploads),
            "portfolio": Provide(provide_portfolio),
            "adjustments": Provide(provide_adjustments),
            "write": Provide(provide_write),
        },
        security=[{SECURITY: []}],
        request_max_body_size=BODY_MAX_BYTES,
    )


_MODULE = re.compile(rb"authz\.issuing\.bodies\.\w+\.")


class Description(JsonRenderPlugin):
    """Serves the description, which says of every body that it takes nothing else: Litestar doesn't see that itself.

    It is made when it is first asked for: to make it takes a good part of a start.
    """

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:
        """Close the bodies, call lists by what they are of and not by where that is written, and write it as JSON."""
        closed = {one.__name__ for one in Sent.__subclasses__()}
        for schema in openapi_schema["components"]["schemas"].values():
            if schema.get("title") in closed:
                schema["additionalProperties"] = False
        return _MODULE.sub(b"", super().render(request, openapi_schema))
