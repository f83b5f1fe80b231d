"""What stands in paths of requests, and what fields of bodies are behind the edge."""

from datetime import date
from typing import Annotated

from litestar.params import PathParameter

from authz.decision.issuing.states import AgentId, ClientId, OfferId, OrderId, RequestId
from authz.decision.position import CardId
from authz.issuing.bodies.fields import IDS
from ledger.values import HolderId

_PATH = PathParameter(pattern=IDS)

OfferInPath = Annotated[OfferId, _PATH]
ClientInPath = Annotated[ClientId, _PATH]
AgentInPath = Annotated[AgentId, _PATH]
OrderInPath = Annotated[OrderId, _PATH]
RequestInPath = Annotated[RequestId, _PATH]
HolderInPath = Annotated[HolderId, _PATH]
CardInPath = Annotated[CardId, _PATH]


def month_in(text: str) -> date:
    """Read a month such as 2026-05 as its first day.

    >>> month_in("2026-05")
    datetime.date(2026, 5, 1)
    """
    return date.fromisoformat(f"{text}-01")
