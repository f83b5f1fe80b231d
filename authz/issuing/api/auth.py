"""Who may ask for what: one table of routes and roles, and one door through which every request goes.

A role that a route isn't for is told so (403). What is another's isn't there (404).
"""

import re
from typing import Annotated, Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.params import HeaderParameter
from msgspec import Struct

from authz.decision.issuing.states import ClientId, Role
from authz.issuing.access import Caller, Gate, TokenUnknown
from authz.issuing.api.limits import ORDERS_BURST_S, REQUESTS_BURST_S, Pace, RequestLimits
from authz.issuing.api.problems import Forbidden, TooMany
from authz.issuing.bodies.fields import IDS
from authz.issuing.bodies.problems import KEY_HEADER
from authz.issuing.desks import Issuing
from authz.issuing.issuer import NotThere
from ledger.values import HolderId

_ISSUER = frozenset({Role.ISSUER})
_FINANCE = _ISSUER | {Role.FINANCE}
_FINANCE_ALONE = frozenset({Role.FINANCE})
"""Not the issuer, who gives people access: who could make a second person of himself posts nothing."""
_CLIENT = _ISSUER | {Role.EMPLOYER}
_ORDERING = _CLIENT | {Role.AGENT}
_HOLDER = _ISSUER | {Role.HOLDER}
_CALLS = _HOLDER | {Role.OPERATOR}

RULES: dict[tuple[str, str], frozenset[Role]] = {
    ("GET", "/v1/offers"): _ISSUER,
    ("POST", "/v1/offers"): _ISSUER,
    ("GET", "/v1/offers/{offer}"): _ISSUER,
    ("DELETE", "/v1/offers/{offer}"): _ISSUER,
    ("POST", "/v1/offers/{offer}/acceptance"): _ISSUER,
    ("GET", "/v1/clients"): _FINANCE | {Role.AGENT},
    ("GET", "/v1/clients/{client}"): _CLIENT | _FINANCE,
    ("PATCH", "/v1/clients/{client}"): _CLIENT,
    ("POST", "/v1/clients/{client}/users"): _CLIENT,
    ("PUT", "/v1/clients/{client}/agents/{agent}"): _CLIENT,
    ("DELETE", "/v1/clients/{client}/agents/{agent}"): _CLIENT,
    ("GET", "/v1/agents"): _ISSUER,
    ("POST", "/v1/agents"): _ISSUER,
    ("GET", "/v1/clients/{client}/orders"): _ORDERING | _FINANCE,
    ("POST", "/v1/clients/{client}/orders"): _ORDERING,
    ("GET", "/v1/clients/{client}/orders/{order}"): _ORDERING | _FINANCE,
    ("PUT", "/v1/clients/{client}/orders/{order}"): _ORDERING,
    ("DELETE", "/v1/clients/{client}/orders/{order}"): _ORDERING,
    ("POST", "/v1/clients/{client}/orders/{order}/confirmation"): _ORDERING,
    ("POST", "/v1/clients/{client}/orders/{order}/payment"): _FINANCE,
    ("GET", "/v1/clients/{client}/orders/{order}/lines"): _ORDERING | _FINANCE,
    ("GET", "/v1/clients/{client}/orders/{order}/invoice"): _ORDERING | _FINANCE,
    ("GET", "/v1/clients/{client}/beneficiaries"): _ORDERING,
    ("GET", "/v1/clients/{client}/requests"): _CLIENT,
    ("POST", "/v1/clients/{client}/requests"): _CLIENT,
    ("POST", "/v1/clients/{client}/requests/{asked}/validation"): _CLIENT,
    ("POST", "/v1/clients/{client}/requests/{asked}/refusal"): _CLIENT,
    ("GET", "/v1/clients/{client}/holders/{holder}"): _CLIENT,
    ("GET", "/v1/clients/{client}/holders/{holder}/loads"): _CLIENT,
    ("GET", "/v1/holders/{holder}"): _CALLS,
    ("GET", "/v1/holders/{holder}/operations"): _CALLS,
    ("POST", "/v1/holders/{holder}/exchanges"): _HOLDER,
    ("POST", "/v1/holders/{holder}/reactivations"): _HOLDER,
    ("POST", "/v1/holders/{holder}/cards/{card}/activation"): _HOLDER,
    ("POST", "/v1/holders/{holder}/cards/{card}/opposition"): _CALLS,
    ("POST", "/v1/holders/{holder}/cards/{card}/requests"): _HOLDER,
    ("POST", "/v1/holders/{holder}/cards/{card}/online-unlock"): _ISSUER,
    ("GET", "/v1/runs"): _ISSUER,
    ("POST", "/v1/runs"): _ISSUER,
    ("GET", "/v1/runs/{number}/cards"): _ISSUER,
    ("GET", "/v1/runs/{number}/pins"): _ISSUER,
    ("POST", "/v1/runs/{number}/sending"): _ISSUER,
    ("POST", "/v1/runs/{number}/pins"): _ISSUER,
    ("POST", "/v1/runs/{number}/pins-sending"): _ISSUER,
    ("POST", "/v1/merchants"): _ISSUER,
    ("POST", "/v1/portfolio"): _ISSUER,
    ("GET", "/v1/adjustments"): _FINANCE,
    ("POST", "/v1/adjustments"): _FINANCE_ALONE,
    ("GET", "/v1/adjustments/{adjustment}"): _FINANCE,
    ("POST", "/v1/adjustments/{adjustment}/approval"): _FINANCE_ALONE,
    ("POST", "/v1/adjustments/{adjustment}/refusal"): _FINANCE_ALONE,
    ("POST", "/v1/access"): _ISSUER,
    ("DELETE", "/v1/access/{access}"): _ISSUER,
}
"""Every route, and whom it is for. A route that isn't here is for nobody."""

UPLOADS = frozenset({("POST", "/v1/clients/{client}/orders"), ("PUT", "/v1/clients/{client}/orders/{order}")})
"""Routes that read a list of beneficiaries, and have a pace of their own."""

KEY_MAX = 128

_ID = re.compile(IDS)
_BEARER = re.compile(r"[Bb]earer +([!-~]{1,512})")

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class Door:
    """Lets a request in whose token's role may ask for it, about what is theirs, at the pace that is allowed."""

    def __init__(self, gate: Gate, limits: RequestLimits) -> None:
        self._gate = gate
        self._requests = Pace(limits.requests_a_second, REQUESTS_BURST_S)
        self._strangers = Pace(limits.requests_a_second, REQUESTS_BURST_S)
        self._uploads = Pace(limits.orders_a_minute / 60, ORDERS_BURST_S)

    async def admit(self, connection: AnyConnection) -> None:
        """Find out who asks, for the handler. Raises `TokenUnknown`, `TooMany`, `Forbidden`, `NotThere`."""
        route = route_of(connection)
        caller = await self._who(connection)
        _keep_pace(self._requests, caller.id)
        if caller.role not in RULES.get(route, ()):
            raise Forbidden
        if route in UPLOADS:
            _keep_pace(self._uploads, caller.id)
        await self._require_own(caller, connection.path_params)
        connection.scope["user"] = caller

    async def _who(self, connection: AnyConnection) -> Caller:
        """Tell whose token came. A stranger is named by their address, and costs no look into the ledger."""
        found = _BEARER.fullmatch(connection.headers.get("authorization", ""))
        try:
            return await self._gate.who(found[1] if found else "")
        except TokenUnknown:
            _keep_pace(self._strangers, connection.client.host if connection.client else "")
            raise

    async def _require_own(self, caller: Caller, named: dict[str, Any]) -> None:
        """Raise `NotThere` unless all ids in the path are well-formed, and what they name is the caller's."""
        if not all(_ID.fullmatch(str(one)) for one in named.values()):
            raise NotThere
        client, holder = named.get("client"), named.get("holder")
        if not await self._gate.may(
            caller,
            client=None if client is None else ClientId(client),
            holder=None if holder is None else HolderId(holder),
        ):
            raise NotThere


def _keep_pace(pace: Pace, caller: str) -> None:
    wait_s = pace.wait_s(caller)
    if wait_s:
        raise TooMany(wait_s)


def route_of(connection: AnyConnection) -> tuple[str, str]:
    """Name the route of a request, as `RULES` does."""
    return str(connection.scope["method"]), plain(connection.scope["path_template"])  # type: ignore[typeddict-item]


def plain(template: str) -> str:
    """Write a path without the types of what is in it.

    >>> plain("/v1/runs/{number:int}/cards")
    '/v1/runs/{number}/cards'
    """
    return re.sub(r":\w+}", "}", template)


class Write(Struct, frozen=True):
    """Whose access a write came by, and its key: the caller's, for that route and no other."""

    by: str
    key: str


Desks = NamedDependency[Issuing]
Writing = NamedDependency[Write]


async def provide_write(
    request: Request[Caller, Any, Any],
    idempotency_key: Annotated[
        str,
        HeaderParameter(
            name=KEY_HEADER,
            min_length=1,
            max_length=KEY_MAX,
            description="Your own name for this write. The same key again is answered again and changes nothing more.",
        ),
    ],
) -> Write:
    """Give handlers what every write has."""
    caller = request.user
    return Write(caller.by, f"{caller.name} {request.method} {request.url.path} {idempotency_key}")
